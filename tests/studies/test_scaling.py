"""The scaling fit finds laws that are put in, and says when it cannot know the floor."""

import json

import numpy as np
import pytest

from deepid_lite.errors import DataError
from deepid_lite.studies.comparisons import packed
from deepid_lite.studies.scaling import curve, fit, power_law, scaling

PEOPLE = [32, 64, 128, 256, 512, 1024, 2048, 3308]


def result(a, b, c, people=PEOPLE, n=6000, seed=0):
    """Nets of which each errs on a n^-b + c percent of the pairs, mostly on the same ones."""
    rng = np.random.default_rng(seed)
    hard = rng.random(n)
    variants = {}
    for m in people:
        mine = hard + 0.3 * rng.random(n)
        right = mine > np.quantile(mine, power_law(m, a, b, c) / 100)
        variants[f"of {m}"] = {"people": m, "layers": {"FC-4": {"right": {"joint_bayesian": packed(right)}}}}
    variants = dict(sorted(variants.items()))  # in no order of their numbers
    return {"variants": variants, "pairs": n, "pairs_per_fold": [n // 10] * 10}


def test_exact_laws_are_found():
    n = np.array(PEOPLE)
    assert fit(n, power_law(n, 90, 0.35)) == pytest.approx((90, 0.35, 0))
    assert fit(n, power_law(n, 90, 0.35, 3), floor=True) == pytest.approx((90, 0.35, 3), rel=1e-3)
    a, b, c = fit(n, power_law(n, 90, 0.35, 3))
    assert c == 0 and b < 0.35, "a floor that is not fitted makes the line flatter"


def test_heavier_points_count_more():
    n, error = np.array([10, 100, 1000, 10_000]), np.array([50.0, 20.0, 8.0, 6.0])
    near = fit(n, error, sigma=[1, 1, 1, 0.01])
    far = fit(n, error, sigma=[1, 1, 1, 100])
    assert power_law(10_000, *near) == pytest.approx(6, abs=0.05) and power_law(10_000, *far) < 4


def test_a_power_law_is_extrapolated_with_its_interval():
    found = scaling(result(100, 0.3, 0), n_draws=60)
    assert found["best"] == "power" and found["people"] == PEOPLE and found["to"] == 12_000
    truth = power_law(12_000, 100, 0.3)
    best = found["power"]
    assert best["at"] == pytest.approx(truth, abs=0.3) and best["at_interval"][0] < truth < best["at_interval"][1]
    assert best["b_interval"][0] < 0.3 < best["b_interval"][1] and best["c"] == 0 and best["scatter"] < 0.1
    assert found["error"] == pytest.approx(power_law(PEOPLE, 100, 0.3), abs=0.02)
    # the binomial's own: sqrt(p q / n)
    p = np.array(found["error"]) / 100
    assert found["standard_error"] == pytest.approx(100 * np.sqrt(p * (1 - p) / 6000), rel=0.2)
    assert curve(found, 12_000) == pytest.approx(best["at"], abs=1e-3)
    assert json.loads(json.dumps(found)) == found
    assert scaling(result(100, 0.3, 0), n_draws=60) == found


def test_a_floor_is_quoted_only_where_it_can_be_known():
    with_floor = scaling(result(100, 0.4, 6), n_draws=60)
    assert (
        with_floor["best"] == "floor"
        and with_floor["floor"]["c_interval"][0] < 6 < with_floor["floor"]["c_interval"][1]
    )
    assert with_floor["floor"]["scatter"] < with_floor["power"]["scatter"]
    few = scaling(result(100, 0.4, 6, people=[512, 1024, 2048, 3308]), n_draws=60)
    assert few["best"] == "power" and few["floor"]["c_interval"][0] == pytest.approx(0, abs=0.01)


def test_nets_that_err_nowhere_do_not_stop_it():
    perfect = result(100, 0.3, 0)
    perfect["variants"]["of 3308"]["layers"]["FC-4"]["right"]["joint_bayesian"] = packed(np.ones(6000, bool))
    found = scaling(perfect, n_draws=20)
    assert found["error"][-1] == pytest.approx(50 / 6000, abs=1e-3) and np.isfinite(found["power"]["at"])


def test_too_little_to_fit_is_one_line():
    for people, error, floor in (([1, 2], [3, 2], False), ([1, 2, 4], [3, 2, 1], True), ([5, 5, 5], [3, 2, 1], False)):
        with pytest.raises(DataError, match="different numbers"):
            fit(people, error, floor=floor)
    for people, error in (([1, 2, 4], [3, 2, 0]), ([0, 2, 4], [3, 2, 1]), ([1, 2, 4], [3, np.nan, 1])):
        with pytest.raises(DataError, match="positive numbers"):
            fit(people, error)
