"""How selective neurons are: numbers equal naive counts, and what is chosen is chosen on the other half."""

import numpy as np
import pytest

from deepid_lite.neurons.selectiveness import linear_accuracy, linear_decisions, one_neuron, split_images
from deepid_lite.studies import selective
from deepid_lite.studies.neurons import of_everybody
from deepid_lite.studies.responses import SELECTIVE, signs

LABELS = np.repeat(np.arange(16), 10)
WHO = [3, 7, 12]


def some_features(seed, strength, width=40):
    """Rectified features of 16 people; some neurons know one of WHO."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((len(LABELS), width)) + np.linspace(-1, 1, width)  # some neurons are more active
    for k, person in enumerate(WHO):
        features[LABELS == person, k::3] += strength * rng.choice([-1, 1], width)[k::3]
    return np.maximum(features + 1, 0).astype(np.float32)


@pytest.fixture(scope="module")
def identities():
    targets, first = LABELS[:, None] == np.array(WHO), split_images(LABELS, 1)
    methods = {"net": some_features(0, 1.6), "lbp": some_features(1, 0.5), "untrained": some_features(2, 0)}
    found = {name: one_neuron(x, targets, first) for name, x in methods.items()}
    return methods, targets, first, found, selective.estimates_of_people(methods, targets, LABELS, first, found)


def test_estimates_of_people_are_naive_counts(identities):
    methods, targets, _, found, estimates = identities
    for name in ("net", "lbp"):
        assert estimates["best"][name][0] == pytest.approx(100 * found[name].accuracy.max(), abs=1e-3)
        assert estimates["typical"][name][0] == pytest.approx(100 * np.median(found[name].every, 1).mean(), abs=1e-3)
        kinds = [((found[name].every >= SELECTIVE) & (signs(found[name]) == k)).mean(1) for k in (1, -1)]
        assert estimates["rarer"][name][0] == pytest.approx(100 * np.minimum(*kinds).mean(), abs=1e-3)
    for name, features in methods.items():
        alike = [np.corrcoef(features[t].mean(0), features[~t].mean(0))[0, 1] for t in targets.T]
        assert estimates["correlation"][name][0] == pytest.approx(np.mean(alike), abs=1e-4)


def test_differences_speak_for_the_claims(identities):
    of = identities[-1]
    value = {key: {name: three[0] for name, three in found.items()} for key, found in of.items()}
    wanted = {
        "best": value["best"]["net"] - value["best"]["lbp"],
        "typical": value["typical"]["net"] - value["typical"]["lbp"],
        "rarer": value["rarer"]["net"] - 3 * value["rarer"]["lbp"],
        "correlation": value["correlation"]["untrained"] - value["correlation"]["net"],
    }
    assert {key: found["difference"] for key, found in value.items()} == pytest.approx(wanted, abs=1e-3)
    assert min(wanted.values()) > 0  # these people were made so
    for found in of.values():
        assert all(low <= value <= high for value, low, high in found.values())


def test_without_lbp_only_the_net_is_set_against_its_null(identities):
    methods, targets, first, found, _ = identities
    fewer = {name: methods[name] for name in ("net", "untrained")}
    assert list(selective.estimates_of_people(fewer, targets, LABELS, first, found)) == ["correlation"]


def test_a_coin_is_known_again_and_not_foretold():
    features = np.eye(16)[LABELS] + 0.1 * np.random.default_rng(0).standard_normal((160, 16))
    random = split_images(np.zeros(160), 0)
    again = selective.coin(features, LABELS, random, 4)
    strangers = selective.coin(features, LABELS, LABELS < 8, 4)
    assert again["estimate"][0] == pytest.approx(100 * np.mean(again["all"]), abs=0.01) and again["estimate"][1] > 90
    assert strangers["people_in_both_halves"] == 0 and strangers["estimate"][0] < 75
    both = np.mean([random[LABELS == p].any() and not random[LABELS == p].all() for p in range(16)])
    assert again["people_in_both_halves"] == pytest.approx(both, abs=1e-4)


def test_decisions_are_those_behind_the_accuracy():
    rng = np.random.default_rng(0)
    features, targets = rng.standard_normal((80, 6)), (rng.random((80, 2)) < 0.4).astype(np.float32)
    features[:, 0] += 2 * targets[:, 0]
    targets[:7, 1] = np.nan
    first = split_images(np.zeros(80), 1)
    said = linear_decisions(features, targets, first)
    slow = []
    for a in range(2):
        sides = [half & (targets[:, a] == kind) for half in (first, ~first) for kind in (0, 1)]
        slow.append(np.mean([(said[side, a] == (targets[side, a] == 1)).mean() for side in sides]))
    np.testing.assert_allclose(linear_accuracy(features, targets, first), slow)
    one_way = linear_decisions(features, targets, first, ways=(0,))
    np.testing.assert_array_equal(one_way[~first], said[~first])
    assert not one_way[first].any()


def test_a_dimension_is_chosen_by_the_half_that_trains():
    first, right = np.arange(8) < 4, np.ones((8, 1), bool)
    # what dimension 10 says is always wrong, but within the first half it looked better
    swept = {10: (~right, [0.9, 0.5]), 20: (right, [0.6, 0.8])}
    said, chosen = selective._best_lbp(swept, first)
    assert chosen == [10, 20]
    np.testing.assert_array_equal(said[:, 0], first)  # the first half was judged by 20, trained on the other


def test_images_are_taken_of_everybody_alike():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 2, 5], [9, 2, 4]))
    found = of_everybody(labels, 9)
    assert (np.diff(found) > 0).all() and np.bincount(labels[found]).tolist() == [3, 0, 2, 0, 0, 3]
    assert [labels[:k].tolist().count(labels[k]) < 3 for k in found] == [True] * 8  # the first of each
    assert len(of_everybody(labels, 100)) == 15 and len(of_everybody(labels, 1)) == 3
