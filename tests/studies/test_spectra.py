"""Scatter within and between people: against sums over the images, and what a change of the features does to them."""

import numpy as np
import pytest

from deepid_lite.errors import DataError
from deepid_lite.studies.spectra import KEPT, scatter, spectra


def people(n=60, dimension=50, seed=0):
    """Features and labels of people with 1 to 9 images."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(n), rng.integers(1, 10, n)))
    return rng.normal(size=(n, dimension))[labels] * 3 + rng.normal(size=(len(labels), dimension)), labels


def test_scatters_are_the_sums_of_their_definition():
    x, labels = people()
    within, between = np.zeros((50, 50)), np.zeros((50, 50))
    for person in np.unique(labels):
        mine = x[labels == person]
        between += len(mine) * np.outer(mine.mean(0) - x.mean(0), mine.mean(0) - x.mean(0))
        for image in mine:
            within += np.outer(image - mine.mean(0), image - mine.mean(0))
    found = scatter(x, labels)
    np.testing.assert_allclose(found[0], within / len(x))
    np.testing.assert_allclose(found[1], between / len(x))
    np.testing.assert_allclose(sum(found), np.cov(x.T, bias=True), err_msg="together they are all of the variance")


def test_spectra_are_numpys_eigenvalues_as_shares():
    x, labels = people()
    for name, matrix in zip(("within", "between"), scatter(x, labels), strict=True):
        values = np.sort(np.linalg.eig(matrix)[0].real)[::-1]
        found = spectra(x, labels)[name]
        assert found["total"] == pytest.approx(values.sum(), rel=1e-5)
        np.testing.assert_allclose(found["shares"], (values / values.sum())[:KEPT], rtol=1e-3)
        assert found["first_ten"] == pytest.approx(100 * values[:10].sum() / values.sum(), abs=1e-3)


def test_a_turn_and_a_scale_leave_the_shares():
    x, labels = people()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(50, 50)))[0]
    a, b = spectra(x, labels)["within"], spectra(7 * x @ turn + 3, labels)["within"]
    np.testing.assert_allclose(a["shares"], b["shares"], rtol=1e-3)
    assert b["total"] == pytest.approx(49 * a["total"], rel=1e-5)


def test_variation_in_few_directions_is_seen():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(100), 5)
    few = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 50))
    assert spectra(few, labels)["within"]["first_ten"] == pytest.approx(100)
    assert spectra(rng.normal(size=(500, 50)), labels)["within"]["first_ten"] < 50


def test_one_image_a_person_and_labels_that_do_not_fit():
    x, _ = people()
    assert spectra(x, np.arange(len(x)))["within"] == {"total": 0, "shares": [], "first_ten": None}
    with pytest.raises(DataError, match="give one person for each"):
        scatter(x, [0, 1])
