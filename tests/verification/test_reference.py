"""The shipped weights give the recorded LFW figure: the whole path from photographs to the number in README."""

import os

import numpy as np
import pytest

from deepid_lite.results import load_result
from deepid_lite.verification.evaluation import face_features, pair_scores
from deepid_lite.verification.metrics import Pairs, verify
from deepid_lite.verification.model import pretrained
from deepid_lite.verification.pipeline import test_set as lfw_test_set


@pytest.mark.real
@pytest.mark.skipif(not os.environ.get("DEEPID_DATA"), reason="DEEPID_DATA names no real faces")
def test_the_shipped_weights_reproduce_the_record_to_a_tenth_of_a_point():
    record = load_result("lfw_view2")
    faces, pairs, _ = lfw_test_set("lfw")
    assert faces.data_hash == record["data_hash"]
    used, place = np.unique(np.concatenate([pairs.first, pairs.second]), return_inverse=True)
    first, second = place[: len(pairs)], place[len(pairs) :]
    model = pretrained("webfaces")
    scores = pair_scores(model, face_features(model, faces.images[used]), Pairs(first, second, pairs.same, pairs.fold))
    for name, key in (("joint_bayesian", "accuracy"), ("cosine", "cosine"), ("hamming", "hamming")):
        assert 100 * verify(scores[name], pairs).accuracy == pytest.approx(record[key], abs=0.1), name
    assert record["accuracy"] >= 92
