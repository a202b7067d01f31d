"""Sphinx extension: each page says what it is about, to search engines and where its address is shared."""

from html import escape

from book_source import repository, settings
from docutils import nodes

LENGTH = 200


def description(doctree) -> str:
    """The first sentences of a page, as many as fit."""
    text = ""
    for paragraph in doctree.findall(nodes.paragraph):
        if {"chapter-card", "book-buttons"} & set(paragraph["classes"]) or not _runs(paragraph):
            continue
        for sentence in " ".join(paragraph.astext().split()).split(". "):
            if len(text) + len(sentence) > LENGTH:
                return text or sentence[: LENGTH - 1] + "…"
            text = f"{text} {sentence.rstrip('.')}.".strip()
        return text
    return text


def _runs(paragraph) -> bool:
    """Whether this is running text: not in a box, a list, a table or a margin."""
    return isinstance(paragraph.parent, nodes.section)


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
