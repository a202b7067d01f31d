"""The index of symbols describes the equations of the chapters: every symbol of the one is in the other."""

import re
import sys
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"
sys.path.insert(0, str(BOOK / "_tools"))

from book_source import notebooks  # noqa: E402

GREEK = r"\\(?:alpha|beta|gamma|delta|varepsilon|theta|lambda|mu|rho|sigma|Sigma|tau|varphi|Phi|pi|eta)(?![a-z])"
WORDS = re.compile(r"\\(?:text|mathrm|operatorname|mathbb|label)\{[^}]*\}|\\(?:begin|end)\{\w+\}|:label: \S+")


def listed() -> dict[str, list[str]]:
    """Chapter -> the formulas in the first column of its table."""
    parts = re.split(r"^\{doc\}`(\w+)`$", (BOOK / "symbols.md").read_text(encoding="utf-8"), flags=re.M)
    return {
        name: [
            formula for row in re.findall(r"^\| (\$.*?) \|", table, re.M) for formula in re.findall(r"\$(.+?)\$", row)
        ]
        for name, table in zip(parts[1::2], parts[2::2], strict=True)
    }


def formulas(name: str) -> tuple[list[str], list[str]]:
    """A chapter's displayed equations, and those in its text; code is left out."""
    text = re.sub(
        r"^(`{3,})\{code-cell\}.*?^\1$", "", (BOOK / f"{name}.md").read_text(encoding="utf-8"), flags=re.S | re.M
    )
    displayed = re.findall(r"^```\{math\}\n(.*?)^```", text, re.S | re.M) + re.findall(r"\$\$(.+?)\$\$", text, re.S)
    return displayed, re.findall(r"(?<!\$)\$([^$\n]+)\$", re.sub(r"\$\$.+?\$\$", "", text, flags=re.S))


def letters(formula: str) -> set[str]:
    """The letters, Latin and Greek, that stand for something."""
    plain = WORDS.sub(" ", formula)
    return set(re.findall(GREEK, plain)) | set(re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", plain)))


@pytest.mark.parametrize("name", notebooks())
def test_every_listed_symbol_is_in_its_chapter(name):
    displayed, inline = formulas(name)
    text = re.sub(r"\s", "", " ".join([*displayed, *inline]))
    assert [symbol for symbol in listed().get(name, []) if re.sub(r"\s", "", symbol) not in text] == []


@pytest.mark.parametrize("name", notebooks())
def test_every_letter_of_an_equation_is_listed(name):
    known = set().union(*map(letters, listed().get(name, []))) | {"i", "j", "k", "n"}  # that count
    assert set().union(*map(letters, formulas(name)[0])) - known == set()


def test_every_chapter_of_the_index_exists():
    assert set(listed()) <= set(notebooks())
