"""Experiments: variants of a tiny training, resumed, measured alike, and never mixed with others."""

import json

import numpy as np
import pytest

from deepid_lite import experiments, recipes
from deepid_lite.errors import DataError
from deepid_lite.experiments import EXPERIMENTS, Experiment, Parts, load_parts, run_experiment, varied
from deepid_lite.faces import FaceSet
from deepid_lite.protocols import make_pairs

TINY = """
epochs = 2
batch_size = 12
images_per_person = 3
lr = 2e-3
vary = 0.5
precision = "fp32"
[net]
maps = 4
dimension = 8
heads = [3, 4]
batch_norm = true
"""
SHORT = Experiment("It learns either way.", {"with": {}, "without": {"weight": 0.0}, "few": {"people": 6}})


def face_set(n_people, each, seed):
    """Aligned pictures of people who are blobs of colour."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_people), each)
    coarse = rng.integers(0, 256, (n_people, 9, 8, 3)).repeat(16, 1).repeat(16, 2)[labels]
    images = (0.7 * coarse + rng.normal(0, 20, coarse.shape) + 30).clip(0, 255).astype(np.uint8)
    names = [f"{seed}-{person}" for person in range(n_people)]
    landmarks = np.zeros((len(labels), 5, 2), np.float32)
    return FaceSet(images, labels, names, landmarks, {}, [str(i) for i in range(len(labels))], "blobs", f"hash {seed}")


@pytest.fixture(scope="module")
def parts():
    test = face_set(20, 4, seed=3)
    pairs = make_pairs(test.labels, n_folds=2, per_fold=12)
    return Parts(face_set(10, 6, seed=1), face_set(8, 6, seed=2), test, pairs)


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.setitem(EXPERIMENTS, "short", SHORT)
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def run(tiny, out, parts, **options):
    return run_experiment("short", "blobs", None, out, tiny, parts=parts, device="cpu", progress=False, **options)


@pytest.fixture
def counted(monkeypatch):
    """Names of the folders that are trained in."""
    folders, train = [], experiments.train

    def counting(images, labels, recipe, folder, device):
        folders.append((folder.name, len(labels)))
        return train(images, labels, recipe, folder, device)

    monkeypatch.setattr(experiments, "train", counting)
    return folders


def test_it_trains_measures_and_goes_on(tiny, tmp_path, parts, counted):
    first = run(tiny, tmp_path / "out", parts, only=["without"])
    assert list(first["variants"]) == ["without"] and counted == [("without", 60)]
    found = run(tiny, tmp_path / "out", parts)
    assert counted == [("without", 60), ("with", 60), ("few", 36)], "a finished variant was trained again"
    assert found == json.loads((tmp_path / "out" / "result.json").read_text()) == run(tiny, tmp_path / "out", parts)
    assert len(counted) == 3 and found["variants"]["without"] == first["variants"]["without"]
    assert found["scale"] == "reference" and found["data_hash"] == "hash 1" and found["statement"] == SHORT.statement
    assert found["variants"]["few"]["people"] == 6 and found["variants"]["with"]["recipe"]["weight"] == 0.05
    assert found["variants"]["without"]["recipe"]["weight"] == 0
    for variant in found["variants"].values():
        assert list(variant["layers"]) == ["FC-3", "FC-4"] and variant["commit"] == found["commit"]
        for layer in variant["layers"].values():
            assert layer["sparsity"]["images"] == 48 and 0 < layer["sparsity"]["active_mean"] < 8
            assert np.mean(layer["fold_accuracy"]) == pytest.approx(layer["accuracy"]["joint_bayesian"], abs=1e-2)
            assert set(layer["accuracy"]) == {"joint_bayesian", "cosine", "hamming"}
    assert list(found["null"]) == ["untrained", "untrained_plain"]
    assert found["null"]["untrained"]["FC-4"]["sparsity"] != found["variants"]["with"]["layers"]["FC-4"]["sparsity"]


def test_a_run_stopped_in_a_variant_goes_on(tiny, tmp_path, parts, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(experiments, "measure", killed)  # trained, not measured yet
        with pytest.raises(KeyboardInterrupt):
            run(tiny, tmp_path / "out", parts, only=["with"])
    assert json.loads((tmp_path / "out" / "result.json").read_text())["variants"] == {}
    weights = (tmp_path / "out" / "with" / "weights.safetensors").stat().st_mtime_ns
    again = run(tiny, tmp_path / "out", parts, only=["with"])["variants"]["with"]
    assert (tmp_path / "out" / "with" / "weights.safetensors").stat().st_mtime_ns == weights, "it was trained again"
    whole = run(tiny, tmp_path / "whole", parts, only=["with"])["variants"]["with"]
    assert again["layers"] == whole["layers"]


def test_results_of_others_are_refused(tiny, tmp_path, parts, monkeypatch):
    out = tmp_path / "out"
    run(tiny, out, parts, only=[])
    before = (out / "result.json").read_text()
    other = parts._replace(kept=face_set(8, 6, seed=7))
    with pytest.raises(DataError, match="of another kept_hash .*take another folder"):
        run(tiny, out, other)
    with pytest.raises(DataError, match="of another recipe "):
        run(tiny, out, parts, epochs=3)
    with monkeypatch.context() as patch:
        patch.setattr(experiments, "code_hash", lambda: "changed")
        with pytest.raises(DataError, match="of another code .commit"):
            run(tiny, out, parts)
    assert (out / "result.json").read_text() == before
    (out / "result.json").write_text(before[:100])
    with pytest.raises(DataError, match="damaged"):
        run(tiny, out, parts)
    (out / "result.json").unlink()
    (out / "with").mkdir()
    with pytest.raises(DataError, match="of unknown code"):
        run(tiny, out, parts)


def test_code_hash_sees_every_module_it_names(monkeypatch):
    before = experiments.code_hash()
    monkeypatch.setattr(experiments, "CODE", experiments.CODE[:-1])
    assert experiments.code_hash() != before


def test_what_does_not_exist_is_one_line_before_anything_is_trained(tiny, tmp_path, parts, monkeypatch):
    for options, says in (({"only": ["with", "wihtout"]}, "variant 'wihtout': short has with; without; few"),):
        with pytest.raises(DataError, match=says):
            run(tiny, tmp_path / "out", parts, **options)
    with pytest.raises(DataError, match="unknown; use one of dropout"):
        run_experiment("no such", parts=parts)
    for changes, says in (({"net.dropuot": 0.5}, "dropuot"), ({"lrr": 1}, "no recipe has it"),
                          ({"lr.x": 1}, "no recipe has it"), ({"weight": -1}, "weight = -1")):  # fmt: skip
        monkeypatch.setitem(EXPERIMENTS, "short", Experiment("", {"good": {}, "bad": changes}))
        with pytest.raises(DataError, match=says):
            run(tiny, tmp_path / "out", parts)
    assert not (tmp_path / "out").exists()
    monkeypatch.setitem(EXPERIMENTS, "short", Experiment("", {"many": {"people": 11}}))
    with pytest.raises(DataError, match="people = 11: use a number from 2 to 10"):
        run(tiny, tmp_path / "out", parts)
    with pytest.raises(DataError, match="its people are trained on"):
        load_parts("some/folder")


def test_fewer_people_are_among_more():
    labels = np.repeat(np.arange(10), 3)
    few, more = (experiments._some_people(labels, n, seed=0) for n in (3, 7))
    assert few.sum() == 9 and more.sum() == 21 and (more | ~few).all()
    assert experiments._some_people(labels, None, 0).all()


@pytest.mark.parametrize("preset", ["ablation", "lite"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_is_one_of_different_recipes(name, preset):
    base = recipes.read_recipe(preset)
    made = [
        str(varied(base, {k: v for k, v in changes.items() if k != "people"})) + str(changes.get("people"))
        for changes in EXPERIMENTS[name].variants.values()
    ]
    assert len(set(made)) == len(made) >= 2 and EXPERIMENTS[name].statement.endswith(".")
    assert not any("/" in variant for variant in EXPERIMENTS[name].variants)
