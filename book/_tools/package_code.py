"""`package-code`: lines of the package on a page, found by their name, so that page and package cannot drift apart.

    ```{package-code} nets.deepid.DeepIDNet.forward
    ```

The name is that of a function, a method or a class below `deepid_lite`. Its docstring is left out, since the text of
the chapter stands in its place; `:docstring:` keeps it. `:from:` and `:to:` cut a long one: the first and the last
line are those that begin with the words given. The page shows the lines dedented and folded to its column, with a link
to them; the Colab twin shows the same as a text cell (book/_tools/twins.py).
"""

import ast
import re
import textwrap

from book_source import ROOT, TwinError, repository
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective


def lines_of(name: str, start: str = "", end: str = "", docstring: bool = False):
    """(path below the repository, first line, last line, text) of what has the dotted `name` in the package."""
    path, rest = _module(name)
    source = (ROOT / path).read_text(encoding="utf-8")
    node = ast.parse(source)
    for part in rest:
        node = next((n for n in node.body if getattr(n, "name", None) == part), None)
        if node is None:
            raise TwinError(f"package-code: {path} has no {'.'.join(rest)}")
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    rows = {number: row for number, row in enumerate(source.split("\n"), 1) if first <= number <= node.end_lineno}
    if ast.get_docstring(node) is not None and not docstring:
        rows = {n: row for n, row in rows.items() if not node.body[0].lineno <= n <= node.body[0].end_lineno}
        while not rows.get(node.body[0].end_lineno + 1, "code").strip():
            del rows[node.body[0].end_lineno + 1]
    if start:
        rows = {n: row for n, row in rows.items() if n >= _begins(rows, start, name)}
    if end:
        rows = {n: row for n, row in rows.items() if n <= _begins(rows, end, name)}
    return path, min(rows), max(rows), textwrap.dedent("\n".join(rows.values()))


def _module(name: str):
    """The file below the repository that the first parts of a dotted name lead to, and the parts that are left."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        path = "/".join(["deepid_lite", *parts[:cut]]) + ".py"
        if (ROOT / path).is_file():
            return path, parts[cut:]
    raise TwinError(f"package-code: {name}: no such module; write it as nets.deepid.DeepIDNet.forward")


def _begins(rows: dict, words: str, name: str) -> int:
    found = [number for number, row in rows.items() if row.strip().startswith(words)]
    if not found:
        raise TwinError(f"package-code: {name} has no line that begins with {words!r}")
    return found[0]


def address(path: str, first: int, last: int) -> str:
    """Where these lines stand on GitHub."""
    return f"{repository()['blob']}/{path}#L{first}-L{last}"


COLUMNS = 88  # what a page's column holds; the package has lines of 120
BREAKS = (r"(?<=,) ", r" (?=(?:and|or|if|else|for) )", r" (?=[-+*/@<>=]+ )")  # the first are the better ones


def folded(text: str) -> str:
    """The same code in lines of COLUMNS: comments go above their line, brackets break where they are shallowest."""
    return "\n".join(line for row in text.split("\n") for line in _fold(row))


def _fold(row: str):
    indent = row[: len(row) - len(row.lstrip())]
    if len(row) <= COLUMNS:
        yield row
    elif match := re.fullmatch(r"\s*(.*?)\s*# (.*)", row):
        yield from textwrap.wrap(match[2], COLUMNS, initial_indent=f"{indent}# ",
                                 subsequent_indent=f"{indent}# ")  # fmt: skip
        if match[1]:
            yield from _fold(indent + match[1])
    else:
        bare = re.sub(r'"[^"]*"', lambda text: "_" * len(text[0]), row)
        depths = [0]  # of the brackets before each character
        for letter in bare:
            depths.append(depths[-1] + (letter in "([{") - (letter in ")]}"))
        places = [
            (depths[match.start()], rank, -match.start())
            for rank, kind in enumerate(BREAKS)
            for match in re.finditer(kind, bare[: COLUMNS + 1])
            if depths[match.start()]
        ]
        if not places:  # nothing to break: the style folds it, or scrolls on a phone
            yield row
            return
        place = -min(places)[2]
        yield row[:place]
        yield from _fold(indent + "    " * (1 + row.endswith(":")) + row[place + 1 :])


class PackageCode(SphinxDirective):
    required_arguments = 1
    option_spec = {"from": directives.unchanged, "to": directives.unchanged, "docstring": directives.flag}

    def run(self):
        options = self.options
        try:
            path, first, last, text = lines_of(
                self.arguments[0], options.get("from", ""), options.get("to", ""), "docstring" in options
            )
        except TwinError as error:
            raise self.error(str(error)) from None
        self.env.note_dependency(str(ROOT / path))
        where = nodes.paragraph(classes=["package-code-source"])
        place = f"{path}, lines {first} to {last}"
        where += nodes.reference("", place, refuri=address(path, first, last), internal=False)
        text = folded(text)
        block = nodes.literal_block(text, text, language="python")
        return [nodes.container("", block, where, classes=["package-code"])]


def setup(app):
    app.add_directive("package-code", PackageCode)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
