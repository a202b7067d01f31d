"""Claims: two answers follow from estimates and from nothing else, and every entry reads its record."""

import json
import math
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deepid_lite.cli.main import app
from deepid_lite.errors import DataError
from deepid_lite.registry import SECTIONS, STUDIES, Claim, Estimate
from deepid_lite.results import load_result, recorded, sealed
from deepid_lite.studies import claims
from deepid_lite.studies.ablation_list import EXPERIMENTS
from deepid_lite.studies.claims import as_text, differences, judge, more, number, paper_claims, theirs, values

CLAIMS = paper_claims()
CLAIM = Claim(
    "C1", "It sees.", "Fig. 1", "95 %", section="robust", kind="baseline", against="LBP", study="made", at_least=90,
    margin=10, interval="pairs", ours=lambda r: r["ours"], difference=lambda r: r["difference"],
)  # fmt: skip
ROOT = Path(__file__).parents[2]
RECORDED = [
    (c, scale) for c in CLAIMS if c.ours for scale in ("lite", "reference") if recorded(c.study, scale).is_file()
]


def between(low, high):
    return Estimate((low + high) / 2, low, high)


@pytest.mark.parametrize(
    ("bar", "ours", "answer"),
    [
        ({"at_least": 90}, between(80, 89), "missed"),
        ({"at_least": 90}, between(89, 91), "inside"),
        ({"at_least": 90}, between(90, 92), "inside"),  # its end is the bar
        ({"at_least": 90}, between(91, 92), "passed"),
        ({"at_most": 5}, between(1, 4), "passed"),
        ({"at_most": 5}, between(4, 6), "inside"),
        ({"at_most": 5}, between(6, 7), "missed"),
        ({"between": (40, 60)}, between(30, 39), "missed"),
        ({"between": (40, 60)}, between(61, 70), "missed"),
        ({"between": (40, 60)}, between(39, 45), "inside"),
        ({"between": (40, 60)}, between(45, 55), "passed"),
        ({}, between(45, 55), "no number"),
        ({"at_least": 90}, {"held-out": between(91, 92), "LFW": between(80, 81)}, "missed"),
        ({"at_least": 90}, {"held-out": between(91, 92), "LFW": between(89, 91)}, "inside"),
        ({"at_least": (93.9, 88.2)}, {"40 %": between(94, 95), "70 %": between(89, 90)}, "passed"),
        ({"at_least": (93.9, 88.2)}, {"40 %": between(89, 90), "70 %": between(94, 95)}, "missed"),
    ],
)
def test_whether_the_number_is_reached_follows_from_the_interval(bar, ours, answer):
    assert number(replace(CLAIM, **{"at_least": None} | bar), ours) == answer


BOTH = {"points": between(9, 10), "log-odds": between(0.1, 0.2)}


@pytest.mark.parametrize(
    ("margin", "difference", "answer"),
    [
        (2, between(3, 4), "yes"),
        (2, between(1, 3), "inconclusive"),
        (2, between(2, 3), "inconclusive"),  # it covers the margin with its end
        (2, between(0.5, 1.5), "no"),  # more, and not by as much as it has to be
        (0, between(-2, -1), "no"),
        (-5, between(-4, 1), "yes"),  # it may be worse by five
        (None, between(50, 60), "inconclusive"),  # by rule
        (8, BOTH, "yes"),
        (8, BOTH | {"log-odds": between(-0.2, -0.1)}, "inconclusive"),  # the scales disagree
        (8, BOTH | {"log-odds": between(-0.1, 0.1)}, "inconclusive"),
        (11, BOTH | {"log-odds": between(-0.2, -0.1)}, "no"),
        (2, {"held-out": between(3, 4), "LFW": between(1, 3)}, "inconclusive"),
        (2, {"held-out": between(3, 4), "LFW": between(0, 1)}, "no"),
        (8, {"40 %": BOTH, "70 %": BOTH}, "yes"),
        (8, {"40 %": BOTH, "70 %": BOTH | {"points": between(0, 1)}}, "inconclusive"),
    ],
)
def test_whether_it_is_more_than_the_comparison_follows_from_the_interval_of_the_difference(margin, difference, answer):
    assert more(replace(CLAIM, margin=margin), difference) == answer


def write(folder, content, scale="lite", place="made.json"):
    path = folder / scale / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(sealed({"scale": scale} | content)))


SEEN = {"ours": [95.04, 94, 96], "difference": [20, 15, 25]}


def test_results_are_read_from_a_folder_of_reproduce(tmp_path):
    write(tmp_path, SEEN)
    (found,) = judge("lite", tmp_path, [CLAIM])
    assert (found.ours, found.number, found.more, found.scale) == ((95.04, 94, 96), "passed", "yes", "lite")
    text = as_text([[found]])
    assert f"rule: {CLAIM.rule()}" in text and "PASSED" in text and "YES" in text
    assert "95.0 (94.0 to 96.0) %" in text
    assert "+20.0 (15.0 to 25.0) points; LBP (baseline): 75.0 %" in text


def test_results_of_an_ablation_are_read_where_reproduce_puts_them(tmp_path):
    write(tmp_path, SEEN | {"difference": [0, -1, 1]}, place="made/result.json")
    assert judge("lite", tmp_path, [CLAIM])[0].more == "no"


def test_a_study_that_nobody_ran_is_not_tested_and_the_reason_is_told(tmp_path):
    write(tmp_path, SEEN)
    never = replace(CLAIM, ours=None, study="", why="the data need a key")
    unrecorded = replace(CLAIM, study="nothing")
    older = replace(CLAIM, ours=lambda r: r["new quantity"])
    found = judge("lite", tmp_path, [CLAIM, never, unrecorded, older])
    assert [v.number for v in found] == ["passed"] + 3 * ["not tested"]
    assert {(v.number, v.more, v.ours, v.difference) for v in found[1:]} == {("not tested", "not tested", None, None)}
    assert [v.why for v in found][:2] == ["", "the data need a key"]
    assert "no lite result 'nothing'" in found[2].why and "by this rule; deepid reproduce made" in found[3].why
    assert "the data need a key" in as_text([found])


@pytest.mark.parametrize("make", [None, "folder", "file", "other scale"])
def test_a_folder_without_results_is_one_line(tmp_path, make):
    place = tmp_path / "there"
    if make == "file":
        place.write_text("")
    elif make == "other scale":
        write(place, SEEN, scale="reference")
    elif make:
        (place / "lite").mkdir(parents=True)
    with pytest.raises(DataError, match="there.lite: no results there; give the --out"):
        judge("lite", place, [CLAIM])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"ours": ', "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"ours": ' + "1" * 5000 + "}", "not valid JSON"),
        ("[]", "holds a list"),
        (SEEN | {"ours": 95}, "95 is no number with its interval"),
        (SEEN | {"ours": ["95", 1, 2]}, "TypeError"),
        (SEEN | {"ours": [True, 1, 2]}, "no number"),
        (SEEN | {"ours": None}, "None is no number"),
        (SEEN | {"ours": {}}, "is no number"),
        (SEEN | {"ours": [95, 94]}, "no number with its interval"),
        (SEEN | {"ours": [95, 96, 94]}, "no number with its interval"),
        ('{"scale": "lite", "ours": [NaN, 1, 2], "difference": [1, 1, 1]}', "not as it was recorded"),
        (SEEN | {"scale": "reference"}, "its scale is 'reference'"),
    ],
)
def test_a_record_that_cannot_be_judged_is_one_line_and_never_not_tested(tmp_path, content, says):
    write(tmp_path, content)
    with pytest.raises(DataError, match="made.json: ") as caught:
        judge("lite", tmp_path, [CLAIM])
    assert says in str(caught.value) and "deepid reproduce" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("nowhere", path)])
def test_what_stands_in_the_place_of_a_record_is_one_line_and_never_not_tested(tmp_path, make):
    (tmp_path / "lite").mkdir()
    make(tmp_path / "lite" / "made.json")
    with pytest.raises(DataError, match="made.json: (cannot be read|no such file)") as caught:
        judge("lite", tmp_path, [CLAIM])
    assert "deepid reproduce" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("claim, scale", RECORDED, ids=lambda v: getattr(v, "name", v))
def test_records_of_which_a_part_is_gone_are_one_line(tmp_path, claim, scale):
    """Every list is emptied and every number is a text: what is read then is no number."""

    def emptied(value):
        if isinstance(value, dict):
            return {key: emptied(entry) for key, entry in value.items()}
        return [] if isinstance(value, list) else value if isinstance(value, str) else "no number"

    record = load_result(claim.study, scale)
    if judge(scale, claims=[claim])[0].why:
        pytest.skip("not recorded yet")
    for broken in (emptied(record), dict.fromkeys(record)):
        write(tmp_path, broken | {"scale": scale}, scale, f"{claim.study}.json")
        with pytest.raises(DataError, match=f"{claim.study}.json: .*cannot be read from it"):
            judge(scale, tmp_path, [claim])


def test_entries_are_complete_and_distinct():
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS) == len({claim.statement for claim in CLAIMS})
    for claim in CLAIMS:
        assert claim.statement and claim.source and claim.paper and claim.against, claim.name
        assert claim.section in SECTIONS and claim.kind in ("null", "baseline", "chance"), claim.name
        assert sum(bar is not None for bar in (claim.at_least, claim.at_most, claim.between)) <= 1, claim.name
        assert bool(claim.ours) == bool(claim.difference) == (not claim.why), claim.name
        assert not claim.ours or (claim.study in {*STUDIES, *EXPERIMENTS} and claim.interval), claim.name
        assert claim.unit.format(1.0) != claim.unit and claim.against in claim.rule(), claim.name


@pytest.mark.parametrize("claim, scale", RECORDED, ids=lambda v: getattr(v, "name", v))
def test_every_entry_reads_its_record(claim, scale):
    (found,) = judge(scale, claims=[claim])
    assert not found.why or found.why.startswith("not recorded yet"), found.why
    if not found.why:
        assert isinstance(found.difference, dict) or not claim.log_odds
        assert math.isfinite(len(values(found)) + len(differences(found)))


@pytest.mark.parametrize("down", [False, True])
def test_the_comparisons_number_is_ours_and_the_difference(tmp_path, down):
    """Also under log-odds, at several places, and where three times the comparison is asked for."""
    ours, other = {"40 %": 80.0, "70 %": 60.0}, {"40 %": 75.0, "70 %": 64.0}
    for times in (1, 3):
        signed = {p: (times * other[p] - ours[p] if down else ours[p] - times * other[p]) for p in ours}
        write(tmp_path, {
            "ours": {p: [x] * 3 for p, x in ours.items()},
            "difference": {p: {"points": [x] * 3, "log-odds": [0.1] * 3} for p, x in signed.items()},
        })  # fmt: skip
        (found,) = judge("lite", tmp_path, [replace(CLAIM, smaller=down, times=times, log_odds=True)])
        assert theirs(found) == pytest.approx(other)
        assert "in log-odds" in differences(found) and "40 % " in values(found)


def test_what_stands_beside_is_printed_and_not_judged(tmp_path):
    for scale in ("lite", "reference"):
        write(tmp_path, SEEN | {"lbp": [60, 59, 61]}, scale=scale)
    claim = replace(CLAIM, beside=lambda r: {"LBP": r["lbp"], "at 50": {"40 %": r["lbp"]}})
    (found,) = judge("lite", tmp_path, [claim])
    assert (found.number, found.more) == ("passed", "yes")
    for text in (claims.table([claim], tmp_path), as_text([[found]])):
        assert "LBP: 60.0 (59.0 to 61.0) %" in text and "at 50: 40 % 60.0 (59.0 to 61.0) %" in text


def test_of_losses_it_says_what_ours_would_be(tmp_path):
    write(tmp_path, SEEN)
    (found,) = judge("lite", tmp_path, [replace(CLAIM, against="LBP's loss")])
    assert claims.compared(found) == "with LBP's loss ours: 75.0 %"
    (found,) = judge("lite", tmp_path, [replace(CLAIM, times=3)])
    assert claims.compared(found, " (null)") == "3 times LBP (null): 25.0 %"


def test_the_scorecard_shows_both_scales_and_why_something_is_not_tested(tmp_path):
    write(tmp_path, SEEN)
    write(tmp_path, SEEN | {"ours": [85, 84, 86]}, scale="reference")
    never = replace(CLAIM, ours=None, study="", why="the data need a key")
    first, second = claims.table([replace(CLAIM, leans_on_lbp=True), never], tmp_path).splitlines()[2:]
    assert "95.0 (94.0" in first and "85.0 (84.0" in first and "**missed**" in first and "**yes**" in first
    assert "†" in first and "†" not in second and "*not tested*: the data need a key" in second


def test_the_command_prints_both_answers_of_both_scales(tmp_path):
    text = CliRunner().invoke(app, ["claims"]).stdout
    for claim in CLAIMS:
        assert f"{claim.name:<4} {claim.statement}" in text and claim.rule() in text
    assert text.count("     reference ") == text.count("     lite ") == len(CLAIMS)
    write(tmp_path, SEEN, place="ensemble.json")
    own = CliRunner().invoke(app, ["claims", "--results", str(tmp_path)]).stdout
    assert "     lite " in own and "     reference " not in own


def test_the_paragraph_counts_each_row_once(tmp_path):
    write(tmp_path, SEEN | {"ours": [85, 84, 86]})
    never = replace(CLAIM, name="C3", ours=None, study="", why="no data")
    open_ = replace(CLAIM, name="C2", at_least=None, difference=lambda r: [10, 9, 11])
    text = claims.answers(judge("lite", tmp_path, [CLAIM, open_, never]), ["robust"])
    assert text == (
        "- **Robust.** Tested: 2 of 3 claims. More than the comparison? *yes* in 1 (C1), *inconclusive* in 1 (C2)."
        " The number or bar was reached in 0 of 1."
    )


def test_an_ending_has_the_rows_that_were_asked_for():
    with pytest.raises(DataError, match="claims Z9: there are"):
        claims.ending("Z9")
    names = [claim.name for claim in CLAIMS[:3]][::-1]
    assert [row.split("**")[1] for row in claims.ending(*names).splitlines()[2:]] == names


# the rules of the book


def rules():
    """{name: (dagger, bar, comparison, margin, interval)}, the cells of the tables of book/rules.md."""
    rows = {}
    for line in (ROOT / "book" / "rules.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 7 and (row := re.fullmatch(r"([CDVO]\d+)( †)?", cells[0])):
            rows[row[1]] = (bool(row[2]), *cells[3:])
    return rows


RULES = rules()
NUMBER = r"-?\d+(?:\.\d+)?"


def bar_of(text):
    """at_least, at_most and between as a cell has them, and whether the bar is ours."""
    text, *_ = text.split(";")
    found = [float(n) for n in re.findall(NUMBER, text)]
    ends = {"at least": (found[0] if len(found) == 1 else tuple(found), None, None) if found else None,
            "at most": (None, found[0], None) if found else None,
            "from": (None, None, tuple(found))}  # fmt: skip
    kind = re.search("at least|at most|from", text)
    return (*(ends[kind[0]] if kind and "no number" not in text else (None, None, None)), "(ours)" in text)


def margin_of(text):
    """margin, times and log_odds as a cell has them."""
    if text.startswith("none"):
        return None, 1.0, False
    if text.startswith("three times"):
        return 0.0, 3.0, False
    found = float(re.search(NUMBER, text)[0])
    return -found if "may exceed" in text else found, 1.0, "log-odds" in text or "both scales" in text


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_a_registered_rule_is_that_of_the_book(claim):
    dagger, bar, comparison, margin, interval = RULES[claim.name]
    assert claim.leans_on_lbp == dagger
    assert ("*not tested*" in interval) == bool(claim.why)
    if "*not tested*" in interval and not bar:
        return  # nothing to measure: no rule
    assert (claim.at_least, claim.at_most, claim.between, claim.own_bar) == bar_of(bar)
    assert (claim.margin, claim.times, claim.log_odds) == margin_of(margin)
    assert f"({claim.kind})" in comparison
    assert claim.why or interval.startswith(claim.interval)


def test_each_rule_has_a_claim_and_each_table_and_figure_of_the_paper_a_rule():
    assert [claim.name for claim in CLAIMS] == list(RULES) and len(RULES) == 32 + 5 + 3 + 3
    text = (ROOT / "book" / "rules.md").read_text(encoding="utf-8")
    judged = text[text.index("## Where each table and figure") : text.index("(sec-rules-history)=")]
    for entry in [*(f"Table {n}" for n in range(1, 5)), *(f"Fig. {n}" for n in range(1, 18))]:
        assert re.search(rf"{re.escape(entry)}(?!\d)", judged), entry
