"""The book's sources: complete, consistent with the package's files, and free of what must not be in them."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from docutils import nodes

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
sys.path.insert(0, str(BOOK / "_tools"))

import book_source  # noqa: E402
import build  # noqa: E402
import deepid_book  # noqa: E402
import previews  # noqa: E402
import typography  # noqa: E402
from accessible import mend  # noqa: E402
from book_source import chapters, figure_of, notebooks, pieces, read_chapter, reading_minutes, repository, setup_cell  # noqa: E402
from questions import read_questions  # noqa: E402

CORE = {
    "torch", "accelerate", "safetensors", "numpy", "scipy", "scikit-learn", "scikit-image", "pillow", "pandas",
    "matplotlib", "seaborn", "typer", "tqdm", "lazy-loader",
}  # fmt: skip
PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".heic", ".avif"}
# Drawn from the synthetic generator or from numbers; a photograph of a person must never be added here.
DRAWN = {"book/figures/synthetic_faces.png", "book/figures/glance.png"}
DRAWS = re.compile(r"\bplt\.(?!rcParams)|\.imshow\(|\bsns\.(?!set_)|\b(plots|pictures)\.\w+\(")


def plain_name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), "exact versions only"
    return {plain_name(line): line.split("==")[1] for line in lines}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def files() -> list[Path]:
    """All files that are or would be committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True, check=True, capture_output=True
    ).stdout.splitlines()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def texts(*suffixes):
    for path in files():
        if path.suffix in suffixes:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


# --- packaging ---


def test_core_dependencies():
    assert {plain_name(line) for line in project()["dependencies"]} == CORE
    extras = {"book", "search", "data", "coursework", "onnx", "browser", "detect", "dev"}
    assert extras <= set(project()["optional-dependencies"])


def test_everything_asked_for_is_pinned():
    extras = [line for group in project()["optional-dependencies"].values() for line in group]
    missing = {plain_name(line) for line in project()["dependencies"] + extras} - set(pins())
    assert not missing
    assert pins()["torch"] == "2.13.0" and pins()["jupyter-book"].startswith("1.")


def test_environment_agrees_with_constraints():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    lines = environment[-1]["pip"]
    assert lines[0] == "-c constraints.txt" and lines[-1] == "-e ."
    listed = dict(line.lower().split("==") for line in lines[1:-1])
    assert listed == {name: pins()[name] for name in listed}
    groups = project()["optional-dependencies"]
    installed = re.search(r'-e "\.\[(.*)\]"', (ROOT / "Makefile").read_text(encoding="utf-8"))[1].split(",")
    wanted = project()["dependencies"] + [line for name in installed for line in groups[name]]
    assert set(listed) == {plain_name(line) for line in wanted}


def test_make_help_lists_every_target():
    shown = subprocess.run(["make", "help"], cwd=ROOT, text=True, capture_output=True, check=True).stdout
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)[1].split()
    assert set(targets) == set(re.findall(r"^ +make (\w+)\t", shown, re.M))
    assert {"book", "test", "coursework", "browser", "help"} <= set(targets)


def test_ci_builds_the_book_first_and_tests_last():
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    made = [line.removeprefix("make ") for line in lines if line.startswith("make ")]
    assert made[0] == "book" and {"coursework", "browser"} <= set(made) and lines[-1] == "make test"


def test_actions_are_pinned_by_commit():
    workflows = [path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")]
    used = re.findall(r"uses: (\S+@.*)$", "\n".join(workflows), re.MULTILINE)
    assert used and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}  # v[\d.]+", action) for action in used)


def test_the_workflows_run_every_python_that_is_promised():
    matrix = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    promised = [line.rpartition(" ")[2] for line in project()["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert matrix["jobs"]["test"]["strategy"]["matrix"]["python"] == promised
    assert project()["requires-python"] == f">={promised[0]}"


def test_browser_tests_wait_for_their_own_target():
    folders = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    assert "browser" in folders["norecursedirs"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "pytest -q tests/browser" in makefile and "browser" in re.search(r'-e "\.\[(.*)\]"', makefile)[1].split(",")


# --- sources ---


def test_every_page_of_the_contents_exists():
    toc = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
    pages = [toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"])]
    assert [page for page in pages if not (BOOK / f"{page}.md").is_file()] == []
    listed = {BOOK / f"{page}.md" for page in pages}
    assert set(BOOK.glob("*.md")) == listed, "a page is missing in book/_toc.yml"


@pytest.mark.parametrize("name", notebooks())
def test_chapter(name):
    cells = read_chapter(name).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert code[0].source == setup_cell(), "the first code cell is not book/_tools/setup_cell.txt"
    assert "setup" in code[0].metadata["tags"]
    assert "```{chapter-card}" in cells[0].source
    for cell in code[1:]:
        image, figure = cell.metadata.get("mystnb", {}).get("image", {}), figure_of(cell)
        if DRAWS.search(cell.source) or image or figure:
            assert len(image.get("alt", "")) >= 20, f"alt text is missing or too short:\n{cell.source}"
            assert figure.get("caption") and figure.get("name", "").startswith("fig-"), cell.source
        assert not re.search(r"^\s*[%!]", cell.source, re.M), f"no magics:\n{cell.source}"


@pytest.mark.parametrize("name", [*chapters()[:7], "systems"])
def test_code_fits_the_column_and_tables_have_captions(name):
    for cell in read_chapter(name).cells:
        if cell.cell_type == "code":
            wide = [row for row in cell.source.split("\n") if len(row) > 76]
            assert not wide, f"at 1280 pixels the column holds 76 characters: {wide[0]}"
            tables = len(re.findall(r"\bmarkdown_table\(", cell.source))
            assert cell.source.count("caption=") >= tables, f"a table without a caption:\n{cell.source}"


@pytest.mark.parametrize("name", chapters())
def test_chapter_ends_with_a_quiz_of_three_to_five_questions(name):
    blocks = [
        piece for cell in read_chapter(name).cells if cell.cell_type == "markdown" for piece in pieces(cell.source)
    ]
    places = [place for place, block in enumerate(blocks) if block[:2] == ("directive", "quiz")]
    assert len(places) == 1 and 3 <= len(read_questions(blocks[places[0]][4])) <= 5
    assert blocks[places[0] - 1][2] == "Check yourself", "the quiz has its heading"


@pytest.mark.parametrize("name", notebooks())
def test_chapter_card_names_modules_that_exist(name):
    card = re.search(r"^:module: (.*)$", read_chapter(name).cells[0].source, re.M)[1]
    for module in re.split(r",\s*", card):
        assert (ROOT / "deepid_lite" / f"{module}.py").is_file(), module


def test_repository_address_is_one_constant():
    url = repository()["url"]
    assert all(link == url or link.startswith(f"{url}/") for link in project()["urls"].values())
    owner = re.escape(url.removeprefix("https://github.com/").split("/")[0])
    pattern = rf"(?:github\.com|githubusercontent\.com|github)/({owner}/[\w-]+)"
    for name, text in texts(".md", ".toml", ".yml", ".ipynb", ".py", ".txt"):
        for found in re.findall(pattern, text):
            assert f"https://github.com/{found}" == url, f"{name} holds another address: {found}"
    assert url in setup_cell()


def test_every_paper_has_a_label_of_its_own_and_a_link():
    labels = {key: entry[0] for key, entry in book_source.bibliography().items()}
    assert len(set(labels.values())) == len(labels)
    series = ("sun2014deepid", "sun2014deepid2", "sun2015deeply", "sun2015deepid3")
    assert [labels[key] for key in series] == ["DeepID", "DeepID2", "DeepID2+", "DeepID3"]
    linked = re.compile(r"\]\(https?://")
    assert [key for key, entry in book_source.bibliography().items() if not linked.search(entry[-1])] == []


def test_no_machine_paths():
    places = re.compile(r"(?<![\w.])/(?:home|root|work|tmp|content|Users)/")
    for name, text in texts(".md", ".py", ".yml", ".toml", ".txt", ".ipynb", ".json", ".bib"):
        if not name.startswith("tests/"):
            assert not places.search(text), f"{name} holds {places.search(text)[0]}"
    shared = "../" + "shared"
    for path in files():
        if path.suffix not in PICTURES | {".safetensors"} and path != ROOT / ".ci" / "run":
            assert shared not in path.read_text(encoding="utf-8"), path


def test_no_photographs():
    found = {path.relative_to(ROOT).as_posix() for path in files() if path.suffix.lower() in PICTURES}
    assert found <= DRAWN
    for name, text in texts(".svg", ".ipynb", ".md"):
        assert "data:image" not in text and "<image" not in text, f"{name} embeds a picture"


# --- tools ---


def test_build_reports_other_hosts_missing_alt_text_and_raw_myst():
    good = '<script src="_static/a.js"></script><img src="x.png" alt="A face."><a href="https://elsewhere.org">x</a>'
    assert build.page_faults("p", good) == []
    bad = '<script src="https://unpkg.com/a.js"></script><link rel="stylesheet" href="//cdn.org/a.css">'
    assert len(build.page_faults("p", bad)) == 2
    assert len(build.page_faults("p", '<img src="x.png"><img src="y.png" alt="_images/1234.png">')) == 2
    assert len(build.page_faults("p", "<p>{term}`embedding`</p>")) == 1


def test_execution_key_follows_package_results_and_constraints(tmp_path, monkeypatch):
    monkeypatch.setattr(deepid_book, "ROOT", tmp_path)
    monkeypatch.setattr(deepid_book, "BOOK", tmp_path / "book")
    for name in (
        "deepid_lite/a.py",
        "deepid_lite/weights/w.safetensors",
        "book/results/lite/r.json",
        "constraints.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1", encoding="utf-8")
    keys = {deepid_book.execution_key()}
    for name in (
        "deepid_lite/a.py",
        "deepid_lite/weights/w.safetensors",
        "book/results/lite/r.json",
        "constraints.txt",
    ):
        assert deepid_book.execution_key() in keys
        (tmp_path / name).write_text("2", encoding="utf-8")
        keys.add(deepid_book.execution_key())
    assert len(keys) == 5


def test_a_line_above_a_table_becomes_its_caption():
    def page(words):
        table = nodes.table("", nodes.tgroup("", cols=1))
        return nodes.section("", nodes.paragraph("", "", nodes.Text(words), nodes.emphasis("", "x")), table), table

    section, table = page("Table: What ")
    deepid_book.caption_tables(None, section, "page")
    assert section.children == [table] and isinstance(table[0], nodes.title) and table[0].astext() == "What x"
    section, table = page("The table: what ")
    deepid_book.caption_tables(None, section, "page")
    assert len(section) == 2 and len(table) == 1


@pytest.mark.parametrize(("name", "asked"), [("10_selectiveness", True), ("glossary", False)])
def test_a_chapter_ends_with_a_link_for_questions_about_it(name, asked):
    from docutils import nodes
    from docutils.utils import new_document

    document = new_document(name)
    document += nodes.section("", nodes.title("", "What a neuron knows"), nodes.section("", nodes.title("", "Last")))
    deepid_book.invite_questions(None, document, f"book/{name}")
    links = [link["refuri"] for link in document[0][-1].findall(nodes.reference)]
    assert len(links) == asked and all(
        link.endswith("/issues/new?title=What%20a%20neuron%20knows%3A%20") for link in links
    )


def test_mends_change_a_page_once_and_leave_the_rest():
    page = """<button class="btn search-button-field pst-js-only" title="Search" aria-label="Search">Search</button>
<button class="btn theme-switch-button" aria-label="Color mode"><i class="theme-switch fa" title="Light"></i></button>
<summary aria-label="Toggle hidden content"><p>Show</p></summary><div id="pst-primary-sidebar" class="a"></div>
<div class="citation" role="doc-biblioentry">x</div>
<th class="head text-left"><p></p></th><th class="head"><p>a</p></th><a title="kept" aria-label="kept">x</a>"""
    once = mend(page)
    assert mend(once) == once
    assert once.count("aria-label") == 3 and 'aria-label="Color mode"' in once and 'title="Light"' not in once
    assert 'role="navigation" aria-label="Book"' in once and 'role="listitem"' in once
    assert '<td class="head text-left"></td><th class="head"><p>a</p></th>' in once
    assert '<a title="kept" aria-label="kept">' in once


def test_reading_time_follows_the_text(monkeypatch, tmp_path):
    monkeypatch.setattr(book_source, "BOOK", tmp_path)
    head = "---\nkernelspec: {name: python3, display_name: Python 3, language: python}\n---\n"
    code = "\n\n```{code-cell} ipython3\n" + "x = 1\n" * 100 + "```\n"
    times = []
    for place, text in enumerate(["one two", "word " * 1990, "word " * 1990 + code]):
        (tmp_path / f"page{place}.md").write_text(head + text, encoding="utf-8")
        times.append(reading_minutes(f"page{place}"))
    assert times == [5, 10, 15]


def test_a_page_is_described_by_its_first_sentences():
    text = "Nobody told it about hats [A+]. Sun et al. [B] looked\ninside. " + "It is long. " * 30
    assert previews.shorten(text).startswith("Nobody told it about hats. Sun et al. looked inside. It is long.")
    assert len(previews.shorten(text)) <= previews.LENGTH and previews.shorten(text).endswith("long.")
    assert len(previews.shorten("word " * 100)) == previews.LENGTH and previews.shorten("word " * 100).endswith("…")


def test_a_line_does_not_break_before_a_unit_or_beside_a_formula():
    line = nodes.paragraph("", "", nodes.Text("92.4 ± 0.4 % ("), nodes.math("", "x"), nodes.Text("), 5 % of "))
    line += [nodes.math("", "y"), nodes.Text(" and "), nodes.literal("", "", nodes.Text("50 % 3"))]
    typography.keep_together(None, line, "page")
    assert line.astext() == "92.4\u00a0±\u00a00.4\u00a0% (x), 5\u00a0% of y and 50 % 3"
    boxes = [box.astext() for box in line.findall(nodes.inline) if "bound" in box["classes"]]
    assert boxes == ["(x),"] and [one.astext() for one in line.findall(nodes.math)] == ["x", "y"]


def test_docstrings_become_text():
    lines = ["Returns `x` and *args, a|b_ .", "", "  1. kept", "    deeper", "", "- item", "", "**Not** *so?*, a * b"]
    deepid_book.plain_docstring(None, "", "", None, None, lines)
    assert lines[0] == r"Returns \ ``x``\  and \*args, a\|b\_ ."
    assert lines[2] == "| \u00a0\u00a0\\1. kept" and lines[5] == "| \\- item"
    assert lines[7] == r"\ *Not*\  \ *so?*\ , a \* b"


def test_the_api_shows_a_commands_options_without_their_help():
    from deepid_lite.cli.main import train

    shown, returns = deepid_book.readable_signature(
        None, "function", "deepid_lite.cli.main.train", train, None, "(x)", None
    )
    assert "Annotated" not in shown and "Path" not in shown and shown.startswith("(data=") and returns is None
    assert (
        deepid_book.readable_signature(None, "function", "deepid_lite.nets.training.fit", train, None, "(x)", None)
        is None
    )


def test_the_api_leaves_out_what_python_says_of_a_field():
    from collections import namedtuple

    field = namedtuple("Row", "name").name
    assert deepid_book.no_numbered_fields(None, "attribute", "name", field, False, None)
    assert deepid_book.no_numbered_fields(None, "function", "escape", deepid_book.escape, False, None) is None


def test_handouts_name_sections_that_the_chapters_have():
    headings = {}
    for path in BOOK.glob("[0-9]*.md"):
        found = re.findall(r"^#{1,4} (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        headings[int(path.name[:2])] = found
    named = []
    for path in (ROOT / "coursework").glob("ps*/*.md"):
        text = " ".join(path.read_text(encoding="utf-8").split())
        for chapter, *title in re.findall(r'[Cc]hapter (\d+), (?:\*([^*]+)\*|"([^"]+)")', text):
            named.append((path.name, int(chapter), "".join(title)))
    assert len(named) > 10
    for handout, chapter, title in named:
        assert any(heading.startswith(title) for heading in headings[chapter]), f"{handout}: chapter {chapter}, {title}"
