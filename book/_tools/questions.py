"""The body of a quiz directive as the book's pages and the Colab twins read it.

The body is YAML, a list of questions. A question has `ask` and either `answers` or a `number`:

    - ask: 'How many filter banks has conv4?'
      number: 12
      within: 0.5                                   # optional, 0 when left out
      because: shown when right, and in print
      hints: {20: shown for this wrong number}      # optional
    - ask: 'Which of these ...?'
      answers:                                      # one right: choose one; several: choose all that apply
        - right: 'One time.'
          because: 'Each output neuron has one window.'
        - wrong: '20 times.'
          because: 'That is the number of parameters.'

Answers are shown in an order that follows from their texts: authors write the right one first more often than
not, and page and twin have to agree.
"""

import hashlib
import math
from dataclasses import dataclass, field

import yaml

HOW = {"one": "Choose one.", "many": "Choose all that apply."}


class QuizError(ValueError):
    """What is wrong with a quiz; its text names the question."""


@dataclass
class Answer:
    text: str
    right: bool
    because: str


@dataclass
class Question:
    """`kind` is "one" (exactly one right answer), "many" or "number"."""

    ask: str
    kind: str
    answers: list[Answer] = field(default_factory=list)
    number: float = 0
    within: float = 0
    because: str = ""
    hints: dict = field(default_factory=dict)

    @property
    def right(self) -> str:
        """The letters of the right answers, or the number."""
        if self.kind == "number":
            return f"{self.number:g}" if abs(self.number) < 1e6 else str(self.number)
        return ", ".join(letter for letter, answer in self.lettered() if answer.right)

    def lettered(self) -> list[tuple[str, Answer]]:
        return list(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", self.answers, strict=False))


def read_questions(body: str) -> list[Question]:
    """The questions of a quiz. Raises QuizError."""
    check_backslashes(body)
    try:
        entries = yaml.safe_load(body)
    except yaml.YAMLError as error:
        remedy = "; TeX needs single quotes around the text" if "escape character" in str(error) else ""
        raise QuizError(f"the quiz is not YAML: {' '.join(str(error).split())}{remedy}") from None
    if not isinstance(entries, list) or not entries:
        raise QuizError("a quiz is a list of questions, each beginning with '- ask:'")
    return [read_question(entry, f"question {place}") for place, entry in enumerate(entries, 1)]


def check_backslashes(body: str):
    """Between double quotes YAML reads the backslash itself: "$\\theta$" would be a tab and "heta", in silence."""
    try:
        scalars = [token for token in yaml.scan(body) if isinstance(token, yaml.ScalarToken) and token.style == '"']
    except yaml.YAMLError:
        return  # safe_load says what it is
    for token in scalars:
        written = body[token.start_mark.index : token.end_mark.index]
        if "\\" in written.replace("\\\\", "").replace('\\"', ""):
            raise QuizError(
                f"line {token.start_mark.line + 1} of the quiz: TeX needs single quotes around the text: {written[:60]}"
            )


def read_question(entry, where: str) -> Question:
    if not isinstance(entry, dict) or not entry.get("ask"):
        raise QuizError(f"{where}: no ask")
    ask = text_of(entry, "ask", where)
    where = f"{where} ({ask[:40].strip()})"
    if ("answers" in entry) == ("number" in entry):
        raise QuizError(f"{where}: either answers or a number")
    if "number" in entry:
        return read_number(entry, ask, where)
    allow(entry, {"ask", "answers"}, where)
    if not isinstance(entry["answers"], list) or len(entry["answers"]) < 2:
        raise QuizError(f"{where}: fewer than two answers")
    answers = [read_answer(answer, f"{where}, answer {place}") for place, answer in enumerate(entry["answers"], 1)]
    if len({answer.text for answer in answers}) < len(answers):
        raise QuizError(f"{where}: an answer stands there twice")
    rights = sum(answer.right for answer in answers)
    if not rights:
        raise QuizError(f"{where}: no right answer")
    answers.sort(key=lambda answer: hashlib.sha256(f"{ask}\n{answer.text}".encode()).digest())
    return Question(ask, "one" if rights == 1 else "many", answers)


def read_answer(entry, where: str) -> Answer:
    if not isinstance(entry, dict) or ("right" in entry) == ("wrong" in entry):
        raise QuizError(f"{where}: begins with right or with wrong")
    kind = "right" if "right" in entry else "wrong"
    allow(entry, {kind, "because"}, where)
    return Answer(text_of(entry, kind, where), kind == "right", text_of(entry, "because", where))


def read_number(entry, ask: str, where: str) -> Question:
    allow(entry, {"ask", "number", "within", "because", "hints"}, where)
    hints = entry.get("hints", {})
    if not isinstance(hints, dict):
        raise QuizError(f"{where}: hints are {{number: text}}")
    for value in [entry["number"], entry.get("within", 0), *hints]:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise QuizError(f"{where}: {value!r} is no number (write 1.0e-4 with a dot and a sign)")
    number, within = entry["number"], entry.get("within", 0)
    if within < 0:
        raise QuizError(f"{where}: within is negative")
    for wrong in hints:
        if abs(wrong - number) <= within:
            raise QuizError(f"{where}: the hint for {wrong} can never be shown, {wrong} is right")
    shown = {wrong: text_of(hints, wrong, where) for wrong in hints}
    return Question(ask, "number", [], number, within, text_of(entry, "because", where), shown)


def allow(entry: dict, keys: set, where: str):
    if unknown := [key for key in entry if key not in keys]:
        raise QuizError(f"{where}: unknown key {unknown[0]!r}")


def text_of(entry: dict, key, where: str) -> str:
    """The text under `key`. YAML reads `- right: 12` as a number and `- right: yes` as true: a number is shown as
    it is, but true and false are not what the author wrote."""
    value = entry.get(key)
    if isinstance(value, bool):
        raise QuizError(f"{where}: {key} is {value}: put the text between quotes")
    value = "" if value is None else str(value).strip()
    if not value:
        raise QuizError(f"{where}: no {key}")
    return value
