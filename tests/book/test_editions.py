"""The PDF and the ePub of the book, on pages of a few lines; `make pdf` and `make epub` check the whole book."""

import shutil
import sys
import types
import zipfile
from pathlib import Path

import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_tools"))

import edition_chromium  # noqa: E402
import edition_nodes  # noqa: E402
import editions  # noqa: E402
from edition_checks import RAW_TEX, epub_faults, page_faults, pdf_faults, starts_of_pages  # noqa: E402
from edition_epub import navigation, pack, package  # noqa: E402
from edition_pages import EditionError, clean, formulas, join, new, put_mathml, read_page, stand_alone, styled, title_of  # noqa: E402

CONTENTS = [("", ["intro"]), ("Part <one>", ["01_faces", "02_nets"])]
TITLES = {"intro": "The book", "01_faces": "1. Faces", "02_nets": "2. Nets & more"}
ABOUT = {"title": "The book", "author": "Us", "rights": "CC", "version": "1", "date": "2026-01-02", "address": "a:b"}
MATHML = '<math xmlns="http://www.w3.org/1998/Math/MathML"><mi mathvariant="bold">f</mi></math>'
INTRO = """<section id="the-book"><h1>The book</h1><p>See <a href="01_faces.xhtml#fig-a">Fig. 1.1</a>.</p>
<section id="chapters"><h2>Chapters</h2><div class="toctree-wrapper"><ul><li>1. Faces</li></ul></div>
</section></section>
<script type="text/x-thebe-config">{}</script>"""
FACES = r"""<section id="faces"><h1>1. Faces<a class="headerlink" href="#faces">#</a></h1>
<p><a href="_sources/01_faces.ipynb">Download</a> <a href="#01_faces-solution-1">a solution</a>
<a href="genindex.xhtml">index</a> <a href="02_nets.xhtml">next</a> <a href="https://a.org/x">elsewhere</a></p>
<div class="cell tag_setup"><details class="hide above-input"><summary aria-label="Toggle"><p>Show</p></summary>
<pre>import torch</pre></details></div>
<p>Let <span class="math">\(\mathbf f\)</span> be small.</p>
<div class="math" id="equation-e"><span class="eqno">(1.1)</span>\[
\frac{1}{2} &lt; x
\]</div>
<figure id="fig-a"><img alt="A grey square" src="_images/a.png"/>
<figcaption><p><span class="caption-number">Fig. 1.1 </span>Grey.</p></figcaption></figure>
<div class="exercise admonition"><p class="admonition-title">Exercise 1.1</p><section id="exercise-content"><p>Why?</p>
</section></div><div class="exercise admonition"><p class="admonition-title">Exercise 1.2</p>
<section id="exercise-content"><p>And?</p>
</section></div>
<div class="solution dropdown admonition" id="01_faces-solution-1"><p class="admonition-title">Solution</p>
<section id="solution-content"><p>Because.</p></section></div>
<div class="output text_html"><style>p {}</style><div class="stage"></div><script>draw()</script></div>
<div class="quiz"><div class="quiz-question"><p class="quiz-ask">1. How many?</p><details class="quiz-answer">
<summary>Answer</summary><div class="quiz-reason"><p>Two of them.</p></div></details></div>
<div class="quiz-question"><p class="quiz-ask">2. How few?</p><details class="quiz-answer">
<summary>Answer</summary><div class="quiz-reason"><p>One of them.</p></div></details></div></div></section>"""
NETS = """<section id="nets"><h1>2. Nets &amp; more</h1><div class="cell tag_setup"><details class="hide">
<summary>x</summary><pre>import torch</pre></details></div>
<p>Back to <a href="intro.xhtml">the start</a>, to <a href="#nets">the top</a>.</p>
</section>"""

needs_chromium = pytest.mark.skipif(not any(map(shutil.which, edition_chromium.PROGRAMS)), reason="Chromium is missing")


@pytest.fixture
def raw(tmp_path):
    """A folder as Sphinx's ePub builder leaves it."""
    (tmp_path / "_images").mkdir()
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "pygments.css").write_text(".k { color: green; }")
    Image.new("RGB", (40, 30), (90, 120, 150)).save(tmp_path / "_images" / "a.png")
    for name, body in zip(TITLES, (INTRO, FACES, NETS), strict=True):
        page = f'<html><body><div class="body" role="main">{body}<div class="clearer"></div></div></body></html>'
        (tmp_path / f"{name}.xhtml").write_text(page, encoding="utf-8")
    return tmp_path


@pytest.fixture
def pages(raw):
    return {name: clean(read_page(raw / f"{name}.xhtml"), name) for name in TITLES}


# --- the clean pages ---


def test_contents_are_those_of_the_book():
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
    found = editions.contents()
    assert found[0] == ("", [toc["root"]])
    assert [caption for caption, _ in found[1:]] == [part["caption"] for part in toc["parts"]]
    assert sum(len(names) for _, names in found) == len(list((ROOT / "book").glob("*.md")))


def test_clean_pages_have_no_faults(pages):
    assert [fault for name, body in pages.items() for fault in page_faults(name, body)] == []
    assert {name: title_of(body) for name, body in pages.items()} == TITLES


def test_what_needs_a_script_becomes_a_pointer(pages):
    body = pages["01_faces"]
    assert "draw()" not in str(body) and not body.select(".stage")
    assert body.select_one("p.pointer a")["href"].endswith("/01_faces.ipynb")


def test_folds_are_all_of_one_kind(pages):
    kinds = [fold["class"] for fold in pages["01_faces"].find_all("details")]
    assert kinds == [["fold", "hide"], ["fold", "solution"], ["fold", "quiz-answer"], ["fold", "quiz-answer"]]
    assert [fold.summary.get_text() for fold in pages["01_faces"].find_all("details")] == [
        "Code",
        "Solution",
        "Answer",
        "Answer",
    ]


def test_links_follow_ids_and_notebooks_are_in_the_repository(pages):
    links = [link["href"] for link in pages["01_faces"].find_all("a")]
    assert links[0] == f"{editions.repository()['book']}/01_faces.ipynb"
    assert links[1] == "#n01_faces-solution-1" and pages["01_faces"].find(id="n01_faces-solution-1")


@pytest.mark.parametrize(
    "markup, fault",
    [
        ("<p>{term}`face` here</p>", "left as it was written"),
        (r"<p>the loss \(x\)</p>", "left as it was written"),
        (r"<p>what \lambda does</p>", "left as it was written"),
        ("<p id='a'></p><p id='a'></p>", "twice"),
        ("<img src='https://a.org/b.png' alt='b'/>", "loads"),
        ("<img src='data:image/png;base64,AA' alt='b'/>", "loads"),
        ("<img src='_images/a.png' alt=' '/>", "alt text"),
        ("<input type='radio'/>", "<input>"),
        ("<script>1</script>", "<script>"),
    ],
)
def test_a_fault_of_a_page_is_found(markup, fault):
    found = page_faults("x", new(f"<div><h1>x</h1>{markup}</div>"))
    assert len(found) == 1 and fault in found[0], found


def test_code_and_equations_may_hold_backslashes():
    assert page_faults("x", new(r'<div><code>\frac{1}</code><span class="math">\(\frac12\)</span></div>')) == []


def test_a_strange_file_is_one_line(tmp_path):
    (tmp_path / "x.xhtml").write_text("<p>nothing</p>")
    with pytest.raises(EditionError, match="no page of the book"):
        read_page(tmp_path / "x.xhtml")


# --- equations ---


def test_formulas_are_read_without_numbers_and_delimiters(pages):
    found = [(tex, displayed) for _, tex, displayed in formulas(pages["01_faces"])]
    assert found == [(r"\mathbf f", False), (r"\frac{1}{2} < x", True)]


def test_mathml_keeps_number_and_tex(pages):
    body = pages["01_faces"]
    put_mathml(body, {(r"\mathbf f", False): MATHML, (r"\frac{1}{2} < x", True): MATHML})
    assert [formula["alttext"] for formula in body.find_all("math")] == [r"\mathbf f", r"\frac{1}{2} < x"]
    assert body.find(id="equation-e").get_text().strip() == "(1.1)\N{MATHEMATICAL BOLD SMALL F}"


@pytest.mark.parametrize(
    "letter, variant, name",
    [
        ("f", "bold", "MATHEMATICAL BOLD SMALL F"),
        ("0", "bold", "MATHEMATICAL BOLD DIGIT ZERO"),
        ("μ", "bold-italic", "MATHEMATICAL BOLD ITALIC SMALL MU"),
        ("R", "double-struck", "DOUBLE-STRUCK CAPITAL R"),
        ("P", "script", "MATHEMATICAL SCRIPT CAPITAL P"),
        ("L", "script", "SCRIPT CAPITAL L"),
        ("+", "bold", "PLUS SIGN"),
    ],
)
def test_styled_letters(letter, variant, name):
    import unicodedata

    assert unicodedata.name(styled(letter, variant)) == name


# --- the single page of the PDF ---


def test_joined_pages_have_one_name_space(pages):
    main = join(pages, CONTENTS)
    ids = [tag["id"] for tag in main.find_all(id=True)]
    assert len(ids) == len(set(ids))
    inside = [link["href"] for link in main.find_all("a") if link["href"].startswith("#")]
    assert len(inside) == 5 and all(address[1:] in ids for address in inside)
    assert "genindex" not in str(main) and main.find(href="https://a.org/x")


def test_parts_are_on_top_and_pages_below_them(pages):
    main = join(pages, CONTENTS)
    heads = [(tag.name, tag.get_text()) for tag in main.find_all(["h1", "h2"])]
    assert heads == [("h1", "The book"), ("h1", "Part <one>"), ("h2", "1. Faces"), ("h2", "2. Nets & more")]


def test_folds_are_open_and_the_set_up_cell_is_printed_once(pages):
    main = join(pages, CONTENTS)
    assert not main.select("details, summary, .toctree-wrapper")
    assert str(main).count("import torch") == 1
    assert "Because." in main.select_one("div.solution").get_text()


def test_code_that_only_draws_is_not_printed_but_what_it_draws_is():
    cell = "<div class='cell {}'><details class='hide'><summary>x</summary><pre>{}</pre></details><p>{}</p></div>"
    body = "".join(cell.format(*words) for words in (("tag_hide-input", "plot()", "drawn"), ("", "train()", "trained")))
    page = clean(new(f"<div><section><h1>A</h1>{body}</section></div>"), "a")
    text = join({"intro": page}, [("", ["intro"])]).get_text()
    assert "plot()" not in text and all(word in text for word in ("drawn", "train()", "trained"))


def test_short_tables_are_kept_in_one_piece_and_long_ones_are_not():
    tables = "".join(f"<table>{'<tr><td>1</td></tr>' * rows}</table>" for rows in (3, 40))
    page = new(f"<div><section><h1>A</h1>{tables}</section></div>")
    short, long = join({"intro": page}, [("", ["intro"])]).find_all("table")
    assert short["class"] == ["short"] and not long.get("class")


def test_answers_stand_behind_all_questions(pages):
    text = join(pages, CONTENTS).get_text()
    order = ("Why?", "And?", "1. How many?", "2. How few?", "Solutions", "Because.", "Answers to the quiz",
             "Two of them.", "One of them.", "2. Nets & more")  # fmt: skip
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "Solution to Exercise 1.2" in text


def test_page_numbers_are_filled_in():
    front = editions.front({name: name for _, names in editions.contents() for name in names})
    numbers = {name: place for place, name in enumerate(names for _, part in editions.contents() for names in part)}
    filled = editions.fill_in(front, numbers)
    assert front.count(">000<") == len(numbers) and ">000<" not in filled.replace(">0<", "")
    assert f'<span data-page="{list(numbers)[-1]}">{len(numbers) - 1}</span>' in filled


def test_running_heads_quote_titles():
    assert r'content: "a \"b\" \\c";' in editions.running_heads({"x": 'a "b" \\c'})


def test_equations_without_a_typeset_form_are_named():
    good, bad = '<mjx-container class="MathJax">x', '<mjx-container class="MathJax"><mjx-merror>y'
    labelled = editions.label_equations(good + good, ["a < b", "c"])
    assert labelled.count('role="img" aria-label="a &lt; b"') == labelled.count('aria-label="c"') == 1
    with pytest.raises(EditionError, match="1 of 2"):
        editions.label_equations(good, ["a", "b"])
    with pytest.raises(EditionError, match="'b'"):
        editions.label_equations(good + bad, ["a", "b"])


# --- ePub ---


@pytest.fixture
def parts(raw, pages):
    """What goes into an ePub: (files, properties of the manifest)."""
    put_mathml(pages["01_faces"], {(r"\mathbf f", False): MATHML, (r"\frac{1}{2} < x", True): MATHML})
    pages["01_faces"].find(href="genindex.xhtml").unwrap()
    files = {f"{name}.xhtml": stand_alone(body).encode() for name, body in pages.items()}
    files |= {"_images/a.png": (raw / "_images" / "a.png").read_bytes(), "pygments.css": b"", "editions.css": b""}
    files["nav.xhtml"] = navigation(TITLES, CONTENTS).encode()
    return files, {"nav.xhtml": "nav", "01_faces.xhtml": "mathml"}


def packed(path, files, properties, spine=tuple(TITLES), lost=()):
    opf = package(files, properties, spine, ABOUT).encode()
    pack(path, {name: data for name, data in files.items() if name not in lost} | {"content.opf": opf})
    return epub_faults(path, list(TITLES))


def test_a_sound_epub_has_no_faults(tmp_path, parts):
    assert packed(tmp_path / "a.epub", *parts) == []
    with zipfile.ZipFile(tmp_path / "a.epub") as archive:
        first = archive.infolist()[0]
        assert (first.filename, first.compress_type, archive.read(first)) == ("mimetype", 0, b"application/epub+zip")
        assert "<dc:date>2026-01-02</dc:date>" in archive.read("OEBPS/content.opf").decode()
    again = tmp_path / "b.epub"
    packed(again, *parts)
    assert again.read_bytes() == (tmp_path / "a.epub").read_bytes()


@pytest.mark.parametrize(
    "old, made, fault",
    [
        ("<p>Let", "<p>Let <br>", "not well-formed"),
        ("<p>Let", "<p>Let {term}`x`", "left as it was written"),
        ("<p>Let", r"<p>Let \frac", "left as it was written"),
        ('src="_images/a.png"', 'src="https://a.org/a.png"', "loads https"),
        ('src="_images/a.png"', 'src="_images/b.png"', "not in the archive"),
        ('href="02_nets.xhtml"', 'href="03_more.xhtml"', "not in the archive"),
        ('href="02_nets.xhtml"', 'href="02_nets.xhtml#gone"', "is called gone"),
        ("<p>Let", "<p><script>1</script>Let", "<script> is left"),
    ],
)
def test_a_fault_of_an_epub_is_found(tmp_path, parts, old, made, fault):
    files, properties = parts
    text = files["01_faces.xhtml"].decode()
    assert old in text
    found = packed(tmp_path / "a.epub", files | {"01_faces.xhtml": text.replace(old, made, 1).encode()}, properties)
    assert len(found) == 1 and fault in found[0], found


def test_faults_of_the_package_are_found(tmp_path, parts):
    files, properties = parts
    path = tmp_path / "a.epub"
    lost = packed(path, files, properties, lost=["pygments.css"])
    assert "OEBPS/pygments.css is listed but not in the archive" in lost
    assert "spine" in packed(path, files, properties, spine=list(TITLES)[::-1])[0]
    assert packed(path, files, {"nav.xhtml": "nav"}) == ["01_faces.xhtml: the manifest is wrong about MathML"]
    styled_page = files | {"editions.css": b"@import url(https://a.org/x.css);"}
    assert packed(path, styled_page, properties)
    packed(path, *parts)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("OEBPS/more.txt", "x")
    assert epub_faults(path, list(TITLES)) == ["OEBPS/more.txt is in the archive but not listed"]
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "b.epub", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in old.namelist():
            if not name.endswith("more.txt"):
                archive.writestr(name, old.read(name))
    assert "uncompressed mimetype" in epub_faults(tmp_path / "b.epub", list(TITLES))[0]


def test_the_epub_has_no_rules_for_paper():
    sheet = (ROOT / "book" / "_tools" / "editions.css").read_text(encoding="utf-8")
    screen, _, paper = sheet.partition("/* The PDF alone")
    assert "@page" in paper and "@page" not in screen and ".pdf" not in screen


# --- with Chromium ---


@pytest.fixture
def small_book(raw, pages, monkeypatch):
    monkeypatch.setattr(editions, "RAW", raw)
    monkeypatch.setattr(editions, "BUILD", raw)
    monkeypatch.setattr(editions, "read_pages", lambda: pages)
    monkeypatch.setattr(editions, "contents", lambda: CONTENTS)
    return raw


@needs_chromium
def test_pdf_of_a_small_book(small_book):
    path = small_book / "a.pdf"
    assert editions.write_pdf(path) == []
    numbers = starts_of_pages(path, TITLES)
    assert list(numbers) == list(TITLES) and numbers["intro"] == 3
    pictures = {"_images/a.png"}
    assert pdf_faults(path, TITLES, numbers, ["Fig. 1.1"], pictures) == []
    assert pdf_faults(path, TITLES, numbers, ["Fig. 9.9"], pictures) == ["the caption of Fig. 9.9 is missing"]
    assert pdf_faults(path, TITLES, numbers, [], pictures | {"b.png", "c.svg"}) == ["1 of 2 pictures were printed"]
    assert "page numbers" in pdf_faults(path, TITLES, numbers | {"intro": 2}, [], pictures)[0]
    more = TITLES | {"03_gone": "3. Gone"}
    assert pdf_faults(path, more, numbers, [], pictures) == ["no bookmark leads to '3. Gone'"]


@needs_chromium
def test_epub_of_a_small_book(small_book, pages):
    pages["01_faces"].find(href="genindex.xhtml").unwrap()
    path = small_book / "a.epub"
    assert editions.write_epub(path) == []
    with zipfile.ZipFile(path) as archive:
        text = archive.read("OEBPS/01_faces.xhtml").decode()
    assert "\N{MATHEMATICAL BOLD SMALL F}</mi>" in text and "<mfrac>" in text
    assert not RAW_TEX.search(text.replace('alttext="\\', ""))


@needs_chromium
def test_an_equation_that_mathjax_cannot_read_is_named(tmp_path):
    with pytest.raises(EditionError, match=r"cannot read the equation .*undefinedthing"):
        edition_chromium.to_mathml([("x", False), (r"\undefinedthing y", True)], tmp_path / "a.html")


@needs_chromium
def test_a_page_prints_open_and_without_bars(tmp_path):
    sheet = (ROOT / "book" / "_static" / "print.css").as_uri()
    page = tmp_path / "a.html"
    page.write_text(
        f'<html data-theme="dark"><link rel="stylesheet" href="{sheet}"><body>'
        '<div class="bd-header">bar</div>'
        "<details><summary>Question</summary><p>folded answer</p></details>"
        '<aside class="margin" style="display: none">aside note</aside></body></html>'
    )
    target = tmp_path / "a.pdf"
    edition_chromium.chromium(page, f"--print-to-pdf={target}", "--no-pdf-header-footer")
    from pypdf import PdfReader

    text = PdfReader(target).pages[0].extract_text()
    assert "folded answer" in text and "aside note" in text and "bar" not in text


# --- the command ---


@pytest.mark.parametrize("named", ["", "no-such-browser"])
def test_without_chromium_one_line_says_what_to_do(monkeypatch, capsys, tmp_path, named):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CHROMIUM", named)
    monkeypatch.setattr(editions, "build_pages", lambda: pytest.fail("the book was built before Chromium was found"))
    assert editions.main(["pdf"]) == 1
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and "install the package chromium" in said and "CHROMIUM" in said and named in said


def test_a_faulty_edition_does_not_replace_a_good_one(monkeypatch, capsys, tmp_path):
    target = tmp_path / "_build" / "deepid-lite.pdf"
    target.parent.mkdir()
    target.write_text("good")
    monkeypatch.setattr(editions, "ROOT", tmp_path)
    monkeypatch.setattr(editions, "find_chromium", str)
    monkeypatch.setattr(editions, "build_pages", lambda: None)
    monkeypatch.setitem(editions.WRITERS, "pdf", lambda draft: draft.write_text("bad") and ["page 3 is empty"])
    assert editions.main(["pdf"]) == 1
    assert "page 3 is empty" in capsys.readouterr().err and target.read_text() == "good"


def test_an_unknown_edition_is_refused(capsys):
    assert editions.main(["docx"]) == 2
    assert "pdf|epub" in capsys.readouterr().err


def test_html_visitors_serve_the_epub():
    app = types.SimpleNamespace(
        registry=types.SimpleNamespace(
            translation_handlers={"html": {"a": 1, "b": 2}, "epub": {"b": 3}, "latex": {"a": 4}}
        )
    )
    edition_nodes.share_visitors(app)
    assert app.registry.translation_handlers["epub"] == {"a": 1, "b": 3}


def test_the_pages_load_the_rules_for_paper():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert "print.css" in config["sphinx"]["config"]["html_css_files"]
    sheet = (ROOT / "book" / "_static" / "print.css").read_text(encoding="utf-8")
    depth, outside = 0, ""
    for letter in sheet.partition("*/")[2]:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        outside += letter if depth == 0 and letter != "}" else ""
    assert outside.split() == ["@media", "print"], "print.css changes the screen"
