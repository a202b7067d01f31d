"""The shipped codes: LFW's numbers without its names, whole, of the shipped net, and refused when damaged."""

import dataclasses
import fnmatch
import json
import os
import tomllib
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from deepid_lite import tensors as checkpoints
from deepid_lite.errors import DataError
from deepid_lite.faces.regions import crop
from deepid_lite.neurons import codes, sparsity
from deepid_lite.neurons.lfw_codes import ShippedCodes, lfw_codes, save, shuffled
from deepid_lite.results import load_result
from deepid_lite.studies import codes as code_tables
from deepid_lite.verification.benchmarks import benchmark
from deepid_lite.verification.features import extract
from deepid_lite.verification.metrics import verify
from deepid_lite.verification.model import pretrained, weights_hash
from deepid_lite.verification.pairs import make_pairs

FILE = Path(str(resources.files("deepid_lite") / "shipped" / "lfw-codes.safetensors"))


def hamming_of(bits, pairs):
    return -(bits[pairs.first] ^ bits[pairs.second]).sum(1).astype(float)


@pytest.fixture(scope="module")
def shipped():
    return lfw_codes()


@pytest.fixture
def small():
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(40), 5)
    bits = (rng.random((40, 64)) < 0.5)[people] ^ (rng.random((200, 64)) < 0.25)
    return ShippedCodes(codes.pack(bits), people, make_pairs(people, n_folds=4, per_fold=10), {"seed": 0})


# --- the shuffle and the file


def test_the_shuffle_changes_the_order_and_no_number(small):
    packed, people, pairs = shuffled(small.codes, small.people, small.pairs, seed=3)
    before, after = codes.unpack(small.codes), codes.unpack(packed)
    assert (people != small.people).mean() > 0.5 and (packed != small.codes).any(1).mean() > 0.5
    assert sparsity.summary(before, small.people) == sparsity.summary(after, people)
    old, new = (verify(hamming_of(b, p), p).fold_accuracy for b, p in ((before, small.pairs), (after, pairs)))
    np.testing.assert_array_equal(old, new)  # fold by fold
    np.testing.assert_array_equal(people[pairs.first] == people[pairs.second], pairs.same)
    assert (np.diff(pairs.fold) >= 0).all() and (pairs.same != small.pairs.same).any()

    # some pairs are turned round, some are not: each stands at the same codes as before
    def ends(c, p):
        return [tuple(map(bytes, (c[i], c[j]))) for i, j in zip(p.first, p.second, strict=True)]

    old, new = set(ends(small.codes, small.pairs)), ends(packed, pairs)
    assert 20 < sum(pair in old for pair in new) < 60
    assert all(pair in old or pair[::-1] in old for pair in new) and len(set(new)) == len(old)
    again = shuffled(small.codes, small.people, small.pairs, seed=3)
    assert np.array_equal(packed, again[0]) and not np.array_equal(
        packed, shuffled(small.codes, small.people, small.pairs, seed=4)[0]
    )


def test_the_file_gives_back_what_went_in(small, tmp_path):
    save(tmp_path / "c.safetensors", small)
    back = lfw_codes(tmp_path / "c.safetensors")
    assert back.codes.dtype == np.uint8 and back.people.dtype == back.pairs.first.dtype == np.int64
    assert back.pairs.same.dtype == bool and back.card == small.card
    for one, other in ((back.codes, small.codes), (back.people, small.people)):
        np.testing.assert_array_equal(one, other)
    for field in dataclasses.fields(small.pairs):
        np.testing.assert_array_equal(getattr(back.pairs, field.name), getattr(small.pairs, field.name))
    save(tmp_path / "d.safetensors", small)
    assert (tmp_path / "c.safetensors").read_bytes() == (tmp_path / "d.safetensors").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.safetensors", "d.safetensors"]


@pytest.mark.parametrize("damage", ["flip", "cut", "text", "other", "gone"])
def test_a_damaged_file_is_one_line(small, tmp_path, damage):
    path = tmp_path / "c.safetensors"
    save(path, small)
    body = bytearray(path.read_bytes())
    if damage == "flip":
        body[-100] ^= 1  # one bit of one number
        path.write_bytes(body)
    elif damage == "cut":
        path.write_bytes(body[:-7])
    elif damage == "text":
        path.write_text("hello")
    elif damage == "other":
        checkpoints.save(path, {}, {"card": {}})
    else:
        path.unlink()
    words = {"flip": "checksum", "cut": "cut short", "text": "damaged", "other": "no shipped codes", "gone": "no such"}
    with pytest.raises(DataError, match=words[damage]) as caught:
        lfw_codes(path)
    assert "c.safetensors" in str(caught.value) and "\n" not in str(caught.value)


# --- what ships


def test_lfw_is_whole(shipped):
    assert shipped.codes.shape == (13_233, 64) and len(np.unique(shipped.people)) == 5_749
    assert shipped.people.min() == 0 and shipped.people.max() == 5_748
    assert (np.bincount(shipped.people) > 1).sum() == 1_680
    assert np.bincount(shipped.pairs.fold).tolist() == [600] * 10
    assert [shipped.pairs.same[shipped.pairs.fold == f].sum() for f in range(10)] == [300] * 10
    who = [set(shipped.people[np.concatenate([p[shipped.pairs.fold == f] for p in (
        shipped.pairs.first, shipped.pairs.second)])]) for f in range(10)]  # fmt: skip
    assert sum(map(len, who)) == len(set.union(*who))  # nobody is in two folds
    np.testing.assert_array_equal(
        shipped.people[shipped.pairs.first] == shipped.people[shipped.pairs.second], shipped.pairs.same
    )


def test_the_file_holds_numbers_and_no_name():
    with safe_open(FILE, framework="np") as file:
        assert set(file.keys()) == {"codes", "people", "first", "second", "same", "fold"}
        kinds = {name: file.get_tensor(name).dtype.kind for name in file.keys()}
        facts = json.loads(file.metadata()["facts"])
    assert set(kinds.values()) <= {"i", "u", "b"} and set(facts) == {"card", "sha256"}
    assert set(facts["card"]) == {"what", "data", "data_hash", "model", "model_hash", "images", "people", "pairs",
                                  "bits", "seed", "use", "device", "versions", "commit"}  # fmt: skip
    assert b".jpg" not in FILE.read_bytes() and FILE.stat().st_size < 1_000_000


def test_the_order_says_nothing_of_people(shipped):
    """LFW lists one person after another; here neighbours are strangers, and numbers do not follow the images."""
    assert (np.diff(shipped.people) == 0).sum() < 40
    first = np.unique(shipped.people, return_index=True)[1]
    assert abs(np.corrcoef(np.arange(len(first)), first)[0, 1]) < 0.05


def test_the_codes_are_those_of_the_shipped_net(shipped):
    assert shipped.card["model"] == "webfaces"
    now = weights_hash(pretrained("webfaces"))
    assert shipped.card["model_hash"] == now, "run data_scripts/lfw_codes.py again: the net has changed"


def test_the_numbers_are_those_recorded_from_photographs(shipped):
    bits, record = codes.unpack(shipped.codes), load_result("codes")
    found = code_tables.accuracy(hamming_of(bits, shipped.pairs), shipped.pairs)
    wanted = record["table"]["picture"]["binary"]["hamming"]
    assert found["accuracy"] == pytest.approx(wanted["accuracy"], abs=0.1)
    assert found["standard_error"] == pytest.approx(wanted["standard_error"], abs=0.05)
    assert shipped.card["data_hash"].startswith(record["test_hash"])
    counted, wanted = sparsity.summary(bits, shipped.people, histograms=False), load_result("sparsity")["test"]["FC-4"]
    for key in ("images", "neurons"):
        assert counted[key] == wanted[key]
    for key in ("active_mean", "active_std", "images_mean", "images_std", "entropy_mean"):
        assert counted[key] == pytest.approx(wanted[key], rel=1e-3), key
    for key in ("within", "between", "spread"):
        assert counted["hamming"][key] == pytest.approx(wanted["hamming"][key], rel=1e-3), key


def test_the_package_carries_the_file():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    globs = tomllib.loads(text)["tool"]["setuptools"]["package-data"]["deepid_lite"]
    assert any(fnmatch.fnmatch("shipped/lfw-codes.safetensors", glob) for glob in globs)


@pytest.mark.real
@pytest.mark.skipif(not os.environ.get("DEEPID_DATA"), reason="DEEPID_DATA names no real faces")
def test_the_photographs_give_these_codes(shipped):
    """The lists of all images and pairs, and the codes of the images of a few hundred, computed anew."""
    test = benchmark("lfw")
    faces, pairs = test.faces, test.pairs
    assert faces.data_hash == shipped.card["data_hash"]
    rows = np.arange(len(faces))
    numbers = np.stack([rows // 256, rows % 256], axis=1).astype(np.uint8)  # in place of codes: which image this is
    tags, people, listed = shuffled(numbers, faces.labels, pairs, shipped.card["seed"])
    np.testing.assert_array_equal(people, shipped.people)
    for field in dataclasses.fields(pairs):
        np.testing.assert_array_equal(getattr(listed, field.name), getattr(shipped.pairs, field.name))
    was = tags.astype(int) @ [256, 1]
    assert len(np.unique(was)) == len(faces)
    few = np.random.default_rng(0).choice(len(faces), 300, replace=False)
    model = pretrained("webfaces")
    found = extract(model.net, crop(faces.images[np.sort(was[few])], model.region), flip=False) > 0
    stored = codes.unpack(shipped.codes[few[np.argsort(was[few])]])
    # a feature near 0 may fall on either side on another processor
    assert (found == stored).mean() > 0.9999 and (found == stored).all(1).mean() > 0.98
