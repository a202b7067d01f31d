"""The Colab twins: in step with the chapters, plain Markdown, and runnable with nothing but the package."""

import importlib.util
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
sys.path.insert(0, str(BOOK / "_tools"))

import book_source  # noqa: E402
import twins  # noqa: E402
from book_source import Labels, TwinError, notebooks, repository, setup_cell  # noqa: E402
from run_twin import run_twin  # noqa: E402

CHAPTER = """\
---
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# Second

```{chapter-card}
:module: nets
:time: 5 seconds
:needs: two cores
```

% nobody reads this

(sec-why)=
## Why

A {term}`face`, {term}`faces <face>`, {cite}`one2014` and {cite:t}`two2015,one2014`, `code {cite}`, $x_{ij}$,
{eq}`eq-a`, {numref}`fig-still`, {numref}`Figure {number} <fig-drawn>`, {ref}`sec-why`, [there](01_first.md),
{doc}`01_first`, {doc}`words <glossary>`, {py:func}`~deepid_lite.nets.deepid.count`, {math}`a_b`, {numref}`tab-t`.

```{math}
:label: eq-a

a &= b \\\\
c &= d
```

```{figure} figures/still.svg
:name: fig-still
:alt: A circle

Round {cite}`one2014`.
```

```{code-cell} ipython3
---
mystnb:
  image: {alt: A line that rises}
  figure: {caption: "Rising $x$ (lite).", name: fig-drawn}
---
plot()
```

````{note}
Outer.

- item

```{tip}
Inner $y$.
```
````

- a list

  ```{warning}
  with a box
  ```

```{table} Numbers
:name: tab-t

| a | b |
|---|---|
| 1 | {term}`face` |
```

```{exercise}
:label: ex-text

Why?
```

```{solution} ex-text
:class: dropdown

Because.
```

```{exercise}
:label: ex-code

How?
```

```{solution-start} ex-code
:class: dropdown
```
So:

```{code-cell} ipython3
assert 1 < 2
```

```{solution-end}
```

```python
untouched("{term}`x`")
```

```{quiz}
- ask: 'What is {math}`a_b`?'
  answers:
    - {right: "A {term}`face`.", because: "See {eq}`eq-a`."}
    - {wrong: "$-1$", because: "No."}
- ask: How many?
  number: 12
  because: Counted.
  hints: {20: Maps.}
```
"""
TWIN = r"""# Second

*Chapter 2 of [DeepID-lite](https://github.com/o/r)* · [open in Colab](https://colab.research.google.com/github/o/r/blob/m/book/02_second.ipynb) · module [`deepid_lite/nets.py`](https://github.com/o/r/blob/m/deepid_lite/nets.py) · reading: about 5 minutes · running: about 5 seconds on two cores

## Why

A face, faces, [One, 2014] and Two and Three [2015], One [2014], `code {cite}`, $x_{ij}$,
(2.1), Fig. 2.1, Figure 2.2, Why, [there](https://colab.research.google.com/github/o/r/blob/m/book/01_first.ipynb),
[First](https://colab.research.google.com/github/o/r/blob/m/book/01_first.ipynb), [words](https://github.com/o/r/blob/m/book/glossary.md), `count`, $a_b$, Table 2.1.

$$
\begin{aligned}
a &= b \\
c &= d
\end{aligned} \tag{2.1}
$$

![A circle](https://raw.githubusercontent.com/o/r/m/book/figures/still.svg)

**Fig. 2.1.** Round [One, 2014].
-----
plot()
-----
**Fig. 2.2.** Rising $x$ (lite).
-----
> **Note**
>
> Outer.
>
> - item
>
> > **Tip**
> >
> > Inner $y$.

- a list

  > **Warning**
  >
  > with a box

**Table 2.1.** Numbers

| a | b |
|---|---|
| 1 | face |

**Exercise 2.1**

Why?

<details>
<summary>Solution to Exercise 2.1</summary>

Because.

</details>

**Exercise 2.2**

How?

<details>
<summary>Solution to Exercise 2.2</summary>

So:

</details>
-----
# @title Solution to Exercise 2.2
assert 1 < 2
-----
```python
untouched("{term}`x`")
```

**1.** What is $a_b$?

Choose one.

- **A.** A face.
- **B.** $-1$

<details>
<summary>Answer</summary>

**A is right.** See (2.1).

**B is wrong.** No.

</details>

**2.** How many?

<details>
<summary>Answer</summary>

**12 is right.** Counted.

**Not 20.** Maps.

</details>
-----
## References

- **[One, 2014]** Ann One. First thing. arXiv, 2014.
- **[Two and Three, 2015]** Bob Two and Cy Three. Second thing. arXiv, 2015.
-----
*Written by `make twins` from [book/02_second.md](https://github.com/o/r/blob/m/book/02_second.md): change it there.*"""  # noqa: E501
BIB = """
@misc{one2014, author = {One, Ann}, title = {First thing}, howpublished = {arXiv}, year = {2014}}
@misc{two2015, author = {Two, Bob and Three, Cy}, title = {Second thing}, howpublished = {arXiv},
      year = {2015}}
"""


@pytest.fixture
def small_book(tmp_path, monkeypatch):
    """A book of two chapters in place of the real one; returns the folder of its sources."""
    book = tmp_path / "book"
    (book / "figures").mkdir(parents=True)
    (tmp_path / "_config.yml").write_text(
        "repository: {url: 'https://github.com/o/r', branch: m, path_to_book: book}", encoding="utf-8"
    )
    (book / "_toc.yml").write_text(
        "root: intro\nparts: [{numbered: true, chapters: [{file: 01_first}, {file: 02_second}]}]"
    )
    (book / "references.bib").write_text(BIB, encoding="utf-8")
    (book / "glossary.md").write_text("# Glossary", encoding="utf-8")
    (book / "figures" / "still.svg").write_text("<svg/>", encoding="utf-8")
    (book / "01_first.md").write_text("# First\n", encoding="utf-8")
    (book / "02_second.md").write_text(CHAPTER, encoding="utf-8")
    monkeypatch.setattr(book_source, "ROOT", tmp_path)
    monkeypatch.setattr(book_source, "BOOK", book)
    for cached in (book_source.read_chapter, book_source.bibliography):
        cached.cache_clear()
    yield book
    for cached in (book_source.read_chapter, book_source.bibliography):
        cached.cache_clear()


# --- conversion ---


def test_conversion(small_book):
    notebook = twins.convert("02_second")
    assert "\n-----\n".join(cell.source for cell in notebook.cells) == TWIN
    kinds = [cell.cell_type for cell in notebook.cells]
    assert kinds.count("code") == 2 and twins.to_text(notebook) == twins.to_text(twins.convert("02_second"))


def test_a_paper_with_a_name_is_cited_by_it(small_book):
    named = (
        BIB.replace("one2014", "again2014").replace("two2015", "three2015").replace("year", "shorthand = {Z+}, year")
    )
    (small_book / "references.bib").write_text(BIB + named.partition("@misc{three2015")[0])
    (small_book / "01_first.md").write_text("# First\n\n{cite}`again2014,one2014`, {cite:t}`again2014`")
    cells = twins.convert("01_first").cells
    assert cells[0].source.endswith("[Z+; One, 2014], One [Z+]")
    assert cells[1].source.index("**[One, 2014]**") < cells[1].source.index("**[Z+]**")


def test_two_entries_never_share_a_label(small_book):
    (small_book / "references.bib").write_text(
        BIB + BIB.replace("one2014", "again2014").replace("two2015", "three2015")
    )
    (small_book / "01_first.md").write_text("# First\n\n{cite}`one2014`")
    with pytest.raises(TwinError, match="shorthand"):
        twins.convert("01_first")


def test_numbers_and_links_reach_across_chapters(small_book):
    (small_book / "01_first.md").write_text("# First\n\nSee {numref}`fig-drawn` and [](02_second.md).")
    first = twins.convert("01_first").cells[0].source
    address = "https://colab.research.google.com/github/o/r/blob/m/book/02_second.ipynb"
    assert first.endswith(f"See [Fig. 2.2]({address}) and [Second]({address}).")


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("{glue:text}`x`", "role 'glue:text'"),
        ("{unknown}`x`", "role 'unknown'"),
        ("```{grid} 2\n```", "directive 'grid'"),
        (":::{carousel}\nx\n:::", "directive 'carousel'"),
        ("- item\n  ```{grid} 2\n  ```", "directive 'grid'"),
        ("> ```{note}\n> x\n> ```", "quotation"),
        ("{cite}`nobody1999`", "'nobody1999' is cited"),
        ("{numref}`fig-none`", "no label 'fig-none'"),
        ("{eq}`eq-none`", "no label 'eq-none'"),
        ("[x](missing.md)", "missing.md does not exist"),
        ("![x](figures/missing.svg)", "missing.svg does not exist"),
        ("```{figure} figures/still.svg\n:name: fig-a\n\nCaption.\n```", "no alt text"),
        ("```{figure} figures/still.svg\n:alt: A circle\n\nCaption.\n```", "has no name"),
        ("```{math}\n:label: eq-a\na\n```\n\n```{math}\n:label: eq-a\na\n```", "used twice"),
        ("$$\na\n$$ (eq-b)", "use the math directive"),
        ("```{quiz}\n- ask: Why\n  number: 1\n```", "no because"),
        ("```{quiz}\n- ask: Why {unknown}`x`\n  number: 1\n  because: x\n```", "role 'unknown'"),
        ("```{dropdown} With `code`\nx\n```", "title must not hold backticks"),
        ("```{code-cell} ipython3\n:tags: [remove-cell]\n\nx = 1\n```", "remove-cell"),
    ],
)
def test_what_has_no_plain_form_is_an_error(small_book, source, complaint):
    (small_book / "01_first.md").write_text(f"# First\n\n{source}\n", encoding="utf-8")
    (small_book / "02_second.md").write_text("# Second\n", encoding="utf-8")
    with pytest.raises(TwinError, match=re.escape(complaint)):
        twins.convert("01_first")


def test_editing_one_cell_keeps_the_ids_of_the_others(small_book):
    before = [cell.id for cell in twins.convert("02_second").cells]
    assert len(set(before)) == len(before)
    (small_book / "02_second.md").write_text(CHAPTER.replace("assert 1 < 2", "assert 1 < 3"))
    book_source.read_chapter.cache_clear()
    after = [cell.id for cell in twins.convert("02_second").cells]
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


def test_command_reports_one_line(small_book, capsys):
    (small_book / "01_first.md").write_text("# First\n\n{unknown}`x`\n", encoding="utf-8")
    assert twins.main(["--check"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(small_book.glob("*.ipynb"))


# --- the twins of this book ---


def test_real_twins_convert_as_a_command():
    command = [sys.executable, BOOK / "_tools" / "twins.py", "--check"]
    done = subprocess.run(command, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", notebooks())
def test_twin_is_in_step_and_has_no_outputs(name):
    written = (BOOK / f"{name}.ipynb").read_text(encoding="utf-8")
    assert written == twins.to_text(twins.convert(name)), f"book/{name}.ipynb is old: run `make twins`"
    notebook = nbformat.reads(written, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code[0].source == setup_cell()
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_no_twin_without_a_chapter():
    assert {path.stem for path in BOOK.glob("*.ipynb")} == set(notebooks())


@pytest.mark.parametrize("name", notebooks())
def test_twin_is_plain_markdown_with_addresses_that_exist(name):
    links = repository()
    roots = {links["blob"]: ROOT, links["raw"]: BOOK, links["colab"]: BOOK}
    for cell in nbformat.read(BOOK / f"{name}.ipynb", as_version=4).cells:
        if cell.cell_type != "markdown":
            continue
        twins.check_plain(cell.source, name)
        prose = re.sub(r"^```.*?^```", "", cell.source, flags=re.S | re.M)  # `norms[layer](x)` is code and no link
        for text in re.findall(r"\]\(([^()\s]+)\)", prose):
            assert re.match(r"https?://|mailto:", text), f"a relative address: {text}"
            for address, folder in roots.items():
                if text.startswith(address + "/"):
                    assert (folder / text.removeprefix(address + "/").split("#")[0]).is_file(), text


def test_labels_of_the_book_are_unique():
    assert Labels(notebooks()).titles.keys() == set(notebooks())


# --- running ---


@pytest.fixture(scope="module")
def runs():
    """Every twin, run two at a time with one thread each.

    Two trainings with two threads each wait for one another on two cores, for minutes where one takes one.
    """

    def run(name):
        command = [sys.executable, BOOK / "_tools" / "run_twin.py", BOOK / f"{name}.ipynb"]
        return subprocess.run(command, text=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"})

    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {name: pool.submit(run, name) for name in notebooks()}


@pytest.mark.parametrize("name", notebooks())
def test_twin_runs_from_an_empty_folder_without_sphinx(runs, name):
    done = runs[name].result()
    assert done.returncode == 0, done.stderr[-3000:]


def test_kernel_has_the_package_but_no_sphinx():
    def notebook(source):
        return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])

    run_twin(notebook("import os, deepid_lite\nassert os.listdir() == []"))
    with pytest.raises(CellExecutionError, match="No module named 'sphinx'"):
        run_twin(notebook("import sphinx"))


def test_setup_cell_installs_what_is_missing_and_nothing_else(monkeypatch):
    """In Colab the package is absent: it is installed from the repository, and torch is left as it is."""
    calls = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: calls.append(command))
    with matplotlib.rc_context():
        exec(compile(setup_cell(), "setup", "exec"), {})
        assert calls == []  # here it is present
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        exec(compile(setup_cell(), "setup", "exec"), {})
    source = f"git+{repository()['url']}@{repository()['branch']}"
    assert calls == [[sys.executable, "-m", "pip", "install", "--quiet", source]]
