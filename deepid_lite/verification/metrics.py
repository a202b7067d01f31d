"""Measuring: verification in folds, ROC, closed- and open-set identification, from scores alone.

Scores are larger for pairs that look more alike: Joint Bayesian ratios, cosines, minus Hamming distances. The lists of
what is compared are made in pairs.py. **Nothing is chosen on the images it is measured on**: the threshold of a fold
comes from the scores of the other folds alone.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from deepid_lite.errors import DataError, checked_features
from deepid_lite.verification.pairs import Pairs

BLOCK = 2**22  # scores in memory at a time, 32 MB, however many images there are


@dataclass(frozen=True)
class Verification:
    """Accuracies are fractions; a pair is called "same" when its score exceeds the threshold."""

    accuracy: float  # mean over the folds
    standard_error: float  # of that mean: standard deviation of the folds (F - 1) over sqrt(F)
    fold_accuracy: np.ndarray  # (F,)
    threshold: np.ndarray  # (F,), each from the other folds; -inf: everything is called "same"


# verification


def verify(scores: np.ndarray, pairs: Pairs) -> Verification:
    """Accuracy in folds for scores (P,): LFW's view 2 protocol -> Verification.

    The threshold of a fold maximises the accuracy on the other folds. It lies in the middle between two
    neighbouring scores there, or below or above all of them; of equally good ones the lowest is taken.
    """
    scores = _checked(scores, (len(pairs),), "pair")
    folds = np.unique(pairs.fold)
    if len(folds) < 2:
        raise DataError("pairs: one fold only: the threshold of a fold comes from the others, use at least two")
    threshold = np.array([best_threshold(scores[pairs.fold != f], pairs.same[pairs.fold != f]) for f in folds])
    return in_folds(scores, pairs, threshold)


def in_folds(scores, pairs, threshold):
    """Accuracy of scores (P,) with given thresholds (F,), one a fold in the folds' order -> Verification."""
    folds = np.unique(pairs.fold)
    correct = (scores > threshold[np.searchsorted(folds, pairs.fold)]) == pairs.same
    accuracy = np.array([correct[pairs.fold == f].mean() for f in folds])
    error = accuracy.std(ddof=1) / np.sqrt(len(folds)) if len(folds) > 1 else np.nan
    return Verification(float(accuracy.mean()), float(error), accuracy, threshold)


def best_threshold(scores, same):
    """The threshold of highest accuracy: scores (P,), same (P,) -> float; `verify` says where it lies."""
    same = np.asarray(same, dtype=bool)
    scores = _checked(scores, same.shape, "pair")
    values, position = np.unique(scores, return_inverse=True)
    # right with everything called "same"; each value that falls below the threshold gains its different pairs
    gain = np.bincount(position, weights=np.where(same, -1, 1), minlength=len(values))
    best = np.argmax(np.concatenate([[0], np.cumsum(gain)]))
    if best in (0, len(values)):
        return -np.inf if best == 0 else np.inf
    low, high = values[best - 1], values[best]
    middle = low / 2 + high / 2
    return float(middle if low <= middle < high else low)  # neighbouring floats have no middle


def roc(scores, same):
    """Receiver operating characteristic -> (far, tar, thresholds), each (T,), from strict to lenient.

    far: fraction of different pairs with score >= threshold; tar: of same pairs. One point for every
    distinct score, after (0, 0) at threshold inf.
    """
    scores, same = _two_kinds(scores, same)
    return roc_curve(same, scores, drop_intermediate=False)


def auc(scores, same):
    """Area under the ROC: the chance that a same pair scores above a different one, ties half."""
    scores, same = _two_kinds(scores, same)
    return float(roc_auc_score(same, scores))


def equal_error_rate(scores, same):
    """Where false accepts equal false rejects, on the straight line between the two nearest points."""
    far, tar, _ = roc(scores, same)
    gap = far - (1 - tar)  # grows from -1 to 1
    k = int(np.argmax(gap >= 0))
    step = -gap[k - 1] / (gap[k] - gap[k - 1])
    return float(far[k - 1] + step * (far[k] - far[k - 1]))


def tar_at_far(scores, same, far=1e-3):
    """The largest true accept rate with a false accept rate of at most `far`; nothing is interpolated."""
    false, true, _ = roc(scores, same)
    return float(true[false <= far].max())


# identification


class Matches(NamedTuple):
    """Of each probe the best score with its own person's images in the gallery, and with other people's."""

    own: np.ndarray  # (P,); -inf where the person is not in the gallery
    other: np.ndarray  # (P,); -inf where nobody else is


def best_matches(score, probes, gallery, labels, block=BLOCK):
    """Matches of images by number, without the whole matrix of their scores.

    score: function of two index arrays (A,), (B,) -> (A, B), asked for at most `block` scores at a time, or one
    probe's. probes (P,), gallery (G,): indices; labels (N,): of all images.
    """
    labels, rows = np.asarray(labels), max(1, block // max(1, len(gallery)))
    parts = [probes[i : i + rows] for i in range(0, len(probes), rows)]
    found = [_matches(score(part, gallery), labels[part], labels[gallery]) for part in parts]
    return Matches(*np.concatenate([np.empty((2, 0)), *found], axis=1))


def rank1(matches):
    """Fraction of probes whose best gallery image is of the right person.

    A tie between the right and another person counts as wrong, so that the gallery's order plays no part.
    """
    return float(_identified(matches).mean())


def detection_rate(genuine, impostors, far=0.01):
    """Detection and identification rate at rank 1, from the Matches of genuine probes and the best scores of
    impostors (I,) -> OpenSet.

    tau is the smallest threshold that at most `far` of the impostors reach: just above the (floor(far I) + 1)-th best
    impostor (the 95th of LFW's 9,494). A genuine probe counts when its best score reaches tau and is the right
    person's, not tied with another's.
    """
    best = np.sort(impostors)[::-1]
    if not (0 <= far <= 1 and len(best)):
        raise DataError(f"far={far!r} with {len(best)} impostors: need 0..1 and at least one impostor")
    allowed = math.floor(far * len(best) + 1e-9)  # 0.29 * 100 is a little below 29
    tau = -np.inf if allowed >= len(best) else float(np.nextafter(best[allowed], np.inf))
    found = _identified(genuine) & (np.maximum(*genuine) >= tau)
    return OpenSet(float(found.mean()), tau, float((best >= tau).mean()))


class OpenSet(NamedTuple):
    rate: float  # DIR: fraction of genuine probes detected and identified
    threshold: float  # tau
    far: float  # fraction of impostors with a score of at least tau: at most what was asked for


def closed_set_rank1(scores, probe_labels, gallery_labels):
    """`rank1` of a whole matrix of scores (P, G) with labels (P,), (G,)."""
    return rank1(_matches(scores, probe_labels, gallery_labels))


def open_set_dir(genuine, genuine_labels, impostors, gallery_labels, far=0.01):
    """`detection_rate` of whole matrices: genuine (P, G) and impostor scores (I, G), labels (P,), (G,)."""
    impostors = _checked(impostors, (len(impostors), len(gallery_labels)), "impostor")
    return detection_rate(_matches(genuine, genuine_labels, gallery_labels), impostors.max(axis=1), far)


def _matches(scores, probe_labels, gallery_labels):
    scores = _checked(scores, (len(probe_labels), len(gallery_labels)), "probe")
    same = np.asarray(probe_labels)[:, None] == np.asarray(gallery_labels)
    return Matches(*(np.where(which, scores, -np.inf).max(axis=1, initial=-np.inf) for which in (same, ~same)))


def _identified(matches):
    strangers = int(np.isneginf(matches.own).sum())
    if strangers or not len(matches.own):
        raise DataError(f"probes: {strangers} of {len(matches.own)} have nobody in the gallery")
    return matches.own > matches.other


# checks


def _checked(scores, shape, what):
    scores = np.asarray(checked_features(scores, "scores"), dtype=np.float64)
    if scores.shape != shape:
        raise DataError(f"scores: shape {scores.shape}, expected {shape}: one score for each {what}")
    return scores


def _two_kinds(scores, same):
    same = np.asarray(same, dtype=bool)
    if same.all() or not same.any():
        raise DataError("pairs: need both genuine and impostor ones (same and different)")
    return _checked(scores, same.shape, "pair"), same
