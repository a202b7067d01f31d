"""The parts of an ePub 3 that are not pages: navigation, package file, archive."""

import uuid
import zipfile
from html import escape
from pathlib import Path

KINDS = {
    ".xhtml": "application/xhtml+xml",
    ".css": "text/css",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
}
CONTAINER = b"""<?xml version="1.0"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
<rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/>
</rootfiles></container>
"""
NAVIGATION = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" lang="en" xml:lang="en">
<head><meta charset="utf-8"/><title>Contents</title></head>
<body><nav epub:type="toc"><h1>Contents</h1><ol>{items}</ol></nav></body>
</html>
"""
PACKAGE = """<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id" xml:lang="en">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="id">urn:uuid:{identifier}</dc:identifier>
<dc:title>{title}</dc:title>
<dc:language>en</dc:language>
<dc:creator>{author}</dc:creator>
<dc:source>{address}</dc:source>
<dc:rights>{rights}</dc:rights>
<dc:date>{date}</dc:date>
<meta property="dcterms:modified">{date}T00:00:00Z</meta>
</metadata>
<manifest>
{manifest}
</manifest>
<spine>
{spine}
</spine>
</package>
"""


def navigation(titles: dict, contents: list) -> str:
    """The contents as readers show them. titles: page -> title; contents: (caption of the part, its pages)."""
    items = []
    for caption, names in contents:
        links = "".join(f'<li><a href="{name}.xhtml">{escape(titles[name])}</a></li>' for name in names)
        items.append(f"<li><span>{escape(caption)}</span><ol>{links}</ol></li>" if caption else links)
    return NAVIGATION.format(items="".join(items))


def package(files: dict, properties: dict, spine: list[str], about: dict) -> str:
    """content.opf: what the book is, what is in the archive, in which order it is read."""
    numbers, listed = {name: place for place, name in enumerate(files)}, []
    for name, place in numbers.items():
        more = f' properties="{properties[name]}"' if properties.get(name) else ""
        listed.append(f'<item id="f{place}" href="{escape(name)}" media-type="{KINDS[Path(name).suffix]}"{more}/>')
    read = [f'<itemref idref="f{numbers[f"{name}.xhtml"]}"/>' for name in spine]
    identifier = uuid.uuid5(uuid.NAMESPACE_URL, f"{about['address']} {about['version']}")
    return PACKAGE.format(
        identifier=identifier,
        manifest="\n".join(listed),
        spine="\n".join(read),
        **{key: escape(text) for key, text in about.items()},
    )


def pack(target: Path, files: dict):
    """The archive; a reader looks for the file mimetype first, not compressed."""
    entries = {"META-INF/container.xml": CONTAINER} | {f"OEBPS/{name}": data for name, data in files.items()}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        # ZipInfo has a fixed time, so that the same pages give the same bytes
        archive.writestr(zipfile.ZipInfo("mimetype"), b"application/epub+zip", zipfile.ZIP_STORED)
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
