"""The book's pages as an edition without scripts shows them.

Sphinx's ePub builder writes one XHTML page a source. Both editions start from these pages: `clean` takes away what
needs a script, `stand_alone` makes the files of an ePub, `join` one long page for the PDF.
"""

import re
import unicodedata
from html import escape
from pathlib import Path

from book_source import repository
from bs4 import BeautifulSoup, Comment, Tag

XHTML = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" lang="en" xml:lang="en">
<head><meta charset="utf-8"/><title>{title}</title>
<link rel="stylesheet" type="text/css" href="pygments.css"/><link rel="stylesheet" type="text/css" href="editions.css"/>
</head>
<body>
{body}
</body>
</html>
"""
# What a page needs only in a browser. The theme's chevrons are drawn by <svg>.
BROWSER_ONLY = (
    "script, style, noscript, button, svg.sd-octicon, svg.map-lines, a.headerlink, .sd-summary-state-marker, .clearer, "
    ".book-buttons"
)


class EditionError(Exception):
    """What stops an edition; its text is one line with the remedy."""


def parse(markup: str) -> BeautifulSoup:
    """A tree of XHTML or HTML."""
    return BeautifulSoup(markup, "html.parser")


def new(markup: str) -> Tag:
    """One element."""
    return parse(markup).contents[0].extract()


def read_page(path: Path) -> Tag:
    """The text of one page that Sphinx wrote, without head, bars and footer."""
    body = parse(path.read_text(encoding="utf-8")).select_one('div.body[role="main"]')
    if body is None:
        raise EditionError(f"{path} is no page of the book: remove _build/editions and try again")
    return body


def title_of(body: Tag) -> str:
    return " ".join(body.h1.get_text().split())


# --- one page ---


def clean(body: Tag, name: str) -> Tag:
    """Change `body` in place: nothing is left that needs a script, and every fold is a <details class="fold">."""
    for output in body.select("div.output:has(script)"):
        output.replace_with(pointer(name))
    for tag in body.select(BROWSER_ONLY):
        tag.decompose()
    for comment in body.find_all(string=lambda text: isinstance(text, Comment)):
        comment.extract()
    # sphinx-exercise gives each exercise of a page the same inner id
    for section in body.select("section#exercise-content, section#solution-content"):
        section.unwrap()
    fold_all(body)
    for tag in body.find_all(id=True):
        tag["id"] = safe_id(tag["id"])
    for link in body.find_all("a", href=True):
        link["href"] = safe_link(link["href"])
    return body


def pointer(name: str) -> Tag:
    address = f"{repository()['colab']}/{name}.ipynb"
    return new(
        '<p class="pointer">Here the web pages of the book have an interactive figure. '
        f'<a href="{address}">The notebook of this chapter</a> has it, too.</p>'
    )


def fold_all(body: Tag):
    """Turn drop-downs, folded cells and solutions, three kinds of markup, into one."""
    for block in body.select("div.solution, div.admonition.dropdown"):
        title = block.select_one("p.admonition-title")
        block.name = "details"
        block["class"] = ["fold", *[name for name in block["class"] if name == "solution"]]
        title.name, title.attrs = "summary", {}
    for block in body.find_all("details"):
        kinds = {"quiz-answer", "solution", "hide"} & set(block.get("class", []))
        block["class"] = ["fold", *sorted(kinds)]
        if "hide" in kinds:
            block.summary.string = "Code"
        block.summary.attrs = {}


def safe_id(name: str) -> str:
    """XML wants a letter first; Sphinx makes ids out of file names such as 01_faces."""
    return name if re.match(r"[A-Za-z_]", name) else f"n{name}"


def safe_link(address: str) -> str:
    """A link inside the edition; notebooks, which are not in it, are linked in the repository."""
    if match := re.fullmatch(r"_sources/(\w+\.ipynb)", address):
        return f"{repository()['book']}/{match[1]}"
    if re.match(r"[a-z]+:", address) or "#" not in address:
        return address
    page, place = address.split("#", 1)
    return f"{page}#{safe_id(place)}"


# --- equations ---


def formulas(body: Tag):
    """Yield (element, TeX, is it displayed?) of each equation."""
    for tag in body.select(".math"):
        number = tag.select_one(".eqno")
        tex = tag.get_text().replace(number.get_text(), "", 1) if number else tag.get_text()
        match = re.fullmatch(r"\s*\\([\[(])(.*)\\[\])]\s*", tex, re.S)
        if match is None:
            raise EditionError(f"an equation without its delimiters: {tex.strip()[:60]!r}")
        yield tag, match[2].strip(), match[1] == "["


def put_mathml(body: Tag, mathml: dict):
    """Replace each equation by `mathml[TeX, displayed]`. The TeX stays as its text alternative."""
    for tag, tex, displayed in list(formulas(body)):
        number = tag.select_one(".eqno")
        formula = plain_letters(new(mathml[tex, displayed]))
        formula["alttext"] = tex
        tag.clear()
        tag.extend(filter(None, [number, formula]))


def plain_letters(formula: Tag) -> Tag:
    """Bold or script letters as characters of their own: readers with MathML Core ignore `mathvariant`."""
    for tag in formula.find_all(True):
        for name in [name for name in tag.attrs if name.startswith("data-")]:
            del tag[name]
        variant = tag.get("mathvariant", "normal")
        if variant != "normal" and tag.string:
            tag.string = "".join(styled(letter, variant) for letter in tag.string)
            del tag["mathvariant"]
    return formula


def styled(letter: str, variant: str) -> str:
    """The mathematical letter of Unicode, such as MATHEMATICAL BOLD SMALL F; the letter itself where there is none."""
    name = re.sub(r"^(LATIN|GREEK) | LETTER", "", unicodedata.name(letter, ""))
    style = variant.replace("-", " ").upper() if variant != "double-struck" else "DOUBLE-STRUCK"
    for full in (f"MATHEMATICAL {style} {name}", f"{style} {name}"):
        try:
            return unicodedata.lookup(full)
        except KeyError:
            continue
    return letter


# --- the two editions ---


def stand_alone(body: Tag) -> str:
    """The file of one page in an ePub."""
    return XHTML.format(title=escape(title_of(body)), body=body.decode_contents(formatter="minimal").strip())


def join(pages: dict[str, Tag], parts: list[tuple[str, list[str]]]) -> Tag:
    """One <main> of all pages. Ids get the page's name in front, links lead to them, folds are opened.

    Headings move down one level where pages belong to a part, so that the PDF's bookmarks have the parts on top.
    """
    main, setups = new("<main></main>"), 0
    for caption, names in parts:
        if caption:
            main.append(new(f'<h1 class="part">{escape(caption)}</h1>'))
        for name in names:
            body = pages[name]
            setups = drop_setup(body, setups)
            drop_drawing_code(body)
            keep_short_tables(body)
            for listed in body.select(".toctree-wrapper"):
                (listed.find_parent("section") or listed).decompose()  # the PDF has contents with page numbers
            gather_answers(body)
            unfold(body)
            localise(body, name, set(pages))
            for tag in body.select("h1, h2, h3, h4, h5") if caption else []:
                tag.name = f"h{int(tag.name[1]) + 1}"
            body.name, body.attrs = "article", {"id": name_id(name)}
            main.append(body)
    return main


def name_id(page: str, place: str = "") -> str:
    return f"page-{page}" + (f"--{place}" if place else "")


def drop_setup(body: Tag, seen: int) -> int:
    """Print the set-up cell once. Returns how many were seen."""
    for cell in body.select("div.tag_setup"):
        seen += 1
        if seen > 1:
            cell.replace_with(new('<p class="pointer">Set-up: the cell of chapter 1.</p>'))
    return seen


def drop_drawing_code(body: Tag):
    """What the web pages fold because it only draws a figure or sets a table is not printed; the notebooks have it."""
    for fold in body.select("div.tag_hide-input:not(.tag_setup) details.hide"):
        fold.decompose()


def keep_short_tables(body: Tag):
    """Mark the tables that should not be broken between two sheets."""
    for table in body.find_all("table"):
        if len(table.find_all("tr")) <= 14:
            table["class"] = [*table.get("class", []), "short"]


def gather_answers(body: Tag):
    """Solutions and the answers of the quiz at the end of the page, where they do not give away the questions."""
    solutions, answers = body.select("details.solution"), body.select("details.quiz-answer")
    for exercise in body.select("div.exercise:has(+ details.solution)"):
        name = " ".join(exercise.select_one(".admonition-title").get_text().split())
        exercise.find_next_sibling("details").summary.string = f"Solution to {name}"
    if solutions:
        section = new('<section class="answers"><h2>Solutions</h2></section>')
        section.extend([solution.extract() for solution in solutions])
        (body.section or body).append(section)
    if answers:
        section = new('<section class="answers"><h2>Answers to the quiz</h2></section>')
        for place, answer in enumerate(answers, 1):
            answer.summary.decompose()
            answer.name, answer["class"] = "div", ["answer"]
            section.append(new(f'<p class="answer-of">Question {place}</p>'))
            section.append(answer.extract())
        (body.section or body).append(section)


def unfold(body: Tag):
    for block in body.find_all("details"):
        block.name = "div"
        title = block.summary
        if "hide" in block["class"]:
            title.decompose()
        else:
            title.name, title["class"] = "p", ["fold-title"]


def localise(body: Tag, name: str, pages: set):
    for tag in body.find_all(id=True):
        tag["id"] = name_id(name, tag["id"])
    for link in body.find_all("a", href=True):
        page, _, place = link["href"].partition("#")
        page = page.removesuffix(".xhtml") if page else name
        if page in pages:
            link["href"] = f"#{name_id(page, place)}"
        elif not re.match(r"[a-z]+:", page):
            link.unwrap()  # the generated index is not printed
