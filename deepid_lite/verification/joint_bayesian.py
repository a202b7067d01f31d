"""Joint Bayesian: is it the same person? (Chen et al., "Bayesian Face Revisited", ECCV 2012.)

A feature vector of a person's j-th image is a mean, the person, and what differs from image to image:

    x_j = mean + mu + eps_j,        mu ~ N(0, S_mu),        eps_j ~ N(0, S_eps).

**One basis for everything.** The generalised eigenproblem S_mu v = lambda S_eps v gives a basis V with
V' S_eps V = I and V' S_mu V = diag(lambda). In z = V'(x - mean) the features are independent, noise has
variance 1 and identity has variance lambda_k, so that every formula below is one of plain numbers, for one
feature k and any number m of images of a person; zbar is the mean of those images.

    E-step   mu | images ~ N(m c zbar, c)  with  c = lambda / (1 + m lambda),
             eps_j | images has mean z_j - m c zbar and the same variance c
    M-step   S_mu = mean over people of E[mu mu'],   S_eps = mean over images of E[eps eps']
    score    log p(x1, x2 | same) - log p(x1, x2 | different) = sum over the features k of
             log(lambda + 1) - 1/2 log(2 lambda + 1)
             + lambda / (2 lambda + 1) (z1 z2 - rho (z1^2 + z2^2) / 2)  with  rho = lambda / (lambda + 1),
             which is the correlation of two images of one person

The M-step printed in 2012 leaves the variance c out of both covariances (`update="eccv2012"`). Then S_mu is
too small, which makes the next E[mu] too small, and after many steps S_mu is singular.

**Nothing is summed twice.** The images enter through each person's mean and count and one pooled scatter
within people. Of more than D people with one count only the scatter of their means matters, so D rows stand
for them. A step then costs a few products of D x D matrices and one eigenproblem, however many images there
are.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from deepid_lite.errors import DataError, checked_features


class JointBayesian(BaseEstimator):
    """Joint Bayesian verification of pairs, fitted by expectation maximisation (EM) in float64.

    Put PCA in front of it: `make_pipeline(PCA(120), JointBayesian()).fit(features, labels)`.

    Parameters
    ----------
    update : "exact" is EM, its likelihood never falls; "eccv2012" is the paper's step without posterior
        variances.
    max_iter : most EM steps; 0 keeps the start, which is the moments of an analysis of variance.
    tol : stop once a step changes the log-likelihood by less than `tol` nats per image and feature. (Not
        relative to its size: a change of units, or any invertible linear map of the features, then changes
        nothing.)

    Attributes
    ----------
    mean_ : (D,) mean of the training images, subtracted from everything.
    S_mu_, S_eps_ : (D, D) covariance between people and within a person.
    log_likelihood_ : list of floats, nats, constants included, summed over all people; the start, then each
        step.
    n_iter_ : steps taken, len(log_likelihood_) - 1.
    classes_ : (P,) the labels seen. n_features_in_ : D.
    V_, lambda_ : (D, D) and (D,), the basis above; increasing lambda.

    Features must be finite and their scatter within people regular, at least two people are needed and one
    with two images; anything else is a DataError.
    """

    def __init__(self, update="exact", max_iter=20, tol=1e-4):
        self.update = update
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X, y):
        """Learn from features X (N, D) and labels y (N,) of any type; a person may have one image or more."""
        if self.update not in ("exact", "eccv2012"):
            raise DataError(f"update={self.update!r}: use 'exact' or 'eccv2012'")
        if not (self.max_iter >= 0 and self.tol >= 0):
            raise DataError(f"max_iter={self.max_iter!r}, tol={self.tol!r}: both must be 0 or more")
        X, y = self._validate(X, y)
        self.classes_, person = np.unique(y, return_inverse=True)
        self.mean_ = X.mean(axis=0)
        data = _Statistics.of(X, self.mean_, person)

        S_mu, S_eps = data.moments()
        lam, V = _diagonalise(S_mu, S_eps)
        # moments may be negative and EM cannot leave zero: start at 1 % of the noise at least
        lam = np.maximum(lam, 0.01)
        self.log_likelihood_ = []
        while True:
            Z, WV = data.rows @ V, data.within @ V
            mu, eps = _expect(data, lam, Z)
            self.log_likelihood_.append(_log_likelihood(data, V, lam, np.vdot(V, WV) + np.vdot(Z, eps)))
            self.n_iter_ = len(self.log_likelihood_) - 1
            if self.n_iter_ and abs(np.diff(self.log_likelihood_[-2:])[0]) < self.tol * X.size:
                break
            if self.n_iter_ >= self.max_iter:
                break
            S_mu, S_eps = _maximise(data, lam, mu, eps, V.T @ WV, exact=self.update == "exact")
            lam, turn = _diagonalise(S_mu, S_eps)
            V = V @ turn
        return self._set(V, lam)

    @classmethod
    def from_covariances(cls, mean, S_mu, S_eps):
        """A fitted one from its mean (D,) and covariances (D, D): stored weights, or a known truth."""
        self = cls()
        self.mean_, S_mu, S_eps = (np.array(a, dtype=np.float64) for a in (mean, S_mu, S_eps))
        self.n_features_in_ = d = self.mean_.size
        if self.mean_.shape != (d,) or not S_mu.shape == S_eps.shape == (d, d):
            raise DataError(
                f"mean {self.mean_.shape}, S_mu {S_mu.shape}, S_eps {S_eps.shape}: need (D,), (D, D), (D, D)"
            )
        for name, numbers in (("mean", self.mean_), ("S_mu", S_mu), ("S_eps", S_eps)):
            checked_features(numbers, name)
        lam, V = _diagonalise((S_mu + S_mu.T) / 2, (S_eps + S_eps.T) / 2)
        return self._set(V, lam)

    def score_pairs(self, X1, X2):
        """Log-likelihood ratio in nats, X1 and X2 (P, D) -> (P,); above 0 the pair looks like one person."""
        check_is_fitted(self, "V_")
        z1, z2 = self._to_basis(X1), self._to_basis(X2)
        if len(z1) != len(z2):
            raise DataError(f"score_pairs: {len(z1)} first and {len(z2)} second images: give as many of each")
        cross, own, constant = self._weights()
        return constant + (z1 * z2) @ cross + (z1**2 + z2**2) @ own

    def score_gallery(self, probes, gallery):
        """`score_pairs` of all probes (P, D) with all of the gallery (G, D) -> (P, G): a matrix product."""
        check_is_fitted(self, "V_")
        z1, z2 = self._to_basis(probes), self._to_basis(gallery)
        cross, own, constant = self._weights()
        scores = (z1 * cross) @ z2.T
        scores += (z1**2 @ own + constant)[:, None]
        scores += z2**2 @ own
        return scores

    def _weights(self):
        """Weights of z1 z2 and of z1^2 + z2^2 in the score, both (D,), and its constant."""
        lam = self.lambda_
        cross = lam / (2 * lam + 1)
        return cross, -cross * lam / (lam + 1) / 2, np.sum(np.log1p(lam) - np.log1p(2 * lam) / 2)

    def _to_basis(self, X):
        return (self._validate(X) - self.mean_) @ self.V_

    def _set(self, V, lam):
        order = np.argsort(lam)
        self.V_, self.lambda_ = V[:, order], lam[order]
        A = np.linalg.inv(self.V_).T
        self.S_mu_, self.S_eps_ = (A * self.lambda_) @ A.T, A @ A.T
        return self

    def _validate(self, X, *y):
        """X as float64, and y where it is given; scikit-learn's checks, in one line."""
        try:
            options = dict(dtype=np.float64, ensure_all_finite=False)
            if y:
                X, *y = validate_data(self, X, *y, ensure_min_samples=2, **options)
            else:
                X = validate_data(self, X, reset=False, **options)
        except ValueError as error:
            raise DataError(" ".join(str(error).split())) from None
        checked_features(X)
        return (X, *y) if y else X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


@dataclass(frozen=True)
class _Statistics:
    """All that EM needs to know of the images."""

    n_images: int
    n_people: int
    counts: np.ndarray  # (K,) distinct numbers m of images a person
    people: np.ndarray  # (K,) how many people have that many
    rows: np.ndarray  # (R, D) sqrt(m) times the means of people, or D rows with the same scatter
    group: np.ndarray  # (R,) which of the counts a row has
    within: np.ndarray  # (D, D) scatter of the images about their person's mean

    @classmethod
    def of(cls, X, mean, person):
        """From images X (N, D), their mean (D,) and the person (N,) of each, 0..P-1."""
        m = np.bincount(person)
        if len(m) < 2:
            raise DataError(f"labels: {len(m)} person (1 class): Joint Bayesian needs at least two people")
        if m.max() < 2:
            raise DataError("labels: nobody has two images: what varies within a person cannot be learned")
        n, d = X.shape
        largest = np.maximum(X.max(axis=0), -X.min(axis=0))
        if largest.max() > 1e100:
            raise DataError(f"features: values up to {largest.max():.0e}, whose squares overflow: scale them down")
        members = scipy.sparse.csr_array((1 / m[person], (person, np.arange(n))), shape=(len(m), n))
        means = members @ X
        within = np.zeros((d, d))
        for at in range(0, n, 2048):  # in blocks: no second copy of the images
            residuals = X[at : at + 2048] - means[person[at : at + 2048]]
            within += residuals.T @ residuals
        _require_regular(within, n * (1e-12 * largest) ** 2, n, len(m))

        rows = (means - mean) * np.sqrt(m)[:, None]
        counts, of_person, people = np.unique(m, return_inverse=True, return_counts=True)
        rows = [rows[of_person == k] for k in range(len(counts))]
        rows = [np.linalg.qr(r, mode="r") if len(r) > d else r for r in rows]
        group = np.repeat(np.arange(len(counts)), [len(r) for r in rows])
        return cls(n, len(m), counts.astype(float), people.astype(float), np.concatenate(rows), group, within)

    def moments(self):
        """S_mu and S_eps by analysis of variance; S_mu may have negative eigenvalues."""
        n, p = self.n_images, self.n_people
        S_eps = self.within / (n - p)
        usual_count = (n - self.people @ self.counts**2 / n) / (p - 1)
        return (self.rows.T @ self.rows / (p - 1) - S_eps) / usual_count, S_eps


def _expect(data, lam, Z):
    """E-step for rows Z (R, D) in the basis V: E[mu], and sqrt(m) times the mean of E[eps]; both (R, D)."""
    m = data.counts[:, None]
    t = 1 + m * lam  # (K, D), the variance of sqrt(m) zbar
    mu, eps = (np.sqrt(m) * lam / t)[data.group], (1 / t)[data.group]
    mu *= Z
    eps *= Z
    return mu, eps


def _maximise(data, lam, mu, eps, W, exact):
    """M-step in the basis V, with the scatter within people W (D, D) in it -> S_mu, S_eps (D, D)."""
    S_mu, S_eps = mu.T @ mu, eps.T @ eps
    S_eps += W
    if exact:  # the posterior variances: diagonal in this basis, and one for all people with m images
        variance = lam / (1 + data.counts[:, None] * lam)
        S_mu.flat[:: len(lam) + 1] += data.people @ variance
        S_eps.flat[:: len(lam) + 1] += (data.people * data.counts) @ variance
    return S_mu / data.n_people, S_eps / data.n_images


def _log_likelihood(data, V, lam, spread):
    """log p(all images) in nats. Of m images, m - 1 contrasts have variance 1, sqrt(m) zbar has 1 + m lambda;
    `spread` is the sum of all squares over their variances."""
    determinants = data.people @ np.log1p(data.counts[:, None] * lam).sum(axis=1)
    determinants -= 2 * data.n_images * np.linalg.slogdet(V)[1]
    return float(-0.5 * (data.n_images * len(lam) * np.log(2 * np.pi) + determinants + spread))


def _diagonalise(S_mu, S_eps):
    """lambda (D,) and V (D, D) with V' S_eps V = I and V' S_mu V = diag(lambda)."""
    noise = np.diag(S_eps)
    # when all people have equally many images the basis never turns: two diagonals need no eigenproblem
    if noise.min() > 0 and _is_diagonal(S_mu, noise) and _is_diagonal(S_eps, noise):
        return np.maximum(np.diag(S_mu) / noise, 0), np.diag(noise**-0.5)
    try:
        lam, V = scipy.linalg.eigh(S_mu, S_eps, overwrite_a=True, overwrite_b=True, check_finite=False)
    except np.linalg.LinAlgError:
        raise DataError("S_eps is not positive definite: put PCA in front, with fewer components") from None
    return np.maximum(lam, 0), V


def _is_diagonal(S, noise):
    scale = np.sqrt(noise + np.abs(np.diag(S)))
    off = np.abs(S / scale) / scale[:, None]
    np.fill_diagonal(off, 0)
    return off.max() < 1e-12


def _require_regular(within, rounding, n_images, n_people):
    """Where no person's images differ in some direction the likelihood is infinite: no EM can mend that."""
    varies = np.diag(within) > rounding
    scale = np.sqrt(np.where(varies, np.diag(within), 1))
    correlation = np.where(varies & varies[:, None], within / scale / scale[:, None], 0)
    eigenvalues = np.linalg.eigvalsh(correlation)
    rank = int((eigenvalues > 1e-12 * max(eigenvalues[-1], 1)).sum())
    if rank < len(within):
        remedy = f"put PCA in front with at most {rank} components" if rank else "are they copies of one image?"
        raise DataError(
            f"features: the covariance within people is singular, rank {rank} of {len(within)} features"
            f" ({n_images} images of {n_people} people): {remedy}"
        )
