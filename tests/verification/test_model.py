"""A model comes back from its file as it went in, to fp16; a damaged file is one line."""

import dataclasses

import numpy as np
import pytest
import torch

from deepid_lite import tensors
from deepid_lite.errors import DataError
from deepid_lite.faces.regions import WHOLE_FACE
from deepid_lite.nets import deepid as nets
from deepid_lite.verification.evaluation import activity, pair_scores, verification_report
from deepid_lite.verification.model import FaceModel, face_features, load_model, pretrained, save_model
from deepid_lite.verification.pairs import make_pairs
from deepid_lite.verification.verifier import make_verifier


@pytest.fixture(scope="module")
def faces():
    rng = np.random.default_rng(0)
    person = rng.integers(40, 200, (12, 18, 16, 3)).repeat(8, 1).repeat(8, 2)
    images = np.clip(person.repeat(8, 0) + rng.normal(0, 20, (96, 144, 128, 3)), 0, 255).astype(np.uint8)
    return images, np.repeat(np.arange(12), 8)


@pytest.fixture(scope="module")
def model(faces):
    torch.manual_seed(0)
    net = nets.DeepID2Plus(maps=8, dimension=24, batch_norm=True).eval()
    model = FaceModel(net, WHOLE_FACE, None, {"trained on": "noise"})
    features = face_features(model, faces[0])
    return dataclasses.replace(model, verifier=make_verifier(10).fit(features, faces[1]))


def test_scores_survive_the_file(model, faces, tmp_path):
    save_model(tmp_path / "m.safetensors", model, without_heads=(1,))
    back = load_model(tmp_path / "m.safetensors")
    pairs = make_pairs(faces[1], n_folds=3, per_fold=20)
    before = pair_scores(model, face_features(model, faces[0]), pairs)
    after = pair_scores(back, face_features(back, faces[0]), pairs)
    assert back.net.heads == (2, 3, 4) and back.region == WHOLE_FACE and back.card == model.card
    for name, tolerance in (("joint_bayesian", 0.2), ("cosine", 0.01)):
        assert np.abs(before[name] - after[name]).max() < tolerance * np.abs(before[name]).max()


def test_a_saved_model_is_half_the_size(model, tmp_path):
    save_model(tmp_path / "all.safetensors", model)
    save_model(tmp_path / "some.safetensors", model, without_heads=(1,))
    weights = sum(p.numel() for p in model.net.parameters())
    assert (tmp_path / "all.safetensors").stat().st_size < 2.5 * weights
    assert (tmp_path / "some.safetensors").stat().st_size < (
        tmp_path / "all.safetensors"
    ).stat().st_size - 2 * 26 * 22 * 8 * 24 + 10_000


def test_scores_are_symmetric_and_report_is_percent(model, faces):
    features = face_features(model, faces[0])
    pairs = make_pairs(faces[1], n_folds=3, per_fold=20)
    swapped = dataclasses.replace(pairs, first=pairs.second, second=pairs.first)
    for name, values in pair_scores(model, features, pairs).items():
        np.testing.assert_allclose(values, pair_scores(model, features, swapped)[name], rtol=1e-6, atol=1e-6)
    report = verification_report(pair_scores(model, features, pairs), pairs)
    assert 50 < report["joint_bayesian"]["accuracy"] <= 100
    assert report["joint_bayesian"]["accuracy"] == pytest.approx(
        np.mean(report["joint_bayesian"]["fold_accuracy"]), abs=1e-2
    )
    far, tar = np.array(report["roc"]["far"]), np.array(report["roc"]["tar"])
    assert (np.diff(far) > 0).all() and (np.diff(tar) >= 0).all() and tar[-1] == 1


def test_activity_counts_neurons_of_the_image_alone():
    features = np.array([[1, 0, 2, 5, 5, 5], [0, 0, 3, 5, 5, 5]], dtype=np.float32)
    assert activity(features) == {"active_mean": 1.5, "active_std": 0.5, "neurons": 3}


@pytest.mark.parametrize("damage", ["cut", "text", "other"])
def test_a_damaged_model_is_one_line(model, tmp_path, damage):
    path = tmp_path / "m.safetensors"
    save_model(path, model)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "text":
        path.write_text("hello")
    else:
        from deepid_lite.nets.training import save_net

        save_net(path, model.net, {})
    with pytest.raises(DataError, match="m.safetensors") as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


EDITS = {  # of the tensors and of the facts
    "weights nan": lambda t, f: t["net.conv1.weight"].fill_(torch.nan),
    "weights int": lambda t, f: t.update({"net.conv1.weight": t["net.conv1.weight"].int()}),
    "weights bool": lambda t, f: t.update({"net.conv1.weight": t["net.conv1.weight"].bool()}),
    "weights complex": lambda t, f: t.update({"net.conv1.weight": t["net.conv1.weight"].to(torch.complex64)}),
    "weights transposed": lambda t, f: t.update({"net.fc.4.weight": t["net.fc.4.weight"].T.contiguous()}),
    "weights missing": lambda t, f: t.pop("net.fc.4.bias"),
    "weights too many": lambda t, f: t.update({"net.fc.5.bias": torch.zeros(3)}),
    "batches a float": lambda t, f: t.update({"net.norms.0.num_batches_tracked": torch.tensor(1.5)}),
    "pca of another width": lambda t, f: t.update(
        {"pca.components": t["pca.components"][:, :9].contiguous(), "pca.mean": t["pca.mean"][:9].contiguous()}
    ),
    "pca mean short": lambda t, f: t.update({"pca.mean": t["pca.mean"][:7].contiguous()}),
    "pca 1-D": lambda t, f: t.update({"pca.components": t["pca.components"][0].contiguous()}),
    "joint nan": lambda t, f: t["joint.S_mu"].fill_(torch.nan),
    "joint not positive": lambda t, f: t["joint.S_eps"].neg_(),
    "joint scalar": lambda t, f: t.update({"joint.mean": torch.tensor(1.0)}),
    "joint missing": lambda t, f: t.pop("joint.mean"),
    "card null": lambda t, f: f.update(card=None),
    "card a text": lambda t, f: f.update(card="mine"),
    "minutes a text": lambda t, f: f["card"].update(minutes="soon"),
    "no net": lambda t, f: f.pop("net"),
    "net a list": lambda t, f: f.update(net=[1, 2]),
    "dropout 7": lambda t, f: f["net"].update(dropout=7),
    "heads [5]": lambda t, f: f["net"].update(heads=[5]),
    "maps huge": lambda t, f: f["net"].update(maps=[10**7] * 4),
    "maps a text": lambda t, f: f["net"].update(maps="8888"),
    "an option that no net has": lambda t, f: f["net"].update(depth=3),
    "an unknown architecture": lambda t, f: f.update(architecture="Unknown"),
    "no region": lambda t, f: f.pop("region"),
    "region outside": lambda t, f: f["region"].update(left=-5),
    "region of text": lambda t, f: f["region"].update(left="8"),
    "region shape text": lambda t, f: f["region"].update(shape="ab"),
    "region of another shape": lambda t, f: f["region"].update(shape=[47, 47]),
    "region nan": lambda t, f: f["region"].update(top=float("nan")),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_model_is_one_line_with_its_name(model, tmp_path, edit):
    path = tmp_path / "m.safetensors"
    save_model(path, model)
    numbers, facts = tensors.load(path)
    EDITS[edit](numbers, facts)
    tensors.save(path, numbers, facts)
    with pytest.raises(DataError, match="m.safetensors: edited, damaged or of another kind") as caught:
        load_model(path)
    assert "\n" not in str(caught.value) and "train it again" in str(caught.value)


def test_the_file_names_its_architecture_and_a_file_that_does_not_is_of_the_first(model, tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, model)
    numbers, facts = tensors.load(path)
    assert facts.pop("architecture") == "DeepIDNet"
    tensors.save(path, numbers, facts)
    assert load_model(path).net.config == model.net.config


def test_an_unknown_model_names_those_that_are_there():
    with pytest.raises(DataError, match="lite"):
        pretrained("no-such-model")


def test_minutes_are_those_of_the_median_speed(tmp_path):
    from deepid_lite.nets.training_log import minutes_of

    (tmp_path / "log.csv").write_text("step,images_per_second\n0,10\n20,200\n40,200\n60,3\n80,200\n")
    assert minutes_of(tmp_path / "log.csv", 24_000) == pytest.approx(2)
