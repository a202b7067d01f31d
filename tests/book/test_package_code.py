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
from package_code import COLUMNS, address, folded, lines_of  # noqa: E402

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


def shown():
    """The code of every package-code in the chapters, not folded."""
    for chapter in notebooks():
        for cell in read_chapter(chapter).cells:
            for _, name, argument, options, _, _ in pieces(cell.source) if cell.cell_type == "markdown" else ():
                if name == "package-code":
                    yield lines_of(argument, options.get("from", ""), options.get("to", ""), "docstring" in options)[3]


def test_lines_that_are_folded_compute_the_same_and_fit_the_column():
    """Every name in the chapters is found, and what is shown is the package's code."""
    texts = list(shown())
    assert len(texts) > 30
    for text in texts:
        assert ast.dump(ast.parse(folded(text))) == ast.dump(ast.parse(text))
    rows = [row for text in texts for row in folded(text).split("\n")]
    assert sum(len(row) > COLUMNS for row in rows) < 8  # a condition without brackets cannot be broken


def test_a_comment_goes_above_its_line():
    row = "    x = first_of(many, things, that, are, named)  # and a comment that makes the line too long for a page"
    above, code = folded(row).split("\n")
    assert above == "    # and a comment that makes the line too long for a page" and code == row.split("  #")[0]
