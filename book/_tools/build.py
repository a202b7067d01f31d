"""`make book`: build the HTML, then check it and put the twins in place of the page's own downloads."""

import pickle
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

from book_source import BOOK, ROOT, Labels, notebooks, settings
from run_twin import plain_ipython

HTML = ROOT / "_build" / "html"
INDEX = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><link rel="icon" href="_static/favicon.svg">
<meta http-equiv="refresh" content="0; url={target}"></head><body><p><a href="{target}">{title}</a></p></body></html>
"""
FOREIGN = re.compile(r"(?:[a-z]+:)?//")
RAW_MYST = re.compile(r"\{(?:cite|term|eq|numref|ref|doc|py):?\w*\}`[^`]*`|^```\{[\w-]+\}", re.M)


def build() -> int:
    """Run Jupyter Book with warnings as errors."""
    command = [
        sys.executable,
        "-c",
        "from jupyter_book.cli.main import main; main()",
        "build",
        str(BOOK),
        "--path-output",
        str(ROOT),
        "--warningiserror",
        "--keep-going",
    ]
    code = subprocess.run(command, cwd=ROOT, env=plain_ipython(ROOT / "_build" / ".ipython")).returncode
    if code:
        # Sphinx reads a page once: kept, the pages that warned would pass in silence next time
        shutil.rmtree(ROOT / "_build" / ".doctrees", ignore_errors=True)
    return code


def place_twins():
    """The page's own `.ipynb` download is raw MyST: put the Colab twin in its place."""
    for name in notebooks():
        shutil.copyfile(BOOK / f"{name}.ipynb", HTML / "_sources" / f"{name}.ipynb")


def finish_index():
    """Jupyter Book's index.html is one line that leads to the first page: give it a language, a title and an icon."""
    target = re.search(r"url=([\w.-]+)", (HTML / "index.html").read_text(encoding="utf-8"))[1]
    (HTML / "index.html").write_text(INDEX.format(title=settings()["title"], target=target), encoding="utf-8")


def number_mismatches() -> list[str]:
    """Labels whose number in the twins differs from Sphinx's."""
    environment = pickle.loads((ROOT / "_build" / ".doctrees" / "environment.pickle").read_bytes())
    sphinx = {}
    for page, kinds in environment.toc_fignumbers.items():
        for numbers in kinds.values():
            sphinx |= {(page, label): ".".join(map(str, number)) for label, number in numbers.items()}
    wrong = []
    for label, (page, text) in Labels(notebooks()).found.items():
        if match := re.fullmatch(r"(?:Fig\.|Table|Exercise) ([\d.]+)", text):
            expected = sphinx.get((page, label))
        elif match := re.fullmatch(r"\(([\d.]+)\)", text):
            expected = sphinx.get((page, f"equation-{label}"))
        else:
            continue
        if expected != match[1]:
            wrong.append(f"{page}: {label} is {match[1]} in the twin and {expected} in the book")
    return wrong


class _Page(HTMLParser):
    """What a page loads by itself (not the links that a reader clicks), and its pictures' alt texts."""

    def __init__(self, text: str):
        super().__init__()
        self.loads, self.pictures = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag in ("script", "img", "iframe", "source", "video", "audio", "embed"):
            self.loads.append(values.get("src") or "")
        elif tag == "link" and values.get("rel") not in ("canonical", "next", "prev", "search", "index"):
            self.loads.append(values.get("href") or "")
        if tag == "img":
            self.pictures.append((values.get("src") or "", values.get("alt") or ""))


def page_faults(name: str, text: str) -> list[str]:
    """What is wrong with one HTML page: loads from another host, pictures without a text, raw MyST."""
    page = _Page(text)
    faults = [f"{name} loads {address}" for address in page.loads if FOREIGN.match(address)]
    # without alt text in the cell's metadata the alt text of a drawn figure is its (hashed) file name
    faults += [
        f"{name}: the picture {source} has no alt text"
        for source, alt in page.pictures
        if not alt.strip() or alt.endswith((".png", ".svg"))
    ]
    faults += [f"{name}: a table is left as text" for _ in re.findall(r"<p>\|", text)]
    return faults + [f"{name}: MyST is left: {piece}" for piece in RAW_MYST.findall(text)]


def main() -> int:
    if code := build():
        print("make book: the build failed; the messages above say where", file=sys.stderr)
        return code
    place_twins()
    finish_index()
    wrong = [
        fault
        for page in sorted(HTML.glob("*.html"))
        for fault in page_faults(page.name, page.read_text(encoding="utf-8"))
    ]
    if wrong := number_mismatches() + wrong:
        print("\n".join(["make book:", *wrong]), file=sys.stderr)
        return 1
    print(f"The book is ready. Open {HTML / 'index.html'} in a browser.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
