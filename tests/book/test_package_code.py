"""Lines of the package on a page: they are those of the package, and what cannot be found is said."""

import ast
import inspect
import sys
import textwrap
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"
sys.path.insert(0, str(BOOK / "_tools"))

from book_source import TwinError, notebooks, pieces, read_chapter  # noqa: E402
from package_code import address, lines_of  # noqa: E402

from deepid_lite.nets.deepid import DeepIDNet  # noqa: E402
from deepid_lite.nets.losses import Verification  # noqa: E402


@pytest.mark.parametrize(("name", "thing"), [("nets.deepid.DeepIDNet.forward", DeepIDNet.forward),
                                             ("nets.losses.Verification", Verification)])  # fmt: skip
def test_with_its_docstring_it_is_what_python_finds(name, thing):
    path, first, last, text = lines_of(name, docstring=True)
    source, line = inspect.getsourcelines(thing)
    assert text.strip() == textwrap.dedent("".join(source)).strip()
    assert (first, last) == (line, line + len(source) - 1)
    assert address(path, first, last).endswith(f"/{path}#L{first}-L{last}")


def test_without_its_docstring_it_computes_the_same():
    whole, short = (lines_of("nets.losses.Verification", docstring=keep)[3] for keep in (True, False))
    tree = ast.parse(whole)
    del tree.body[0].body[0]
    assert ast.dump(ast.parse(short)) == ast.dump(tree)


def test_a_part_begins_and_ends_where_it_is_told():
    path, first, last, text = lines_of("nets.deepid.DeepIDNet.forward", start="features = {}", end="return")
    rows = (BOOK.parent / path).read_text().split("\n")[first - 1 : last]
    assert text == textwrap.dedent("\n".join(rows)) and text.startswith("features = {}")
    assert text.endswith("return features")


@pytest.mark.parametrize("name", ["nets.deepid.Nothing", "nets.nothing.Nothing", "nets", "nets.deepid.DeepIDNet.no"])
def test_what_is_not_there_is_said(name):
    with pytest.raises(TwinError, match="package-code"):
        lines_of(name)
    with pytest.raises(TwinError, match="no line that begins"):
        lines_of("nets.deepid.DeepIDNet.forward", start="nowhere")


def test_every_name_in_the_chapters_is_found():
    for chapter in notebooks():
        for cell in read_chapter(chapter).cells:
            for _, name, argument, options, _, _ in pieces(cell.source) if cell.cell_type == "markdown" else ():
                if name == "package-code":
                    lines_of(argument, options.get("from", ""), options.get("to", ""), "docstring" in options)
