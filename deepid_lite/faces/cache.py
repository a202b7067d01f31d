"""Aligned faces on disk: decoded once, then mapped into memory, so that a set larger than memory can be used.

One set is two files, `<stem>.npy` with the pixels and `<stem>.npz` with everything else. Each takes its place when it
is whole, pixels first; a set is believed when the sample of pixels that the second names is found in the first.
"""

import errno
import hashlib
import io
import logging
import os
import shutil
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import FRAME, TEMPLATE, align, similarity, transform_points
from deepid_lite.faces.dataset import FaceSet
from deepid_lite.faces.decoding import BadImage, decode
from deepid_lite.faces.images import user_path
from deepid_lite.files import replacing, sweep

log = logging.getLogger(__name__)

FEW = 0.01  # of the pictures may be broken; with more it is the set that is
SAMPLE = 1000  # frames, spread over the set, that are compared before a stored set is believed
LEAST_SIDE, MOST_RATIO = 12, 4  # of a picture that a face fills: pixels, and of its sides
CORNER = 0.4  # of width and height: the centre of a face lies beyond it in some picture, unless the scale is wrong


def cache_folder(cache=None):
    """The folder for cached sets: `cache`, or DEEPID_CACHE, or `~/.cache/deepid-lite`."""
    given = cache or os.environ.get("DEEPID_CACHE")
    try:
        return user_path(given) if given else Path.home() / ".cache" / "deepid-lite"
    except RuntimeError:
        raise DataError("no home folder to keep decoded faces in; set DEEPID_CACHE to a folder") from None


@lru_cache
def alignment_mark():
    """A hash of what align makes of three patterns, for the names of cached sets.

    It changes with the template, the method and Pillow's resampling, and not with a comment in the code.
    """
    digest = hashlib.sha256()
    # one is only warped, one is reduced first, one reaches over the border
    for size, scale, angle in ((200, 1.1, 0.2), (420, 2.6, -0.3), (90, 0.9, 0.5)):
        image = (np.arange(size * size * 3) * 37 % 251).astype(np.uint8).reshape(size, size, 3)
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = (TEMPLATE - TEMPLATE.mean(0)) @ turn.T + size / 2 + np.arange(10).reshape(5, 2) % 3
        digest.update(align(image, points).tobytes())
        digest.update(np.rint(100 * transform_points(points, similarity(points))).astype("<i4").tobytes())
    return digest.hexdigest()


def read_set(folder, stem):
    """The FaceSet of that name, its images a read-only memory map, or None when it is not there whole."""
    try:
        with open(folder / f"{stem}.npz", "rb") as file, np.load(file, allow_pickle=False) as stored:
            side = dict(stored)
        images = np.load(folder / f"{stem}.npy", mmap_mode="r", allow_pickle=False)
        if str(side["sample"]) != _sample(images):
            return None
        attributes = {name: side[f"attribute {i}"] for i, name in enumerate(side["attributes"].tolist())}
        texts = {name: side[name].tolist() for name in ("names", "paths", "source", "data_hash", "skipped")}
        return FaceSet(
            images=images, labels=side["labels"], landmarks=side["landmarks"], attributes=attributes, **texts
        )
    except Exception:  # absent, or damaged in any way: it is built again
        return None


def _write_side(faces, file):
    names = {"names": faces.names, "paths": faces.paths, "skipped": faces.skipped, "attributes": list(faces.attributes)}
    side = {name: np.array(texts, dtype=str) for name, texts in names.items()}
    side |= {name: getattr(faces, name) for name in ("labels", "landmarks", "source", "data_hash")}
    side |= {f"attribute {i}": values for i, values in enumerate(faces.attributes.values())}
    np.savez_compressed(file, sample=_sample(faces.images), **side)


def _sample(images):
    """A hash of frames spread over the set: of all, when it is small."""
    rows = np.unique(np.linspace(0, max(len(images) - 1, 0), min(SAMPLE, len(images))).astype(int))
    digest = hashlib.sha256(f"{images.shape} {images.dtype}".encode())
    for row in rows:
        digest.update(np.ascontiguousarray(images[row]).data)
    return digest.hexdigest()


def build_set(source, listing, payloads, folder, stem, aligned=False, workers=None, progress=None):
    """Decode and place a listing (see layouts.py) from an iterator of (row, bytes or array) -> FaceSet.

    folder: where to keep it, or None for memory. Raises DataError when more than 1 % of the images cannot be used,
    when the landmarks are those of smaller pictures, and when the disk is full; nothing is then left behind.
    """
    n = len(listing.paths)
    frames = _in_threads(_renderer(listing, aligned), payloads, workers)
    hidden = None if progress is None else not progress
    bar = tqdm(frames, total=n, desc=f"{source}: aligning", unit=" faces", disable=hidden)
    with closing(frames):
        if folder is None:
            images = np.zeros((n, *FRAME, 3), np.uint8)
            keep, bad = _fill(images, source, listing, bar, aligned)
            return _face_set(source, listing, images[keep] if bad else images, keep, bad, aligned)
        size = n * FRAME[0] * FRAME[1] * 3
        with _explained(folder, size):
            folder.mkdir(parents=True, exist_ok=True)
            for part in folder.glob(".*.part.np[yz]"):  # of whatever set a killed process left behind
                sweep(folder / (part.name[1:].rsplit(".", 3)[0] + part.suffix))
            if shutil.disk_usage(folder).free < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with replacing(folder / f"{stem}.npy") as part, _explained(folder, size), open(part, "wb+") as file:
            images = _FrameFile(file)
            keep, bad = _fill(images, source, listing, bar, aligned)
            images.close_gaps(keep)
        images = np.load(folder / f"{stem}.npy", mmap_mode="r")
        faces = _face_set(source, listing, images, keep, bad, aligned)
        with replacing(folder / f"{stem}.npz") as part, _explained(folder, size), open(part, "wb") as file:
            _write_side(faces, file)
        return faces


class _FrameFile:
    """Frames in an .npy file. They are written plainly: on a full disk a memory map ends the process without a word."""

    def __init__(self, file):
        self.file, self.start, self.step = file, len(self._header(0)), FRAME[0] * FRAME[1] * 3

    def _header(self, n):
        """As long for any n, because NumPy leaves room for it to grow."""
        header = io.BytesIO()
        shape = (n, *FRAME, 3)
        np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
        return header.getvalue()

    def __setitem__(self, row, frame):
        self.file.seek(self.start + row * self.step)
        self.file.write(np.ascontiguousarray(frame).data)

    def close_gaps(self, keep):
        for row, old in enumerate(keep):
            if row != old:
                self.file.seek(self.start + old * self.step)
                self[row] = np.frombuffer(self.file.read(self.step), np.uint8)
        self.file.truncate(self.start + len(keep) * self.step)
        self.file.seek(0)
        self.file.write(self._header(len(keep)))


def _fill(images, source, listing, frames, aligned):
    """Put the frames into their rows; returns (rows to keep, {row: why it is broken})."""
    bad, centres = {}, {}
    for row, (frame, size) in frames:
        if isinstance(frame, BadImage):
            bad[row] = str(frame)
        else:
            images[row] = frame
            if listing.landmarks is not None and not aligned:
                centres[row] = listing.landmarks[row].mean(0) / size
    for reason in [*listing.left_out, *(bad[row] for row in sorted(bad))]:
        log.warning("skipped %s", reason)
    if len(bad) > FEW * len(listing.paths):
        first = "; ".join(bad[row] for row in sorted(bad)[:3])
        raise DataError(
            f"{source}: {len(bad)} of {len(listing.paths)} images cannot be used, more than 1 %: {first}"
            f"{'; ...' if len(bad) > 3 else ''}; replace them or fetch the data again"
        )
    if len(centres) > 3 and np.max(list(centres.values())) < CORNER:
        first = min(centres)
        x, y = (100 * centres[first]).round()
        raise DataError(
            f"{listing.places[first] if listing.places else source}: {listing.paths[first]} and all other faces lie in "
            f"the upper left of their pictures, it at {x:.0f} and {y:.0f} % of width and height; are the landmarks "
            "those of smaller pictures? scale them"
        )
    return np.array([row for row in range(len(listing.paths)) if row not in bad], dtype=np.int64), bad


@contextmanager
def _explained(folder, size):
    """Turn the system's complaint about a full or closed disk into one line with a remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DataError(
                f"{folder}: the disk is full, {size / 1e6:,.0f} MB are needed; free some space or set "
                "DEEPID_CACHE to a folder on another disk"
            ) from error
        raise DataError(
            f"{folder}: cannot be written ({error.strerror}); set DEEPID_CACHE to a folder that can"
        ) from error


def fill_frame(image, path):
    """A picture that is taken to be aligned, uint8 (H, W, 3), scaled to fill the frame; overhang is cut off evenly.

    Raises BadImage, naming the path, for a picture that is too small or too narrow to be a face.
    """
    height, width = image.shape[:2]
    if min(height, width) < LEAST_SIDE or max(height, width) > MOST_RATIO * min(height, width):
        raise BadImage(f"{path}: {width} x {height} pixels are no picture that a face fills; cut out the face")
    return np.asarray(ImageOps.fit(Image.fromarray(image), FRAME[::-1], Image.Resampling.BILINEAR))


def place(image, points, path, aligned=False):
    """A decoded picture as a frame, uint8 (144, 128, 3), by its landmarks (5, 2); None: it is aligned already.

    aligned: take it as it is in spite of its landmarks. Raises BadImage, naming the path.
    """
    height, width = image.shape[:2]
    if points is None:
        return fill_frame(image, path)
    if aligned:
        if image.shape[:2] != FRAME:
            raise BadImage(f"{path}: {height} x {width} pixels, and an aligned picture has {FRAME[0]} x {FRAME[1]}")
        return image
    centre = points.mean(0)
    if (centre < 0).any() or (centre > (width, height)).any():
        raise BadImage(f"{path}: landmarks outside its {width} x {height} pixels; of another size or picture?")
    try:
        return align(image, points)
    except DataError as error:
        raise BadImage(f"{path}: {error}") from error


def _renderer(listing, aligned):
    """A function (row, bytes or array) -> (frame or BadImage, (width, height) of the picture), to be run in threads."""

    def render(row, payload):
        path, points = listing.paths[row], None if listing.landmarks is None else listing.landmarks[row]
        try:
            image = payload if isinstance(payload, np.ndarray) else decode(payload, path)
            return place(image, points, path, aligned), image.shape[1::-1]
        except BadImage as error:
            return error, None

    return render


def _in_threads(render, payloads, workers=None):
    """Yield (row, what render returns). Threads are enough: Pillow decodes and warps outside Python's lock."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = workers or min(8, cores)
    pool, waiting = ThreadPoolExecutor(workers), deque()
    try:
        for row, payload in payloads:
            waiting.append((row, pool.submit(render, row, payload)))
            if len(waiting) > 4 * workers:  # bounds what is held in memory
                row, done = waiting.popleft()
                yield row, done.result()
        for row, done in waiting:
            yield row, done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _face_set(source, listing, images, keep, bad, aligned):
    """The FaceSet of the rows to keep; landmarks go into the frame the way the pixels went."""
    listing = listing.take(keep)
    people = sorted(set(listing.identities), key=lambda who: (int(who) if who.isdecimal() else np.inf, who))
    number = {who: label for label, who in enumerate(people)}
    labels = np.array([number[who] for who in listing.identities], dtype=np.int64)
    points = listing.landmarks
    if points is None:
        points = np.repeat(TEMPLATE[None], len(labels), axis=0)
    elif not aligned:
        points = transform_points(points, similarity(points))
    return FaceSet(
        images=images,
        labels=labels,
        names=people,
        landmarks=points.astype(np.float32),
        attributes=listing.attributes,
        paths=listing.paths,
        source=source,
        data_hash=hash_set(images, labels, listing.paths),
        skipped=[*listing.left_out, *(bad[row] for row in sorted(bad))],
    )


def hash_set(images, labels, paths):
    """SHA-256 over labels, paths and pixels: sets of the same hash hold the same data in the same order."""
    digest = hashlib.sha256(np.asarray(labels, dtype="<i8").tobytes())
    digest.update("\0".join(paths).encode("utf-8", "surrogateescape"))
    for start in range(0, len(images), 512):
        digest.update(np.ascontiguousarray(images[start : start + 512]).data)
    return digest.hexdigest()
