"""The glossary: in order, complete, and with links back to the chapters."""

import re
import sys
from pathlib import Path
from unittest.mock import MagicMock

BOOK = Path(__file__).resolve().parents[2] / "book"
sys.path.insert(0, str(BOOK / "_tools"))

import backlinks  # noqa: E402

GLOSSARY = (BOOK / "glossary.md").read_text(encoding="utf-8")


def terms() -> list[str]:
    return [term for term, _ in backlinks.ENTRY.findall(GLOSSARY.split("```{glossary}\n")[1])]


def test_terms_are_in_alphabetical_order_and_none_twice():
    assert terms() == sorted({term.lower(): term for term in terms()}.values(), key=str.lower)


def test_every_term_that_a_chapter_uses_is_explained():
    assert set(backlinks.uses()) <= {term.lower() for term in terms()}


def test_each_definition_leads_back_to_the_chapters_that_use_it():
    source = [GLOSSARY]
    backlinks.add_links(MagicMock(), "glossary", source)
    for term, definition in re.findall(r"^(\S.*)\n((?:  .*\n|\n(?=  ))+)", source[0], re.M):
        expected = backlinks.uses().get(term.lower(), [])
        assert re.findall(r"\((\w+)\.md\)", definition) == expected, term
    assert source[0].count(".md)") == sum(map(len, backlinks.uses().values()))


def test_other_pages_are_left_alone():
    source = ["text"]
    backlinks.add_links(MagicMock(), "intro", source)
    assert source == ["text"]
