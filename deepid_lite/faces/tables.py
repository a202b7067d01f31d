"""Read the text files that go with faces: landmarks, identities, parts, attributes.

Every mistake in them is told with its file, line and value, because the files have up to 200,000 rows.
"""

import csv
import io
from pathlib import Path

import numpy as np

from deepid_lite.errors import DataError

INDEX_LANDMARKS = [
    f"{point}_{axis}" for point in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right") for axis in "xy"
]


def read_text(file):
    try:
        return Path(file).read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{file}: no such file; check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as text ({error}); fetch it again") from error


def read_rows(file, columns=11):
    """Yield ("file, line 3", [values]) for each row of a list separated by white space."""
    lines = read_text(file).splitlines()
    for number, line in enumerate(lines, 1):
        values = line.split()
        if values and len(values) != columns:
            raise DataError(f"{file}, line {number}: {len(values)} values where {columns} are expected; mend the row")
        if values:
            yield f"{file}, line {number}", values


def parse_landmarks(values, where):
    """Ten texts x y x y ... as (5, 2) floats; a row that no face can have is refused with its line."""
    try:
        points = np.array([float(value) for value in values]).reshape(5, 2)
    except ValueError as error:
        raise DataError(f"{where}: landmarks {' '.join(values)!r} are not ten numbers; mend the row") from error
    if not np.isfinite(points).all():
        raise DataError(f"{where}: landmarks {' '.join(values)!r} are not finite; mend or drop the row")
    eyes, down = points[1] - points[0], points[3:].mean(0) - points[:2].mean(0)
    if eyes[0] * down[1] - eyes[1] * down[0] <= 0:  # holds for a face turned in any direction, not for a mirrored one
        raise DataError(
            f"{where}: landmarks {' '.join(values)!r} coincide or are mirrored; the order is left eye, "
            "right eye, nose, left and right mouth corner as they lie in the picture"
        )
    return points


def read_index(data, where):
    """The bytes of an `index.csv` as {path: row} and, when it has landmarks, {path: (5, 2)}."""
    try:
        table = csv.DictReader(io.StringIO(data.decode("utf-8-sig")), restkey="", strict=True)
        columns, rows = table.fieldnames or [], list(table)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{where}: no readable table ({error}); save it as UTF-8 with commas") from error
    marked = [name for name in INDEX_LANDMARKS if name in columns]
    if not rows or not {"path", "identity"} <= set(columns) or len(marked) not in (0, 10):
        raise DataError(
            f"{where}: rows with the columns path, identity and all or none of {', '.join(INDEX_LANDMARKS)} "
            "are expected"
        )
    known, points = {}, {}
    for number, row in enumerate(rows, 2):
        line = f"{where}, line {number}"
        if "" in row or None in row.values():
            raise DataError(f"{line}: {len(columns)} values are expected; mend the row")
        if not row["identity"].strip():
            raise DataError(f"{line}: {row['path']} has no identity; mend the row")
        if row["path"] in known:
            raise DataError(f"{line}: {row['path']} is listed twice; keep one row")
        known[row["path"]] = row
        if marked:
            points[row["path"]] = parse_landmarks([row[name] for name in INDEX_LANDMARKS], line)
    return known, points


def as_attribute(texts):
    """A column of the index as numbers, unknown as nan, or as text when some entry is no number."""
    try:
        return np.array([float(text) if text.strip() else np.nan for text in texts])
    except ValueError:
        return np.array(texts)


def read_counted(file, columns):
    """A list of CelebA's with its count and header lines, as {path: ("file, line 3", values)} and header."""
    lines = read_text(file).splitlines()
    if len(lines) < 2 or not lines[0].strip().isdigit():
        raise DataError(f"{file}, line 1: the number of rows is expected; fetch the list again")
    header, rows = lines[1].split(), {}
    for number, line in enumerate(lines[2:], 3):
        path, *values = line.split() or [""]
        if len(values) != (columns or len(header)):
            raise DataError(
                f"{file}, line {number}: {len(values)} values where {columns or len(header)} are expected; "
                "fetch the list again"
            )
        rows[path] = (f"{file}, line {number}", values)
    if len(rows) != int(lines[0]):
        raise DataError(f"{file}: {len(rows)} rows where line 1 announces {lines[0].strip()}; fetch the list again")
    return rows, header


def parse_signs(row):
    where, values = row
    wrong = [value for value in values if value not in ("1", "-1")]
    if wrong:
        raise DataError(f"{where}: attribute {wrong[0]!r} is neither 1 nor -1; fetch the list again")
    return [value == "1" for value in values]
