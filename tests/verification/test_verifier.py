"""The verifier scores as its steps do, in pairs and all with all; its components; scikit-learn's contract."""

import numpy as np
import pytest
from sklearn.base import clone

from deepid_lite.errors import DataError
from deepid_lite.verification.pairs import make_pairs
from deepid_lite.verification.verifier import WIDE, Verifier, components, fit_verifier, make_verifier

LABELS = np.repeat(np.arange(40), 5)


def simulated(width=24, seed=0):
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(size=(40, width))[LABELS] + rng.normal(size=(200, width)), 0).astype(np.float32)


@pytest.fixture(scope="module")
def verifier():
    return fit_verifier(simulated(), LABELS, 10)


def test_its_scores_are_those_of_its_slices_bit_for_bit(verifier):
    features, pairs = simulated(), make_pairs(LABELS, n_folds=2, per_fold=30)
    z = verifier[:-1].transform(features)
    assert np.array_equal(verifier.project(features), z)
    listed = verifier.score_pairs(features, pairs)
    assert np.array_equal(listed, verifier[-1].score_pairs(z[pairs.first], z[pairs.second]))
    everything = verifier.score_all(features, features[:50])
    assert everything.shape == (200, 50)
    few = pairs.second < 50
    np.testing.assert_allclose(everything[pairs.first[few], pairs.second[few]], listed[few], rtol=1e-5, atol=1e-5)
    assert listed[pairs.same].mean() > 0 > listed[~pairs.same].mean()


def test_it_is_a_scikit_learn_pipeline(verifier):
    assert isinstance(verifier[1:], Verifier) and list(verifier.named_steps) == [
        "functiontransformer", "pca", "jointbayesian",
    ]  # fmt: skip
    again = clone(verifier)
    assert again.get_params()["pca__n_components"] == 10 and not hasattr(again[-1], "V_")
    again.set_params(jointbayesian__update="eccv2012", pca__n_components=4).fit(simulated(), LABELS)
    assert again.project(simulated()).shape == (200, 4)


def test_components_are_no_more_than_what_varies_within_people():
    features = simulated(24)
    assert components(features, LABELS) == 24 and components(features, LABELS, 10) == 10
    few = LABELS < 4  # 20 images of 4 people: 16 differences within people
    assert components(features[few], LABELS[few]) == 16
    assert fit_verifier(features[few], LABELS[few]).project(features).shape == (200, 16)


def test_wide_features_are_approximated_well():
    base = simulated(60)
    wide = np.maximum(base @ np.random.default_rng(1).normal(size=(60, WIDE + 1)), 0).astype(np.float32)
    verifier = fit_verifier(wide, LABELS, 20)
    assert verifier["pca"].svd_solver == "randomized"
    assert np.array_equal(verifier.project(wide), fit_verifier(wide, LABELS, 20).project(wide))  # seeded
    variance = verifier.project(wide).var(0).sum()
    exact = make_verifier(20).fit(wide, LABELS).project(wide).var(0).sum()
    assert variance == pytest.approx(exact, rel=0.01)


def test_features_that_are_no_numbers_are_one_line(verifier):
    features = simulated()
    features[3, 2] = np.nan
    for call in (lambda: verifier.project(features), lambda: fit_verifier(features, LABELS)):
        with pytest.raises(DataError, match="1 of 4800 values are NaN or inf, the first in row 3, column 2"):
            call()
    with pytest.raises(DataError, match="real numbers are expected"):
        verifier.project(features.astype(str))
