"""What joins the nets: the RBM and logistic regression, whose sizes held-out people choose."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from deepid_lite.papers.relational.rbm import fit_rbm, rbm_scores

HIDDEN, DECAYS = (4, 8, 16), (1e-4, 1e-3, 1e-2)  # that the RBM is chosen from; the paper has 8 hidden units
STRENGTHS = (0.1, 1.0, 10.0, 100.0)  # C of logistic regression


def _parts(pairs):
    """Rows of held-out pairs that fit, and those, of other people, that choose: the last three of ten folds."""
    last = pairs.fold >= np.quantile(np.unique(pairs.fold), 0.75)
    return np.flatnonzero(~last), np.flatnonzero(last)


def chosen_rbm(x, pairs, seed=0, hidden=HIDDEN, decays=DECAYS, **options):
    """The RBM of largest likelihood on the pairs that choose, fitted on all again, and its {"hidden", "decay"}."""
    fits, chooses = _parts(pairs)

    def loss(n, decay):
        scores = rbm_scores(fit_rbm(x[fits], pairs.same[fits], n, decay, seed, **options), x[chooses])
        return np.logaddexp(0, np.where(pairs.same[chooses], -scores, scores)).mean()

    n, decay = min(((n, decay) for n in hidden for decay in decays), key=lambda both: loss(*both))
    return fit_rbm(x, pairs.same, n, decay, seed, **options), {"hidden": n, "decay": decay}


def chosen_logistic(x, pairs, strengths=STRENGTHS):
    """Logistic regression, its strength C chosen as `chosen_rbm` chooses."""
    fits, chooses = _parts(pairs)

    def loss(c):
        scores = LogisticRegression(C=c, max_iter=2000).fit(x[fits], pairs.same[fits]).decision_function(x[chooses])
        return np.logaddexp(0, np.where(pairs.same[chooses], -scores, scores)).mean()

    best = min(strengths, key=loss)
    return LogisticRegression(C=best, max_iter=2000).fit(x, pairs.same), {"C": best}
