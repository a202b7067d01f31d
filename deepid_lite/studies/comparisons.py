"""Is one net better than another? A paired bootstrap over the pairs that both of them decided.

Two nets that are tested on the same pairs share most of their errors: a hard pair is hard for both. The interval of
their difference is therefore much narrower than two intervals side by side suggest. Here the pairs of each fold are
drawn again with replacement, the same for all nets, and the accuracy is the mean over the folds as in LFW's protocol.

What that interval holds is the chance of the pairs, with the thresholds as they were. Another seed gives another net:
where there are several trainings, `over_seeds` takes the wider of this interval and of that over the seeds.
"""

import base64
import binascii
from typing import NamedTuple

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.studies.intervals import of_pairs, of_seeds, resampled


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


def runs_of(variant):
    """The trainings of a variant, by seed: [{"held_out": {FC-n: ...}, "test": ..., ...}].

    A record of before there were seeds has one, which was tested at once.
    """
    if "runs" not in variant:
        return [{"test": variant["layers"], **variant}]
    return [variant["runs"][seed] for seed in sorted(variant["runs"], key=int)]


def last_layers(variant, where="test"):
    """What was measured of the last layer of each training of a variant, on "held_out" people or the "test" set.

    KeyError where that was not measured.
    """
    return [run[where][max(run[where])] for run in runs_of(variant)]


def rights_of(result, variant, kind="joint_bayesian", where="test"):
    """bool (S, P): the pairs that the last layer of each training of a variant decides rightly, fold by fold."""
    if variant not in result["variants"]:
        raise DataError(f"variant {variant!r}: the result has {'; '.join(result['variants'])}")
    found = []
    for layer in last_layers(result["variants"][variant], where):
        right = layer.get("right", {})
        if kind not in right:
            kinds = ", ".join(right) or "none: it is of an older version, run it again"
            raise DataError(f"{variant}: no pairs decided by {kind!r}; there are {kinds}")
        found.append(unpacked(right[kind], len(folds_of(result, where))))
    return np.stack(found)


def right_of(result, kind="joint_bayesian", variants=None):
    """{variant: bool (P,)}, the pairs that the first training of each variant decides rightly, fold by fold.

    result: of `ablations.run_experiment`. kind: one of `ablation_nets.RIGHT`, in older records also another score.
    """
    where = scored_on(result)
    return {name: rights_of(result, name, kind, where)[0] for name in variants or result["variants"]}


def scored_on(result):
    """Where the trainings of a result were scored: on the "test" set once all were, on "held_out" people before."""
    return result.get("scored_on", "test")


def paired(first, second, fold, n_draws=10_000, seed=0, level=0.95):
    """`Difference` of two nets: bool (P,), (P,), the pairs each decides rightly; fold: int (P,)."""
    right = np.stack([np.asarray(first, bool), np.asarray(second, bool)])
    fold = np.asarray(fold)
    drawn = 100 * (resampled(right, fold, n_draws, seed) @ [1, -1])
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    points = 100 * np.mean([right[0, fold == f].mean() - right[1, fold == f].mean() for f in np.unique(fold)])
    only_first, only_second = (int((a & ~b).sum()) for a, b in (right, right[::-1]))
    return Difference(float(points), float(low), float(high), only_first, only_second)


def over_seeds(first, second, fold, n_draws=10_000, seed=0):
    """`Difference` of two variants, each bool (S, P) of S trainings: the first's mean accuracy minus the second's.

    The interval is the wider of that of the pairs, the same for all trainings, and of Student's t over the seeds that
    both have; of one training each it is that of the pairs alone.
    """
    first, second = np.atleast_2d(first), np.atleast_2d(second)
    n = min(len(first), len(second))
    first, second = first[:n], second[:n]
    if n == 1:
        return paired(first[0], second[0], fold, n_draws, seed)

    def difference(a):
        return 100 * (a[..., :n].mean(-1) - a[..., n:].mean(-1))

    of_each = [paired(a, b, fold, 1).points for a, b in zip(first, second, strict=True)]
    found = of_seeds(of_each, of_pairs(np.concatenate([first, second]), fold, difference, n_draws, seed))
    only = [round(float((a & ~b).sum(1).mean())) for a, b in ((first, second), (second, first))]
    return Difference(*found, *only)


def folds_of(result, where=None):
    """The fold (P,) of each pair in the order of `right_of`; where: "held_out" or "test", if not `scored_on`."""
    sizes = (result["test"] if "test" in result and (where or scored_on(result)) == "test" else result)[
        "pairs_per_fold"
    ]
    return np.repeat(np.arange(len(sizes)), sizes)


def against(result, baseline, kind="joint_bayesian", n_draws=10_000, seed=0):
    """{variant: `Difference` to the variant `baseline`} of an experiment's result, over all of its seeds."""
    where = scored_on(result)
    base, fold = rights_of(result, baseline, kind, where), folds_of(result, where)
    return {
        name: over_seeds(rights_of(result, name, kind, where), base, fold, n_draws, seed)
        for name in result["variants"]
        if name != baseline
    }
