"""Recorded results: the small JSON files that the book quotes.

In a clone they lie in `book/results/{reference,lite}/`; an installed package carries a copy as `recorded/`
(`pyproject.toml` maps one to the other), so that a notebook run from an empty folder finds the same numbers.
"""

import json
from pathlib import Path

from deepid_lite.errors import DataError

_HERE = Path(__file__).resolve().parent
SCALES = ("reference", "lite")


def results_folder() -> Path:
    """The folder of `reference/` and `lite/`: the clone's when there is one, else the installed copy."""
    clone = _HERE.parent / "book" / "results"
    return clone if (_HERE.parent / "pyproject.toml").is_file() and clone.is_dir() else _HERE / "recorded"


def load_result(name: str, scale: str = "reference") -> dict:
    """The recorded result `name` as a dict; `scale` is "reference" (real faces) or "lite" (synthetic faces).

    Raises DataError when the scale is unknown, or when no such result was recorded or its file is no JSON.
    """
    path = recorded(name, scale)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.json"))) or "none"
        raise DataError(f"no {scale} result {name!r} is recorded; there are: {known}")
    return read_result(path, "restore it with git")


def recorded(name: str, scale: str = "reference") -> Path:
    """Where the recorded result `name` lies, or would lie; DataError for an unknown scale."""
    if scale not in SCALES:
        raise DataError(f"scale {scale!r}: choose one of {', '.join(SCALES)}")
    return results_folder() / scale / f"{name}.json"


def read_result(path: Path, remedy: str) -> dict:
    """The dict of a result's file; a damaged one is a DataError that ends with the remedy."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: not valid JSON ({error}); {remedy}") from None


def markdown_table(header: list[str], rows: list[list]) -> str:
    """A Markdown table for `IPython.display.Markdown`; every row is as long as the header."""
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"row {row!r} has {len(row)} cells, the header has {len(header)}")
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
