"""Intervals cover what they should, share their draws, and widen with every chance that is added."""

import numpy as np
import pytest
from scipy import special, stats

from deepid_lite.errors import DataError
from deepid_lite.registry import Estimate
from deepid_lite.studies import intervals
from deepid_lite.verification.metrics import verify
from deepid_lite.verification.pairs import Pairs

RNG = np.random.default_rng(0)
FOLD = np.repeat(np.arange(10), 60)
FIRST, SECOND = RNG.random((2, 600)) < [[0.9], [0.8]]


def test_rightly_is_what_the_protocol_counts():
    first, second = np.arange(0, 40, 2), np.arange(1, 40, 2)
    pairs = Pairs(first, second, np.arange(20) % 2 == 0, np.tile([2, 5], 10))
    scores = RNG.normal(size=20) + pairs.same
    right = intervals.rightly(scores, pairs)
    assert [right[pairs.fold == f].mean() for f in (2, 5)] == pytest.approx(verify(scores, pairs).fold_accuracy)


def test_an_accuracy_has_about_the_binomial_interval():
    found = intervals.of_pairs(FIRST, FOLD)
    share = FIRST.mean()
    half = 100 * 1.96 * np.sqrt(share * (1 - share) / 600)
    assert found.value == pytest.approx(100 * share)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)


def test_a_difference_has_both_scales_and_turns_round_with_its_sides():
    there, back = (intervals.of_pair_difference(*sides, FOLD) for sides in ((FIRST, SECOND), (SECOND, FIRST)))
    for scale, found in there.items():
        np.testing.assert_allclose([found.value, found.low, found.high], [-back[scale][i] for i in (0, 2, 1)], rtol=0.1)
    assert there["points"].value == pytest.approx(100 * (FIRST.mean() - SECOND.mean()))
    assert there["log-odds"].value == pytest.approx(special.logit(FIRST.mean()) - special.logit(SECOND.mean()))


def test_a_system_is_as_good_as_itself_for_sure():
    for found in intervals.of_pair_difference(FIRST, FIRST, FOLD).values():
        assert found == (0, 0, 0)
    assert intervals.of_share_removed(SECOND, FIRST, FOLD, other=FIRST) == (0, 0, 0)


def test_log_odds_stay_finite_where_nothing_is_wrong():
    found = intervals.of_pair_difference(np.ones(600, bool), SECOND, FOLD)["log-odds"]
    assert np.isfinite(found).all() and found.low > 0


def test_who_loses_less_has_a_positive_difference():
    perfect = np.ones(600, bool)
    found = intervals.of_loss_difference((perfect, FIRST), (perfect, SECOND), FOLD)
    assert found["points"].value == pytest.approx(100 * (FIRST.mean() - SECOND.mean()))
    assert found["points"].low > 0 and found["log-odds"].low > 0


def test_the_share_of_errors_removed():
    before, after = np.arange(600) % 4 > 0, np.arange(600) % 8 > 0
    assert intervals.of_share_removed(before, after, FOLD).value == pytest.approx(50)
    assert intervals.of_share_removed(before, after, FOLD, other=before).value == pytest.approx(50)
    nothing, half = (intervals.of_share_removed(before, after, FOLD, other=other) for other in (after, before))
    assert nothing == (0, 0, 0) and half.low < 50 < half.high


def test_a_published_number_adds_its_own_chance():
    ours = Estimate(98, 97.5, 98.5)
    assert intervals.over_published(ours, 95, 0) == pytest.approx((3, 2.5, 3.5))
    wider = intervals.over_published(ours, 95, 1.13)
    assert wider.value == 3 and wider.high - wider.low > 1 + 1e-3
    assert (wider.high - 3) ** 2 == pytest.approx(0.5**2 + (stats.norm.ppf(0.975) * 1.13) ** 2)


def test_people_are_drawn_with_all_their_images():
    """Of 30 people with the same answer on each of their 40 images the interval is that of 30, not of 1,200."""
    yes = np.arange(30) % 2
    found = intervals.of_people(lambda counts: counts @ (40.0 * yes) / (counts @ np.full(30, 40.0)), 30)
    assert found.value == 0.5
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * 0.5 / np.sqrt(30), rel=0.1)
    assert found == intervals.of_people(lambda counts: counts @ yes / 30, 30)


def test_draws_without_a_number_are_left_out_unless_they_are_many():
    with np.errstate(invalid="ignore"):
        found = intervals.of_people(lambda counts: (counts @ [1, 1, 0, 0, 0]) / (counts @ [1, 1, 0, 0, 0]), 5)
        assert found == (1, 1, 1)
        with pytest.raises(DataError, match="too few people"):
            intervals.of_draws(1.0, [np.nan, np.nan, 1])


def test_seeds_are_heard_where_they_differ_more_than_pairs():
    narrow, wide = Estimate(1, 0.9, 1.1), Estimate(1, -9, 11)
    assert intervals.of_seeds([0.5, 1, 1.5], wide) == wide
    found = intervals.of_seeds([0.5, 1, 1.5], narrow)
    assert found == pytest.approx((1, *stats.t.interval(0.95, 2, 1, stats.sem([0.5, 1, 1.5]))))
    assert intervals.of_seeds([1, 1], narrow) == (1, -np.inf, np.inf)  # two trainings: who knows the third?


@pytest.mark.parametrize("fold, draws", [(FOLD[:-1], 10), (FOLD, 0)])
def test_bits_and_folds_belong_together(fold, draws):
    with pytest.raises(DataError):
        intervals.resampled(FIRST, fold, draws)
