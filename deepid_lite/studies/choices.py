"""What the verifier of a net is chosen by: held-out people alone, some of them to fit and the others to tell.

Two choices are made here: how many components PCA leaves, and whether small pictures help Joint Bayesian. The more
people fit, the more components they suffice for, so a choice by half of them would be too low for all of them: both
shares are recorded. Whether the answer hangs on who is asked, or on how many pictures each person has, is recorded too.
LFW is not looked at.
"""

import numpy as np

from deepid_lite.faces.splits import place_among, renumber
from deepid_lite.registry import study
from deepid_lite.verification.metrics import verify
from deepid_lite.verification.pairs import make_pairs, pairs_a_fold
from deepid_lite.verification.verifier import fit_verifier

COMPONENTS = (60, 90, 120, 180)
SMALL = ("celeba64", "celeba89")  # sources of the web faces that were enlarged from 64 to 90 pixels
FEW = 4  # pictures of a person
ASKED = 100  # genuine pairs a fold at most where only some people are asked


@study
def choices(setup, shares=(2, 5)):
    """Accuracies in percent on held-out people, for numbers of components and with or without small pictures.

    {people who fit: {"all", "sharp"}: pictures that Joint Bayesian is fitted on -> {components: one accuracy a fold}}.
    shares: of 2 folds one fits, of 5 four. The pairs are of sharp pictures in both cases, and the same for all choices
    of a fold. "asked": with the first share, pairs of CelebA's people alone and of all others alone; "few pictures":
    fitted on FEW of each person at most.
    """
    features, faces = setup.features("held_out"), setup.held_out
    source = np.asarray(faces.attributes.get("source", np.zeros(len(faces), "U1")), str)
    small, celeba = np.isin(source, SMALL), np.char.startswith(source, "celeba")
    few, every = place_among(faces.labels) < FEW, np.ones_like(small)

    def of(share, kinds, most=None):
        return {
            name: {
                str(n): [_accuracy(features, faces.labels, used, asked, n, fold, share, most) for fold in range(share)]
                for n in COMPONENTS
                if n <= features.shape[1]
            }
            for name, (used, asked) in kinds.items()
        }

    asked = {"CelebA": (every, ~small & celeba), "others": (every, ~small & ~celeba)}
    asked = {name: kind for name, kind in asked.items() if kind[1].any()}
    return {
        "scale": setup.name,
        "data_hash": faces.data_hash,
        "images": {"all": len(faces), "sharp": int((~small).sum()), "few pictures": int(few.sum())},
        "accuracy": {
            f"{share - 1} of {share}": of(share, {"all": (every, ~small), "sharp": (~small, ~small)})
            for share in shares
        },
        "asked": of(shares[0], {"few pictures": (few, ~small)}) | of(shares[0], asked, ASKED),
    }


def _accuracy(features, labels, used, sharp, n, fold, share, most=None):
    """Fit on `used` images of all people but those of a fold, verify pairs of its people's `sharp` images."""
    fold_of = np.random.default_rng(0).permutation(labels.max() + 1) % share
    told = fold_of[labels] == fold
    fit, other = ~told & used, told & sharp
    scored = renumber(labels[other])
    pairs = make_pairs(scored, per_fold=min(pairs_a_fold(scored), most or len(labels)))
    scores = fit_verifier(features[fit], renumber(labels[fit]), n).score_pairs(features[other], pairs)
    return round(100 * verify(scores, pairs).accuracy, 3)
