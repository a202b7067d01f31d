"""Scales: who stands where, features extracted once, and stored ones told apart by net and data."""

import numpy as np
import pytest
from samples import small_faces as faces
from samples import small_model as model
from samples import small_setup as scale

from deepid_lite.errors import DataError
from deepid_lite.studies import setup as scales
from deepid_lite.verification.model import face_features, weights_hash


def test_joined_sets_keep_people_apart_and_share_attributes():
    first, second = faces(6, 3, 1, ("hat", "beard")), faces(4, 2, 2, ("beard", "glasses"))
    both = scales.join(first, second)
    assert both.names == [*first.names, "celebrities/person-0000", "celebrities/person-0001"]
    np.testing.assert_array_equal(both.labels, [*first.labels, *(second.labels + 3)])
    np.testing.assert_array_equal(both.images[6:], second.images)
    assert list(both.attributes) == ["beard"]
    assert both.data_hash not in (first.data_hash, second.data_hash)
    assert both.data_hash != scales.join(second, first).data_hash


def test_features_are_extracted_once(monkeypatch):
    s, calls = scale(), []
    monkeypatch.setattr(scales, "face_features", lambda *a, **k: calls.append(1) or face_features(*a, **k))
    first = s.features("test")
    assert first.shape == (6, 16) and s.features("test") is first and len(calls) == 1
    assert s.features("test", layer=3).shape == (6, 16) and len(calls) == 1  # all layers in one pass
    assert s.features("crowd") is first  # the same faces under another name
    with pytest.raises(DataError, match="use test, held_out or crowd"):
        s.features("train")
    with pytest.raises(DataError, match="features on 3, 4"):
        s.features("test", layer=2)


def test_stored_features_are_those_of_this_net_and_these_faces(monkeypatch, tmp_path):
    monkeypatch.setenv("DEEPID_CACHE", str(tmp_path))
    found = scale("reference").features("test")
    np.testing.assert_array_equal(found, scale("lite").features("test"))
    monkeypatch.setattr(scales, "face_features", lambda *a, **k: pytest.fail("extracted again"))
    np.testing.assert_array_equal(scale("reference").features("test"), found)
    monkeypatch.undo()
    monkeypatch.setenv("DEEPID_CACHE", str(tmp_path))
    assert not np.array_equal(scale("reference", seed=1).features("test"), found)
    assert len(list(tmp_path.glob("features-*.npy"))) == 4  # two nets, two layers
    assert weights_hash(model(0)) == weights_hash(model(0)) != weights_hash(model(1))


def test_lite_people_stand_on_one_side_only():
    s = scales.lite()
    assert len(s.test) == 4000 and len(s.held_out) == 4000 and len(s.crowd) == 4500 and len(s.celebrities) == 5
    counts = np.bincount(s.crowd.labels)
    assert [counts[s.crowd.names.index(name)] for name in s.celebrities] == [100] * 5
