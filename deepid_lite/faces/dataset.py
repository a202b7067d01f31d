"""Faces in, one shape for all: `load_faces` reads a data set and returns a `FaceSet` of aligned pictures.

Every source ends as the same five arrays, aligned to the frame of align.py, so that nothing behind this
module knows where a face came from. A set is decoded once and then mapped from a cache.
"""

import hashlib
import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces import cache as facecache
from deepid_lite.faces import layouts as sources
from deepid_lite.faces.images import fingerprint, open_files
from deepid_lite.faces.synthetic import people as synthetic

log = logging.getLogger(__name__)

VERSION = 1  # part of every cache key: raise it when decoding or listing changes what a set holds
SOURCES = ("synthetic", "lfw", "celeba", "webfaces", "folder")


@dataclass
class FaceSet:
    """Aligned faces of P people.

    images: uint8 (N, 144, 128, 3) RGB, an array or a read-only memory map.
    labels: int64 (N,), indices into names; names: P people.
    landmarks: float32 (N, 5, 2), pixels (x, y) of the aligned picture, in the order of align.LANDMARKS.
    attributes: name -> (N,); unknown numbers are nan.
    paths: N names of files; skipped: pictures that could not be used, with the reason.
    data_hash: SHA-256 over labels, paths and pixels.
    """

    images: np.ndarray
    labels: np.ndarray
    names: list[str]
    landmarks: np.ndarray
    attributes: dict[str, np.ndarray]
    paths: list[str]
    source: str = ""
    data_hash: str = ""
    skipped: list[str] = field(default_factory=list)

    def __post_init__(self):
        columns = {"labels": self.labels, "landmarks": self.landmarks, "paths": self.paths, **self.attributes}
        for name, values in columns.items():
            if len(values) != len(self.images):
                raise DataError(f"{self.source or 'FaceSet'}: {len(values)} {name} for {len(self.images)} images")
        if len(self.labels) and not 0 <= np.min(self.labels) <= np.max(self.labels) < len(self.names):
            raise DataError(
                f"{self.source or 'FaceSet'}: labels must lie in 0..{len(self.names) - 1}, found "
                f"{np.min(self.labels)}..{np.max(self.labels)}"
            )

    def __len__(self):
        return len(self.images)

    def subset(self, which):
        """The images at these indices, in this order, or where a (N,) mask is true.

        People are renumbered 0.. in their former order and those without an image are dropped. A slice of
        consecutive images stays a view; other choices are copied into memory (55 kB an image).
        """
        which = np.asarray(which)
        if which.dtype == bool:
            if which.shape != (len(self),):
                raise DataError(f"subset: a mask of shape {which.shape} for {len(self)} images")
            which = np.flatnonzero(which)
        which = which.astype(np.int64, casting="same_kind") if which.size else np.zeros(0, np.int64)
        if which.size and not -len(self) <= which.min() <= which.max() < len(self):
            raise DataError(f"subset: index {which.min()}..{which.max()} outside 0..{len(self) - 1}")
        which = which % max(len(self), 1)
        used, labels = np.unique(self.labels[which], return_inverse=True)
        run = which.size and np.array_equal(which, np.arange(which[0], which[0] + which.size))
        images = self.images[which[0] : which[0] + which.size] if run else self.images[which]
        digest = hashlib.sha256(self.data_hash.encode() + which.astype("<i8").tobytes()).hexdigest()
        return FaceSet(
            images,
            labels.astype(np.int64),
            [self.names[person] for person in used],
            self.landmarks[which],
            {name: values[which] for name, values in self.attributes.items()},
            [self.paths[row] for row in which],
            self.source,
            digest,
        )

    def people(self, which):
        """All images of these people, given as indices into names or as the names themselves."""
        known = {name: number for number, name in enumerate(self.names)}
        numbers = []
        for person in which:
            number = known.get(person, -1) if isinstance(person, str) else int(person)
            if not 0 <= number < len(self.names):
                raise DataError(f"people: {person!r} is not among the {len(self.names)} people of this set")
            numbers.append(number)
        return self.subset(np.isin(self.labels, numbers))


def load_faces(
    source, root=None, *, part=None, landmarks=None, aligned=False, limit=None, cache=None, workers=None, progress=None
):
    """Read a data set and return its faces, aligned, as a FaceSet.

    source: one of
      - "synthetic": the embedded faces; part = "train", "joint_bayesian", "test" or "celebrities".
      - "lfw": Labeled Faces in the Wild in its official layout `lfw/Name/Name_0001.jpg`, as a folder, `.tar`
        or `.tgz`, or in scikit-learn's `lfw_home`. The landmark list `landmarks.txt` (path and ten numbers a
        line, in the original 250 x 250 frame) lies beside it, in `lfw_protocol/`, or is given by `landmarks`.
      - "celeba": CelebA with its official file names; part = "train", "val", "test" or "all" (default).
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

    Broken pictures are logged by name, left out and counted in `skipped`; when they are more than 1 % of the
    set a DataError follows. All other mistakes in paths, archives and lists raise DataError with one line.
    """
    if limit is not None and limit < 1:
        raise DataError(f"limit={limit}: at least one image is needed")
    if landmarks is not None and source != "lfw":
        raise DataError("landmarks=...: only lfw takes a landmark list; other folders have an index.csv")
    part = part or {"synthetic": "train", "celeba": "all"}.get(source)
    place, content = _locate(source, root, part, landmarks)
    recipe = (VERSION, content, facecache.alignment_mark(), part, bool(aligned), limit)
    stem = f"{place.source}-{hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]}"
    folder = None if cache is False else facecache.cache_folder(cache)
    stored = folder and facecache.read_set(folder, stem)
    if stored:
        skipped = stored[1]["skipped"]
        if len(skipped):
            log.warning("%s: %d images left out as broken: %s", place.source, len(skipped), "; ".join(skipped[:3]))
    else:
        listing, payloads = _list(place, part, limit)
        stored = facecache.build_set(place.source, listing, payloads, folder, stem, aligned, workers, progress)
    return _as_set(place.source, *stored)


def _locate(source, root, part, landmarks):
    """Find the data set and hashes of all that it is made of, without reading a picture."""
    if part is not None and source not in ("synthetic", "celeba"):
        raise DataError(f"part={part!r}: only synthetic and celeba have parts")
    if source == "synthetic":
        return sources.Place("synthetic", Path("drawn")), synthetic.mark()
    if source not in SOURCES:
        if root is not None:
            raise DataError(f"{source!r} is no source; choose one of {', '.join(SOURCES)}")
        if not Path(source).expanduser().exists():
            raise DataError(f"{source}: no such file or folder, and none of {', '.join(SOURCES)}; check the name")
        source, root = "folder", source
    if root is None:
        if source == "folder":
            raise DataError("folder: give root=..., the folder or archive of identity/image files")
        root = sources.default_root(source)
    if source == "lfw":
        place = sources.find_lfw(root, landmarks)
    elif source == "celeba":
        place = sources.find_celeba(root)
    else:
        place = sources.find_folder(root, source if source == "webfaces" else None)
    return place, (fingerprint(place.images), [_digest(file) for file in place.lists.values()])


def _digest(file):
    """Hash of a small file, for the key of the cache."""
    try:
        return hashlib.sha256(Path(file).read_bytes()).digest()
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}; check the path") from error


def _list(place, part, limit):
    """The listing of a set and an iterator of (row, bytes or frame)."""
    if place.source == "synthetic":
        return _list_synthetic(part, limit)
    files = open_files(place.images)
    if place.source == "lfw":
        listing = sources.list_lfw(place, files)
    elif place.source == "celeba":
        listing = sources.list_celeba(place, files, part)
    else:
        listing = sources.list_folder(place, files)
    listing = listing.take(range(min(limit or len(listing.paths), len(listing.paths))))
    rows = {member: row for row, member in enumerate(listing.members)}
    return listing, ((rows[name], data) for name, data in files.read(listing.members))


def _list_synthetic(part, limit):
    faces = synthetic.lite_part(part, limit)
    people = [f"person-{label:04d}" for label in faces.labels]
    paths = [f"{person}/{number:05d}" for number, person in enumerate(people)]
    attributes = faces.attributes | {name: getattr(faces, name) for name in ("yaw", "light")}
    listing = sources.Listing(paths, paths, people, faces.landmarks, attributes)
    return listing, enumerate(faces.images)


def _as_set(source, images, side):
    attributes = {
        name.removeprefix("attribute "): values for name, values in side.items() if name.startswith("attribute ")
    }
    return FaceSet(
        images,
        side["labels"],
        side["names"].tolist(),
        side["landmarks"],
        attributes,
        side["paths"].tolist(),
        source,
        str(side["data_hash"]),
        side["skipped"].tolist(),
    )
