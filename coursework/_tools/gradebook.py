"""A class's points as they come in: tables for the teacher, Canvas and Moodle, and a page for each student.

out/points.csv             every hand-in, a line each, and who of the roster handed in nothing
out/SET/points.csv         one set: a line for each student, a column for each question
out/SET/canvas.csv         for Canvas' gradebook; moodle.csv for Moodle's grading worksheet
out/SET/feedback/NAME.md   what to send to the student
out/SET/details/NAME.json  everything, and what grading goes on from when it was interrupted
"""

import csv
import hashlib
import io
import os
import zipfile
from pathlib import Path

from handins import Roster, column, name_of
from limits import read_json, write_json


class Gradebook:
    """The rows of one folder of results; each `add` writes all files that it changes."""

    def __init__(self, out, roster=None):
        self.out, self.roster, self.rows = Path(out), roster or Roster(), []
        self.out.mkdir(parents=True, exist_ok=True)

    def add(self, handin, row, key=""):
        """Keep a row: {"error"} or grading.report's entries and "set"; key: see `earlier`."""
        known = self.roster.of(handin.student, handin.id)
        row = row | {"student": name_of(known) if known else handin.student, "id": handin.id, "notebook": handin.place}
        if self.roster.rows and known is None:
            row["suspicions"] = list(dict.fromkeys([*row.get("suspicions", []), "not in the roster"]))
        self.rows = sorted([*self.rows, (row, known)], key=lambda pair: pair[0]["student"].casefold())
        if "set" in row:
            folder = self.out / row["set"]
            for name in ("details", "feedback"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            write_json(folder / "details" / f"{handin.slug}.json", row | {"key": key})
            write_text(folder / "feedback" / f"{handin.slug}.md", feedback(row))
        self.write_tables()

    def earlier(self, handin, name, key) -> dict | None:
        """The row of the same notebook from an earlier run with the same key (tests and options), or None."""
        row = read_json(self.out / name / "details" / f"{handin.slug}.json")
        return row if key and row.pop("key", None) == key else None

    def write_tables(self):
        """All CSV files, beside and renamed."""
        columns = ["student", "id", "set", "points", "possible", "note", "notebook"]
        lines = [row | {"note": note_of(row)} for row, _ in self.rows]
        write_csv(self.out / "points.csv", columns, lines + [{"student": name, "note": text}
                                                             for name, text in self.missing()])  # fmt: skip
        for name in dict.fromkeys(row["set"] for row, _ in self.rows if "set" in row):
            rows = [(row, known) for row, known in self.rows if row.get("set") == name]
            questions = list(dict.fromkeys(question for row, _ in rows for question in row["questions"]))
            lines = [row | {q: facts["points"] for q, facts in row["questions"].items()} | {"note": note_of(row)}
                     for row, _ in rows]  # fmt: skip
            absent = [{"student": who, "note": text} for who, text in self.missing(name)]
            columns = ["student", "id", "points", "possible", *questions, "note", "notebook"]
            write_csv(self.out / name / "points.csv", columns, lines + absent)
            write_csv(self.out / name / "canvas.csv", *canvas(name, rows))
            write_csv(self.out / name / "moodle.csv", *moodle(rows))

    def missing(self, name=None):
        """(student, text) of the roster who handed in nothing, or not this set."""
        there = [known for row, known in self.rows if name is None or row.get("set") == name]
        return [(name_of(row), "nothing handed in") for row in self.roster.rows if row not in there]


def key_of(content, archive, *options) -> str:
    """Changes with the notebook, the tests and the options: the same key means the same points."""
    with zipfile.ZipFile(archive) as zipped:
        tests = sorted((entry.filename, entry.CRC) for entry in zipped.infolist() if "tests/" in entry.filename)
    return hashlib.sha256(content + repr((tests, options)).encode()).hexdigest()


def note_of(row) -> str:
    """One line for the teacher: what is suspicious, what happened, why questions lost points."""
    causes = [f"{name}: {text}" for name, facts in row.get("questions", {}).items() for text in facts.get("causes", [])]
    every = [row.get("error", ""), *row.get("suspicions", []), *row.get("notes", []), *causes]
    return "; ".join(" ".join(text.split()) for text in every if text)


def feedback(row) -> str:
    """A student's page, in Markdown: points, and what to look at where some are missing."""
    lines = [f"# {row['set']}: {row['points']:g} of {row['possible']:g} points", "", row["student"], ""]
    for name, facts in row["questions"].items():
        lines.append(f"**{name}: {facts['points']:g} of {facts['possible']:g}**")
        lines += [f"- {message}" for message in facts["messages"]] + [""]
    if row["notes"]:
        lines += ["What happened while it was graded:", "", *(f"- {note}" for note in row["notes"]), ""]
    return "\n".join(lines)


def canvas(name, rows):
    """(columns, lines) for Canvas' gradebook: its five columns from the roster that Canvas exported."""
    columns = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", name]
    possible = max(row["possible"] for row, _ in rows)
    lines = [{"Student": "    Points Possible", name: f"{possible:g}"}]
    for row, known in rows:
        given = {key: column(known or {}, key.casefold()) for key in columns[:-1]}
        lines.append(given | {"Student": given["Student"] or row["student"], "ID": given["ID"] or row["id"],
                              name: f"{row['points']:g}"})  # fmt: skip
    return columns, lines


def moodle(rows):
    """(columns, lines) for Moodle's grading worksheet, which knows a hand-in by "Participant" and a number."""
    columns = ["Identifier", "Full name", "Email address", "Grade", "Maximum grade", "Feedback comments"]
    lines = []
    for row, known in rows:
        told = [f"{name} {facts['points']:g}/{facts['possible']:g}: {' '.join(facts['messages'])}"
                for name, facts in row["questions"].items() if facts["messages"]]  # fmt: skip
        lines.append(
            {
                "Identifier": column(known or {}, "identifier") or (f"Participant {row['id']}" if row["id"] else ""),
                "Full name": row["student"],
                "Email address": column(known or {}, "email address", "email"),
                "Grade": f"{row['points']:g}",
                "Maximum grade": f"{row['possible']:g}",
                "Feedback comments": " | ".join(told),
            }
        )
    return columns, lines


def write_csv(path, columns, lines):
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: f"{value:g}" if isinstance(value, float) else safe(value) for key, value in line.items()}
                     for line in lines)  # fmt: skip
    write_text(path, text.getvalue())


def safe(value):
    """A text that a spreadsheet does not take for a formula: names and messages come from strangers."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def write_text(path, text):
    """Beside and renamed, so that a reader finds all of it or the old one."""
    new = path.with_name(path.name + ".new")
    new.write_text(text, encoding="utf-8")
    os.replace(new, path)
