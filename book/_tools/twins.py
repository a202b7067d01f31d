"""Write the Colab twin `.ipynb` beside every chapter `.md`.

    python book/_tools/twins.py                      write all twins        (make twins)
    python book/_tools/twins.py --check [CHAPTER]    convert, report, write nothing
    python book/_tools/twins.py --run [CHAPTER]      run the twin from an empty folder

Colab shows MyST directives, roles and relative pictures as raw text, so a twin says the same in plain
Markdown. The chapters are the source; twins carry no outputs, and the same text always gives the same bytes.
A directive or a role that is not listed here is an error: it would reach the reader raw.
"""

import argparse
import hashlib
import re
import sys
from pathlib import Path

import book_source
import nbformat
from book_source import (
    Labels,
    TwinError,
    bibliography,
    chapters,
    figure_of,
    notebooks,
    parser,
    pieces,
    read_chapter,
    reading_minutes,
    repository,
)
from markdown_it import MarkdownIt
from questions import HOW, QuizError, read_questions

BOXES = {
    "note": "Note",
    "tip": "Tip",
    "important": "Important",
    "warning": "Warning",
    "seealso": "See also",
    "margin": "Aside",
    "admonition": "Note",
}
PYTHON_ROLES = {f"py:{kind}" for kind in ("mod", "func", "class", "meth", "attr", "data", "exc")}
MARK = "\0"  # stands around the title of a solution with code, and doubled at its end
CODE_TAGS = {"setup", "hide-input", "hide-output", "remove-output", "raises-exception", "full-width", "printed-table"}
# One pass over running text; what stands first wins, so that nothing inside code or mathematics is touched.
INLINE = re.compile(
    r"\{(?P<role>[a-zA-Z][\w:-]*)\}(?P<ticks>`+)(?P<body>.+?)(?P=ticks)(?!`)"
    r"|(?P<fence>`+)(?!`).+?(?<!`)(?P=fence)(?!`)"
    r"|\$\$.+?\$\$|\$[^$\n]+\$"
    r"|(?P<bang>!?)\[(?P<text>[^\[\]]*)\]\((?P<target>[^()\s]+)\)",
    re.S,
)
TITLED = re.compile(r"(.*?)\s*<([^<>]+)>", re.S)


class Converter:
    """Turns one chapter's Markdown cells into plain Markdown."""

    def __init__(self, name: str, labels: Labels):
        self.solving = ""  # the title of the solution that is being read, "" between solutions
        self.name, self.labels, self.cited = name, labels, []
        self.repository = repository()

    def fail(self, what: str):
        raise TwinError(f"book/{self.name}.md: {what}")

    def text(self, source: str) -> str:
        """Plain Markdown for a MyST text."""
        lines, out, start = source.split("\n"), [], 0
        for kind, name, argument, options, body, (first, last) in pieces(source):
            if kind == "heading" or first < start:
                continue
            out.append(self.inline("\n".join(lines[start:first])))
            start = last
            if kind in ("target", "comment"):
                continue
            if kind in ("code", "math"):
                out.append("\n".join(lines[first:last]))
                continue
            indent = re.match(r"\s*", lines[first])[0]
            if not lines[first].strip().startswith(("`", "~", ":")):
                self.fail(f"the directive {name!r} stands in a quotation or right behind a list mark")
            block = self.directive(name, argument, options, body)
            out += ["", "\n".join((indent + line).rstrip() for line in block.split("\n")), ""]
        out.append(self.inline("\n".join(lines[start:])))
        return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip("\n")

    def directive(self, name: str, argument: str, options: dict, body: str) -> str:
        method = getattr(self, "do_" + name.replace("-", "_"), None)
        if name in BOXES:
            title = BOXES[name]
            if name in ("admonition", "margin"):
                title = self.inline(argument) or title
            elif argument:  # the other boxes have no title of their own: the text may start on the first line
                body = f"{argument}\n{body}"
            return self.quote(f"**{title}**\n\n{self.text(body)}")
        if method is None:
            self.fail(f"the directive {name!r} has no plain Markdown form in book/_tools/twins.py")
        return method(argument, options, body)

    @staticmethod
    def quote(text: str) -> str:
        return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))

    @staticmethod
    def details(summary: str, text: str) -> str:
        summary = MarkdownIt("commonmark").renderInline(summary)
        return f"<details>\n<summary>{summary}</summary>\n\n{text}\n\n</details>"

    def do_chapter_card(self, argument, options, body):
        place = f"Chapter {chapters().index(self.name) + 1}" if self.name in chapters() else "A notebook"
        links = [f"*{place} of [DeepID-lite]({self.repository['url']})*"]
        links.append(f"[open in Colab]({self.repository['colab']}/{self.name}.ipynb)")
        links += [
            f"module [`deepid_lite/{module}.py`]({self.repository['blob']}/deepid_lite/{module}.py)"
            for module in re.split(r",\s*", options["module"])
        ]
        links.append(f"reading: about {reading_minutes(self.name)} minutes")
        links.append(f"running: about {options['time']} on {options['needs']}")
        return " · ".join(links)

    def do_dropdown(self, argument, options, body):
        return self.details(self.inline(argument), self.text(body))

    def do_figure(self, argument, options, body):
        label = options.get("name") or self.fail(f"the figure {argument} has no name")
        picture = self.do_image(argument, options, "")
        return f"{picture}\n\n**{self.labels.found[label][1]}.** {self.text(body)}"

    def do_image(self, argument, options, body):
        alt = options.get("alt") or self.fail(f"the picture {argument} has no alt text")
        return f"![{alt}]({self.address(argument, picture=True)})"

    def do_math(self, argument, options, body):
        body = "\n".join(filter(None, [argument, body]))
        if "\n\n" in body:
            self.fail("an empty line inside a math directive: write two")
        if "\\\\" in body and not body.lstrip().startswith("\\begin{"):
            body = f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"
        tag = f" \\tag{{{self.labels.found[options['label']][1].strip('()')}}}" if "label" in options else ""
        return f"$$\n{body}{tag}\n$$"

    def do_table(self, argument, options, body):
        number = f"**{self.labels.found[options['name']][1]}.** " if "name" in options else ""
        return f"{number}{self.inline(argument)}\n\n{self.text(body)}"

    def do_code_block(self, argument, options, body):
        return f"```{argument}\n{body}\n```"

    def do_package_code(self, argument, options, body):
        from package_code import address, folded, lines_of

        path, first, last, text = lines_of(
            argument, options.get("from", ""), options.get("to", ""), "docstring" in options
        )
        return f"```python\n{folded(text)}\n```\n\n*[`{path}`, lines {first} to {last}]({address(path, first, last)})*"

    def do_exercise(self, argument, options, body):
        label = options.get("label") or self.fail("an exercise has no label")
        title = f" ({self.inline(argument)})" if argument else ""
        return f"**{self.labels.found[label][1]}**{title}\n\n{self.text(body)}"

    def do_solution(self, argument, options, body):
        return self.details(f"Solution to {self.reference(argument)}", self.text(body))

    def do_solution_start(self, argument, options, body):
        # a part that has code cells: its text and its cells are folded one by one, see `folded` and `convert`
        return f"{MARK}Solution to {self.reference(argument)}{MARK}"

    def do_solution_end(self, argument, options, body):
        return MARK + MARK

    def folded(self, text: str) -> str:
        """Fold what stands between the marks of a solution, which may begin or end in another cell."""
        parts = []
        for i, part in enumerate(text.split(MARK)):
            if i % 2:
                self.solving = part
            elif part.strip():
                parts.append(self.details(self.solving, part.strip("\n")) if self.solving else part.strip("\n"))
        return "\n\n".join(parts)

    def do_quiz(self, argument, options, body):
        try:
            questions = read_questions(body)
        except QuizError as error:
            self.fail(f"quiz: {error}")
        return "\n\n".join(self.question(question, place) for place, question in enumerate(questions, 1))

    def question(self, question, place: int) -> str:
        parts = [f"**{place}.** {self.text(question.ask)}"]
        if question.kind == "number":
            reasons = [f"**{question.right} is right.** {self.text(question.because)}"]
            reasons += [f"**Not {wrong}.** {self.text(text)}" for wrong, text in question.hints.items()]
        else:
            choices = [f"- **{letter}.** {self.text(answer.text)}" for letter, answer in question.lettered()]
            parts += [HOW[question.kind], "\n".join(choices)]
            reasons = [
                f"**{letter} is {'right' if answer.right else 'wrong'}.** {self.text(answer.because)}"
                for letter, answer in question.lettered()
            ]
        return "\n\n".join([*parts, self.details("Answer", "\n\n".join(reasons))])

    # roles, links and pictures in running text

    def inline(self, text: str) -> str:
        return INLINE.sub(self._inline, text)

    def _inline(self, match) -> str:
        if match["role"]:
            return self.role(match["role"], match["body"])
        if match["target"] is None:
            return match[0]
        target, _, anchor = match["target"].partition("#")
        if re.match(r"[a-z]+:", target):
            return match[0]
        if not target:  # [text](#label)
            return self.reference(anchor, match["text"])
        text = match["text"] or self.title(target.removesuffix(".md"))
        return f"{match['bang']}[{self.inline(text)}]({self.address(target, bool(match['bang']))})"

    def role(self, role: str, body: str) -> str:
        title, target = (m[1], m[2]) if (m := TITLED.fullmatch(body)) else ("", body)
        if role in ("cite", "cite:p", "cite:t"):
            return self.cite(role, [key.strip() for key in body.split(",")])
        if role == "term":
            return title or target
        if role == "math":
            return f"${body}$"
        if role in ("ref", "numref", "eq"):
            text = title.replace("{number}", self.find(target)[1].split()[-1]).replace("{name}", "")
            return self.reference(target, text)
        if role == "doc":
            return f"[{title or self.title(target)}]({self.address(target + '.md')})"
        if role in PYTHON_ROLES:
            shown = title or (target.rsplit(".", 1)[-1] if target.startswith("~") else target)
            return f"`{shown}`"
        self.fail(f"the role {role!r} has no plain Markdown form in book/_tools/twins.py")

    def cite(self, role: str, keys: list[str]) -> str:
        shown = []
        for key in keys:
            if key not in bibliography():
                self.fail(f"{key!r} is cited but not in references.bib")
            if key not in self.cited:
                self.cited.append(key)
            label, names, short, _ = bibliography()[key]
            shown.append(f"{names} [{short}]" if role == "cite:t" else label)
        return ", ".join(shown) if role == "cite:t" else f"[{'; '.join(shown)}]"

    def title(self, chapter: str) -> str:
        return self.labels.titles.get(chapter) or self.fail(f"the link to {chapter!r} needs a text")

    def find(self, label: str) -> tuple[str, str]:
        return self.labels.found.get(label) or self.fail(f"no label {label!r} in the chapters")

    def link(self, label: str) -> str:
        return f"{self.repository['colab']}/{self.find(label)[0]}.ipynb"

    def reference(self, label: str, text: str = "") -> str:
        """The text of a label, linked to its notebook when that is another one."""
        chapter, shown = self.find(label)
        text = text or shown
        return text if chapter == self.name else f"[{text}]({self.link(label)})"

    def address(self, target: str, picture: bool = False) -> str:
        """The absolute address of a file of the book: pictures raw, chapters in Colab, pages on GitHub."""
        if not (book_source.BOOK / target).is_file():
            self.fail(f"{target} does not exist")
        if picture:
            return f"{self.repository['raw']}/{target}"
        if target.removesuffix(".md") in self.labels.titles:
            return f"{self.repository['colab']}/{target.removesuffix('.md')}.ipynb"
        return f"{self.repository['book']}/{target}"


def check_plain(text: str, name: str):
    """Raise TwinError when MyST is left in a converted text."""
    for token in parser().parse(text):
        fence = token.type in ("fence", "colon_fence") and token.info.startswith("{")
        if fence or token.type == "myst_target":
            raise TwinError(f"book/{name}.md: MyST is left in the twin: {(token.info or token.content)!r}")
        if token.type == "inline" and any(m["role"] for m in INLINE.finditer(token.content)):
            raise TwinError(f"book/{name}.md: a role is left in the twin: {token.content!r}")
        if token.type == "inline" and (match := re.search(r"(?m)^(```|:::).*", token.content)):
            raise TwinError(f"book/{name}.md: no fence (a title must not hold backticks): {match[0]!r}")


def convert(name: str, labels: Labels | None = None):
    """The twin of the chapter `name` (no suffix) as a notebook without outputs."""
    labels = labels or Labels(notebooks())
    converter = Converter(name, labels)
    cells, seen = [], {}

    def add(kind, source, tags=(), title=""):
        if not source.strip():
            return
        source = f"# @title {title}\n{source}" if title else source
        # the id follows from the text: an edit changes the ids of the cells that it touches and no others
        digest = hashlib.sha256(f"{kind}\n{source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, -1) + 1
        cell = getattr(nbformat.v4, f"new_{kind}_cell")(source, metadata={"tags": list(tags)} if tags else {})
        if title:  # Colab shows the title alone, JupyterLab three dots; both open with a click and run as they are
            cell.metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
        cell["id"] = digest + (f"-{seen[digest]}" if seen[digest] else "")
        cells.append(cell)

    for cell in read_chapter(name).cells:
        if cell.cell_type == "markdown":
            text = converter.folded(converter.text(cell.source))
            check_plain(text, name)
            add("markdown", text)
            continue
        if unknown := set(cell.metadata.get("tags", ())) - CODE_TAGS:
            converter.fail(f"cell tags {sorted(unknown)} are not supported")
        figure, tags = figure_of(cell), set(cell.metadata.get("tags", ()))
        title = converter.solving
        if not title and "hide-input" in tags and "setup" not in tags:  # folded in the book, and here
            title = f"The code of {labels.found[figure['name']][1]}" if figure else "The code of what follows"
        add("code", cell.source, tags & {"raises-exception"}, title)
        if figure:
            add("markdown", f"**{labels.found[figure['name']][1]}.** {converter.inline(figure['caption'])}")
    if converter.cited:
        entries = [
            f"- **[{bibliography()[key][0]}]** {bibliography()[key][-1]}"
            for key in sorted(converter.cited, key=lambda key: bibliography()[key][0].lower())
        ]
        add("markdown", "## References\n\n" + "\n".join(entries))
    source = f"[book/{name}.md]({converter.repository['book']}/{name}.md)"
    add("markdown", f"*Written by `make twins` from {source}: change it there.*")
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "colab": {"provenance": [], "toc_visible": True},
    }
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    nbformat.validate(notebook)
    return notebook


def to_text(notebook) -> str:
    """The bytes that go into the file."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def main(arguments=None) -> int:
    command = argparse.ArgumentParser(description="Write the Colab twin of every chapter, or of those named.")
    command.add_argument("chapter", nargs="*", help="book/NAME.md; all chapters when left out")
    command.add_argument("--check", action="store_true", help="convert and report, write nothing")
    command.add_argument("--run", action="store_true", help="run from an empty folder, write nothing")
    options = command.parse_args(arguments)
    try:
        labels = Labels(notebooks())
        for name in [Path(c).stem for c in options.chapter] or notebooks():
            notebook = convert(name, labels)
            if options.run:
                from run_twin import run_twin

                print(f"{name}: {run_twin(notebook):.1f} s")
            elif not options.check:
                path = book_source.BOOK / f"{name}.ipynb"
                path.write_text(to_text(notebook), encoding="utf-8")
    except (TwinError, FileNotFoundError) as error:
        print(f"twins: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
