"""Which regions together verify best: the papers' forward-backward greedy selection [DeepID2, section 3].

Nets of more regions than are wanted are trained first; the papers chose 25 of 200. The choice is made on people whom
the nets never saw: Joint Bayesian is fitted on one half of them and scored on pairs of the other half.
"""

import logging

import numpy as np
from sklearn.decomposition import PCA

from deepid_lite.errors import DataError
from deepid_lite.faces.splits import renumber, split_people
from deepid_lite.verification import metrics
from deepid_lite.verification.ensemble import COMPONENTS
from deepid_lite.verification.pairs import make_pairs, pairs_a_fold
from deepid_lite.verification.verifier import components, make_verifier

log = logging.getLogger(__name__)
EACH = 100  # PCA components of a region's features, so that many subsets can be tried


def greedy(score, names, most, progress=None):
    """Choose up to `most` of `names` for the highest score(tuple of names); score is asked once for each set.

    Forward: add the name that helps most. Backward, after each addition: drop names while that raises the score. Stops
    at `most`, or where no addition raises the score. Returns the steps, [(names, score), ...]: the subset after each
    addition with its droppings. Ties: the earlier name of the list.
    """
    if not 1 <= most <= len(names):
        raise DataError(f"selection: {most} regions wanted of {len(names)}; use 1 to {len(names)}")
    known = {}

    def of(subset):
        subset = tuple(name for name in names if name in subset)
        if subset not in known:
            known[subset] = score(subset)
        return known[subset]

    chosen, steps, best = (), [], -np.inf
    while len(chosen) < most:
        grown = [(*chosen, name) for name in names if name not in chosen]
        found = max(grown, key=of, default=None)
        if found is None or of(found) <= best:
            break
        chosen, best = found, of(found)
        chosen, best = _without_redundant(chosen, best, of)
        steps.append((chosen, best))
        if progress:
            progress(chosen, best)
    return steps


def _without_redundant(chosen, best, of):
    """Drop names while the score rises by it; the one added last stays, or the search would go in circles."""
    while len(chosen) > 2:
        smaller = [tuple(n for n in chosen if n != name) for name in chosen[:-1]]
        found = max(smaller, key=of)
        if of(found) <= best:
            break
        chosen, best = found, of(found)
    return chosen, best


class ValidationScore:
    """score(names) for `greedy`: accuracy in percent on pairs of validation people.

    features: {name: (N, D)}; labels: (N,). The people are split in halves: PCA and Joint Bayesian see one, the pairs
    (`per_fold` same and different ones in each of ten folds, or as many as they give) are of the other. each: PCA
    components of a region.
    """

    def __init__(self, features, labels, per_fold=None, seed=0, each=EACH):
        fits = split_people(labels)
        scored = renumber(labels[~fits])
        self.labels = renumber(labels[fits])
        self.pairs = make_pairs(scored, per_fold=per_fold or pairs_a_fold(scored), seed=seed)
        self.parts = {name: _reduced(np.sqrt(f), fits, each) for name, f in features.items()}

    def __call__(self, names):
        return 100 * metrics.verify(self.scores(names), self.pairs).accuracy

    def scores(self, names):
        """Joint Bayesian's score (P,) of each of `pairs` by the regions of these names together."""
        fit, test = (np.concatenate([self.parts[name][side] for name in names], axis=1) for side in (0, 1))
        # the root was taken already; of what is left the pipeline's own PCA decorrelates the regions
        verifier = make_verifier(components(fit, self.labels, COMPONENTS))[1:]
        return verifier.fit(fit, self.labels).score_pairs(test, self.pairs)


def _reduced(features, fits, each):
    """(of the half that fits, of the other): the first principal components."""
    pca = PCA(min(each, features.shape[1], fits.sum()), svd_solver="covariance_eigh").fit(features[fits])
    return pca.transform(features[fits]), pca.transform(features[~fits])


def select(features, labels, most, per_fold=None, seed=0, progress=None):
    """Greedy selection on validation people -> dict for JSON: the steps, and the accuracy of each region alone.

    features: {name: (N, D)} of the validation people; labels (N,).
    """
    score = ValidationScore(features, labels, per_fold, seed)
    alone = {name: round(score((name,)), 3) for name in features}
    steps = greedy(score, list(features), most, progress)
    return {
        "alone": alone,
        "steps": [{"regions": list(names), "accuracy": round(value, 3)} for names, value in steps],
        "chosen": list(steps[-1][0]),
        "pairs": len(score.pairs),
        "seed": seed,
    }
