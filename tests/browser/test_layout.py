"""How pages are laid out: code fits its box, equations fit a phone, tables have a caption, listed symbols are used.

Each page is opened once. A failure names the page and the line, the equation, the table or the symbol.
"""

import re

import pytest
from browser_pages import HTML, OPEN_ALL, settle

# Written by a program, or an index, or rules that must not be touched: the headings are the names of their tables.
UNTITLED = re.compile(r"(api\w*|genindex|py-modindex|search|rules|symbols|times)\.html")
# A table also has its name where it comes first under a heading.
TABLES = """() => [...document.querySelectorAll("article table")]
    .filter(table => !table.closest("dl.field-list, .highlight, .admonition"))
    .filter(table => !table.caption && !/^H[1-6]$/.test(table.closest(".pst-scrollable-table-container")
        ?.previousElementSibling?.tagName ?? table.previousElementSibling?.tagName ?? ""))
    .map(table => table.innerText.replace(/\\s+/g, " ").trim().slice(0, 70))"""
CODE = """() => [...document.querySelectorAll("article pre")]
    .filter(pre => pre.checkVisibility() && pre.scrollWidth > pre.clientWidth + 1).map(pre => {
        const probe = document.createElement("span"), style = getComputedStyle(pre);
        probe.textContent = "m".repeat(100);
        pre.append(probe);
        const room = pre.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
        const columns = Math.floor(room / (probe.getBoundingClientRect().width / 100));
        probe.remove();
        const lines = pre.textContent.split("\\n").filter(line => [...line].length > columns);
        return `${columns} columns: ${lines[0] ?? pre.textContent.slice(0, 70)}`;
    })"""
EQUATIONS = """() => [...document.querySelectorAll("article mjx-container[display]")]
    .filter(one => one.checkVisibility())
    .flatMap(one => {
        const box = one.closest("div.math") ?? one.parentElement, glyphs = one.querySelector("mjx-math");
        const over = Math.max(box.scrollWidth - box.clientWidth, one.scrollWidth - one.clientWidth,
            glyphs.getBoundingClientRect().right - box.getBoundingClientRect().right);
        return over > 1 ? [`${box.id || box.closest("[id]").id}: ${Math.round(over)} pixels too wide`] : [];
    })"""
# what MathJax hides for screen readers, as plain text
FORMULAS = """() => [...document.querySelectorAll("article mjx-container")].map(one =>
    one.querySelector("mjx-assistive-mml").textContent.replace(/\\s/g, ""))"""
UNSET = """() => [...document.querySelectorAll("article mjx-merror")].map(one => one.textContent)"""
SYMBOLS = """() => [...document.querySelectorAll("article section section")].flatMap(section =>
    [...section.querySelectorAll("td:first-child mjx-assistive-mml")].map(one =>
        [section.querySelector("p a").getAttribute("href"), one.textContent.replace(/\\s/g, "")]))"""


@pytest.fixture(scope="module")
def seen(browser, address):
    """{page: what is wrong with it}, and the formulas of the pages."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page, found = context.new_page(), {}
    for name in sorted(path.name for path in HTML.glob("*.html") if path.name != "index.html"):
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(f"{address}/{name}", wait_until="load")
        settle(page)
        page.evaluate(OPEN_ALL)
        settle(page)
        found[name] = {"code": page.evaluate(CODE), "tables": page.evaluate(TABLES)}
        found[name] |= {"formulas": page.evaluate(FORMULAS), "unset": page.evaluate(UNSET)}
        page.set_viewport_size({"width": 390, "height": 844})
        settle(page)
        found[name]["equations"] = page.evaluate(EQUATIONS)
    context.close()
    return found


def faults(seen, kind):
    return [f"{name}: {fault}" for name, found in seen.items() for fault in found[kind]]


def test_no_code_is_cut_off(seen):
    assert faults(seen, "code") == []


def test_no_equation_is_cut_off_on_a_phone(seen):
    assert faults(seen, "equations") == []


def test_every_table_has_a_caption(seen):
    assert [fault for fault in faults(seen, "tables") if not UNTITLED.match(fault)] == []


def test_listed_symbols_are_used(seen, page, address):
    """Each formula of the index of symbols is part of a formula on its chapter's page, and MathJax can set them all."""
    page.goto(f"{address}/symbols.html", wait_until="load")
    settle(page)
    listed = page.evaluate(SYMBOLS)
    assert len(listed) > 50
    formulas = {name: "|".join(found["formulas"]) for name, found in seen.items()}
    assert [f"{chapter}: {symbol}" for chapter, symbol in listed if symbol not in formulas[chapter]] == []
    assert faults(seen, "unset") == []


def test_slides_fit_the_screen(page, address):
    """No slide of the course is higher or wider than a projector."""
    page.set_viewport_size({"width": 1280, "height": 720})
    cut = []
    for path in sorted((HTML / "slides").glob("*.html")):
        page.goto(f"{address}/slides/{path.name}", wait_until="load")
        cut += page.evaluate("""() => [...document.querySelectorAll("section")]
            .filter(slide => slide.scrollHeight > innerHeight + 1 || slide.scrollWidth > innerWidth + 1)
            .map(slide => `${location.pathname}: ${slide.querySelector("h1, h2").textContent}`)""")
    assert cut == [] and page.faults == []
