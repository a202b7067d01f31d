"""Joint Bayesian against densities and an EM step written out in full, its invariances, and wrong input."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from deepid_lite.errors import DataError
from deepid_lite.verification.joint_bayesian import JointBayesian


def covariance(rng, d, size=1.0):
    A = rng.normal(size=(d, 2 * d))
    return size * A @ A.T / (2 * d)


def simulate(seed=0, d=4, counts=(1, 2, 2, 3, 5, 5, 5, 5, 5, 5, 7, 4), identity=2.0):
    """Draws from the model: X (N, d), y (N,), S_mu, S_eps."""
    rng = np.random.default_rng(seed)
    S_mu, S_eps = covariance(rng, d, identity), covariance(rng, d)
    y = np.repeat(np.arange(len(counts)), counts)
    mu = rng.multivariate_normal(np.zeros(d), S_mu, size=len(counts))
    X = rng.normal(size=d) + mu[y] + rng.multivariate_normal(np.zeros(d), S_eps, size=len(y))
    return X, y, S_mu, S_eps


def stacked_covariance(S_mu, S_eps, m):
    return np.kron(np.ones((m, m)), S_mu) + np.kron(np.eye(m), S_eps)


def density_of_all(X, y, mean, S_mu, S_eps):
    """log p of every person's images stacked into one long vector, outright."""
    total = 0.0
    for person in np.unique(y):
        stack = (X[y == person] - mean).ravel()
        total += multivariate_normal(cov=stacked_covariance(S_mu, S_eps, np.sum(y == person))).logpdf(stack)
    return total


def naive_em_step(X, y, mean, S_mu, S_eps, exact=True):
    """h = [mu; eps_1; ..; eps_m] ~ N(0, S_h), x = P h: the joint Gaussian's posterior, person by person."""
    d, people = X.shape[1], np.unique(y)
    new_mu, new_eps = np.zeros((d, d)), np.zeros((d, d))
    for person in people:
        x = (X[y == person] - mean).ravel()
        m = len(x) // d
        P = np.hstack([np.kron(np.ones((m, 1)), np.eye(d)), np.eye(m * d)])
        S_h = np.zeros(((m + 1) * d, (m + 1) * d))
        for block in range(m + 1):
            at = slice(block * d, (block + 1) * d)
            S_h[at, at] = S_eps if block else S_mu
        K = S_h @ P.T @ np.linalg.inv(P @ S_h @ P.T)
        h = K @ x
        second = np.outer(h, h) + (S_h - K @ P @ S_h if exact else 0)
        new_mu += second[:d, :d]
        for block in range(1, m + 1):
            at = slice(block * d, (block + 1) * d)
            new_eps += second[at, at]
    return new_mu / len(people), new_eps / len(X)


# the score


@pytest.mark.parametrize("d", [1, 3, 6])
def test_score_is_the_ratio_of_the_densities(d):
    X, y, _, _ = simulate(d=d)
    model = JointBayesian().fit(X, y)
    x1, x2 = X[:20] - model.mean_, X[7:27] - model.mean_
    same = multivariate_normal(cov=stacked_covariance(model.S_mu_, model.S_eps_, 2)).logpdf(np.hstack([x1, x2]))
    alone = multivariate_normal(cov=model.S_mu_ + model.S_eps_)
    outright = same - (alone.logpdf(x1) + alone.logpdf(x2))
    np.testing.assert_allclose(model.score_pairs(X[:20], X[7:27]), outright, rtol=1e-9, atol=1e-9)


def test_gallery_scores_are_pair_scores_and_symmetric():
    X, y, _, _ = simulate(d=5)
    model = JointBayesian().fit(X, y)
    scores = model.score_gallery(X[:9], X[9:])
    p, g = np.indices(scores.shape).reshape(2, -1)
    np.testing.assert_allclose(scores.ravel(), model.score_pairs(X[:9][p], X[9:][g]), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(model.score_gallery(X[9:], X[:9]), scores.T, rtol=1e-10, atol=1e-10)


def test_score_does_not_see_the_mean():
    X, y, _, _ = simulate()
    plain, shifted = JointBayesian().fit(X, y), JointBayesian().fit(X + 1000, y)
    np.testing.assert_allclose(
        shifted.score_pairs(X[:9] + 1000, X[9:18] + 1000), plain.score_pairs(X[:9], X[9:18]), rtol=1e-8
    )


def test_from_covariances_scores_like_the_fitted_model():
    X, y, _, _ = simulate()
    model = JointBayesian().fit(X, y)
    stored = JointBayesian.from_covariances(model.mean_, model.S_mu_, model.S_eps_)
    np.testing.assert_allclose(
        stored.score_pairs(X[1:], X[:-1]), model.score_pairs(X[1:], X[:-1]), rtol=1e-9, atol=1e-9
    )


# EM


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), d=st.integers(1, 4), counts=st.lists(st.integers(1, 6), min_size=4, max_size=12))
def test_likelihood_is_the_density_and_never_falls(seed, d, counts):
    counts = [d + 2, 2, *counts]
    X, y, _, _ = simulate(seed, d, counts)
    model = JointBayesian(max_iter=15, tol=0).fit(X, y)
    assert len(model.log_likelihood_) == model.n_iter_ + 1 == 16
    assert np.diff(model.log_likelihood_).min() > -1e-9 * np.abs(model.log_likelihood_).max()
    outright = density_of_all(X, y, model.mean_, model.S_mu_, model.S_eps_)
    assert model.log_likelihood_[-1] == pytest.approx(outright, rel=1e-8)


@pytest.mark.parametrize("update", ["exact", "eccv2012"])
@pytest.mark.parametrize("counts", [(3,) * 9, (1, 1, 2, 2, 2, 2, 2, 2, 2, 9, 4), (2, 1, 3, 6)])
def test_steps_equal_the_joint_gaussians(update, counts):
    """Equal counts (the basis never turns), counts that more than D people share, and counts of their own."""
    X, y, _, _ = simulate(3, 4, counts)
    start = JointBayesian(max_iter=0).fit(X, y)
    S_mu, S_eps = start.S_mu_, start.S_eps_
    for steps in (1, 2, 3):
        S_mu, S_eps = naive_em_step(X, y, start.mean_, S_mu, S_eps, exact=update == "exact")
        model = JointBayesian(update, max_iter=steps, tol=0).fit(X, y)
        np.testing.assert_allclose(model.S_mu_, S_mu, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(model.S_eps_, S_eps, rtol=1e-8, atol=1e-10)


def test_the_start_is_the_analysis_of_variance():
    """Equal counts: the moments are the textbook's mean squares."""
    X, y, _, _ = simulate(1, 3, (6,) * 40)
    model = JointBayesian(max_iter=0).fit(X, y)
    images = X.reshape(40, 6, 3)
    S_eps = np.mean([np.cov(person.T) for person in images], axis=0)
    np.testing.assert_allclose(model.S_eps_, S_eps, rtol=1e-9)
    np.testing.assert_allclose(model.S_mu_, np.cov(images.mean(axis=1).T) - S_eps / 6, rtol=1e-9, atol=1e-12)


def test_recovers_known_covariances():
    rng = np.random.default_rng(5)
    X, y, S_mu, S_eps = simulate(5, 5, rng.integers(1, 9, size=3000))
    model = JointBayesian(max_iter=60, tol=1e-7).fit(X, y)
    assert np.linalg.norm(model.S_mu_ - S_mu) < 0.06 * np.linalg.norm(S_mu)
    assert np.linalg.norm(model.S_eps_ - S_eps) < 0.03 * np.linalg.norm(S_eps)
    # and at least as likely as the truth
    truth = density_of_all(X[:400], y[:400], model.mean_, S_mu, S_eps)
    assert density_of_all(X[:400], y[:400], model.mean_, model.S_mu_, model.S_eps_) == pytest.approx(truth, rel=0.01)
    assert model.n_iter_ < 60


def test_the_2012_step_is_another_and_loses_identity_directions():
    X, y, S_mu, _ = simulate(2, 6, (3,) * 200, identity=0.5)
    exact = JointBayesian(max_iter=200, tol=0).fit(X, y)
    paper = JointBayesian("eccv2012", max_iter=200, tol=0).fit(X, y)
    assert paper.lambda_.min() < 1e-12 < 1e-3 < exact.lambda_.min()
    assert np.linalg.eigvalsh(paper.S_mu_)[0] < 1e-10
    assert np.diff(paper.log_likelihood_).min() < 0 and paper.log_likelihood_[-1] < exact.log_likelihood_[-1] - 1
    assert np.isfinite(paper.score_gallery(X, X)).all()
    longer = JointBayesian("eccv2012", max_iter=2000, tol=0).fit(X, y)
    assert longer.lambda_.min() == 0 or longer.lambda_.min() < 1e-100
    assert np.isfinite(longer.score_pairs(X[1:], X[:-1])).all()


def test_stops_at_tol():
    X, y, _, _ = simulate(4, 4, (2,) * 60)
    model = JointBayesian(max_iter=500, tol=1e-4).fit(X, y)
    changes = np.abs(np.diff(model.log_likelihood_)) / X.size
    assert 0 < model.n_iter_ < 500 and changes[-1] < 1e-4 and (changes[:-1] >= 1e-4).all()


# invariances


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_score_survives_any_invertible_map(seed):
    X, y, _, _ = simulate(seed, 4, (5, 4, 3, 2, 2, 1, 1, 6))
    rng = np.random.default_rng(seed)
    A = (
        np.linalg.qr(rng.normal(size=(4, 4)))[0]
        * rng.uniform(0.01, 100, size=4)
        @ np.linalg.qr(rng.normal(size=(4, 4)))[0]
    )
    plain, mapped = JointBayesian().fit(X, y), JointBayesian().fit(X @ A + 3, y)
    assert plain.n_iter_ == mapped.n_iter_
    np.testing.assert_allclose(
        mapped.score_pairs(X[1:] @ A + 3, X[:-1] @ A + 3), plain.score_pairs(X[1:], X[:-1]), rtol=1e-5, atol=1e-6
    )


def test_order_of_images_and_names_of_people_do_not_matter():
    X, y, _, _ = simulate(8)
    rng = np.random.default_rng(8)
    order = rng.permutation(len(y))
    names = np.array([f"person {i:02d}" for i in rng.permutation(y.max() + 1)])
    plain, other = JointBayesian().fit(X, y), JointBayesian().fit(X[order], names[y[order]])
    assert list(other.classes_) == sorted(names)
    np.testing.assert_allclose(other.S_mu_, plain.S_mu_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(other.log_likelihood_, plain.log_likelihood_, rtol=1e-11)


def test_float32_features_are_computed_in_float64():
    X, y, _, _ = simulate()
    X = X.astype(np.float32)
    np.testing.assert_array_equal(JointBayesian().fit(X, y).S_eps_, JointBayesian().fit(X.astype(float), y).S_eps_)


# a scikit-learn estimator


@parametrize_with_checks([JointBayesian()])
def test_scikit_learn(estimator, check):
    check(estimator)


def test_pickle_clone_and_pipeline():
    X, y, _, _ = simulate(6, 8, (4,) * 30)
    verifier = make_pipeline(PCA(5), JointBayesian(max_iter=3)).fit(X, y)
    z = verifier[:-1].transform(X)
    scores = verifier[-1].score_pairs(z[1:], z[:-1])
    assert scores[y[1:] == y[:-1]].mean() > 0 > scores[y[1:] != y[:-1]].mean()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(verifier))[-1].score_pairs(z[1:], z[:-1]), scores)
    fresh = clone(verifier[-1])
    assert fresh.get_params() == dict(update="exact", max_iter=3, tol=1e-4) and not hasattr(fresh, "mean_")


# wrong input: one line each


def spoil(X, value):
    X = X.copy()
    X[3, 2] = value
    return X


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda X, y: (spoil(X, np.nan), y), "row 3, column 2"),
        (lambda X, y: (spoil(X, np.inf), y), "NaN or inf"),
        (lambda X, y: (X, np.zeros_like(y)), "two people"),
        (lambda X, y: (X, np.arange(len(y))), "nobody has two images"),
        (lambda X, y: (X, y[:-1]), "inconsistent numbers of samples"),
        (lambda X, y: (X[:, 0], y), "Expected 2D array"),
        (lambda X, y: (X, np.where(y == 3, np.nan, y)), "y contains NaN"),
        (lambda X, y: (np.hstack([X, X[:, :1]]), y), "at most 4 components"),
        (lambda X, y: (np.hstack([X, np.full((len(X), 1), 0.1)]), y), "rank 4 of 5"),
        (lambda X, y: (X[:5], np.array([0, 0, 1, 1, 1])), "rank 3 of 4"),
        (lambda X, y: (X[y > 99], y[y > 99]), "0 sample"),
        (lambda X, y: (X * 1e200, y), "scale them down"),
        (lambda X, y: (X[y], y), "copies of one image"),
        (lambda X, y: (X.astype(str) + "a", y), "could not convert"),
    ],
)
def test_wrong_training_data(change, words):
    X, y, _, _ = simulate()
    with pytest.raises(DataError, match=words) as caught:
        JointBayesian().fit(*change(X, y))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [dict(update="eccv"), dict(max_iter=-1), dict(tol=-1), dict(tol=float("nan"))])
def test_wrong_options(options):
    X, y, _, _ = simulate()
    with pytest.raises(DataError):
        JointBayesian(**options).fit(X, y)


def test_wrong_scoring_input():
    X, y, _, _ = simulate()
    model = JointBayesian().fit(X, y)
    for first, second, words in [
        (X, X[1:], "as many"),
        (X[:, :3], X[:, :3], "3 features"),
        (spoil(X, np.nan), X, "NaN"),
        (X[0], X[1], "2D"),
    ]:
        with pytest.raises(DataError, match=words) as caught:
            model.score_pairs(first, second)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="3 features"):
        model.score_gallery(X, X[:, :3])
    with pytest.raises(DataError, match="positive definite"):
        JointBayesian.from_covariances(np.zeros(2), np.eye(2), -np.eye(2))
    with pytest.raises(DataError, match="NaN or inf"):
        JointBayesian.from_covariances(np.zeros(2), np.full((2, 2), np.nan), np.eye(2))
    with pytest.raises(DataError, match="need"):
        JointBayesian.from_covariances(np.zeros(2), np.eye(3), np.eye(3))
