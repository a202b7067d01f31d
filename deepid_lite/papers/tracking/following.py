"""Follow a face through a folder or archive of frames; a run that is stopped, or killed, goes on where it was."""

import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from deepid_lite import tensors
from deepid_lite.errors import DataError
from deepid_lite.faces.decoding import BadImage, decode
from deepid_lite.faces.images import fingerprint, open_files, user_path
from deepid_lite.files import locked
from deepid_lite.nets.deepid import net_hash
from deepid_lite.papers.tracking.tracker import Tracker, check_box

EVERY = 25  # frames from one checkpoint to the next


class Followed(NamedTuple):
    """names: T frames. boxes: float64 (T, 4). confidence: (T,), nan at the first frame and at those that were skipped.
    by: T times "truth", "upper", "lower" or "skipped". skipped: what could not be read, and why,
    and what is no frame at all."""

    names: list[str]
    boxes: np.ndarray
    confidence: np.ndarray
    by: list[str]
    skipped: list[str]


def frames_of(root):
    """(Files, names of the frames in the order of their numbers, what is left out); DataError for fewer than two."""
    files = open_files(user_path(root))
    names, left_out = files.pictures()
    names.sort(key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])
    if len(names) < 2:
        raise DataError(f"{root}: {len(names)} frames; a video has two or more pictures in one folder or archive")
    return files, names, left_out


def follow_frames(net, root, box, checkpoint, seed=0, progress=True, every=EVERY):
    """Follow what is in a box of the first frame through all others -> Followed.

    checkpoint: a .safetensors file, written every 25 frames and taken up again when it is there; whoever has written
    the result discards it. A frame that cannot be read keeps the last box. DataError: the box, the first frame, a frame
    of another size, a checkpoint of another run.
    """
    files, names, left_out = frames_of(root)
    facts = {"frames": fingerprint(files.root), "box": [float(v) for v in box], "seed": seed, "net": net_hash(net)[:16]}
    first = decode(files.read_one(names[0]), names[0])
    check_box(box, first)
    with _alone(checkpoint.with_name(f"{checkpoint.name}.lock")):
        if checkpoint.is_file():
            tracker, boxes, confidence, by = _resume(checkpoint, net, facts)
        else:
            tracker = Tracker(net, first, box, seed=seed)
            boxes, confidence, by = [tracker.box.copy()], [np.nan], ["truth"]
        hide = None if progress else True
        with tqdm(total=len(names), initial=len(boxes), unit="frame", desc="tracking", disable=hide) as bar:
            for name in names[len(boxes) :]:
                found = _next(tracker, files, name, first.shape)
                boxes.append(tracker.box.copy())
                confidence.append(np.nan if found is None else found.confidence)
                by.append("skipped" if found is None else found.by)
                bar.update()
                if len(boxes) % every == 0:
                    _save(checkpoint, tracker, boxes, confidence, by, facts)
    skipped = [_reason(files, name) for name, who in zip(names, by, strict=True) if who == "skipped"]
    return Followed(names, np.stack(boxes), np.array(confidence), by, [*left_out, *skipped])


@contextmanager
def _alone(path):
    """Hold a lock file, and take it away afterwards."""
    with locked(path):
        try:
            yield
        finally:
            with suppress(OSError):  # Windows keeps an open file
                path.unlink()


def _next(tracker, files, name, shape):
    """What the tracker found in a frame, or None where it cannot be read."""
    try:
        frame = decode(files.read_one(name), name)
    except BadImage:
        return None
    if frame.shape != shape:
        sizes = [f"{s[1]} x {s[0]}" for s in (frame.shape, shape)]
        raise DataError(f"{name}: {sizes[0]} pixels, the first frame has {sizes[1]}; scale all frames alike")
    return tracker.step(frame)


def _reason(files, name):
    try:
        decode(files.read_one(name), name)
    except BadImage as error:
        return str(error)
    return f"{name}: could not be read at the time"


def _save(path, tracker, boxes, confidence, by, facts):
    found, more = tracker.state()
    found |= {"boxes": torch.as_tensor(np.stack(boxes)), "confidence": torch.as_tensor(np.array(confidence))}
    tensors.save_state(path, found, facts | {"tracker": more, "by": by})


def _resume(path, net, facts):
    found, stored = tensors.load_state(path)
    for key, value in facts.items():
        if stored.get(key) != value:
            raise DataError(f"{path}: of other {key}; delete it to start anew, or choose another --out")
    try:
        tracker = Tracker.resumed(net, found, stored["tracker"])
        boxes, confidence, by = list(found["boxes"].numpy()), found["confidence"].tolist(), list(stored["by"])
    except (LookupError, RuntimeError):
        raise DataError(f"{path}: of another version; delete it to start anew") from None
    return tracker, boxes, confidence, by


def checkpoint_of(out):
    """Where a run that writes `out` keeps its checkpoint."""
    return Path(out).with_name(f"{Path(out).name}.safetensors")
