"""The studies of selectiveness on a tiny scale, end to end: numbers for JSON, and pictures that show them."""

import dataclasses
import json

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from deepid_lite.errors import DataError
from deepid_lite.faces.dataset import FaceSet
from deepid_lite.faces.regions import WHOLE_FACE
from deepid_lite.figures import selectiveness as plots
from deepid_lite.nets import deepid as nets
from deepid_lite.studies import neurons as studies
from deepid_lite.studies.claims import paper_claims
from deepid_lite.studies.setup import Setup
from deepid_lite.verification import lbp
from deepid_lite.verification.model import FaceModel

PEOPLE, EACH, WIDTH = 8, 12, 16


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def some_faces(attributes, source="synthetic"):
    """Noise in a person's own colour; `attributes` are columns of the FaceSet."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(PEOPLE), EACH)
    colour = rng.integers(0, 200, (PEOPLE, 1, 1, 3))[labels]
    images = (colour + rng.integers(0, 56, (len(labels), 144, 128, 1))).astype(np.uint8)
    names, paths = [f"person-{k}" for k in range(PEOPLE)], [f"{k:06d}.jpg" for k in range(len(labels))]
    landmarks = np.zeros((len(labels), 5, 2), np.float32)
    return FaceSet(images, labels, names, landmarks, attributes, paths, source, "hash")


def some_scale(name, attributes, source="synthetic"):
    torch.manual_seed(0)
    net = nets.DeepID2Plus(maps=4, dimension=WIDTH // 2, heads=(4,), dropout=0.0, batch_norm=True).eval()
    faces = some_faces(attributes, source)
    model = FaceModel(net, WHOLE_FACE, None, {})
    return Setup(name, model, faces, None, faces, faces, tuple(faces.names[:4]))


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(studies, "PERSON_LEAST", 6)
    monkeypatch.setattr(studies, "ATTRIBUTE_LEAST", 8)
    monkeypatch.setattr(studies, "SILENCED", (0, 4, 12))
    monkeypatch.setattr(lbp, "SWEEP", lbp.SWEEP[:1])


def drawn():
    person = np.repeat(np.arange(PEOPLE), EACH)
    return {"bald": person % 2 == 0, "black_hair": person % 3 == 0, "wrinkles": np.arange(len(person)) % 2 == 0,
            "hat": np.arange(len(person)) == 0, "yaw": np.zeros(len(person))}  # fmt: skip


@pytest.fixture
def identities(small):
    return json.loads(json.dumps(studies.identities(some_scale("lite", drawn()), draws=2)))


@pytest.fixture
def attributes(small):
    return json.loads(json.dumps(studies.attributes(some_scale("lite", drawn()))))


def lines(ax):
    return [line for line in ax.get_lines() if len(line.get_xdata()) > 1]


def words(fig):
    texts = [t for ax in fig.axes for t in (*ax.texts, ax.title, ax.xaxis.label, ax.yaxis.label)]
    labels = [t for ax in fig.axes for t in (*ax.get_yticklabels(), *ax.get_xticklabels())]
    return " ".join(t.get_text() for t in (*texts, *labels, *(x for legend in fig.legends for x in legend.get_texts())))


def test_the_study_of_identities(identities):
    r = identities
    assert r["names"] == [f"person-{k}" for k in range(4)] and r["positives"] == [EACH] * 4 and r["not_tested"] == {}
    assert set(r["systems"]) == {"net", "untrained", "lbp"} and r["neurons"] == WIDTH
    assert min(r["systems"]["net"]["one"]) > 0.6 and np.mean(r["nulls"]["permuted"]) < 0.7
    assert len(r["curves"]) == 3 and len(r["histograms"]) == 2
    assert len(r["lesions"]["own"]) == 4 and len(r["lesions"]["own"][0]) == 3
    # other weights give other features: the null is not the net
    assert r["systems"]["untrained"]["one"] != r["systems"]["net"]["one"]


def test_the_study_of_attributes(attributes):
    r = attributes
    assert r["names"] == ["bald", "black_hair", "wrinkles"] and list(r["not_tested"]) == ["hat"]
    for half in r["halves"].values():
        assert set(half["systems"]) == {"net", "untrained", "lbp"} and list(half["all_lbp"]) == ["944"]
        assert len(half["all"]["net"]) == 3
    # who knows people again knows their coins, but not those of strangers
    random, strangers = (np.mean(r["halves"][kind]["nulls"]["coin_all"]) for kind in ("random", "people"))
    assert random > strangers + 0.15
    assert list(r["histograms"]) == ["age", "hair"]
    assert list(r["histograms"]["age"]["shares"]) == ["wrinkles", "not wrinkles"]
    assert r["seen"] and all(len(s["attributes"]) == 3 and s["most"] <= EACH for s in r["seen"].values())


def test_claims_read_the_records(identities, attributes):
    records, read = {"identities": identities, "attributes": attributes}, set()
    for claim in paper_claims():
        if claim.study in records:
            ours, difference = claim.ours(records[claim.study]), claim.difference(records[claim.study])
            assert ours.low <= ours.value <= ours.high and difference.low <= difference.value <= difference.high
            read.add(claim.name)
    assert read == {"C19", "C20", "C21", "C22", "C23", "C24", "O1", "O2"}
    best = identities["estimates"]["best"]
    for name in ("net", "lbp"):
        assert best[name][0] == pytest.approx(100 * max(identities["systems"][name]["one"]), abs=0.01)
        typical = 100 * np.mean(identities["systems"][name]["median"])
        assert identities["estimates"]["typical"][name][0] == pytest.approx(typical, abs=0.01)
    assert best["difference"][0] == pytest.approx(best["net"][0] - best["lbp"][0], abs=1e-4)
    for half in attributes["halves"].values():
        of = half["estimates"]["all"]
        assert of["net"][0] == pytest.approx(100 * np.mean(half["all"]["net"]), abs=0.01)
        assert of["lbp"][0] == pytest.approx(100 * np.mean(half["all_lbp"]["944"]), abs=0.01)
        assert half["lbp_dimension"] == [944, 944]
    assert identities["coin"]["people_in_both_halves"] == 1


def test_an_identity_with_too_few_images_is_listed_and_nobody_left_is_an_error(small, monkeypatch):
    scale = some_scale("lite", drawn())
    few = np.r_[0:9, EACH : len(scale.identity_set)]
    fewer = dataclasses.replace(scale, identity_set=scale.identity_set.subset(few))
    found = studies.identities(fewer, with_lbp=False, draws=1)
    assert list(found["not_tested"]) == ["person-0"] and "positives" in found["not_tested"]["person-0"]
    assert "lbp" not in found["systems"]
    monkeypatch.setattr(studies, "PERSON_LEAST", 50)
    with pytest.raises(DataError, match="nobody has 50 images in each half"):
        studies.identities(fewer)
    monkeypatch.setattr(studies, "ATTRIBUTE_LEAST", 50)
    with pytest.raises(DataError, match="none has 50 images of each kind"):
        studies.attributes(fewer)


def test_labels_of_people_come_from_celeba_and_some_are_left_out(small, tmp_path):
    image = np.arange(PEOPLE * EACH)
    source = np.select([image < 30, image < 60, image < 70], ["celeba", "celeba200", "celeba64"], "pins")
    original = np.array([f"{k:06d}.jpg" for k in range(PEOPLE * EACH)])
    scale = some_scale("reference", {"source": source, "original": original}, "webfaces")
    bits = ["1" if k % 3 else "0" for k in range(40)]
    (tmp_path / "attr_test_01.txt").write_text("".join(f"{n} {' '.join(bits)}\n" for n in original[:50]))
    part, rows, names, targets = studies.attribute_labels(scale, tmp_path)
    assert part == "held_out" and rows.tolist() == list(range(60)) and targets.shape == (60, 40 - len(studies.LEFT_OUT))
    assert not set(studies.LEFT_OUT) & set(names) and "Male" in names
    assert np.isnan(targets[50:]).all() and not np.isnan(targets[:50]).any()
    nobody = some_scale("reference", {"source": np.full(PEOPLE * EACH, "pins"), "original": original}, "webfaces")
    with pytest.raises(DataError, match="no held-out person comes from CelebA"):
        studies.attribute_labels(nobody, tmp_path)


@pytest.mark.parametrize("number", [8, 10, 12, "lesions"])
def test_pictures_of_identities(identities, number):
    fig = getattr(plots, f"figure_{number}")(identities, identities | {"scale": "reference"})
    fig.canvas.draw()
    assert "lite" in words(fig) and "reference" in words(fig)


def test_fig_8_shows_the_numbers(identities):
    ax = plots.figure_8(identities).axes[0]
    net = next(line for line in lines(ax) if line.get_marker() == "o")
    np.testing.assert_allclose(net.get_xdata(), 100 * np.sort(identities["systems"]["net"]["one"]))
    assert len(lines(ax)) == 5  # three systems, shuffled labels, chance
    real = plots.figure_8(identities, identities | {"scale": "reference"}).axes[0]
    assert len(lines(real)) == 6 and "paper" in [text.get_text() for text in real.texts]


def test_fig_10_shows_means_and_accuracies(identities):
    fig = plots.figure_10(identities)
    assert len(fig.axes) == 4 and len(plots.figure_10(identities, identities).axes) == 8
    curve = identities["curves"]["person-0"]["net"]
    rest, own = lines(fig.axes[0])
    np.testing.assert_allclose(own.get_ydata(), curve["mean"])
    np.testing.assert_allclose(rest.get_ydata(), curve["rest_mean"])
    assert f"net, lite: correlation {curve['correlation']:.2f}" in words(fig) and "LBP, lite" in words(fig)
    drawn = np.concatenate([line.get_ydata() for line in fig.axes[2].lines if line.get_marker() in "^v."])
    assert set(100 * np.array(curve["accuracy"])) <= set(drawn)


def test_fig_lesions_shows_means_and_nulls(identities):
    ax = plots.figure_lesions(identities).axes[0]
    thick = {line.get_label(): line.get_ydata() for line in lines(ax) if not line.get_label().startswith("_")}
    assert list(thick) == ["selective for the person", "selective for another of the five", "random neurons"]
    np.testing.assert_allclose(thick["random neurons"], np.mean(identities["lesions"]["random"], axis=0))


@pytest.mark.parametrize("number", [7, 9, 11, 13])
def test_pictures_of_attributes(attributes, number):
    fig = getattr(plots, f"figure_{number}")(attributes, attributes | {"scale": "reference"})
    fig.canvas.draw()
    titles = [sub._suptitle.get_text() for sub in fig.subfigs]
    assert "reference" in words(fig) + " ".join(titles)


def test_figs_7_and_9_show_the_numbers(attributes):
    (left,) = plots.figure_7(attributes).axes
    people = attributes["halves"]["people"]
    heights = [float(line.get_ydata()[0]) for line in left.get_lines()]
    assert any(h == pytest.approx(100 * np.mean(people["all"]["net"])) for h in heights)
    assert any(h == pytest.approx(100 * np.mean(people["nulls"]["coin_all"])) for h in heights)
    net = next(line for line in lines(plots.figure_9(attributes).axes[0]) if line.get_marker() == "o")
    np.testing.assert_allclose(net.get_xdata(), 100 * np.sort(people["systems"]["net"]["one"]))


def test_without_lbp_the_pictures_still_draw(small):
    found = studies.attributes(some_scale("lite", drawn()), with_lbp=False)
    for number in (7, 9, 11):
        getattr(plots, f"figure_{number}")(found).canvas.draw()
