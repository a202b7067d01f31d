"""Experiments: variants of a tiny training, resumed, measured alike, and never mixed with others."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from samples import face_set

from deepid_lite.errors import DataError
from deepid_lite.faces.regions import REGIONS
from deepid_lite.nets import deepid as nets
from deepid_lite.nets import recipe as recipes
from deepid_lite.nets.training import TwoSignalObjective
from deepid_lite.results import read_record, sealed
from deepid_lite.studies import ablations as experiments
from deepid_lite.studies import comparisons
from deepid_lite.studies.ablation_list import EXPERIMENTS, Experiment
from deepid_lite.studies.ablations import Parts, attached, load_parts, run_experiment, varied
from deepid_lite.verification import metrics as protocols
from deepid_lite.verification.evaluation import pair_scores
from deepid_lite.verification.features import extract
from deepid_lite.verification.model import face_features
from deepid_lite.verification.pairs import Pairs, make_pairs

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
    assert found == read_record(tmp_path / "out" / "result.json", "") == run(tiny, tmp_path / "out", parts)
    assert len(counted) == 3 and found["variants"]["without"] == first["variants"]["without"]
    assert found["scale"] == "reference" and found["data_hash"] == "hash 1" and found["statement"] == SHORT.statement
    assert found["variants"]["few"]["people"] == 6 and found["variants"]["with"]["recipe"]["weight"] == 0.05
    # 2 epochs of 5 batches are 10 steps, and so are 3 of 3, as nearly as whole epochs allow
    assert found["variants"]["few"]["recipe"]["epochs"] == 3 and found["variants"]["few"]["images_seen"] == 108
    assert found["variants"]["with"]["images_seen"] == 120
    assert found["variants"]["without"]["recipe"]["weight"] == 0
    for variant in found["variants"].values():
        assert list(variant["layers"]) == ["FC-3", "FC-4"] and variant["commit"] == found["commit"]
        for layer in variant["layers"].values():
            assert layer["sparsity"]["images"] == 48 and 0 < layer["sparsity"]["active_mean"] < 8
            assert np.mean(layer["fold_accuracy"]) == pytest.approx(layer["accuracy"]["joint_bayesian"], abs=1e-2)
            assert set(layer["accuracy"]) == {"joint_bayesian", "cosine", "hamming", "euclidean"}
    for layers in (found["null"]["untrained"], *(v["layers"] for v in found["variants"].values())):
        assert "right" not in layers["FC-3"]
        for kind, text in layers["FC-4"]["right"].items():
            right = comparisons.unpacked(text, 48)
            assert 100 * right.mean() == pytest.approx(layers["FC-4"]["accuracy"][kind], abs=1e-3)
    assert found["pairs"] == 48 and found["pairs_per_fold"] == [24, 24]
    assert list(found["null"]) == ["untrained", "untrained_plain"]
    assert found["null"]["untrained"]["FC-4"]["sparsity"] != found["variants"]["with"]["layers"]["FC-4"]["sparsity"]


def test_fresh_trains_all_of_it_again(tiny, tmp_path, parts, counted):
    first = run(tiny, tmp_path / "out", parts, only=["with"])
    (tmp_path / "out" / "mine").mkdir()
    again = run(tiny, tmp_path / "out", parts, only=["with"], fresh=True)
    assert counted == [("with", 60)] * 2 and again["variants"]["with"]["layers"] == first["variants"]["with"]["layers"]
    assert (tmp_path / "out" / "mine").is_dir(), "what it did not make stays"


def test_a_run_stopped_in_a_variant_goes_on(tiny, tmp_path, parts, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    run(tiny, tmp_path / "out", parts, only=[])  # the null is measured
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
    other = parts._replace(held_out=face_set(8, 6, seed=7))
    with pytest.raises(DataError, match="of another kept_hash .*take another folder"):
        run(tiny, out, other)
    with pytest.raises(DataError, match="of another recipe "):
        run(tiny, out, parts, epochs=3)
    run(tiny, out, parts, only=["few"])
    before = (out / "result.json").read_text()
    with monkeypatch.context() as patch:
        patch.setitem(EXPERIMENTS, "short", SHORT._replace(variants=SHORT.variants | {"few": {"lr": 1e-4}}))
        with pytest.raises(DataError, match="'few' is of another recipe; take another folder"):
            run(tiny, out, parts, only=["few"])
    with monkeypatch.context() as patch:
        patch.setattr(experiments, "VERSION", 0)
        with pytest.raises(DataError, match="of another code .commit"):
            run(tiny, out, parts)
    assert (out / "result.json").read_text() == before
    edited = json.loads(before)
    del edited["digest"]
    for text, says in ((before[:100], "not valid JSON"), ("[]", "holds a list"),
                       (json.dumps(edited), "not as it was recorded"),
                       (json.dumps(sealed(edited | {"variants": [1]})), "damaged"),
                       (json.dumps(sealed(edited | {"variants": {"few": None}})), "damaged")):  # fmt: skip
        (out / "result.json").write_text(text)
        with pytest.raises(DataError, match=f"result.json: {says}.*take another folder"):
            run(tiny, out, parts)
    (out / "result.json").unlink()
    (out / "with").mkdir()
    with pytest.raises(DataError, match="of unknown code"):
        run(tiny, out, parts)


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
    for people in (11, 1, 2.5, -0.2):
        monkeypatch.setitem(EXPERIMENTS, "short", Experiment("", {"many": {"people": people}}))
        with pytest.raises(DataError, match=f"people = {people}: use a number from 2 to 10"):
            run(tiny, tmp_path / "out", parts, only=["many"])
    with pytest.raises(DataError, match="its people are trained on"):
        load_parts("some/folder")


def test_people_that_the_data_lacks_are_left_out_unless_they_are_asked_for(tiny, tmp_path, parts, monkeypatch):
    variants = {"four": {"people": 4}, "eleven": {"people": 11}}
    monkeypatch.setitem(EXPERIMENTS, "short", Experiment("", variants))
    assert list(run(tiny, tmp_path / "out", parts)["variants"]) == ["four"]


def test_fewer_people_are_among_more():
    labels = np.repeat(np.arange(10), 3)
    few, more = (experiments.some_people(labels, n, seed=0) for n in (3, 7))
    assert few.sum() == 9 and more.sum() == 21 and (more | ~few).all()
    assert experiments.some_people(labels, None, 0).all()
    assert (experiments.some_people(labels, 0.3, 0) == few).all()


def test_the_base_of_an_experiment_is_shared_and_a_region_brings_its_input(tiny, tmp_path, parts, monkeypatch):
    eyes = {"region": "eyes and nose"}
    both = Experiment("", {"eyes": eyes, "plain": {}}, {"architecture": "DeepID2", "net.heads": [4]})
    monkeypatch.setitem(EXPERIMENTS, "short", both)
    with pytest.raises(DataError, match="heads"):  # the base is checked like any change: DeepID2 has one layer
        run(tiny, tmp_path / "out", parts)
    monkeypatch.setitem(EXPERIMENTS, "short", both._replace(base={"net.heads": [4]}))
    found = run(tiny, tmp_path / "out", parts, only=["eyes"])["variants"]["eyes"]
    assert found["recipe"]["region"] == "eyes and nose" and found["recipe"]["net"]["heads"] == [4]
    assert found["recipe"]["net"]["input_shape"] == list(REGIONS["eyes and nose"].shape) == [47, 47]
    assert list(found["layers"]) == ["FC-4"]


def test_attached_layers_read_a_net_that_stays_as_it_was(parts):
    torch.manual_seed(1)
    net = nets.DeepID2Plus(maps=4, dimension=8, heads=(4,), batch_norm=True).eval()
    images = np.random.default_rng(0).integers(0, 256, (300, 55, 47, 3), np.uint8)
    whole = attached(net, [1, 2], images, seed=3)
    assert whole.heads == (1, 2, 4) and not whole.training
    found = extract(whole, images, layer=(1, 2, 4), flip=False)
    np.testing.assert_array_equal(found[4], extract(net, images, flip=False))
    for layer in (1, 2):  # batch norm's statistics are those of the images: near half are active, and no neuron is idle
        rates = (found[layer] > 0).mean(0)
        assert 0.4 < rates.mean() < 0.6 and rates.min() > 0.1
        assert found[layer].std() > 0.3
    again = extract(attached(net, [1, 2], images, seed=3), images, layer=2, flip=False)
    np.testing.assert_array_equal(again, found[2])
    assert np.abs(extract(attached(net, [1, 2], images, seed=4), images, layer=2, flip=False) - found[2]).max() > 0.1
    plain = nets.DeepID2Plus(maps=4, dimension=8, heads=(4,)).eval()
    assert extract(attached(plain, [3], images), images, layer=3).any()


def test_no_layerwise_supervision_measures_all_layers(tiny, tmp_path, parts, monkeypatch):
    monkeypatch.setitem(EXPERIMENTS, "short", Experiment("", {"top": {"net.heads": [4], "attach": [1, 2, 3]}}))
    found = run(tiny, tmp_path / "out", parts)["variants"]["top"]
    assert list(found["layers"]) == ["FC-1", "FC-2", "FC-3", "FC-4"] and found["recipe"]["net"]["heads"] == [4]


def test_right_is_what_the_thresholds_of_the_other_folds_decide(parts):
    shuffled = np.random.default_rng(0).permutation(len(parts.pairs))
    pairs = Pairs(*(column[shuffled] for column in dataclasses.astuple(parts.pairs)))
    torch.manual_seed(0)
    net = nets.DeepID2Plus(maps=4, dimension=8, heads=(4,), batch_norm=True).eval()
    model = experiments.FaceModel(net, REGIONS["whole face"], None, {})
    found = experiments.measure(model, parts._replace(pairs=pairs))["FC-4"]
    features = face_features(model, parts.test.images)
    distance = np.linalg.norm(features[pairs.first] - features[pairs.second], axis=1)
    fitted = model.with_verifier(face_features(model, parts.held_out.images), parts.held_out.labels)
    scores = pair_scores(fitted, features, pairs)
    for kind, values in (("euclidean", -distance), ("joint_bayesian", scores["joint_bayesian"])):
        right = comparisons.unpacked(found["right"][kind], len(pairs))
        wanted = protocols.verify(values, pairs)
        of_fold = [right[:24].mean(), right[24:].mean()]
        np.testing.assert_allclose(of_fold, wanted.fold_accuracy)
        first = values[pairs.fold == 0] > wanted.threshold[0]
        np.testing.assert_array_equal(right[:24], first == pairs.same[pairs.fold == 0])
        assert found["accuracy"][kind] == pytest.approx(100 * wanted.accuracy, abs=1e-3)


@pytest.mark.parametrize("preset", ["ablation", "lite"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_is_one_of_different_recipes(name, preset):
    experiment = EXPERIMENTS[name]
    base = varied(recipes.read_recipe(preset), experiment.base)
    made = [str(experiments._split(base, changes)) for changes in experiment.variants.values()]
    assert len(set(made)) == len(made) >= 2 and experiment.statement.endswith(".")
    assert not any("/" in variant for variant in experiment.variants)


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name not in ("dropout", "people")])
def test_every_variant_takes_a_step(name):
    """Gradients of both signals reach the first convolution, whatever the variant changes."""
    base = varied(recipes.read_recipe("ablation"), {"net.maps": [4] * 4, "net.dimension": 8})
    shared = {key: value for key, value in EXPERIMENTS[name].base.items() if key not in ("net.maps", "net.dimension")}
    x, labels = torch.randn(8, 3, 55, 47), torch.arange(8) // 2
    for variant, changes in EXPERIMENTS[name].variants.items():
        changes = {key: value for key, value in changes.items() if key not in ("net.maps", "net.dimension")}
        recipe, _ = experiments._split(varied(base, shared), changes)
        torch.manual_seed(0)
        objective = TwoSignalObjective(recipe, 4)
        rows, columns = objective.net.config["input_shape"]
        loss, _ = objective((x[:, :, :rows, :columns], labels), 1.0)
        loss.backward()
        gradient = objective.net.conv1.weight.grad
        assert torch.isfinite(gradient).all() and gradient.abs().max() > 0, variant


def test_the_papers_recipe_is_that_of_the_preset():
    changed = dataclasses.asdict(varied(recipes.read_recipe("ablation"), EXPERIMENTS["recipes"].variants["paper's"]))
    paper = dataclasses.asdict(recipes.read_recipe("paper"))
    differ = {key for key in paper if paper[key] != changed[key]}
    assert differ <= {"epochs", "net", "precision"} and not changed["net"]["batch_norm"]
