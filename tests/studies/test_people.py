"""Statistics of people: each equals a slow count on a set in which the people stand as often as they are drawn."""

import numpy as np
import pytest

from deepid_lite.neurons import sparsity as measures
from deepid_lite.neurons.selectiveness import neuron_thresholds, one_neuron, split_images
from deepid_lite.studies import people
from deepid_lite.studies.intervals import of_people
from deepid_lite.studies.responses import signs

IMAGES = (4, 1, 7, 2, 6, 5, 3, 8)


@pytest.fixture(scope="module")
def set_():
    """Rectified features (N, 40) of people who differ, and who they are."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(len(IMAGES)), IMAGES))
    who = rng.standard_normal((len(IMAGES), 40))
    features = np.maximum(who[labels] + rng.standard_normal((len(labels), 40)), 0).astype(np.float32)
    return features, labels


def draws(n=5, seed=1):
    counts = np.random.default_rng(seed).multinomial(len(IMAGES), np.full(len(IMAGES), 1 / len(IMAGES)), n)
    return np.concatenate([np.ones((1, len(IMAGES)), int), counts])


def repeated(labels, counts):
    """Rows in which each person's images stand as often as the person is drawn, and which copy they belong to."""
    rows = [np.flatnonzero(labels == p) for p in range(len(counts)) for _ in range(counts[p])]
    copies = [np.full(len(r), k) for k, r in enumerate(rows)]
    return np.concatenate(rows), np.concatenate(copies)


def test_sparsity_of_people_who_are_drawn_again(set_):
    features, labels = set_
    counts = draws()
    found = people.sparsity(features, labels)(counts.astype(float))
    for row, times in zip(found, counts, strict=True):
        rows, copies = repeated(labels, times)
        on = features[rows] > 0
        slow = [100 * on.mean(), 100 * on.mean(0).std(), 100 * on.sum(1).std() / 40]
        np.testing.assert_allclose(row[:3], slow, rtol=1e-9)
        who, within, between = labels[rows], {}, {}
        for i in range(len(rows)):
            for j in range(i):
                if copies[i] == copies[j]:
                    within.setdefault(copies[i], []).append((on[i] != on[j]).sum())
                elif who[i] != who[j]:  # two drawings of one person are not two people
                    between.setdefault((copies[i], copies[j]), []).append((on[i] != on[j]).sum())
        apart = np.mean([np.mean(v) for v in within.values()]) / np.mean([np.mean(v) for v in between.values()])
        np.testing.assert_allclose(row[3], 100 * apart, rtol=1e-9)


def test_everybody_once_is_the_summary(set_):
    features, labels = set_
    summary = measures.summary(features, labels, histograms=False)
    found = people.sparsity(features, labels)(np.ones((1, len(IMAGES))))[0]
    h = summary["hamming"]
    expected = [100 * summary["rate_mean"], 100 * summary["rate_std"], 100 * summary["active_std"] / 40]
    np.testing.assert_allclose(found, [*expected, 100 * h["within"] / h["between"]], atol=2e-3)


def slow_balanced(said, targets, rows, first):
    """One attribute's, with the images of `rows` as often as they stand there."""
    found = []
    for half in (first[rows], ~first[rows]):
        for kind in (0, 1):
            asked = half & (targets[rows] == kind)
            found.append((said[rows][asked] == kind).mean() if asked.any() else np.nan)
    return np.mean(found)


def attributes_of(labels):
    """Two attributes of images, one of them unknown on some."""
    rng = np.random.default_rng(4)
    targets = np.stack([labels % 2, rng.integers(0, 2, len(labels))], axis=1).astype(np.float32)
    targets[::5, 1] = np.nan
    return targets


def test_balanced_accuracy_of_people_who_are_drawn_again(set_):
    features, labels = set_
    targets, first = attributes_of(labels), split_images(np.zeros(len(labels)), 2)
    found = one_neuron(features, targets, first)
    said = people.decided(features, targets, first, found)
    counts = draws()
    values = people.balanced(said, targets, labels, first)(counts.astype(float))
    np.testing.assert_allclose(values[0], found.accuracy, rtol=1e-6)  # everybody once
    for row, times in zip(values, counts, strict=True):
        rows, _ = repeated(labels, times)
        np.testing.assert_allclose(row, [slow_balanced(said[:, a], targets[:, a], rows, first) for a in (0, 1)])


@pytest.fixture(scope="module")
def persons(set_):
    """Three people against all others: targets (N, 3), halves, and the features one by one."""
    features, labels = set_
    targets, first = labels[:, None] == np.array([7, 2, 4]), split_images(labels, 3)
    return targets, first, one_neuron(features, targets, first)


def slow_every(features, target, first, rows):
    """Accuracy of every feature for one person on resampled images, with what the halves fitted on all."""
    said = np.empty(features.shape, bool)
    for fit, test in ((first, ~first), (~first, first)):
        chosen = neuron_thresholds(features[fit], target[fit])
        said[test] = (features[test] > chosen.threshold[0]) == (chosen.sign[0] > 0)
    return np.array([slow_balanced(column, target.astype(float), rows, first) for column in said.T])


def test_rarer_kind_of_people_who_are_drawn_again(set_, persons, monkeypatch):
    features, labels = set_
    targets, first, found = persons
    monkeypatch.setattr(people, "NEAR", 1.0)  # nobody is taken for granted
    side, counts = signs(found), draws(4)
    values = people.rarer(features, targets, labels, first, found, side, 0.6)(counts.astype(float))
    selective = found.every >= 0.6
    kinds = [(selective & (side == kind)).mean(1) for kind in (1, -1)]
    np.testing.assert_allclose(values[0], np.minimum(*kinds))
    assert values[0].max() > 0
    for row, times in zip(values, counts, strict=True):
        for a, person in enumerate((7, 2, 4)):
            if times[person]:
                every = slow_every(features, targets[:, a], first, repeated(labels, times)[0])
                kinds = [((every >= 0.6 - 1e-12) & (side[a] == kind)).mean() for kind in (1, -1)]
                assert row[a] == pytest.approx(min(kinds))


def test_the_median_moves_with_the_features_that_lie_at_it():
    rng = np.random.default_rng(5)
    labels, shared = np.repeat(np.arange(40), 4), rng.standard_normal((40, 1))
    features = shared[labels] + 0.5 * rng.standard_normal((40, 200))[labels] + rng.standard_normal((160, 200))
    target, first = labels == 7, split_images(labels, 3)
    statistic = people.typical(features, target[:, None], labels, first, one_neuron(features, target, first))
    counts = rng.multinomial(40, np.full(40, 1 / 40), 40)
    counts[:, 7] = 1
    median = statistic(np.ones((1, 40)))[0, 0]
    assert median == pytest.approx(np.median(slow_every(features, target, first, np.arange(160))))
    moved = statistic(counts.astype(float))[:, 0] - median
    slow = [np.median(slow_every(features, target, first, repeated(labels, times)[0])) - median for times in counts]
    assert np.corrcoef(moved, slow)[0, 1] > 0.8 and 0.7 < np.std(moved) / np.std(slow) < 1.4


def test_correlation_of_means_of_people_who_are_drawn_again(set_):
    features, labels = set_
    counts = draws()
    values = people.correlation_of_means(features, labels, [7, 2])(counts.astype(float))
    for row, times in zip(values, counts, strict=True):
        rows, _ = repeated(labels, times)
        for value, person in zip(row, (7, 2), strict=True):
            own = labels[rows] == person
            if own.any():
                slow = np.corrcoef(features[rows][own].mean(0), features[rows][~own].mean(0))[0, 1]
                assert value == pytest.approx(slow, rel=1e-5)


def test_own_and_other_patterns_of_people_who_are_drawn_again():
    alike, counts = np.random.default_rng(0).random((8, 8)), draws()
    for row, times in zip(people.own_and_others(alike)(counts.astype(float)), counts, strict=True):
        who = np.repeat(np.arange(8), times)
        table = alike[np.ix_(who, who)]
        assert row[0] == pytest.approx(np.diag(table).mean())
        assert row[1] == pytest.approx(table[who[:, None] != who].mean())


def test_the_mean_of_those_who_were_drawn():
    values, counts = np.array([1.0, 2.0, np.nan]), np.array([[1, 1, 0], [2, 1, 0], [0, 0, 0]])
    found = people.mean_of_drawn(values, counts)
    np.testing.assert_allclose(found[:2], [1.5, 4 / 3])
    assert np.isnan(found[2])


def test_largest_and_average_of_the_numbers_among_them():
    values = np.array([[1, np.nan, 3], [np.nan] * 3])
    np.testing.assert_array_equal(people.largest(values), [3, np.nan])
    np.testing.assert_array_equal(people.average(values), [2, np.nan])


def test_intervals_over_people_cover_the_truth():
    """The mean share of active neurons is 0.5 in the population: 95 of 100 intervals should hold it."""
    rng, hits = np.random.default_rng(0), 0
    labels = np.repeat(np.arange(60), 3)
    for trial in range(60):
        rates = rng.uniform(0.2, 0.8, (60, 1))  # of a person, who is what differs
        features = (rng.random((180, 50)) < rates[labels]).astype(np.float32)
        found = of_people(lambda c, f=features: people.sparsity(f, labels)(c)[:, 0], 60, 300, seed=trial)
        hits += found.low <= 50 <= found.high
    assert 50 <= hits


def test_ours_stands_beside_the_other_and_the_difference():
    ours, other = np.array([[1.0, 2.0]]), np.array([[4.0, 3.0]])
    assert people.beside(ours, other).tolist() == [[1, 4, -3, 2, 3, -1]]
    assert people.beside(ours, other, better=-1).tolist() == [[1, 4, 3, 2, 3, 1]]
