"""What Gradescope runs, in place of otter's own script of this name: the same grading, within limits."""

import sys
from pathlib import Path

import limits
import nbformat
from sandbox import supervise

CELL_SECONDS, ALL_SECONDS = 60, 540  # Gradescope's own limit is ten minutes unless a teacher raises it


def main(folder="/autograder", limit=CELL_SECONDS, total=ALL_SECONDS):
    """Grade folder/submission with folder/source and write folder/results/results.json."""
    results, progress = Path(folder, "results", "results.json"), Path(folder, "results", "progress.json")
    otter = [sys.executable, "-c", f"from otter.run.run_autograder import main; main({str(folder)!r})"]
    notebooks = sorted(Path(folder, "submission").glob("*.ipynb"))

    def once(fenced, deadline):
        for file in (results, progress):
            file.unlink(missing_ok=True)
        nbformat.write(fenced(progress), notebooks[0])
        return limits.attempt(supervise(otter, progress, limit, deadline), results, progress)

    if len(notebooks) != 1:
        found = {"score": 0, "tests": [], "notes": [f"hand in one notebook (.ipynb); there are {len(notebooks)}"]}
    else:
        try:
            notebook = nbformat.read(notebooks[0], as_version=4)
        except Exception:  # whatever a broken file makes nbformat raise, the student must read why
            found = {"score": 0, "tests": [], "notes": [f"{notebooks[0].name} is no notebook: save it again"]}
        else:
            found = limits.grade(notebook, once, limit, total)
    causes = [f"{question}: {cause}" for question, told in found.pop("causes", {}).items() for cause in told]
    changed = found.pop("changed", [])
    found.pop("stopped", None)
    if notes := found.pop("notes") + causes + [f"the notebook changed {', '.join(changed)}"] * bool(changed):
        found["output"] = "\n".join(notes)
    limits.write_json(results, found)


if __name__ == "__main__":
    main(*sys.argv[1:])
