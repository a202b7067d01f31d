"""YouTube Faces: 5,000 pairs of videos in ten splits, frames to compare, and one score for two videos.

Wolf, Hassner and Maoz, CVPR 2011; the paper's Table 2 and Fig. 5. The official layout, below one folder:

    frame_images_DB/Name/3/3.618.jpg              frames as they were; Name.labeled_faces.txt beside the people
    aligned_images_DB/Name/3/aligned_detect_3.618.jpg     the face's box, expanded by 2.2 and turned upright
    splits.txt, splits_corrected.txt              the pairs, as published and with corrected labels

How DeepID2+ chose frames and joined their scores is not printed; so both are options here. A reader of folders and
lists, and plain functions on arrays; benchmarks.py decodes the frames.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from deepid_lite.errors import DataError
from deepid_lite.faces.images import IMAGE_SUFFIXES
from deepid_lite.faces.tables import read_text
from deepid_lite.verification.evaluation import pair_scores, scorer
from deepid_lite.verification.pairs import Pairs

FOLDERS = ("aligned_images_DB", "frame_images_DB")
SPLITS = 10
SAMPLING = ("even", "first", "random")
POOLING = ("score", "max", "feature")
EXPANSION = 2.2  # of the detector's box, in aligned_images_DB and in LFW alike
# Where landmarks lie in such an expanded box, as parts of its side: LFW's pictures are the same detector's boxes,
# expanded by the same 2.2, and this is the mean of their landmarks.
IN_BOX = np.array([[104.67, 112.49], [145.09, 111.73], [124.85, 136.51], [107.60, 157.14], [143.56, 156.73]]) / 250


@dataclass(frozen=True)
class Videos:
    """Videos "Name/3", in order of their names, and their frames' paths below `folder`, in order of time."""

    folder: Path
    names: list[str]
    frames: list[list[str]]


# the folder


def find_videos(folder):
    """The videos of aligned_images_DB or frame_images_DB -> Videos. DataError: no such folder, or nothing in it."""
    place = Path(folder).expanduser()
    if not place.is_dir():
        raise DataError(f"{place}: no such folder; it should hold Name/0/0.123.jpg, as {' and '.join(FOLDERS)} do")
    names, frames = [], []
    for person in sorted(p for p in place.iterdir() if p.is_dir()):
        for video in sorted((p for p in person.iterdir() if p.is_dir()), key=lambda p: _number(p.name)):
            found = [p.name for p in video.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES]
            if found:
                names.append(f"{person.name}/{video.name}")
                frames.append([f"{names[-1]}/{name}" for name in sorted(found, key=_number)])
    if not names:
        raise DataError(f"{place}: no frames in it; expected Name/0/0.123.jpg; unpack the archive again")
    return Videos(place, names, frames)


def _number(name):
    """Sorting key: the last number in a name, so that frame 99 comes before 100; then the name."""
    digits = re.findall(r"\d+", name)
    return (int(digits[-1]) if digits else -1, name)


def read_splits(path, names, corrected=False):
    """splits.txt or splits_corrected.txt -> Pairs of videos, as numbers into `names` ("Name/3"), ten folds.

    After a header line come rows "split, pair, first video, second video, same" with numbers from 1. The corrected
    list has a sixth column, the corrected label; its fifth is the published one. corrected: take the sixth.
    DataError: a wrong row, a cut file, splits of unequal length, a video that is not there, no corrected labels.
    """
    rows = [line.split(",") for line in read_text(path).splitlines()[1:] if line.strip()]
    rows = [[word.strip() for word in row] for row in rows]
    for number, row in enumerate(rows, 2):
        if len(row) not in (5, 6) or not all(w.isdecimal() for w in row[:2]) or set(row[4:]) - {"0", "1"}:
            shape = "split, pair, first video, second video, same (0 or 1)"
            raise DataError(f"{path}: line {number}: {', '.join(row)[:80]!r} should be {shape}")
        if corrected and len(row) != 6:
            raise DataError(f"{path}: line {number}: no sixth column, the corrected label; give splits_corrected.txt")
    fold = np.array([int(row[0]) for row in rows], dtype=np.int64)
    _check_splits(path, fold, np.array([int(row[1]) for row in rows], dtype=np.int64))
    known = {name: number for number, name in enumerate(names)}
    missing = sorted({name for row in rows for name in row[2:4]} - known.keys())
    if missing:
        raise DataError(f"{path}: names {len(missing)} videos that are not there, the first {missing[0]}: {_REMEDY}")
    first, second = (np.array([known[row[place]] for row in rows], dtype=np.int64) for place in (2, 3))
    same = np.array([row[5 if corrected else 4] == "1" for row in rows])
    return Pairs(first, second, same, fold - 1)


_REMEDY = "unpack the whole set, or check that the list belongs to it"


def _check_splits(path, fold, place):
    """Ten splits, one after another, each with pairs 1, 2, ... and as many as the first."""
    count = np.bincount(fold, minlength=SPLITS + 1)[1:]
    if not len(fold) or len(count) != SPLITS or len(np.unique(count)) != 1 or not fold.all():
        found = f"{len(fold)} pairs in splits of {', '.join(map(str, count)) or 'no'} pairs"
        raise DataError(f"{path}: {found}, but {SPLITS} splits of one length are expected: is the file cut short?")
    wrong = np.flatnonzero((fold != np.repeat(np.arange(SPLITS) + 1, count[0])) | (place != _places(count[0])))
    if len(wrong):
        row = f"split {fold[wrong[0]]}, pair {place[wrong[0]]}"
        raise DataError(f"{path}: line {wrong[0] + 2}: {row} is out of order: fetch the list again")


def _places(size):
    return np.tile(np.arange(size) + 1, SPLITS)


# frames


def sample_frames(n, count=20, how="even", seed=0):
    """Which of a video's n frames to use -> rising int64 (at most count,).

    how: "even" (the middle of `count` equal stretches), "first" (the first `count`), "random" (drawn by `seed` without
    repeats). count = 0: all of them.
    """
    if how not in SAMPLING or count < 0 or n < 1:
        raise DataError(f"{count} frames {how!r} of {n}: use {', '.join(SAMPLING)} and a count of 0 (all) or more")
    if not count or n <= count:
        return np.arange(n)
    if how == "even":
        return ((np.arange(count) + 0.5) * n / count).astype(np.int64)
    if how == "first":
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(n, size=count, replace=False))


def frame_landmarks(videos, frames):
    """Five landmarks of each of these frames (paths), float32 (N, 5, 2) in its own pixels, from the face's box.

    The set has boxes, and no landmarks: each box gets the mean ones (IN_BOX). In aligned_images_DB the expanded box is
    the picture; in frame_images_DB it is listed. DataError: a list or a frame's row that is missing.
    """
    boxes = _listed_boxes(videos.folder, frames) if videos.folder.name == "frame_images_DB" else None
    if boxes is None:
        size = np.array([_size(videos.folder / frame) for frame in frames], dtype=np.float64)
        return (IN_BOX * size[:, None, :]).astype(np.float32)
    centre, size = boxes[:, :2], EXPANSION * boxes[:, 2:]
    return (centre[:, None] + (IN_BOX - 0.5) * size[:, None]).astype(np.float32)


def _size(path):
    """(width, height) by the header; a broken picture gets any, and is found out when it is decoded."""
    try:
        with Image.open(path) as image:
            return image.size
    except Exception:  # decoders raise almost anything when bytes are broken
        return 250, 250


def _listed_boxes(folder, frames):
    """(N, 4) centre x, y, width, height of these frames from the Name.labeled_faces.txt of their people."""
    boxes, wanted = {}, set(frames)
    for person in sorted({frame.split("/")[0] for frame in frames}):
        file = folder / f"{person}.labeled_faces.txt"
        for number, line in enumerate(read_text(file).splitlines(), 1):
            row = line.split(",")
            path = row[0].strip().replace("\\", "/")
            if path not in wanted:
                continue
            try:
                boxes[path] = [float(word) for word in row[2:6]]
                good = len(boxes[path]) == 4 and np.isfinite(boxes[path]).all() and min(boxes[path][2:]) > 0
            except ValueError:
                good = False
            if not good:
                raise DataError(f"{file}: line {number}: {line[:80]!r} should be file, 0, x, y, width, height, ...")
    missing = [frame for frame in frames if frame not in boxes]
    if missing:
        raise DataError(f"{folder}: no box for {missing[0]} ({len(missing)} of {len(frames)} frames) in the lists")
    return np.array([boxes[frame] for frame in frames])


# from frames to videos


def frames_of(video, n_videos):
    """Rows of each video's frames: video (N,) numbers -> list of n_videos int64 arrays; DataError for one without."""
    count = np.bincount(video, minlength=n_videos)
    if len(count) != n_videos or not count.all():
        known = f"of {n_videos} videos {(count[:n_videos] == 0).sum()} have no frame"
        raise DataError(f"videos: {known}, and frames name numbers up to {len(count) - 1}; number them 0, 1, ...")
    return np.split(np.argsort(video, kind="stable"), np.cumsum(count)[:-1])


def pool_features(features, video, n_videos):
    """Mean of the features (N, D) of each video's frames -> (n_videos, D); video: (N,) numbers of the videos."""
    return np.stack([features[rows].mean(0) for rows in frames_of(video, n_videos)])


def pool_scores(score, video, pairs, how="score"):
    """Scores (P,) of video pairs from those of their frames.

    score: function of two index arrays (A,), (B,) of frames -> (A, B). how: "score" is the mean over all pairs of
    frames, "max" the highest of them.
    """
    if how not in ("score", "max"):
        raise DataError(f"pooling {how!r}: use score (the mean) or max for scores of frames")
    rows = frames_of(video, int(max(pairs.first.max(), pairs.second.max(), np.max(video))) + 1)
    join = np.mean if how == "score" else np.max
    return np.array([join(score(rows[i], rows[j])) for i, j in zip(pairs.first, pairs.second, strict=True)])


def video_scores(model, features, video, pairs, pooling="score"):
    """Scores (P,) of pairs of videos in the three ways of evaluation.pair_scores.

    features: (N, 2 D) of frames; video: (N,) number of the video of each. pooling: "score" (mean over all pairs of
    frames), "max" (the best of them) or "feature" (the mean feature of a video; its code is the majority's).
    """
    check_pooling(pooling)
    if pooling != "feature":
        kinds = ("joint_bayesian", "cosine", "hamming")
        return {k: pool_scores(scorer(model, features, k), video, pairs, pooling) for k in kinds}
    n_videos = int(np.max(video)) + 1
    code = pool_features((features > 0).astype(np.float32), video, n_videos) > 0.5
    pooled = pair_scores(model, pool_features(features, video, n_videos), pairs)
    return pooled | {"hamming": -(code[pairs.first] ^ code[pairs.second]).sum(1).astype(np.float64)}


def check_pooling(pooling):
    """DataError for a way of joining frames that is none of POOLING."""
    if pooling not in POOLING:
        raise DataError(f"pooling {pooling!r}: use {', '.join(POOLING)}")
