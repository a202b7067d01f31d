"""Recorded results: the small JSON files that the book quotes, and what a recorded number needs beside it.

In a clone they lie in `book/results/{reference,lite}/`; an installed package carries a copy as `recorded/`
(`pyproject.toml` maps one to the other), so that a notebook run from an empty folder finds the same numbers.
"""

import hashlib
import json
import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import deepid_lite
from deepid_lite.errors import DataError
from deepid_lite.files import as_json, read_json

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
    return read_record(path, "restore it with git")


def sealed(result: dict) -> dict:
    """The result with the digest of its content, by which `read_record` tells a file that was edited."""
    return result | {"digest": _digest(result)}


def read_record(path, remedy):
    """The result that was `sealed` and written; DataError, ending with the remedy, where it is missing or changed."""
    result = read_json(path, remedy)
    if result.pop("digest", None) != _digest(result):
        raise DataError(f"{path}: not as it was recorded, its digest is another; {remedy}")
    return result


def _digest(result):
    """Of all entries, whatever their order and layout: 16 hexadecimal digits."""
    as_read = json.loads(as_json(result))
    return hashlib.sha256(json.dumps(as_read, sort_keys=True).encode()).hexdigest()[:16]


def recorded(name: str, scale: str = "reference") -> Path:
    """Where the recorded result `name` lies, or would lie; DataError for an unknown scale."""
    if scale not in SCALES:
        raise DataError(f"scale {scale!r}: choose one of {', '.join(SCALES)}")
    return results_folder() / scale / f"{name}.json"


def provenance(device="cpu"):
    """Device, versions and, in a clone, the commit that ran (with "+" where files were changed since)."""
    versions = {name: version(name) for name in ("torch", "numpy", "scipy", "scikit-learn")}
    return {
        "device": _gpu() if device == "cuda" else f"{_processor()}, {os.cpu_count()} cores",
        "versions": {"deepid_lite": deepid_lite.__version__, "python": platform.python_version(), **versions},
        "commit": _commit(),
    }


def _gpu():
    import torch  # reading results needs none

    return torch.cuda.get_device_name()


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _commit():
    def git(*words):
        done = subprocess.run(["git", "-C", _HERE, *words], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        head = git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if head and git("status", "--porcelain", "--untracked-files=no", ".") else "") or None
    except OSError:
        return None  # no git here


def markdown_table(header: list[str], rows: list[list], caption: str = "") -> str:
    """A Markdown table for `IPython.display.Markdown`; every row is as long as the header.

    Columns of numbers are set right-aligned. caption: what the table shows, above it.
    """
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"row {row!r} has {len(row)} cells, the header has {len(header)}")
    columns = [[str(cell) for cell in column] for column in zip(*rows, strict=True)] if rows else [[]] * len(header)
    lines = [header, ["---:" if _is_numbers(column) else "---" for column in columns], *rows]
    table = "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
    return f"Table: {caption}\n\n{table}" if caption else table


def _is_numbers(cells):
    """Whether a column holds numbers, with or without a unit, an error or a gap, and nothing else."""
    number = re.compile(r"[-+−]?[\d.,]+(e[-+]?\d+)?( ?(%|×|K|M|px|nats|points))?( ± [\d.]+( ?%)?)?")
    filled = [cell for cell in cells if cell not in ("", "-", "–")]
    return bool(filled) and all(number.fullmatch(cell) for cell in filled)
