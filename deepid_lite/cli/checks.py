"""Before the work: can an output be written, and is it none of the inputs?"""

import os
import tempfile
from pathlib import Path

from deepid_lite.errors import DataError


def check_output(path, *inputs):
    """DataError where no file can be written at `path`, or where it would take the place of an input.

    inputs: files and folders that the command reads; None and names of data sets or models are passed over. A file in a
    folder that is read may be replaced if it is JSON, which holds no faces. None and "-" (standard output) are fine.
    """
    if path is None or str(path) == "-":
        return
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path}: it is a folder; name a file")
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():  # a pipe, a device
        possible = os.access(target, os.W_OK)
    else:
        possible = _takes_files(next(parent for parent in target.parents if parent.exists()))
    if not possible:
        raise DataError(f"{path}: cannot be written; check the rights there or choose another place")
    for source in filter(None, inputs):
        if path.exists() and os.path.exists(source) and _holds(Path(source), path):
            raise DataError(f"{path}: the command reads it (from {source}); choose another place")


def check_outputs(paths, *inputs):
    """`check_output` of each, and DataError where two of them are one file."""
    for place, path in enumerate(paths):
        check_output(path, *inputs)
        if path and any(other and os.path.realpath(other) == os.path.realpath(path) for other in paths[:place]):
            raise DataError(f"{path}: two outputs of the command; give each a file of its own")


def _takes_files(folder):
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _holds(source, path):
    inside = source.is_dir() and path.suffix.lower() != ".json" and source.resolve() in path.resolve().parents
    return inside or source.samefile(path)
