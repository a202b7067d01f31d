"""Setups: who stands where, features extracted once, and stored ones told apart by net and data."""

import dataclasses

import numpy as np
import pytest
from samples import small_faces as faces
from samples import small_model as model
from samples import small_setup

from deepid_lite.errors import DataError
from deepid_lite.faces.regions import WHOLE_FACE
from deepid_lite.neurons.untrained import untrained_model
from deepid_lite.results import read_record, results_folder
from deepid_lite.studies import setup as setups
from deepid_lite.verification.model import face_features, pretrained, weights_hash


def test_joined_sets_keep_people_apart_and_share_attributes():
    first, second = faces(6, 3, 1, ("hat", "beard")), faces(4, 2, 2, ("beard", "glasses"))
    both = setups.join(first, second)
    assert both.names == [*first.names, "celebrities/person-0000", "celebrities/person-0001"]
    np.testing.assert_array_equal(both.labels, [*first.labels, *(second.labels + 3)])
    np.testing.assert_array_equal(both.images[6:], second.images)
    assert list(both.attributes) == ["beard"]
    assert both.data_hash not in (first.data_hash, second.data_hash)
    assert both.data_hash != setups.join(second, first).data_hash


def test_features_are_extracted_once(monkeypatch):
    s, calls = small_setup(), []
    monkeypatch.setattr(setups, "face_features", lambda *a, **k: calls.append(1) or face_features(*a, **k))
    first = s.features("test")
    assert first.shape == (6, 16) and s.features("test") is first and len(calls) == 1
    assert s.features("test", layer=3).shape == (6, 16) and len(calls) == 1  # all layers in one pass
    assert s.features("identity_set") is first  # the same faces under another name
    with pytest.raises(DataError, match="use test, held_out, identity_set"):
        s.features("train")
    with pytest.raises(DataError, match="features on 3, 4"):
        s.features("test", layer=2)


def test_stored_features_are_those_of_this_net_and_these_faces(monkeypatch, tmp_path):
    monkeypatch.setenv("DEEPID_CACHE", str(tmp_path))
    found = small_setup("reference").features("test")
    np.testing.assert_array_equal(found, small_setup("lite").features("test"))
    monkeypatch.setattr(setups, "face_features", lambda *a, **k: pytest.fail("extracted again"))
    np.testing.assert_array_equal(small_setup("reference").features("test"), found)
    monkeypatch.undo()
    monkeypatch.setenv("DEEPID_CACHE", str(tmp_path))
    assert not np.array_equal(small_setup("reference", seed=1).features("test"), found)
    assert len(list(tmp_path.iterdir())) == 4  # two nets, two layers
    elsewhere = small_setup("reference")
    elsewhere.model = dataclasses.replace(elsewhere.model, region=dataclasses.replace(WHOLE_FACE, left=3.0))
    np.testing.assert_array_equal(elsewhere.features("test"), face_features(elsewhere.model, elsewhere.test.images))
    assert not np.array_equal(elsewhere.features("test"), found), "another region, the same weights"
    assert weights_hash(model(0)) == weights_hash(model(0)) != weights_hash(model(1))


@pytest.mark.parametrize("content", [b"", b"no array", "short"])
def test_damaged_stored_features_are_one_line(monkeypatch, tmp_path, content):
    monkeypatch.setenv("DEEPID_CACHE", str(tmp_path))
    found = small_setup("reference").features("test", layer=3)
    (path,) = tmp_path.glob("features-*-fc3.npy")
    if content == "short":
        np.save(path, found[1:])
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match="fc3.npy: cannot be read as the features of 6 faces; delete it"):
        small_setup("reference").features("test")


def test_another_net_on_the_same_people_has_features_of_its_own():
    s = small_setup()
    other = s.with_model(model(1))
    assert other.test is s.test and not np.array_equal(other.features("test"), s.features("test"))
    np.testing.assert_array_equal(other.features("test"), face_features(model(1), s.test.images))


def test_the_untrained_null_is_the_net_with_fresh_weights_on_the_same_people(monkeypatch, tmp_path):
    s = small_setup()
    null = s.untrained(3)
    assert null.test is s.test and null.precision == "fp32"
    expected = face_features(untrained_model(s.model, s.held_out.images, 3), s.test.images)
    np.testing.assert_array_equal(null.features("test"), expected)
    assert weights_hash(s.untrained(3).model) == weights_hash(null.model) != weights_hash(s.untrained(4).model)
    monkeypatch.setenv("DEEPID_CACHE", str(tmp_path))
    photographs = small_setup("reference")
    assert photographs.untrained().precision == "bf16" and photographs.precision == "fp32"
    rough = dataclasses.replace(photographs, precision="bf16")
    assert not np.array_equal(rough.features("test"), photographs.features("test"))  # nor is one taken for the other


def test_lite_people_stand_on_one_side_only():
    s = setups.lite()
    assert len(s.test) == 4000 and len(s.held_out) == 4000 and len(s.identity_set) == 4500 and len(s.celebrities) == 5
    counts = np.bincount(s.identity_set.labels)
    assert [counts[s.identity_set.names.index(name)] for name in s.celebrities] == [100] * 5


@pytest.mark.parametrize(("scale", "net"), [("lite", "lite"), ("reference", "webfaces")])
def test_every_record_is_of_the_shipped_net(scale, net):
    """A record of an earlier net has no place beside those of the present one; ensembles have nets of their own."""
    shipped, of_nets = weights_hash(pretrained(net))[:16], {}
    for path in (results_folder() / scale).glob("*.json"):
        found = read_record(path, "restore it with git").get("model_hash")
        if found and not path.stem.startswith("ensemble"):
            of_nets[path.stem] = found
    assert len(of_nets) > 8 and {name for name, found in of_nets.items() if found != shipped} == set()
