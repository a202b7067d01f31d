"""What a single neuron knows: how well it tells one person, or one attribute, from the rest [DeepID2+, section 6].

A neuron with a threshold is a classifier of two classes: excitatory where the positives lie above the threshold,
inhibitory where they lie below. Neuron, sign and threshold are chosen on one half of the images and scored on the
other, both ways. Accuracy is balanced, the mean of the rates among positives and among negatives, so that chance is
1/2 however rare the positives are.

Targets are bool (N,) or (N, A), or numbers in which nan means unknown; such images are left out of that attribute.
Every function takes all attributes at once. Features are float (N, D), or bytes such as those of LBP.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from tqdm import tqdm

from deepid_lite.errors import DataError, checked_features

BLOCK = 4096  # features at a time: bounds the memory of long byte descriptors


def split_images(labels, seed=0):
    """Mask (N,): true for a random half of the images of each class of labels (N,), such as people.

    Classes of odd size give their last image to either half in turn, so that the halves are equal up to one image.
    """
    labels = np.asarray(labels)
    order = np.lexsort((np.random.default_rng(seed).random(len(labels)), labels))
    first = np.zeros(len(labels), bool)
    first[order[::2]] = True
    return first


class Thresholds(NamedTuple):
    sign: np.ndarray  # int8 (A, D): 1 excitatory, -1 inhibitory
    threshold: np.ndarray  # float (A, D): excitatory says "positive" above it, inhibitory everywhere else
    accuracy: np.ndarray  # float (A, D): balanced, 0..1, on the images that chose them


def neuron_thresholds(features, targets):
    """The best threshold of every neuron for every attribute: features (N, D), targets (N, A) -> `Thresholds`.

    Each feature is sorted once. Below a threshold lie a share F+ of the positives and F- of the negatives; the
    balanced accuracy is 1/2 + |F- - F+| / 2, largest where two cumulative distributions are furthest apart
    (Kolmogorov and Smirnov's distance). A threshold lies half-way between two distinct values.
    """
    features, known, positive = _checked(features, targets)
    n_positive, n_known = positive.sum(0), known.sum(0)
    # whole numbers, so that nothing is rounded: their sum below a threshold is n+ n- (F- - F+)
    weights = np.where(positive, n_positive - n_known, np.where(known, n_positive, 0)).astype(np.int64)
    largest = int((n_positive * (n_known - n_positive)).max())
    weights = weights.astype(np.int32) if largest < 2**31 else weights
    search = _search_bytes if features.dtype == np.uint8 else _search_floats
    step = max(1, 2**21 // max(1, len(features) * weights.shape[1]))  # what fits into the processor's cache
    step = 512 if features.dtype == np.uint8 else step
    found = [search(features[:, i : i + step], weights) for i in range(0, features.shape[1], step)]
    gap, threshold = (np.concatenate(parts, axis=1) for parts in zip(*found, strict=True))
    sign = np.where(gap < 0, -1, 1).astype(np.int8)
    scale = n_positive * (n_known - n_positive)
    return Thresholds(sign, threshold, 0.5 + 0.5 * np.abs(gap) / scale[:, None])


def _search_floats(features, weights):
    """Signed largest gap and its threshold, (A, B) each, of a block of features (N, B): sort, cumulate, take."""
    columns = np.ascontiguousarray(features.T)
    order = np.argsort(columns, axis=1)
    ranked = np.take_along_axis(columns, order, 1)
    gap = np.cumsum(np.take(np.ascontiguousarray(weights.T), order, axis=1), axis=2, dtype=weights.dtype)
    tied = np.ones_like(ranked, bool)
    np.equal(ranked[:, 1:], ranked[:, :-1], out=tied[:, :-1])
    gap *= ~tied  # no threshold between equal values
    best = np.abs(gap).argmax(2)
    low = np.take_along_axis(ranked, best.T, 1).T
    high = np.take_along_axis(ranked, np.minimum(best + 1, len(features) - 1).T, 1).T
    return np.take_along_axis(gap, best[:, :, None], 2)[:, :, 0], _between(low, high)


def _search_bytes(features, weights):
    """The same for bytes: weighted histograms take the place of sorting, by one product with a sparse matrix."""
    n, width = features.shape
    n_values = int(features.max()) + 1
    place = (features + np.arange(width, dtype=np.int32) * n_values).ravel()
    # row = image, column = (feature, value)
    ones = sparse.csr_matrix(
        (np.ones(len(place), weights.dtype), place, np.arange(n + 1, dtype=np.int32) * width), (n, width * n_values)
    )
    present = np.asarray(ones.sum(0)).reshape(width, n_values) > 0
    gap = (ones.T @ weights).reshape(width, n_values, -1).cumsum(1, dtype=weights.dtype).transpose(2, 0, 1)
    best = np.abs(gap).argmax(2)
    values = np.arange(n_values)
    above = np.where(present, values, n_values - 1)  # the next value that occurs, for the half-way point
    above = np.minimum.accumulate(above[:, ::-1], axis=1)[:, ::-1]
    high = np.take_along_axis(above, np.minimum(best + 1, n_values - 1).T, 1).T
    return np.take_along_axis(gap, best[:, :, None], 2)[:, :, 0], _between(best.astype(np.float64), high)


def _between(low, high):
    middle = low / 2 + high / 2
    return np.where((low <= middle) & (middle < high), middle, low)  # neighbouring floats have no middle


def balanced_accuracy(features, targets, sign, threshold):
    """Balanced accuracy (A, D) of given signs and thresholds, (A, D) each, on features (N, D), targets (N, A)."""
    features, known, positive = _checked(features, targets)
    accuracy = np.empty(threshold.shape)
    for a in range(len(accuracy)):
        kinds = np.stack([positive[:, a], known[:, a] & ~positive[:, a]]).astype(np.float32)
        above = (features > threshold[a]).astype(np.float32)
        true_rate, false_rate = kinds @ above / kinds.sum(1, keepdims=True)  # counts are exact below 2^24
        accuracy[a] = 0.5 + 0.5 * sign[a] * (true_rate - false_rate)
    return accuracy


class OneNeuron(NamedTuple):
    accuracy: np.ndarray  # (A,): of the one neuron that the other half chose, mean of both ways
    neuron: np.ndarray  # int (2, A): the neuron that each half chose
    sign: np.ndarray  # int8 (2, A): its sign
    every: np.ndarray  # (A, D): accuracy of each neuron on the half that did not fit it, mean of both ways
    fitted: np.ndarray  # (2, A, D): signed accuracy on the half that fitted it, sign * (accuracy - 1/2)


def one_neuron(features, targets, first, least=1, progress=False):
    """Neuron, sign and threshold chosen on one half, scored on the other, both ways [Figs. 8 and 9].

    features: (N, D) float or uint8; targets: (N, A); first: mask (N,) of one half. Returns `OneNeuron`. A DataError
    where a half has fewer than `least` positives or negatives of a target; `testable` finds those beforehand.
    """
    targets, first = _two_dimensions(targets), _mask(first, len(features))
    _, missing = testable(targets, [first], range(targets.shape[1]), least)
    for a, reason in missing.items():
        raise DataError(f"target {a}: {reason}; leave it out or give more images")
    ways, every, signed = ((first, ~first), (~first, first)), [[], []], [[], []]
    blocks = range(0, features.shape[1], BLOCK)
    for i in tqdm(blocks, disable=None if progress else True, desc="neurons", unit="block"):
        part = np.ascontiguousarray(features[:, i : i + BLOCK])
        for way, (fit, test) in enumerate(ways):
            found = neuron_thresholds(part[fit], targets[fit])
            every[way].append(balanced_accuracy(part[test], targets[test], found.sign, found.threshold))
            signed[way].append(found.sign * (found.accuracy - 0.5))
    every, signed = (np.stack([np.concatenate(way, axis=1) for way in ways]) for ways in (every, signed))
    neuron = np.abs(signed).argmax(2)
    chosen = np.take_along_axis(every, neuron[:, :, None], 2)[:, :, 0]
    sign = np.where(np.take_along_axis(signed, neuron[:, :, None], 2)[:, :, 0] < 0, -1, 1).astype(np.int8)
    return OneNeuron(chosen.mean(0), neuron, sign, every.mean(0), signed)


def testable(targets, firsts, names, least):
    """Targets with at least `least` positives and negatives in both halves of each mask of `firsts`.

    Returns (indices int (B,), {name: reason} of the others).
    """
    targets, good, missing = _two_dimensions(targets), [], {}
    known = np.ones(targets.shape, bool) if targets.dtype == bool else ~np.isnan(targets)
    sides = {"positives": known & (targets > 0), "negatives": known & ~(targets > 0)}
    masks = [half for first in firsts for half in (first, ~first)]
    for a, name in enumerate(names):
        fewest = {kind: min(int(side[half, a].sum()) for half in masks) for kind, side in sides.items()}
        if min(fewest.values()) >= least:
            good.append(a)
        else:
            kind = min(fewest, key=fewest.get)
            missing[name] = f"{fewest[kind]} {kind} in a half, fewer than {least}"
    return np.array(good, int), missing


def extreme_neurons(found, target, k=5):
    """The k best excitatory and the k best inhibitory neurons of one target as the first half ranks them.

    Returns two int arrays, best first; they are shorter where there are fewer. Look at them on the other half.
    """
    signed = found.fitted[0, target]
    order = np.argsort(-signed, kind="stable")
    excitatory, inhibitory = order[:k], order[::-1][:k]
    return excitatory[signed[excitatory] > 0], inhibitory[signed[inhibitory] < 0]


class Statistics(NamedTuple):
    order: np.ndarray  # int (D,): neurons by falling mean on the positives; all others are in this order
    mean: np.ndarray  # (D,) on the positives
    sd: np.ndarray
    rest_mean: np.ndarray  # (D,) on the negatives
    rest_sd: np.ndarray


def statistics(features, target):
    """Mean and standard deviation of each neuron on the positives and on the rest, sorted [Figs. 10 and 11].

    features: (N, D); target: (N,). Returns `Statistics` in units of the features.
    """
    features, known, positive = _checked(features, target)
    sides = []
    for rows in (positive[:, 0], known[:, 0] & ~positive[:, 0]):
        blocks = [features[rows, i : i + BLOCK] for i in range(0, features.shape[1], BLOCK)]
        sides += [np.concatenate([f(block, axis=0, dtype=np.float64) for block in blocks]) for f in (np.mean, np.std)]
    order = np.argsort(-sides[0], kind="stable")
    return Statistics(order, *(side[order] for side in sides))


def histograms(features, groups, bins=25):
    """Shares of images over common bins, for neurons (N, K) and image groups {name: mask (N,)} [Figs. 12 and 13].

    Returns (edges (K, bins + 1), {name: (K, bins)}); the last bin also holds the one in 500 images beyond it.
    """
    top = np.quantile(features, 0.998, axis=0)
    edges = np.linspace(0, np.where(top > 0, top, 1), bins + 1).T
    shares = {}
    for name, rows in groups.items():
        if not np.any(rows):
            raise DataError(f"histograms: no image is {name!r}")
        values = np.minimum(features[rows], edges[:, -1])
        shares[name] = np.stack([np.histogram(v, e)[0] for v, e in zip(values.T, edges, strict=True)]) / len(values)
    return edges, shares


def linear_accuracy(features, targets, first, reduce=None, progress=False):
    """Balanced accuracy (A,) of all features together by a linear SVM, halves both ways averaged [Fig. 7].

    Options: see `linear_decisions`.
    """
    said = linear_decisions(features, targets, first, reduce, progress)
    _, known, positive = _checked(features, targets)
    right = said == positive
    ways = [[right[half & kind].mean() for half in (first, ~first) for kind in (known[:, a] & positive[:, a],
             known[:, a] & ~positive[:, a])] for a, right in enumerate(right.T)]  # fmt: skip
    return np.mean(ways, axis=1)


def linear_decisions(features, targets, first, reduce=None, progress=False, ways=(0, 1)):
    """bool (N, A): is it a positive? Said by a linear SVM of all features that the other half trained.

    reduce: an unfitted transformer, such as lbp.GramPCA(), fitted on each half's images without their labels; by
    default each feature is standardised. Images are scaled to a mean squared length of one, so that one penalty
    (C = 0.1) serves every dimension. ways: 0 trains on `first`, 1 on the others; a half that nobody judged is False.
    """
    targets, first = _two_dimensions(targets), _mask(first, len(features))
    _, known, positive = _checked(features, targets)
    said = np.zeros(targets.shape, bool)
    bar = tqdm(total=len(ways) * targets.shape[1], disable=None if progress else True, desc="linear SVM", unit="fit")
    for fit in (~first if way else first for way in ways):
        prepare = (clone(reduce) if reduce is not None else StandardScaler()).fit(features[fit])
        x = np.asarray(prepare.transform(features), np.float64)
        x /= np.sqrt((x[fit] ** 2).sum(1).mean()) or 1.0
        for a in range(targets.shape[1]):
            train, test = fit & known[:, a], ~fit & known[:, a]
            _both_classes(positive[train, a], a)
            _both_classes(positive[test, a], a)
            svm = LinearSVC(C=0.1, class_weight="balanced", dual=True, tol=1e-2, max_iter=3000, random_state=0)
            said[test, a] = svm.fit(x[train], positive[train, a]).predict(x[test])
            bar.update()
    bar.close()
    return said


def permuted_targets(targets, seed=0):
    """A null: each target's known values shuffled among the images where they are known, (N, A)."""
    rng, targets = np.random.default_rng(seed), _two_dimensions(targets).astype(np.float32)
    for column in targets.T:
        known = np.flatnonzero(~np.isnan(column))
        column[known] = column[rng.permutation(known)]
    return targets


halves, best_threshold = split_images, neuron_thresholds  # as problem sets call them that were handed out


def coin_labels(labels, n=8, seed=0):
    """A null: n attributes without meaning, a coin tossed once for each person, bool (N, n).

    Who recognises people again can learn them where both halves share people, and cannot where they do not.
    """
    people, of_image = np.unique(labels, return_inverse=True)
    return (np.random.default_rng(seed).permuted(np.tile(np.arange(len(people)) % 2, (n, 1)), axis=1) == 0).T[of_image]


def top_images(features, neuron, n=100):
    """Indices of the n images that excite a neuron most and of the n that excite it least, strongest first.

    Where more than n images leave the neuron at zero, the least are some of those.
    """
    if not 0 <= neuron < features.shape[1]:
        raise DataError(f"neuron {neuron}: the features have neurons 0 to {features.shape[1] - 1}")
    order = np.argsort(-features[:, neuron], kind="stable")
    return order[:n], order[::-1][:n]


# checks


def _two_dimensions(targets):
    targets = np.asarray(targets)
    return targets[:, None] if targets.ndim == 1 else targets


def _mask(first, n):
    first = np.asarray(first)
    if first.dtype != bool or first.shape != (n,):
        raise DataError(f"halves: {first.dtype} {first.shape}; give a mask, bool ({n},)")
    if first.all() or not first.any():
        raise DataError("halves: one half is empty; give each some images")
    return first


def _checked(features, targets):
    """features (N, D), known and positive bool (N, A) of targets; a DataError for what cannot be tested."""
    features, targets = checked_features(features), _two_dimensions(targets)
    if features.ndim != 2 or features.shape[1] == 0 or targets.shape[:1] != features.shape[:1] or targets.ndim != 2:
        raise DataError(f"features {features.shape}, targets {targets.shape}: need (N, D), (N, A) of the same images")
    if targets.dtype == bool:
        known, positive = np.ones_like(targets), targets
    else:
        known, positive = ~np.isnan(targets), targets > 0
    for a in range(targets.shape[1]):
        _both_classes(positive[known[:, a], a], a)
    return features, known, positive


def _both_classes(positive, a):
    if positive.all() or not positive.any():
        raise DataError(
            f"target {a}: {int(positive.sum())} positives and {int((~positive).sum())} negatives; "
            "a classifier needs both in each half"
        )
