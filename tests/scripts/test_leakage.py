"""The audit finds copies and people who stand on both sides, and nothing where there is nothing."""

import sys
from pathlib import Path

import numpy as np
import pytest

from deepid_lite.errors import DataError

sys.path.insert(0, str(Path(__file__).parents[2] / "data_scripts"))
from _leakage import near_duplicates, nearest_people  # noqa: E402


def pictures(n, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 18, 16, 3)).repeat(8, 1).repeat(8, 2).astype(np.uint8)


def test_a_copy_is_found_through_exposure_and_noise():
    train, test = pictures(30, 0), pictures(20, 1)
    noise = np.random.default_rng(2).normal(0, 6, train[7].shape)
    test[4] = np.clip(train[7] * 0.7 + 20 + noise, 0, 255).astype(np.uint8)
    i, j, value = near_duplicates(train, test)
    assert list(zip(i, j, strict=True)) == [(7, 4)] and 0.97 < value[0] <= 1 + 1e-6


def test_batches_change_nothing_and_no_copy_is_no_pair():
    train = pictures(30, 0)
    assert len(near_duplicates(train, pictures(20, 1))[0]) == 0
    i, j, _ = near_duplicates(train, train, batch_size=7)
    assert sorted(zip(i, j, strict=True)) == [(k, k) for k in range(30)]


def test_people_on_both_sides_come_first():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(50, 40)), rng.normal(size=(60, 40))
    shared = [(3, 8), (20, 41), (44, 0)]
    for a, b in shared:
        test[b] = train[a]
    labels, other = np.repeat(np.arange(50), 4), np.repeat(np.arange(60), 3)
    first = (train[labels] + 0.5 * rng.normal(size=(200, 40)), labels)
    second = (test[other] + 0.5 * rng.normal(size=(180, 40)), other)
    a, b, z = nearest_people(first, second, count=10)
    assert sorted(zip(a[:3], b[:3], strict=True)) == shared
    assert (np.diff(z) <= 0).all() and z[2] > z[3] + 1


def test_a_threshold_that_is_no_correlation_is_refused():
    with pytest.raises(DataError, match="correlation"):
        near_duplicates(pictures(2, 0), pictures(2, 1), threshold=2)
