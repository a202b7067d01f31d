"""What the theme's pages lack for keyboards and screen readers, mended in the finished HTML.

Each entry says what is wrong. Mending a page twice changes nothing, so pages that Sphinx keeps from the last build
may pass here again. `make browser` checks the result with axe-core.
"""

import re
from pathlib import Path

MENDS = [
    # a name that hides the visible text: a reader who speaks "click Search Ctrl K" or hears the button gets another
    (r'(<button class="btn search-button-field[^>]*?) aria-label="Search"', r"\1"),
    (r'(<summary) aria-label="Toggle hidden content"', r"\1"),
    # the three icons' titles become text inside the theme button, whose name is "Color mode"
    (r'(<i class="theme-switch[^>]*?) title="[^"]*"', r"\1"),
    # the left bar is no landmark, so its logo belongs to nothing
    (
        r'<div id="pst-primary-sidebar" class=',
        '<div id="pst-primary-sidebar" role="navigation" aria-label="Book" class=',
    ),
    # a list of references whose entries are no list items, in a role that ARIA has withdrawn
    (r'role="doc-biblioentry"', 'role="listitem"'),
    # the empty corner of a table heads nothing
    (r"<th class=\"head([^>]*)>\s*(?:<p>\s*</p>)?\s*</th>", r'<td class="head\1></td>'),
]


def mend(html: str) -> str:
    for wrong, right in MENDS:
        html = re.sub(wrong, right, html)
    return html


def mend_pages(app, exception):
    """Sphinx's `build-finished`."""
    if exception is None and app.builder.format == "html" and app.builder.name != "epub":
        for path in Path(app.outdir).glob("*.html"):
            before = path.read_text(encoding="utf-8")
            if (after := mend(before)) != before:
                path.write_text(after, encoding="utf-8")
