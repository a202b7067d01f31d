"""The paired bootstrap: against what it must come to, and against the slow way."""

import numpy as np
import pytest

from deepid_lite.errors import DataError
from deepid_lite.studies.comparisons import (
    against,
    folds_of,
    over_seeds,
    packed,
    paired,
    resampled,
    right_of,
    rights_of,
    unpacked,
)  # fmt: skip

FOLD = np.repeat(np.arange(10), 60)


def two_nets(seed=0, easy=0.8):
    """Pairs that two nets decide rightly, most of them the same, the first net a little better."""
    rng = np.random.default_rng(seed)
    hard = rng.random(600)
    return hard + 0.1 * rng.random(600) < easy + 0.06, hard + 0.1 * rng.random(600) < easy


def result(**bits):
    variants = {name: {"layers": {"FC-3": {}, "FC-4": {"right": {"joint_bayesian": packed(right)}}}}
                for name, right in bits.items()}  # fmt: skip
    return {"variants": variants, "null": {"untrained": variants[min(bits)]["layers"]}, "pairs": 600,
            "pairs_per_fold": [60] * 10}  # fmt: skip


def test_bits_come_back():
    right = np.random.default_rng(0).random(601) < 0.8
    assert (unpacked(packed(right), 601) == right).all()
    assert unpacked(packed(np.ones(3, bool)), 3).tolist() == [True] * 3
    assert packed(np.array([1, 0, 0, 0, 0, 0, 0, 0, 1], bool)) == "gIA=", "as the records have it"
    for text, n, says in (("no base64!", 8, "is not base64"), (None, 8, "is not base64"),
                          (packed(right), 592, "608 bits for 592 pairs"), (packed(right), 700, "for 700")):  # fmt: skip
        with pytest.raises(DataError, match=says):
            unpacked(text, n)


def test_mean_and_spread_of_the_draws_are_those_of_theory():
    """The bootstrap's distribution is known: mean of the sample, variance p q / n in each fold."""
    right = np.stack(two_nets())
    drawn = resampled(right, FOLD, 20_000)
    of_fold = np.array([right[:, FOLD == f].mean(1) for f in range(10)])  # (F, V)
    np.testing.assert_allclose(drawn.mean(0), of_fold.mean(0), atol=4e-4)
    variance = (of_fold * (1 - of_fold) / 60).sum(0) / 100
    np.testing.assert_allclose(drawn.var(0), variance, rtol=0.05)
    d = right[0].astype(int) - right[1]
    of_pairs = sum(d[FOLD == f].var() / 60 for f in range(10)) / 100
    np.testing.assert_allclose((drawn @ [1, -1]).var(), of_pairs, rtol=0.05)
    assert (drawn @ [1, -1]).var() < 0.7 * variance.sum(), "the nets share their errors; pairing must show it"


def test_interval_is_that_of_drawing_pairs_one_by_one():
    first, second = two_nets()
    found = paired(first, second, FOLD)
    rng = np.random.default_rng(1)
    picks = rng.integers(0, 60, (4000, 10, 60)) + 60 * np.arange(10)[:, None]
    slow = 100 * (first[picks].mean((1, 2)) - second[picks].mean((1, 2)))
    assert found.points == pytest.approx(100 * (first.mean() - second.mean()))
    assert (found.low, found.high) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.17)  # a pair is 0.167
    assert (found.only_first, found.only_second) == ((first & ~second).sum(), (second & ~first).sum())
    assert found.certain and found.low > 0
    assert paired(first, second, FOLD) == found != paired(first, second, FOLD, seed=1)
    back = paired(second, first, FOLD)
    assert back.certain and back.points == -found.points and back.only_first == found.only_second


def test_interval_covers_the_truth_as_often_as_it_says():
    """Draw new pairs from two nets of known accuracies, 95 of 100 times the interval holds their difference."""
    rng = np.random.default_rng(0)
    inside = 0
    for trial in range(200):
        kind = rng.choice(4, 600, p=[0.7, 0.12, 0.08, 0.1])  # both, first only, second only, neither
        found = paired(kind <= 1, (kind == 0) | (kind == 2), FOLD // 5, n_draws=500, seed=trial)
        inside += found.low <= 4 <= found.high
    assert 0.9 <= inside / 200 <= 0.99


def test_folds_of_unequal_size_count_the_same():
    fold = np.repeat([0, 1], [10, 90])
    first, second = np.r_[np.ones(10), np.zeros(90)].astype(bool), np.zeros(100, bool)
    assert paired(first, second, fold) == (50.0, 50.0, 50.0, 10, 0)
    assert not paired(first, first, fold).certain


def test_experiments_are_compared_by_their_variants():
    first, second = two_nets()
    made = result(good=first, bad=second)
    found = against(made, "bad")
    assert list(found) == ["good"] and found["good"] == paired(first, second, folds_of(made))
    assert (right_of(made, variants=["bad"])["bad"] == second).all()
    for wrong, says in ((lambda: against(made, "ugly"), "'ugly': the result has good; bad"),
                        (lambda: right_of(made, "hamming"), "no pairs decided by 'hamming'; there are joint_bayesian"),
                        (lambda: right_of(made, variants=["x"]), "variant 'x'")):  # fmt: skip
        with pytest.raises(DataError, match=says):
            wrong()
    old = {"variants": {"a": {"layers": {"FC-4": {"accuracy": {}}}}}, "pairs": 600}
    with pytest.raises(DataError, match="older version, run it again"):
        right_of(old)


def test_wrong_shapes_are_one_line():
    for size, pairs, draws in (((2, 5), 4, 9), (0, 0, 9), (4, 4, 0)):
        with pytest.raises(DataError, match="right|n_draws"):
            resampled(np.ones(size), np.zeros(pairs), draws)


def test_over_seeds_the_wider_interval_counts():
    first, second = two_nets()
    one = over_seeds(first, second, FOLD)
    assert one == paired(first, second, FOLD), "one training each: that of the pairs"
    same = over_seeds([first] * 3, [second] * 3, FOLD)
    assert same[:3] == pytest.approx(one[:3], abs=0.2) and same.only_first == one.only_first
    differ = over_seeds([first, first, second], [second, second, first], FOLD)
    d = one.points
    half = 4.303 * np.std([d, d, -d], ddof=1) / np.sqrt(3)  # Student's t with 2 degrees of freedom
    assert differ.points == pytest.approx(d / 3) and differ.high - differ.points == pytest.approx(half, rel=1e-3)
    assert over_seeds([first, second], [second] * 5, FOLD).points == pytest.approx(d / 2), "of the seeds that both have"


def test_a_record_of_several_seeds_is_read_like_one_of_one():
    first, second = two_nets()
    old, new = result(a=first, b=second), result(a=first, b=second)
    for name, right in (("a", first), ("b", second)):
        layers = new["variants"][name].pop("layers")
        other = {"FC-4": {"right": {"joint_bayesian": packed(~right)}}}
        new["variants"][name]["runs"] = {str(seed): {"held_out": other, "test": layers} for seed in (10, 9)}
    new |= {"scored_on": "test", "test": {"pairs_per_fold": [60] * 10}, "pairs_per_fold": [300] * 2}
    assert (right_of(new)["a"] == right_of(old)["a"]).all() and (rights_of(new, "a", where="test") == first).all()
    assert against(new, "b")["a"].points == pytest.approx(against(old, "b")["a"].points)
    assert folds_of(new).max() == 9 and folds_of(new, "held_out").max() == 1
    new["scored_on"] = "held_out"
    assert (right_of(new)["a"] == ~first).all()
