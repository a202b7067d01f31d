"""The verifier: features of two faces -> are they of one person? Square root, PCA and Joint Bayesian in one pipeline.

Rectified features are skewed to the right; the root brings them closer to the Gaussians that Joint Bayesian assumes.
PCA decorrelates them and leaves as many as the people suffice for.
"""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from deepid_lite.errors import checked_features
from deepid_lite.verification.joint_bayesian import JointBayesian
from deepid_lite.verification.pairs import Pairs

WIDE = 2048  # features; the covariance of more takes minutes to decompose


class Verifier(Pipeline):
    """A scikit-learn pipeline that ends in JointBayesian. Fit it on people whom the net never saw.

    Features must be finite, anything else is a DataError. Slices are verifiers too, so `verifier[:-1]` projects.
    """

    def project(self, features: np.ndarray) -> np.ndarray:
        """Features (N, D) -> (N, K), the numbers that Joint Bayesian compares."""
        return self[:-1].transform(checked_features(features))

    def score_pairs(self, features: np.ndarray, pairs: Pairs) -> np.ndarray:
        """Log-likelihood ratios in nats of P pairs of rows of features (N, D) -> (P,).

        Above 0 two faces look like one person. pairs: with `first` and `second`, int (P,), as pairs.Pairs.
        """
        z = self.project(features)
        return self[-1].score_pairs(z[pairs.first], z[pairs.second])

    def score_all(self, probes: np.ndarray, gallery: np.ndarray) -> np.ndarray:
        """The same for all probes (P, D) with all of the gallery (G, D) -> (P, G)."""
        return self[-1].score_gallery(self.project(probes), self.project(gallery))


def make_verifier(n_components=120, update="exact", wide=False):
    """An unfitted Verifier of features >= 0 (N, D); `fit_verifier` chooses its options.

    update: of JointBayesian. wide: PCA by random projections and power iterations [Halko et al., SIAM Review 2011],
    seeded, for thousands of features.
    """
    pca = PCA(n_components, svd_solver="covariance_eigh")
    if wide:
        pca = PCA(n_components, svd_solver="randomized", iterated_power=7, random_state=0)
    return Verifier(make_pipeline(FunctionTransformer(np.sqrt), pca, JointBayesian(update)).steps)


def fit_verifier(features: np.ndarray, labels: np.ndarray, n_components: int = 120) -> Verifier:
    """A Verifier fitted on features, or on bits as numbers, (N, D) of the people `labels` (N,).

    It has `components` components; beyond WIDE features their PCA is approximated. Numbers become fp32.
    """
    features = np.asarray(checked_features(features), np.float32)
    n = components(features, labels, n_components)
    return make_verifier(n, wide=features.shape[1] > WIDE).fit(features, labels)


def components(features, labels, most=120):
    """How many PCA components to keep: `most`, but no more than features, nor than images beyond one a person.

    N images of P people have N - P differences within people; in more directions Joint Bayesian could not learn what
    varies within a person. features: (N, D); labels: (N,).
    """
    return min(most, features.shape[1], max(1, len(labels) - len(np.unique(labels))))
