"""Moderate sparsity: neurons that an image activates, images that activate a neuron [DeepID2+, section 5, Fig. 6].

`features` (N, D) are those of the PICTURE alone: `picture` takes them from columns where picture and flip stand side by
side, as `features.extract` gives them. A neuron is active where its feature is above 0.

**Half of the neurons proves nothing.** The mean share of active neurons is the mean rate of the neurons, whatever the
net; in a net without training it is near one half by symmetry. What training can change is how the rates differ, how
neurons depend on each other, and how much closer two images of one person are than images of two people. So every
number here comes beside that of a net with fresh weights (untrained.py) and of independent neurons with these rates.
"""

import numpy as np

from deepid_lite.errors import DataError, checked_features
from deepid_lite.faces.regions import crop
from deepid_lite.verification.features import extract

BINS = {"active": 64, "rate": 32, "entropy": 20}  # of the histograms


def picture(features):
    """The picture's half (N, D) of features (N, 2 D) of picture and flip."""
    if features.ndim != 2 or features.shape[1] % 2:
        raise DataError(f"features {features.shape}: give (N, 2 D), picture and flip side by side")
    return features[:, : features.shape[1] // 2]


def active(features):
    """Features (N, D), or codes of 0 and 1 -> bool (N, D), true where a neuron is active."""
    features = checked_features(features)
    if features.ndim != 2 or 0 in features.shape:
        raise DataError(f"features {features.shape}: give (N, D), one row an image, none of them 0")
    return features > 0


def entropy(rates):
    """Entropy in bits of neurons that are active on these fractions of images: 1 at one half, 0 at 0 and 1."""
    p = np.asarray(rates, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise DataError("rates: give fractions from 0 to 1")
    both = np.stack([p, 1 - p])
    return -(both * np.log2(both, out=np.zeros_like(both), where=both > 0)).sum(0)


def permuted_features(features, seed=0):
    """The null of independent neurons: each neuron keeps its values, on other images. (N, D) -> (N, D)."""
    return np.random.default_rng(seed).permuted(features, axis=0)


def hamming_summary(features, labels):
    """Expected Hamming distances between the codes of two different images, exactly and without a loop over pairs.

    features (N, D), labels (N,). Returns a dict, distances in bits of D; None where there is no such pair:
    within, between: of two images of one person, of images of two people; every person counts the same.
    within_pairs, between_pairs: the same, where every pair of images counts the same.
    any_two, spread: mean and standard deviation over all pairs of images. rates_alone, spread_independent: the same
    for independent neurons with these rates p: sum 2 p (1 - p), for means add up, dependent or not; the spread tells.
    degrees_of_freedom: D (spread_independent / spread)^2, the number of independent neurons that would spread as much
    for their number; at rates of one half it is what Daugman (2003) says of iris codes.
    """
    on, m, b = _by_person(features, labels)
    n, d = on.shape
    people, rates = len(m), b / m[:, None]  # (P, D): share of a person's images
    a = b.sum(0)
    unlike = (b * (m[:, None] - b)).sum(1)  # (P,): unequal bits over all pairs of images of a person
    pairs, several = m * (m - 1) / 2, m > 1
    crossed = rates.sum(0) * (people - rates.sum(0)) - (rates * (1 - rates)).sum(0)
    other_pairs = n * (n - 1) / 2 - pairs.sum()
    any_two, spread = _all_pairs(on, a)
    p = a / n
    q = 2 * p * (1 - p)
    spread_independent = np.sqrt((q * (1 - q)).sum())
    return {
        "within": float((unlike[several] / pairs[several]).mean()) if several.any() else None,
        "between": float(2 * crossed.sum() / (people * (people - 1))) if people > 1 else None,
        "within_pairs": float(unlike.sum() / pairs.sum()) if several.any() else None,
        "between_pairs": float(((a * (n - a)).sum() - unlike.sum()) / other_pairs) if people > 1 else None,
        "any_two": any_two,
        "spread": spread,
        "rates_alone": float(q.sum()),
        "spread_independent": float(spread_independent),
        "degrees_of_freedom": float(d * (spread_independent / spread) ** 2) if spread else None,
    }


def _by_person(features, labels):
    """Codes (N, D), images of each person (P,), and on how many of them each neuron is active (P, D)."""
    on, labels = active(features), np.asarray(labels)
    if labels.shape != (len(on),):
        raise DataError(f"labels {labels.shape}: give one person for each of {len(on)} images")
    order = np.argsort(labels, kind="stable")
    _, starts, m = np.unique(labels[order], return_index=True, return_counts=True)
    return on, m, np.add.reduceat(on[order], starts, axis=0, dtype=np.int64)


def _all_pairs(on, a):
    """Mean and standard deviation of the Hamming distance over all pairs of images; a: (D,) active images."""
    n, d = on.shape
    if n < 2:
        return None, None
    # codes as +-1: a product of two is D - 2 distance, and their squares sum to those of one D x D table
    signs = on.astype(np.float32) * 2 - 1
    table = (signs.T @ signs).astype(np.float64)  # counts below 2^24 are exact
    mean = (((2 * a - n) ** 2).sum() - n * d) / (n * (n - 1))
    square = ((table**2).sum() - n * d**2) / (n * (n - 1))
    return float((d - mean) / 2), float(np.sqrt(max(square - mean**2, 0)) / 2)


def summary(features, labels=None, histograms=True):
    """Everything of this module about features (N, D), as plain numbers for JSON.

    active_*: neurons on an image. images_*: images a neuron is active on; rate_*: the same as a fraction of N.
    active_std_independent: the spread that independent neurons of these rates would have, sqrt(sum p (1 - p)).
    Standard deviations are those of the N images and the D neurons themselves. With labels: `hamming_summary`.
    """
    on = active(features)
    n, d = on.shape
    of_image, of_neuron = on.sum(1), on.sum(0)
    p = of_neuron / n
    bits = entropy(p)
    found = {
        "images": n,
        "neurons": d,
        "active_mean": of_image.mean(),
        "active_std": of_image.std(),
        "active_std_independent": np.sqrt((p * (1 - p)).sum()),
        "images_mean": of_neuron.mean(),
        "images_std": of_neuron.std(),
        "rate_mean": p.mean(),
        "rate_std": p.std(),
        "never": int((of_neuron == 0).sum()),
        "always": int((of_neuron == n).sum()),
        "entropy_mean": bits.mean(),
    }
    if labels is not None:
        found["hamming"] = hamming_summary(on, labels)
    if histograms:
        found["histograms"] = {
            "active": _histogram(of_image, d, BINS["active"]),
            "rate": _histogram(p, 1, BINS["rate"]),
            "entropy": _histogram(bits, 1, BINS["entropy"]),
        }
    return rounded(found)


def _histogram(values, top, bins):
    counts, edges = np.histogram(values, bins=bins, range=(0, top))
    return {"counts": counts.tolist(), "edges": edges.tolist()}


def rounded(found, digits=5):
    """A dict of numbers, lists and dicts with plain floats of a few digits, as JSON wants them."""
    if isinstance(found, dict):
        return {key: rounded(value, digits) for key, value in found.items()}
    if isinstance(found, list):
        return [rounded(value, digits) for value in found]
    return round(float(found), digits) if isinstance(found, float | np.floating) else found


def sparsity_of_runs(models, images, labels=None, layers=None, histograms=True, progress=False):
    """{name: {layer: summary}} of several models {name: FaceModel} on the same aligned faces (N, 144, 128, 3).

    layers: those of each net when left out; one pass through a net serves all of them.
    """
    found = {}
    for name, model in models.items():
        wanted = tuple(layers or model.net.heads)
        of_layer = extract(model.net, crop(images, model.region), flip=False, layer=wanted, progress=progress)
        found[name] = {layer: summary(of_layer[layer], labels, histograms) for layer in wanted}
    return found


def examples(features, labels, n_neurons=32):
    """Fig. 1, left: activations of evenly spaced neurons on two pictures of one person and on one of another.

    The two people are those with most images. Returns {"titles": [...], "neurons": [...], "activations": [[...]]}.
    """
    people, counts = np.unique(labels, return_counts=True)
    if len(people) < 2 or counts.max() < 2:
        raise DataError("labels: give two people, and two images of one of them")
    first, second = people[np.argsort(-counts, kind="stable")[:2]]
    a, b, c = *np.flatnonzero(labels == first)[:2], np.flatnonzero(labels == second)[0]
    d = features.shape[1]
    which = np.unique(np.linspace(0, d - 1, min(n_neurons, d)).astype(int))
    return {
        "titles": ["person A, image 1", "person A, image 2", "person B"],
        "neurons": which.tolist(),
        "activations": features[np.ix_([a, b, c], which)].astype(float).tolist(),
    }
