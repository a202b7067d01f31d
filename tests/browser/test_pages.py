"""Every page of the book, in one visit each: quiet, local, narrow enough for a phone, and accessible in both modes."""

import sys
from pathlib import Path

import pytest
from browser_pages import HTML, OPEN_ALL, settle

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_tools"))

import web_packages  # noqa: E402
import yaml  # noqa: E402

PAGES = sorted(path.name for path in HTML.glob("*.html"))
HEADINGS = """() => [...document.querySelectorAll("#main-content :is(h1, h2, h3, h4, h5, h6)")]
    .filter(heading => heading.checkVisibility()).map(heading => Number(heading.tagName[1]))"""
WIDE = """() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    const parts = [...document.querySelectorAll("#main-content :not(#pst-secondary-sidebar *)")];
    return [`${document.documentElement.scrollWidth} pixels`,
            ...parts.filter(part => part.getBoundingClientRect().right > width + 1).map(p => p.outerHTML.slice(0, 99))];
}"""
# axe does not count MathML as the text of a table's heading
AXE = """options => axe.run(document, options).then(found => found.violations.flatMap(rule => rule.nodes
    .filter(node => rule.id !== "empty-table-header" || !document.querySelector(node.target[0]).querySelector("math"))
    .map(node => `${rule.id} (${rule.impact}): ${node.html.slice(0, 160)} ${node.any[0]?.message ?? ""}`)))"""
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}


@pytest.fixture(scope="session")
def axe():
    try:
        return (web_packages.folder() / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    except web_packages.PackagesMissing as error:
        pytest.exit(f"no axe-core: {error}", returncode=1)


def test_every_page_of_the_contents_was_built():
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
    pages = {toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"])}
    assert {f"{Path(name).name}.html" for name in pages} | {"search.html", "genindex.html"} <= set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_page(page, address, axe, name):
    page.goto(f"{address}/{name}", wait_until="load")
    if name == "index.html":  # sends the reader on to the first page
        page.wait_for_url("**/intro.html")
    settle(page)
    page.evaluate(OPEN_ALL)
    settle(page)

    levels = page.evaluate(HEADINGS)
    assert levels[0] == 1 and levels.count(1) == 1, f"one h1, at the start: {levels}"
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False)), f"a level is left out: {levels}"

    page.evaluate(axe)
    found = page.evaluate(AXE, {})
    page.evaluate("() => { document.documentElement.dataset.theme = 'dark'; }")
    settle(page)
    found += [f"dark: {fault}" for fault in page.evaluate(AXE, COLOURS)]
    assert found == []

    page.set_viewport_size({"width": 375, "height": 800})
    settle(page)
    assert page.evaluate(WIDE) == [], "wider than a phone"
    assert page.faults == []
