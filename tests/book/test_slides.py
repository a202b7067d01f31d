"""The slides of the course: one deck a session, with figures that the book draws, in files that need nothing else."""

import re
import sys
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"
sys.path.insert(0, str(BOOK / "_tools"))

import slides  # noqa: E402
from book_source import Labels, notebooks  # noqa: E402

FIGURES = {label for label, (_, text) in Labels(notebooks()).found.items() if text.startswith("Fig.")}


def shown(label):
    return f"data:,{label}", f"alt of {label}", "A caption with < and &."


def test_every_session_of_the_plan_has_its_slides():
    plan = (BOOK / "teaching.md").read_text(encoding="utf-8")
    weeks = re.findall(r"^\| ([1-6]) \|", plan, re.M)
    assert [name[:2] for name in slides.sessions()] == [f"{week}{n}" for week in weeks for n in (1, 2)]


@pytest.mark.parametrize("name", slides.sessions())
def test_a_deck_shows_figures_of_the_book_only(name):
    assert [label for label in slides.figures(name) if label not in FIGURES] == []
    assert len(slides.figures(name)) == slides.source(name).count("![")


@pytest.mark.parametrize("name", slides.sessions())
def test_a_deck_stands_alone(name):
    html = slides.deck(name, shown)
    assert html.count("<section>") == slides.source(name).count("\n---\n") + 1
    assert html.count("<h1>") == 1 and html.count("<h2>") == html.count("<section>") - 1
    assert "FIGURE" not in html and html.count("<figure>") == len(slides.figures(name))
    assert all(address.startswith("data:") for address in re.findall(r'(?:src|href)="([^"]*)"', html))
    assert not re.search(r"\$|url\(|@import", html.partition("<script>")[0])


def test_the_figures_of_a_built_page_are_found(tmp_path):
    page = """<figure class="align-default" id="fig-a"><a href="_images/a.png"><img alt="Two &lt; three."
src="_images/a.png" style="width: 9px"/></a>
<figcaption><p><span class="caption-number">Fig. 1 </span><span class="caption-text">A <em>short</em>
caption.</span><a class="headerlink" href="#fig-a">#</a></p></figcaption></figure>"""
    (tmp_path / "one.html").write_text(page, encoding="utf-8")
    assert slides.drawn(tmp_path) == {"fig-a": ("_images/a.png", "Two < three.", "A short caption.")}
