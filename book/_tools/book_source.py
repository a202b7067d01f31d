"""The book's sources as the twins and the Sphinx extension read them: address, order, structure, labels."""

import functools
import math
import re
from pathlib import Path

import jupytext
import yaml
from markdown_it import MarkdownIt
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.myst_blocks import myst_block_plugin

BOOK = Path(__file__).resolve().parent.parent
ROOT = BOOK.parent
WITHOUT_NUMBER = {"Fig.": "Figure", "Table": "Table"}  # what their captions begin with on pages without a number
OWN_FACES = "Your own faces"  # the part of the table of contents whose pages are notebooks without a number
DIRECTIVE = re.compile(r"\{([\w:-]+)\}\s*(.*)")


class TwinError(ValueError):
    """What the generator cannot turn into plain Markdown; its text names the chapter and the piece."""


def settings() -> dict:
    """`_config.yml`."""
    return yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))


def contents() -> dict:
    """`_toc.yml`: the first page under "root", then "parts" with their captions and chapters."""
    return yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))


def repository() -> dict:
    """The one constant: `repository` of `_config.yml`, with the addresses that follow from it."""
    found = settings()["repository"]
    url, branch, folder = found["url"], found["branch"], found["path_to_book"]
    slug = url.removeprefix("https://github.com/")
    return {
        "url": url,
        "branch": branch,
        "blob": f"{url}/blob/{branch}",
        "book": f"{url}/blob/{branch}/{folder}",
        "raw": f"https://raw.githubusercontent.com/{slug}/{branch}/{folder}",
        "site": "https://{}.github.io/{}".format(*slug.split("/")),  # where .github/workflows/book.yml publishes it
        "colab": f"https://colab.research.google.com/github/{slug}/blob/{branch}/{folder}",
    }


def setup_cell() -> str:
    """The text of every chapter's first code cell."""
    text = (BOOK / "_tools" / "setup_cell.txt").read_text(encoding="utf-8").strip()
    return text.replace("@REPOSITORY@", f"git+{repository()['url']}@{repository()['branch']}")


def chapters() -> list[str]:
    """The numbered chapters in the order of the table of contents, without suffix."""
    return [page["file"] for part in contents()["parts"] if part.get("numbered") for page in part["chapters"]]


def notebooks() -> list[str]:
    """Every page that has a twin: the numbered chapters, then the pages of the part OWN_FACES."""
    own = [part for part in contents()["parts"] if part.get("caption") == OWN_FACES]
    return chapters() + [page["file"] for part in own for page in part["chapters"]]


@functools.cache
def bibliography() -> dict:
    """Key -> (label, names, what follows the names in brackets, formatted entry) of every entry in references.bib."""
    from citations import label, names_of, short
    from pybtex.database import parse_file
    from pybtex.plugin import find_plugin

    entries = parse_file(BOOK / "references.bib", bib_format="bibtex").entries
    style = find_plugin("pybtex.style.formatting", "named")()
    markdown = find_plugin("pybtex.backends", "markdown")()
    found = {}
    for formatted in style.format_entries(entries.values()):
        entry = entries[formatted.key]
        text = re.sub(r"\\([.!()-])", r"\1", " ".join(formatted.text.render(markdown).split()))
        if label(entry) in [other[0] for other in found.values()]:
            raise TwinError(f"references.bib: {formatted.key} has the label of another entry; give it a shorthand")
        found[formatted.key] = label(entry), names_of(entry), short(entry), text
    return found


def parser() -> MarkdownIt:
    """A parser of the part of MyST that the chapters use."""
    plain = MarkdownIt("commonmark").enable("table")
    return plain.use(dollarmath_plugin, double_inline=True).use(colon_fence_plugin).use(myst_block_plugin)


def pieces(text: str):
    """Yield (kind, name, argument, options, body, lines) for the blocks of `text` in order.

    kind: "directive", "target" (a label before a heading), "comment", "code" or "math" (both left alone) or
    "heading". `lines` is the range of the block; what lies between is running text.
    """
    tokens = parser().parse(text)
    for i, token in enumerate(tokens):
        if token.type in ("fence", "colon_fence"):
            match = DIRECTIVE.fullmatch(token.info.strip())
            if match is None:
                yield "code", "", "", {}, token.content, token.map
                continue
            options, body = _options(token.content)
            yield "directive", match[1], match[2], options, body, token.map
        elif token.type == "myst_target":
            yield "target", token.content, "", {}, "", token.map
        elif token.type == "myst_line_comment":
            yield "comment", "", "", {}, "", token.map
        elif token.type == "math_block_label":
            raise TwinError(f"label {token.info!r} behind $$: use the math directive")
        elif token.type in ("math_block", "code_block"):
            yield "math" if token.type == "math_block" else "code", "", "", {}, token.content, token.map
        elif token.type == "heading_open":
            yield "heading", "", tokens[i + 1].content, {}, "", token.map


def _options(content: str) -> tuple[dict, str]:
    """Split a directive's content into its `:key: value` lines and its body."""
    lines, options = content.split("\n"), {}
    while lines and (match := re.fullmatch(r":([\w-]+):\s*(.*)", lines[0])):
        options[match[1]] = match[2]
        lines.pop(0)
    return options, "\n".join(lines).strip("\n")


def figure_of(cell) -> dict:
    """The `figure` entry of a code cell's metadata, {} when it draws none."""
    return cell.metadata.get("mystnb", {}).get("figure", {})


@functools.cache
def read_chapter(name: str):
    """The chapter's cells, as jupytext reads them; do not change them."""
    return jupytext.read(BOOK / f"{name}.md", fmt="md:myst")


def reading_minutes(name: str) -> int:
    """How long a page takes to read, at 200 words and 20 lines of unfolded code a minute, to the next five minutes."""
    cells = read_chapter(name).cells
    words = sum(len(cell.source.split()) for cell in cells if cell.cell_type == "markdown")
    lines = sum(
        len(cell.source.splitlines())
        for cell in cells
        if cell.cell_type == "code" and "hide-input" not in cell.metadata.get("tags", ())
    )
    return 5 * max(1, math.ceil((words / 200 + lines / 20) / 5))


class Labels:
    """What the labels refer to: `found[label]` is (chapter, text).

    Numbers follow Sphinx: chapter.count. Pages without a number have figures and tables without one
    (`deepid_book.plain_captions`); their exercises are counted on from page to page.
    """

    def __init__(self, names: list[str]):
        self.found, self.titles = {}, {}
        numbered, unnumbered = chapters(), {}
        for name in names:
            chapter = name in numbered
            self.prefix = f"{numbered.index(name) + 1}." if chapter else ""
            self.name, self.counts, self.pending = name, {} if chapter else unnumbered, []
            for cell in read_chapter(name).cells:
                if cell.cell_type == "markdown":
                    self._collect(cell.source)
                elif figure := figure_of(cell):
                    self._add("Fig. {}", figure.get("name"))

    def _add(self, pattern: str, label: str | None):
        kind = pattern.split()[0]
        if not self.prefix and kind in WITHOUT_NUMBER:
            return label and self._set(label, WITHOUT_NUMBER[kind])
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if label:
            self._set(label, pattern.format(f"{self.prefix}{self.counts[kind]}"))

    def _set(self, label: str, text: str):
        if label in self.found:
            raise TwinError(f"{self.name}: the label {label!r} is used twice in the book")
        self.found[label] = self.name, text

    def _collect(self, text: str):
        for kind, name, argument, options, body, _ in pieces(text):
            if kind == "target":
                self.pending.append(name)
            elif kind == "heading":
                self.titles.setdefault(self.name, argument)
                for label in self.pending:
                    self._set(label, argument)
                self.pending = []
            elif kind == "directive":
                if name == "math" and "label" in options:
                    self._add("({})", options["label"])
                elif name == "figure":
                    self._add("Fig. {}", options.get("name"))
                elif name == "table" and argument:
                    self._add("Table {}", options.get("name"))
                elif name == "exercise":
                    self._add("Exercise {}", options.get("label"))
                if name not in ("math", "code-block", "figure", "image", "quiz"):
                    self._collect(body)
