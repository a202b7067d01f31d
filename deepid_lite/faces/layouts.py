"""Where faces come from: a pair of functions for each layout on disk, here LFW's and that of folders of people.

`find_...` says which archive and which lists make up a data set, without reading them; `list_...` reads the
lists and matches them with the files. Both only know names and numbers; pictures are decoded in loading.py.
"""

import logging
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.decoding import one_line
from deepid_lite.faces.images import user_path
from deepid_lite.faces.tables import INDEX_LANDMARKS, as_attribute, parse_landmarks, plain_path, read_index, read_rows

log = logging.getLogger(__name__)

LFW_LANDMARKS = ("landmarks.txt", "lfw_landmark.txt", "lfw_landmarks.txt")


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
    left_out: list[str] = field(default_factory=list)  # what is there and not listed, with reasons
    places: list[str] = field(default_factory=list)  # file and line of each one's landmarks, where there are any

    def take(self, rows):
        return replace(
            self,
            members=[self.members[row] for row in rows],
            paths=[self.paths[row] for row in rows],
            identities=[self.identities[row] for row in rows],
            landmarks=None if self.landmarks is None else self.landmarks[rows],
            attributes={name: values[rows] for name, values in self.attributes.items()},
            places=[self.places[row] for row in rows] if self.places else [],
        )


def default_root(source):
    """The folder DEEPID_DATA, for a source that was named without a path."""
    base = os.environ.get("DEEPID_DATA")
    if not base:
        raise DataError(
            f"{source}: no path was given and DEEPID_DATA is not set; "
            "give root=... or set DEEPID_DATA to the folder that holds it"
        )
    return user_path(base)


def first_of(candidates, complaint):
    for path in candidates:
        if path.exists():
            return path
    raise DataError(complaint)


def existing(root):
    root = user_path(root)
    if not root.exists():
        raise DataError(f"{root}: no such file or folder; check the path")
    if root.is_dir() and not any(root.iterdir()):
        raise DataError(f"{root}: the folder is empty; check the path")
    return root


# ---------------------------------------------------------------------------------------------- LFW


def find_lfw(root, landmarks=None):
    """LFW's photographs (folder, `.tar`, `.tgz` or scikit-learn's `lfw_home`) and the landmark list."""
    root = existing(root)
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
    found, (members, left_out) = {}, files.pictures()
    for member in members:
        parts = member.rsplit("/", 2)[-2:]
        path = "/".join(parts)
        if len(parts) < 2 or not re.fullmatch(re.escape(parts[0]) + r"_\d{4}\.\w+", parts[1]):
            left_out.append(one_line(f"{member}: not named Name/Name_0001.jpg; rename it"))
        elif path in found:
            raise DataError(f"{files.root}: {path} occurs twice ({found[path]} and {member}); keep one of them")
        else:
            found[path] = member
    if not found:
        raise DataError(f"{files.root}: no files Name/Name_0001.jpg; give the folder or archive of LFW's images")
    listed = {}
    for where, (path, *values) in read_rows(place.lists["landmarks"]):
        path = plain_path(path).removeprefix("lfw/")
        if path in listed:
            raise DataError(f"{where}: {path} is listed twice; keep one row")
        listed[path] = where, values
    places, values = zip(*listed.values(), strict=True) if listed else ((), ())
    points = dict(zip(listed, parse_landmarks(values, places), strict=True))
    paths = sorted(found)
    missing = [path for path in paths if path not in points]
    if missing:
        raise DataError(
            f"{place.lists['landmarks']}: no row for {missing[0]} ({len(missing)} of {len(paths)} images "
            "have none); fetch the whole list with data_scripts/lfw.py"
        )
    note_absent(place.lists["landmarks"], len(points) - len(paths), len(points))
    return Listing(
        [found[path] for path in paths],
        paths,
        [path.split("/")[0] for path in paths],
        np.array([points[path] for path in paths], dtype=np.float32),
        left_out=left_out,
        places=[listed[path][0] for path in paths],
    )


# ------------------------------------------------------------------------------- a folder of people


def find_folder(root, source=None):
    """Any folder or archive of `identity/image` files, with or without an `index.csv`."""
    root = existing(root)
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
    members, left_out = files.pictures()
    if not members:
        why = f"; the first left out: {left_out[0]}" if left_out else ""
        raise DataError(f"{files.root}: no pictures in it; expected identity/image files such as Anna/0001.jpg{why}")
    split = [member.split("/") for member in members]
    while all(len(parts) > 2 and parts[0] == split[0][0] for parts in split):  # a folder around all people
        split = [parts[1:] for parts in split]
    odd = next((member for member, parts in zip(members, split, strict=True) if len(parts) != 2), None)
    if odd:
        raise DataError(f"{files.root}: {odd} is not of the form identity/image; move it or add an index.csv")
    paths, people = ["/".join(parts) for parts in split], [parts[0] for parts in split]
    return Listing(members, paths, people, None, left_out=left_out)


def _list_indexed(files, index):
    prefix, where = index[: -len("index.csv")], f"{files.root}: {index}"
    rows, points = read_index(files.read_one(index), where)
    places = {path: f"{where}, line {line}" for line, path in enumerate(rows, 2)}
    rows = dict(sorted(rows.items()))
    known, listed = set(files.names), {prefix + path for path in rows}
    absent = next((path for path in rows if prefix + path not in known), None)
    if absent is not None:
        raise DataError(f"{where}: names {absent!r}, which is not there; drop the row or add the picture")
    extra, left_out = files.pictures([name for name in files.names if name not in listed])
    left_out += [one_line(f"{name}: no row in {index}; add one") for name in extra]
    others = set(next(iter(rows.values()))) - {"path", "identity", *INDEX_LANDMARKS}
    return Listing(
        [prefix + path for path in rows],
        list(rows),
        [row["identity"] for row in rows.values()],
        np.array([points[path] for path in rows], dtype=np.float32) if points else None,
        {name: as_attribute([row[name] for row in rows.values()]) for name in sorted(others)},
        left_out,
        [places[path] for path in rows],
    )


def note_absent(file, absent, listed):
    if absent > 0:
        log.warning("%s: %d of %d listed images are not there and are left out", file, absent, listed)
