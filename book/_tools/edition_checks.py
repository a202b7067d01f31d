"""What must hold of an edition: nothing raw, nothing missing, nothing loaded from elsewhere.

Each function returns a list of faults, one line each, empty when all is well.
"""

import re
import zipfile
from pathlib import PurePosixPath
from posixpath import join as join_path
from posixpath import normpath
from urllib.parse import unquote
from xml.etree import ElementTree

from bs4 import Tag

RAW_MYST = re.compile(r"\{(?:cite|term|eq|numref|ref|doc|py):?[\w:]*\}`|^```\{|^:::", re.M)
RAW_TEX = re.compile(r"\\(?:begin|frac|sum|mathbf|left|hat|bar|lambda|text)\b|\\[\[(]|\$\$")
FORBIDDEN = "script, form, input, button, iframe, object, embed, noscript, link, style"
LOADS = {"img": "src", "source": "src", "audio": "src", "video": "src", "link": "href", "image": "href"}


def page_faults(name: str, body: Tag) -> list[str]:
    """What is wrong with one clean page, before its equations are set."""
    faults = [f"{name}: a <{tag.name}> is left" for tag in body.select(FORBIDDEN)]
    faults += [
        f"{name}: loads {image['src']}"
        for image in body.find_all("img")
        if re.match(r"(?:[a-z]+:)?//|data:", image["src"])
    ]
    faults += [
        f"{name}: the picture {image['src']} has no alt text"
        for image in body.find_all("img")
        if not image.get("alt", "").strip()
    ]
    ids = [tag["id"] for tag in body.find_all(id=True)]
    faults += [f"{name}: the id {twice!r} stands there twice" for twice in sorted({i for i in ids if ids.count(i) > 1})]
    text = "".join(
        piece
        for piece in body.find_all(string=True)
        if not piece.find_parent(["code", "pre"]) and not piece.find_parent(class_="math")
    )
    return faults + [
        f"{name}: left as it was written: {found!r}" for found in [*RAW_MYST.findall(text), *RAW_TEX.findall(text)]
    ]


# --- PDF ---


def open_pdf(path):
    from pypdf import PdfReader

    return PdfReader(path)


def bookmarks(reader) -> list[tuple[str, int]]:
    """(title, page from 1) of the PDF's outline, flattened."""

    def walk(items):
        for item in items:
            if isinstance(item, list):
                yield from walk(item)
            else:
                yield " ".join(item.title.split()), reader.get_destination_page_number(item) + 1

    return list(walk(reader.outline))


def starts_of_pages(path, titles: dict) -> dict[str, int]:
    """On which page of the PDF each page of the book begins, by its bookmark."""
    found, starts = bookmarks(open_pdf(path)), {}
    for name, title in titles.items():
        # in order, for a section may have the title of a page
        while found and found[0][0] != title:
            found.pop(0)
        if found:
            starts[name] = found.pop(0)[1]
    return starts


def pdf_faults(path, titles: dict, numbers: dict, captions: list[str], pictures: set) -> list[str]:
    """Compare a PDF with what was to be printed.

    titles: page -> title; numbers: page -> the number that the contents print; captions: "Fig. 1.1", one a figure;
    pictures: the files that were shown.
    """
    reader = open_pdf(path)
    texts = [page.extract_text() for page in reader.pages]
    starts = starts_of_pages(path, titles)
    faults = [f"no bookmark leads to {title!r}" for name, title in titles.items() if name not in starts]
    if starts != numbers:
        faults.append("the contents give other page numbers than the bookmarks")
    squeezed = [re.sub(r"\s", "", text) for text in texts]
    faults += [
        f"page {page} does not begin {titles[name]!r}"
        for name, page in starts.items()
        if re.sub(r"\s", "", titles[name]) not in squeezed[page - 1]
    ]
    if sorted(starts.values()) != list(starts.values()) or len(set(starts.values())) < len(starts):
        faults.append("two pages of the book begin on one page, or out of order")
    faults += [f"page {place} is empty" for place, text in enumerate(texts, 1) if len(text.strip()) < 5]
    everything = "".join(squeezed)
    faults += [
        f"the caption of {caption} is missing" for caption in captions if re.sub(r"\s", "", caption) not in everything
    ]
    printed, wanted = count_pictures(reader), sum(not name.endswith(".svg") for name in pictures)
    if printed < wanted:
        faults.append(f"{printed} of {wanted} pictures were printed")
    if str(reader.trailer["/Root"].get("/MarkInfo", {}).get("/Marked")) != "True":
        faults.append("the PDF is not tagged: screen readers cannot follow it")
    left = [*RAW_MYST.findall("\n".join(texts)), *re.findall(r"\\(?:begin|frac|mathbf)\{", "\n".join(texts))]
    return faults + [f"left as it was written: {found!r}" for found in left]


def count_pictures(reader) -> int:
    """Distinct pictures on all pages."""
    seen = set()
    for page in reader.pages:
        objects = page["/Resources"].get("/XObject", {})
        for key in objects:
            if objects[key]["/Subtype"] == "/Image":
                seen.add(objects.raw_get(key).idnum)
    return len(seen)


# --- ePub ---


def epub_faults(path, names: list[str]) -> list[str]:
    """What is wrong with an ePub that should hold the pages `names` in this order."""
    with zipfile.ZipFile(path) as archive:
        if broken := archive.testzip():
            return [f"{broken} is damaged"]
        first = archive.infolist()[0]
        files = {info.filename: archive.read(info) for info in archive.infolist()}
    faults = []
    if first.filename != "mimetype" or first.compress_type or files["mimetype"] != b"application/epub+zip":
        faults.append("the archive does not begin with an uncompressed mimetype")
    try:
        trees = {
            name: ElementTree.fromstring(data)
            for name, data in files.items()
            if name.endswith((".xhtml", ".opf", ".xml"))
        }
    except ElementTree.ParseError as error:
        bad = next(name for name, data in files.items() if name.endswith((".xhtml", ".opf", ".xml")) and not _xml(data))
        return [*faults, f"{bad} is not well-formed: {error}"]
    faults += package_faults(files, trees, names)
    for name, tree in trees.items():
        if name.endswith(".xhtml"):
            faults += xhtml_faults(name, tree, files, trees)
    faults += [
        f"{name} loads {found}"
        for name, data in files.items()
        if name.endswith(".css")
        for found in re.findall(r"@import[^;]*|url\((?!#)[^)]*\)", data.decode())
    ]
    return faults


def _xml(data: bytes) -> bool:
    try:
        ElementTree.fromstring(data)
    except ElementTree.ParseError:
        return False
    return True


def local(tag: str) -> str:
    return tag.rsplit("}", 1)[-1]


def package_faults(files: dict, trees: dict, names: list[str]) -> list[str]:
    """Manifest and archive must list the same files, and the spine the pages in order."""
    container = trees["META-INF/container.xml"]
    opf = next(tag.get("full-path") for tag in container.iter() if local(tag.tag) == "rootfile")
    folder = str(PurePosixPath(opf).parent)
    items = {tag.get("id"): tag for tag in trees[opf].iter() if local(tag.tag) == "item"}
    listed = {join_path(folder, tag.get("href")) for tag in items.values()}
    there = set(files) - {"mimetype", "META-INF/container.xml", opf}
    faults = [f"{name} is listed but not in the archive" for name in sorted(listed - there)]
    faults += [f"{name} is in the archive but not listed" for name in sorted(there - listed)]
    spine = [items[tag.get("idref")].get("href") for tag in trees[opf].iter() if local(tag.tag) == "itemref"]
    if spine != [f"{name}.xhtml" for name in names]:
        faults.append("the spine is not the book's table of contents")
    for tag in items.values():
        page = trees.get(join_path(folder, tag.get("href")))
        has = page is not None and any(local(inner.tag) == "math" for inner in page.iter())
        if has != ("mathml" in tag.get("properties", "")):
            faults.append(f"{tag.get('href')}: the manifest is wrong about MathML")
    return faults


def xhtml_faults(name: str, tree, files: dict, trees: dict) -> list[str]:
    """One page of the archive: its links, what it loads, its equations."""
    faults = []
    for tag in tree.iter():
        kind = local(tag.tag)
        if kind in ("script", "form", "input", "iframe"):
            faults.append(f"{name}: a <{kind}> is left")
        address = tag.get(LOADS.get(kind, ""), "")
        if re.match(r"(?:[a-z]+:)?//|[a-z]+:", address):
            faults.append(f"{name} loads {address}")
        address = address or (tag.get("href", "") if kind == "a" else "")
        if address and not re.match(r"[a-z]+:", address):
            faults += link_faults(name, address, files, trees)
        if kind == "math" and not len(tag):
            faults.append(f"{name}: an equation is empty")
    raw = [found for text in plain_texts(tree) for found in (*RAW_TEX.findall(text), *RAW_MYST.findall(text))]
    return faults + [f"{name}: left as it was written: {found!r}" for found in raw]


def plain_texts(tag):
    """Every text that is neither code nor an equation."""
    if local(tag.tag) in ("code", "pre", "math", "head"):
        return
    yield tag.text or ""
    for inner in tag:
        yield from plain_texts(inner)
        yield inner.tail or ""


def link_faults(name: str, address: str, files: dict, trees: dict) -> list[str]:
    path, _, place = address.partition("#")
    target = normpath(join_path(str(PurePosixPath(name).parent), unquote(path))) if path else name
    if target not in files:
        return [f"{name}: {address} is not in the archive"]
    if place and target in trees and not any(tag.get("id") == place for tag in trees[target].iter()):
        return [f"{name}: nothing in {target} is called {place}"]
    return []
