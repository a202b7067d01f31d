"""Grade a class: all hand-ins one after the other or two at once, each apart from the others."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import grading
import sandbox
from assign import OUTPUT
from gradebook import Gradebook, key_of
from handins import find
from problem_sets import SetError
from rules import broken_rules
from tqdm import tqdm

WARNINGS = {  # by sandbox.apart()
    "": """\
!! Nothing keeps these notebooks from your files and from the results: a notebook is a program, and it runs as you.
!! Grade in the container (coursework/README.md, "Grade"), or as root on Linux, where each is a user of its own.""",
    "users who read all": """\
!! Python stands in a closed folder here, so each notebook may read all files of this machine (and write none but its
!! own). In the container there is nothing to read.""",
}


def at_once() -> int:
    """How many are graded at once: without users of their own one, so that none runs beside another."""
    return min(2, os.cpu_count() or 1) if sandbox.apart() else 1


def grade_all(paths, set_name=None, out="graded", limit=60.0, total=600.0, leave_out=(), roster=None, fresh=False,
              output=OUTPUT) -> int:  # fmt: skip
    """Grade notebooks into the folder `out` (see gradebook.py), telling each as it is done; 1 where any failed."""
    handins, book = find(paths), Gradebook(out, roster)  # all is read before anything runs
    if told := WARNINGS.get(sandbox.apart()):
        print(told, file=sys.stderr)
    jobs, refused = sort_out(handins, set_name, output)
    for handin, text in refused:
        book.add(handin, {"error": text})
        print(f"{text}\n")
    work, failed = [], bool(refused)
    for handin, notebook, folder, archive in jobs:
        key = key_of(handin.content, archive, limit, total, sorted(leave_out))
        if not fresh and (row := book.earlier(handin, folder.name, key)):
            book.add(handin, row, key)
        else:
            work.append((handin, notebook, folder, archive, key))
    if known := sum("set" in row for row, _ in book.rows):
        print(f"{known} were graded before and have not changed (--fresh grades them again)\n")
    for folder in dict.fromkeys(folder for _, _, folder, _, _ in work):
        if wrong := grading.solve(folder, limit, total):
            raise SetError(wrong[0])

    def one(handin, notebook, folder, archive, key):
        rules = broken_rules(notebook, folder)
        row = grading.report(grading.otter_run(notebook, archive, limit, total), archive, leave_out)
        row["suspicions"] += [f"{question}: {text}" for question, text in rules if question not in leave_out]
        return {"set": folder.name, **row}

    with ThreadPoolExecutor(at_once()) as pool:
        running = {pool.submit(one, *job): job for job in work}
        try:
            for done in tqdm(as_completed(running), "grading", len(running), file=sys.stderr, disable=None):
                handin, *_, key = running[done]
                try:
                    row = done.result()
                except Exception as error:  # one strange notebook must not end the grading of the others
                    row, failed = {"error": f"{handin.place}: {type(error).__name__}: {error}"}, True
                book.add(handin, row, key)
                tqdm.write(table(handin, row), file=sys.stdout)
        except KeyboardInterrupt:
            sandbox.stop.set()
            pool.shutdown(cancel_futures=True)
            print(f"\n{len(book.rows)} of {len(handins)} are in {out}/points.csv; the same command goes on from there")
            raise
    book.write_tables()
    print(f"Written: {out}/points.csv; for each set its tables, and a page for each student in feedback/.")
    return int(failed)


def sort_out(handins, set_name, output):
    """([(hand-in, notebook, the built set's folder, its archive)], [(hand-in, why it cannot be graded)])."""
    jobs, refused, seen = [], [], {}
    for handin in handins:
        try:
            notebook = grading.parse_notebook(handin.content, handin.place)
            folder = Path(output, set_name) if set_name else grading.set_of(notebook, handin.place, output)
            archive = folder / "teacher" / f"{folder.name}-autograder.zip"
            if not archive.exists():
                raise SetError(f"{archive}: not built; run `coursework.py build {folder.name}`")
            if double := seen.get((folder.name, handin.slug)):
                raise SetError(f"{handin.place}: {handin.student} handed in this set twice, see {double}; keep one")
        except SetError as error:
            refused.append((handin, str(error)))
        else:
            seen[folder.name, handin.slug] = handin.place
            jobs.append((handin, notebook, folder, archive))
    return jobs, refused


def table(handin, row) -> str:
    """One notebook's points and messages as lines of text."""
    if "error" in row:
        return f"{row['error']}\n"
    total = f"{row['points']:g} of {row['possible']:g} points"
    lines = [f"{handin.student} ({row['set']}): {total}, {row['seconds']:.0f} s"]
    for name, question in row["questions"].items():
        first, *more = question["messages"] or [""]
        lines.append(f"  {name:6} {question['points']:4g} / {question['possible']:g}   {first}".rstrip())
        lines += [f"                  {message}" for message in more]
    notes = [f"  look at this: {text}" for text in row["suspicions"]] + [f"  note: {note}" for note in row["notes"]]
    return "\n".join([*lines, *notes, ""])
