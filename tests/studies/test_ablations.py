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
from deepid_lite.nets.training import TwoSignalObjective, train
from deepid_lite.results import read_record, sealed
from deepid_lite.studies import ablation_nets, ablations, comparisons
from deepid_lite.studies.ablation_data import Crops, Parts, held_out_trial, load_test, some_images, some_people
from deepid_lite.studies.ablation_list import EXPERIMENTS, Experiment
from deepid_lite.studies.ablation_nets import attached, measure
from deepid_lite.studies.ablations import run_experiment, varied
from deepid_lite.verification import metrics as protocols
from deepid_lite.verification.evaluation import pair_scores
from deepid_lite.verification.features import extract
from deepid_lite.verification.model import FaceModel, face_features
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
    return Parts(face_set(10, 6, seed=1), face_set(40, 4, seed=2), test, make_pairs(test.labels, 2, 12))


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.setitem(EXPERIMENTS, "short", SHORT)
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def run(tiny, out, parts, seeds=1, **options):
    return run_experiment("short", "blobs", None, out, tiny, parts=parts, device="cpu", seeds=seeds, **options)


@pytest.fixture
def counted(monkeypatch):
    """(variant, seed, images) of what is trained."""
    found, trained = [], ablations.trained

    def counting(crops, labels, recipe, folder, *rest):
        found.append((folder.parent.name, recipe.seed, len(labels)))
        return trained(crops, labels, recipe, folder, *rest)

    monkeypatch.setattr(ablations, "trained", counting)
    return found


def test_it_trains_measures_and_goes_on(tiny, tmp_path, parts, counted):
    first = run(tiny, tmp_path / "out", parts, only=["without"])
    assert list(first["variants"]) == ["without"] and counted == [("without", 0, 60)]
    found = run(tiny, tmp_path / "out", parts, seeds=2)
    assert counted[1:] == [("with", 0, 60), ("few", 0, 36), ("with", 1, 60), ("without", 1, 60), ("few", 1, 36)]
    path = tmp_path / "out" / "result.json"
    assert found == read_record(path, "") == run(tiny, tmp_path / "out", parts, seeds=2) and len(counted) == 6
    assert found["variants"]["without"]["runs"]["0"] == first["variants"]["without"]["runs"]["0"]
    assert found["scale"] == "reference" and found["data_hash"] == "hash 1" and found["statement"] == SHORT.statement
    assert found["variants"]["few"]["people"] == 6 and found["variants"]["with"]["recipe"]["weight"] == 0.05
    # 2 epochs of 5 batches are 10 steps, and so are 3 of 3, as nearly as whole epochs allow
    few = found["variants"]["few"]["runs"]["0"]
    assert few["epochs"] == 3 and few["images_seen"] == 108 and found["variants"]["with"]["images_seen"] == 120
    assert found["variants"]["without"]["recipe"]["weight"] == 0
    for variant in found["variants"].values():
        for one in variant["runs"].values():
            assert one["commit"] == found["commit"] and one["cpu_seconds"] > 0
            check_layers(one["held_out"], found["pairs"])
    assert found["pairs"] == 10 * found["pairs_per_fold"][0]
    for null in found["null"].values():
        check_layers(null, found["pairs"])
    assert list(found["null"]) == ["untrained", "untrained_plain"]
    assert found["null"]["untrained"]["FC-4"]["sparsity"] != found["variants"]["with"]["layers"]["FC-4"]["sparsity"]


def check_layers(layers, n_pairs):
    assert list(layers) == ["FC-3", "FC-4"] and "right" not in layers["FC-3"]
    for layer in layers.values():
        assert 0 < layer["sparsity"]["active_mean"] < 8
        assert layer["active"]["fit"] == pytest.approx(100 * layer["sparsity"]["active_mean"] / 8, abs=1e-3)
        assert np.mean(layer["fold_accuracy"]) == pytest.approx(layer["accuracy"]["joint_bayesian"], abs=1e-2)
        assert {"joint_bayesian", "cosine", "hamming", "euclidean"} <= set(layer["accuracy"])
    for kind, text in layers["FC-4"]["right"].items():
        right = comparisons.unpacked(text, n_pairs)
        assert 100 * right.mean() == pytest.approx(layers["FC-4"]["accuracy"][kind], abs=1e-3)


def test_seeds_differ_and_their_means_are_summed_up(tiny, tmp_path, parts):
    found = run(tiny, tmp_path / "out", parts, seeds=2, only=["with"])["variants"]["with"]
    a, b = (found["runs"][seed]["held_out"]["FC-4"] for seed in "01")
    assert a["spectra"] != b["spectra"] and found["runs"]["0"]["curve"] != found["runs"]["1"]["curve"]
    mean = (a["accuracy"]["cosine"] + b["accuracy"]["cosine"]) / 2
    assert found["layers"]["FC-4"]["accuracy"]["cosine"] == pytest.approx(mean, abs=1e-4)
    again = run(tiny, tmp_path / "again", parts, only=["with"], seed=1)["variants"]["with"]["runs"]["1"]
    assert again["held_out"] == found["runs"]["1"]["held_out"], "a seed gives one net, whatever was trained before it"


def test_the_curve_has_the_accuracy_at_places_of_the_way(tiny, tmp_path, parts):
    one = run(tiny, tmp_path / "out", parts, only=["with"])["variants"]["with"]["runs"]["0"]
    curve = one["curve"]
    assert curve["step"] == [1, 2, 4, 5, 6, 8, 9, 10] and len(curve["accuracy"]) == 8
    net, _ = nets.load_net(tmp_path / "out" / "with" / "seed-0" / "weights.safetensors")
    crops = Crops(parts)
    at_the_end = ablation_nets.watched(net, crops.of("held_out", "whole face"), crops.trials["watched"])
    assert curve["accuracy"][-1] == pytest.approx(at_the_end, abs=1e-3)


def test_watching_changes_nothing(tiny, tmp_path, parts):
    """The net is that of a training that nobody stopped."""
    run(tiny, tmp_path / "out", parts, only=["with"])
    crops, recipe = Crops(parts).of("net", "whole face"), varied(recipes.read_recipe(tiny), {})
    plain = train(crops, parts.net.labels, recipe, tmp_path / "plain", "cpu", parts.net.data_hash)
    watched, _ = nets.load_net(tmp_path / "out" / "with" / "seed-0" / "weights.safetensors")
    for a, b in zip(plain.state_dict().values(), watched.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_variant_may_ask_for_more_seeds(tiny, tmp_path, parts, monkeypatch):
    variants = {"two": {"seeds": 2}, "one": {"weight": 0.0}}
    monkeypatch.setitem(EXPERIMENTS, "short", Experiment("", variants))
    found = run(tiny, tmp_path / "out", parts)["variants"]
    assert list(found["two"]["runs"]) == ["0", "1"] and list(found["one"]["runs"]) == ["0"]


def test_a_region_is_cut_once_and_otherwise_all_variants_of_a_seed_come_first(tiny):
    eyes = varied(recipes.read_recipe(tiny), {"region": "eyes and nose"})
    whole = recipes.read_recipe(tiny)
    tried = {"a": (whole, {}), "b": (eyes, {}), "c": (whole, {"seeds": 3})}
    assert ablations._turns(tried, 5, 2) == [("a", 5), ("c", 5), ("a", 6), ("c", 6), ("c", 7), ("b", 5), ("b", 6)]


def test_the_test_set_is_not_read_before_it_is_asked_for(tiny, tmp_path, parts, monkeypatch):
    asked = []

    def reading(data, root, test):
        asked.append(test)
        return parts.test, parts.pairs

    monkeypatch.setattr(ablations, "load_test", reading)
    without = parts._replace(test=None, pairs=None)
    before = run(tiny, tmp_path / "out", without, only=["with"])
    assert not asked and before["scored_on"] == "held_out" and "test" not in before["variants"]["with"]["runs"]["0"]
    after = run(tiny, tmp_path / "out", without, only=["with"], test="lfw")
    assert asked == ["lfw"] and after["scored_on"] == "test" and after["test"]["pairs"] == 48
    one = after["variants"]["with"]["runs"]["0"]
    check_layers(one["test"], 48)
    assert one["held_out"] == before["variants"]["with"]["runs"]["0"]["held_out"]
    assert (
        after["variants"]["with"]["layers"]["FC-4"]["accuracy"]["cosine"] == one["test"]["FC-4"]["accuracy"]["cosine"]
    )
    monkeypatch.setattr(ablations, "measure", None)  # what was tested is not tested again
    assert run(tiny, tmp_path / "out", without, only=["with"], test="lfw") == after


def test_fresh_trains_all_of_it_again(tiny, tmp_path, parts, counted):
    first = run(tiny, tmp_path / "out", parts, only=["with"])
    (tmp_path / "out" / "mine").mkdir()
    again = run(tiny, tmp_path / "out", parts, only=["with"], fresh=True)
    assert len(counted) == 2 and again["variants"]["with"]["layers"] == first["variants"]["with"]["layers"]
    assert (tmp_path / "out" / "mine").is_dir(), "what it did not make stays"


@pytest.mark.parametrize("where", ["trained", "measured", "watched"])
def test_a_run_killed_in_a_variant_goes_on(tiny, tmp_path, parts, monkeypatch, where):
    run(tiny, tmp_path / "out", parts, only=[])  # the null is measured
    calls = []

    def killed(*_, **options):
        calls.append(options.get("stop_after"))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if where == "trained":  # at the fourth place of its way
            fit = ablation_nets.fit
            patch.setattr(ablation_nets, "fit", lambda *a, **o: killed() if o.get("stop_after") == 5 else fit(*a, **o))
        elif where == "measured":
            patch.setattr(ablations, "measure", killed)
        else:
            watch = ablations.watched
            patch.setattr(
                ablations, "watched", lambda *a: killed() if len(calls) == 2 else calls.append(0) or watch(*a)
            )
        with pytest.raises(KeyboardInterrupt):
            run(tiny, tmp_path / "out", parts, only=["with"])
    assert json.loads((tmp_path / "out" / "result.json").read_text())["variants"] == {}
    again = run(tiny, tmp_path / "out", parts, only=["with"])["variants"]["with"]["runs"]["0"]
    whole = run(tiny, tmp_path / "whole", parts, only=["with"])["variants"]["with"]["runs"]["0"]
    assert again["held_out"] == whole["held_out"]
    kept = [place for place, step in enumerate(whole["curve"]["step"]) if where != "watched" or step != 4]
    assert again["curve"] == {key: [values[place] for place in kept] for key, values in whole["curve"].items()}


def test_results_of_others_are_refused(tiny, tmp_path, parts, monkeypatch):
    out = tmp_path / "out"
    run(tiny, out, parts, only=[])
    before = (out / "result.json").read_text()
    other = parts._replace(held_out=face_set(40, 4, seed=7))
    with pytest.raises(DataError, match="of another kept_hash .*take another folder"):
        run(tiny, out, other)
    with pytest.raises(DataError, match="of another recipe "):
        run(tiny, out, parts, epochs=3)
    with pytest.raises(DataError, match="of another share "):
        run(tiny, out, parts, share=0.5)
    run(tiny, out, parts, only=["few"])
    before = (out / "result.json").read_text()
    with monkeypatch.context() as patch:
        patch.setitem(EXPERIMENTS, "short", SHORT._replace(variants=SHORT.variants | {"few": {"lr": 1e-4}}))
        with pytest.raises(DataError, match="'few' is of another recipe; take another folder"):
            run(tiny, out, parts, only=["few"])
    with monkeypatch.context() as patch:
        patch.setattr(ablations, "VERSION", 0)
        with pytest.raises(DataError, match="of another code .commit"):
            run(tiny, out, parts)
    with pytest.raises(DataError, match="tested on another set"):
        ablations._test(json.loads(before) | {"test": {}}, out / "result.json", {}, None, Crops(parts), "", None, None)
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
    for options, says in (({"only": ["with", "wihtout"]}, "variant 'wihtout': short has with; without; few"),
                          ({"seeds": 0}, "seeds = 0"), ({"share": 0}, "share = 0")):  # fmt: skip
        with pytest.raises(DataError, match=says):
            run(tiny, tmp_path / "out", parts, **options)
    with pytest.raises(DataError, match="unknown; use one of signals"):
        run_experiment("no such", parts=parts)
    for changes, says in (({"net.dropuot": 0.5}, "dropuot"), ({"lrr": 1}, "no recipe has it"),
                          ({"lr.x": 1}, "no recipe has it"), ({"weight": -1}, "weight = -1"),
                          ({"images": 0}, "images = 0: use a share")):  # fmt: skip
        monkeypatch.setitem(EXPERIMENTS, "short", Experiment("", {"good": {}, "bad": changes}))
        with pytest.raises(DataError, match=says):
            run(tiny, tmp_path / "out", parts)
    assert not (tmp_path / "out").exists()
    for people in (11, 1, 2.5, -0.2):
        monkeypatch.setitem(EXPERIMENTS, "short", Experiment("", {"many": {"people": people}}))
        with pytest.raises(DataError, match=f"people = {people}: use a number from 2 to 10"):
            run(tiny, tmp_path / "out", parts, only=["many"])
    with pytest.raises(DataError, match="its people are trained on"):
        load_test("some/folder")


def test_people_that_the_data_lacks_are_left_out_unless_they_are_asked_for(tiny, tmp_path, parts, monkeypatch):
    variants = {"four": {"people": 4}, "eleven": {"people": 11}}
    monkeypatch.setitem(EXPERIMENTS, "short", Experiment("", variants))
    assert list(run(tiny, tmp_path / "out", parts)["variants"]) == ["four"]


def test_half_of_the_images_are_those_of_all_people():
    labels = np.repeat(np.arange(5), [1, 2, 3, 9, 20])
    half, most = (some_images(labels, share, seed=0) for share in (0.5, 0.75))
    assert np.bincount(labels[half]).tolist() == [1, 2, 2, 5, 10] and (most | ~half).all()
    assert some_images(labels, 1, 0).all() and some_images(labels, None, 0).all()
    assert (some_images(labels, 0.5, seed=1) != half).any()


def test_nobody_who_fits_joint_bayesian_is_compared():
    labels = np.repeat(np.arange(40), 6)
    for options in ({}, {"per_fold": 3, "most": 30}):
        trial = held_out_trial(labels, **options)
        assert not set(labels[trial.fit]) & set(labels[trial.compared]) and len(trial.people) == len(trial.fit)
        assert (trial.pairs.same == (labels[trial.compared][trial.pairs.first]
                                     == labels[trial.compared][trial.pairs.second])).all()  # fmt: skip
    assert 2 < len(np.unique(trial.people)) <= 5 and len(trial.pairs) == 60


def test_a_net_without_an_active_neuron_decides_by_chance(parts):
    crops = Crops(parts)
    net = nets.DeepID2Plus(maps=4, dimension=8, heads=(4,)).eval()
    with torch.no_grad():
        net.fc["4"].weight.zero_()
        net.fc["4"].bias.fill_(-1)
    found = measure(net, *crops.to_compare("held_out", "whole face"))["FC-4"]
    assert set(found["accuracy"].values()) == {50} and found["active"] == {"fit": 0, "compared": 0}
    assert found["spectra"]["within"]["first_ten"] is None


def test_fewer_people_are_among_more():
    labels = np.repeat(np.arange(10), 3)
    few, more = (some_people(labels, n, seed=0) for n in (3, 7))
    assert few.sum() == 9 and more.sum() == 21 and (more | ~few).all()
    assert some_people(labels, None, 0).all()
    assert (some_people(labels, 0.3, 0) == few).all()


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
    crops = Crops(parts)
    crops.with_test(parts.test, pairs)
    found = measure(net, *crops.to_compare("test", "whole face"))["FC-4"]
    model = FaceModel(net, REGIONS["whole face"], None, {})
    features, of_held_out = (face_features(model, part.images) for part in (parts.test, parts.held_out))
    distance = np.linalg.norm(features[pairs.first] - features[pairs.second], axis=1)
    scores = pair_scores(model.with_verifier(of_held_out, parts.held_out.labels), features, pairs)
    alone = model.with_verifier(of_held_out[:, :8], parts.held_out.labels)
    scores["picture"] = pair_scores(alone, features[:, :8], pairs)["joint_bayesian"]
    for kind, values in (("euclidean", -distance), *((k, scores[k]) for k in ("joint_bayesian", "picture"))):
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
    made = [str(ablations._split(base, changes)) for changes in experiment.variants.values()]
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
        recipe, _ = ablations._split(varied(base, shared), changes)
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
    assert differ <= {"epochs", "net", "precision", "lr"} and not changed["net"]["batch_norm"]
