"""What binary codes keep: Table 4, accuracy against bits and bytes, and recall of a search, from features alone.

`fit` are features (N, 2 D) of people who are not tested, picture and mirror side by side, `fit_labels` (N,) who they
are; `test` are features of the tested images and `pairs` their protocol (`Pairs`). Whatever is fitted or ordered
comes from `fit`; thresholds come from the other folds (`verify`). Accuracies are in percent. The study `codes` makes
all of it for a `Setup`.
"""

import numpy as np

from deepid_lite.faces.regions import crop
from deepid_lite.neurons.codes import binarise, hamming, order_bits, pack, random_projection_bits
from deepid_lite.neurons.untrained import untrained_net
from deepid_lite.registry import study
from deepid_lite.verification.features import extract
from deepid_lite.verification.metrics import verify
from deepid_lite.verification.verifier import components, fit_verifier

RANDOM_DRAWS = 5  # of orders and of projections: their mean and spread
FLOATS = (2, 4, 8, 16, 32, 64, 120)  # numbers a face, after PCA


def table_4(fit, fit_labels, test, pairs, verifier=None, n_components=120):
    """Real features and binary codes, each by Joint Bayesian and by a plain distance [DeepID2+, Table 4].

    verifier: fitted on the real features already. n_components: after PCA. Joint Bayesian takes codes as numbers 0 and
    1. Returns {"real": {"joint_bayesian", "cosine"}, "binary": {"joint_bayesian", "hamming"}}, each {"accuracy",
    "standard_error"}.
    """
    real = verifier or fit_verifier(fit, fit_labels, n_components)
    unit = test / np.maximum(np.linalg.norm(test, axis=1, keepdims=True), 1e-12)
    return {
        "real": {
            "joint_bayesian": accuracy(real.score_pairs(test, pairs), pairs),
            "cosine": accuracy((unit[pairs.first] * unit[pairs.second]).sum(1), pairs),
        },
        "binary": binary_row(binarise(fit), fit_labels, binarise(test), pairs, n_components),
    }


def binary_row(fit, fit_labels, test, pairs, n_components=120):
    """The row of Table 4 for any bits: fit (N, B), test (M, B) -> {"joint_bayesian", "hamming"}."""
    verifier = fit_verifier(fit, fit_labels, n_components)
    return {
        "joint_bayesian": accuracy(verifier.score_pairs(test.astype(np.float32), pairs), pairs),
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
    drawn = (random_projection_bits(features, max(sizes), seed, mean) for seed in range(draws))
    return _mean_and_spread(np.array([_growing(bits, everything, pairs, sizes) for bits in drawn]))


def floats_curve(fit, fit_labels, test, pairs, sizes=FLOATS):
    """Accuracy by Joint Bayesian of a few PCA components of four bytes each: {"numbers", "bytes", "accuracy"}."""
    sizes = [size for size in sizes if size <= components(fit, fit_labels)]
    found = [
        accuracy(fit_verifier(fit, fit_labels, size).score_pairs(test, pairs), pairs)["accuracy"] for size in sizes
    ]
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
        packed = None if bits is None else pack(bits)
        distances = -scores if bits is None else hamming(packed[queries], packed[gallery])
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


def _growing(bits, order, pairs, sizes):
    bits = bits[:, order[: max(sizes)]]
    unequal = np.cumsum(bits[pairs.first] ^ bits[pairs.second], axis=1, dtype=np.int32)
    return [100 * verify(-unequal[:, size - 1].astype(np.float64), pairs).accuracy for size in sizes]


def _mean_and_spread(found):
    spread = found.std(0, ddof=1) if len(found) > 1 else np.zeros(found.shape[1])
    return {"accuracy": np.round(found.mean(0), 3).tolist(), "spread": np.round(spread, 3).tolist()}


def _percent(share):
    return round(100 * float(share), 3)


@study
def codes(setup, seed=0):
    """Table 4 of one net, accuracy against bits and bytes, and recall of a search; see

    Joint Bayesian and the orders of bits are fitted on the held-out people, Table 4 for codes of picture and mirror and
    of the picture alone. Nulls: codes of a net with fresh weights, and signs of random projections of the raw pixels.
    """
    held_out, test = setup.features("held_out"), setup.features("test")
    bits, half, sizes = test > 0, held_out.shape[1] // 2, bit_sizes(held_out.shape[1])
    labels, pairs = setup.held_out.labels, setup.pairs
    draws = {"random": range(RANDOM_DRAWS), "entropy": [0], "variance": [0]}
    curve = {
        how: bits_curve(bits, [order_bits(held_out, how, s) for s in seeds], pairs, sizes)
        for how, seeds in draws.items()
    }
    verifier = fit_verifier(held_out, labels)  # on the same people as the codes' own, also where `held_out` is a part
    gallery, queries = search_split(setup.test.labels)
    scores = verifier.score_all(test[queries], test[gallery])
    search = searcher(scores, setup.test.labels, gallery, queries)
    return {
        "scale": setup.name,
        "data_hash": setup.held_out.data_hash,
        "test_hash": setup.test.data_hash,
        "bits": len(bits[0]),
        "table": {
            "picture and mirror": table_4(held_out, labels, test, pairs, verifier),
            "picture": table_4(held_out[:, :half], labels, test[:, :half], pairs),
        },
        "curve": {"bits": sizes, **curve, "projections": projections_curve(test, held_out.mean(0), pairs, sizes)},
        "floats": floats_curve(held_out, labels, test, pairs),
        "search": {
            "gallery": len(gallery),
            "queries": len(queries),
            "candidates": candidate_sizes(len(gallery)),
            "codes": search(bits),
            "real": search(None),
        },
        "nulls": _null_codes(setup, sizes, search, seed),
    }


def _null_codes(setup, sizes, search, seed):
    """Codes that no training made, as long as the net's: {name: table, curve, search}."""
    crops = {part: crop(getattr(setup, part).images, setup.model.region) for part in ("held_out", "test")}
    fresh = untrained_net(setup.model.net, crops["held_out"][:2000], seed)
    nets = {part: extract(fresh, faces, progress=True) > 0 for part, faces in crops.items()}
    flat = {part: faces.reshape(len(faces), -1) for part, faces in crops.items()}
    mean = flat["held_out"].mean(0)
    pixels = {part: random_projection_bits(f, max(sizes), seed, mean) for part, f in flat.items()}
    orders = [np.random.default_rng(s).permutation(max(sizes)) for s in range(RANDOM_DRAWS)]
    return {
        name: {
            "table": {"binary": binary_row(of["held_out"], setup.held_out.labels, of["test"], setup.pairs)},
            "curve": bits_curve(of["test"], orders, setup.pairs, sizes),
            "search": search(of["test"]),
        }
        for name, of in {"untrained": nets, "pixels": pixels}.items()
    }


def _loss(found, codes, kind):
    """Points that codes, a row of Table 4, lose against the real features with Joint Bayesian; found: a result."""
    return found["table"]["picture and mirror"]["real"]["joint_bayesian"]["accuracy"] - codes[kind]["accuracy"]


def _net(result):
    return result["table"]["picture and mirror"]["binary"]


def _null(result):
    return result["nulls"]["untrained"]["table"]["binary"]
