"""Variation within and between people, direction by direction [DeepID2, section 4, Figs. 3 and 4].

The scatter within people is that of the features around the mean of each person, the scatter between people that of
these means around the mean of all. The verification signal shrinks the first and lets it lie in few directions; the
identification signal spreads the second over many.
"""

import numpy as np

from deepid_lite.errors import DataError, checked_features

KEPT = 40  # eigenvalues of each spectrum that a record holds


def scatter(features, labels):
    """(within, between), float64 (D, D): scatter matrices of features (N, D) of people `labels` (N,), divided by N."""
    x, labels = np.asarray(checked_features(features), np.float64), np.asarray(labels)
    if labels.shape != (len(x),):
        raise DataError(f"labels {labels.shape}: give one person for each of {len(x)} images")
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.zeros((len(counts), x.shape[1]))
    np.add.at(means, place, x)
    means /= counts[:, None]
    inside, around = x - means[place], means - x.mean(0)
    return inside.T @ inside / len(x), (around * counts[:, None]).T @ around / len(x)


def spectra(features, labels):
    """The first eigenvalues of both scatters, falling, as shares of their sum, for JSON.

    {"within": {"total", "shares", "first_ten"}, "between": ...}: "first_ten" is the share in percent of the variance
    that lies in the first ten directions. Of features that never vary there are none.
    """
    found = {}
    for name, matrix in zip(("within", "between"), scatter(features, labels), strict=True):
        values = np.clip(np.linalg.eigvalsh(matrix)[::-1], 0, None)
        total = values.sum()
        shares = values / total if total > 0 else np.zeros(0)
        first_ten = round(float(100 * shares[:10].sum()), 4) if total > 0 else None
        found[name] = {
            "total": float(f"{total:.6g}"),
            "shares": [float(f"{share:.4g}") for share in shares[:KEPT]],
            "first_ten": first_ten,
        }
    return found
