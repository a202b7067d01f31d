"""How selective neurons are, with intervals over people: what `studies.neurons` records and is judged by.

In percent, and each number as [value, low, high] with everybody drawn anew (`intervals.of_people`). Neurons, their
thresholds, and LBP's dimension are chosen on one half of the images and judged on the other.
"""

import numpy as np

from deepid_lite.faces import splits
from deepid_lite.neurons.selectiveness import (
    coin_labels,
    linear_decisions,
    one_neuron,
    split_images,
    statistics,
    testable,
)
from deepid_lite.studies import people
from deepid_lite.studies.intervals import of_people
from deepid_lite.studies.responses import SELECTIVE, numbers, signs
from deepid_lite.verification import lbp

TRIED = 8  # attributes by which LBP's dimension is chosen


def lbp_sweep(setup):
    """LBP descriptors to compare with (see `lbp.SWEEP`); at the lite scale the three smallest, which take seconds."""
    return lbp.SWEEP[:3] if setup.name == "lite" else lbp.SWEEP


def lbp_features(setup, part, rows, entry):
    """LBP descriptors, uint8 (N, D), of the rows of a part; entry: one of `lbp.SWEEP`."""
    _, points, levels = entry
    images = getattr(setup, part).images
    return lbp.describe(images if len(rows) == len(images) else images[rows], points, levels)


def sweep_lbp(setup, part, rows, methods, targets, labels, firsts):
    """LBP by linear SVM over its dimensions: {kind of halves: {dimension: (decisions (N, A), scores (2,))}}.

    A score is the accuracy within the half that trains, halved again in the same way: it may choose the dimension.
    """
    swept = {kind: {} for kind in firsts}
    for entry in lbp_sweep(setup):
        largest = entry is lbp_sweep(setup)[-1]
        found = methods["lbp"] if largest else lbp_features(setup, part, rows, entry)
        reduce = lbp.GramPCA(1000)
        for kind, first in firsts.items():
            said = linear_decisions(found, targets, first, reduce, progress=True)
            scores = [_score_within(found[fit], targets[fit], labels[fit], kind, reduce) for fit in (first, ~first)]
            swept[kind][found.shape[1]] = said, scores
    return swept


def _score_within(features, targets, labels, kind, reduce):
    """Mean balanced accuracy of some attributes in one half of what is given, trained on the other half."""
    labels = splits.renumber(labels)
    first = splits.split_people(labels) if kind == "people" else split_images(np.zeros(len(labels)))
    tested, _ = testable(targets, [first], range(targets.shape[1]), 1)
    if not len(tested):
        return 0.0
    targets = targets[:, tested[:: -(-len(tested) // TRIED)]]
    right = linear_decisions(features, targets, first, reduce, ways=(0,)) == (targets == 1)
    kinds = [right[~first & (targets[:, a] == k), a] for a in range(targets.shape[1]) for k in (0, 1)]
    return float(np.mean([right.mean() for right in kinds]))


def _best_lbp(swept, first):
    """(decisions (N, A) of LBP, the dimension that each half chose on itself before it judged the other)."""
    dimensions = list(swept)
    best = [dimensions[int(np.argmax([swept[d][1][way] for d in dimensions]))] for way in (0, 1)]
    return np.where(first[:, None], swept[best[1]][0], swept[best[0]][0]), best


def coin(features, labels, first, tosses, seed=0):
    """Labels that a coin gave each person, told by one neuron and by all: accuracies, and the mean over the tosses.

    "estimate" is that of all neurons together, in percent, with everybody drawn anew.
    """
    coins = coin_labels(labels, tosses, seed)
    statistic = people.balanced(linear_decisions(features, coins, first, progress=True), coins, labels, first)
    n = labels.max() + 1
    both = np.minimum(np.bincount(labels[first], minlength=n), np.bincount(labels[~first], minlength=n)) > 0
    return {
        "one": numbers(one_neuron(features, coins, first).accuracy),
        "all": numbers(statistic(np.ones((1, n)))[0]),
        "estimate": _estimate(of_people(lambda counts: 100 * people.average(statistic(counts)), n)),
        "people_in_both_halves": round(float(both.mean()), 4),
    }


def estimates_of_people(methods, targets, labels, first, found, seed=0):
    """What is claimed of single features and people, targets bool (N, A), in percent but for the correlation.

    {"best" of the features for the best known, "typical" feature, "rarer" of the two kinds, "correlation" of means}:
    each {method: [value, low, high], "difference": the same, signed so that positive speaks for the claim}.
    """
    n, who = labels.max() + 1, labels[targets.argmax(0)]  # of each target its person

    def compared(statistics, better=1, times=1):
        """Of two methods {name: function of counts -> (B,)}."""
        (ours, of_ours), (other, of_other) = statistics.items()

        def every(counts):
            a, b = of_ours(counts), of_other(counts)
            return np.stack([a, b, better * (a - times * b)], axis=1)

        found = of_people(every, n, seed=seed)
        return dict(zip((ours, other, "difference"), map(_estimate, found), strict=True))

    def mean_of(statistic, unit=100):
        return lambda counts: unit * people.mean_of_drawn(statistic(counts), counts[:, who])

    def for_each(make):
        return {name: make(name) for name in ("net", "lbp")}

    def best(name):
        known = people.balanced(people.decided(methods[name], targets, first, found[name]), targets, labels, first)
        return lambda counts: 100 * people.largest(known(counts))

    def typical(name):
        return mean_of(people.typical(methods[name], targets, labels, first, found[name]))

    def rarer(name):
        side = signs(found[name])
        return mean_of(people.rarer(methods[name], targets, labels, first, found[name], side, SELECTIVE))

    means = {name: mean_of(people.correlation_of_means(methods[name], labels, who), 1) for name in ("net", "untrained")}
    estimates = {"correlation": compared(means, better=-1)}
    if "lbp" in methods:
        estimates["best"] = compared(for_each(best))
        typical_ = for_each(typical)
        estimates["typical"] = compared({"lbp": typical_["lbp"], "net": typical_["net"]}, better=-1)
        estimates["rarer"] = compared(for_each(rarer), times=3)
        # what few people do to the mean of all others is nothing beside which of the five are drawn
        alike = [np.corrcoef(s.mean, s.rest_mean)[0, 1] for s in (statistics(methods["lbp"], t) for t in targets.T)]
        estimates["correlation"]["lbp"] = _estimate(of_people(mean_of(lambda _: np.array(alike), 1), n, seed=seed))
    return estimates


def estimates_of_attributes(methods, targets, labels, first, found, said, swept=None):
    """Accuracies by all features (Fig. 7), and what is claimed: "one" feature for the best attribute, "all" on average.

    said: decisions (N, A) by all features of "net" and "untrained"; swept: of LBP, see `sweep_lbp`. `estimates` in
    percent, as in `estimates_of_people`; `lbp_dimension`: what each half chose.
    """
    n = labels.max() + 1

    def accuracies(decisions):
        return numbers(people.balanced(decisions, targets, labels, first)(np.ones((1, n)))[0])

    result = {"all": {name: accuracies(decisions) for name, decisions in said.items()},
              "all_lbp": {str(d): accuracies(decisions) for d, (decisions, _) in (swept or {}).items()}}  # fmt: skip
    if not swept:
        return result
    of_lbp, chosen = _best_lbp(swept, first)
    one = {name: people.decided(methods[name], targets, first, found[name]) for name in ("net", "lbp")}
    pairs = {"all": (said["net"], of_lbp, people.average),
             "one": (one["net"], one["lbp"], people.largest)}  # fmt: skip
    estimates = {}
    for key, (ours, other, over) in pairs.items():
        known = [people.balanced(decisions, targets, labels, first) for decisions in (ours, other)]
        three = of_people(lambda c, k=known, o=over: people.beside(*(100 * o(f(c))[:, None] for f in k)), n)
        estimates[key] = dict(zip(("net", "lbp", "difference"), map(_estimate, three), strict=True))
    return result | {"estimates": estimates, "lbp_dimension": chosen}


def _estimate(found):
    return numbers(list(found), 5)
