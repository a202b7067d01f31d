"""Where faces come from: one pair of functions for each layout on disk.

`find_...` says which archive and which lists make up a data set, without reading them; `list_...` reads the
lists and matches them with the files. Both only know names and numbers; pictures are decoded in faces.py.
"""

import logging
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.images import is_image
from deepid_lite.faces.tables import (
    INDEX_LANDMARKS,
    as_attribute,
    parse_landmarks,
    parse_signs,
    read_counted,
    read_index,
    read_rows,
)

log = logging.getLogger(__name__)

LFW_LANDMARKS = ("landmarks.txt", "lfw_landmark.txt", "lfw_landmarks.txt")
CELEBA_LISTS = {
    "identity": "identity_CelebA.txt",
    "partition": "list_eval_partition.txt",
    "landmarks": "list_landmarks_align_celeba.txt",
    "attributes": "list_attr_celeba.txt",
}
CELEBA_PARTS = {"train": "0", "val": "1", "test": "2"}


@dataclass
class Place:
    """A data set that was found: `images` is a folder or archive, `lists` are the text files that go with
    it."""

    source: str
    images: Path
    lists: dict[str, Path] = field(default_factory=dict)


@dataclass
class Listing:
    """Pictures to decode, one entry each: member name, path as shown, person, landmarks in the picture's
    pixels."""

    members: list[str]
    paths: list[str]
    identities: list[str]
    landmarks: np.ndarray | None  # (N, 5, 2); None when the pictures are aligned already and carry no landmarks
    attributes: dict[str, np.ndarray] = field(default_factory=dict)

    def take(self, rows):
        rows = np.asarray(rows)
        return Listing(
            [self.members[row] for row in rows],
            [self.paths[row] for row in rows],
            [self.identities[row] for row in rows],
            None if self.landmarks is None else self.landmarks[rows],
            {name: values[rows] for name, values in self.attributes.items()},
        )


def default_root(source):
    """The folder DEEPID_DATA, for a source that was named without a path."""
    base = os.environ.get("DEEPID_DATA")
    if not base:
        raise DataError(
            f"{source}: no path was given and DEEPID_DATA is not set; "
            "give root=... or set DEEPID_DATA to the folder that holds it"
        )
    return Path(base).expanduser()


def first_of(candidates, complaint):
    for path in candidates:
        if path.exists():
            return path
    raise DataError(complaint)


def _require(root):
    root = Path(root).expanduser()
    if not root.exists():
        raise DataError(f"{root}: no such file or folder; check the path")
    if root.is_dir() and not any(root.iterdir()):
        raise DataError(f"{root}: the folder is empty; check the path")
    return root


# ---------------------------------------------------------------------------------------------- LFW


def find_lfw(root, landmarks=None):
    """LFW's photographs (folder, `.tar`, `.tgz` or scikit-learn's `lfw_home`) and the landmark list."""
    root = _require(root)
    images = root
    if root.is_dir():
        names = [f"{home}{name}" for home in ("", "lfw_home/") for name in ("lfw.tar", "lfw.tgz", "lfw.tar.gz", "lfw")]
        images = next((root / name for name in names if (root / name).exists()), root)
        if images == root and any((root / f"{home}lfw_funneled").exists() for home in ("", "lfw_home/")):
            raise DataError(
                f"{root}: holds only the funneled LFW, which the landmark list does not fit; "
                "fetch the original with data_scripts/lfw.py"
            )
    if landmarks is None:
        folders = dict.fromkeys([root if root.is_dir() else root.parent, images.parent, images])
        found = [
            folder / sub / name
            for folder in folders
            if folder.is_dir()
            for sub in ("", "lfw_protocol")
            for name in LFW_LANDMARKS
        ]
        landmarks = first_of(
            found,
            f"{root}: no landmark list landmarks.txt beside the LFW images; "
            "fetch it with data_scripts/lfw.py or give landmarks=...",
        )
    return Place("lfw", images, {"landmarks": Path(landmarks)})


def list_lfw(place, files):
    """Files `.../Name/Name_0001.jpg` and their landmarks; paths become `Name/Name_0001.jpg`."""
    found = {}
    for member in files.names:
        parts = member.rsplit("/", 2)[-2:]
        if len(parts) == 2 and re.fullmatch(re.escape(parts[0]) + r"_\d{4}\.(jpg|jpeg|png|webp)", parts[1]):
            path = "/".join(parts)
            if path in found:
                raise DataError(f"{files.root}: {path} occurs twice ({found[path]} and {member}); keep one of them")
            found[path] = member
    if not found:
        raise DataError(f"{files.root}: no files Name/Name_0001.jpg; give the folder or archive of LFW's images")
    points = {}
    for where, (path, *values) in read_rows(place.lists["landmarks"]):
        path = path.removeprefix("lfw/")
        if path in points:
            raise DataError(f"{where}: {path} is listed twice; keep one row")
        points[path] = parse_landmarks(values, where)
    paths = sorted(found)
    missing = [path for path in paths if path not in points]
    if missing:
        raise DataError(
            f"{place.lists['landmarks']}: no row for {missing[0]} ({len(missing)} of {len(paths)} images "
            "have none); fetch the whole list with data_scripts/lfw.py"
        )
    _note_absent(place.lists["landmarks"], len(points) - len(paths), len(points))
    return Listing(
        [found[path] for path in paths],
        paths,
        [path.split("/")[0] for path in paths],
        np.array([points[path] for path in paths], dtype=np.float32),
    )


# ------------------------------------------------------------------------------------------- CelebA


def find_celeba(root):
    """CelebA's aligned images (folder, zip or tar) and lists, flat or under `Img/`, `Anno/` and `Eval/`."""
    root = _require(root)
    base = root / "celeba" if (root / "celeba").is_dir() else root  # torchvision puts everything in celeba/
    names = ("img_align_celeba", "img_align_celeba.zip", "img_align_celeba.tar", "img_align_celeba.tgz")
    images = first_of(
        [base / sub / name for sub in ("", "Img") for name in names],
        f"{root}: no img_align_celeba/ or img_align_celeba.zip; fetch it with data_scripts/celeba.py",
    )
    lists = {}
    for key, name in CELEBA_LISTS.items():
        lists[key] = first_of(
            [base / sub / name for sub in ("", "Anno", "Eval")],
            f"{root}: no {name} beside the images; fetch it with data_scripts/celeba.py",
        )
    return Place("celeba", images, lists)


def list_celeba(place, files, part="all"):
    """CelebA's images of one part (train, val, test, all); its 40 attributes become bool."""
    if part not in ("all", *CELEBA_PARTS):
        raise DataError(f"part {part!r}: CelebA has train, val, test and all")
    found = {member.rsplit("/", 1)[-1]: member for member in files.names if is_image(member)}
    identity = {path: who for _, (path, who) in read_rows(place.lists["identity"], columns=2)}
    partition = {}
    for where, (path, value) in read_rows(place.lists["partition"], columns=2):
        if value not in CELEBA_PARTS.values():
            raise DataError(f"{where}: partition {value!r} is none of 0, 1, 2; fetch the list again")
        partition[path] = value
    points, _ = read_counted(place.lists["landmarks"], 10)
    labels, names = read_counted(place.lists["attributes"], None)
    chosen = [path for path in sorted(partition) if part == "all" or partition[path] == CELEBA_PARTS[part]]
    for key, table in (("identity", identity), ("partition", partition), ("landmarks", points), ("attributes", labels)):
        missing = [path for path in found if path not in table]
        if missing:
            raise DataError(
                f"{place.lists[key]}: no row for {missing[0]} ({len(missing)} of {len(found)} images have "
                "none); fetch the list again"
            )
    paths = [path for path in chosen if path in found]
    if not paths:
        raise DataError(f"{files.root}: none of the {len(chosen)} images of part {part!r} is here; check the folder")
    _note_absent(place.lists["partition"], len(chosen) - len(paths), len(chosen))
    landmarks = np.array([parse_landmarks(points[path][1], points[path][0]) for path in paths], dtype=np.float32)
    table = np.array([parse_signs(labels[path]) for path in paths])
    return Listing(
        [found[path] for path in paths],
        paths,
        [identity[path] for path in paths],
        landmarks,
        {name: table[:, column] for column, name in enumerate(names)},
    )


# ------------------------------------------------------------------------------- a folder of people


def find_folder(root, source=None):
    """Any folder or archive of `identity/image` files, with or without an `index.csv`."""
    root = _require(root)
    if source == "webfaces" and root.is_dir():  # the archive may lie in the folder that was named
        root = next((root / name for name in ("webfaces.tar", "webfaces") if (root / name).exists()), root)
    return Place(source or re.sub(r"\.(tar|tgz|zip|tar\.gz)$", "", root.name) or "folder", root)


def list_folder(place, files):
    """The pictures that `index.csv` names, or all pictures `identity/image` when there is no index."""
    indices = [name for name in files.names if name.rsplit("/", 1)[-1] == "index.csv"]
    if len(indices) > 1:
        raise DataError(f"{files.root}: more than one index.csv ({indices[0]}, {indices[1]}); keep one")
    if indices:
        return _list_indexed(files, indices[0])
    members = [name for name in files.names if is_image(name)]
    if not members:
        raise DataError(f"{files.root}: no pictures in it; expected identity/image files such as Anna/0001.jpg")
    split = [member.split("/") for member in members]
    while all(len(parts) > 2 and parts[0] == split[0][0] for parts in split):  # a folder around all people
        split = [parts[1:] for parts in split]
    odd = next((member for member, parts in zip(members, split, strict=True) if len(parts) != 2), None)
    if odd:
        raise DataError(f"{files.root}: {odd} is not of the form identity/image; move it or add an index.csv")
    return Listing(members, ["/".join(parts) for parts in split], [parts[0] for parts in split], None)


def _list_indexed(files, index):
    prefix, where = index[: -len("index.csv")], f"{files.root}: {index}"
    rows, points = read_index(files.read_one(index), where)
    rows = dict(sorted(rows.items()))
    known = set(files.names)
    absent = next((path for path in rows if prefix + path not in known), None)
    if absent is not None:
        raise DataError(f"{where}: names {absent!r}, which is not there; drop the row or add the picture")
    extra = sum(is_image(name) and name.removeprefix(prefix) not in rows for name in files.names)
    if extra:
        log.warning("%s: %d pictures have no row and are left out", where, extra)
    others = set(next(iter(rows.values()))) - {"path", "identity", *INDEX_LANDMARKS}
    return Listing(
        [prefix + path for path in rows],
        list(rows),
        [row["identity"] for row in rows.values()],
        np.array([points[path] for path in rows], dtype=np.float32) if points else None,
        {name: as_attribute([row[name] for row in rows.values()]) for name in sorted(others)},
    )


def _note_absent(file, absent, listed):
    if absent > 0:
        log.warning("%s: %d of %d listed images are not there and are left out", file, absent, listed)
