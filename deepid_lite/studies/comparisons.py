"""Is one net better than another? A paired bootstrap over the pairs that both of them decided.

Two nets that are tested on the same pairs share most of their errors: a hard pair is hard for both. The interval of
their difference is therefore much narrower than two intervals side by side suggest. Here the pairs of each fold are
drawn again with replacement, the same for all nets, and the accuracy is the mean over the folds as in LFW's protocol.

What the interval holds is the chance of the pairs, with the thresholds as they were. It does not hold the chance of a
training: another seed gives another net.
"""

import base64
import binascii
from typing import NamedTuple

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.studies.intervals import resampled


class Difference(NamedTuple):
    """Accuracy of the first minus that of the second, in points of percent."""

    points: float
    low: float  # of the 95 % interval
    high: float
    only_first: int  # pairs that only the first decides rightly
    only_second: int

    @property
    def certain(self):
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def packed(right):
    """Bits bool (P,), eight a byte with the first in front, as base64 text for JSON."""
    return base64.b64encode(np.packbits(right).tobytes()).decode("ascii")


def unpacked(text, n_pairs):
    """Bits bool (P,) of the text that `packed` wrote."""
    try:
        found = np.unpackbits(np.frombuffer(base64.b64decode(text, validate=True), np.uint8))
    except (binascii.Error, TypeError, ValueError):
        raise DataError(f"right: {str(text)[:20]!r}... is not base64 text; run the experiment again") from None
    if not n_pairs <= len(found) < n_pairs + 8:
        raise DataError(f"right: {len(found)} bits for {n_pairs} pairs; the result is of other pairs, run it again")
    return found[:n_pairs].astype(bool)


def right_of(result, kind="joint_bayesian", variants=None):
    """{variant: bool (P,)}, the pairs that each variant's last layer decides rightly, fold by fold.

    result: of `ablations.run_experiment`. kind: "joint_bayesian", "euclidean", "cosine" or "hamming".
    """
    found = {}
    for name in variants or result["variants"]:
        if name not in result["variants"]:
            raise DataError(f"variant {name!r}: the result has {'; '.join(result['variants'])}")
        layers = result["variants"][name]["layers"]
        right = layers[max(layers)].get("right", {})
        if kind not in right:
            kinds = ", ".join(right) or "none: it is of an older version, run it again"
            raise DataError(f"{name}: no pairs decided by {kind!r}; there are {kinds}")
        found[name] = unpacked(right[kind], result["pairs"])
    return found


def paired(first, second, fold, n_draws=10_000, seed=0, level=0.95):
    """`Difference` of two nets: bool (P,), (P,), the pairs each decides rightly; fold: int (P,)."""
    right = np.stack([np.asarray(first, bool), np.asarray(second, bool)])
    fold = np.asarray(fold)
    drawn = 100 * (resampled(right, fold, n_draws, seed) @ [1, -1])
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    points = 100 * np.mean([right[0, fold == f].mean() - right[1, fold == f].mean() for f in np.unique(fold)])
    only_first, only_second = (int((a & ~b).sum()) for a, b in (right, right[::-1]))
    return Difference(float(points), float(low), float(high), only_first, only_second)


def folds_of(result):
    """The fold (P,) of each pair in the order of `right_of`."""
    sizes = result["pairs_per_fold"]
    return np.repeat(np.arange(len(sizes)), sizes)


def against(result, baseline, kind="joint_bayesian", n_draws=10_000, seed=0):
    """{variant: `Difference` to the variant `baseline`} of an experiment's result."""
    right, fold = right_of(result, kind), folds_of(result)
    if baseline not in right:
        raise DataError(f"variant {baseline!r}: the result has {'; '.join(right)}")
    return {
        name: paired(bits, right[baseline], fold, n_draws, seed) for name, bits in right.items() if name != baseline
    }
