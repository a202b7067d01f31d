"""What binary codes keep: Table 4, accuracy against bits and bytes, and recall of a search, from features alone.

`fit` are features (N, 2 D) of people who are not tested, picture and mirror side by side, `fit_labels` (N,) who they
are; `test` are features of the tested images and `pairs` their protocol (trials.Pairs). Whatever is fitted or ordered
comes from `fit`; thresholds come from the other folds (protocols.verify). Accuracies are in percent.
"""

import numpy as np

from deepid_lite.neurons import codes
from deepid_lite.verification.metrics import verify
from deepid_lite.verification.model import components, fitted

RANDOM_DRAWS = 5  # of orders and of projections: their mean and spread
FLOATS = (2, 4, 8, 16, 32, 64, 120)  # numbers a face, after PCA


def table_4(fit, fit_labels, test, pairs, verifier=None, n_components=120):
    """Real features and binary codes, each by Joint Bayesian and by a plain distance [DeepID2+, Table 4].

    verifier: fitted on the real features already. n_components: after PCA. Joint Bayesian takes codes as numbers 0 and
    1. Returns {"real": {"joint_bayesian", "cosine"}, "binary": {"joint_bayesian", "hamming"}}, each {"accuracy",
    "standard_error"}.
    """
    unit = test / np.maximum(np.linalg.norm(test, axis=1, keepdims=True), 1e-12)
    return {
        "real": {
            "joint_bayesian": accuracy(_joint(verifier or fitted(fit, fit_labels, n_components), test, pairs), pairs),
            "cosine": accuracy((unit[pairs.first] * unit[pairs.second]).sum(1), pairs),
        },
        "binary": binary_row(codes.binarise(fit), fit_labels, codes.binarise(test), pairs, n_components),
    }


def binary_row(fit, fit_labels, test, pairs, n_components=120):
    """The row of Table 4 for any bits: fit (N, B), test (M, B) -> {"joint_bayesian", "hamming"}."""
    verifier = fitted(fit, fit_labels, n_components)
    return {
        "joint_bayesian": accuracy(_joint(verifier, test.astype(np.float32), pairs), pairs),
        "hamming": accuracy(-(test[pairs.first] ^ test[pairs.second]).sum(1), pairs),
    }


def bit_sizes(n_bits):
    """8, 16, 32, ... and the full length."""
    return sorted({*(2 ** np.arange(3, int(np.log2(n_bits)) + 1)).tolist(), n_bits})


def bits_curve(bits, orders, pairs, sizes):
    """Accuracy by Hamming of the first bits in an order: bits (N, B), orders: permutations -> mean and spread.

    Returns {"accuracy": [...], "spread": [...]} over sizes; the spread is the standard deviation over the orders.
    """
    found = np.array([_growing(bits, order, pairs, sizes) for order in orders])
    return _mean_and_spread(found)


def projections_curve(features, mean, pairs, sizes, draws=RANDOM_DRAWS):
    """`bits_curve` of the signs of random projections of features (N, D) about a mean (D,) of other people."""
    everything = np.arange(max(sizes))
    drawn = (codes.random_projection_bits(features, max(sizes), seed, mean) for seed in range(draws))
    return _mean_and_spread(np.array([_growing(bits, everything, pairs, sizes) for bits in drawn]))


def floats_curve(fit, fit_labels, test, pairs, sizes=FLOATS):
    """Accuracy by Joint Bayesian of a few PCA components of four bytes each: {"numbers", "bytes", "accuracy"}."""
    sizes = [size for size in sizes if size <= components(fit, fit_labels)]
    found = [accuracy(_joint(fitted(fit, fit_labels, size), test, pairs), pairs)["accuracy"] for size in sizes]
    return {"numbers": sizes, "bytes": [4 * size for size in sizes], "accuracy": found}


def search_split(labels):
    """(gallery, queries), indices: the last image of everybody with two or more is a query, all others the gallery."""
    counts = np.bincount(labels)
    last = np.zeros(len(labels), bool)
    last[len(labels) - 1 - np.unique(labels[::-1], return_index=True)[1]] = True
    queries = np.flatnonzero(last & (counts[labels] > 1))
    return np.setdiff1d(np.arange(len(labels)), queries), queries


def search_recall(scores, distances, right, candidates, nearest=10):
    """How good the first C of a search by distance are, for each C: dict of lists in percent.

    scores (Q, G): Joint Bayesian, which re-ranks; distances (Q, G): by which the candidates are taken, ties to the
    smaller index; right (Q, G): the same person. found: the right person is among the C. rank1: the best score among
    the C is the right person's. neighbours: share of the `nearest` by score over all of the gallery among the C.
    """
    order = np.argsort(distances, axis=1, kind="stable")
    right, scores = np.take_along_axis(right, order, 1), np.take_along_axis(scores, order, 1)
    near = np.argpartition(-scores, min(nearest, scores.shape[1]) - 1, axis=1)[:, :nearest]
    rows = np.arange(len(right))
    first = [np.argmax(scores[:, :c], axis=1) for c in candidates]
    return {
        "found": [_percent(right[:, :c].any(1).mean()) for c in candidates],
        "rank1": [_percent(right[rows, best].mean()) for best in first],
        "neighbours": [_percent((near < c).mean()) for c in candidates],
    }


def searcher(scores, labels, gallery, queries):
    """A function bits (N, B) -> `search_recall` of their Hamming distances; None instead of bits: of the scores.

    scores (Q, G), as re-ranking uses them; labels (N,); gallery (G,), queries (Q,): indices.
    """
    right, sizes = labels[queries][:, None] == labels[gallery], candidate_sizes(len(gallery))

    def search(bits):
        packed = None if bits is None else codes.pack(bits)
        distances = -scores if bits is None else codes.hamming(packed[queries], packed[gallery])
        return search_recall(scores, distances, right, sizes)

    return search


def candidate_sizes(n):
    """1, 2, 5, 10, 20, 50, ... below n, and n."""
    steps = (np.array([1, 2, 5])[None] * 10 ** np.arange(7)[:, None]).ravel().tolist()
    return [step for step in steps if step < n] + [n]


def accuracy(scores, pairs):
    """{"accuracy", "standard_error"} in percent."""
    found = verify(np.asarray(scores, np.float64), pairs)
    return {"accuracy": _percent(found.accuracy), "standard_error": _percent(found.standard_error)}


def _joint(verifier, features, pairs):
    z = verifier[:-1].transform(features)
    return verifier[-1].score_pairs(z[pairs.first], z[pairs.second])


def _growing(bits, order, pairs, sizes):
    bits = bits[:, order[: max(sizes)]]
    unequal = np.cumsum(bits[pairs.first] ^ bits[pairs.second], axis=1, dtype=np.int32)
    return [100 * verify(-unequal[:, size - 1].astype(np.float64), pairs).accuracy for size in sizes]


def _mean_and_spread(found):
    spread = found.std(0, ddof=1) if len(found) > 1 else np.zeros(found.shape[1])
    return {"accuracy": np.round(found.mean(0), 3).tolist(), "spread": np.round(spread, 3).tolist()}


def _percent(share):
    return round(100 * float(share), 3)
