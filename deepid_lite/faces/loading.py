"""`load_faces` reads a data set and returns a `FaceSet` of aligned pictures.

Every source ends as the same plain arrays, aligned to the frame of alignment.py, so that nothing behind this module
knows where a face came from. A set is decoded once and then mapped from a cache.
"""

import hashlib
import logging
from pathlib import Path

from deepid_lite.errors import DataError
from deepid_lite.faces import cache as stored_sets
from deepid_lite.faces import celeba, layouts
from deepid_lite.faces.dataset import FaceSet
from deepid_lite.faces.images import fingerprint, open_files, user_path
from deepid_lite.faces.synthetic import people as synthetic
from deepid_lite.faces.tables import read_text

log = logging.getLogger(__name__)

VERSION = 2  # part of every cache key: raise it when decoding or listing changes what a set holds
SOURCES = ("synthetic", "lfw", "celeba", "webfaces", "folder")


def load_faces(
    source: str | Path,
    root: str | Path | None = None,
    *,
    part: str | None = None,
    landmarks: str | Path | None = None,
    aligned: bool = False,
    limit: int | None = None,
    cache: str | Path | bool | None = None,
    workers: int | None = None,
    progress: bool | None = None,
) -> FaceSet:
    """Read a data set and return its faces, aligned, as a FaceSet.

    source: one of
      - "synthetic": the embedded faces; part = "train", "joint_bayesian", "test" or "celebrities".
      - "lfw": Labeled Faces in the Wild in its official layout `lfw/Name/Name_0001.jpg`, as a folder, `.tar`
        or `.tgz`, or in scikit-learn's `lfw_home`. The landmark list `landmarks.txt` (path and ten numbers a
        line, in the original 250 x 250 frame) lies beside it, in `lfw_protocol/`, or is given by `landmarks`.
      - "celeba": CelebA with its official file names; part = "train", "val", "test", both as "val+test", or "all"
        (default).
      - "webfaces" or "folder": a folder, tar or zip of `identity/image` files. With an `index.csv` (columns
        path, identity, left_eye_x ... mouth_right_y) its landmarks are used and its other columns become
        attributes. Without landmarks the pictures are taken to be aligned already: they are scaled to fill
        the frame, the overhang is cut off evenly, and the template stands in for their landmarks.
      - a path: the same as "folder" with that root.
    root: the folder or archive. None: the folder that the variable DEEPID_DATA names.
    aligned: take pictures that have landmarks as they are, too; they must be 144 x 128 then.
    limit: only the first so many images by path; the rest is neither decoded nor counted.
    cache: folder for the decoded set (default DEEPID_CACHE or `~/.cache/deepid-lite`); False: memory only.
    workers: decoding threads (default: one a core, at most 8).
    progress: True or False; None: only on a terminal.

    What is left out is logged by name and stands in `skipped` with the reason: pictures of a format that Pillow does
    not read, pictures without a row, folders that cannot be opened, and broken pictures. When the broken ones are more
    than 1 % of the set, a DataError follows. All other mistakes in paths, archives and lists raise DataError with one
    line.
    """
    if limit is not None and limit < 1:
        raise DataError(f"limit={limit}: at least one image is needed")
    if root is not None and source == "synthetic":
        raise DataError(f"root {root}: synthetic faces are drawn and lie in no folder; leave it out")
    if landmarks is not None and source != "lfw":
        raise DataError("landmarks=...: only lfw takes a landmark list; other folders have an index.csv")
    part = part or {"synthetic": "train", "celeba": "all"}.get(str(source))
    try:
        place, content = _locate(source, root, part, landmarks)
    except OSError as error:
        raise DataError(f"{error.filename or root}: {error.strerror}; check the path and its permissions") from None
    recipe = (VERSION, content, stored_sets.alignment_mark(), part, bool(aligned), limit)
    stem = f"{place.source}-{hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]}"
    folder = None if cache is False else stored_sets.cache_folder(cache)
    faces = folder and stored_sets.read_set(folder, stem)
    if faces is None:
        listing, payloads = _list(place, part, limit)
        return stored_sets.build_set(place.source, listing, payloads, folder, stem, aligned, workers, progress)
    if faces.skipped:
        log.warning("%s: %d left out: %s", faces.source, len(faces.skipped), "; ".join(faces.skipped[:3]))
    return faces


def _locate(source, root, part, landmarks):
    """Find the data set and hashes of all that it is made of, without reading a picture."""
    if part is not None and source not in ("synthetic", "celeba"):
        raise DataError(f"part={part!r}: only synthetic and celeba have parts")
    if source == "synthetic":
        return layouts.Place("synthetic", Path("drawn")), synthetic.mark()
    if source not in SOURCES:
        if root is not None:
            raise DataError(f"{source!r} is no source; choose one of {', '.join(SOURCES)}")
        if not user_path(source).exists():
            raise DataError(f"{source}: no such file or folder, and none of {', '.join(SOURCES)}; check the name")
        source, root = "folder", source
    if root is None:
        if source == "folder":
            raise DataError("folder: give root=..., the folder or archive of identity/image files")
        root = layouts.default_root(source)
    if source == "lfw":
        place = layouts.find_lfw(root, landmarks)
    elif source == "celeba":
        place = celeba.find_celeba(root)
    else:
        place = layouts.find_folder(root, source if source == "webfaces" else None)
    return place, (fingerprint(place.images), [_digest(file) for file in place.lists.values()])


def _digest(file):
    """Hash of a small file, for the key of the cache."""
    return hashlib.sha256(read_text(file).encode()).digest()


def _list(place, part, limit):
    """The listing of a set and an iterator of (row, bytes or frame)."""
    if place.source == "synthetic":
        return _list_synthetic(part, limit)
    files = open_files(place.images)
    if place.source == "lfw":
        listing = layouts.list_lfw(place, files)
    elif place.source == "celeba":
        listing = celeba.list_celeba(place, files, part)
    else:
        listing = layouts.list_folder(place, files)
    listing = listing.take(range(min(limit or len(listing.paths), len(listing.paths))))
    rows = {member: row for row, member in enumerate(listing.members)}
    return listing, ((rows[name], data) for name, data in files.read(listing.members))


def _list_synthetic(part, limit):
    faces = synthetic.lite_part(part, limit)
    people = [f"person-{label:04d}" for label in faces.labels]
    paths = [f"{person}/{number:05d}" for number, person in enumerate(people)]
    attributes = faces.attributes | {name: getattr(faces, name) for name in ("yaw", "light")}
    listing = layouts.Listing(paths, paths, people, faces.landmarks, attributes)
    return listing, enumerate(faces.images)
