"""Statistics of people as functions of how often each person is drawn, for `intervals.of_people`.

Each function sums over every person's images beforehand and returns a function of counts (B, P), how often each of P
people is drawn, that gives (B, K), or (B,). labels (N,) are 0..P-1. What was fitted or chosen, such as thresholds and
neurons, stays as it was. Where a draw has nobody to ask, the answer is nan.
"""

import numpy as np
from scipy import sparse

from deepid_lite.neurons.selectiveness import neuron_thresholds
from deepid_lite.neurons.sparsity import active

NEAR = 0.05  # a feature whose accuracy is further off a bar does not cross it in a draw
MOST = 2000  # features that stand for those at the median


def per_person(values, labels):
    """Sums over each person's images: values (N,) or (N, K), labels (N,) -> float64 (P,) or (P, K)."""
    rows = sparse.csr_array((np.ones(len(labels)), (labels, np.arange(len(labels)))), (max(labels) + 1, len(labels)))
    return rows @ values


def mean_of_drawn(values, counts):
    """Mean over those of T who were drawn, each as often as drawn: values (B, T) or (T,), counts (B, T) -> (B,)."""
    with np.errstate(invalid="ignore"):
        return (np.where(counts > 0, values, 0) * counts).sum(1) / counts.sum(1)


def largest(values):
    """The largest number of each row, (B, K) -> (B,); nan where none is a number."""
    found = np.where(np.isnan(values), -np.inf, values).max(1)
    return np.where(np.isinf(found), np.nan, found)


def average(values):
    """The mean of each row over its numbers, (B, K) -> (B,); nan where none is one."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(1) / known.sum(1)


def beside(ours, other, better=1):
    """(B, 3 K), three of each quantity: ours (B, K), the other's (B, K), and how much better ours is (-1: smaller)."""
    return np.stack([ours, other, better * (ours - other)], axis=2).reshape(len(ours), -1)


def sparsity(features, labels):
    """In percent: neurons active on an image, spread of the neurons' rates, spread over the images, code distance.

    features (N, D). The spreads are standard deviations, that over images in percent of the neurons; the distance is
    that of two images of a person, in percent of that of two people (`neurons.sparsity.hamming_summary`). (B, 4).
    """
    on = active(features)
    n, on_of = on.shape[1], on.sum(1)
    images, squares = np.bincount(labels), np.bincount(labels, on_of.astype(float) ** 2)
    times = per_person(on.astype(np.float32), labels)  # (P, D): images of a person on which a neuron is active
    rates = times / images[:, None]
    own, several = (rates * (1 - rates)).sum(1), images > 1
    # unequal bits of two different images of a person: 2 r (1 - r), without the pairs of an image with itself
    within = np.where(several, 2 * own * images / np.maximum(images - 1, 1), 0)

    def statistic(counts):
        total, people = counts @ images, counts.sum(1)
        of_neurons, mean_rates = (counts @ times) / total[:, None], counts @ rates
        of_images = np.sqrt(np.maximum((counts @ squares) / total - (n * of_neurons.mean(1)) ** 2, 0))
        apart = (mean_rates * (people[:, None] - mean_rates)).sum(1) - counts**2 @ own
        with np.errstate(invalid="ignore", divide="ignore"):
            between = 2 * apart / (people**2 - (counts**2).sum(1))
            alike = (counts @ within) / (counts @ several) / between
        return 100 * np.stack([of_neurons.mean(1), of_neurons.std(1), of_images / n, alike], axis=1)

    return statistic


def decided(features, targets, first, found):
    """bool (N, A): is it a positive? Said by the neuron that the other half chose, with its sign and threshold.

    found: the `OneNeuron` of features (N, D), targets (N, A) and the half `first` (N,).
    """
    said = np.zeros(targets.shape, bool)
    for way, (fit, test) in enumerate(((first, ~first), (~first, first))):
        for a, neuron in enumerate(found.neuron[way]):
            column = features[:, [neuron]]
            chosen = neuron_thresholds(column[fit], targets[fit, a])
            said[test, a] = (column[test, 0] > chosen.threshold[0, 0]) == (chosen.sign[0, 0] > 0)
    return said


def balanced(said, targets, labels, first):
    """Balanced accuracy, each half for itself and then the mean, of decisions bool (N, A) on targets (N, A). (B, A)."""
    kinds = []
    for half in (first, ~first):
        for kind in (0, 1):
            asked = half[:, None] & (targets == kind)
            right = asked & (said == bool(kind))
            kinds.append((per_person(right, labels), per_person(asked, labels)))

    def statistic(counts):
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.mean([(counts @ right) / (counts @ asked) for right, asked in kinds], axis=0)

    return statistic


def _negatives(features, target, labels, first):
    """(right (P, K), asked (P,)) of each half: whom of the rest each of features (N, K) takes for the rest."""
    halves = []
    for fit, test in ((~first, first), (first, ~first)):
        chosen = neuron_thresholds(features[fit], target[fit])
        said = (features > chosen.threshold[0]) == (chosen.sign[0] > 0)
        asked = test & ~target
        halves.append((per_person(asked[:, None] & ~said, labels).astype(np.float32), per_person(asked, labels)))
    return halves


def _moves(halves, counts):
    """How far the accuracies of K features move when other people are drawn: (B, K)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = [(counts @ right) / (counts @ asked)[:, None] - right.sum(0) / asked.sum() for right, asked in halves]
    return np.mean(rates, axis=0) / 2  # the rate among the person's own images does not change


def typical(features, targets, labels, first, found):
    """Balanced accuracy of the median feature for each of A people, targets bool (N, A). (B, A).

    found: their `OneNeuron`. To first order a median moves by the mean move of the features that lie at it, here those
    between the 45th and the 55th percentile, `MOST` of them at most.
    """
    medians, moving = np.median(found.every, axis=1), []
    for a, every in enumerate(found.every):
        low, high = np.quantile(every, [0.45, 0.55])
        near = np.flatnonzero((low <= every) & (every <= high))
        halves = _negatives(
            np.ascontiguousarray(features[:, near[:: -(-len(near) // MOST)]]), targets[:, a], labels, first
        )
        moving.append([(right.mean(1, keepdims=True), asked) for right, asked in halves])

    def statistic(counts):
        return np.stack([m + _moves(halves, counts)[:, 0] for m, halves in zip(medians, moving, strict=True)], axis=1)

    return statistic


def rarer(features, targets, labels, first, found, side, bar):
    """The rarer of selective excitatory and inhibitory features, as a share of all, for each of A people. (B, A).

    found: their `OneNeuron`, side (A, D): signs of the features; selective is a feature of accuracy `bar` or more.
    """
    parts = []
    for a, every in enumerate(found.every):
        near = np.flatnonzero((np.abs(every - bar) < NEAR) & (side[a] != 0))
        sure = every >= bar + NEAR
        halves = _negatives(np.ascontiguousarray(features[:, near]), targets[:, a], labels, first) if len(near) else []
        parts.append((every[near], side[a][near], [(sure & (side[a] == kind)).sum() for kind in (1, -1)], halves))

    def statistic(counts):
        shares = []
        for accuracy, sign, sure, halves in parts:
            above = accuracy + _moves(halves, counts) >= bar if halves else np.zeros((len(counts), 0), bool)
            shares.append(np.minimum(*(n + (above & (sign == k)).sum(1) for n, k in zip(sure, (1, -1), strict=True))))
        return np.stack(shares, axis=1) / found.every.shape[1]

    return statistic


def correlation_of_means(features, labels, people):
    """Correlation over the neurons of the mean on each of A people and on everybody else, features (N, D). (B, A)."""
    sums, images = per_person(features.astype(np.float64), labels), np.bincount(labels)

    def statistic(counts):
        total, n, found = counts @ sums, counts @ images, []
        for person in people:
            times = counts[:, [person]]
            with np.errstate(invalid="ignore", divide="ignore"):
                rest = (total - times * sums[person]) / (n[:, None] - times * images[person])
            found.append(_correlation(rest, sums[person]))
        return np.stack(found, axis=1)

    return statistic


def _correlation(a, b):
    """Of each row of a (B, D) with b (D,)."""
    a, b = a - a.mean(1, keepdims=True), b - b.mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        return (a @ b) / np.sqrt((a**2).sum(1) * (b**2).sum())


def own_and_others(alike):
    """Mean of the diagonal and of the rest of a table (P, P) of people with people. (B, 2)."""
    own, rest = np.diag(alike), alike - np.diag(np.diag(alike))

    def statistic(counts):
        people = counts.sum(1)
        between = np.einsum("bp,pq,bq->b", counts, rest, counts, optimize=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.stack([(counts @ own) / people, between / (people**2 - (counts**2).sum(1))], axis=1)

    return statistic
