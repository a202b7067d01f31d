"""Sparsity: closed forms against naive loops, the nulls, and what may be wrong with the input."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import coarse_faces as faces
from samples import net_of_two_heads as a_net

from deepid_lite.errors import DataError
from deepid_lite.faces.dataset import FaceSet
from deepid_lite.faces.regions import WHOLE_FACE, crop
from deepid_lite.neurons import sparsity
from deepid_lite.neurons.untrained import null_models
from deepid_lite.studies import sparsity as studies
from deepid_lite.studies.setup import Setup
from deepid_lite.verification.features import extract
from deepid_lite.verification.model import FaceModel


def some_features(seed, n=23, d=17, people=5):
    """Features that are partly active, with neurons of very different rates, and labels with gaps."""
    rng = np.random.default_rng(seed)
    person = rng.normal(size=(people, d))
    labels = rng.integers(0, people, n) * 3
    pre = person[labels // 3] + rng.normal(size=(n, d)) + rng.normal(0, 1.5, d)
    return np.maximum(pre, 0).astype(np.float32), labels


def naive_distances(features, labels):
    """Hamming distances of all pairs, and the two people of each."""
    on = features > 0
    pairs = list(itertools.combinations(range(len(on)), 2))
    distance = np.array([(on[i] != on[j]).sum() for i, j in pairs])
    return distance, np.array([(labels[i], labels[j]) for i, j in pairs])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(1, 20))
def test_mean_share_of_neurons_is_mean_share_of_images(seed, n, d):
    features = np.maximum(np.random.default_rng(seed).normal(size=(n, d)), 0)
    found = sparsity.summary(features)
    assert found["active_mean"] / d == pytest.approx(found["images_mean"] / n, abs=1e-4)
    assert found["rate_mean"] == pytest.approx(found["images_mean"] / n, abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(1, 12), st.integers(1, 6))
def test_distances_are_those_of_the_loop_over_pairs(seed, n, d, people):
    features, labels = some_features(seed, n, d, people)
    distance, who = naive_distances(features, labels)
    found = sparsity.hamming_summary(features, labels)
    same = who[:, 0] == who[:, 1]
    assert found["any_two"] == pytest.approx(distance.mean())
    assert found["spread"] == pytest.approx(distance.std(), abs=1e-6)
    for key, kind in (("within", same), ("between", ~same)):
        if not kind.any():
            assert found[key] is None and found[f"{key}_pairs"] is None
            continue
        assert found[f"{key}_pairs"] == pytest.approx(distance[kind].mean())
        everyone = {tuple(sorted(pair)) for pair in who[kind].tolist()}
        each = [distance[(np.sort(who, 1) == pair).all(1)].mean() for pair in everyone]
        assert found[key] == pytest.approx(np.mean(each))


def test_nothing_depends_on_order_names_or_scale():
    features, labels = some_features(1)
    order = np.random.default_rng(2).permutation(len(labels))
    other = sparsity.summary(features[order][:, ::-1] * 7, np.array([f"person {x}" for x in labels[order]]))
    assert other == sparsity.summary(features, labels)


def test_spread_matches_permuted_neurons():
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(60), 10)
    pre = rng.normal(size=(600, 8)) @ rng.normal(0.5, 1, (8, 64)) + rng.normal(0, 2, 64)  # 8 factors: dependence
    features = np.maximum(pre, 0)
    net, null = sparsity.summary(features, labels), sparsity.summary(sparsity.permuted_features(features), labels)
    assert null["rate_mean"] == net["rate_mean"] and null["histograms"]["rate"] == net["histograms"]["rate"]
    assert null["active_std"] == pytest.approx(net["active_std_independent"], rel=0.1)
    assert null["hamming"]["spread"] == pytest.approx(net["hamming"]["spread_independent"], rel=0.05)
    assert null["hamming"]["degrees_of_freedom"] == pytest.approx(64, rel=0.1)
    assert null["hamming"]["any_two"] == net["hamming"]["any_two"]
    assert net["active_std"] > 2 * null["active_std"] and net["hamming"]["degrees_of_freedom"] < 32
    np.testing.assert_array_equal(np.sort(sparsity.permuted_features(features), 0), np.sort(features, 0))


def test_summary_is_that_of_the_definition_and_json():
    features, labels = some_features(4, n=50, d=9)
    on = features > 0
    found = sparsity.summary(features, labels)
    assert found["active_mean"] == pytest.approx(on.sum(1).mean(), abs=1e-5)
    assert found["active_std"] == pytest.approx(on.sum(1).std(), abs=1e-5)
    assert found["images_std"] == pytest.approx(on.sum(0).std(), abs=1e-5)
    assert found["rate_std"] == pytest.approx(on.mean(0).std(), abs=1e-5)
    assert found["never"] == (~on.any(0)).sum() and found["always"] == on.all(0).sum()
    for name, total in (("active", 50), ("rate", 9), ("entropy", 9)):
        h = found["histograms"][name]
        assert sum(h["counts"]) == total and len(h["edges"]) == len(h["counts"]) + 1 == sparsity.BINS[name] + 1
    assert json.loads(json.dumps(found)) == found
    assert "histograms" not in sparsity.summary(features, histograms=False)


def test_entropy():
    bits = sparsity.entropy([0, 0.25, 0.5, 1])
    assert bits == pytest.approx([0, 0.25 * 2 + 0.75 * np.log2(4 / 3), 1, 0])
    p = np.linspace(0, 1, 51)
    np.testing.assert_allclose(sparsity.entropy(p), sparsity.entropy(1 - p), atol=1e-12)
    with pytest.raises(DataError, match="fractions"):
        sparsity.entropy([0.5, 1.2])


def test_picture_is_the_first_half():
    features = np.arange(12.0).reshape(2, 6)
    np.testing.assert_array_equal(sparsity.picture(features), [[0, 1, 2], [6, 7, 8]])
    with pytest.raises(DataError, match="side by side"):
        sparsity.picture(features[:, :5])


@pytest.mark.parametrize(
    ("features", "labels", "says"),
    [
        (np.zeros(5), np.zeros(5), "give \\(N, D\\)"),
        (np.zeros((0, 5)), np.zeros(0), "give \\(N, D\\)"),
        (np.zeros((5, 0)), np.zeros(5), "give \\(N, D\\)"),
        (np.full((3, 2), np.nan), np.zeros(3), "NaN or inf, the first in row 0, column 0"),
        (np.array([[1, 2], [3, np.inf]]), np.zeros(2), "the first in row 1, column 1"),
        (np.ones((3, 2)), np.zeros(4), "one person for each of 3 images"),
    ],
)
def test_wrong_input_is_one_line(features, labels, says):
    with pytest.raises(DataError, match=says) as caught:
        sparsity.summary(features, labels)
    assert "\n" not in str(caught.value)


def test_one_image_has_no_pairs():
    found = sparsity.summary(np.ones((1, 4)), [0])["hamming"]
    assert found["within"] is found["between"] is found["any_two"] is found["degrees_of_freedom"] is None
    assert found["rates_alone"] == 0


def test_the_study_counts_pictures_not_flips_and_has_its_nulls():
    def face_set(seed):
        labels, rows = np.arange(48) // 4, [str(k) for k in range(48)]
        return FaceSet(faces(48, seed), labels, rows[:12], np.zeros((48, 5, 2)), {}, rows, data_hash=f"hash {seed}")

    model, held_out, test = FaceModel(a_net(), WHOLE_FACE, None, {}), face_set(1), face_set(2)
    found = studies.sparsity(Setup("lite", model, test, None, held_out, test, ()), draws=50)
    assert found["scale"] == "lite" and found["data_hash"] == "hash 1" and list(found["layers"]) == ["FC-2", "FC-4"]
    layer = found["layers"]["FC-4"]
    pictures = extract(model.net, crop(held_out.images), flip=False)
    assert layer["net"] == sparsity.summary(pictures, held_out.labels)
    assert list(layer["nulls"]) == ["untrained", "untrained_plain"] and layer["nulls"]["untrained"] != layer["net"]
    assert found["test"]["FC-4"]["active_mean"] != layer["net"]["active_mean"]
    for part, summaries in (
        ("held_out", (layer["net"], layer["nulls"]["untrained"])),
        ("test", (found["test"]["FC-4"],)),
    ):
        for who, s in zip(("net", "untrained"), summaries, strict=False):
            intervals = {quantity: of[who] for quantity, of in found["intervals"][part].items()}
            alike = 100 * s["hamming"]["within"] / s["hamming"]["between"]
            expected = [100 * s["rate_mean"], 100 * s["rate_std"], 100 * s["active_std"] / s["neurons"], alike]
            np.testing.assert_allclose([i[0] for i in intervals.values()], expected, atol=2e-2)
            assert all(low <= value <= high for value, low, high in list(intervals.values())[:1])
        for of in found["intervals"][part].values():
            assert of["difference"][0] == pytest.approx(of["untrained"][0] - of["net"][0], abs=1e-4)
    assert np.shape(found["examples"]["activations"]) == (3, 32)
    assert json.loads(json.dumps(found)) == found


def test_examples_are_two_of_one_person_and_one_of_another():
    features, labels = np.arange(40.0).reshape(5, 8), np.array([7, 3, 3, 9, 3])
    found = sparsity.examples(features, labels, n_neurons=3)
    assert found["neurons"] == [0, 3, 7] and found["activations"] == features[[1, 2, 0]][:, [0, 3, 7]].tolist()
    with pytest.raises(DataError, match="two people"):
        sparsity.examples(features, np.zeros(5))


def test_runs_are_compared_on_the_same_faces():
    model = FaceModel(a_net(), WHOLE_FACE, None, {})
    images, labels = faces(), np.arange(48) // 4
    found = sparsity.sparsity_of_runs({"net": model} | null_models(model, images), images, labels)
    assert list(found) == ["net", "untrained", "untrained_plain"] and list(found["net"]) == [2, 4]
    expected = sparsity.summary(extract(model.net, crop(images), flip=False, layer=2), labels)
    assert found["net"][2] == expected and expected["neurons"] == 32
    assert found["untrained"][4] != found["net"][4]
    other = dataclasses.replace(model, net=a_net(batch_norm=False))
    only = sparsity.sparsity_of_runs({"other": other}, images, layers=(4,), histograms=False)
    assert list(only["other"]) == [4] and "hamming" not in only["other"][4]
