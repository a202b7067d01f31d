"""How single neurons respond, as dicts of plain lists that are small enough for JSON: the numbers behind Figs. 7 to 13.

`neurons.selectiveness` computes from plain arrays, this module thins and rounds.
"""

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.neurons import selectiveness

POINTS = 150  # neurons that a curve keeps, evenly spaced in its order
SELECTIVE = 0.75  # held-out accuracy from which a neuron counts as selective: half-way from chance to perfect


def signs(found):
    """int (A, D): 1 excitatory, -1 inhibitory, 0 where the halves disagree, of a `selectiveness.OneNeuron`."""
    first, second = np.sign(found.fitted)
    return np.where(first == second, first, 0).astype(int)


def summary(found):
    """One list entry a target: the best neuron's accuracy, number and sign, the typical one, and selective shares."""
    side = signs(found)
    selective = found.every >= SELECTIVE
    return {
        "one": numbers(found.accuracy),
        "neuron": found.neuron.T.tolist(),
        "sign": found.sign.T.tolist(),
        "median": numbers(np.median(found.every, axis=1)),
        "excitatory": numbers((selective & (side > 0)).mean(1), 5),
        "inhibitory": numbers((selective & (side < 0)).mean(1), 5),
    }


def curves(features, target, found, a):
    """Sorted means with spread on a target and on the rest, and held-out accuracy [Figs. 10 and 11], `POINTS` long.

    found: the `OneNeuron` of these features, a: the target's place in it.
    """
    sorted_ = selectiveness.statistics(features, target)
    keep = np.unique(np.linspace(0, len(sorted_.order) - 1, POINTS).round().astype(int))
    # one unit for all features, so that systems of any scale fit one axis
    unit = max(sorted_.mean.max(), sorted_.rest_mean.max()) or 1.0
    rows = {key: numbers(getattr(sorted_, key)[keep] / unit, 3) for key in ("mean", "sd", "rest_mean", "rest_sd")}
    order = sorted_.order[keep]
    correlation = np.corrcoef(sorted_.mean, sorted_.rest_mean)[0, 1]
    return {
        "rank": keep.tolist(),
        **rows,
        "accuracy": numbers(found.every[a, order], 3),
        "sign": signs(found)[a, order].tolist(),
        "correlation": round(float(correlation), 4),  # of the two means over all features
    }


def distributions(features, groups, neurons, rows, bins=20):
    """Histograms of some neurons over groups of images {name: mask (N,)}, on the images `rows` (mask (N,)).

    Returns {"neurons", "top" (highest edge of each), "shares": {name: [[bins shares] a neuron]}, "silent"}; silent is
    the share of images on which a neuron is exactly zero.
    """
    values = features[rows][:, neurons]
    groups = {name: mask[rows] for name, mask in groups.items()}
    edges, shares = selectiveness.histograms(values, groups, bins)
    return {
        "neurons": [int(n) for n in neurons],
        "top": numbers(edges[:, -1]),
        "shares": {name: numbers(share) for name, share in shares.items()},
        "silent": {name: numbers((values[mask] == 0).mean(0)) for name, mask in groups.items()},
    }


def portraits(features, found, wanted, labels, targets=None, names=()):
    """{name: `seen` of the best excitatory neuron of that target}; wanted: {name: the target's place in `found`}.

    found: a `OneNeuron`, whose first half chooses; a target that has no such neuron is left out.
    """
    best = {name: selectiveness.extreme_neurons(found, a, 1)[0] for name, a in wanted.items()}
    return {name: seen(features, which[0], labels, targets, names) for name, which in best.items() if len(which)}


def seen(features, neuron, labels, targets=None, names=(), n=100):
    """Who and what is on the n images that excite a neuron most: people, and attributes against all images.

    targets: (N, A) with nan for unknown; an attribute is listed where at least a fifth of the n are known.
    """
    top, _ = selectiveness.top_images(features, neuron, n)
    counts = np.sort(np.bincount(labels[top]))[::-1]
    found = {"neuron": int(neuron), "images": len(top), "people": int((counts > 0).sum()), "most": int(counts[0])}
    if targets is None:
        return found
    targets = np.asarray(targets, float)
    enough = [a for a in range(len(names)) if (~np.isnan(targets[top, a])).sum() >= len(top) / 5]
    return found | {
        "attributes": {
            names[a]: {"top": numbers(np.nanmean(targets[top, a])), "all": numbers(np.nanmean(targets[:, a]))}
            for a in enough
        }
    }


def random_neurons(features, seed=0, k=5):
    """Histograms of k random neurons over all images [Fig. 12, first row]."""
    some = np.sort(np.random.default_rng(seed).choice(features.shape[1], min(k, features.shape[1]), replace=False))
    everything = np.ones(len(features), bool)
    return distributions(features, {"all": everything}, some, everything)


def extremes(features, target, found, a, rows, k=5):
    """Histograms of the k best excitatory and inhibitory neurons of target a on its positives and the rest [Fig. 12].

    found: a `OneNeuron`, whose first half chose them; rows: mask of the other half, which is shown.
    """
    excitatory, inhibitory = selectiveness.extreme_neurons(found, a, k)
    sides = {"positives": target == 1, "rest": target == 0}
    shown = {"excitatory": excitatory, "inhibitory": inhibitory}
    return {kind: distributions(features, sides, which, rows) for kind, which in shown.items() if len(which)}


def groups(features, targets, names, wanted, found, rows):
    """Histograms of the best excitatory and inhibitory neuron of each attribute of a group, over them all [Fig. 13].

    A group of one attribute is set against the images that lack it. found, rows: as in `extremes`.
    """
    there = [name for name in wanted if name in names]
    if not there:
        raise DataError(f"attributes {', '.join(wanted)}: none is among those tested, {', '.join(names)}")
    places = [list(names).index(name) for name in there]
    masks = {name: targets[:, a] == 1 for name, a in zip(there, places, strict=True)}
    if len(there) == 1:
        masks[f"not {there[0]}"] = targets[:, places[0]] == 0
    best = []  # (attribute, kind, neuron)
    for name, a in zip(there, places, strict=True):
        excitatory, inhibitory = selectiveness.extreme_neurons(found, a, 1)
        best += [(name, "excitatory", n) for n in excitatory] + [(name, "inhibitory", n) for n in inhibitory]
    chosen = {"for": [name for name, _, _ in best], "kind": [kind for _, kind, _ in best]}
    return chosen | distributions(features, masks, [neuron for _, _, neuron in best], rows)


def numbers(values, digits=4):
    """Rounded floats, nested as the array is."""
    return np.round(np.asarray(values, float), digits).tolist()
