"""CelebA: its layout on disk, and the labels of its forty attributes, which people gave.

Its lists are in the wild in several forms: the official ones begin with a line that counts the rows and one that
names the columns; cuts of them are handed around without those, or as tables with commas.
"""

import hashlib
import zipfile
from pathlib import Path

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.images import user_path
from deepid_lite.faces.layouts import Listing, Place, existing, first_of, note_absent
from deepid_lite.faces.tables import as_text, parse_landmarks, read_rows, read_table, read_text

LISTS = {
    "identity": "identity_CelebA.txt",
    "partition": "list_eval_partition.txt",
    "landmarks": "list_landmarks_align_celeba.txt",
    "attributes": "list_attr_celeba.txt",
}
OFFICIAL = ("202599", "75e246fa4810816ffd6ee81facbd244c")  # rows and MD5 of the whole list of attributes
PARTS = {"train": "0", "val": "1", "test": "2"}
# in the order of the official list's columns
CELEBA_ATTRIBUTES = tuple(
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair "
    "Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male "
    "Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks "
    "Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace "
    "Wearing_Necktie Young".split()
)
CUTS = ("list_attr_first*.txt", "attr_*_01.txt", "*.csv")  # of the official list of attributes
SIGNS, BITS = ("1", "-1"), ("1", "0")


def find_celeba(root):
    """CelebA's aligned images (folder, zip or tar) and lists, flat or under `Img/`, `Anno/` and `Eval/`."""
    root = existing(root)
    base = root / "celeba" if (root / "celeba").is_dir() else root  # torchvision puts everything in celeba/
    names = ("img_align_celeba", "img_align_celeba.zip", "img_align_celeba.tar", "img_align_celeba.tgz")
    images = first_of(
        [base / sub / name for sub in ("", "Img") for name in names],
        f"{root}: no img_align_celeba/ or img_align_celeba.zip; fetch it with data_scripts/celeba.py",
    )
    lists = {}
    for key, name in LISTS.items():
        lists[key] = first_of(
            [base / sub / name for sub in ("", "Anno", "Eval")],
            f"{root}: no {name} beside the images; fetch it with data_scripts/celeba.py",
        )
    return Place("celeba", images, lists)


def list_celeba(place, files, part="all"):
    """CelebA's images of one part (train, val, test, all) or of several (val+test); its 40 attributes become bool."""
    wanted = PARTS.keys() if part == "all" else part.split("+")
    if unknown := [name for name in wanted if name not in PARTS]:
        raise DataError(f"part {unknown[0]!r}: CelebA has train, val, test and all; join them as in val+test")
    wanted = {PARTS[name] for name in wanted}
    members, left_out = files.pictures()
    found = {member.rsplit("/", 1)[-1]: member for member in members}
    identity = {path: who for _, (path, who) in read_rows(place.lists["identity"], columns=2)}
    partition = {}
    for where, (path, value) in read_rows(place.lists["partition"], columns=2):
        if value not in PARTS.values():
            raise DataError(f"{where}: partition {value!r} is none of 0, 1, 2; fetch the list again")
        partition[path] = value
    points = read_counted(place.lists["landmarks"], columns=range(10))
    labels = read_counted(place.lists["attributes"])
    chosen = [path for path in sorted(partition) if partition[path] in wanted]
    tables = {"identity": identity, "partition": partition, "landmarks": points.index, "attributes": labels.index}
    for key, table in tables.items():
        missing = [path for path in found if path not in table]
        if missing:
            raise DataError(
                f"{place.lists[key]}: no row for {missing[0]} ({len(missing)} of {len(found)} images have "
                "none); fetch the list again"
            )
    paths = [path for path in chosen if path in found]
    if not paths:
        raise DataError(f"{files.root}: none of the {len(chosen)} images of part {part!r} is here; check the folder")
    note_absent(place.lists["partition"], len(chosen) - len(paths), len(chosen))
    points, labels = points.loc[paths], labels.loc[paths]
    return Listing(
        [found[path] for path in paths],
        paths,
        [identity[path] for path in paths],
        parse_landmarks(points.drop(columns="where").values.tolist(), list(points["where"])).astype(np.float32),
        {name: values > 0 for name, values in _bits(labels, SIGNS).items()},
        left_out,
        list(points["where"]),
    )


def read_counted(file, columns=None, whole=True):
    """A list that begins with a count and a header -> DataFrame of text by the image's name.

    columns: names for the columns, by default the header's; the column `where` says where each row stands. whole:
    the count must be met; else it is that of the list from which this one was cut.
    """
    text = _text(file)
    count, header = [*text.split("\n", 2), "", ""][:2]
    if not count.strip().isdigit():
        raise DataError(f"{file}, line 1: the number of rows is expected; fetch the list again")
    columns = list(header.split() if columns is None else columns)
    table = read_table(text, file, 1 + len(columns), skip=2)
    if len(table) > int(count) or (whole and len(table) < int(count)):
        raise DataError(f"{file}: {len(table)} rows where line 1 announces {count.strip()}; fetch the list again")
    return _by_image(table, file, columns)


def _text(file):
    """The text of a list, which may lie in a zip of its own; the whole list of attributes must be the official one."""
    if file.suffix != ".zip":
        text = read_text(file)
        _check_official(file, file.read_bytes())
        return text
    try:
        with zipfile.ZipFile(file) as archive:
            data = archive.read(f"{file.stem}.txt")
    except (OSError, KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        raise DataError(f"{file}: no zip with {file.stem}.txt that can be read; fetch it again") from None
    _check_official(file, data)
    return as_text(data, file)


def _check_official(file, data):
    rows, md5 = OFFICIAL
    named = file.stem == Path(LISTS["attributes"]).stem and data[:99].split(maxsplit=1)[:1] == [rows.encode()]
    if named and data.count(b"\n") > int(rows) and hashlib.md5(data, usedforsecurity=False).hexdigest() != md5:
        raise DataError(f"{file}: not the official list of {rows} pictures, its MD5 is another; fetch it again")


def _by_image(table, file, columns):
    """A table whose first column names the image, with names for the others and `where` each row stands."""
    where = [f"{file}, line {line}" for line in table.index]
    return table.set_axis(["image", *columns], axis=1).assign(where=where).set_index("image")


def _bits(table, code):
    """The attributes of a table -> {name: float32 (N,)}: 1 where it says the first word of `code`, 0 for the other."""
    found = {}
    for name in [column for column in table.columns if column in CELEBA_ATTRIBUTES]:
        if (wrong := ~table[name].isin(code).to_numpy()).any():
            value, where = table[name].iloc[wrong.argmax()], table["where"].iloc[wrong.argmax()]
            raise DataError(f"{where}: {name} is {value!r} and none of {', '.join(code)}; fetch the list again")
        found[name] = (table[name] == code[0]).to_numpy(np.float32)
    return found


# the labels of any faces that come from CelebA


def celeba_attributes(faces, folder):
    """The human labels of those faces that come from CelebA: {attribute: float32 (N,)}, 0, 1 or nan, all 40.

    faces: a FaceSet of CelebA, or of web faces whose attribute "source" begins with "celeba" where "original" names
    the file. folder: holds the official list `list_attr_celeba.txt` (a count line, a header, 1 or -1) or its zip, or
    cuts of it: `list_attr_first*.txt` (the same with fewer rows), `attr_*_01.txt` (0 or 1, no header, all 40 columns),
    tables `*.csv` (the file name first, then some attributes, 0 or 1; other columns are skipped). All that is there is
    read.
    DataError where a row is malformed, two lists contradict each other, or nothing fits.
    """
    known, rows = np.unique(_names(faces), return_inverse=True)
    row_of = {name: row for row, name in enumerate(known) if name}
    found = np.full((len(known), len(CELEBA_ATTRIBUTES)), np.nan, np.float32)
    for file in _files(user_path(folder)):
        table, code = _read_labels(file)
        bits = _bits(table, code)
        columns, values = [CELEBA_ATTRIBUTES.index(name) for name in bits], np.stack(list(bits.values()), axis=1)
        for place in np.flatnonzero(table.index.isin(list(row_of))):
            row = found[row_of[table.index[place]]]
            before, now = row[columns], values[place]
            if (clash := ~np.isnan(before) & (before != now)).any():
                where, other = f"{table['where'].iloc[place]}: {table.index[place]}", list(bits)[clash.argmax()]
                raise DataError(f"{where} has another {other} than in an earlier row; keep the right one")
            row[columns] = now
    return {attribute: found[rows, column] for column, attribute in enumerate(CELEBA_ATTRIBUTES)}


def _names(faces):
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


def _files(folder):
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the one with {LISTS['attributes']}")
    official = folder / LISTS["attributes"]
    zipped = official.with_suffix(".zip")
    official = zipped if zipped.is_file() and not official.is_file() else official
    files = [official] if official.is_file() else [file for cut in CUTS for file in sorted(folder.glob(cut))]
    files = [file for file in files if file.suffix != ".csv" or _header(file)]
    if not files:
        raise DataError(f"{folder}: neither {official.name} nor a part of it ({', '.join(CUTS)}); fetch it")
    return files


def _header(file):
    """The columns of a table with commas, none where it has no attributes."""
    names = read_text(file).split("\n", 1)[0].strip().split(",")
    return names if set(names[1:]) & set(CELEBA_ATTRIBUTES) else []


def _read_labels(file):
    """(table by image, its words for yes and no) of a list of whichever kind."""
    if file.suffix == ".csv":
        table = read_table(read_text(file), file, separator=",")
        return _by_image(table[1:], file, _header(file)[1:]), BITS
    if file.name.startswith("attr_"):
        return _by_image(read_table(read_text(file), file, 41), file, CELEBA_ATTRIBUTES), BITS
    table = read_counted(file, whole=file.stem == Path(LISTS["attributes"]).stem)
    if len(table.columns) < 2 or not set(table.columns) <= {*CELEBA_ATTRIBUTES, "where"}:
        raise DataError(f"{file}, line 2: the names of CelebA's attributes are expected; fetch the list again")
    return table, SIGNS
