"""The studies of occlusion on a small scale, their figures and their widget."""

import dataclasses
import json
import re
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import TEMPLATE
from deepid_lite.faces.regions import REGIONS, WHOLE_FACE
from deepid_lite.figures import occlusion as plots
from deepid_lite.figures.widgets import occlusion_widget
from deepid_lite.nets import deepid as nets
from deepid_lite.neurons.occlusion import occlude_from_below
from deepid_lite.studies import occlusion as studies
from deepid_lite.studies import robustness
from deepid_lite.studies.claims import paper_claims
from deepid_lite.studies.patterns import patterns
from deepid_lite.studies.robustness import decisions
from deepid_lite.verification import ensemble
from deepid_lite.verification.evaluation import pair_scores
from deepid_lite.verification.metrics import verify
from deepid_lite.verification.model import FaceModel, face_features
from deepid_lite.verification.pairs import make_pairs

matplotlib.use("Agg")
LEVELS = {"fractions": (0.5,), "sizes": (50,)}


class Faces(SimpleNamespace):
    def __len__(self):
        return len(self.images)


def people(first, n, each=6):
    """People of two colours, one above the other, with noise."""
    rng = np.random.default_rng(first)
    colours = rng.integers(30, 226, (n, 2, 1, 1, 3)).repeat(each, 0).repeat(72, 2).reshape(n * each, 144, 1, 3)
    images = np.clip(colours + rng.normal(0, 14, (n * each, 144, 128, 3)), 0, 255).astype(np.uint8)
    names, landmarks = [f"p{first + k}" for k in range(n)], np.repeat(TEMPLATE[None], n * each, 0)
    return Faces(images=images, labels=np.repeat(np.arange(n), each), names=names, landmarks=landmarks,
                 data_hash=f"hash{first}")  # fmt: skip


@pytest.fixture(scope="module")
def scale():
    torch.manual_seed(3)
    net = nets.DeepID2Plus(maps=8, dimension=128, heads=(2, 4), batch_norm=True).eval()
    parts = {name: people(k, n) for name, k, n in (("test", 0, 12), ("held_out", 50, 20), ("identity_set", 90, 4))}
    model = FaceModel(net, WHOLE_FACE, None, {})
    model = model.with_verifier(face_features(model, parts["held_out"].images), parts["held_out"].labels)
    pairs = make_pairs(parts["test"].labels, n_folds=4, per_fold=5)
    return SimpleNamespace(
        name="lite", model=model, ensemble=None, pairs=pairs, celebrities=("p91", "p90"), **parts,
        features=lambda part, layer=4: face_features(model, parts[part].images, layer),
    )  # fmt: skip


@pytest.fixture(scope="module")
def result(scale):
    return json.loads(json.dumps(studies.occlusion(scale, n_people=0, **LEVELS)))


@pytest.fixture(scope="module")
def strips(scale):
    return json.loads(json.dumps(studies.strips(scale, every=2, **LEVELS)))


def test_all_curves_stand_beside_their_nulls(result):
    for kind, levels in (("from_below", [0, 50]), ("block", [0, 50])):
        assert result[kind]["levels"] == levels
        assert set(result[kind]["curves"]) == {"FC-2", "FC-4", "code, Hamming", "LBP"}
        assert set(result["null"][kind]) == {"untrained net", "pixels"}
        for curve in (result[kind]["curves"] | result["null"][kind]).values():
            assert all(len(curve[key]) == 2 for key in curve)
            np.testing.assert_allclose(np.mean(curve["fold_accuracy"], axis=1), curve["accuracy"], atol=2e-3)
            assert curve["accuracy"][0] == curve["fixed"][0]
    assert result["pairs"] == 40 and result["data_hash"] == "hash0"


def test_the_clean_entry_is_plain_verification(scale, result):
    features = scale.features("test")
    fitted = scale.model.with_verifier(scale.features("held_out"), scale.held_out.labels).verifier
    z = fitted[:-1].transform(features)
    expected = verify(fitted[-1].score_pairs(z[scale.pairs.first], z[scale.pairs.second]), scale.pairs)
    for kind in ("from_below", "block"):
        clean = result[kind]["curves"]["FC-4"]
        np.testing.assert_allclose(clean["accuracy"][0], 100 * expected.accuracy, atol=1.5)
        active = features > 0
        bits = -(active[scale.pairs.first] != active[scale.pairs.second]).sum(1).astype(float)
        code = 100 * verify(bits, scale.pairs).accuracy
        np.testing.assert_allclose(result[kind]["curves"]["code, Hamming"]["accuracy"][0], code, atol=1.5)


def test_pairs_that_were_decided_give_the_accuracies(scale, result):
    for kind in ("from_below", "block"):
        for name, curve in result[kind]["curves"].items():
            right, fold = decisions(result, *result["right"][kind][name])
            in_folds = [100 * np.mean([bits[fold == f].mean() for f in range(4)]) for bits in right]
            np.testing.assert_allclose(in_folds, curve["accuracy"], atol=1e-3)
    assert set(result["right"]["block"]) == set(result["block"]["curves"])


def test_the_block_at_which_lbp_is_at_70_percent():
    assert studies.size_at(70, (20, 30, 40), [84, 74, 54]) == 32
    assert studies.size_at(70, (20, 30, 40), [84, 70, 54]) == 30
    assert studies.size_at(70, (20, 30, 40), [99, 90, 84]) == 40  # never: the nearest
    assert studies.size_at(70, (20, 30, 40), [69, 60, 50]) == 20


def test_the_block_at_70_percent_becomes_a_level(scale, monkeypatch):
    monkeypatch.setattr(studies, "size_at", lambda wanted, sizes, accuracies: 33 if len(accuracies) == 2 else None)
    found = studies.occlusion(scale, fractions=(0.4,), sizes=(20, 50), per_fold=2, most=60)
    assert found["block_at_70"] == 33 and found["block"]["levels"] == [0, 20, 33, 50] and "patterns" not in found
    assert {len(curve["accuracy"]) for curve in found["block"]["curves"].values()} == {4}
    assert {len(texts) for texts in found["right"]["block"].values()} == {4}


def test_patterns_of_people_stay_by_a_naive_count(scale):
    nothing, black = lambda images, *_: images, lambda images, *_: occlude_from_below(images, 0.4)
    found = patterns(scale, {"none": nothing, "black": black}, n_people=4, least=6, most=5)
    assert found["people"] == 4 and found["images"] == 20
    assert found["at"]["none"]["own"] == [1, 1, 1] and found["at"]["none"]["others"][0] < 0.5
    faces, clean, hidden = scale.identity_set, [], []
    for person in np.argsort(-np.bincount(faces.labels), kind="stable"):
        images = faces.images[np.flatnonzero(faces.labels == person)[:5]]
        for where, of in ((clean, images), (hidden, black(images))):
            where.append(face_features(scale.model, of)[:, :128].mean(0))
    clean, hidden = np.array(clean), np.array(hidden)
    alike = spearmanr((clean - clean.mean(0)).T, (hidden - clean.mean(0)).T).statistic[:4, 4:]
    own, others = np.diag(alike).mean(), alike[~np.eye(4, dtype=bool)].mean()
    black = found["at"]["black"]
    np.testing.assert_allclose([black[k][0] for k in ("own", "others", "difference")], [own, others, own - others],
                               atol=2e-3)  # fmt: skip
    assert black["own_mean"]["own"][1] <= black["own_mean"]["own"][0] <= black["own_mean"]["own"][2]
    with pytest.raises(DataError, match="0 people have 10 images; give more"):
        patterns(scale, {"none": nothing})


def test_every_claim_reads_the_record(scale):
    found = studies.occlusion(scale, fractions=(0.2, 0.4), sizes=(30, 50), per_fold=5, most=60)
    found = json.loads(json.dumps(found))
    for claim in paper_claims():
        if claim.study == "occlusion" and claim.name != "C32":
            ours, difference = claim.ours(found), claim.difference(found)
            assert ours.low <= ours.value <= ours.high and set(difference) == {"points", "log-odds"}
    # the loss of LBP minus that of FC-4 is what both curves say
    of = {name: found["from_below"]["curves"][name]["accuracy"] for name in ("FC-4", "LBP")}
    lost = {name: accuracy[0] - accuracy[2] for name, accuracy in of.items()}
    claim = next(claim for claim in paper_claims() if claim.name == "C26")
    assert claim.difference(found)["points"].value == pytest.approx(lost["LBP"] - lost["FC-4"], abs=1e-2)


def test_a_second_run_goes_on_and_another_setting_is_refused(scale, result, tmp_path, monkeypatch):
    first = studies.occlusion(scale, tmp_path, with_lbp=False, n_people=0, **LEVELS)
    assert len(list(tmp_path.glob("*.npz"))) == 3 * 3
    (tmp_path / "untrained-block-50.npz").unlink()
    fitted, fit = [], robustness.Method.fit
    monkeypatch.setattr(robustness.Method, "fit", lambda self: (fit(self), fitted.extend(self.verifiers)))
    assert studies.occlusion(scale, tmp_path, with_lbp=False, n_people=0, **LEVELS) == first and fitted == [
        "untrained net"
    ]
    with pytest.raises(DataError, match="use an empty folder"):
        studies.occlusion(scale, tmp_path, with_lbp=False, n_people=0, seed=1, **LEVELS)


def test_fewer_pairs_and_kept_people(scale):
    few = studies.occlusion(scale, with_lbp=False, per_fold=3, most=60, **LEVELS)
    assert few["pairs"] == 24 and few["kept"] == 60 and few["images"] <= 48


def test_an_ensemble_has_a_curve_of_its_own(scale, monkeypatch):
    torch.manual_seed(4)
    net = nets.DeepID2Plus(input_shape=(47, 47), maps=8, dimension=128, heads=(2, 4), batch_norm=True).eval()
    members = [scale.model, dataclasses.replace(scale.model, net=net, region=REGIONS["eyes and nose"])]
    several = SimpleNamespace(**{**vars(scale), "ensemble": ensemble.Ensemble(members, None, {})})
    found = studies.occlusion(several, fractions=(0.5,), sizes=(), with_lbp=False, most=120, n_people=0)
    joined = ensemble.fit(members, ensemble.features(members, scale.held_out.images), scale.held_out.labels)
    of_test = ensemble.features(members, scale.test.images)
    expected = verify(pair_scores(joined, of_test, scale.pairs)["joint_bayesian"], scale.pairs)
    curve = found["from_below"]["curves"]["ensemble"]
    assert curve["accuracy"][0] == pytest.approx(100 * expected.accuracy, abs=1e-3) and len(curve["accuracy"]) == 2
    assert found["nets"] == 2
    of_all = json.loads(json.dumps(studies.ensemble_occlusion(several, block=30, most=120)))
    assert of_all["from_below"]["levels"] == [0, 40, 70] and of_all["block"]["levels"] == [0, 30]
    for claim in paper_claims():
        if claim.study == "ensemble_occlusion":
            assert claim.ours(of_all) and claim.difference(of_all)
    with pytest.raises(DataError, match="must be the folder of one"):
        studies.ensemble_occlusion(scale)
    monkeypatch.setattr(studies, "load_result", lambda *of: {})
    with pytest.raises(DataError, match="has no block_at_70"):
        studies.ensemble_occlusion(several)


def test_fills(scale):
    found = studies.fills(scale, with_lbp=False)
    names = ["clean", *(f"{c}, {f}" for f in ("black", "grey", "noise", "face") for c in ("below 0.4", "block 40"))]
    assert found["conditions"] == [*names, "sunglasses", "mask"]
    assert set(found["null"]) == {"untrained net", "pixels"} and len(found["curves"]["FC-4"]["fixed"]) == 11
    fig = plots.fills_dots(found, found)
    assert len(fig.axes) == 2 and [t.get_text() for t in fig.axes[0].get_yticklabels()] == found["conditions"]


def test_strips(scale, strips):
    assert strips["people"] == ["p91", "p90"] and strips["images"] == [6, 6]
    assert np.array(strips["strips"]["from_below"]).shape == (2, 2, 64)
    clean = np.array(strips["strips"]["block"])[:, 0]
    assert (np.diff(clean, axis=1) <= 0).all(), "the clean strip is sorted"
    assert "strips" not in strips["null"] and np.array(strips["null"]["code_distance"]["block"]).shape == (2, 2)
    example = strips["example"]
    assert list(example["responses"]) == ["first", "first, covered", "second"]
    for shares in example["share"].values():
        np.testing.assert_allclose(np.sum(shares, axis=1), 100, atol=0.2)


def test_sensitivity(scale):
    found = studies.sensitivity(scale, n=5, side=40, step=24)
    for part in ("net", "null"):
        assert np.shape(found[part]["score"]) == np.shape(found[part]["code"]) == (4, 4)
        assert found[part]["pairs"] == 5 and (np.array(found[part]["code"]) >= 0).all()
    assert len(plots.sensitivity_maps(found).axes) == 4 + 2


# --- figures ---


@pytest.mark.parametrize("kind, figure", [("from_below", plots.figure_15), ("block", plots.figure_16)])
def test_accuracies_stand_in_one_picture(result, kind, figure):
    fig = figure(result)
    names = {text.get_text() for text in fig.legends[0].get_texts()}
    assert names == {"FC-2", "FC-4", "code, Hamming", "LBP", "untrained net", "pixels"}
    for ax, key in zip(fig.axes, ("accuracy", "fixed"), strict=True):
        drawn = {c.get_label(): np.array(c.lines[0].get_ydata(), float) for c in ax.containers}
        assert set(drawn) == names
        np.testing.assert_allclose(drawn["LBP"], result[kind]["curves"]["LBP"][key])
    more = json.loads(json.dumps(result))
    more[kind]["curves"]["FC-1"] = more[kind]["curves"]["FC-2"]
    both = figure(result, more | {"scale": "reference"})
    assert len(both.axes) == 4 and fig.get_size_inches()[0] <= 7
    assert "FC-1" in {text.get_text() for text in both.legends[0].get_texts()}


def test_strip_figures(strips):
    assert [len(ax.images) for ax in plots.figure_17(strips).axes[:4]] == [1] * 4
    assert len(plots.figure_17(strips, strips, people=1).axes) == 2 * 2 + 2
    fig = plots.pattern_stability(strips, strips)
    assert len(fig.axes) == 8
    expected = np.mean(strips["rank_correlation"]["from_below"], axis=0)
    np.testing.assert_allclose(fig.axes[0].lines[0].get_ydata(), expected)
    fig = plots.figure_1(strips)
    assert any("bits differ" in ax.get_title(loc="left") for ax in fig.axes)


def test_figure_14_needs_no_result():
    fig = plots.figure_14()
    titles = [ax.get_title() for ax in fig.axes]
    levels = range(10, 80, 10)
    assert titles[1:8] == [f"{p} %" for p in levels] and titles[9:] == [f"{n} × {n}" for n in levels]


# --- widget ---


def test_widget_holds_what_the_model_says(scale):
    probes, partners = scale.test.images[[0, 6]], scale.test.images[[1, 7]]
    html = occlusion_widget(scale.model, probes, partners, 1.5, **LEVELS)
    assert not re.search(r"(?:src|href)=|https?://(?!www\.w3\.org/2000/svg)", html), "nothing from elsewhere"
    data = json.loads(re.search(r'application/json"[^>]*>(.*?)</script>', html, re.S)[1].replace("<\\/", "</"))
    assert data["threshold"] == 1.5 and [len(k["levels"]) for k in data["kinds"]] == [2, 2]
    features = face_features(scale.model, np.concatenate([probes, partners]))
    z = scale.model.verifier[:-1].transform(features)
    same = scale.model.verifier[-1].score_pairs(z[:2], z[2:])
    other = scale.model.verifier[-1].score_pairs(z[:2], z[[3, 2]])
    for p, person in enumerate(data["people"]):
        for covers in person["covers"]:
            code = np.unpackbits(np.frombuffer(bytes.fromhex(covers[0]["code"]), np.uint8)).astype(bool)
            np.testing.assert_array_equal(code, features[p, :128] > 0)
            shown = covers[0]["same"], covers[0]["other"]
            np.testing.assert_allclose(shown, (same[p], other[p]), rtol=1e-3, atol=0.02)
    for needed in ('type: "range"', "aria-live", "aria-valuetext", "htmlFor"):
        assert needed in html
