"""One neuron with a threshold: equal to a naive search, chosen and scored on different images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepid_lite.errors import DataError
from deepid_lite.neurons import selectiveness as single
from deepid_lite.verification.lbp import GramPCA


def balanced(above, positive):
    return (above[positive].mean() + (~above[~positive]).mean()) / 2


def naive(x, positive):
    """Best balanced accuracy of either sign over every threshold between two distinct values."""
    values = np.unique(x.astype(float))
    found = [balanced(x > (a + b) / 2, positive) for a, b in zip(values[:-1], values[1:], strict=True)]
    return max([0.5, *found, *(1 - a for a in found)])


def some(seed=0, n=60, d=7, a=3, ties=True):
    rng = np.random.default_rng(seed)
    features = np.maximum(rng.normal(size=(n, d)), 0)
    features = np.round(features, 1) if ties else features
    targets = rng.random((n, a)) < 0.4
    targets[0], targets[1] = True, False
    return features.astype(np.float32), targets


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_it_finds_what_a_naive_search_finds(seed, as_bytes):
    features, targets = some(seed)
    features = np.round(10 * features).astype(np.uint8) if as_bytes else features
    found = single.neuron_thresholds(features, targets)
    for a in range(targets.shape[1]):
        for d in range(features.shape[1]):
            assert found.accuracy[a, d] == pytest.approx(naive(features[:, d], targets[:, a]), abs=1e-12)
    # and its own sign and threshold reach what it says
    again = single.balanced_accuracy(features, targets, found.sign, found.threshold)
    np.testing.assert_allclose(again, found.accuracy, atol=1e-6)


def test_bytes_and_floats_agree_in_everything():
    rng = np.random.default_rng(3)
    features, targets = rng.poisson(2, (300, 40)).astype(np.uint8), rng.random((300, 4)) < 0.3
    bytes_, floats = (single.neuron_thresholds(x, targets) for x in (features, features.astype(np.float32)))
    for one, other in zip(bytes_, floats, strict=True):
        np.testing.assert_array_equal(one, other)


def test_thresholds_lie_half_way_between_values_and_signs_say_which_side():
    x = np.array([0, 0, 1, 4, 5], np.float32)[:, None]
    high = np.array([False, False, False, True, True])
    found = single.neuron_thresholds(x, np.stack([high, ~high], axis=1))
    assert found.threshold[:, 0].tolist() == [2.5, 2.5]
    assert found.sign[:, 0].tolist() == [1, -1] and found.accuracy[:, 0].tolist() == [1, 1]
    near = np.array([1, np.nextafter(np.float32(1), np.float32(2))], np.float32)[:, None]
    found = single.neuron_thresholds(near, np.array([False, True]))
    assert near[0, 0] <= found.threshold[0, 0] < near[1, 0]


def test_a_constant_neuron_is_at_chance():
    found = single.neuron_thresholds(np.full((10, 2), 3.0), np.arange(10) < 4)
    assert found.accuracy.tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize("change", [np.sqrt, lambda x: 7 * x + 2, lambda x: x**3])
def test_a_rising_change_of_the_features_changes_no_accuracy(change):
    features, targets = some(1, ties=False)
    before, after = (single.neuron_thresholds(x, targets) for x in (features, change(features)))
    np.testing.assert_allclose(before.accuracy, after.accuracy)
    np.testing.assert_array_equal(before.sign, after.sign)


def test_order_of_images_and_neurons_plays_no_part():
    features, targets = some(2)
    rng = np.random.default_rng(0)
    images, neurons = rng.permutation(len(features)), rng.permutation(features.shape[1])
    before = single.neuron_thresholds(features, targets).accuracy
    after = single.neuron_thresholds(features[images][:, neurons], targets[images]).accuracy
    np.testing.assert_array_equal(before[:, neurons], after)


def test_unknown_labels_are_as_if_the_image_were_not_there():
    features, targets = some(4)
    labels = targets.astype(float)
    labels[10:30, 1] = np.nan
    held_out = np.r_[0:10, 30:60]
    found = single.neuron_thresholds(features, labels)
    alone = single.neuron_thresholds(features[held_out], targets[held_out])
    np.testing.assert_allclose(found.accuracy[1], alone.accuracy[1])
    np.testing.assert_allclose(found.accuracy[0], single.neuron_thresholds(features, targets).accuracy[0])
    score = single.balanced_accuracy(features, labels, found.sign, found.threshold)
    np.testing.assert_allclose(score, found.accuracy, atol=1e-6)


def test_blocks_play_no_part(monkeypatch):
    features, targets = some(5, d=30)
    first = single.split_images(np.zeros(60))
    whole = single.one_neuron(features, targets, first)
    monkeypatch.setattr(single, "BLOCK", 7)
    for one, other in zip(whole, single.one_neuron(features, targets, first), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(
        single.statistics(features, targets[:, 0]), single.statistics(features, targets[:, 0]), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=2, max_size=60), st.integers(0, 99))
def test_halves_split_every_person(labels, seed):
    labels = np.array(labels)
    first = single.split_images(labels, seed)
    assert abs(first.sum() - (~first).sum()) <= 1
    for person in np.unique(labels):
        mine = first[labels == person]
        assert abs(mine.sum() - (~mine).sum()) <= 1


def test_a_planted_neuron_is_found_and_scored_on_the_other_half():
    rng = np.random.default_rng(0)
    target = rng.random(400) < 0.2
    features = np.maximum(rng.normal(size=(400, 50)), 0).astype(np.float32)
    features[:, 17] = np.where(target, 5, 0) + rng.random(400)
    features[:, 3] = np.where(target ^ (rng.random(400) < 0.1), 0, 5) + rng.random(400)  # wrong for a tenth
    found = single.one_neuron(features, target, single.split_images(target))
    assert found.neuron[:, 0].tolist() == [17, 17] and found.accuracy[0] == 1
    excitatory, inhibitory = single.extreme_neurons(found, 0, 1)
    assert (excitatory[0], inhibitory[0]) == (17, 3)
    noise = np.delete(found.every[0], [3, 17])
    assert 0.45 < noise.mean() < 0.55  # scored where it was not fitted: chance


def test_the_best_of_many_is_lucky_only_where_it_was_chosen():
    rng = np.random.default_rng(1)
    features, target = rng.random((200, 2000)).astype(np.float32), np.arange(200) % 2 == 0
    found = single.one_neuron(features, target, single.split_images(target))
    assert np.abs(found.fitted).max() + 0.5 > 0.62  # the best of 2,000 coins
    assert 0.4 < found.accuracy[0] < 0.6  # meets new images
    assert found.every.max() > 0.6  # a choice on the images that score it is lucky again


def test_statistics_are_sorted_by_the_mean_on_the_positives():
    features, targets = some(6)
    found = single.statistics(features, targets[:, 0])
    assert (np.diff(found.mean) <= 0).all()
    positive = targets[:, 0]
    np.testing.assert_allclose(found.mean, features[positive].mean(0)[found.order], rtol=1e-5)
    np.testing.assert_allclose(found.rest_sd, features[~positive].std(0)[found.order], rtol=1e-5)


def test_histograms_share_all_images():
    features, targets = some(7)
    edges, shares = single.histograms(features[:, :2], {"yes": targets[:, 0], "no": ~targets[:, 0]}, bins=5)
    assert edges.shape == (2, 6) and shares["yes"].shape == (2, 5)
    np.testing.assert_allclose(shares["yes"].sum(1), 1)
    np.testing.assert_allclose(shares["no"].sum(1), 1)
    with pytest.raises(DataError, match="no image is 'none'"):
        single.histograms(features, {"none": np.zeros(60, bool)})


def test_all_features_together():
    rng = np.random.default_rng(0)
    target = np.arange(300) % 3 == 0
    features = rng.random((300, 30)).astype(np.float32)
    features[target] += 0.3 * np.linspace(-1, 1, 30, dtype=np.float32)
    first = single.split_images(target)
    all_ = single.linear_accuracy(features, target, first)[0]
    one = single.one_neuron(features, target, first).accuracy[0]
    assert all_ > one and all_ > 0.7
    shuffled = single.linear_accuracy(features, single.permuted_targets(target), first)[0]
    assert 0.35 < shuffled < 0.65
    counts = np.round(20 * features).clip(0).astype(np.uint8)
    assert single.linear_accuracy(counts, target, first, GramPCA(25))[0] > 0.65


def test_coins_are_learned_only_where_the_halves_share_people():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(40), 10)
    features = np.abs(rng.normal(size=(40, 60))[labels] + 0.1 * rng.normal(size=(400, 60))).astype(np.float32)
    coins = single.coin_labels(labels, n=6)
    assert coins.shape == (400, 6) and all(len(np.unique(column[labels == 3])) == 1 for column in coins.T)
    np.testing.assert_allclose(coins.mean(0), 0.5)
    strangers = labels < 20
    assert single.linear_accuracy(features, coins, single.split_images(labels)).mean() > 0.9
    assert single.linear_accuracy(features, coins, strangers).mean() < 0.7


def test_permuted_labels_keep_what_is_known():
    labels = np.array([[1, 0, np.nan, 1, 0, 0], [0, 1, 1, np.nan, np.nan, 0]]).T
    found = single.permuted_targets(labels, seed=2)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(labels))
    np.testing.assert_array_equal(np.nansum(found, 0), np.nansum(labels, 0))


def test_top_images():
    features = np.array([[0.0, 3, 1, 2, 0]]).T
    top, bottom = single.top_images(features, 0, 2)
    assert top.tolist() == [1, 3] and set(bottom.tolist()) == {0, 4}
    with pytest.raises(DataError, match="neuron 1: the features have neurons 0 to 0"):
        single.top_images(features, 1)


def test_targets_that_cannot_be_tested_are_named():
    targets = np.zeros((40, 3))
    targets[:20, 0], targets[:2, 1] = 1, 1
    targets[5:, 2] = np.nan
    first = single.split_images(targets[:, 0])
    good, missing = single.testable(targets, [first], ["plenty", "few", "unknown"], least=5)
    assert good.tolist() == [0] and list(missing) == ["few", "unknown"]
    assert "positives in a half, fewer than 5" in missing["few"]
    with pytest.raises(DataError, match="target 1: .* positives in a half, fewer than 5; leave it out"):
        single.one_neuron(np.random.default_rng(0).random((40, 2)), targets[:, :2], first, least=5)


FEATURES, TARGET = some()[0], np.arange(60) % 2 == 0


@pytest.mark.parametrize(
    ("features", "target", "words"),
    [
        (FEATURES, np.zeros(60, bool), "target 0: 0 positives and 60 negatives"),
        (FEATURES, np.ones(60, bool), "target 0: 60 positives and 0 negatives"),
        (FEATURES, np.full(60, np.nan), "target 0: 0 positives and 0 negatives"),
        (np.where(FEATURES > 1, np.nan, FEATURES), TARGET, "are NaN or inf"),
        (FEATURES[:10], TARGET, "of the same images"),
        (FEATURES[:, 0], TARGET, "of the same images"),
    ],
)
def test_wrong_input_gets_one_line(features, target, words):
    with pytest.raises(DataError, match=words) as error:
        single.neuron_thresholds(features, target)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("first", [np.ones(60, bool), np.zeros(60, bool), np.ones(3, bool), np.arange(60)])
def test_wrong_halves_get_one_line(first):
    with pytest.raises(DataError, match="halves"):
        single.one_neuron(FEATURES, TARGET, first)
    with pytest.raises(DataError, match="halves"):
        single.linear_accuracy(FEATURES, TARGET, first)
