"""Pages say of a claim what the rules and the records say, in the words of the rules."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from deepid_lite.registry import Claim, Estimate
from deepid_lite.studies.claims import more, number, paper_claims

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_tools"))

from questions import read_questions  # noqa: E402

PAGES = {path.stem: path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *(ROOT / "book").glob("*.md")]}
QUIZ = read_questions(PAGES["14_scorecard"].split("```{quiz}\n")[1].split("\n```")[0])
CLAIM = Claim("C0", "It sees.", "Fig. 1", "95 %", section="sparse", kind="null", against="an untrained net")


def right_answer(start):
    (question,) = [question for question in QUIZ if question.ask.startswith(start)]
    return next((answer.text for answer in question.answers if answer.right), question.right).lower()


@pytest.mark.parametrize("name", sorted(PAGES.keys() - {"rules"}))
def test_no_page_gives_a_verdict_of_the_first_scorecard(name):
    """One word for two answers is gone; only the page of the rules tells of it."""
    text = re.sub(r'- wrong: "Partly replicated', "", PAGES[name])
    assert not re.findall(r"partly replicated|\*\*partly\*\*|beats? (?:its|the) null", text, re.I)


@pytest.mark.parametrize("name", sorted(name for name in PAGES if re.match(r"\d\d_", name)))
def test_the_rows_that_a_chapter_shows_are_there(name):
    known = {claim.name for claim in paper_claims()}
    for call in re.findall(r"\bending\(([^()]*)\)", PAGES[name]):
        assert set(re.findall(r'"([CDVO]\d+)"', call)) <= known, call


def test_the_glossary_has_the_answers_words():
    entry = re.search(r"^verdict\n((?:  .*\n)+)", PAGES["glossary"], re.M)[1]
    intervals = [Estimate(50, low, high) for low, high in ((1, 2), (1, 99), (98, 99))]
    told = {number(replace(CLAIM, at_least=50), found) for found in intervals}
    told |= {more(replace(CLAIM, margin=50), found) for found in intervals}
    assert told == {"missed", "inside", "passed", "no", "inconclusive", "yes"}
    assert all(word in entry for word in told)


def test_the_quiz_of_the_scorecard_answers_as_the_rules_do():
    half = replace(CLAIM, between=(40, 60), margin=None)
    answer = right_answer("A claim says that from 40 to 60 %")
    assert f"number {number(half, Estimate(52, 51, 53))}" in answer and more(half, None) == "inconclusive"
    by_margin = replace(CLAIM, margin=1.2)
    assert right_answer("A rule has a margin of 1.2") == f"{more(by_margin, Estimate(1.5, 0.4, 2.6))}."
    removed = 100 * (99.47 - 98.70) / (100 - 98.70)
    assert float(right_answer("The paper's 25 nets")) == pytest.approx(removed, abs=0.05)


def test_the_rules_page_keeps_the_first_rules_and_their_verdicts():
    history = PAGES["rules"].split("(sec-rules-history)=")[1].split("### The multi-view perceptron, judged twice")[0]
    rows = [line for line in history.splitlines() if line.startswith("| ") and not line.startswith(("| claim", "|---"))]
    assert len(rows) == 28
    for row in rows:
        *_, first, last, now = (cell.strip(" *") for cell in row.strip("|").split("|"))
        assert {first, last} <= {"replicated", "partly", "not replicated", "not tested"}, row
        assert re.fullmatch(r"[CDVO]\d+(, [CDVO]\d+)*", now), row
