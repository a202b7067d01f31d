"""What binary codes keep: Table 4, accuracy against bits and bytes, and recall of a search, from features alone.

`fit` are features (N, 2 D) of people who are not tested, picture and mirror side by side, `fit_labels` (N,) who they
are; `test` are features of the tested images and `pairs` their protocol (`Pairs`). Whatever is fitted or ordered
comes from `fit`; thresholds come from the other folds (`verify`). Accuracies are in percent. The study `codes` makes
all of it for a `Setup`.
"""

import numpy as np

from deepid_lite.faces.regions import crop
from deepid_lite.neurons.codes import binarise, hamming, order_bits, pack, random_projection_bits
from deepid_lite.neurons.tuning import before_relu
from deepid_lite.registry import Claim, claims, study
from deepid_lite.studies.robustness import decided, decisions
from deepid_lite.verification.intervals import of_loss_difference, of_pair_difference, of_pairs, over_published
from deepid_lite.verification.metrics import verify
from deepid_lite.verification.verifier import components, fit_verifier

RANDOM_DRAWS = 5  # of orders and of projections: their mean and spread
FLOATS = (2, 4, 8, 16, 32, 64, 120)  # numbers a face, after PCA
SHARES = (0.2, 0.5, 0.8)  # of bits that are one, where a code's threshold is moved


def table_4(fit, fit_labels, test, pairs, verifier=None, n_components=120):
    """Real features and binary codes, each by Joint Bayesian and by a plain distance [DeepID2+, Table 4].

    verifier: fitted on the real features already. n_components: after PCA. Joint Bayesian takes codes as numbers 0 and
    1. Returns {"real": {"joint_bayesian", "cosine"}, "binary": {"joint_bayesian", "hamming"}}, each {"accuracy",
    "standard_error"}.
    """
    return accuracies(scores_of_table_4(fit, fit_labels, test, pairs, verifier, n_components), pairs)


def scores_of_table_4(fit, fit_labels, test, pairs, verifier=None, n_components=120):
    """The scores (P,) behind `table_4`, in the same dicts."""
    real = verifier or fit_verifier(fit, fit_labels, n_components)
    unit = test / np.maximum(np.linalg.norm(test, axis=1, keepdims=True), 1e-12)
    cosine = (unit[pairs.first] * unit[pairs.second]).sum(1)
    return {
        "real": {"joint_bayesian": real.score_pairs(test, pairs), "cosine": cosine},
        "binary": scores_of_bits(binarise(fit), fit_labels, binarise(test), pairs, n_components),
    }


def scores_of_bits(fit, fit_labels, test, pairs, n_components=120):
    """The scores (P,) behind `binary_row`."""
    joint = fit_verifier(fit, fit_labels, n_components).score_pairs(test.astype(np.float32), pairs)
    return {"joint_bayesian": joint, "hamming": -(test[pairs.first] ^ test[pairs.second]).sum(1)}


def binary_row(fit, fit_labels, test, pairs, n_components=120):
    """The row of Table 4 for any bits: fit (N, B), test (M, B) -> {"joint_bayesian", "hamming"}."""
    return accuracies(scores_of_bits(fit, fit_labels, test, pairs, n_components), pairs)


def accuracies(scores, pairs):
    """`accuracy` of scores (P,) in dicts, or in dicts of dicts."""
    if isinstance(scores, dict):
        return {name: accuracies(part, pairs) for name, part in scores.items()}
    return accuracy(scores, pairs)


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


def moved_threshold(fit, test, pairs, shares=SHARES):
    """Hamming accuracy of codes with one threshold for all neurons, set where a share of the bits is one.

    fit (N, B), test (M, B): neurons before their ReLU, of other people and of those tested. The threshold leaves that
    share of `fit` above it. Returns ({"shares", "thresholds", "ones": shares of the tested bits, "accuracy",
    "standard_error"}, scores: one (P,) for each share).
    """
    thresholds = np.quantile(fit, [1 - share for share in shares])
    bits = [test > t for t in thresholds]
    scores = [-(b[pairs.first] ^ b[pairs.second]).sum(1) for b in bits]
    found = [accuracy(s, pairs) for s in scores]
    return {
        "shares": [float(share) for share in shares],
        "thresholds": [round(float(t), 5) for t in thresholds],
        "ones": [round(float(b.mean()), 5) for b in bits],
        **{key: [f[key] for f in found] for key in found[0]},
    }, scores


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
    """Table 4 of one net, accuracy against bits and bytes, a moved threshold, and recall of a search.

    Joint Bayesian and the orders of bits are fitted on the held-out people, Table 4 for codes of picture and mirror and
    of the picture alone. Nulls: the table of a net with fresh weights, and codes that are signs of random projections
    of the raw pixels. `right`: which pairs were decided rightly, for intervals (`robustness.decisions`).
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
    null = setup.untrained(seed)
    of_null = null.features("held_out"), null.features("test")
    tables = {"net": scores_of_table_4(held_out, labels, test, pairs, verifier),
              "untrained": scores_of_table_4(of_null[0], labels, of_null[1], pairs)}  # fmt: skip
    moved, of_moved = _moved(setup)
    return {
        "scale": setup.name,
        "data_hash": setup.held_out.data_hash,
        "test_hash": setup.test.data_hash,
        "bits": len(bits[0]),
        "pairs": len(pairs),
        "pairs_per_fold": np.bincount(pairs.fold).tolist(),
        "table": {
            "picture and mirror": accuracies(tables["net"], pairs),
            "picture": table_4(held_out[:, :half], labels, test[:, :half], pairs),
        },
        "curve": {"bits": sizes, **curve, "projections": projections_curve(test, held_out.mean(0), pairs, sizes)},
        "floats": floats_curve(held_out, labels, test, pairs),
        "moved_threshold": moved,
        "search": {
            "gallery": len(gallery),
            "queries": len(queries),
            "candidates": candidate_sizes(len(gallery)),
            "codes": search(bits),
            "real": search(None),
        },
        "nulls": {
            "untrained": {
                "table": accuracies(tables["untrained"], pairs), **_codes_of_null(of_null[1] > 0, pairs, sizes, search)
            },
            "pixels": _pixels(setup, sizes, search, seed),
        },
        "right": {
            who: {f"{kind} {way}": decided(s, pairs) for kind, ways in of.items() for way, s in ways.items()}
            for who, of in tables.items()
        } | {"moved_threshold": [decided(s, pairs) for s in of_moved]},
    }  # fmt: skip


def _moved(setup, most=2000):
    """`moved_threshold` of the net, set on about `most` held-out images."""
    used, pairs = setup.pairs.compact()
    some = setup.held_out.images[:: max(1, len(setup.held_out.images) // most)]
    fit, test = (before_relu(setup.model, images, flip=True) for images in (some, setup.test.images[used]))
    return moved_threshold(fit, test, pairs)


def _pixels(setup, sizes, search, seed):
    """Codes that no net made: signs of random projections of the pixels, as long as the net's."""
    flat = {part: crop(getattr(setup, part).images, setup.model.region) for part in ("held_out", "test")}
    flat = {part: faces.reshape(len(faces), -1) for part, faces in flat.items()}
    mean = flat["held_out"].mean(0)
    fit, test = (random_projection_bits(flat[part], max(sizes), seed, mean) for part in ("held_out", "test"))
    table = {"binary": binary_row(fit, setup.held_out.labels, test, setup.pairs)}
    return {"table": table, **_codes_of_null(test, setup.pairs, sizes, search)}


def _codes_of_null(bits, pairs, sizes, search):
    orders = [np.random.default_rng(s).permutation(max(sizes)) for s in range(RANDOM_DRAWS)]
    return {"curve": bits_curve(bits, orders, pairs, sizes), "search": search(bits)}


# claims

REAL, CODES, HAMMING = "real joint_bayesian", "binary joint_bayesian", "binary hamming"


def _accuracy(result):
    (right,), fold = decisions(result, result["right"]["net"][REAL])
    return of_pairs(right, fold)


def _loss(way):
    """The readers of a claim about what the net's code loses, against what an untrained net's does."""

    def read(result):
        texts = [result["right"][who][kind] for who in ("net", "untrained") for kind in (REAL, way)]
        return decisions(result, *texts)

    def ours(result):
        (real, code, _, _), fold = read(result)
        return of_pairs([real, code], fold, lambda a: 100 * (a[..., 0] - a[..., 1]))

    def difference(result):
        right, fold = read(result)
        return of_loss_difference(right[:2], right[2:], fold)

    return {"ours": ours, "difference": difference}


def _moderate(result):
    """Hamming accuracy where half of the bits are one."""
    right, fold = decisions(result, *result["right"]["moved_threshold"])
    return of_pairs(right[result["moved_threshold"]["shares"].index(0.5)], fold)


def _over_extremes(result):
    """That, minus the accuracy at the better of the other thresholds."""
    found = result["moved_threshold"]
    half = found["shares"].index(0.5)
    best = max((k for k in range(len(found["shares"])) if k != half), key=lambda k: found["accuracy"][k])
    right, fold = decisions(result, *(result["right"]["moved_threshold"][k] for k in (half, best)))
    return of_pair_difference(*right, fold)["points"]


claims(
    Claim(
        "C1", "One net, on picture and mirror, verifies nearly all pairs", "section 5, Table 4", "98.70 %",
        section="how good it is", study="codes", interval="pairs", kind="baseline",
        against="published high-dimensional LBP, 95.17 ± 1.13 %", at_least=98.70, margin=1.8, ours=_accuracy,
        difference=lambda r: over_published(_accuracy(r), 95.17, 1.13),
    ),
    Claim(
        "C13", "Moderate sparsity maximises the power to tell people apart", "abstract", "no number", section="sparse",
        study="codes", interval="pairs", kind="baseline", against="the better of 20 and 80 % of the bits",
        ours=_moderate, difference=_over_extremes,
    ),
    Claim(
        "C15", "Codes of one net cost about one point", "section 5, Table 4", "1.03 points", section="sparse",
        study="codes", interval="pairs", kind="null", against="what the code of an untrained net costs", at_most=1.03,
        log_odds=True, unit="{:.2f} points", **_loss(CODES),
    ),
    Claim(
        "C16", "Hamming distance alone comes close behind", "section 5, Table 4", "2.25 points", section="sparse",
        study="codes", interval="pairs", kind="null", against="what Hamming distance costs an untrained net",
        at_most=2.25, log_odds=True, unit="{:.2f} points", **_loss(HAMMING),
    ),
)  # fmt: skip
