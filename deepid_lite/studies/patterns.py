"""Does a person's pattern of activations stay under a cover [DeepID2+, section 7, Fig. 17]?"""

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces import regions
from deepid_lite.neurons import occlusion as occ
from deepid_lite.studies import people
from deepid_lite.studies.intervals import of_people
from deepid_lite.verification.features import extract


def patterns(setup, covers, n_people=150, least=10, most=20):
    """How far people's mean patterns of FC-4 stay under covers, against the covered patterns of other people [Fig. 17].

    Rank correlation over the neurons of a clean pattern with a covered one, after the mean pattern of all these people,
    on clean faces, was subtracted from both. covers: {name: function as in `occlusion.conditions`}. Of the `n_people`
    people of whom there are most images, `least` or more, the first `most`. Each number is [value, low, high] with
    people drawn anew; "own_mean" has the same where each condition's own mean pattern is subtracted.
    """
    faces, counts = setup.identity_set, np.bincount(setup.identity_set.labels)
    who = [p for p in np.argsort(-counts, kind="stable")[:n_people] if counts[p] >= least]
    if len(who) < 2:
        raise DataError(f"patterns: {len(who)} people have {least} images; give more images")
    rows = [np.flatnonzero(faces.labels == p)[:most] for p in who]
    labels = np.repeat(np.arange(len(who)), [len(r) for r in rows])
    conditions = {"clean": lambda images, landmarks, index: images, **covers}
    found = under_covers(setup.model, faces, np.concatenate(rows), conditions)
    means = [people.per_person(f, labels) / np.bincount(labels)[:, None] for f in found]
    result = {"people": len(who), "images": len(labels), "at": {}}
    for name, covered in zip(covers, means[1:], strict=True):
        result["at"][name] = _stays(means[0], covered, means[0].mean(0))
        result["at"][name]["own_mean"] = _stays(means[0], covered, covered.mean(0))
    return result


def _stays(clean, covered, common):
    """Rank correlations of patterns (P, D): "own" with own, "others", and the difference."""
    clean, covered = clean - clean.mean(0), covered - common
    alike = np.stack([occ.rank_correlation(clean, c[None]) for c in covered], axis=1)
    both = people.own_and_others(alike)

    def three(counts):
        own, others = both(counts).T
        return np.stack([own, others, own - others], axis=1)

    found = of_people(three, len(alike))
    return {name: np.round(e, 5).tolist() for name, e in zip(("own", "others", "difference"), found, strict=True)}


def under_covers(model, faces, rows, conditions):
    """FC-4 features (L, n, D) of some images, without their mirrors, under each condition."""
    images = np.asarray(faces.images[rows])
    covered = (cover(images, faces.landmarks[rows], rows) for cover in conditions.values())
    return np.stack([extract(model.net, regions.crop(c, model.region), flip=False) for c in covered])
