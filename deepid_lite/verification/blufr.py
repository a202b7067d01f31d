"""BLUFR: all of LFW's 13,233 images, ten random trials, and error rates low enough to matter.

Liao, Lei, Yi and Li, IJCB 2014. LFW's 3,000 impostor pairs cannot tell what happens at a false accept rate of 0.1 %; a
trial of BLUFR has some 47 million. Each trial sets 1,500 people aside for training, which we do not use, and tests the
other 4,249: every pair of their images once, and an open gallery with one image of each of 1,000 people. The score of a
benchmark is the mean over the trials minus their standard deviation.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from deepid_lite.errors import DataError
from deepid_lite.verification import metrics

FILE = "blufr_lfw_config.mat"
TRIALS, TRAINING, ENROLLED = 10, 1500, 1000  # of LFW's 5,749 people
VERIFY_FAR, IDENTIFY_FAR = 1e-3, 1e-2
BLOCK = 512  # rows of the score matrix at a time: a whole one of LFW's takes 750 MB


@dataclass(frozen=True)
class Trial:
    """Numbers of images: one of each enrolled person, and all other images of the test people."""

    gallery: np.ndarray  # int64 (G,)
    probes: np.ndarray  # int64 (Q,)

    @property
    def test(self):
        """All images of the test people, int64 (G + Q,)."""
        return np.concatenate([self.gallery, self.probes])


def read_trials(path, paths):
    """The authors' blufr_lfw_config.mat -> list of Trial, numbers into `paths` ("Name/Name_0001.jpg").

    It holds imageList (file names), galIndex and probIndex (a cell for each trial, numbers from 1 into imageList).
    DataError: no such file, another layout, images that are not among the faces.
    """
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file; check the path")
    try:
        content = loadmat(path, variable_names=("imageList", "galIndex", "probIndex"))
        names = [str(np.ravel(cell)[0]).strip() for cell in np.ravel(content["imageList"])]
        galleries, probes = (
            [np.ravel(cell).astype(np.int64) - 1 for cell in np.ravel(content[key])]
            for key in ("galIndex", "probIndex")
        )
        trials = [Trial(*lists) for lists in zip(galleries, probes, strict=True)]
        inside = trials and all(len(t.gallery) and 0 <= t.test.min() <= t.test.max() < len(names) for t in trials)
    except Exception as error:  # a broken .mat file raises almost anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: no BLUFR lists ({reason}); take config/lfw/{FILE} of its toolkit") from None
    if not inside or any(len(np.unique(trial.test)) != len(trial.test) for trial in trials):
        raise DataError(f"{path}: numbers of images that repeat or lie outside 1..{len(names)}; fetch the file again")
    known = {Path(p).stem: number for number, p in enumerate(paths)}
    missing = [name for name in names if Path(name).stem not in known]
    if missing:
        raise DataError(f"{path}: names {len(missing)} images that are not among the faces, the first {missing[0]}")
    number = np.array([known[Path(name).stem] for name in names])
    return [Trial(number[trial.gallery], number[trial.probes]) for trial in trials]


def draw_trials(labels, n_trials=TRIALS, training=None, enrolled=None, seed=0):
    """Trials of BLUFR's shape for any labels (N,), drawn by a seed; they stand in where the authors' file is not there.

    training, enrolled: people set aside, and people of the gallery, by default the part of all people that LFW's
    1,500 and 1,000 are. Those of the gallery have two images or more, so that each has a genuine probe.
    """
    labels = np.asarray(labels)
    people = np.unique(labels)
    training = round(len(people) * TRAINING / 5749) if training is None else training
    enrolled = round(len(people) * ENROLLED / 5749) if enrolled is None else enrolled
    rng, trials = np.random.default_rng(seed), []
    for _ in range(n_trials):
        test = np.flatnonzero(np.isin(labels, rng.permutation(people)[training:]))
        images = rng.permutation(test)
        names, first, count = np.unique(labels[images], return_index=True, return_counts=True)
        able = np.flatnonzero(count >= 2)
        if not 1 <= enrolled <= len(able) or enrolled == len(names):
            raise DataError(
                f"labels: a trial tests {len(names)} people, {len(able)} of them with two images, and {enrolled} are"
                " to be enrolled: give more people, or ask for fewer"
            )
        gallery = images[first[rng.choice(able, size=enrolled, replace=False)]]
        trials.append(Trial(np.sort(gallery), np.setdiff1d(test, gallery)))
    return trials


def tar_of_all_pairs(score, labels, images, far=VERIFY_FAR):
    """True accept rate over all pairs of `images` (T,), at the threshold that at most `far` of the impostors reach.

    score: function of two index arrays (A,), (B,) -> (A, B); labels: (N,). Exact, a block of rows at a time: of the
    impostor scores only the highest are kept.
    """
    labels, images = np.asarray(labels), np.asarray(images)
    count = np.unique(labels[images], return_counts=True)[1]
    genuine_pairs = int((count * (count - 1) // 2).sum())
    impostor_pairs = len(images) * (len(images) - 1) // 2 - genuine_pairs
    allowed = int(far * impostor_pairs + 1e-9)
    if not genuine_pairs or allowed >= impostor_pairs:
        raise DataError(f"images: {genuine_pairs} genuine and {impostor_pairs} impostor pairs; need some of each")
    genuine, top = [], np.empty(0)
    for start in range(0, len(images), BLOCK):
        rows = images[start : start + BLOCK]
        block = score(rows, images[start:])
        above = np.triu(np.ones(block.shape, dtype=bool), 1)  # each pair once, no image with itself
        same = labels[rows][:, None] == labels[images[start:]]
        genuine.append(block[above & same])
        top = np.concatenate([top, block[above & ~same]])
        if len(top) > allowed + 1:
            top = np.partition(top, len(top) - allowed - 1)[len(top) - allowed - 1 :]
    # the best impostor that must be refused: all genuine pairs above it are accepted
    return float((np.concatenate(genuine) > top.min()).mean())


def report(score, labels, trials):
    """TAR at 0.1 % FAR and open-set DIR at 1 % FAR of each trial, and mean minus standard deviation, in percent.

    score: function of two index arrays (A,), (B,) -> (A, B). The authors' tool takes the last accepted impostor's score
    for the threshold, this one the first refused one's: genuine scores between the two are accepted here.
    """
    labels, tar, found = np.asarray(labels), [], []
    for trial in trials:
        tar.append(100 * tar_of_all_pairs(score, labels, trial.test))
        known = np.isin(labels[trial.probes], labels[trial.gallery])
        genuine, impostors = (
            metrics.best_matches(score, probes, trial.gallery, labels)
            for probes in (trial.probes[known], trial.probes[~known])
        )
        found.append(100 * metrics.detection_rate(genuine, np.maximum(*impostors), IDENTIFY_FAR).rate)
    return {"tar_at_0.1_far": _over_trials(tar), "dir_at_1_far": _over_trials(found)}


def _over_trials(values):
    mean, spread = np.mean(values), np.std(values, ddof=1)
    return {
        "trials": np.round(values, 3).tolist(),
        "mean": round(float(mean), 3),
        "standard_deviation": round(float(spread), 3),
        "mean_minus_deviation": round(float(mean - spread), 3),
    }
