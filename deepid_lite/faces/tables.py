"""Read the text files that go with faces: landmarks, identities, parts, attributes.

pandas parses them. Every mistake is told with its file, line and value, because the files have up to 200,000 rows.
"""

import csv
import io
import re
from pathlib import PurePosixPath

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import TEMPLATE, similarity, transform_points
from deepid_lite.files import read_bytes

POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
INDEX_LANDMARKS = [f"{point}_{axis}" for point in POINTS for axis in "xy"]
LEAST_EYES = 2  # pixels between the eyes of any face; less is a part of the picture's size and no pixels
LEAST_MOUTH = 0.2  # of the eyes' distance, along the eyes; 0.45 is the least of 100,000 faces
MOST_RESIDUAL = 15  # pixels of the frame, root mean square; 14 is the most of 100,000 faces, other orders leave 15.5
FEW = 0.01  # of the rows of a list may be odd faces; more, and it is the list that is odd


def read_text(file):
    """The text of a file; DataError where it is none."""
    return as_text(read_bytes(file), file)


def as_text(data, where):
    try:
        text = data.decode("utf-8-sig")
        if "\0" in text:
            raise ValueError("it has bytes of zero")
    except ValueError as error:
        raise DataError(f"{where}: cannot be read as text ({error}); save it as UTF-8, or fetch it again") from error
    return text


def read_table(text, where, columns=None, separator=r"\s+", skip=0):
    """Rows of text as a DataFrame of str, by the number of their line; blank lines are passed over.

    columns: how many a row must have, by default as many as the first. skip: lines at the beginning to leave out.
    """
    import pandas as pd

    plain = {"engine": "python"}  # slower than that in C, but it tells a missing value from an empty one
    if separator == r"\s+":
        plain = {"engine": "c", "quoting": csv.QUOTE_NONE, "na_values": [""]}
    options = {"header": None, "dtype": str, "keep_default_na": False, "skip_blank_lines": False, "index_col": False}
    try:
        table = pd.read_csv(io.StringIO(text), sep=separator, skiprows=skip, **options, **plain)
    except pd.errors.EmptyDataError:
        return pd.DataFrame(columns=range(columns or 0), dtype=str)
    except pd.errors.ParserError as error:
        found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if found is None:
            raise DataError(f"{where}: no readable table ({' '.join(str(error).split())}); mend it") from None
        wanted, line, count = found.groups()
        raise DataError(_count(where, int(line), count, columns or wanted)) from None
    table.index += 1 + skip
    table = table[~(table.isna() | (table == "")).all(axis=1)]
    columns = columns or table.shape[1]
    counts = table.notna().sum(axis=1)
    if (wrong := counts != columns).any():
        line = wrong.idxmax()
        raise DataError(_count(where, line, counts[line], columns))
    return table


def _count(where, line, found, wanted):
    return f"{where}, line {line}: {found} values where {wanted} are expected; mend the row, or fetch the list again"


def read_rows(file, columns=11):
    """Yield ("file, line 3", [values]) for each row of a list separated by white space."""
    table = read_table(read_text(file), file, columns)
    for line, values in zip(table.index, table.values.tolist(), strict=True):
        yield f"{file}, line {line}", values


def parse_landmarks(rows, places):
    """Rows of ten texts x y x y ... as (N, 5, 2) floats. places: where each row stands, for the message.

    One check for all lists. A row is refused that has not ten finite numbers or is mirrored, and the first of those
    that no face has, by the distance of the eyes, the order of the mouth's corners, and what the best similarity to
    the template leaves, when there are more of them than a few.
    """

    def refuse(wrong, why, few=0.0):
        if wrong.sum() > few * len(wrong):
            row = wrong.argmax()
            raise DataError(f"{places[row]}: landmarks {' '.join(map(str, rows[row]))!r} {why}")

    numbers = [_numbers(row) for row in rows]
    refuse(np.array([len(row) != 10 for row in numbers], dtype=bool), "are not ten numbers; mend the row")
    points = np.array(numbers, dtype=float).reshape(-1, 5, 2)
    refuse(~np.isfinite(points).all((1, 2)), "are not finite; mend or drop the row")
    eyes, mouth = points[:, 1] - points[:, 0], points[:, 4] - points[:, 3]
    down = points[:, 3:].mean(1) - points[:, :2].mean(1)
    turned = eyes[:, 0] * down[:, 1] - eyes[:, 1] * down[:, 0]  # positive for a face turned in any direction
    order = "the order is left eye, right eye, nose, left and right mouth corner as they lie in the picture"
    refuse(turned <= 0, f"coincide or are mirrored; {order}")
    apart = np.linalg.norm(eyes, axis=1)
    refuse(apart < LEAST_EYES, f"have eyes less than {LEAST_EYES} pixels apart; give pixels, not parts of a picture")
    refuse((eyes * mouth).sum(1) < LEAST_MOUTH * apart**2, f"have crossed or equal mouth corners; {order}", FEW)
    fitted = transform_points(points, similarity(points)) if len(points) else points
    residual = np.sqrt(((fitted - TEMPLATE) ** 2).sum(-1).mean(-1))
    refuse(residual > MOST_RESIDUAL, f"are no face; x and y of each point in turn, and {order}", FEW)
    return points


def _numbers(row):
    try:
        return [float(value) for value in row]
    except ValueError:
        return []


def read_columns(data, where):
    """The bytes of a table with a header -> DataFrame of text with its columns, by the number of the line.

    Commas, semicolons (with commas in numbers) or tabs; a first column without a name, as pandas writes it, is dropped.
    """
    text = as_text(data, where)
    separator = max(",;\t", key=text.split("\n", 1)[0].count)
    table = read_table(text, where, separator=separator)
    if not len(table):
        return table
    table = table[1:].set_axis([name.strip() for name in table.iloc[0]], axis=1)
    if table.columns[0] in ("", "Unnamed: 0"):
        table = table.iloc[:, 1:]
    if (double := table.columns.duplicated()).any():
        raise DataError(f"{where}, line 1: two columns {table.columns[double][0]!r}; keep one")
    return table.replace(r"^\s*(-?\d+),(\d+)\s*$", r"\1.\2", regex=True) if separator == ";" else table


def read_index(data, where):
    """The bytes of an `index.csv` as {path: row} and, when it has landmarks, {path: (5, 2)}."""
    table = read_columns(data, where)
    marked = [name for name in INDEX_LANDMARKS if name in table.columns]
    if not len(table) or not {"path", "identity"} <= set(table.columns) or len(marked) not in (0, 10):
        raise DataError(
            f"{where}: rows with the columns path, identity and all or none of {', '.join(INDEX_LANDMARKS)} "
            f"are expected; it has {len(table)} rows of {', '.join(map(str, table.columns)) or 'nothing'}"
        )
    table["path"] = [plain_path(path) for path in table["path"]]
    for wrong, why in (
        (table["identity"].str.strip() == "", "has no identity; mend the row"),
        (table["path"].duplicated(), "is listed twice; keep one row"),
    ):
        if wrong.any():
            line = wrong.idxmax()
            raise DataError(f"{where}, line {line}: {table['path'][line]} {why}")
    rows = dict(zip(table["path"], table.to_dict("records"), strict=True))
    if not marked:
        return rows, {}
    return rows, dict(zip(rows, landmarks_of(table, where), strict=True))


def landmarks_of(table, where, columns=INDEX_LANDMARKS):
    """The landmarks (N, 5, 2) in these ten columns of a table."""
    return parse_landmarks(table[list(columns)].values.tolist(), [f"{where}, line {line}" for line in table.index])


def plain_path(path):
    r"""The path of a list as members of archives are named: `Anna\1.png` and `./Anna/1.png` are `Anna/1.png`."""
    return PurePosixPath(path.strip().replace("\\", "/")).as_posix()


def as_attribute(texts):
    """A column of the index as numbers, unknown as nan, or as text when some entry is no number."""
    try:
        return np.array([float(text) if text.strip() else np.nan for text in texts])
    except ValueError:
        return np.array(texts)
