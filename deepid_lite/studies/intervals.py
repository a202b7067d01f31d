"""How sure is a number? 95 % intervals by drawing pairs, people or trainings anew, as book/rules.md promises.

What two systems share is drawn once for both, so the interval of their difference is narrower than two intervals side
by side suggest: a hard pair is hard for both. Thresholds and everything fitted stay as they were. Accuracies are in
percent wherever they are returned; a difference of accuracies comes on two scales, {"points", "log-odds"}.
"""

import numpy as np
from scipy import special, stats

from deepid_lite.errors import DataError
from deepid_lite.registry import Estimate
from deepid_lite.verification.metrics import verify

PAIR_DRAWS, PEOPLE_DRAWS = 10_000, 2_000
TWO_SIDED = stats.norm.ppf(0.975)
BLOCK = 100  # draws of people at a time


def rightly(scores, pairs):
    """bool (P,): which pairs are decided rightly, each fold by the threshold of the others; scores (P,)."""
    found = verify(scores, pairs)
    return (np.asarray(scores) > found.threshold[np.unique(pairs.fold, return_inverse=True)[1]]) == pairs.same


def resampled(right, fold, n_draws=PAIR_DRAWS, seed=0):
    """Accuracies (B, V), fractions, of V systems on pairs drawn again within their folds, the same draws for all.

    right: bool (V, P). fold: int (P,). The accuracy is the mean over the folds, as in LFW's protocol. Pairs on which
    the systems do alike need not be told apart: how often each kind is drawn is multinomial, and kinds are few.
    """
    right, fold = np.atleast_2d(np.asarray(right, bool)), np.asarray(fold)
    if right.ndim != 2 or right.shape[1:] != fold.shape or not fold.size:
        raise DataError(f"right {right.shape}, fold {fold.shape}: give (V, P) bits and the fold of each of P pairs")
    if n_draws < 1:
        raise DataError(f"n_draws = {n_draws}: draw at least once")
    rng = np.random.default_rng(seed)
    folds = np.unique(fold)
    total = np.zeros((n_draws, len(right)))
    for f in folds:
        kinds, counts = np.unique(right[:, fold == f], axis=1, return_counts=True)
        n = counts.sum()
        total += rng.multinomial(n, counts / n, size=n_draws) @ kinds.T / n
    return total / len(folds)


def of_pairs(right, fold, statistic=lambda a: 100 * a[..., 0], n_draws=PAIR_DRAWS, seed=0):
    """Estimate of a statistic of the accuracies of V systems, right bool (V, P), that decide the same pairs.

    statistic: function of accuracies (..., V), fractions, -> (...); by default the first one's, in percent.
    """
    right = np.atleast_2d(np.asarray(right, bool))
    drawn = statistic(resampled(right, fold, n_draws, seed))
    here = np.mean([right[:, fold == f].mean(1) for f in np.unique(fold)], axis=0)
    return of_draws(statistic(here), drawn)


def of_pair_difference(first, second, fold, **draws):
    """The first's accuracy minus the second's: bool (P,), (P,) -> {"points", "log-odds"}."""
    return _on_both_scales([first, second], fold, (1, -1), draws)


def of_loss_difference(first, second, fold, **draws):
    """How much less the first loses than the second: each (before, after), bool (P,) -> {"points", "log-odds"}.

    before: on clean faces, or with real features. Positive: the first loses less.
    """
    return _on_both_scales([*first, *second], fold, (-1, 1, 1, -1), draws)


def _on_both_scales(right, fold, signs, draws):
    def log_odds(a):
        return special.logit(np.clip(a, 0.5 / len(fold), 1 - 0.5 / len(fold))) @ signs

    return {
        "points": of_pairs(right, fold, lambda a: 100 * a @ signs, **draws),
        "log-odds": of_pairs(right, fold, log_odds, **draws),
    }


def of_share_removed(before, after, fold, other=None, **draws):
    """Share of the errors `before` that are gone in `after`, percent; minus the share that `other` removes."""

    def removed(a):
        wrong = 1 - a
        return 100 * (wrong[..., 2] - wrong[..., 1]) / np.maximum(wrong[..., 0], 0.5 / len(fold))

    return of_pairs([before, after, before if other is None else other], fold, removed, **draws)


def over_published(ours, value, standard_error):
    """Ours minus a published accuracy with its standard error, both chances together: Estimate -> Estimate."""
    below, above = (float(np.hypot(end - ours.value, TWO_SIDED * standard_error)) for end in (ours.low, ours.high))
    difference = ours.value - value
    return Estimate(difference, difference - below, difference + above)


def of_people(statistic, n_people, n_draws=PEOPLE_DRAWS, seed=0):
    """Estimate of a statistic of people, each drawn with all their images; the same draws for the same seed.

    statistic: function of how often each person is drawn, (B, n_people) float, -> (B,), or (B, K) for a list of K
    Estimates; sums over each person's images made beforehand turn most statistics into a matrix product:
    `counts @ active / (counts @ images)`. A draw in which it is not a number, for nobody with a label was drawn, is
    left out.
    """
    rng, drawn = np.random.default_rng(seed), []
    for start in range(0, n_draws, BLOCK):
        rows = rng.multinomial(n_people, np.full(n_people, 1 / n_people), size=min(BLOCK, n_draws - start))
        drawn.append(np.asarray(statistic(rows.astype(np.float64))))
    value, drawn = np.asarray(statistic(np.ones((1, n_people))))[0], np.concatenate(drawn)
    if drawn.ndim == 1:
        return of_draws(value, drawn)
    return [of_draws(*both) for both in zip(value, drawn.T, strict=True)]


def of_seeds(values, of_pairs):
    """Where nets are compared with nets: the wider of the interval of the pairs and Student's t over the seeds.

    values: the quantity of each training (S,). of_pairs: Estimate of their mean from the pairs. Fewer than three
    trainings say nothing about the next: the interval is then without ends, and a comparison inconclusive.
    """
    values = np.asarray(values, np.float64)
    mean, half = float(values.mean()), np.inf
    if len(values) >= 3:
        half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return Estimate(mean, mean - half, mean + half) if 2 * half > of_pairs.high - of_pairs.low else of_pairs


def of_draws(value, drawn):
    """Estimate of a value from what it was in each draw (B,)."""
    drawn = np.asarray(drawn, np.float64)
    kept = drawn[np.isfinite(drawn)]
    if 2 * len(kept) < len(drawn) or not np.isfinite(value):
        raise DataError(f"{len(kept)} of {len(drawn)} draws are numbers: too few people or pairs; give more")
    low, high = np.quantile(kept, [0.025, 0.975])
    # drawing again adds to a spread: the interval of a small one would leave out what was measured
    return Estimate(float(value), float(min(low, value)), float(max(high, value)))
