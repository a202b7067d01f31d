"""Error rates of groups of people at one common threshold, with intervals from people drawn anew.

A system has one threshold for everybody; who pays for it? *False accepts*: pairs of two people that score above it.
*False rejects*: pairs of one person that do not. Impostors are compared within a group, woman with woman and man with
man: who wants to pass as somebody chooses a face of the same sex, and pairs of a woman and a man flatter every system.

**Intervals come from people, not from pairs.** A few hundred people give millions of pairs, but each person stands in
thousands of them, and who is easily taken for others is so in all. Drawn anew are therefore people with all their pairs
(a bootstrap over the vertices of a graph [Snijders and Borgatti, Connections 22, 1999]). Intervals over pairs
would be many times too narrow.
"""

from typing import NamedTuple

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces import splits
from deepid_lite.neurons import codes, sparsity
from deepid_lite.neurons.selectiveness import split_images
from deepid_lite.registry import study
from deepid_lite.studies.neurons import attribute_labels, of_everybody
from deepid_lite.verification.verifier import fit_verifier

FARS = (0.01, 0.001)  # false accept rates that the threshold allows among all impostors of the other half
LEAST = 10  # people of a group
MOST = 10_000  # images, of everybody as many as come to that: all are compared with all


class Tables(NamedTuple):
    """Pairs of images by the people on them, each pair once; within a person on the diagonal."""

    above: np.ndarray  # (P, P): pairs that score above the threshold
    pairs: np.ndarray  # (P, P): all pairs


def threshold_at(scores, people, far):
    """The lowest threshold that at most `far` of the impostor pairs exceed: scores (N, N), people (N,) -> float."""
    rows, columns = np.triu_indices(len(people), 1)
    impostors = scores[rows, columns][people[rows] != people[columns]]
    allowed = int(far * len(impostors) + 1e-9)
    if allowed >= len(impostors):
        raise DataError(f"far={far}: {len(impostors)} impostor pairs; give two people and a rate below 1")
    return float(np.partition(impostors, -1 - allowed)[-1 - allowed])


def count(scores, people, threshold, n_people=None):
    """`Tables` of scores (N, N) of all images with all, people (N,) 0..P-1; larger scores are more alike."""
    member = np.eye(n_people or people.max() + 1, dtype=np.float32)[people]
    upper = np.triu(np.ones(scores.shape, np.float32), 1)  # each pair once, no image with itself
    above = member.T @ (upper * (scores > threshold)) @ member  # float32 is exact: a cell counts some hundred pairs
    return Tables(above.astype(np.float64), (member.T @ upper @ member).astype(np.float64))


def rates(tables, weights):
    """(false accept, false reject) rates of people with weights (..., P): 0 out, 1 in, 2 drawn twice -> (...,) each.

    Two drawings of one person are no impostors. nan where there is no pair.
    """
    between = [table - np.diag(np.diag(table)) for table in tables]
    accepted, impostors = (np.einsum("...a,...a->...", weights @ table, weights) for table in between)
    right, genuine = (weights @ np.diag(table) for table in tables)
    with np.errstate(invalid="ignore", divide="ignore"):
        return accepted / impostors, 1 - right / genuine


def drawn(groups, draws, seed=0):
    """People drawn anew within their group: groups (P,) numbers -> weights (draws, P), how often each is drawn."""
    rng, weights = np.random.default_rng(seed), np.zeros((draws, len(groups)))
    for group in np.unique(groups):
        who = np.flatnonzero(groups == group)
        weights[:, who] = rng.multinomial(len(who), np.full(len(who), 1 / len(who)), size=draws)
    return weights


def by_group(tables, groups, draws=2000, seed=0, level=0.95):
    """Rates in percent of two groups of people, groups (P,) 0 or 1, each as [value, low, high] over people drawn anew.

    Returns {"female", "male": within the group; "same": pairs within either; "mixed": impostors of one each; "all"},
    each with the numbers of people and pairs, "far" and "frr"; and "difference": group 1's rate minus group 0's, in
    points, with "shuffled", its range when the groups are dealt anew among the people, which is the null.
    """
    groups = np.asarray(groups)
    # the first row of weights is what was measured
    weights = np.concatenate([np.ones((1, len(groups))), drawn(groups, draws, seed)])
    parts = [weights * (groups == g) for g in (0, 1)]
    inside = groups[:, None] == groups
    within = Tables(*(table * inside for table in tables))
    sets = {"female": (tables, parts[0]), "male": (tables, parts[1])}
    sets |= {"same": (within, weights), "all": (tables, weights)}
    found = {}
    for name, (of, part) in sets.items():
        far, frr = rates(of, part)
        found[name] = {**_sizes(of, part[0] > 0), "far": _interval(far, level), "frr": _interval(frr, level)}
    apart = Tables(*(table * ~inside for table in tables))
    found["mixed"] = {"impostor_pairs": int(apart.pairs.sum()), "far": _interval(rates(apart, weights)[0], level)}
    rng = np.random.default_rng(seed)
    dealt = np.stack([rng.permutation(groups) for _ in range(draws)])
    observed, null = _differences(tables, *parts), _differences(tables, dealt == 0, dealt == 1)
    found["difference"] = {
        name: {"value": _interval(observed[name], level), "shuffled": _range(null[name], level)} for name in observed
    }
    return found


def _differences(tables, one, other):
    pairs = zip(rates(tables, 1.0 * one), rates(tables, 1.0 * other), strict=True)
    return dict(zip(("far", "frr"), (b - a for a, b in pairs), strict=True))


def _range(values, level):
    tails = 50 * (1 - level), 50 * (1 + level)
    return [100 * float(v) for v in np.nanpercentile(values, tails)]


def _interval(values, level):
    """What was measured, which comes first, and the range of the others, in percent."""
    return [100 * float(values[0]), *_range(values[1:], level)]


def _sizes(tables, who):
    pairs = tables.pairs[np.ix_(who, who)]
    genuine = np.trace(pairs)
    return {"people": int(who.sum()), "genuine_pairs": int(genuine), "impostor_pairs": int(pairs.sum() - genuine)}


@study
def error_rates_by_sex(setup, seed=0, folder=None, draws=2000):
    """False accepts and rejects by sex, as CelebA's annotators labelled it, of CelebA people whom the net never saw.

    A person's sex is the label of most of their images. Joint Bayesian is fitted anew on the held-out people who are
    *not* tested: the shipped one has seen these. The people are halved, and the threshold of a half is the one that
    lets a share of FARS of the other half's impostors pass, so that nobody who is tested has fitted or chosen anything.
    folder: of CelebA's labels, see `attribute_labels`. DataError without such labels or with too few people.
    """
    if setup.name == "lite":
        raise DataError("error_rates_by_sex: drawn faces have no sex; add --scale reference")
    _, rows, names, labels = attribute_labels(setup, folder)
    others = np.flatnonzero(~np.isin(setup.held_out.labels, setup.held_out.labels[rows]))
    some = of_everybody(setup.held_out.labels[rows], MOST)
    rows, labels = rows[some], labels[some]
    male, person = labels[:, names.index("Male")], splits.renumber(setup.held_out.labels[rows])
    sex = majority(person, male)
    clear = ~np.isnan(sex)[person]
    people, groups, n = splits.renumber(person[clear]), sex[~np.isnan(sex)].astype(int), int(np.isnan(sex).sum())
    if min(np.bincount(groups, minlength=2)) < LEAST:
        raise DataError(f"error_rates_by_sex: fewer than {LEAST} people of one sex; give more CelebA people")
    features, fit_labels = setup.features("held_out"), setup.held_out.labels[others]
    verifier = fit_verifier(features[others], fit_labels)
    tested, half = features[rows[clear]], split_images(groups, seed)[people]
    tables = {name: _tables(score, tested, people, half) for name, score in _scores(verifier).items()}
    found = {name: {far: {"threshold": t, **by_group(counted, groups, draws, seed)} for far, (t, counted) in of.items()}
             for name, of in tables.items()}  # fmt: skip
    return sparsity.rounded({
        "scale": setup.name,
        "data_hash": setup.held_out.data_hash,
        "seed": seed,
        "draws": draws,
        "labels": "Male, as CelebA's annotators gave it; of a person, the label of most images",
        "images": {name: int((groups[people] == g).sum()) for g, name in enumerate(("female", "male"))},
        "images_labelled_otherwise": int((groups[people] != male[clear]).sum()),
        "people_left_out": n,
        "fitted_on": {"images": len(others), "people": len(np.unique(fit_labels))},
        "systems": found,
    })  # fmt: skip


def majority(person, labels):
    """The label of most of a person's images: person (N,) 0..P-1, labels (N,) 0, 1 or nan -> (P,), nan for a tie."""
    known = ~np.isnan(labels)
    yes = np.bincount(person[known], labels[known], minlength=person.max() + 1)
    no = np.bincount(person[known], 1 - labels[known], minlength=person.max() + 1)
    return np.where(yes == no, np.nan, yes > no)


def _scores(verifier):
    """Two ways to score all images with all, features (N, 2 D) -> (N, N)."""

    def joint_bayesian(features):
        return verifier.score_all(features, features)

    def hamming(features):
        bits = codes.pack(codes.binarise(features))
        return -codes.hamming(bits, bits)

    return {"joint_bayesian": joint_bayesian, "hamming": hamming}


def _tables(score, features, people, half):
    """{false accept rate of FARS: (the halves' thresholds, `Tables` of all people)}; pairs lie within a half."""
    parts = [np.flatnonzero(half == h) for h in (False, True)]
    scores = [score(features[rows]) for rows in parts]
    found = {}
    for far in FARS:
        thresholds = [threshold_at(scores[other], people[parts[other]], far) for other in (1, 0)]
        counted = [count(scores[h], people[parts[h]], thresholds[h], people.max() + 1) for h in (0, 1)]
        found[str(far)] = thresholds, Tables(*(a + b for a, b in zip(*counted, strict=True)))
    return found
