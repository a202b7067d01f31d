"""Ensembles: features side by side, one verifier; training that goes on; nets that are missing or foreign."""

import dataclasses
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from samples import RECIPE, REGIONS, face_set

from deepid_lite import tensors
from deepid_lite.errors import DataError
from deepid_lite.faces.regions import folder_of
from deepid_lite.nets import deepid as nets
from deepid_lite.registry import CLAIMS
from deepid_lite.studies import ensemble as ensemble_studies
from deepid_lite.studies.setup import Setup
from deepid_lite.verification import ensemble, metrics, pipeline
from deepid_lite.verification.evaluation import pair_scores
from deepid_lite.verification.model import FaceModel, face_features, load_model, save_model
from deepid_lite.verification.pairs import identification_lists, make_pairs
from deepid_lite.verification.verifier import make_verifier

pytestmark = pytest.mark.usefixtures("loaded")


def test_folders_and_features(trained, parts):
    names = sorted(path.name for path in trained.iterdir())
    assert names == ["ensemble.safetensors", "eyes-and-nose", "nose", "whole-face"]
    found = ensemble.load_ensemble(trained)
    assert found.names == ["whole face", "eyes and nose", "nose"]
    assert tuple(found.members[1].net.config["input_shape"]) == (47, 47)
    images = parts[1].images[:5]
    side_by_side = ensemble.features(found.members, images)
    assert side_by_side.shape == (5, 3 * 16)
    for place, member in enumerate(found.members):
        np.testing.assert_array_equal(side_by_side[:, 16 * place : 16 * place + 16], face_features(member, images))


def test_scores_survive_the_file(trained, parts):
    """The verifier of the file scores as one fitted anew on the same features."""
    found = ensemble.load_ensemble(trained)
    features = ensemble.features(found.members, parts[1].images)
    anew = ensemble.fit(found.members, features, parts[1].labels)
    pairs = make_pairs(parts[1].labels, n_folds=2, per_fold=10)
    ours, theirs = (pair_scores(e, features, pairs)["joint_bayesian"] for e in (found, anew))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)
    assert found.card["regions"] == found.names and found.card["images"] == len(parts[1])


def test_a_second_run_trains_nothing_again(trained, monkeypatch):
    monkeypatch.setattr(pipeline, "train_model", lambda *a, **k: pytest.fail("a finished net was trained again"))
    before = (trained / "ensemble.safetensors").read_bytes()
    pipeline.train_ensemble("blobs", None, RECIPE, REGIONS, trained, "cpu")
    assert (trained / "ensemble.safetensors").read_bytes() == before


def test_it_goes_on_between_nets(trained, tmp_path, monkeypatch):
    """Stopped after the first net: the second run trains the other two, and the result is the same."""
    train_model, done = pipeline.train_model, []

    def stops(data, root, recipe, out, device, parts):
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(recipe.region)
        return train_model(data, root, recipe, out, device, parts=parts)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "train_model", stops)
        with pytest.raises(KeyboardInterrupt):
            pipeline.train_ensemble("blobs", None, RECIPE, REGIONS, tmp_path, "cpu")
    assert done == ["whole face"] and not (tmp_path / "ensemble.safetensors").exists()
    with pytest.raises(DataError, match="eyes-and-nose.model.safetensors: not there yet"):
        ensemble.finished_members(tmp_path, REGIONS)
    joined = pipeline.train_ensemble("blobs", None, RECIPE, REGIONS, tmp_path, "cpu")
    whole = ensemble.load_ensemble(trained)
    for a, b in zip(joined.members, whole.members, strict=True):
        for name, tensor in a.net.state_dict().items():
            assert torch.equal(tensor, b.net.state_dict()[name]), name


def test_processes_share_the_nets(trained, tmp_path, monkeypatch):
    """Two processes of a distributed launch, one after the other here: each trains its own, the last one joins."""
    everything = ["ensemble.safetensors", "eyes-and-nose", "nose", "whole-face"]
    for rank, expected in ((1, ["eyes-and-nose"]), (0, everything)):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        joined = pipeline.train_ensemble("blobs", None, RECIPE, REGIONS, tmp_path, "cpu", spread="nets")
        assert sorted(path.name for path in tmp_path.iterdir()) == expected
        assert (joined is None) == (rank == 1)
    for region in REGIONS:
        ours, theirs = (load_model(folder / folder_of(region) / "model.safetensors") for folder in (tmp_path, trained))
        assert all(torch.equal(t, theirs.net.state_dict()[n]) for n, t in ours.net.state_dict().items())


def test_a_folder_of_another_recipe_is_refused(trained):
    other = dataclasses.replace(RECIPE, epochs=2)
    with pytest.raises(DataError, match="whole-face.model.safetensors: of another recipe; take another --out"):
        pipeline.train_ensemble("blobs", None, other, REGIONS, trained, "cpu")
    with pytest.raises(DataError, match="spread 'both'"):
        pipeline.train_ensemble("blobs", None, RECIPE, REGIONS, trained, "cpu", spread="both")


def test_missing_and_foreign_nets(trained, parts, tmp_path):
    with pytest.raises(DataError, match="no ensemble.safetensors there; train"):
        ensemble.load_ensemble(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    shutil.rmtree(copy / "nose")
    with pytest.raises(DataError, match="nose.model.safetensors: the net of region 'nose' is missing"):
        ensemble.load_ensemble(copy)
    shutil.copytree(copy / "whole-face", copy / "nose")
    with pytest.raises(DataError, match="not the net that this ensemble was fitted on"):
        ensemble.load_ensemble(copy)
    net = nets.DeepID2Plus(maps=4, dimension=8, heads=(3, 4), batch_norm=True).eval()
    stranger = FaceModel(net, REGIONS[2], None, {"data_hash": "other"})
    features = face_features(stranger, parts[1].images)
    stranger = dataclasses.replace(stranger, verifier=make_verifier(8).fit(features, parts[1].labels))
    save_model(copy / "nose" / "model.safetensors", stranger)
    with pytest.raises(DataError, match="not the net that this ensemble was fitted on"):
        ensemble.load_ensemble(copy)
    with pytest.raises(DataError, match="trained on different data"):
        ensemble.trained_models(copy)
    with pytest.raises(DataError, match="no <region>/model.safetensors there"):
        ensemble.trained_models(tmp_path / "nowhere")
    (copy / "ensemble.safetensors").write_bytes((trained / "nose" / "model.safetensors").read_bytes())
    with pytest.raises(DataError, match="edited, damaged or of another kind"):
        ensemble.load_ensemble(copy)


@pytest.mark.parametrize(
    "edit",
    [
        lambda t, f: f.update(regions=[]),
        lambda t, f: f["regions"][0].update(name="../../etc"),
        lambda t, f: f["regions"][0].update(name=7),
        lambda t, f: f["weights"].clear(),
        lambda t, f: f.update(card=None),
        lambda t, f: f["regions"].pop(),
        lambda t, f: t["joint.S_mu"].fill_(torch.nan),
        lambda t, f: t.update({"pca.mean": t["pca.mean"][1:].contiguous()}),
    ],
)
def test_an_edited_ensemble_is_one_line_with_its_name(trained, tmp_path, edit):
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    numbers, facts = tensors.load(folder / ensemble.FILE)
    edit(numbers, facts)
    tensors.save(folder / ensemble.FILE, numbers, facts)
    with pytest.raises(DataError, match="ensemble.safetensors: edited, damaged or of another kind") as caught:
        ensemble.load_ensemble(folder)
    assert "\n" not in str(caught.value)


def test_one_function_finds_every_kind_of_model(trained):
    joined = ensemble.any_model(trained)
    assert ensemble.any_model(joined) is joined
    member = ensemble.any_model(ensemble.net_file(trained, REGIONS[0]))
    assert member.region == REGIONS[0] and ensemble.any_model(member) is member


def test_the_study(trained, parts, monkeypatch, tmp_path):
    found = ensemble.load_ensemble(trained)
    test = face_set(20, 6, seed=3)
    pairs = make_pairs(test.labels, n_folds=2, per_fold=12)
    lists = identification_lists(test.labels, 0, enrolled=5, impostors=60)
    monkeypatch.setattr(ensemble_studies, "benchmark", lambda *a: SimpleNamespace(lists=lists))
    scale = Setup("lite", found.members[0], test, pairs, parts[1], test, (), ensemble=found)
    study = json.loads(json.dumps(ensemble_studies.ensemble(scale)))
    assert study["counts"] == [1, 2, 3] and study["regions"] == found.names
    assert sorted(study["orders"]["greedy"]) == sorted(found.names)
    for points in (study["curves"]["table"], study["curves"]["greedy"], study["null"]["views"]):
        assert [point["nets"] for point in points] == [1, 2, 3]
    first = study["curves"]["table"][0]
    assert first == {**study["alone"]["whole face"]}
    assert {key: first[key] for key in study["null"]["views"][0]} == study["null"]["views"][0], "one view is one net"
    features = ensemble.features(found.members, test.images)
    scores = pair_scores(found, features, pairs)
    accuracy = 100 * metrics.verify(scores["joint_bayesian"], pairs).accuracy
    assert study["system"]["joint_bayesian"]["accuracy"] == pytest.approx(accuracy, abs=1e-3)
    assert_claims_read(study)
    with pytest.raises(DataError, match="--model must be the folder of one"):
        ensemble_studies.ensemble(dataclasses.replace(scale, ensemble=None))


def assert_claims_read(study):
    """What the claims make of the bits of each pair are the accuracies that the record prints."""
    found = {name: (claim.ours(study), claim.difference(study)) for name, claim in CLAIMS.items()
             if claim.study == "ensemble"}  # fmt: skip
    one, last, views = study["curves"]["table"][0], study["curves"]["table"][-1], study["null"]["views"][-1]

    def accuracy(point, way):
        return point[way]["accuracy"]

    def removed(way, after):
        return 100 * (accuracy(after, way) - accuracy(one, way)) / max(100 - accuracy(one, way), 50 / study["pairs"])

    real, codes, hamming = ensemble_studies.REAL, ensemble_studies.CODES, ensemble_studies.HAMMING
    lost, lost_by_one = (accuracy(point, real) - accuracy(point, codes) for point in (last, one))
    expected = {
        "C2": (accuracy(last, real), accuracy(last, real) - 99.15),
        "C4": (removed(real, last), removed(real, last) - removed(real, views)),
        "C5": (study["system"]["identification"]["rank1"], study["system"]["identification"]["rank1"] - 82.5),
        "C6": (
            study["system"]["identification"]["dir_at_1_far"],
            study["system"]["identification"]["dir_at_1_far"] - 61.9,
        ),
        "C17": (lost, lost_by_one - lost),
        "C18": (removed(hamming, last), removed(hamming, last) - removed(hamming, views)),
    }
    assert found.keys() == expected.keys()
    for name, (ours, difference) in found.items():
        points = difference["points"] if isinstance(difference, dict) else difference
        assert (ours.value, points.value) == pytest.approx(expected[name], abs=0.1), name
        assert ours.low <= ours.value <= ours.high
    assert found["C4"][1].high == np.inf, "an ensemble that was trained once says nothing of another seed"
