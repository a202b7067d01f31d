"""Sphinx extension: lines do not break between a number and its unit, nor between a formula and its punctuation.

A formula is a box to the browser, and a line may break on both sides of a box: a full stop would begin the next line.
"""

import re

from docutils import nodes

UNIT = re.compile(r"(?<=\d) (?=[%±])|(?<=±) (?=\d)")
AFTER = re.compile(r"[.,;:!?)’”]*")
VERBATIM = (nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw, nodes.comment)


def keep_together(app, doctree, docname):
    for text in list(doctree.findall(nodes.Text)):
        if not isinstance(text.parent, VERBATIM) and UNIT.search(text):
            text.parent.replace(text, nodes.Text(UNIT.sub("\u00a0", text)))
    for formula in list(doctree.findall(nodes.math)):
        bind(formula)


def bind(formula):
    """Put a formula into one box with an opening bracket before it and the punctuation behind it."""
    parent, place = formula.parent, formula.parent.index(formula)
    before, after = (parent[i] if 0 <= i < len(parent) else None for i in (place - 1, place + 1))
    opening = "(" if isinstance(before, nodes.Text) and before.endswith("(") else ""
    closing = AFTER.match(after)[0] if isinstance(after, nodes.Text) else ""
    if opening or closing:
        box = nodes.inline("", "", nodes.Text(opening), formula.deepcopy(), nodes.Text(closing), classes=["bound"])
        parent[place] = box
        if opening:
            parent[place - 1] = nodes.Text(before[:-1])
        if closing:
            parent[place + 1] = nodes.Text(after[len(closing) :])


def setup(app):
    app.connect("doctree-resolved", keep_together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
