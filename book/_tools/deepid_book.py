"""Sphinx extension of this book: what Jupyter Book leaves open.

- `chapter-card`: the line under a chapter's title (Colab, notebook, module, time, hardware);
- the cache of executed chapters is keyed on everything that a chapter's output depends on;
- MathJax is served from the book itself; scripts that would load from another host are dropped;
- links to the glossary carry the term's definition;
- a line "Table: ..." above a table is its caption;
- below each chapter stands a link for questions about it;
- figures and tables have a number on numbered pages only, where it begins with that of the page;
- docstrings are plain text: they are shown as they are, not read as reStructuredText.
"""

import ast
import hashlib
import importlib.util
import inspect
import re
import shutil
from pathlib import Path
from urllib.parse import quote

from accessible import mend_pages
from book_source import BOOK, ROOT, chapters, notebooks, reading_minutes, repository
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

MATHJAX = ("tex-chtml-full.js", "output/chtml/fonts/woff-v2")


class ChapterCard(SphinxDirective):
    """```{chapter-card}``` with :module:, :time: and :needs:."""

    option_spec = {
        "module": directives.unchanged_required,
        "time": directives.unchanged_required,
        "needs": directives.unchanged_required,
    }

    def run(self):
        missing = [name for name in self.option_spec if name not in self.options]
        if missing:
            raise self.error(f"chapter-card needs :{missing[0]}:")
        name, links = self.env.docname, repository()
        items = [
            ("Open in Colab", f"{links['colab']}/{name}.ipynb"),
            ("Download the notebook", f"_sources/{name}.ipynb"),
        ]
        items += [
            (f"deepid_lite/{module}.py", f"{links['blob']}/deepid_lite/{module}.py")
            for module in re.split(r",\s*", self.options["module"])
        ]
        line = nodes.paragraph(classes=["chapter-card"])
        for text, address in items:
            line += [nodes.reference("", text, refuri=address, internal=False), nodes.Text(" · ")]
        line += nodes.Text(
            f"reading: about {reading_minutes(name)} minutes · "
            f"running: about {self.options['time']} on {self.options['needs']}"
        )
        return [line]


def execution_key() -> str:
    """A hash of what chapters' outputs depend on besides their own cells.

    The chapters always run on the embedded synthetic faces, so no choice of data enters.
    """
    digest = hashlib.sha256()
    files = [*(ROOT / "deepid_lite").rglob("*"), *(BOOK / "results").rglob("*")]
    for path in sorted([ROOT / "constraints.txt", *files]):
        if path.is_file() and path.suffix in (".py", ".txt", ".toml", ".json", ".html", ".safetensors"):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def set_cache(app, config):
    """Name the cache after the key; as an `env` value the key also makes Sphinx read every page again."""
    folder = ROOT / "_build"
    config.deepid_execution_key = execution_key()
    cache = folder / f".jupyter_cache-{config.deepid_execution_key}"
    for old in folder.glob(".jupyter_cache-*"):
        if old != cache:
            shutil.rmtree(old)
    config.nb_execution_cache_path = str(cache)


def own_scripts_only(app, pagename, templatename, context, doctree):
    """Drop sphinx-thebe (live code, unused here: it declares a constant twice and points at another host)."""
    held_out, seen = [], set()
    for script in context.get("script_files", []):
        name, body = str(script.filename or ""), script.attributes.get("body") or ""
        if "thebe" in name.lower() or "THEBE" in body or (name and name in seen):
            continue
        if name.endswith("/quiz.js") and 'class="quiz"' not in context.get("body", ""):
            continue
        seen.add(name)
        held_out.append(script)
    context["script_files"] = held_out


def define_terms(app, doctree, docname):
    """Links to the glossary get the definition as their title, as citations have theirs from sphinxcontrib-bibtex."""
    if "glossary" not in app.env.found_docs:
        return
    links = [node for node in doctree.findall(nodes.reference) if "#term-" in node.get("refuri", "")]
    definitions = {}
    for item in app.env.get_doctree("glossary").findall(nodes.definition_list_item) if links else ():
        text = " ".join(item.next_node(nodes.definition).next_node(nodes.paragraph).astext().split())
        definitions |= {name: text for term in item.findall(nodes.term) for name in term["ids"]}
    for node in links:
        node["reftitle"] = definitions.get(node["refuri"].partition("#")[2], "")


def caption_tables(app, doctree, docname):
    """A paragraph "Table: ..." right above a table, as `results.markdown_table` writes it, becomes its caption.

    It has no number: cells make these tables, and the twins, which are written without running them, could not count.
    """
    for place, table in enumerate(list(doctree.findall(nodes.table)), 1):
        above = table.parent[table.parent.index(table) - 1] if table.parent.index(table) else None
        if isinstance(above, nodes.paragraph) and above.astext().startswith("Table: "):
            above[0] = nodes.Text(above[0].astext().removeprefix("Table: "))
            table.insert(0, nodes.title("", "", *above.children))
            table["ids"] = table["ids"] or [f"table-{place}"]
            table.parent.remove(above)


def invite_questions(app, doctree, docname):
    """End each page that has a twin with a link to the form for questions about it, its title filled in."""
    name, title = Path(docname).name, next(iter(doctree.findall(nodes.title)), None)
    if name in notebooks() and title is not None:
        form = f"{repository()['url']}/issues/new?title={quote(title.astext() + ': ')}"
        line = nodes.paragraph("", "Is something unclear or wrong? ", classes=["chapter-card"])
        line += [nodes.reference("", "Ask, or tell us.", refuri=form, internal=False)]
        title.parent += line


def plain_captions(app, env):
    """No number for figures and tables of pages without one: a Fig. 8 there is no figure of chapter 8."""
    for name, kinds in env.toc_fignumbers.items():
        if name not in chapters():
            for kind in ("figure", "table"):
                kinds.pop(kind, None)


def copy_mathjax(app, exception):
    """MathJax 3 comes in the wheel sphinx-mathjax-offline; only the part that the pages load is copied."""
    if exception is None and app.builder.format == "html":
        source = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
        for part in MATHJAX:
            target = Path(app.outdir, "_static", "mathjax", part)
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (source / part).is_dir() else shutil.copy
            copy(source / part, target, **({"dirs_exist_ok": True} if (source / part).is_dir() else {}))


def plain_docstring(app, what, name, obj, options, lines):
    """Escape a plain-text docstring: `code` stays code, aligned rows stay rows, the rest is text."""
    shown = []
    for block in re.split(r"\n\s*\n", "\n".join(lines).expandtabs()):
        rows = [row for row in block.split("\n") if row.strip()]
        if any(row.startswith((" ", ">>>", "- ", "|", "+")) for row in rows):
            indents = ["\u00a0" * (len(row) - len(row.lstrip())) for row in rows]
            rows = ["| " + indent + escape(row.strip()) for indent, row in zip(indents, rows, strict=True)]
        else:
            rows = [escape(row) for row in rows]
        shown += [*rows, ""]
    lines[:] = shown


def escape(row: str) -> str:
    """One line of plain text as reStructuredText, with `code` spans and *stressed* words kept."""
    parts = re.split(r"(`+[^`]+`+|(?<![\w*])\*{1,2}[A-Za-z][^*`]*[\w?.]\*{1,2}(?![\w*]))", row)
    for i, part in enumerate(parts):
        plain = re.sub(r"([\\*_|`<>:\[\]])", r"\\\1", part.strip("*") if i % 2 else part)
        if i % 2:
            plain = f"``{part.strip('`').strip()}``" if part[0] == "`" else f"*{plain}*"
            plain = f"\\ {plain}\\ "
        parts[i] = plain
    text = "".join(parts)
    return re.sub(r"^(\s*)([-+=.~^#]|\d+[.)]|\(\w+\))", r"\1\\\2", text)


def readable_signature(app, what, name, obj, options, signature, returns):
    """A command's options as name=default: typer keeps their help in the annotations, which nobody can read here."""
    if signature and name.startswith("deepid_lite.cli."):
        plain = [part.replace(annotation=part.empty) for part in inspect.signature(obj).parameters.values()]
        return re.sub(r"PosixPath\(('[^']*')\)", r"\1", str(inspect.Signature(plain))), returns
    return None


def no_numbered_fields(app, what, name, obj, skip, options):
    """A named tuple's fields stand in its signature; "Alias for field number 0" adds nothing to them."""
    return True if (getattr(obj, "__doc__", "") or "").startswith("Alias for field number") else None


ROOMS = ("faces", "nets", "verification", "neurons", "papers", "studies", "figures", "cli")


def modules_of(room: str) -> list[str]:
    """The public modules of a room, "" for the ground, as dotted names below the package."""
    folder = ROOT / "deepid_lite" / room
    paths = folder.rglob("*.py") if room else folder.glob("*.py")
    names = (path.relative_to(ROOT / "deepid_lite").with_suffix("") for path in paths)
    return sorted(".".join(name.parts) for name in names if not name.name.startswith("_"))


def first_line(name: str) -> str:
    """The sentence that a module's docstring begins with."""
    path = ROOT / "deepid_lite" / f"{name.replace('.', '/')}.py"
    return " ".join(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).split("\n\n")[0].split())


def list_modules(app, docname, source):
    """In place of @MODULES@: a table of each room's modules in api.md, a section for each of them in api_ROOM.md."""
    room = {"api_ground": ""}.get(docname, docname.removeprefix("api_"))
    if docname == "api":
        tables = []
        for room in ("", *ROOMS):
            page, title = f"api_{room or 'ground'}.md", f"Modules of {f'room {room}' if room else 'the ground'}"
            named = [(name.removeprefix(f"{room}."), first_line(name)) for name in modules_of(room)]
            rows = [f"| [`{short}`]({page}) | {sentence} |" for short, sentence in named]
            tables.append("\n".join([f"## {title}\n", "| module | what it is |", "|---|---|", *rows]))
        source[0] = source[0].replace("@MODULES@", "\n\n".join(tables))
    elif docname.startswith("api_"):
        sections = [
            f"## `{short}`\n\n```{{eval-rst}}\n.. automodule:: deepid_lite.{name}\n   :members:\n```"
            for name in modules_of(room)
            for short in [name.removeprefix(f"{room}.")]
        ]
        source[0] = source[0].replace("@MODULES@", "\n\n".join(sections))


def check_twins_exist(app, config):
    """The Colab button needs a notebook beside the page when the book is built."""
    for name in notebooks():
        if (BOOK / f"{name}.md").is_file() and not (BOOK / f"{name}.ipynb").is_file():
            raise FileNotFoundError(f"book/{name}.ipynb is missing: run `make twins`")


def setup(app):
    app.add_directive("chapter-card", ChapterCard)
    app.add_config_value("deepid_execution_key", "", "env")
    app.connect("config-inited", set_cache, priority=1)
    app.connect("config-inited", check_twins_exist)
    app.connect("html-page-context", own_scripts_only, priority=900)
    app.connect("source-read", list_modules)
    app.connect("autodoc-process-docstring", plain_docstring)
    app.connect("autodoc-process-signature", readable_signature)
    app.connect("autodoc-skip-member", no_numbered_fields)
    app.connect("env-check-consistency", plain_captions)
    app.connect("doctree-resolved", caption_tables)
    app.connect("doctree-resolved", define_terms)
    app.connect("doctree-resolved", invite_questions)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", mend_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
