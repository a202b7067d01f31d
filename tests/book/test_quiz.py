"""The quiz directive: what its source may say, and what page, ePub and twin make of it."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book" / "_tools"))

from book_source import pieces  # noqa: E402
from questions import QuizError, read_questions  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402
from sphinx.util.docutils import docutils_namespace  # noqa: E402

QUIZ = r"""
- ask: 'How many *times* the multiply-adds, $\theta$ < 1?'
  answers:
    - right: "One time & no more."
      because: "Each output neuron has `one` window."
    - wrong: "20 times."
      because: "That is the number of parameters."
    - wrong: "None at all."
      because: "There are some."
- ask: "Which are even?"
  answers:
    - {right: 2, because: "Yes: two."}
    - {wrong: 3, because: "Odd."}
    - {right: 4, because: "Yes: four."}
- ask: "How many filter banks?"
  number: 12
  within: 0.5
  because: "Counted."
  hints: {20: "Twenty are the maps.", -1: "Less than none?"}
"""


def test_questions():
    one, many, number = read_questions(QUIZ)
    assert (one.kind, many.kind, number.kind) == ("one", "many", "number")
    assert one.ask == r"How many *times* the multiply-adds, $\theta$ < 1?"
    assert sorted(answer.text for answer in many.answers) == ["2", "3", "4"]
    assert {answer.text for _, answer in many.lettered() if answer.right} == {"2", "4"}
    assert many.right == ", ".join(letter for letter, answer in many.lettered() if answer.text in "24")
    assert (number.number, number.within, number.right) == (12, 0.5, "12")
    assert number.hints == {20: "Twenty are the maps.", -1: "Less than none?"}


def test_order_of_answers_follows_from_their_texts_and_not_from_their_place():
    one = read_questions(QUIZ)[0]
    lines = QUIZ.strip("\n").split("\n")
    turned = "\n".join([*lines[:2], *lines[6:8], *lines[4:6], *lines[2:4]])
    assert [a.text for a in read_questions(turned)[0].answers] == [a.text for a in one.answers]
    variants = [read_questions(QUIZ.replace("How many", f"How {n} many"))[0].answers for n in range(30)]
    places = {[answer.right for answer in answers].index(True) for answers in variants}
    assert places == {0, 1, 2}, "the right answer stands everywhere, whatever the author wrote first"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("", "a list of questions"),
        ("ask: x", "a list of questions"),
        ("- ask: [", "not YAML"),
        ("- answers: []", "question 1: no ask"),
        ("- ask: Why\n", "either answers or a number"),
        ("- ask: Why\n  number: 1\n  answers: []\n  because: x", "either answers or a number"),
        ("- ask: Why\n  answers: [{right: a, because: x}]", "question 1 (Why): fewer than two"),
        ("- ask: Why\n  answers: [{wrong: a, because: x}, {wrong: b, because: x}]", "no right answer"),
        ("- ask: Why\n  answers: [{right: a}, {wrong: b, because: x}]", "answer 1: no because"),
        ("- ask: Why\n  answers: [{right: a, because: x}, {wrong: a, because: x}]", "twice"),
        ("- ask: Why\n  answers: [{right: yes, because: x}, {wrong: no, because: x}]", "between quotes"),
        ("- ask: Why\n  answers: [{right: a, because: x, why: y}, {wrong: b, because: x}]", "unknown key 'why'"),
        ("- ask: Why\n  title: x\n  answers: [{right: a, because: x}, {wrong: b, because: x}]", "unknown key 'title'"),
        ("- ask: Why\n  answers: [{maybe: a, because: x}, {wrong: b, because: x}]", "right or with wrong"),
        ("- ask: Why\n  number: 1", "no because"),
        ("- ask: Why\n  number: '1'\n  because: x", "'1' is no number"),
        ("- ask: Why\n  number: 1e4\n  because: x", "'1e4' is no number"),
        ("- ask: Why\n  number: 1\n  within: -1\n  because: x", "negative"),
        ("- ask: Why\n  number: 1\n  because: x\n  hints: {1: y}", "never be shown"),
        ("- ask: Why\n  number: 1\n  because: x\n  hints: {two: y}", "'two' is no number"),
        ('- ask: "$\\theta$"\n  number: 1\n  because: x', "single quotes"),
        ('- ask: "$\\lambda$"\n  number: 1\n  because: x', "single quotes"),
    ],
)
def test_mistakes_name_the_question(source, complaint):
    with pytest.raises(QuizError, match=re.escape(complaint)) as caught:
        read_questions(source)
    assert "\n" not in str(caught.value)


# --- the page ---


def build(folder, body, builder="html"):
    """Build a page with one quiz; returns its HTML and the warnings."""
    folder.mkdir(exist_ok=True)
    (folder / "index.md").write_text(f"# Page\n\n## Check yourself\n\n```{{quiz}}\n{body}\n```\n", encoding="utf-8")
    settings = {
        "extensions": ["myst_parser", "quiz"],
        "myst_enable_extensions": ["dollarmath"],
        "version": "1",
        "html_theme": "basic",
        "epub_show_urls": "no",
        "project": "x",
        "suppress_warnings": ["epub"],
    }
    out = folder / builder
    with open(folder / "warnings.txt", "w") as warnings, docutils_namespace():
        Sphinx(folder, None, out, folder / "trees", builder, settings, None, warnings, freshenv=True).build()
    page = next(path for path in (out / "index.html", out / "index.xhtml") if path.is_file())
    return page.read_text(encoding="utf-8"), (folder / "warnings.txt").read_text()


class Fields(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def of(self, name):
        return [values for tag, values in self.tags if tag == name]


def test_page_has_native_fields_with_labels(tmp_path):
    html, warnings = build(tmp_path, QUIZ)
    assert warnings == ""
    fields = Fields(html)
    inputs = fields.of("input")
    kinds = [values["type"] for values in inputs if values.get("name", "").startswith("quiz")]
    assert kinds == ["radio"] * 3 + ["checkbox"] * 3 + ["text"]
    assert len(fields.of("fieldset")) == len(re.findall(r"<legend[^>]*>.+?</legend>", html, re.S)) == 3
    labels = re.findall(r"<label>(.*?)</label>", html, re.S)
    assert len(labels) == 7 and all("<input" in label and "<p>" not in label for label in labels)
    assert sum("data-right" in values for values in inputs) == 3
    number = next(values for values in inputs if values.get("type") == "text" and "data-number" in values)
    assert (number["data-number"], number["data-within"]) == ("12", "0.5")
    assert len({values["name"] for values in inputs if "name" in values and "quiz" in values["name"]}) == 3
    says = [values for values in fields.of("div") if values.get("role") == "status"]
    assert len(says) == 3 and all(values["aria-live"] == "polite" for values in says)
    assert len(fields.of("details")) == 3 and len(fields.of("button")) >= 3
    assert "One time &amp; no more." in html and "<code" in html and 'class="math' in html and "<em>times</em>" in html
    reasons = [values for values in fields.of("div") if values.get("class") == "quiz-reason"]
    assert [values.get("data-number") for values in reasons][-3:] == [None, "20", "-1"]


def test_page_and_twin_give_the_answers_the_same_letters(tmp_path):
    html, _ = build(tmp_path, QUIZ)
    for letter, answer in read_questions(QUIZ)[0].lettered():
        first = re.search(rf'value="{letter}".*?<span class="quiz-text">(.*?)</span>', html, re.S)[1]
        assert first.replace("&amp;", "&") == answer.text
        assert f"<strong>{letter} is {'right' if answer.right else 'wrong'}.</strong>" in html


def test_epub_has_the_text_and_no_fields(tmp_path):
    html, _ = build(tmp_path, QUIZ, "epub")
    assert not set(dict(Fields(html).tags)) & {"form", "input", "button", "fieldset", "legend", "script"}
    assert "20 times." in html and "12 is right." in html and "Twenty are the maps." in html


@pytest.mark.parametrize(
    "body",
    [
        "- ask: Why\n  answers: [{right: a}, {wrong: b, because: x}]",
        "- ask: Why\n  answers: [{right: '- a list', because: x}, {wrong: b, because: x}]",
        "- ask: '```\n\n    x\n\n    ```'\n  number: 1\n  because: x",
    ],
)
def test_a_mistake_is_a_warning_that_names_the_page(tmp_path, body):
    _, warnings = build(tmp_path, body)
    assert warnings.count("quiz: ") == 1 and "index.md" in warnings


def test_pieces_hands_the_body_over_as_it_is():
    body = QUIZ.strip("\n")
    ((kind, name, _, options, found, _),) = pieces(f"```{{quiz}}\n{body}\n```\n")
    assert (kind, name, options, found) == ("directive", "quiz", {}, body)
