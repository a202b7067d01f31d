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
from deepid_lite.studies import codes as code_tables
from deepid_lite.verification import ensemble as nets_joined
from deepid_lite.verification import region_selection
from deepid_lite.verification.benchmarks import test_set
from deepid_lite.verification.evaluation import face_features, identification_report, pair_scores, verification_report
from deepid_lite.verification.metrics import make_pairs, verify
from deepid_lite.verification.model import fitted
from deepid_lite.verification.pairs import pairs_a_fold

COUNTS = (1, 2, 4, 8, 16, 25)
TRIED_COMPONENTS = (40, 60, 80, 120, 180)


def ensemble(scale, seed=0):
    """The curve over 1, 2, 4, ... nets in the table's order and in the order chosen on validation people; a dict.

    Each number of nets has: `validation`, accuracy on validation people; Joint Bayesian and cosine of the real
    features, Joint Bayesian and Hamming of the codes, on the test people. Everything is fitted and chosen on the
    held-out people. `system` is the whole ensemble: ROC, identification. DataError where `scale` has no ensemble.
    """
    if scale.ensemble is None:
        raise DataError("ensemble: --model must be the folder of one; deepid train --regions makes it")
    members = {member.region.name: member for member in scale.ensemble.members}
    precision = "bf16" if scale.name == "reference" else "fp32"  # several times as fast where there are photographs
    held_out, test = (
        {name: face_features(net, faces.images, precision=precision, progress=True) for name, net in members.items()}
        for faces in (scale.held_out, scale.test)
    )
    together = np.concatenate(list(test.values()), axis=1)
    lists = test_set("lfw" if scale.name == "reference" else "synthetic", scale.root)[2]
    first = (held_out[scale.model.region.name], test[scale.model.region.name])
    labels, pairs = scale.held_out.labels, scale.pairs
    alone = nets_joined.fit([scale.model], first[0], labels)
    validation = region_selection.ValidationScore(held_out, labels, seed=seed)
    steps = region_selection.greedy(validation, list(members), len(members))
    orders = {"table": list(members), "greedy": _by_steps(steps, list(members))}
    counts = sorted({*(c for c in COUNTS if c <= len(members)), len(members)})

    def point(names):
        """Table 4 of the nets of these regions, and what the validation people said."""
        return {**_table_4(held_out, test, names, labels, pairs), "validation": round(validation(tuple(names)), 3)}

    return {
        "scale": scale.name, "data_hash": scale.test.data_hash, "pairs": len(pairs), "seed": seed,
        "precision": precision, "regions": list(members), "orders": orders, "counts": counts,
        "curves": {how: [point(names[:count]) for count in counts] for how, names in orders.items()},
        "alone": {name: point([name]) for name in members},
        "selection": [{"regions": list(names), "validation": round(value, 3)} for names, value in steps],
        "components": _tried_components(held_out, labels, seed),
        "system": {
            **verification_report(pair_scores(scale.ensemble, together, pairs), pairs),
            "identification": identification_report(scale.ensemble, together, scale.test.labels, lists),
        },
        "null": {
            "views": _views(scale, counts, seed, precision, *first),
            "identification": identification_report(alone, first[1], scale.test.labels, lists),
        },
        "nets": {name: {key: member.card.get(key) for key in ("images", "people", "minutes", "device", "commit")}
                 | {"epochs": member.card.get("recipe", {}).get("epochs")} for name, member in members.items()},
    }  # fmt: skip


def _table_4(held_out, test, names, labels, pairs):
    """Table 4 of the features of these names, flat: {"nets", "real joint_bayesian", ..., "binary hamming"}."""
    fit, tested = (np.concatenate([part[name] for name in names], axis=1) for part in (held_out, test))
    found = code_tables.table_4(fit, labels, tested, pairs, n_components=nets_joined.COMPONENTS)
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
    fits = split_people(labels)
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


def _views(scale, counts, seed, precision, held_out, test):
    """The null: the first net on shifted crops of its region, as many as the ensemble has nets; only images in pairs.

    held_out, test: its features of the region in its place.
    """
    rng = np.random.default_rng(seed)
    region, (used, pairs) = scale.model.region, scale.pairs.compact()
    held_out, test, tested = {"0": held_out}, {"0": test[used]}, np.asarray(scale.test.images[used])
    for view in range(1, counts[-1]):
        left, top = (float(start + rng.integers(-4, 5)) for start in (region.left, region.top))
        left = min(max(left, 0), FRAME[1] - region.width)
        top = min(max(top, 0), FRAME[0] - region.height)
        shifted = replace(scale.model, region=replace(region, left=left, top=top))
        held_out[str(view)], test[str(view)] = (
            face_features(shifted, images, precision=precision, progress=True)
            for images in (scale.held_out.images, tested)
        )
    return [_table_4(held_out, test, list(held_out)[:count], scale.held_out.labels, pairs) for count in counts]
