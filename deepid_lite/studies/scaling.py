"""How the error falls with the number of people, and what it would be with as many as the paper had.

A power law is what learning curves follow over a wide middle range: error = a n^-b, a straight line on log-log paper,
or a n^-b + c with a floor c that no number of people gets below. Both are fitted by weighted least squares to the
results of nets that were trained on n people each. All nets decided the same pairs, so every draw of the bootstrap
takes the same pairs for all of them.

**An extrapolation is a belief.** Its interval holds the chance of the pairs and, where there are several trainings,
that of the seeds, and nothing else: not that the law may end beyond the data. `scatter` shows how far the nets lie off
the line.
"""

import numpy as np
from scipy.optimize import curve_fit

from deepid_lite.errors import DataError
from deepid_lite.studies.comparisons import folds_of, rights_of, scored_on
from deepid_lite.studies.intervals import resampled

PAPER_PEOPLE = 12_000  # of the net of DeepID2+ [section 2]


def power_law(n, a, b, c=0.0):
    """a n^-b + c; n: numbers of people."""
    return a * np.asarray(n, np.float64) ** -b + c


def fit(people, error, sigma=None, floor=False):
    """(a, b, c) of the power law through errors (V,) at numbers of people (V,); c = 0 without floor.

    sigma: standard errors (V,), all alike when left out. Weighted least squares; with a floor 0 <= b <= 3, and c from 0
    to the lowest error. DataError for too few points.
    """
    n, error = np.asarray(people, np.float64), np.asarray(error, np.float64)
    if len(np.unique(n)) < 3 + floor:
        raise DataError(f"people {people}: a fit needs {3 + floor} different numbers of them; train more variants")
    if n.min() < 1 or not np.isfinite(error).all() or error.min() <= 0:
        raise DataError("errors: give positive numbers, each of one person or more")
    middle = np.exp(np.log(n).mean())  # the error there is what the points know best

    def law(x, height, b, *c):
        return power_law(x / middle, height, b, *c)

    slope, height = np.polyfit(np.log(n / middle), np.log(error), 1)
    height = np.exp(height)
    if not floor:
        (height, b), _ = curve_fit(law, n, error, (height, -slope), sigma)
        return float(height * middle**b), float(b), 0.0
    start, high = (height, np.clip(-slope, 0.01, 2.9), 0.1 * error.min()), (np.inf, 3, error.min())
    (height, b, c), _ = curve_fit(law, n, error, start, sigma, bounds=(0, high), max_nfev=2000)
    return float(height * middle**b), float(b), float(c)


def scaling(result, kind="joint_bayesian", to=PAPER_PEOPLE, n_draws=1000, seed=0, variants=None):
    """The fits of an experiment whose variants have different numbers of people, as plain numbers for JSON.

    result: of `ablations.run_experiment("people")`; errors are means over the seeds. Returns {"people", "error",
    "standard_error" (percent), "power": {...}, "floor": {...}, "best", "to"}. Each fit has "a", "b", "c", "scatter"
    (root mean square of the residuals, points), "at" (the error at `to` people) and 95 % intervals "b_interval",
    "c_interval", "at_interval". "best" names the fit to quote: "floor" only where its c is identifiable, so where its
    interval leaves out 0.
    """
    names, where = list(variants or result["variants"]), scored_on(result)
    names.sort(key=lambda name: result["variants"][name]["people"])
    people, fold = np.array([result["variants"][name]["people"] for name in names]), folds_of(result, where)
    rights = [rights_of(result, name, kind, where) for name in names]
    n = min(map(len, rights))
    right = np.concatenate([of_seed[:n] for of_seed in rights])  # (V n, P)
    least = 50 / len(fold)  # half a pair: a net that errs nowhere has no place on a log scale
    each = 100 - 100 * np.mean([right[:, fold == f].mean(1) for f in np.unique(fold)], axis=0).reshape(-1, n)
    error = each.mean(1)
    drawn = 100 - 100 * resampled(right, fold, n_draws, seed).reshape(n_draws, -1, n)
    # the chance of a training: each draw takes some of the seeds, with replacement, as it takes some of the pairs
    taken = np.random.default_rng(seed).integers(n, size=(n_draws, len(names), n))
    drawn = np.maximum(np.take_along_axis(drawn, taken, 2).mean(2), least)
    error, sigma = np.maximum(error, least), np.maximum(drawn.std(0), least)
    found = {
        "people": people.tolist(),
        "error": [round(float(e), 3) for e in error],
        "standard_error": [round(float(s), 3) for s in sigma],
        "to": to,
    }
    for name, floor in (("power", False), ("floor", True)):
        found[name] = _with_intervals(people, error, sigma, drawn, floor, to)
    found["best"] = "floor" if found["floor"]["c_interval"][0] > 0.01 else "power"
    return found


def _with_intervals(people, error, sigma, drawn, floor, to):
    a, b, c = fit(people, error, sigma, floor)
    fits = np.array([fit(people, draw, sigma, floor) for draw in drawn])
    at = [power_law(to, *values) for values in fits]
    residual = error - power_law(people, a, b, c)
    numbers = {"a": a, "b": b, "c": c, "at": float(power_law(to, a, b, c)), "scatter": np.sqrt((residual**2).mean())}
    intervals = {"b_interval": fits[:, 1], "c_interval": fits[:, 2], "at_interval": at}
    return {name: round(float(value), 5) for name, value in numbers.items()} | {
        name: [round(float(q), 5) for q in np.quantile(values, [0.025, 0.975])] for name, values in intervals.items()
    }


def curve(found, people):
    """Error (percent) at numbers of people by the fit that `scaling` names best."""
    best = found[found["best"]]
    return power_law(people, best["a"], best["b"], best["c"])
