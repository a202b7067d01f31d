"""Attributes: two signals, hand-made features, the SVMs as one product, and the study with its null."""

import json
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from samples import face_set
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch.nn import functional as F

from deepid_lite import tensors
from deepid_lite.errors import DataError
from deepid_lite.faces.celeba import CELEBA_ATTRIBUTES
from deepid_lite.faces.regions import crop
from deepid_lite.faces.synthetic.people import ATTRIBUTES
from deepid_lite.figures.attribute_nets import figure_attribute_nets
from deepid_lite.files import as_json
from deepid_lite.nets.deepid import DeepIDNet
from deepid_lite.nets.recipe import Recipe
from deepid_lite.papers.attributes import study
from deepid_lite.papers.attributes.net import (
    MARGIN,
    LabelledFaces,
    Told,
    balanced,
    fit_answers,
    hand_made,
    load_answers,
    save_answers,
    train,
)
from deepid_lite.verification.pairs import make_pairs

NET = {"input_shape": [55, 47], "maps": [2, 3, 3, 4], "dimension": 8, "heads": [4], "batch_norm": True}
RECIPE = Recipe(
    "DeepIDNet", net=NET, weight=0, epochs=2, batch_size=10, images_per_person=1, precision="fp32", vary=0.0
)  # fmt: skip


def with_attributes(faces, seed=0):
    """Some that belong to the people, some to the picture."""
    rng = np.random.default_rng(seed)
    faces.attributes = {
        name: (rng.random(len(faces.names)) < 0.5)[faces.labels] ^ (rng.random(len(faces)) < 0.2) for name in ATTRIBUTES
    }
    return faces


@pytest.fixture(scope="module")
def faces():
    return with_attributes(face_set(10, 6, seed=1))


def test_the_loss_is_the_sum_of_its_parts(faces):
    torch.manual_seed(0)
    told = Told(DeepIDNet(**NET), 10, 23, identity=0.5, mu=2.0).eval()
    x, people = torch.rand(4, 3, 55, 47), torch.tensor([0, 3, 9, 2])
    wanted = (torch.rand(4, 23) < 0.5).float()
    loss, parts = told((x, people, wanted), 0.0)
    f = told.net(x)[4]
    ident = F.cross_entropy(told.people(f), people)
    p = torch.sigmoid(told.attributes(f))
    bce = -(wanted * p.log() + (1 - wanted) * (1 - p).log()).sum(1).mean()
    assert loss.item() == pytest.approx((0.5 * ident + 2 * bce).item(), rel=1e-4)
    assert parts["ident"].item() == pytest.approx(ident.item()) and parts["attributes"].item() == pytest.approx(
        bce.item(), rel=1e-4
    )
    silent = Told(DeepIDNet(**NET), 10, 23, identity=1.0, mu=0.0)
    silent((x, people, wanted), 0.0)[0].backward()
    assert not silent.attributes.weight.grad.any() and silent.people.weight.grad.any()


def test_a_batch_brings_each_picture_its_own_labels(faces):
    crops = crop(faces.images, margin=MARGIN)
    told = study.table(faces, ATTRIBUTES)
    batches = LabelledFaces(crops, faces.labels, told, RECIPE, (55, 47))
    plain = crop(faces.images)
    for step in (0, 7):
        x, people, attributes = batches(step, "cpu")
        shown = ((x + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
        for picture, person, row in zip(shown, people, attributes, strict=True):
            number = np.flatnonzero((plain == picture).all((1, 2, 3)))[0]
            assert person == faces.labels[number] and np.array_equal(row.bool().numpy(), told[number])
    other = LabelledFaces(crops, faces.labels, ~told, RECIPE, (55, 47))
    assert other.fingerprint != batches.fingerprint


def test_fine_tuning_starts_from_the_net_and_other_weights_are_another_run(faces, tmp_path):
    given = crop(faces.images, margin=MARGIN), faces.labels, study.table(faces, ATTRIBUTES)
    net = train(*given, RECIPE, tmp_path / "identity")
    slow = Recipe(**{**RECIPE.__dict__, "lr": 1e-9, "epochs": 1})
    on = train(*given, slow, tmp_path / "tuned", 0.0, 1.0, net)
    assert torch.allclose(on.conv1.weight, net.conv1.weight, atol=1e-6)
    with pytest.raises(DataError, match="of another data"):
        train(*given, RECIPE, tmp_path / "identity", 0.0, 1.0)


def test_hand_made_features_know_shape_and_colour():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (55, 47, 3), np.uint8)
    grey = np.repeat(image[..., :1], 3, 2)
    found = hand_made(np.stack([image, image[..., ::-1], grey, 255 - grey]))
    assert np.isfinite(found).all() and found.shape[0] == 4
    n = 9 * 3 * 6  # colours: shares of each part sum to one
    np.testing.assert_allclose(found[:, -n:].reshape(4, 27, 6).sum(2), 1, rtol=1e-5)
    same, other = (np.abs(found[2, :-n] - found[k, :-n]).mean() for k in (3, 0))
    assert same < 0.005 < 0.02 < other, "a negative has the same edges, but for those on the border of two directions"
    assert not np.allclose(found[0, -n:], found[1, -n:])


def test_the_svms_are_one_product_and_find_what_is_there():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6)) * [1, 10, 0.1, 1, 1, 1] + 5
    x[:, 5] = 2  # a dead neuron
    wanted = np.stack([x[:, 0] > 5, x[:, 2] > 5.02, x[:, 1] + x[:, 3] > 12], 1)
    answers = fit_answers(x, wanted, "abc")
    right = (answers.scores(x) > 0) == wanted
    assert right.mean(0).min() > 0.9
    z = StandardScaler().fit_transform(x)
    z /= np.sqrt((z**2).sum(1).mean())
    svm = LinearSVC(C=0.1, dual=True, tol=1e-2, max_iter=3000, random_state=0).fit(z, wanted[:, 0])
    np.testing.assert_allclose(answers.scores(x)[:, 0], svm.decision_function(z), atol=1e-8)
    with pytest.raises(DataError, match="attribute 'b': all pictures to fit on are alike"):
        fit_answers(x, wanted & [True, False, True], "abc")


def test_answers_come_back_from_their_file(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    answers = fit_answers(x, x[:, :2] > 0, ["glasses", "hat"])
    path = tmp_path / "answers.safetensors"
    save_answers(path, answers)
    again = load_answers(path)
    assert again.names == ["glasses", "hat"]
    np.testing.assert_allclose(again.scores(x), answers.scores(x), atol=1e-5)
    found, _ = tensors.load(path)
    for names in (["glasses"], None, 3, ["glasses", 3]):
        tensors.save(path, found, {"attributes": names, "model_hash": ""})
        with pytest.raises(DataError, match="edited, damaged or of another kind") as error:
            load_answers(path)
        assert "\n" not in str(error.value)


def test_balanced_accuracy_is_scikit_learns():
    rng = np.random.default_rng(0)
    truth, answers = rng.random((50, 3)) < 0.3, rng.random((50, 3)) < 0.5
    wanted = [balanced_accuracy_score(t, a) for t, a in zip(truth.T, answers.T, strict=True)]
    np.testing.assert_allclose(balanced(answers, truth), wanted)
    always = np.broadcast_to(truth.mean(0) > 0.5, truth.shape)
    np.testing.assert_allclose(balanced(always, truth), 0.5)


def web_faces():
    """People of CelebA's three parts and of elsewhere, and a folder's worth of labels."""
    faces = face_set(12, 4, seed=4)
    person = np.arange(12)
    faces.attributes = {
        "source": np.where(person < 9, "celeba64", "pins")[faces.labels],
        "part": np.array([0, 0, 0, 0, 0, 1, 1, 2, 2, np.nan, np.nan, np.nan])[faces.labels],
        "original": np.array([f"{row:06d}.jpg" for row in range(len(faces))]),
    }
    return faces.subset(np.setdiff1d(np.arange(len(faces)), [3, 7]))  # two people with three pictures


def test_photographs_come_from_celebas_own_parts(monkeypatch, tmp_path):
    faces = web_faces()
    truth = {name: np.arange(48) % 7 < 3 for name in CELEBA_ATTRIBUTES}
    monkeypatch.setattr(study, "load_faces", lambda *a, **k: faces)
    monkeypatch.setattr(study, "flagged_people", lambda: {"4-4"})
    asked = []

    def labels(part, folder):
        asked.append(folder)
        rows = [int(name[:6]) for name in part.attributes["original"]]
        return {name: values[rows].astype(np.float32) for name, values in truth.items()}

    monkeypatch.setattr(study, "celeba_attributes", labels)
    setup = SimpleNamespace(name="reference", root=tmp_path)
    first, val, test = study._parts(setup, (9, 4, 100))
    assert first.names == ["4-0", "4-2", "4-3"], "people with most pictures come first, flagged ones never"
    assert set(val.names) == {"4-5", "4-6"} and len(val) == 4 and set(test.names) == {"4-7", "4-8"} and len(test) == 8
    assert set(asked) == {tmp_path / "celeba_labels"} and len(first) == 9
    for part in (first, val, test):
        assert tuple(part.attributes) == CELEBA_ATTRIBUTES and part.attributes["Male"].dtype == bool
    truth["Male"] = np.where(np.arange(48) == 20, np.nan, 1.0)
    with pytest.raises(DataError, match="1 attributes are unknown of some pictures; give the whole official list"):
        study._parts(setup, (9, 4, 100))


def test_the_study_has_the_slides_rows_its_null_and_is_drawn(faces, monkeypatch, tmp_path):
    monkeypatch.setattr(study, "load_faces", lambda *a, **k: faces)
    test = with_attributes(face_set(40, 6, seed=3), 1)
    others, pairs = with_attributes(face_set(12, 4, seed=2), 2), make_pairs(test.labels, per_fold=20)
    setup = SimpleNamespace(name="lite", held_out=others, test=test, pairs=pairs)
    found = study.attribute_nets(setup, RECIPE, tmp_path, seeds=(0, 1, 2), sizes=(60, 48, 60))
    assert set(study.SLIDE) | {"majority", "untrained", "identity and attributes"} == set(found["accuracy"])
    assert found["balanced"]["majority"] == 50
    always = np.array(found["by_attribute"]["majority"])
    assert np.minimum(np.abs(found["share"] - always), np.abs(100 - np.array(found["share"]) - always)).max() < 0.2
    assert found["difference"]["A1"][0] == pytest.approx(
        found["accuracy"]["identity, directly"][0] - found["accuracy"]["from scratch"][0], abs=1e-6
    )
    for claim in study.CLAIMS:
        value, low, high = claim.difference(found)
        assert low <= value <= high and len(claim.ours(found)) == 3
    assert json.loads(as_json(found))
    assert figure_attribute_nets(found).axes
    plt.close("all")
