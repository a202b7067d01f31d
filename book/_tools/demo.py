"""Sphinx extension for the page "DeepID2+ in your browser": its two directives, and the files that the page loads.

- `{browser-demo}` is a still picture of the page and, in the HTML book, the net itself behind a button;
- `{browser-try}` is a button that sets both faces up for an experiment.

`demo_data` makes the files, `web_packages` brings onnxruntime-web, and `demo_page/` holds the page's own scripts, which
no other page loads. Without npm the page stays a still picture and says why; the rest of the book does not need it.
"""

import functools
import html
import json
import shutil
from pathlib import Path

import demo_data
import web_packages
from book_source import BOOK, ROOT
from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

log = logging.getLogger(__name__)

DATA = ROOT / "_build" / "demo"
OWN = Path(__file__).parent / "demo_page"
SCRIPTS = ("geometry.js", "model.js", "maps.js", "face.js", "points.js", "app.js")
RUNTIME = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
PUBLIC = "_static/demo"
ALT = (
    "Two drawn pictures of one person: face A from the front, face B turned, lit from the side and with glasses. "
    "Beside each a map of 512 neurons, about half of them active; a map of the differences; a log-likelihood ratio "
    "above its threshold and a Hamming distance below its own, so that both verdicts are: same person."
)


class demo_html(nodes.General, nodes.Element):
    """HTML for the book in the browser; other builders leave it out."""


class BrowserDemo(SphinxDirective):
    """```{browser-demo}```"""

    def run(self):
        source = data() / "still.png"
        uri = Path("..", source.relative_to(BOOK.parent)).as_posix()  # from the folder of the sources
        still = nodes.container(classes=["demo-still"])
        image = nodes.image(uri=uri, alt=ALT, width="100%")
        still += [image, nodes.paragraph("", "A still of this page: two pictures of one drawn person, their neurons, "
                                             "what is different, and what the net says of them.")]  # fmt: skip
        missing = runtime()[1]
        if missing:
            why = f"This copy of the book cannot run the net: {missing}. The picture stays a still."
            return [still, nodes.paragraph("", why)]
        app = demo_html(html=application(size(data())))
        return [still, app]


class BrowserTry(SphinxDirective):
    """```{browser-try} label``` with JSON {"A": settings, "B": settings}, by the names of START in face.js."""

    required_arguments, final_argument_whitespace, has_content = 1, True, True

    def run(self):
        try:
            wanted = json.loads("\n".join(self.content))
        except ValueError as error:
            raise self.error(f"browser-try: no JSON ({error})") from None
        settings = html.escape(json.dumps(wanted), quote=True)
        label = html.escape(self.arguments[0])
        button = f'<p><button type="button" class="demo-try" hidden data-set="{settings}">{label}</button></p>'
        return [] if runtime()[1] else [demo_html(html=button)]


@functools.cache
def data():
    """The folder that `demo_data` filled."""
    return demo_data.folder(DATA)


@functools.cache
def runtime():
    """(folder of onnxruntime-web's files, None), or (None, why there is none)."""
    try:
        return web_packages.folder() / "onnxruntime-web" / "dist", None
    except web_packages.PackagesMissing as error:
        return None, str(error)


def size(folder):
    """Bytes that the page loads when the reader starts the net."""
    loaded = [path for path in folder.iterdir() if path.name != "still.png"]
    return sum(path.stat().st_size for path in loaded) + (runtime()[0] / RUNTIME[2]).stat().st_size


def application(n_bytes):
    scripts = "".join(f'<script defer src="{PUBLIC}/{name}"></script>' for name in SCRIPTS)
    return f"""<link rel="stylesheet" href="{PUBLIC}/demo.css">
<div id="deepid-demo" data-base="{PUBLIC}/" data-bytes="{n_bytes}">
<p class="demo-say" role="status">The net needs JavaScript, which is off. The picture is a still.</p>
<button type="button" class="demo-start" hidden>Run the net in this page (loads {n_bytes / 1e6:.0f} MB)</button>
</div>
{scripts}"""


def visit_html(self, node):
    if self.builder.name == "html":
        self.body.append(node["html"])
    raise nodes.SkipNode


def skip(self, node):
    raise nodes.SkipNode


def outdated(app, env, added, changed, removed):
    """Read the page again when npm has come or gone, or when other data is shown."""
    key = f"{data().name} {runtime()[1]}"
    if getattr(env, "deepid_demo_key", None) != key:
        env.deepid_demo_key = key
        return ["browser"] if "browser" in env.found_docs else []
    return []


def copy_files(app, exception):
    """Everything that the page loads goes to `_static/demo` of the HTML book."""
    if exception is not None or app.builder.name != "html":
        return
    target = Path(app.outdir, PUBLIC)
    shutil.rmtree(target, ignore_errors=True)
    dist, missing = runtime()
    if missing:
        log.info(f"browser page: {missing}; it shows a still picture")
        return
    shutil.copytree(data(), target, ignore=shutil.ignore_patterns("still.png"))
    shutil.copytree(OWN, target, dirs_exist_ok=True)
    (target / "ort").mkdir()
    for name in RUNTIME:
        shutil.copyfile(dist / name, target / "ort" / name)


def setup(app):
    app.add_node(demo_html, html=(visit_html, None), latex=(skip, None), text=(skip, None))
    app.add_directive("browser-demo", BrowserDemo)
    app.add_directive("browser-try", BrowserTry)
    app.connect("env-get-outdated", outdated)
    app.connect("build-finished", copy_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
