"""What more regions give: accuracy against the number of nets, real features and codes [DeepID2, Table 1; DeepID2+,
Table 4], with one net that looks several times as the null.

More features and more looks at the picture help by themselves. The null has both without another net: the first
region's net on as many crops of that region, each shifted by a few pixels, features side by side as in the ensemble.
"""

from dataclasses import replace

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import FRAME
from deepid_lite.faces.splits import renumber, split_people
from deepid_lite.neurons.codes import binarise
from deepid_lite.registry import Claim, Estimate, claims, study
from deepid_lite.studies.codes import accuracy
from deepid_lite.studies.comparisons import packed, unpacked
from deepid_lite.studies.intervals import (
    of_loss_difference,
    of_pairs,
    of_people,
    of_seeds,
    of_share_removed,
    over_published,
    rightly,
)
from deepid_lite.verification import ensemble as nets_joined
from deepid_lite.verification import metrics, region_selection
from deepid_lite.verification.benchmarks import benchmark
from deepid_lite.verification.evaluation import identification_report, pair_scores, scorer, verification_report
from deepid_lite.verification.model import face_features
from deepid_lite.verification.pairs import make_pairs, pairs_a_fold
from deepid_lite.verification.verifier import fit_verifier

COUNTS = (1, 2, 4, 8, 16, 25)
TRIED_COMPONENTS = (40, 60, 80, 120, 180)
REAL, CODES, HAMMING = "real joint_bayesian", "binary joint_bayesian", "binary hamming"


@study
def ensemble(setup, seed=0):
    """The curve over 1, 2, 4, ... nets in the table's order and in the order chosen on validation people; a dict.

    Each number of nets has: `validation`, accuracy on validation people; Joint Bayesian and cosine of the real
    features, Joint Bayesian and Hamming of the codes, on the test people. Everything is fitted and chosen on the
    held-out people. `system` is the whole ensemble: ROC, identification. `right`: which pairs one net, all nets and as
    many views decide rightly, as `packed`, fold by fold. DataError where `setup` has no ensemble.
    """
    if setup.ensemble is None:
        raise DataError("ensemble: --model must be the folder of one; deepid train --regions makes it")
    members = {member.region.name: member for member in setup.ensemble.members}
    precision = "bf16" if setup.name == "reference" else "fp32"  # several times as fast where there are photographs
    held_out, test = (
        {name: face_features(net, faces.images, precision=precision, progress=True) for name, net in members.items()}
        for faces in (setup.held_out, setup.test)
    )
    together = np.concatenate(list(test.values()), axis=1)
    lists = benchmark("lfw" if setup.name == "reference" else "synthetic", setup.root).lists
    first = (held_out[setup.model.region.name], test[setup.model.region.name])
    labels, pairs = setup.held_out.labels, setup.pairs
    alone = nets_joined.fit([setup.model], first[0], labels)
    validation = region_selection.ValidationScore(held_out, labels, seed=seed)
    steps = region_selection.greedy(validation, list(members), len(members))
    orders = {"table": list(members), "greedy": _by_steps(steps, list(members))}
    counts = sorted({*(c for c in COUNTS if c <= len(members)), len(members)})

    def found(names):
        return _table_4(held_out, test, names, labels, pairs)

    def point(names):
        """Table 4 of the nets of these regions, and what the validation people said."""
        return {**found(names)[0], "validation": round(validation(tuple(names)), 3)}

    views = _views(setup, counts, seed, precision, *first)
    of_one, of_all, of_views = found([setup.model.region.name])[1], found(list(members))[1], views[-1][1]
    system = verification_report(pair_scores(setup.ensemble, together, pairs), pairs)
    return {
        "scale": setup.name, "data_hash": setup.test.data_hash, "pairs": len(pairs), "seed": seed,
        "precision": precision, "regions": list(members), "orders": orders, "counts": counts,
        "curves": {how: [point(names[:count]) for count in counts] for how, names in orders.items()},
        "alone": {name: point([name]) for name in members},
        "selection": [{"regions": list(names), "validation": round(value, 3)} for names, value in steps],
        "components": _tried_components(held_out, labels, seed),
        "pairs_per_fold": np.bincount(pairs.fold).tolist(),
        "right": {"one net": of_one, "all nets": of_all, "one net, as many views": of_views},
        "system": {
            **system,
            "identification": identification_report(setup.ensemble, together, setup.test.labels, lists),
            "people": _over_people(setup.ensemble, together, setup.test.labels, lists),
        },
        "null": {
            "views": [at_count for at_count, _ in views],
            "identification": identification_report(alone, first[1], setup.test.labels, lists),
        },
        "nets": {name: {key: member.card.get(key) for key in ("images", "people", "minutes", "device", "commit")}
                 | {"epochs": member.card.get("recipe", {}).get("epochs")} for name, member in members.items()},
    }  # fmt: skip


def _table_4(held_out, test, names, labels, pairs):
    """Table 4 of the features of these names: ({"nets", "real joint_bayesian", ..., "binary hamming"}, right).

    right: {way: which pairs it decides rightly, fold by fold, as `packed`}.
    """
    fit, tested = (np.concatenate([part[name] for name in names], axis=1) for part in (held_out, test))
    bits, unit = binarise(tested), tested / np.maximum(np.linalg.norm(tested, axis=1, keepdims=True), 1e-12)
    real, codes = (fit_verifier(of_fit, labels, nets_joined.COMPONENTS) for of_fit in (fit, binarise(fit)))
    i, j = pairs.first, pairs.second
    scores = {
        REAL: real.score_pairs(tested, pairs),
        "real cosine": (unit[i] * unit[j]).sum(1),
        CODES: codes.score_pairs(bits.astype(np.float32), pairs),
        HAMMING: -(bits[i] ^ bits[j]).sum(1),
    }
    by_fold = np.argsort(pairs.fold, kind="stable")
    right = {way: packed(rightly(scores[way], pairs)[by_fold]) for way in (REAL, CODES, HAMMING)}
    return {"nets": len(names)} | {way: accuracy(found, pairs) for way, found in scores.items()}, right


def _over_people(model, features, labels, lists):
    """Rank-1 and detection and identification rate in percent, [value, low, high] over the probes' people."""
    score = scorer(model, features)
    closed = metrics.best_matches(score, lists.probes, lists.gallery, labels)
    genuine, impostors = (
        metrics.best_matches(score, probes, lists.open_gallery, labels) for probes in (lists.genuine, lists.impostors)
    )
    tau = metrics.detection_rate(genuine, np.maximum(*impostors), far=0.01).threshold
    found = {
        "rank1": (closed.own > closed.other, labels[lists.probes]),
        "dir_at_1_far": ((genuine.own > genuine.other) & (genuine.own >= tau), labels[lists.genuine]),
    }
    return {name: _share_over_people(*of_probes) for name, of_probes in found.items()}


def _share_over_people(right, labels):
    """Estimate in percent of the share of right probes, bool (N,), whose people `labels` (N,) are drawn anew."""
    _, person, probes = np.unique(labels, return_inverse=True, return_counts=True)
    of_person = np.bincount(person, right)
    return of_people(lambda counts: 100 * (counts @ of_person) / (counts @ probes), len(probes))


def _by_steps(steps, names):
    """Names in the order in which the search took them in; those that it left out follow in the table's order."""
    order = []
    for chosen, _ in steps:
        order = [name for name in order if name in chosen] + [name for name in chosen if name not in order]
    return order + [name for name in names if name not in order]


def _tried_components(held_out, labels, seed):
    """Accuracy in percent on validation people of all nets together, for several numbers of PCA components."""
    fits = split_people(labels)
    fit, other = (np.concatenate([f[side] for f in held_out.values()], axis=1) for side in (fits, ~fits))
    scored = renumber(labels[~fits])
    pairs = make_pairs(scored, per_fold=pairs_a_fold(scored), seed=seed)
    found = {}
    for n in TRIED_COMPONENTS:
        if n > min(fit.shape):
            continue
        scores = fit_verifier(fit, renumber(labels[fits]), n).score_pairs(other, pairs)
        found[str(n)] = round(100 * metrics.verify(scores, pairs).accuracy, 3)
    return found


def _views(setup, counts, seed, precision, held_out, test):
    """The null: the first net on shifted crops of its region, as many as the ensemble has nets; only images in pairs.

    held_out, test: its features of the region in its place.
    """
    rng = np.random.default_rng(seed)
    region, (used, pairs) = setup.model.region, setup.pairs.compact()
    held_out, test, tested = {"0": held_out}, {"0": test[used]}, np.asarray(setup.test.images[used])
    for view in range(1, counts[-1]):
        left, top = (float(start + rng.integers(-4, 5)) for start in (region.left, region.top))
        left = min(max(left, 0), FRAME[1] - region.width)
        top = min(max(top, 0), FRAME[0] - region.height)
        shifted = replace(setup.model, region=replace(region, left=left, top=top))
        held_out[str(view)], test[str(view)] = (
            face_features(shifted, images, precision=precision, progress=True)
            for images in (setup.held_out.images, tested)
        )
    return [_table_4(held_out, test, list(held_out)[:count], setup.held_out.labels, pairs) for count in counts]


# claims

SYSTEMS = ("one net", "all nets", "one net, as many views")


def _right(result, way, *systems):
    """Which pairs these systems decide rightly, one row each, and the fold of each pair."""
    fold = np.repeat(np.arange(len(result["pairs_per_fold"])), result["pairs_per_fold"])
    return [unpacked(result["right"][system][way], len(fold)) for system in systems], fold


def _accuracy(result):
    (right,), fold = _right(result, REAL, "all nets")
    return of_pairs(right, fold)


def _share_removed(way, over_views=False):
    """record -> share of one net's errors that all nets remove, or that they remove beyond what more views do."""

    def read(result):
        (one, of_all, views), fold = _right(result, way, *SYSTEMS)
        return of_share_removed(one, of_all, fold, views if over_views else None)

    return read


def _one_training(read):
    """record -> what `read` gives, with the interval over seeds of an ensemble that was trained once: none."""

    def over_seeds(result):
        found = read(result)
        return of_seeds([found.value], found)

    return over_seeds


def _code_loss(result):
    """Points that the code of all nets loses."""
    (real, codes), fold = zip(*(_right(result, way, "all nets") for way in (REAL, CODES)), strict=True)
    return of_pairs(np.concatenate([real, codes]), fold[0], lambda a: 100 * (a[..., 0] - a[..., 1]))


def _less_code_loss(result):
    """How much less all nets lose by the code than one net."""
    (one, of_all), fold = _right(result, REAL, *SYSTEMS[:2])
    (one_code, all_code), _ = _right(result, CODES, *SYSTEMS[:2])
    return of_loss_difference((of_all, all_code), (one, one_code), fold)


def _identified(key, published):
    """The readers of a claim about identification, against a published rate without an error of its own."""

    def ours(result):
        return Estimate(*result["system"]["people"][key])

    return {"ours": ours, "difference": lambda r: over_published(ours(r), published, 0)}


claims(
    Claim(
        "C2", "25 nets verify better than all before", "section 4, Table 1, Fig. 4", "99.47 %",
        section="how good it is", study="ensemble", interval="pairs", kind="baseline",
        against="published DeepID2, 99.15 ± 0.13 %", at_least=99.47, margin=0.16, unit="{:.2f} %",
        ours=_accuracy, difference=lambda r: over_published(_accuracy(r), 99.15, 0.13),
    ),
    Claim(
        "C4", "25 regions remove most of one net's errors", "section 5, Table 4", "98.70 to 99.47 %",
        section="how good it is", study="ensemble", interval="seeds", kind="null",
        against="one net that looks as many times", at_least=59, margin=30, unit="{:.0f} % of the errors",
        ours=_share_removed(REAL), difference=_one_training(_share_removed(REAL, over_views=True)),
    ),
    Claim(
        "C5", "Rank-1 identification among some 4,250 people", "section 4, Table 3", "95.0 %",
        section="how good it is", study="ensemble", interval="people", kind="baseline",
        against="published WST Fusion, 82.5 %", at_least=95.0, margin=6.2, **_identified("rank1", 82.5),
    ),
    Claim(
        "C6", "The same with strangers among the probes, at 1 % false alarms", "section 4, Table 3", "80.7 %",
        section="how good it is", study="ensemble", interval="people", kind="baseline",
        against="published WST Fusion, 61.9 %", at_least=80.7, margin=9.4, **_identified("dir_at_1_far", 61.9),
    ),
    Claim(
        "C7", "25 nets verify YouTube Faces' videos better than all before", "section 4, Table 2, Fig. 5", "93.2 %",
        section="how good it is", kind="baseline", against="published DeepFace, 91.4 ± 1.1 %", at_least=93.2,
        margin=0.9, why="the videos need a registration; `deepid evaluate --data ytf` reads them",
    ),
    Claim(
        "C8", "With the wrong labels of LFW and YouTube Faces corrected accuracy rises", "section 4", "99.52, 93.8 %",
        section="how good it is", kind="baseline", against="the labels as they are", at_least=0.05, margin=0.025,
        unit="{:.2f} points",
        why="the paper does not print the list of corrections; `deepid evaluate --errata FILE` reads one",
    ),
    Claim(
        "C17", "Codes of 25 nets cost less than those of one", "section 5, Table 4", "0.35 points", section="sparse",
        study="ensemble", interval="pairs", kind="baseline", against="what the code of one net costs", at_most=0.35,
        margin=0.34, log_odds=True, unit="{:.2f} points", ours=_code_loss, difference=_less_code_loss,
    ),
    Claim(
        "C18", "With Hamming distance, too, 25 nets beat one", "section 5, Table 4", "96.45 to 97.47 %",
        section="sparse", study="ensemble", interval="pairs", kind="null", against="one net that looks as many times",
        at_least=29, margin=14, unit="{:.0f} % of the errors", ours=_share_removed(HAMMING),
        difference=_share_removed(HAMMING, over_views=True),
    ),
)  # fmt: skip
