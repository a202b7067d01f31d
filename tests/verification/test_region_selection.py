"""Greedy selection: each step is the best there is, nothing is asked twice, validation people alone choose."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepid_lite.errors import DataError
from deepid_lite.faces.splits import split_people
from deepid_lite.verification.region_selection import ValidationScore, greedy, select

NAMES = ("a", "b", "c", "d", "e")


def subsets():
    return [s for k in range(1, 6) for s in itertools.combinations(NAMES, k)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=31, max_size=31), st.integers(1, 5))
def test_every_step_is_the_best_one_and_scores_rise(values, most):
    table = dict(zip(subsets(), values, strict=True))
    asked = []

    def score(names):
        asked.append(names)
        return table[names]

    steps = greedy(score, NAMES, most)
    assert len(asked) == len(set(asked)), "a subset was scored twice"
    scores = [value for _, value in steps]
    assert scores == sorted(set(scores)), "a step that does not help was taken"
    before, best = (), -np.inf
    for chosen, value in steps:
        ordered = tuple(sorted(chosen))
        assert table[ordered] == value and len(chosen) <= most
        added = chosen[-1]
        forward = max(table[tuple(sorted({*before, name}))] for name in NAMES if name not in before)
        assert forward > best and added not in before
        with_added = {*before, added}
        assert set(chosen) <= with_added
        if set(chosen) == with_added and len(chosen) > 2:  # nothing was dropped: nothing was worth dropping
            assert all(table[tuple(sorted(with_added - {name}))] <= value for name in before)
        before, best = chosen, value
    if len(before) < most:  # it stopped early: nothing more helps
        assert all(table[tuple(sorted({*before, name}))] <= best for name in NAMES if name not in before)


def test_a_dropped_region_makes_room_for_two_better_ones():
    """b and c are best together, a is best alone: only the backward step gets there."""
    gain = {"a": 10.0, "b": 5.0, "c": 5.0}

    def score(names):
        return 30.0 if set(names) == {"b", "c"} else sum(gain[n] for n in names)

    steps = greedy(score, ("a", "b", "c"), 3)
    assert steps[0][0] == ("a",) and set(steps[-1][0]) == {"b", "c"} and steps[-1][1] == 30


@pytest.mark.parametrize("most", [0, 6])
def test_as_many_as_there_are(most):
    with pytest.raises(DataError, match="5; use 1 to 5"):
        greedy(len, NAMES, most)


@pytest.fixture(scope="module")
def people():
    """Features of 120 people: two regions tell halves of the truth, a third is noise."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(120), 6)
    identity = rng.normal(size=(120, 12))[labels]
    noise = rng.normal(size=(3, len(labels), 12))
    eyes = np.maximum(identity * (np.arange(12) < 6) + noise[0], 0)
    mouth = np.maximum(identity * (np.arange(12) >= 6) + noise[1], 0)
    return {"noise": np.maximum(noise[2], 0), "eyes": eyes, "mouth": mouth}, labels


def test_it_finds_the_regions_that_say_something(people):
    features, labels = people
    found = select(features, labels, 2, per_fold=60)
    assert set(found["chosen"]) == {"eyes", "mouth"}
    assert found["steps"][-1]["accuracy"] > max(found["alone"].values()) >= found["steps"][0]["accuracy"] > 60
    assert found["alone"]["noise"] < 60
    assert found == select(features, labels, 2, per_fold=60), "not repeatable"


def test_the_scored_half_is_not_fitted(people):
    """With the scored people's labels shuffled the fit is the same, and their pairs come out at chance."""
    features, labels = people
    score = ValidationScore(features, labels, per_fold=60)
    assert len(np.unique(score.labels)) == 60
    used = np.union1d(score.pairs.first, score.pairs.second)
    assert used.max() < len(labels) - len(score.labels), "a pair outside the half that is scored"
    shuffled = labels.copy()
    other = ~split_people(labels)
    shuffled[other] = np.random.default_rng(1).permutation(labels[other])
    assert abs(ValidationScore(features, shuffled, per_fold=60)(("eyes", "mouth")) - 50) < 12
