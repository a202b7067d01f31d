"""The shipped weights give the recorded LFW figure: the whole path from photographs to the number in README."""

import os

import pytest

from deepid_lite.results import load_result
from deepid_lite.verification.benchmarks import benchmark
from deepid_lite.verification.evaluation import pair_scores
from deepid_lite.verification.metrics import verify
from deepid_lite.verification.model import face_features, pretrained


@pytest.mark.real
@pytest.mark.skipif(not os.environ.get("DEEPID_DATA"), reason="DEEPID_DATA names no real faces")
def test_the_shipped_weights_reproduce_the_record_to_a_tenth_of_a_point():
    record = load_result("lfw_view2")
    test = benchmark("lfw")
    faces, pairs = test.faces, test.pairs
    assert faces.data_hash == record["data_hash"]
    used, among = pairs.compact()
    model = pretrained("webfaces")
    scores = pair_scores(model, face_features(model, faces.images[used]), among)
    for name, key in (("joint_bayesian", "accuracy"), ("cosine", "cosine"), ("hamming", "hamming")):
        assert 100 * verify(scores[name], pairs).accuracy == pytest.approx(record[key], abs=0.1), name
    assert record["accuracy"] >= 92
