"""The registry finds what the rooms hold, and a claim's rule is data that can be asked and printed."""

import re
import sys
from pathlib import Path

import pytest

from deepid_lite import registry
from deepid_lite.registry import CLAIMS, FIGURES, STUDIES, Claim
from deepid_lite.studies.ablation_list import EXPERIMENTS

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True, scope="module")
def loaded():
    for room in ("papers", "studies", "figures"):
        registry.load(f"deepid_lite.{room}")


def claim(**changes):
    return Claim("a claim", "It sees.", "Fig. 1", "95 %", row=1, study="seeing", kind="null", against="LBP", **changes)


def test_loading_a_room_imports_all_of_it():
    for room in ("studies", "figures"):
        modules = {path.stem for path in (ROOT / "deepid_lite" / room).glob("*.py")} - {"__init__"}
        assert {f"deepid_lite.{room}.{module}" for module in modules} <= sys.modules.keys()


@pytest.mark.parametrize("marker, table", [("@study", STUDIES), ("@figure(", FIGURES)])
def test_what_registers_is_found_under_a_name_of_its_own(marker, table):
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "deepid_lite").rglob("*.py")]
    assert len(table) == sum(len(re.findall(f"^{re.escape(marker)}", text, re.M)) for text in sources) > 5
    assert not FIGURES.keys() & STUDIES.keys() and not EXPERIMENTS.keys() & {*FIGURES, *STUDIES}


def test_every_claim_is_found():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "deepid_lite").rglob("*.py")]
    assert len(CLAIMS) == sum(len(re.findall(r"^    Claim\($", text, re.M)) for text in sources) > 5


def test_every_figure_draws_a_result_that_there_is():
    for name, (draw, of) in FIGURES.items():
        assert callable(draw) and draw.__doc__, name
        assert of is None or of in {*STUDIES, *EXPERIMENTS}, name


def test_what_book_and_readme_reproduce_is_there():
    pages = [ROOT / "README.md", *(ROOT / "book").glob("*.md")]
    asked = {name for page in pages for name in re.findall(r"`deepid reproduce ([a-z][\w-]*)", page.read_text("utf-8"))}
    assert len(asked) > 15 and asked <= {*STUDIES, *FIGURES, *EXPERIMENTS}


def test_figures_of_the_papers_table_of_contents_are_there():
    """Figs. 2 (a drawing of the net) and 5 (videos) have none."""
    assert {f"fig{n}" for n in (1, 3, 4, *range(6, 18))} | {"table4"} <= FIGURES.keys()


@pytest.mark.parametrize(
    ("bar", "inside", "outside"),
    [
        ({"at_least": 90}, (90, 99), (89.9,)),
        ({"at_most": 0}, (0, -3), (0.1,)),
        ({"between": (40, 60)}, (40, 60), (39, 61)),
    ],
)
def test_a_bar_holds_up_to_its_ends(bar, inside, outside):
    assert all(claim(**bar).holds(value) for value in inside)
    assert not any(claim(**bar).holds(value) for value in outside)


@pytest.mark.parametrize(
    ("rule", "ours", "beaten", "unbeaten"),
    [
        ({"at_least": 90, "margin": 2}, 80, (78, 10), (78.5, 81)),
        ({"at_least": 90}, 80, (79.9,), (80, 81)),  # more than chance, not as much
        ({"at_least": 1, "times": 3}, 9, (3, 0), (3.1, 9)),
        ({"at_most": 5, "margin": 2}, 4, (6, 9), (5.9, 1)),
        ({"at_most": 5, "times": 2}, 4, (8, 20), (7.9, 4)),
        ({"between": (40, 60)}, 50, (39, 61), (40, 50, 60)),
    ],
)
def test_a_comparison_is_beaten_by_as_much_as_the_rule_says(rule, ours, beaten, unbeaten):
    assert all(claim(**rule).beats(ours, other) for other in beaten)
    assert not any(claim(**rule).beats(ours, other) for other in unbeaten)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"at_least": 90, "margin": 2}, "at least 90 %, and 2 points above LBP"),
        ({"at_least": 0.5, "unit": "{:.2f} points"}, "at least 0.5 points, and above LBP"),
        ({"at_most": 1.25, "margin": 1, "unit": "{:.2f} points"}, "at most 1.25 points, and 1 point below LBP"),
        ({"at_least": 1, "times": 3}, "at least 1 %, and at least 3 times LBP"),
        ({"at_most": 5, "times": 2}, "at most 5 %, and at most 0.5 times LBP"),
        ({"between": (40, 60)}, "40 to 60 %, and LBP outside"),
        ({"at_least": 0.7, "margin": 0.2, "unit": "correlation {:.2f}"}, "at least correlation 0.7, and 0.2 above LBP"),
    ],
)
def test_a_rule_is_printed_as_it_is_applied(rule, text):
    assert claim(**rule).rule() == text
