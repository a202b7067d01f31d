"""What codes keep: every table and curve equals a slow count, and what is chosen is chosen on other people."""

import json

import numpy as np
import pytest
from samples import coarse_faces, face_set, net_of_two_heads

from deepid_lite.faces.regions import WHOLE_FACE, crop
from deepid_lite.nets import deepid as nets
from deepid_lite.neurons import codes
from deepid_lite.neurons.tuning import before_relu
from deepid_lite.neurons.untrained import untrained_model
from deepid_lite.studies import codes as code_tables
from deepid_lite.studies.claims import paper_claims
from deepid_lite.studies.robustness import decisions
from deepid_lite.studies.setup import Setup
from deepid_lite.verification.features import extract
from deepid_lite.verification.metrics import verify
from deepid_lite.verification.model import FaceModel
from deepid_lite.verification.pairs import make_pairs


def people(n, images, seed, dimension=32, noise=0.7):
    """Rectified features of n people."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n), images)
    who = rng.standard_normal((n, dimension))
    return np.maximum(who[labels] + noise * rng.standard_normal((len(labels), dimension)), 0).astype(np.float32), labels


@pytest.fixture(scope="module")
def data():
    (fit, fit_labels), (test, labels) = people(60, 6, 0), people(40, 8, 1)
    return fit, fit_labels, test, labels, make_pairs(labels, per_fold=30)


def test_table_4(data):
    fit, fit_labels, test, _, pairs = data
    table = code_tables.table_4(fit, fit_labels, test, pairs)
    unequal = [-int(((test[i] > 0) != (test[j] > 0)).sum()) for i, j in zip(pairs.first, pairs.second, strict=True)]
    expected = verify(np.array(unequal, float), pairs)
    assert table["binary"]["hamming"]["accuracy"] == pytest.approx(100 * expected.accuracy, abs=1e-3)
    assert table["binary"]["hamming"]["standard_error"] == pytest.approx(100 * expected.standard_error, abs=1e-3)
    numbers = [table[kind][way]["accuracy"] for kind in table for way in table[kind]]
    assert len(numbers) == 4 and min(numbers) > 80  # such people are easy to tell apart
    # codes lose what the sizes of activations say, nothing else: codes as features give the codes' own row
    as_features = code_tables.table_4((fit > 0).astype(np.float32), fit_labels, (test > 0).astype(np.float32), pairs)
    assert (
        as_features["real"]["joint_bayesian"]
        == table["binary"]["joint_bayesian"]
        == as_features["binary"]["joint_bayesian"]
    )


def test_the_curve_ends_at_the_whole_code(data):
    fit, fit_labels, test, _, pairs = data
    bits, sizes = test > 0, code_tables.bit_sizes(32)
    assert sizes == [8, 16, 32] and code_tables.bit_sizes(40) == [8, 16, 32, 40]
    whole = code_tables.binary_row(fit > 0, fit_labels, bits, pairs)["hamming"]["accuracy"]
    orders = [codes.order_bits(fit, "random", seed) for seed in range(3)]
    curve = code_tables.bits_curve(bits, orders, pairs, sizes)
    assert curve["accuracy"][-1] == pytest.approx(whole) and curve["spread"][-1] == pytest.approx(0, abs=1e-9)
    alone = [code_tables.accuracy(-(bits[pairs.first] ^ bits[pairs.second])[:, o[:8]].sum(1), pairs) for o in orders]
    assert curve["accuracy"][0] == pytest.approx(np.mean([a["accuracy"] for a in alone]), abs=2e-3)
    assert curve["spread"][0] == pytest.approx(np.std([a["accuracy"] for a in alone], ddof=1), abs=2e-3)


def test_a_moved_threshold_leaves_its_share_of_ones_on_other_people(data):
    rng = np.random.default_rng(2)
    labels = data[3]
    who = rng.standard_normal((labels.max() + 1, 32))
    fit, test = rng.standard_normal((500, 32)), who[labels] + 0.7 * rng.standard_normal((len(labels), 32))
    found, scores = code_tables.moved_threshold(fit, test, data[4], (0.2, 0.5, 0.8))
    for share, threshold, s, ones, accuracy in zip(found["shares"], found["thresholds"], scores, found["ones"],
                                                   found["accuracy"], strict=True):  # fmt: skip
        assert (fit > threshold).mean() == pytest.approx(share, abs=1e-3) and ones == pytest.approx(
            (test > threshold).mean(), abs=1e-3)  # fmt: skip
        unequal = [-((test[i] > threshold) ^ (test[j] > threshold)).sum() for i, j in
                   zip(data[4].first, data[4].second, strict=True)]  # fmt: skip
        np.testing.assert_allclose(s, unequal, atol=1)  # a threshold is rounded for the record
        assert accuracy == pytest.approx(100 * verify(s, data[4]).accuracy, abs=1e-3)
    # half of the bits say most where neurons are symmetric
    assert found["accuracy"][1] > max(found["accuracy"][0], found["accuracy"][2])


def test_before_the_relu_lie_the_features():
    net, images = net_of_two_heads(), coarse_faces(6)
    found = before_relu(FaceModel(net, WHOLE_FACE, None, {}), images, flip=True)
    np.testing.assert_allclose(np.maximum(found, 0), extract(net, crop(images, WHOLE_FACE)), rtol=1e-5, atol=1e-6)
    assert (found < 0).any() and not net.feature_norms["4"]._forward_hooks


def test_the_study_has_its_null_like_for_like_and_claims_that_read_it():
    net = nets.DeepID2Plus(maps=8, dimension=128, heads=(2, 4), batch_norm=True).eval()
    test, held_out = face_set(12, 6, 1), face_set(24, 8, 2)
    model = untrained_model(FaceModel(net, WHOLE_FACE, None, {}), held_out.images, seed=9)  # no neuron that is dead
    pairs = make_pairs(test.labels, n_folds=3, per_fold=10)
    setup = Setup("lite", model, test, pairs, held_out, test, ())
    found = json.loads(json.dumps(code_tables.codes(setup)))
    null = setup.untrained()
    expected = code_tables.table_4(null.features("held_out"), held_out.labels, null.features("test"), pairs)
    assert found["nulls"]["untrained"]["table"] == expected
    for who, table in (("net", found["table"]["picture and mirror"]), ("untrained", expected)):
        for name, text in found["right"][who].items():
            kind, way = name.split()
            (right,), fold = decisions(found, text)
            assert 100 * np.mean([right[fold == f].mean() for f in range(3)]) == pytest.approx(
                table[kind][way]["accuracy"], abs=1e-3)  # fmt: skip
    read = {
        claim.name: (claim.ours(found), claim.difference(found)) for claim in paper_claims() if claim.study == "codes"
    }
    assert set(read) == {"C1", "C13", "C15", "C16"}
    real, code = (
        found["table"]["picture and mirror"][kind]["joint_bayesian"]["accuracy"] for kind in ("real", "binary")
    )
    assert read["C15"][0].value == pytest.approx(real - code, abs=1e-2)
    lost = expected["real"]["joint_bayesian"]["accuracy"] - expected["binary"]["hamming"]["accuracy"]
    assert read["C16"][1]["points"].value == pytest.approx(lost - read["C16"][0].value, abs=1e-2)
    assert read["C1"][1].value == pytest.approx(real - 95.17, abs=1e-2)
    assert read["C1"][1].high - read["C1"][1].low > 2 * 1.95 * 1.13  # the published error is in it


def test_noise_has_no_accuracy(data):
    _, _, test, _, pairs = data
    noise = np.random.default_rng(3).standard_normal(test.shape)
    curve = code_tables.projections_curve(noise, np.zeros(32), pairs, [8, 32])
    assert 40 < min(curve["accuracy"]) and max(curve["accuracy"]) < 60
    assert code_tables.projections_curve(test, test.mean(0), pairs, [8, 32])["accuracy"][1] > 75


def test_floats(data):
    fit, fit_labels, test, _, pairs = data
    found = code_tables.floats_curve(fit, fit_labels, test, pairs)
    assert found["numbers"] == [2, 4, 8, 16, 32] and found["bytes"] == [8, 16, 32, 64, 128]
    assert found["accuracy"][0] < found["accuracy"][-1]
    whole = code_tables.table_4(fit, fit_labels, test, pairs)["real"]["joint_bayesian"]["accuracy"]
    assert found["accuracy"][-1] == whole


def test_the_split_asks_for_everybody_with_two_images():
    labels = np.array([2, 0, 1, 0, 2, 0, 3])
    gallery, queries = code_tables.search_split(labels)
    assert queries.tolist() == [4, 5] and gallery.tolist() == [0, 1, 2, 3, 6]


def test_recall_is_a_slow_count(data):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 9, 60)
    gallery, queries = code_tables.search_split(labels)
    scores = rng.standard_normal((len(queries), len(gallery)))
    bits = rng.random((60, 16)) < 0.5
    found = code_tables.searcher(scores, labels, gallery, queries)(bits)
    for place, c in enumerate(code_tables.candidate_sizes(len(gallery))):
        hits, firsts, near = 0, 0, 0
        for row, q in enumerate(queries):
            nearest = sorted(range(len(gallery)), key=lambda g, q=q: ((bits[q] != bits[gallery[g]]).sum(), g))[:c]
            hits += any(labels[gallery[g]] == labels[q] for g in nearest)
            firsts += labels[gallery[max(nearest, key=lambda g, row=row: scores[row, g])]] == labels[q]
            near += len(set(nearest) & set(np.argsort(-scores[row])[:10])) / 10
        expected = [100 * count / len(queries) for count in (hits, firsts, near)]
        assert [found[name][place] for name in ("found", "rank1", "neighbours")] == pytest.approx(expected, abs=1e-3)
    exact = code_tables.searcher(scores, labels, gallery, queries)(None)
    assert exact["rank1"][0] == exact["rank1"][-1] == found["rank1"][-1] and exact["neighbours"][0] == 10


def test_candidate_sizes():
    assert code_tables.candidate_sizes(3800) == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 3800]
    assert code_tables.candidate_sizes(10) == [1, 2, 5, 10]
