"""The tables of README and of the book's first page say what the records say, and README's commands exist."""

import re
import sys
from pathlib import Path

import typer

from deepid_lite.cli.main import app
from deepid_lite.results import load_result
from deepid_lite.verification.model import pretrained

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_tools"))

import glance  # noqa: E402
import landing  # noqa: E402
from book_source import chapters  # noqa: E402

README = (ROOT / "README.md").read_text(encoding="utf-8")
INTRO = (ROOT / "book" / "intro.md").read_text(encoding="utf-8")


def test_readme_has_the_table_of_the_first_page():
    for row in landing.results():
        assert f"| {' | '.join(row)} |" in README, row


def test_the_first_page_quotes_the_record():
    record = load_result("lfw_view2")
    said = " ".join(INTRO.split())
    assert (
        f"verifies {record['accuracy']:.1f} % of LFW's pairs, and {record['hamming']:.1f} % from its 512 bits" in said
    )
    assert 4 * record["net"]["images"] < 290_000  # "less than a quarter"


def test_the_first_picture_says_what_it_shows():
    """Its distances are those of the shipped net, and its threshold lies between them."""
    same, other = glance.distances(glance.codes(pretrained("lite"))[1])
    alt = re.search(r"^:alt: (.*)$", INTRO, re.M)[1]
    assert f"{same} bits differ" in alt and f"{other} bits differ" in alt
    assert same < int(re.search(r"up to (\d+) unequal bits", INTRO)[1]) < other


def test_the_map_leads_from_earlier_chapters_to_later_ones():
    assert list(landing.MAP) == chapters()
    places = [place for _, place, _ in landing.MAP.values()]
    assert len(set(places)) == len(places)
    for name, (_, place, needs) in landing.MAP.items():
        assert all(other < name and landing.MAP[other][1][0] <= place[0] for other in needs)
        assert needs or name == chapters()[0], f"nothing leads to {name}"


def test_hours_are_rounded_to_halves(monkeypatch):
    monkeypatch.setattr(landing, "reading_minutes", int)
    assert [landing.hours([m]) for m in ("10", "60", "85", "120")] == ["½ hour", "1 hour", "1½ hours", "2 hours"]


def test_every_command_and_file_exists():
    for target in re.findall(r"^make (\w+)", README, re.M):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), target
    for path in re.findall(r"\]\(([^)#:]+)\)|`(?!_build)([\w/]+\.\w+)`", README):
        places = [ROOT / (path[0] or path[1]), ROOT / "deepid_lite" / path[1]]
        assert any(place.exists() for place in places), path


def test_every_command_that_a_page_names_exists_with_its_options():
    deepid, seen = typer.main.get_command(app), 0
    for place in (".", "book", "book/slides", "coursework", "data_scripts"):
        for path in ROOT.glob(f"{place}/*.md"):
            for text in re.findall(r"(?:^|`)deepid (\w[^\n`#]*)", path.read_text("utf-8"), re.M):
                command, words = deepid, text.split()
                while words and words[0] in getattr(command, "commands", {}):
                    command = command.commands[words.pop(0)]
                known = {name for option in command.params for name in option.opts}
                unknown = [word for word in words if word[:2] == "--" and re.match(r"[\w-]+", word)[0] not in known]
                assert not unknown and not (words and hasattr(command, "commands")), f"{path}: deepid {text}"
                seen += 1
    assert seen > 50
