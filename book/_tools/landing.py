"""Sphinx extension of the first page: what on it would otherwise be typed twice and drift.

- `book-buttons`: where to begin;
- `results-table`: the paper's numbers beside those of the records, as README has them;
- `chapter-map`: the chapters, what each builds on, and how long it takes to read;
- the role `reading-time`: how long a path through the chapters takes, or one chapter;
- the role `edition`: a link to the book as one file, `PDF` or `ePub`, which is published beside the pages.
"""

from html import escape

from book_source import BOOK, chapters, reading_minutes, repository
from docutils import nodes
from sphinx.util.docutils import SphinxDirective, SphinxRole

from deepid_lite.results import load_result, markdown_table

# chapter -> its name on the map, (row, column) and the chapters that it builds on
MAP = {
    "01_faces": ("Faces", (0, 1), ()),
    "02_alignment": ("Alignment", (1, 1), ("01_faces",)),
    "03_architecture": ("The net", (2, 1), ("02_alignment",)),
    "04_losses": ("Two signals", (3, 0), ("03_architecture",)),
    "05_training": ("Training", (4, 0), ("04_losses",)),
    "06_joint_bayesian": ("Joint Bayesian", (3, 1), ("03_architecture",)),
    "07_measuring": ("Measuring", (4, 1), ("06_joint_bayesian",)),
    "08_sparsity": ("Sparsity", (3, 2), ("03_architecture",)),
    "09_codes": ("Codes", (4, 2), ("07_measuring", "08_sparsity")),
    "10_selectiveness": ("Selectiveness", (5, 2), ("09_codes",)),
    "11_occlusion": ("Occlusion", (6, 2), ("10_selectiveness",)),
    "12_regions": ("Regions", (6, 1), ("07_measuring",)),
    "13_better": ("Ablations", (6, 0), ("05_training", "07_measuring")),
    "14_scorecard": ("Scorecard", (7, 1), ("11_occlusion", "12_regions", "13_better")),
    "15_relational": ("Pairs of faces", (8, 0), ("14_scorecard",)),
    "16_canonical": ("Canonical view", (8, 1), ("14_scorecard",)),
    "17_multiview": ("All views", (9, 1), ("16_canonical",)),
    "18_sparse_connections": ("Fewer connections", (7, 2), ("11_occlusion",)),
    "19_attributes": ("Attributes", (8, 2), ("11_occlusion",)),
    "20_localisation": ("Finding faces", (9, 2), ("19_attributes",)),
    "21_tracking": ("Following a face", (10, 2), ("20_localisation",)),
}
PATHS = {
    "evening": ["01_faces", "03_architecture", "08_sparsity", "14_scorecard"],
    "findings": [name for name in MAP if "08" <= name < "15"],
    "all": list(MAP),
}


def results() -> list[list[str]]:
    """The table of README and of the first page: what is measured, the paper's number, reference, lite."""
    header = ["one net, picture and mirror image", "paper, LFW", "reference: web faces, tested on LFW",
              "lite: synthetic faces, unseen people"]  # fmt: skip
    paper = {
        "images (people) to train the net": "290,000 (12,000)",
        "verification, Joint Bayesian": "98.70 %",
        "verification, Hamming distance of codes": "96.45 %",
        "closed-set rank-1": "95.0 % (25 nets)",
        "open-set DIR at 1 % FAR": "80.7 % (25 nets)",
        "active neurons of 512": "292 ± 34",
    }
    columns = [_column(load_result("lfw_view2")), _column(load_result("verification", "lite"))]
    return [header, *([name, value, *cells] for (name, value), *cells in zip(paper.items(), *columns, strict=True))]


def _column(record: dict) -> list[str]:
    found = record["identification"]
    return [
        f"{record['net']['images']:,} ({record['net']['people']:,})",
        f"{record['accuracy']:.2f} ± {record['standard_error']:.2f} %",
        f"{record['hamming']:.2f} ± {record['hamming_standard_error']:.2f} %",
        f"{found['rank1']:.1f} %",
        f"{found['dir_at_1_far']:.1f} %",
        f"{record['active_mean']:.0f} ± {record['active_std']:.0f}",
    ]


def hours(names: list[str]) -> str:
    """The reading time of these chapters, to the half hour."""
    halves = max(1, round(sum(map(reading_minutes, names)) / 30))
    whole = str(halves // 2) if halves > 1 else ""
    return f"{whole}{'½' if halves % 2 else ''} hour{'s' if halves > 2 else ''}"


class BookButtons(SphinxDirective):
    def run(self):
        uri = self.env.app.builder.get_relative_uri
        line = nodes.paragraph(classes=["book-buttons"])
        for text, address in (
            ("Start with chapter 1", uri(self.env.docname, "01_faces")),
            ("See it run in your browser", uri(self.env.docname, "browser")),
            ("Open chapter 1 in Colab", f"{repository()['colab']}/01_faces.ipynb"),
        ):
            line += [
                nodes.reference("", text, refuri=address, internal=not address.startswith("http")),
                nodes.Text(" "),
            ]
        return [line]


class ResultsTable(SphinxDirective):
    def run(self):
        header, *rows = results()
        return self.parse_text_to_nodes(markdown_table(header, rows, "The paper's net beside two of ours."))


def depend_on_chapters(env):
    """Reading times change with the chapters."""
    for name in MAP:
        env.note_dependency(str(BOOK / f"{name}.md"))


class ChapterMap(SphinxDirective):
    def run(self):
        depend_on_chapters(self.env)
        uri = self.env.app.builder.get_relative_uri
        lines = "".join(
            '<line x1="{}%" y1="{}%" x2="{}%" y2="{}%"/>'.format(*_middle(MAP[other][1]), *_middle(MAP[name][1]))
            for name in MAP
            for other in MAP[name][2]
        )
        items = "".join(
            f'<li class="{"in-evening" if name in PATHS["evening"] else ""}" '
            f'style="grid-area: {row + 1} / {column + 1}"><a href="{uri(self.env.docname, name)}">'
            f"<b>{number} {escape(title)}</b> <span>{reading_minutes(name)} min</span></a></li>"
            for number, (name, (title, (row, column), _)) in enumerate(MAP.items(), 1)
        )
        markup = (
            f'<div class="chapter-map"><svg class="map-lines" aria-hidden="true">{lines}</svg><ol>{items}</ol></div>'
        )
        return [nodes.raw("", markup, format="html")]


def _middle(place: tuple[int, int]) -> tuple[float, float]:
    """The middle of a cell of the map, in per cent from the left and from the top."""
    rows, columns = (1 + max(cell[axis] for _, cell, _ in MAP.values()) for axis in (0, 1))
    return round(100 * (place[1] + 0.5) / columns, 2), round(100 * (place[0] + 0.5) / rows, 2)


class ReadingTime(SphinxRole):
    def run(self):
        depend_on_chapters(self.env)
        path = PATHS.get(self.text)
        return [nodes.Text(hours(path) if path else f"{reading_minutes(self.text)} min")], []


class Edition(SphinxRole):
    def run(self):
        address = f"{repository()['site']}/deepid-lite.{self.text.lower()}"
        return [nodes.reference("", self.text, refuri=address, internal=False)], []


def check_map(app, config):
    """The map has every chapter of the contents, in their order."""
    if list(MAP) != chapters():
        raise ValueError("book/_tools/landing.py: MAP does not have the chapters of book/_toc.yml")


def setup(app):
    app.add_directive("book-buttons", BookButtons)
    app.add_directive("results-table", ResultsTable)
    app.add_directive("chapter-map", ChapterMap)
    app.add_role("reading-time", ReadingTime())
    app.add_role("edition", Edition())
    app.connect("config-inited", check_map)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
