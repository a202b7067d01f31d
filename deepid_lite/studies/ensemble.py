"""What more regions give: accuracy against the number of nets, real features and codes [DeepID2, Table 1; DeepID2+,
Table 4], with one net that looks several times as the null.

More features and more looks at the picture help by themselves. The null has both without another net: the first
region's net on as many crops of that region, each shifted by a few pixels, features side by side as in the ensemble.
"""

from dataclasses import replace

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import FRAME
from deepid_lite.faces.splits import halves, renumber
from deepid_lite.registry import Claim, claims, study
from deepid_lite.studies.codes import table_4
from deepid_lite.verification import ensemble as nets_joined
from deepid_lite.verification import region_selection
from deepid_lite.verification.benchmarks import test_set
from deepid_lite.verification.evaluation import face_features, identification_report, pair_scores, verification_report
from deepid_lite.verification.metrics import make_pairs, verify
from deepid_lite.verification.model import fitted
from deepid_lite.verification.pairs import pairs_a_fold

COUNTS = (1, 2, 4, 8, 16, 25)
TRIED_COMPONENTS = (40, 60, 80, 120, 180)
JOINT = "real joint_bayesian"


@study
def ensemble(setup, seed=0):
    """The curve over 1, 2, 4, ... nets in the table's order and in the order chosen on validation people; a dict.

    Each number of nets has: `validation`, accuracy on validation people; Joint Bayesian and cosine of the real
    features, Joint Bayesian and Hamming of the codes, on the test people. Everything is fitted and chosen on the
    held-out people. `system` is the whole ensemble: ROC, identification. DataError where `setup` has no ensemble.
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
    lists = test_set("lfw" if setup.name == "reference" else "synthetic", setup.root)[2]
    first = (held_out[setup.model.region.name], test[setup.model.region.name])
    labels, pairs = setup.held_out.labels, setup.pairs
    alone = nets_joined.fit([setup.model], first[0], labels)
    validation = region_selection.ValidationScore(held_out, labels, seed=seed)
    steps = region_selection.greedy(validation, list(members), len(members))
    orders = {"table": list(members), "greedy": _by_steps(steps, list(members))}
    counts = sorted({*(c for c in COUNTS if c <= len(members)), len(members)})

    def point(names):
        """Table 4 of the nets of these regions, and what the validation people said."""
        return {**_table_4(held_out, test, names, labels, pairs), "validation": round(validation(tuple(names)), 3)}

    return {
        "scale": setup.name, "data_hash": setup.test.data_hash, "pairs": len(pairs), "seed": seed,
        "precision": precision, "regions": list(members), "orders": orders, "counts": counts,
        "curves": {how: [point(names[:count]) for count in counts] for how, names in orders.items()},
        "alone": {name: point([name]) for name in members},
        "selection": [{"regions": list(names), "validation": round(value, 3)} for names, value in steps],
        "components": _tried_components(held_out, labels, seed),
        "system": {
            **verification_report(pair_scores(setup.ensemble, together, pairs), pairs),
            "identification": identification_report(setup.ensemble, together, setup.test.labels, lists),
        },
        "null": {
            "views": _views(setup, counts, seed, precision, *first),
            "identification": identification_report(alone, first[1], setup.test.labels, lists),
        },
        "nets": {name: {key: member.card.get(key) for key in ("images", "people", "minutes", "device", "commit")}
                 | {"epochs": member.card.get("recipe", {}).get("epochs")} for name, member in members.items()},
    }  # fmt: skip


def _table_4(held_out, test, names, labels, pairs):
    """Table 4 of the features of these names, flat: {"nets", "real joint_bayesian", ..., "binary hamming"}."""
    fit, tested = (np.concatenate([part[name] for name in names], axis=1) for part in (held_out, test))
    found = table_4(fit, labels, tested, pairs, n_components=nets_joined.COMPONENTS)
    return {"nets": len(names)} | {
        f"{kind} {way}": value for kind, ways in found.items() for way, value in ways.items()
    }


def _by_steps(steps, names):
    """Names in the order in which the search took them in; those that it left out follow in the table's order."""
    order = []
    for chosen, _ in steps:
        order = [name for name in order if name in chosen] + [name for name in chosen if name not in order]
    return order + [name for name in names if name not in order]


def _tried_components(held_out, labels, seed):
    """Accuracy in percent on validation people of all nets together, for several numbers of PCA components."""
    fits = halves(labels)
    fit, other = (np.concatenate([f[side] for f in held_out.values()], axis=1) for side in (fits, ~fits))
    scored = renumber(labels[~fits])
    pairs = make_pairs(scored, per_fold=pairs_a_fold(scored), seed=seed)
    found = {}
    for n in TRIED_COMPONENTS:
        if n > min(fit.shape):
            continue
        verifier = fitted(fit, renumber(labels[fits]), n)
        z = verifier[:-1].transform(other)
        scores = verifier[-1].score_pairs(z[pairs.first], z[pairs.second])
        found[str(n)] = round(100 * verify(scores, pairs).accuracy, 3)
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


def _all(result, way=JOINT):
    """Accuracy of the whole ensemble by a way of comparing."""
    return result["curves"]["table"][-1][way]["accuracy"]


def _first(result, way=JOINT):
    """The same of its first net."""
    return result["curves"]["table"][0][way]["accuracy"]


def _one_net(result, place=-1):
    """Accuracy of one net that looks as often as the ensemble has nets."""
    return result["null"]["views"][place][JOINT]["accuracy"]


def _identified(key):
    """The two numbers of a claim about identification."""
    return {
        "ours": lambda r: r["system"]["identification"][key],
        "comparison": lambda r: r["null"]["identification"][key],
    }


claims(
    Claim(
        "ensemble on LFW", row=2, study="ensemble", source="section 4, Table 1, Fig. 4", paper="99.47 %",
        statement="25 nets verify LFW better than everything before", ours=_all, comparison=_one_net, kind="null",
        against="one net, as many views", at_least=99, margin=1, unit="{:.2f} %",
    ),
    Claim(
        "more regions", row=6, study="ensemble", source="section 5, Table 4", paper="0.77 points",
        statement="Nets of 25 regions gain 0.77 points over one net", ours=lambda r: _all(r) - _first(r),
        comparison=lambda r: _one_net(r) - _one_net(r, 0), kind="null", against="views of one net", at_least=0.77,
        margin=0.5, unit="{:.2f} points",
    ),
    Claim(
        "closed-set identification", row=9, study="ensemble", source="section 4, Table 3", paper="95.0 %",
        statement="Rank-1 identification among some 4,250 people", **_identified("rank1"), kind="baseline",
        against="its first net alone", at_least=94, margin=2,
    ),
    Claim(
        "open-set identification", row=10, study="ensemble", source="section 4, Table 3", paper="80.7 %",
        statement="Detection and identification rate at 1 % false alarms", **_identified("dir_at_1_far"),
        kind="baseline", against="its first net alone", at_least=79, margin=2,
    ),
    Claim(
        "codes of an ensemble", row=11, study="ensemble", source="section 5, Table 4", paper="0.35 points",
        statement="Codes of 25 nets lose less than those of one net",
        ours=lambda r: _all(r) - _all(r, "binary joint_bayesian"),
        comparison=lambda r: _first(r) - _first(r, "binary joint_bayesian"), kind="baseline",
        against="codes of one net", at_most=0.6, margin=0.25, unit="{:.2f} points",
    ),
)  # fmt: skip
