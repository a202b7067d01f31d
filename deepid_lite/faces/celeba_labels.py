"""Attribute labels of photographs: CelebA's, which people gave, and LFW's, which two classifiers predicted.

Both become the same thing, name -> float32 (N,) with 1 for yes, 0 for no and nan where nothing is known. A predicted
label is as good as its classifier: a study uses only columns that an audit let through (`lfw_attribute_audit.json`
among the recorded results says which, and how they were looked at).
"""

import csv
import io
from pathlib import Path

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.tables import read_text

# in the order of the official list's columns
CELEBA_ATTRIBUTES = tuple(
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair "
    "Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male "
    "Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks "
    "Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace "
    "Wearing_Necktie Young".split()
)
OFFICIAL = "list_attr_celeba.txt"
PARTS = ("list_attr_first*.txt", "attr_*_01.txt", "*.csv")  # cuts of the official list that are handed around
SIGNS, BITS = {"1": 1.0, "-1": 0.0}, {"1": 1.0, "0": 0.0}


def celeba_attributes(faces, folder):
    """The human labels of those faces that come from CelebA: {attribute: float32 (N,)}, 0, 1 or nan, all 40.

    faces: a FaceSet of CelebA, or of web faces whose attribute "source" begins with "celeba" where "original" names
    the file. folder: holds the official list `list_attr_celeba.txt` (a count line, a header, 1 or -1) or cuts of it:
    `list_attr_first*.txt` (the same with fewer rows), `attr_*_01.txt` (0 or 1, no header, all 40 columns), tables
    `*.csv` (the file name first, then some attributes, 0 or 1; other columns are skipped). All that is there is read.
    DataError where a row is malformed, two lists contradict each other, or nothing fits.
    """
    names = _celeba_names(faces)
    known, rows = np.unique(names, return_inverse=True)
    place = {name: row for row, name in enumerate(known) if name}
    table = np.full((len(known), len(CELEBA_ATTRIBUTES)), np.nan, np.float32)
    for file in _celeba_files(folder):
        for where, name, columns, values in _rows_of(file):
            if name in place:
                _enter(table[place[name]], columns, values, where, name)
    return {attribute: table[rows, column] for column, attribute in enumerate(CELEBA_ATTRIBUTES)}


def predicted_attributes(faces, file, columns):
    """Labels that a classifier predicted for LFW, {column: float32 (N,)}: 1 where its score is above a half, else 0.

    faces: a FaceSet whose paths end in `Name_0001.jpg`. file: a CSV table with the column `image` (`Name_0001`) and
    scores from 0 to 1; images that it lacks become nan. columns: CelebA attributes of its header. They are no human
    labels: audit a column before you use it. DataError for unknown columns, scores and doubled images.
    """
    table = csv.reader(io.StringIO(read_text(file)))
    header = next(table, [])
    usable = [name for name in header if name in CELEBA_ATTRIBUTES]
    columns = [columns] if isinstance(columns, str) else list(columns)
    if "image" not in header or not usable:
        raise DataError(f"{file}, line 1: the column image and CelebA attributes are expected; fetch the table again")
    if unknown := [name for name in columns if name not in usable]:
        raise DataError(f"{file}: no attribute {unknown[0]!r}; there are {', '.join(usable)}")
    image, picked = header.index("image"), [header.index(name) for name in columns]
    scores = {}
    for number, row in enumerate(table, 2):
        where = f"{file}, line {number}"
        if len(row) != len(header):
            raise DataError(f"{where}: {len(row)} values where {len(header)} are expected; fetch the table again")
        if row[image] in scores:
            raise DataError(f"{where}: {row[image]} is listed twice; keep one row")
        scores[row[image]] = [_score(row[column], where, header[column]) for column in picked]
    stems = [Path(path).stem for path in faces.paths]
    if len(stems) and not any(stem in scores for stem in stems):
        raise DataError(f"{file}: no row for any of the {len(stems)} faces ({stems[0]} ...); take LFW's table")
    missing = [np.nan] * len(columns)
    found = np.array([scores.get(stem, missing) for stem in stems]).reshape(len(stems), len(columns))
    labels = np.where(np.isnan(found), np.nan, found > 0.5).astype(np.float32)
    return dict(zip(columns, labels.T, strict=True))


def _score(text, where, column):
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not 0 <= value <= 1:
        raise DataError(f"{where}: {column} is {text!r}, a score from 0 to 1 is expected; fetch the table again")
    return value


def _celeba_names(faces):
    """CelebA's file name of each face, (N,) of text; empty where it comes from elsewhere."""
    if faces.source == "celeba":
        return np.array([Path(path).name for path in faces.paths], dtype=str)
    columns = faces.attributes
    if not {"source", "original"} <= columns.keys():
        raise DataError(f"{faces.source or 'faces'}: no attributes source and original that name CelebA's files")
    names = np.where(np.char.startswith(columns["source"].astype(str), "celeba"), columns["original"], "").astype(str)
    if not (names != "").any():
        raise DataError(f"{faces.source or 'faces'}: none of the {len(names)} faces has the source celeba")
    return names


def _celeba_files(folder):
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the one with {OFFICIAL}")
    official = folder / OFFICIAL
    files = [official] if official.is_file() else [file for part in PARTS for file in sorted(folder.glob(part))]
    files = [file for file in files if file.suffix != ".csv" or _csv_attributes(file)]
    if not files:
        raise DataError(f"{folder}: neither {OFFICIAL} nor a part of it ({', '.join(PARTS)}); fetch it")
    return files


def _csv_attributes(file):
    """Positions in a table's header that hold attributes."""
    header = (read_text(file).splitlines() or [""])[0].split(",")
    return [at for at, name in enumerate(header) if at and name in CELEBA_ATTRIBUTES]


def _rows_of(file):
    """Yield (where, image, columns of the 40, their values) for each row of a list, whichever kind it is."""
    lines, separator, code = read_text(file).splitlines(), None, BITS
    if file.suffix == ".csv":
        header, start, separator = lines[0].split(","), 1, ","
    elif file.name.startswith("attr_"):
        header, start = ["", *CELEBA_ATTRIBUTES], 0
    else:
        header, start, code = ["", *_header(file, lines)], 2, SIGNS
    picked = [at for at, name in enumerate(header) if at and name in CELEBA_ATTRIBUTES]
    columns = [CELEBA_ATTRIBUTES.index(header[at]) for at in picked]
    for number, line in enumerate(lines[start:], start + 1):
        values = line.split(separator)
        where = f"{file}, line {number}"
        if len(values) != len(header) or not values[0]:
            raise DataError(f"{where}: {len(values)} values where {len(header)} are expected; fetch the list again")
        try:
            yield where, values[0], columns, [code[values[at]] for at in picked]
        except KeyError as error:
            raise DataError(f"{where}: value {error} is none of {', '.join(code)}; fetch the list again") from None


def _header(file, lines):
    """The attributes that the official list or its beginning announces; the whole list must be whole."""
    names = lines[1].split() if len(lines) > 1 else []
    if not names or not lines[0].strip().isdigit() or not set(names) <= set(CELEBA_ATTRIBUTES):
        raise DataError(f"{file}: a line with the number of rows and one with CelebA's attributes are expected first")
    n, announced = len(lines) - 2, int(lines[0])
    if n > announced or (n < announced and file.name == OFFICIAL):
        raise DataError(f"{file}: {n} rows where line 1 announces {announced}; fetch the list again")
    return names


def _enter(row, columns, values, where, name):
    """Write one image's values into its row of the table; what is there already must agree."""
    before = row[columns]
    clash = np.flatnonzero(~np.isnan(before) & (before != values))
    if len(clash):
        attribute = CELEBA_ATTRIBUTES[columns[clash[0]]]
        raise DataError(f"{where}: {name} has another {attribute} than in an earlier row; keep the right one")
    row[columns] = values
