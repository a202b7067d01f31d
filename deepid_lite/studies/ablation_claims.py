"""What the ablations say of the papers' claims: C3, C12, D1 to D5, V1 to V3 and O3 of book/rules.md.

Every number is a contrast of accuracies, a sum of weight times accuracy over variants, and its interval is the wider of
that of the pairs and of Student's t over at least three seeds. Accuracies are those of the test set; the weight lambda
is chosen on held-out people.
"""

import numpy as np

from deepid_lite.registry import Claim, Estimate, claims
from deepid_lite.studies.comparisons import folds_of, last_layers, rights_of, runs_of
from deepid_lite.studies.intervals import of_pairs, of_seeds

LEAST_SEEDS = 3
RATES = ("0", "0.25", "0.5", "0.75")
PLAIN = "dropout {}, no batch norm"
NO_VERIFICATION = "identification only"
LAMBDAS = ("0.005", "0.05", "0.5", "5")


def contrast(result, weights, kind="joint_bayesian"):
    """Estimate, in points, of the sum of weight times accuracy on the test set over the variants {name: weight}.

    KeyError where one was not tested, or has fewer than LEAST_SEEDS trainings.
    """
    for variant in weights:
        _check_seeds(result, variant)
    rights = [rights_of(result, variant, kind, "test") for variant in weights]
    n, w = min(map(len, rights)), np.array(list(weights.values()), np.float64)
    right, fold = np.stack([of_seed[:n] for of_seed in rights]), folds_of(result, "test")
    of_fold = np.stack([right[:, :, fold == f].mean(2) for f in np.unique(fold)])  # (F, V, n)
    each = 100 * w @ of_fold.mean(0)
    pairs = of_pairs(right.reshape(-1, len(fold)), fold, lambda a: 100 * a @ np.repeat(w / n, n))
    return of_seeds(each, pairs)


def _check_seeds(result, variant):
    if len(runs_of(result["variants"][variant])) < LEAST_SEEDS:
        raise KeyError(f"{LEAST_SEEDS} seeds of {variant}")


def _gain(first, second, kind="joint_bayesian"):
    """record -> Estimate of the first variant's accuracy minus the second's."""
    return lambda r: contrast(r, {first: 1, second: -1}, kind)


def _accuracy(variant):
    return lambda r: contrast(r, {variant: 1})


def _of_spread(values):
    """Estimate of a quantity of each training that no pairs stand behind."""
    mean = float(np.mean(values))
    return of_seeds(values, Estimate(mean, mean, mean))


def _over_regions(result):
    """DeepID2+ minus DeepID2, mean over the regions, of pictures without their mirrors."""
    plus = [name for name in result["variants"] if name.startswith("DeepID2+, ")]
    weights = {name: 1 / len(plus) for name in plus}
    return contrast(result, weights | {f"DeepID2, {n.split(', ')[1]}": -w for n, w in weights.items()}, "picture")


def best_lambda(result):
    """The weight of verification with the highest accuracy on held-out people, mean over the seeds."""
    return max(LAMBDAS, key=lambda name: np.mean([
        layer["accuracy"]["joint_bayesian"] for layer in last_layers(result["variants"][name], "held_out")
    ]))  # fmt: skip


def _of_best_lambda(against):
    return lambda r: contrast(r, {best_lambda(r): 1, against: -1})


def _first_ten(result, variant):
    """Share in percent of the variance within people that lies in its first ten directions, of each training (S,)."""
    _check_seeds(result, variant)
    layers = last_layers(result["variants"][variant], "held_out")
    return np.array([layer["spectra"]["within"]["first_ten"] for layer in layers])


def _gathered(result):
    ours, other = _first_ten(result, best_lambda(result)), _first_ten(result, NO_VERIFICATION)
    n = min(len(ours), len(other))
    return _of_spread(ours[:n] - other[:n])


def _a_doubling(result):
    """Points that a doubling of the people brings: the slope of accuracy over log2 of their number."""
    names = list(result["variants"])
    x = np.log2([result["variants"][name]["people"] for name in names])
    x -= x.mean()
    return contrast(result, dict(zip(names, x / (x**2).sum(), strict=True)))


def _active(result, rate, place):
    """Active neurons in percent of each training (S,) at a dropout rate, of "held-out" people or of LFW's."""
    _check_seeds(result, PLAIN.format(rate))
    where, part = {"held-out": ("held_out", "fit"), "LFW": ("test", "compared")}[place]
    return np.array([layer["active"][part] for layer in last_layers(result["variants"][PLAIN.format(rate)], where)])


def _between_rates(result, place):
    """The largest difference of the active share between the rates, of each seed (S,)."""
    of_rate = [_active(result, rate, place) for rate in RATES]
    return np.ptp([shares[: min(map(len, of_rate))] for shares in of_rate], axis=0)


def _between_seeds(result, place):
    """The same between as many trainings at one rate."""
    shares = _active(result, "0.5", place)
    if len(shares) < len(RATES):
        raise KeyError(f"{len(RATES)} seeds of {PLAIN.format('0.5')}")
    return np.ptp(shares[: len(RATES)])


def _at_both_places(statistic):
    return lambda r: {place: _of_spread(statistic(r, place)) for place in ("held-out", "LFW")}


POINTS = "{:.2f} points"

claims(
    Claim(
        "C3", "On the average of the regions DeepID2+ beats DeepID2 by about two points", "section 4, Fig. 3",
        "about 2 points", section="how good it is", study="regions", interval="seeds", kind="baseline",
        against="DeepID2's nets of the same regions", at_least=2, margin=1, unit=POINTS, ours=_over_regions,
        difference=_over_regions,
    ),
    Claim(
        "C12", "Dropout does not change how many neurons are active", "section 5", "stated, no number",
        section="sparse", study="dropout", interval="seeds", kind="chance",
        against="as many trainings at one rate", at_most=5, own_bar=True, margin=-5, unit="{:.1f} points",
        ours=_at_both_places(_between_rates),
        difference=_at_both_places(lambda r, place: _between_seeds(r, place) - _between_rates(r, place)),
    ),
    Claim(
        "D1", "The L2 signal beside identification makes features better", "DeepID2, section 4", "2.39 points",
        section="earlier papers", study="lambda", interval="seeds", kind="baseline", against="identification alone",
        at_least=2.39, margin=1.2, unit=POINTS, of="DeepID2", ours=_of_best_lambda(NO_VERIFICATION),
        difference=_of_best_lambda(NO_VERIFICATION),
    ),
    Claim(
        "D2", "A weight in between is best; verification alone is worse", "DeepID2, section 4", "drawn, no number",
        section="earlier papers", study="lambda", interval="seeds", kind="baseline", against="verification alone",
        of="DeepID2", ours=lambda r: contrast(r, {best_lambda(r): 1}), difference=_of_best_lambda("verification only"),
    ),
    Claim(
        "D3", "Pulling the images of one person together does most of it", "DeepID2, section 4", "1.89 points",
        section="earlier papers", study="signals", interval="seeds", kind="baseline", against="pushing alone (L2-)",
        at_least=1.89, margin=0.95, unit=POINTS, of="DeepID2", ours=_gain("L2+", "L2-"),
        difference=_gain("L2+", "L2-"),
    ),
    Claim(
        "D4", "Verification gathers the variation within people in few directions", "DeepID2, Figs. 3, 4",
        "drawn, no number", section="earlier papers", study="lambda", interval="seeds", kind="baseline",
        against="identification alone", of="DeepID2", ours=lambda r: _of_spread(_first_ten(r, best_lambda(r))),
        difference=_gathered,
    ),
    Claim(
        "D5", "More people make better features", "DeepID, section 4", "drawn, no number", section="earlier papers",
        study="people", interval="seeds", kind="null", against="no slope", unit="{:.2f} points a doubling",
        of="DeepID", ours=_a_doubling, difference=_a_doubling,
    ),
    Claim(
        "V1", "More maps make DeepID2+ better", "arXiv v1, Fig. 3", "drawn, no number", section="earlier papers",
        study="layers", interval="seeds", kind="baseline", against="DeepID2's maps and dimension", of="arXiv v1",
        ours=_accuracy("DeepID2+"), difference=_gain("DeepID2+", "smaller net"),
    ),
    Claim(
        "V2", "More people make DeepID2+ better", "arXiv v1, Fig. 3", "drawn, no number", section="earlier papers",
        study="layers", interval="seeds", kind="baseline", against="half of the people", of="arXiv v1",
        ours=_accuracy("DeepID2+"), difference=_gain("DeepID2+", "half of the people"),
        beside=lambda r: {"half of the images": _accuracy("half of the images")(r)},
    ),
    Claim(
        "V3", "Supervision of every layer makes DeepID2+ better", "arXiv v1, Fig. 3", "drawn, no number",
        section="earlier papers", study="layers", interval="seeds", kind="baseline", against="signals on FC-4 alone",
        of="arXiv v1", ours=_accuracy("DeepID2+"), difference=_gain("DeepID2+", "no layer-wise supervision"),
    ),
    Claim(
        "O3", "Weights shared in blocks, or not at all, suit aligned faces better than a plain convolution",
        "chapter 13", "no claim of the papers", section="ours", study="sharing", interval="seeds", kind="baseline",
        against="plain convolutions", of="this book", ours=_accuracy("local sharing"),
        difference=_gain("local sharing", "plain convolution"),
    ),
)  # fmt: skip
