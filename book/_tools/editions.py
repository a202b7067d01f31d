"""`make pdf` and `make epub`: the book as a file, from the same sources and the same executed cells as the web pages.

    python book/_tools/editions.py pdf     _build/deepid-lite.pdf
    python book/_tools/editions.py epub    _build/deepid-lite.epub

Sphinx writes the pages for an ePub, edition_pages.py takes away what needs a script, and Chromium, without a network,
sets the equations (with the book's own MathJax) and prints the PDF. edition_checks.py looks at what came out.
"""

import datetime
import re
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path

import book_source
import yaml
from book_source import BOOK, ROOT, repository, settings
from edition_checks import epub_faults, page_faults, pdf_faults, starts_of_pages
from edition_chromium import chromium, find_chromium, mathjax, to_mathml
from edition_epub import navigation, pack, package
from edition_pages import (
    EditionError,
    clean,
    formulas,
    gather_answers,
    join,
    name_id,
    put_mathml,
    read_page,
    stand_alone,
    title_of,
)
from run_twin import plain_ipython

import deepid_lite

BUILD = ROOT / "_build" / "editions"
RAW = BUILD / "_build" / "epub"  # where Jupyter Book puts what the ePub builder writes
PRINT_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<link rel="stylesheet" href="_static/pygments.css"><style>{css}</style></head>
<body class="pdf">{front}{main}
<script>
window.MathJax = {{chtml: {{fontURL: "{mathjax}/output/chtml/fonts/woff-v2"}},
  options: {{enableMenu: false, enableAssistiveMml: false, ignoreHtmlClass: ".*", processHtmlClass: "math"}},
  startup: {{pageReady: () => MathJax.startup.defaultPageReady().then(() => {{
    document.body.dataset.typeset = "done";
    document.querySelectorAll("script").forEach(script => script.remove());
  }})}}}};
</script>
<script src="{mathjax}/tex-chtml-full.js"></script></body></html>
"""


# --- the book ---


def contents() -> list[tuple[str, list[str]]]:
    """(caption of the part, its pages) in order; the first page stands alone, under no caption."""
    toc = book_source.contents()
    parts = [(part["caption"], [page["file"] for page in part["chapters"]]) for part in toc["parts"]]
    return [("", [toc["root"]]), *parts]


def version() -> str:
    return deepid_lite.__version__


def date() -> str:
    """The day of the commit, so that one commit gives one file; today's where there is no git."""
    found = subprocess.run(["git", "log", "-1", "--format=%cs"], cwd=ROOT, text=True, capture_output=True)
    if found.returncode == 0 and found.stdout.strip():
        return found.stdout.strip()
    return datetime.date.today().isoformat()


def about() -> dict:
    """What a title page and a catalogue want to know."""
    config = settings()
    return {
        "title": config["title"],
        "author": config["author"],
        "rights": str(config["copyright"]),
        "version": version(),
        "date": date(),
        "address": repository()["url"],
    }


def build_pages():
    """Run Sphinx's ePub builder. It crashes on launch buttons, so it gets a configuration without them."""
    config = settings()
    config.pop("launch_buttons", None)
    sphinx = config["sphinx"]
    extensions = sphinx["local_extensions"] | {"edition_nodes": "book/_tools"}
    sphinx["local_extensions"] = {name: str(ROOT / path) for name, path in extensions.items()}
    sphinx["config"] |= {
        "project": config["title"],
        "version": version(),
        "epub_basename": "deepid-lite",
        "epub_show_urls": "no",
        "suppress_warnings": ["epub.unknown_project_files"],
    }
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [
        sys.executable,
        "-c",
        "from jupyter_book.cli.main import main; main()",
        "build",
        str(BOOK),
        "--path-output",
        str(BUILD),
        "--config",
        str(BUILD / "_config.yml"),
        "--builder",
        "custom",
        "--custom-builder",
        "epub",
        "--warningiserror",
        "--keep-going",
    ]
    if subprocess.run(command, cwd=ROOT, env=plain_ipython(ROOT / "_build" / ".ipython")).returncode:
        # as in build.py: pages that warned would pass in silence next time
        shutil.rmtree(BUILD, ignore_errors=True)
        raise EditionError("the build failed; the messages above say where")


def read_pages() -> dict:
    """Every page of the contents, clean."""
    pages = {name: clean(read_page(RAW / f"{name}.xhtml"), name) for _, names in contents() for name in names}
    if faults := [fault for name, body in pages.items() for fault in page_faults(name, body)]:
        raise EditionError("\n".join(["the pages are not fit for an edition:", *faults]))
    return pages


# --- PDF ---


def write_pdf(draft: Path) -> list[str]:
    """Print the PDF; its faults."""
    pages = read_pages()
    titles = {name: title_of(body) for name, body in pages.items()}
    main = join(pages, contents())
    text = typeset(main, titles)
    printed = RAW / "pdf-typeset.html"
    numbers = {}
    for _ in range(2):  # the first time says on which pages the chapters begin
        printed.write_text(fill_in(text, numbers), encoding="utf-8")
        chromium(printed, f"--print-to-pdf={draft}", "--no-pdf-header-footer", "--generate-pdf-document-outline")
        numbers = numbers or starts_of_pages(draft, titles)
    pictures = {image["src"] for image in main.find_all("img")}
    captions = [" ".join(tag.get_text().split()) for tag in main.select("figure .caption-number")]
    return pdf_faults(draft, titles, numbers, captions, pictures)


def typeset(main, titles: dict) -> str:
    """The page that is printed, with its equations set and without scripts."""
    equations = [tex for _, tex, _ in formulas(main)]
    sheet = (BOOK / "_tools" / "editions.css").read_text(encoding="utf-8") + running_heads(titles)
    source = RAW / "pdf-source.html"
    source.write_text(
        PRINT_PAGE.format(
            title=escape(about()["title"]),
            css=sheet,
            mathjax=mathjax(),
            front=front(titles),
            main=main.decode(formatter="minimal"),
        ),
        encoding="utf-8",
    )
    text = chromium(source, "--dump-dom")
    if 'data-typeset="done"' not in text:
        raise EditionError("MathJax did not finish the equations of the PDF")
    return label_equations(text, equations)


def front(titles: dict) -> str:
    """Title page and contents. A page number is three digits wide before it is known, so that no line moves."""
    lines = []
    for caption, names in contents():
        lines += [f'<li class="in-part">{escape(caption)}</li>'] if caption else []
        lines += [
            f'<li><a href="#{name_id(name)}"><span>{escape(titles[name])}</span><span class="dots"></span>'
            f'<span data-page="{name}">000</span></a></li>'
            for name in names
        ]
    book = {key: escape(text) for key, text in about().items()}
    return (
        f'<section class="title-page"><p class="title">{book["title"]}</p><p>{book["author"]}</p>'
        f"<p>Version {book['version']}, {book['date']}</p><p>{book['rights']}</p><p>{book['address']}</p>"
        "<p>Code that only draws a figure or sets a table is left out; the notebooks have it.</p></section>"
        f'<nav class="contents"><h1>Contents</h1><ol>{"".join(lines)}</ol></nav>'
    )


def fill_in(text: str, numbers: dict) -> str:
    """Put the page numbers into the contents."""
    return re.sub(r'(<span data-page="(\w+)">)000', lambda match: f"{match[1]}{numbers.get(match[2], '000')}", text)


def running_heads(titles: dict) -> str:
    """CSS: the page's title on top of each of its sheets."""
    rules = []
    for place, (name, title) in enumerate(titles.items()):
        text = title.replace("\\", "\\\\").replace('"', '\\"')
        style = f'content: "{text}"; font: italic 9pt "Liberation Serif", serif;'
        rules += [f"@page p{place} {{ @top-right {{ {style} }} }}", f"#{name_id(name)} {{ page: p{place}; }}"]
    return "\n".join(rules)


def label_equations(text: str, equations: list[str]) -> str:
    """Give each typeset equation its TeX as the text alternative of the tagged PDF."""
    opening = re.compile(r'<mjx-container class="MathJax"')
    if (found := len(opening.findall(text))) != len(equations):
        raise EditionError(f"{found} of {len(equations)} equations were typeset")
    if match := re.search(r'<mjx-merror[^>]*>|<mjx-mtext[^>]*style="color: red[^>]*>', text):
        place = len(opening.findall(text, 0, match.start()))
        raise EditionError(f"MathJax cannot read the equation {equations[place - 1]!r}")
    labels = iter(equations)
    return opening.sub(lambda match: f'{match[0]} role="img" aria-label="{escape(next(labels))}"', text)


# --- ePub ---


def write_epub(draft: Path) -> list[str]:
    """Pack the ePub; its faults."""
    pages = read_pages()
    titles = {name: title_of(body) for name, body in pages.items()}
    asked = sorted({(tex, displayed) for body in pages.values() for _, tex, displayed in formulas(body)})
    mathml = to_mathml(asked, BUILD / "equations.html")
    files, properties = {}, {"nav.xhtml": "nav"}
    for name, body in pages.items():
        gather_answers(body)
        put_mathml(body, mathml)
        files[f"{name}.xhtml"] = stand_alone(body).encode()
        properties[f"{name}.xhtml"] = "mathml" if body.find("math") else ""
        for image in body.find_all("img"):
            files[image["src"]] = (RAW / image["src"]).read_bytes()
    sheet = (BOOK / "_tools" / "editions.css").read_text(encoding="utf-8")
    files["editions.css"] = sheet.partition("/* The PDF alone")[0].encode()
    files["pygments.css"] = (RAW / "_static" / "pygments.css").read_bytes()
    files["nav.xhtml"] = navigation(titles, contents()).encode()
    opf = package(files, properties, list(titles), about())
    pack(draft, files | {"content.opf": opf.encode()})
    return epub_faults(draft, list(titles))


WRITERS = {"pdf": write_pdf, "epub": write_epub}


def main(arguments=None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1 or arguments[0] not in WRITERS:
        print("usage: editions.py pdf|epub", file=sys.stderr)
        return 2
    kind = arguments[0]
    target = ROOT / "_build" / f"deepid-lite.{kind}"
    try:
        find_chromium()  # before the minutes of the build
        build_pages()
        draft = target.with_name(f"{target.stem}.tmp.{kind}")
        faults = WRITERS[kind](draft)
        if faults:
            raise EditionError("\n".join([f"{draft.name} is not as it should be:", *faults]))
        draft.replace(target)
    except EditionError as error:
        print(f"make {kind}: {error}", file=sys.stderr)
        return 1
    print(f"The {kind} is ready: {target}, {target.stat().st_size / 1e6:.1f} MB.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
