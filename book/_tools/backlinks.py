"""Sphinx extension of the glossary: below each term stand the chapters that use it."""

import re

from book_source import BOOK, chapters

USE = re.compile(r"\{term\}`(?:[^`<]*<)?([^`>]+?)>?`")
ENTRY = re.compile(r"^(\S.*)\n((?:  .*\n)+)", re.M)


def uses() -> dict[str, list[str]]:
    """Term in lower case -> the chapters that link to it, in order."""
    found = {}
    for name in chapters():
        for term in USE.findall((BOOK / f"{name}.md").read_text(encoding="utf-8")):
            found.setdefault(" ".join(term.lower().split()), {})[name] = None
    return {term: list(names) for term, names in found.items()}


def add_links(app, docname, source):
    """Give each definition a second paragraph with the chapters; hints on links show the first one alone."""
    if docname != "glossary":
        return
    for name in chapters():
        app.env.note_dependency(str(BOOK / f"{name}.md"))
    used, numbers = uses(), {name: number for number, name in enumerate(chapters(), 1)}

    def entry(match):
        names = used.get(match[1].lower(), [])
        links = ", ".join(f"[{numbers[name]}]({name}.md)" for name in names)
        return match[0] + (f"\n  *Chapter{'s' if len(names) > 1 else ''} {links}*\n" if names else "")

    head, body = source[0].split("```{glossary}\n")
    source[0] = f"{head}```{{glossary}}\n{ENTRY.sub(entry, body)}"


def setup(app):
    app.connect("source-read", add_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
