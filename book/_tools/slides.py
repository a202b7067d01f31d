"""Sphinx extension: the slides of the course, one self-contained HTML file for each `book/slides/<session>.md`.

A source is Markdown. `---` parts the slides, `![](#fig-name)` is a figure of the book with its alt text and caption,
as the build drew it, and a quotation is a note for the speaker, which the key `n` shows. The files need no network and
no script to be read: slides stand below each other, and each fills the screen. `{slide-list}` lists them on a page.
"""

import base64
import re
from html import escape, unescape

from book_source import BOOK
from docutils import nodes
from markdown_it import MarkdownIt
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

log = logging.getLogger(__name__)

SOURCES = BOOK / "slides"
FIGURE = re.compile(r"!\[\]\(#([\w-]+)\)")
TYPES = {"png": "image/png", "svg": "image/svg+xml", "jpg": "image/jpeg"}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><title>{title}</title><style>{css}</style></head>
<body><main>
{slides}
</main><script>{script}</script></body></html>
"""
CSS = """
html { scroll-snap-type: y mandatory; font: 1.9vmax/1.45 system-ui, sans-serif; color: #1a1a1a; background: #fff; }
body { margin: 0; }
section { box-sizing: border-box; min-height: 100vh; padding: 5vh 8vw; scroll-snap-align: start; display: flex;
  flex-direction: column; justify-content: center; position: relative; }
h1, h2 { color: #0b3c5d; line-height: 1.15; margin: 0 0 .6em; }
h1 { font-size: 2.2em; } h2 { font-size: 1.5em; }
p, ul, ol { margin: .3em 0; } li { margin: .25em 0; }
figure { margin: 0; } figure img { display: block; max-width: 100%; max-height: 58vh; margin: 0 auto; }
figcaption { font-size: .55em; color: #444; margin-top: .4em; }
blockquote { display: none; font-size: .7em; border-left: 4px solid #b35900; margin: .8em 0 0; padding-left: .8em; }
.notes blockquote { display: block; }
footer { position: absolute; right: 2vw; bottom: 2vh; font-size: .55em; color: #555; }
@media (prefers-color-scheme: dark) { html { color: #eee; background: #14181e; } h1, h2 { color: #8ecbf0; }
  figure img { background: #fff; } figcaption, footer { color: #bbb; } }
@media print { section { break-after: page; } blockquote { display: block; } }
"""
SCRIPT = """
addEventListener("keydown", event => {
  if (event.key === "n") document.body.classList.toggle("notes");
  const step = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 }[event.key];
  if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const slides = [...document.querySelectorAll("section")], here = Math.round(scrollY / innerHeight);
  slides[Math.min(Math.max(here + step, 0), slides.length - 1)].scrollIntoView();
});
"""


def sessions() -> list[str]:
    """The names of all sources in their order."""
    return sorted(path.stem for path in SOURCES.glob("*.md"))


def source(name: str) -> str:
    return (SOURCES / f"{name}.md").read_text(encoding="utf-8")


def title(name: str) -> str:
    return source(name).partition("\n")[0].removeprefix("# ")


def figures(name: str) -> list[str]:
    """The labels of the figures that a deck shows."""
    return FIGURE.findall(source(name))


def deck(name: str, figure) -> str:
    """The HTML of a deck; figure: label -> (address or data of the picture, alt text, caption)."""
    markdown = MarkdownIt("commonmark").enable("table")
    parts = re.split(r"^---$", source(name), flags=re.M)
    slides = []
    for place, part in enumerate(parts, 1):
        body = markdown.render(FIGURE.sub(lambda match: f"FIGURE {match[1]}", part))
        body = re.sub(r"<p>FIGURE ([\w-]+)</p>", lambda match: _figure(*figure(match[1])), body)
        slides.append(f"<section>\n{body}<footer>{place} of {len(parts)}</footer></section>")
    return PAGE.format(title=escape(title(name)), css=CSS, script=SCRIPT, slides="\n".join(slides))


def _figure(address: str, alt: str, caption: str) -> str:
    return f'<figure><img src="{address}" alt="{escape(alt)}"><figcaption>{escape(caption)}</figcaption></figure>\n'


def drawn(folder) -> dict[str, tuple[str, str, str]]:
    """label -> (file of the picture, alt text, caption) of every figure on the built pages."""
    found = {}
    for page in sorted(folder.glob("*.html")):
        text = page.read_text(encoding="utf-8")
        for label, inside in re.findall(r'<figure\b[^>]*\bid="([\w-]+)"[^>]*>(.*?)</figure>', text, re.S):
            image = re.search(r"<img\b[^>]*>", inside)
            caption = re.search(r'class="caption-text">(.*?)</span>\s*(?:<a class="headerlink|</p>)', inside, re.S)
            if image and caption:
                values = dict(re.findall(r'(\w+)="([^"]*)"', image[0]))
                plain = unescape(re.sub(r"<[^>]+>", "", caption[1]))
                found[label] = values["src"], unescape(values.get("alt", "")), " ".join(plain.split())
    return found


def write(app, exception):
    """Sphinx's `build-finished`: the decks go to `slides/` of the HTML book, pictures inside."""
    if exception is not None or app.builder.name != "html":
        return
    folder, target = app.outdir, app.outdir / "slides"
    target.mkdir(exist_ok=True)
    known = drawn(folder)

    def figure(label):
        if label not in known:
            log.warning(f"slides: no page shows the figure {label}")
            return "", f"missing: {label}", label
        file, alt, caption = known[label]
        data = base64.b64encode((folder / file).read_bytes()).decode("ascii")
        return f"data:{TYPES[file.rpartition('.')[2]]};base64,{data}", alt, caption

    for name in sessions():
        (target / f"{name}.html").write_text(deck(name, figure), encoding="utf-8")


class slide_links(nodes.General, nodes.Element):
    """Links to the decks, for the book in the browser; other builders leave them out."""


class SlideList(SphinxDirective):
    """```{slide-list}```"""

    def run(self):
        for name in sessions():
            self.env.note_dependency(str(SOURCES / f"{name}.md"))
        rows = "".join(
            f'<li>Week {name[0]}, session {name[1]}: <a href="slides/{name}.html">{escape(title(name))}</a></li>'
            for name in sessions()
        )
        return [slide_links(html=f"<ul>{rows}</ul>")]


def visit_html(self, node):
    if self.builder.name == "html":
        self.body.append(node["html"])
    raise nodes.SkipNode


def skip(self, node):
    raise nodes.SkipNode


def setup(app):
    app.add_node(slide_links, html=(visit_html, None), latex=(skip, None), text=(skip, None))
    app.add_directive("slide-list", SlideList)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
