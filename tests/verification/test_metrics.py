"""Measures against plain loops, hand-made lists, invariances, and wrong input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepid_lite.errors import DataError
from deepid_lite.verification import metrics
from deepid_lite.verification.pairs import Pairs


def some_pairs(seed=0, n_folds=5, per_fold=20, distance=2.0, digits=1):
    """Pairs of no real images, and scores for them with ties."""
    rng = np.random.default_rng(seed)
    same = np.tile(np.repeat([True, False], per_fold), n_folds)
    fold = np.repeat(np.arange(n_folds), 2 * per_fold)
    scores = np.round(rng.normal(size=len(same)) + distance * same, digits)
    return scores, Pairs(np.arange(len(same)), np.arange(len(same)), same, fold)


# verification


def test_folds_equal_a_plain_loop():
    scores, pairs = some_pairs()
    result = metrics.verify(scores, pairs)
    accuracies = []
    for fold in range(5):
        train, test = pairs.fold != fold, pairs.fold == fold
        values = sorted(set(scores[train]))
        middles = [(a + b) / 2 for a, b in zip(values, values[1:], strict=False)]
        best, chosen = -1, None
        for threshold in [-np.inf, *middles, np.inf]:
            right = np.mean((scores[train] > threshold) == pairs.same[train])
            if right > best:
                best, chosen = right, threshold
        assert result.threshold[fold] == pytest.approx(chosen)
        accuracies.append(np.mean((scores[test] > chosen) == pairs.same[test]))
    np.testing.assert_allclose(result.fold_accuracy, accuracies)
    assert result.accuracy == pytest.approx(np.mean(accuracies))
    assert result.standard_error == pytest.approx(np.std(accuracies, ddof=1) / np.sqrt(5))


def test_threshold_of_a_fold_does_not_see_its_scores():
    scores, pairs = some_pairs()
    changed = np.where(pairs.fold == 2, 100 - scores, scores)
    before, after = metrics.verify(scores, pairs), metrics.verify(changed, pairs)
    assert before.threshold[2] == after.threshold[2]
    assert (before.threshold != after.threshold).any()


def test_constant_scores_are_a_coin():
    _, pairs = some_pairs()
    result = metrics.verify(np.ones(len(pairs)), pairs)
    assert result.accuracy == 0.5 and result.standard_error == 0
    assert metrics.auc(np.ones(len(pairs)), pairs.same) == 0.5
    assert metrics.equal_error_rate(np.ones(len(pairs)), pairs.same) == 0.5


def test_separated_scores_are_all_right():
    _, pairs = some_pairs()
    result = metrics.verify(pairs.same * 2.0 - 1, pairs)
    assert result.accuracy == 1 and (result.threshold == 0).all()
    assert metrics.equal_error_rate(pairs.same * 1.0, pairs.same) == 0
    assert metrics.tar_at_far(pairs.same * 1.0, pairs.same, 0) == 1


def test_neighbouring_floats_are_told_apart():
    low = 1.0
    for high in (np.nextafter(low, 2), np.nextafter(np.nextafter(low, 2), 2)):
        threshold = metrics.best_threshold([low, high], [False, True])
        assert low <= threshold < high
    assert metrics.best_threshold([1, 2], [True, False]) == -np.inf
    assert metrics.best_threshold([2, 3], [False, False]) == np.inf


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), shift=st.floats(-100, 100), scale=st.floats(0.01, 100))
def test_affine_scores_have_the_same_accuracies(seed, shift, scale):
    scores, pairs = some_pairs(seed, digits=9)
    before, after = metrics.verify(scores, pairs), metrics.verify(scores * scale + shift, pairs)
    np.testing.assert_array_equal(before.fold_accuracy, after.fold_accuracy)
    finite = np.isfinite(before.threshold)
    np.testing.assert_allclose(after.threshold[finite], before.threshold[finite] * scale + shift, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), distance=st.floats(0, 4))
def test_roc_equals_counts_and_survives_any_monotone_map(seed, distance):
    scores, pairs = some_pairs(seed, distance=distance)
    far, tar, thresholds = metrics.roc(scores, pairs.same)
    assert (far[0], tar[0]) == (0, 0) and (far[-1], tar[-1]) == (1, 1)
    assert (np.diff(far) >= 0).all() and (np.diff(tar) >= 0).all() and (np.diff(thresholds) < 0).all()
    assert len(thresholds) == len(set(scores)) + 1
    for f, t, threshold in zip(far, tar, thresholds, strict=True):
        assert f == pytest.approx(np.mean(scores[~pairs.same] >= threshold))
        assert t == pytest.approx(np.mean(scores[pairs.same] >= threshold))
    other = np.exp(scores) + scores**3
    mapped = metrics.roc(other, pairs.same)
    np.testing.assert_array_equal([far, tar], mapped[:2])
    for measure in (metrics.auc, metrics.equal_error_rate, metrics.tar_at_far):
        assert measure(scores, pairs.same) == measure(other, pairs.same)
    a, b = scores[pairs.same][:, None], scores[~pairs.same]
    assert metrics.auc(scores, pairs.same) == pytest.approx(np.mean((a > b) + 0.5 * (a == b)))


def test_rates_on_a_hand_made_roc():
    scores, same = [5, 4, 3, 2, 1, 0], [1, 1, 0, 1, 0, 0]
    assert metrics.equal_error_rate(scores, same) == pytest.approx(1 / 3)
    assert metrics.tar_at_far(scores, same, 0.0) == pytest.approx(2 / 3)
    assert metrics.tar_at_far(scores, same, 0.33) == pytest.approx(2 / 3)
    assert metrics.tar_at_far(scores, same, 0.34) == 1
    assert metrics.auc(scores, same) == pytest.approx(8 / 9)


# identification


def test_identification_equals_a_plain_loop():
    rng = np.random.default_rng(0)
    gallery_labels, probe_labels = rng.permutation(12), rng.integers(12, size=40)
    genuine = np.round(rng.normal(size=(40, 12)) + 2 * (probe_labels[:, None] == gallery_labels), 1)
    impostors = np.round(rng.normal(size=(250, 12)), 1)
    rank1 = []
    for row, label in zip(genuine, probe_labels, strict=True):
        others = [s for s, g in zip(row, gallery_labels, strict=True) if g != label]
        rank1.append(row[list(gallery_labels).index(label)] > max(others))
    assert metrics.closed_set_rank1(genuine, probe_labels, gallery_labels) == pytest.approx(np.mean(rank1))

    for far in (0.0, 0.01, 0.1, 0.29, 1.0):
        result = metrics.open_set_dir(genuine, probe_labels, impostors, gallery_labels, far)
        accepted = [max(row) >= result.threshold for row in impostors]
        detected = [found and max(row) >= result.threshold for found, row in zip(rank1, genuine, strict=True)]
        assert result.far == np.mean(accepted) <= far and result.rate == np.mean(detected)
        # and no smaller threshold would do: with any, the next impostors come in
        if far < 1:
            lower = np.nextafter(result.threshold, -np.inf)
            assert np.mean(impostors.max(axis=1) >= lower) > far


def test_one_per_cent_of_the_papers_impostors_is_94():
    impostors = np.random.default_rng(0).permutation(9494).astype(float)[:, None]
    result = metrics.open_set_dir(np.array([[9400.0]]), [1], impostors, [1])
    assert result.far == 94 / 9494 and result.threshold == np.nextafter(9399.0, np.inf) and result.rate == 1
    assert metrics.open_set_dir(np.array([[9399.0]]), [1], impostors, [1]).rate == 0


@pytest.mark.parametrize("block", [1, 13, 50, 10**6])
def test_blocks_give_what_the_whole_matrix_gives_and_stay_small(block):
    rng = np.random.default_rng(0)
    labels = rng.integers(12, size=300)
    table = np.round(rng.normal(size=(300, 300)) + (labels[:, None] == labels), 1)
    gallery, probes, impostors = np.arange(12), np.arange(50, 170), np.arange(170, 300)
    labels[gallery], labels[impostors] = np.arange(12), 99
    asked = []

    def score(i, j):
        asked.append(len(i) * len(j))
        return table[np.ix_(i, j)]

    genuine = metrics.best_matches(score, probes, gallery, labels, block)
    best = np.maximum(*metrics.best_matches(score, impostors, gallery, labels, block))
    assert max(asked) <= max(block, len(gallery))
    whole = table[probes][:, gallery], labels[probes]
    assert metrics.rank1(genuine) == metrics.closed_set_rank1(*whole, labels[gallery])
    for far in (0, 0.01, 0.2):
        opened = metrics.open_set_dir(*whole, table[impostors][:, gallery], labels[gallery], far)
        assert metrics.detection_rate(genuine, best, far) == opened


def test_ties_in_the_gallery_count_as_wrong():
    assert metrics.closed_set_rank1(np.ones((3, 4)), [0, 1, 2], [0, 1, 2, 3]) == 0
    assert metrics.closed_set_rank1(np.ones((3, 4)), [0, 0, 0], [0, 0, 0, 0]) == 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_identification_survives_monotone_maps_and_order(seed):
    rng = np.random.default_rng(seed)
    labels, gallery = np.arange(8), np.arange(8)
    genuine, impostors = rng.normal(size=(8, 8)) + 2 * np.eye(8), rng.normal(size=(100, 8))
    rank1 = metrics.closed_set_rank1(genuine, labels, gallery)
    rate = metrics.open_set_dir(genuine, labels, impostors, gallery, 0.05).rate
    order = rng.permutation(8)
    assert metrics.closed_set_rank1(np.exp(genuine)[:, order], labels, gallery[order]) == rank1
    shuffled = np.exp(genuine)[:, order], labels, np.exp(impostors)[:, order], gallery[order]
    assert metrics.open_set_dir(*shuffled, 0.05).rate == rate


def test_wrong_scores():
    scores, pairs = some_pairs()
    spoiled = np.where(np.arange(len(pairs)) == 17, np.nan, scores)
    for call, words in [
        (lambda: metrics.verify(spoiled, pairs), "1 of 200 values are NaN or inf, the first in row 17"),
        (lambda: metrics.roc(spoiled, pairs.same), "row 17"),
        (lambda: metrics.verify(scores[1:], pairs), "expected"),
        (lambda: metrics.roc(scores, np.ones(len(pairs), bool)), "both genuine and impostor"),
        (lambda: metrics.verify(scores[:4], Pairs(*np.zeros((4, 4), dtype=int))), "one fold"),
        (lambda: metrics.closed_set_rank1(np.ones((2, 3)), [0, 7], [0, 1, 2]), "1 of 2 have nobody"),
        (lambda: metrics.closed_set_rank1(np.ones((2, 3)), [0, 1, 2], [0, 1, 2]), "each probe"),
        (lambda: metrics.open_set_dir(np.ones((1, 2)), [0], np.full((1, 2), np.nan), [0, 1]), "row 0, column 0"),
        (lambda: metrics.open_set_dir(np.ones((1, 2)), [0], np.ones((1, 2)), [0, 1], far=2), "far=2"),
        (lambda: metrics.open_set_dir(np.ones((1, 2)), [0], np.ones((0, 2)), [0, 1]), "0 impostors"),
    ]:  # fmt: skip
        with pytest.raises(DataError, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)
