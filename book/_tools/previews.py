"""Sphinx extension: each page says what it is about, to search engines and where its address is shared."""

import re
from html import escape

from book_source import repository, settings
from docutils import nodes

LENGTH = 200
CITATION = re.compile(r"\s\[[^\]]+\]")
SENTENCE_END = re.compile(r"(?<=[.?!])(?<!et al\.)\s+(?=\S)")


def description(doctree) -> str:
    """The first sentences of a page's first paragraph, as many as fit."""
    for paragraph in doctree.findall(nodes.paragraph):
        running = isinstance(paragraph.parent, nodes.section)  # not in a box, a list, a table or a margin
        if running and not {"chapter-card", "book-buttons"} & set(paragraph["classes"]):
            return shorten(paragraph.astext())
    return ""


def shorten(text: str) -> str:
    """Whole sentences without citations, LENGTH characters at most; one that is longer is cut."""
    first, *others = SENTENCE_END.split(CITATION.sub("", " ".join(text.split())))
    for sentence in others:
        if len(first) + len(sentence) >= LENGTH:
            break
        first = f"{first} {sentence}"
    return first if len(first) <= LENGTH else first[: LENGTH - 1] + "…"


def add_tags(app, pagename, templatename, context, doctree):
    if doctree is None:
        return
    text, picture = description(doctree), f"{repository()['raw']}/figures/glance.png"
    title = doctree.next_node(nodes.title)
    tags = {
        'name="description"': text,
        'property="og:type"': "article",
        'property="og:site_name"': settings()["title"],
        'property="og:title"': title.astext() if title else settings()["title"],
        'property="og:description"': text,
        'property="og:image"': picture,
        'property="og:image:alt"': "Three drawn faces, the net, their codes of 512 bits, and what the distances say",
        'name="twitter:card"': "summary_large_image",
    }
    lines = [f'<meta {name} content="{escape(value)}" />' for name, value in tags.items() if value]
    context["metatags"] = "\n".join([context.get("metatags", ""), *lines])


def setup(app):
    app.connect("html-page-context", add_tags)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
