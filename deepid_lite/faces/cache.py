"""Aligned faces on disk: decoded once, then mapped into memory, so that a set larger than memory can be used.

One set is two files, `<stem>.npy` with the pixels and `<stem>.npz` with everything else. Both are written
under other names and renamed at the end, pixels first, so that a set is there complete or not at all.
"""

import errno
import hashlib
import logging
import os
import secrets
import shutil
import time
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
from deepid_lite.faces.images import BadImage, decode

log = logging.getLogger(__name__)


def cache_folder(cache=None):
    """The folder for cached sets: `cache`, or DEEPID_CACHE, or `~/.cache/deepid-lite`."""
    return Path(cache or os.environ.get("DEEPID_CACHE") or Path.home() / ".cache" / "deepid-lite").expanduser()


@lru_cache
def alignment_mark():
    """A hash of what align makes of three patterns, for the names of cached sets.

    It changes with the template, the method and Pillow's resampling, and not with a comment in the code.
    """
    digest = hashlib.sha256()
    # one is only warped, one is reduced first, one reaches over the border
    for size, scale, angle in ((200, 1.1, 0.2), (420, 2.6, -0.3), (90, 0.9, 0.5)):  # plain, reduced, over the border
        image = (np.arange(size * size * 3) * 37 % 251).astype(np.uint8).reshape(size, size, 3)
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = (TEMPLATE - TEMPLATE.mean(0)) @ turn.T + size / 2 + np.arange(10).reshape(5, 2) % 3
        digest.update(align(image, points).tobytes())
        digest.update(np.rint(100 * transform_points(points, similarity(points))).astype("<i4").tobytes())
    return digest.hexdigest()


def read_set(folder, stem):
    """(images as a read-only memory map, side arrays), or None when the set is not there whole."""
    try:
        with np.load(folder / f"{stem}.npz", allow_pickle=False) as stored:
            side = dict(stored)
        images = np.load(folder / f"{stem}.npy", mmap_mode="r", allow_pickle=False)
        whole = images.shape == (len(side["labels"]), *FRAME, 3)
    except Exception:  # absent, or damaged in any way: it is built again
        return None
    return (images, side) if whole else None


def build_set(source, listing, payloads, folder, stem, aligned=False, workers=None, progress=None):
    """Decode and align a listing (see sources.py) from an iterator of (row, bytes or array).

    folder: where to keep it, or None for memory. Returns what read_set returns. Raises DataError when more
    than 1 % of the images cannot be used and when the disk is full; nothing is then left behind.
    """
    n, bad = len(listing.paths), {}
    results = _in_threads(_renderer(listing, aligned), payloads, workers)
    bar = tqdm(
        results, total=n, desc=f"{source}: aligning", unit=" faces", disable=None if progress is None else not progress
    )
    with PixelFile(folder, stem, n) as pixels, closing(results):
        for row, frame in bar:
            if isinstance(frame, BadImage):
                bad[row] = str(frame)
            else:
                pixels.put(row, frame)
        keep = _check_bad(source, bad, n)
        images = pixels.read()
        if not bad:
            return _finish(pixels, images, listing, keep, bad, aligned)
        with PixelFile(folder, stem, len(keep), ".kept") as whole:  # close the gaps
            for row, old in enumerate(keep):
                whole.put(row, images[old])
            return _finish(whole, whole.read(), listing, keep, bad, aligned)


def _finish(pixels, images, listing, keep, bad, aligned):
    side = _side(listing.take(keep), images, aligned)
    side["skipped"] = np.array([bad[row] for row in sorted(bad)], dtype=str)
    if pixels.folder is None:
        return images, side
    pixels.keep(side)
    return read_set(pixels.folder, pixels.stem)


class PixelFile:
    """`<stem>.npy` for n frames while it is being written under another name; removed at the end unless kept.

    Frames are written plainly and not through a memory map: on a full disk a map ends the process without a
    word. Without a folder the frames stay in memory.
    """

    def __init__(self, folder, stem, n, mark=""):
        self.folder, self.stem, self.shape = folder, stem, (n, *FRAME, 3)
        self.size = int(np.prod(self.shape))
        self.part = folder and folder / f".{stem}-{secrets.token_hex(4)}{mark}.part"
        self.frames = None if folder else np.zeros(self.shape, dtype=np.uint8)

    def __enter__(self):
        if self.folder:
            with explained(self.folder, self.size):
                self.folder.mkdir(parents=True, exist_ok=True)
                _sweep(self.folder)
                if shutil.disk_usage(self.folder).free < self.size:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                self.file = open(self.part, "wb")
                np.lib.format.write_array_header_1_0(
                    self.file, {"descr": "|u1", "fortran_order": False, "shape": self.shape}
                )
                self.start = self.file.tell()
        return self

    def put(self, row, frame):
        if self.folder is None:
            self.frames[row] = frame
            return
        with explained(self.folder, self.size):
            self.file.seek(self.start + row * frame.nbytes)
            self.file.write(np.ascontiguousarray(frame).data)

    def read(self):
        """All frames so far, as an array or a memory map."""
        if self.folder is None:
            return self.frames
        with explained(self.folder, self.size):
            self.file.close()  # flushes, so the disk may turn out to be full only here
        return np.load(self.part, mmap_mode="r")

    def keep(self, side):
        """Write the side file beside the frames and give both their final names."""
        part = self.part.with_suffix(".side.part")
        try:
            with explained(self.folder, self.size):
                with open(part, "wb") as file:
                    np.savez_compressed(file, **side)
                os.replace(self.part, self.folder / f"{self.stem}.npy")
                os.replace(part, self.folder / f"{self.stem}.npz")
        finally:
            part.unlink(missing_ok=True)

    def __exit__(self, *error):
        if self.folder:
            try:
                self.file.close()
            except OSError:  # the last bytes find no room; the file goes anyway
                pass
            self.part.unlink(missing_ok=True)


@contextmanager
def explained(folder, size):
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


def _sweep(folder):
    """Remove what a killed process left: parts that nobody has written to for an hour."""
    for part in folder.glob(".*.part"):
        try:
            if time.time() - part.stat().st_mtime > 3600:
                part.unlink()
        except OSError:  # another process was quicker
            pass


def fill_frame(image):
    """A picture that is taken to be aligned, uint8 (H, W, 3), scaled to fill the frame; overhang is cut off evenly."""
    return np.asarray(ImageOps.fit(Image.fromarray(image), FRAME[::-1], Image.Resampling.BILINEAR))


def _renderer(listing, aligned):
    """A function (row, bytes or array) -> uint8 (144, 128, 3), to be run in threads."""
    rows, columns = FRAME

    def render(row, payload):
        path = listing.paths[row]
        image = payload if isinstance(payload, np.ndarray) else decode(payload, path)
        if listing.landmarks is None:
            return fill_frame(image)
        if aligned:
            if image.shape[:2] != FRAME:
                raise BadImage(
                    f"{path}: {image.shape[0]} x {image.shape[1]} pixels, and an aligned picture has {rows} x {columns}"
                )
            return image
        centre = listing.landmarks[row].mean(0)
        if (centre < 0).any() or (centre > image.shape[1::-1]).any():
            raise BadImage(f"{path}: its landmarks lie outside the picture")
        try:
            return align(image, listing.landmarks[row])
        except DataError as error:
            raise BadImage(f"{path}: {error}") from error

    return render


def _in_threads(render, payloads, workers=None):
    """Yield (row, frame or BadImage). Threads are enough: Pillow decodes and warps outside Python's lock."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = workers or min(8, cores)

    def work(row, payload):
        try:
            return row, render(row, payload)
        except BadImage as error:
            return row, error

    pool, waiting = ThreadPoolExecutor(workers), deque()
    try:
        for row, payload in payloads:
            waiting.append(pool.submit(work, row, payload))
            if len(waiting) > 4 * workers:  # bounds what is held in memory
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _check_bad(source, bad, n):
    """Log every broken picture by name and return the rows to keep; more than 1 % broken is an error."""
    for row in sorted(bad):
        log.warning("skipped %s", bad[row])
    if len(bad) > n / 100:
        first = "; ".join(bad[row] for row in sorted(bad)[:3])
        raise DataError(
            f"{source}: {len(bad)} of {n} images cannot be used, more than 1 %: {first}"
            f"{'; ...' if len(bad) > 3 else ''}; replace them or fetch the data again"
        )
    return np.array([row for row in range(n) if row not in bad], dtype=np.int64)


def _side(listing, images, aligned):
    """Everything but the pixels as plain arrays; landmarks go into the frame the way the pixels went."""
    people = sorted(set(listing.identities), key=lambda who: (int(who) if who.isdecimal() else np.inf, who))
    number = {who: label for label, who in enumerate(people)}
    labels = np.array([number[who] for who in listing.identities], dtype=np.int64)
    points = listing.landmarks
    if points is None:
        points = np.repeat(TEMPLATE[None], len(labels), axis=0)
    elif not aligned:
        points = transform_points(points, similarity(points))
    side = {f"attribute {name}": values for name, values in listing.attributes.items()}
    return side | {
        "labels": labels,
        "names": np.array(people),
        "landmarks": points.astype(np.float32),
        "paths": np.array(listing.paths),
        "data_hash": np.array(hash_set(images, labels, listing.paths)),
    }


def hash_set(images, labels, paths):
    """SHA-256 over labels, paths and pixels: sets of the same hash hold the same data in the same order."""
    digest = hashlib.sha256(np.asarray(labels, dtype="<i8").tobytes())
    digest.update("\0".join(paths).encode("utf-8", "surrogateescape"))
    for start in range(0, len(images), 512):
        digest.update(np.ascontiguousarray(images[start : start + 512]).data)
    return digest.hexdigest()
