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
    return Claim("C1", "It sees.", "Fig. 1", "95 %", section="sparse", kind="null", against="LBP", **changes)


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
    ("rule", "text"),
    [
        ({"at_least": 90, "margin": 2}, "at least 90 %; better than LBP (null) by more than 2 points"),
        ({"at_least": 0.77, "margin": 1, "unit": "{:.2f} points"},
         "at least 0.77 points; better than LBP (null) by more than 1 point"),
        ({"at_most": 1.03, "log_odds": True, "unit": "{:.2f} points", "own_bar": True},
         "at most 1.03 points (ours); better than LBP (null), and in log-odds"),
        ({"at_least": (93.9, 88.2)}, "at least 93.9 and 88.2 %; better than LBP (null)"),
        ({"between": (40, 60), "margin": None}, "from 40 to 60 %; more than LBP (null) is inconclusive by rule"),
        ({"at_least": 1, "times": 3}, "at least 1 %; more than 3 times LBP (null)"),
        ({}, "no number; better than LBP (null)"),
    ],
)  # fmt: skip
def test_a_rule_is_printed_as_it_is_applied(rule, text):
    assert claim(**rule).rule() == text


def test_smaller_is_better_where_the_bar_or_the_claim_says_so():
    assert claim(at_most=5).down and claim(smaller=True).down and not claim(at_least=5).down and not claim().down
