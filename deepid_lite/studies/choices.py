"""What the verifier of a net is chosen by: held-out people alone, half of them to fit and half to tell.

Two choices are made here: how many components PCA leaves, and whether small pictures help Joint Bayesian. LFW is not
looked at.
"""

import numpy as np

from deepid_lite.faces.splits import renumber, split_people
from deepid_lite.registry import study
from deepid_lite.verification.metrics import verify
from deepid_lite.verification.pairs import make_pairs, pairs_a_fold
from deepid_lite.verification.verifier import fit_verifier

COMPONENTS = (30, 60, 120, 180, 240)
SMALL = ("celeba64", "celeba89")  # sources of the web faces that were enlarged from 64 to 90 pixels


@study
def choices(setup, splits=3):
    """Accuracies in percent on held-out people, for numbers of components and with or without small pictures.

    {"all", "sharp"}: the pictures that Joint Bayesian is fitted on -> {components: one accuracy a split}. The pairs are
    of sharp pictures in both cases, and the same for all choices of a split.
    """
    features, faces = setup.features("held_out"), setup.held_out
    small = np.isin(faces.attributes.get("source", np.zeros(len(faces), "U1")), SMALL)
    return {
        "scale": setup.name,
        "data_hash": faces.data_hash,
        "images": {"all": len(faces), "sharp": int((~small).sum())},
        "accuracy": {
            name: {
                str(n): [_accuracy(features, faces.labels, used, ~small, n, seed) for seed in range(splits)]
                for n in COMPONENTS
                if n <= features.shape[1]
            }
            for name, used in {"all": np.ones_like(small), "sharp": ~small}.items()
        },
    }


def _accuracy(features, labels, used, sharp, n, seed):
    """Fit on the `used` images of a random half of the people, verify pairs of `sharp` images of the other half."""
    half = split_people(labels, seed)
    fit, other = half & used, ~half & sharp
    scored = renumber(labels[other])
    pairs = make_pairs(scored, per_fold=pairs_a_fold(scored), seed=seed)
    scores = fit_verifier(features[fit], renumber(labels[fit]), n).score_pairs(features[other], pairs)
    return round(100 * verify(scores, pairs).accuracy, 3)
