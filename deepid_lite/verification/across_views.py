"""Who is it, seen from the side? Identification from one frontal picture a person, view by view.

The protocol of Multi-PIE as in [Zhu et al., "Multi-View Perceptron", NIPS 2014, section 4]: train and test people are
others; the gallery has one frontal picture in neutral light of each test person, all other pictures are probes; PCA and
LDA are fitted on the features of the training people, and a probe is given to the gallery picture of largest cosine.
"""

import numpy as np
import scipy.linalg
from scipy import stats
from skimage.feature import local_binary_pattern
from sklearn.decomposition import PCA

from deepid_lite.errors import DataError, checked_features

COMPONENTS = 150
CODES = 59  # of uniform patterns; see lbp.py
DRAWS = 2000  # times that the people are drawn anew


class LDA:
    """PCA, then linear discriminant analysis: directions in which people differ most against one person's pictures.

    fit(x (N, D), labels (N,)), transform(x) -> (N, K), centred and with a unit scatter within people. DataError where
    there is one person only, or too few pictures for the scatter within people to be inverted.
    """

    def __init__(self, components=COMPONENTS):
        self.components = components

    def fit(self, x, labels):
        x, labels = np.asarray(checked_features(x), np.float32), np.asarray(labels)
        people, counts = np.unique(labels, return_counts=True)
        if len(people) < 2:
            raise DataError("LDA: one person only; it needs the differences between people, give two or more")
        self.pca = PCA(min(self.components, *x.shape), svd_solver="randomized", random_state=0).fit(x)
        z = self.pca.transform(x).astype(np.float64)
        z = z[:, self.pca.explained_variance_ > 1e-7 * self.pca.explained_variance_[0]]  # others are constant
        means = np.stack([z[labels == person].mean(0) for person in people])
        deviations = z - means[np.searchsorted(people, labels)]
        within = deviations.T @ deviations / max(len(z) - len(people), 1)
        between = (means.T * counts) @ means / len(z)
        values = scipy.linalg.eigvalsh(within)
        if len(z) - len(people) < z.shape[1] or values[0] < 1e-9 * values[-1]:
            why = f"the scatter of {len(z)} pictures within {len(people)} people is singular in {z.shape[1]} dimensions"
            raise DataError(f"LDA: {why}; give more pictures a person, or fewer components")
        _, directions = scipy.linalg.eigh(between, within)
        self.directions = directions[:, ::-1][:, : len(people) - 1]
        return self

    def transform(self, x):
        z = self.pca.transform(np.asarray(x, np.float32))[:, : len(self.directions)]
        return z @ self.directions


def rank1_by_view(train, test, of_train, of_test, components=COMPONENTS):
    """Share of probes that are given to the right person: float (people, views), in percent.

    train, test: `ViewFaces`. of_train, of_test: their features (N, D). Rows are the test people, columns the sorted
    views of the test set. The gallery's own pictures are no probes. A tie counts as wrong.
    """
    gallery = test.in_gallery
    if len(np.unique(test.labels)) < 2:
        raise DataError("test: one person only; identification needs a choice, give two or more")
    z = LDA(components).fit(of_train, train.labels).transform(of_test)
    z /= np.linalg.norm(z, axis=1, keepdims=True).clip(1e-12)
    scores = z @ z[gallery].T  # (N, people), the gallery in the order of the labels
    of_own = scores[np.arange(len(z)), np.searchsorted(test.labels[gallery], test.labels)]
    right = ((scores >= of_own[:, None]).sum(1) == 1) & ~gallery
    people, views = np.unique(test.labels), np.unique(test.views)
    of_cell = (test.labels[:, None] == people) & ~gallery[:, None], test.views[:, None] == views
    hits, probes = (of_cell[0].T.astype(float) @ (of_cell[1] * chosen[:, None]) for chosen in (right, ~gallery))
    with np.errstate(invalid="ignore"):  # a view of the gallery alone has no probes
        return 100 * hits / probes


def estimate(values, seed=0):
    """Mean of one number a person, (people,) or (trainings, people), with its 95 % interval -> [mean, low, high].

    The people are drawn anew, each with all their pictures. Of several trainings the people's means are drawn, and
    where Student's t over the trainings is wider, it counts [book/rules.md]. For two methods give the differences.
    """
    values = np.atleast_2d(np.asarray(values, float))
    mean, people = values.mean(), values.mean(0)
    drawn = np.random.default_rng(seed).integers(0, len(people), (DRAWS, len(people)))
    low, high = np.quantile(people[drawn].mean(1), [0.025, 0.975])
    if len(values) > 1:
        half = stats.t.ppf(0.975, len(values) - 1) * values.mean(1).std(ddof=1) / len(values) ** 0.5
        low, high = (mean - half, mean + half) if 2 * half > high - low else (low, high)
    return [round(float(x), 3) for x in (mean, low, high)]


def by_view(found):
    """(trainings, people, views) -> the `estimate` of the mean over the views and of each view, for JSON."""
    found = np.asarray(found)
    return {"mean": estimate(found.mean(2)), "views": [estimate(of_view) for of_view in np.moveaxis(found, 2, 0)]}


def baselines(faces):
    """Features without a net, each (N, D): {"raw": pixels, "LBP": on a grid, "landmark LBP": around the landmarks}.

    LBP: uniform codes [see lbp.py] of the picture enlarged twice, counted in 8 x 8 cells of 8 pixels, or in 2 x 2 cells
    of 12 pixels around each of the five landmarks, if they are known (no nan); square roots of the counts.
    """
    big = faces.images.repeat(2, 1).repeat(2, 2)
    codes = np.stack([local_binary_pattern(image, P=8, R=2, method="nri_uniform") for image in big]).astype(np.intp)
    found = {
        "raw": faces.images.reshape(len(faces), -1) / np.float32(255),
        "LBP": np.sqrt(np.stack([_histograms(c, 8) for c in codes])),
    }
    if np.isfinite(faces.landmarks).all():
        points = np.rint(2 * faces.landmarks).astype(int)[:, :, ::-1]  # (row, column)
        found["landmark LBP"] = np.sqrt(np.stack([_around(*one, 12) for one in zip(codes, points, strict=True)]))
    return found


def _around(codes, points, half):
    """Counts in the four squares of `half` pixels around each of the points (row, column) -> (K * 4 * 59,)."""
    codes = np.pad(codes, half, mode="edge")
    corners = points.clip(0, len(codes) - 2 * half - 1)
    return np.concatenate([_histograms(codes[r : r + 2 * half, c : c + 2 * half], half) for r, c in corners])


def _histograms(codes, side):
    """Counts of the codes (H, W) in cells of `side` x `side` pixels -> float32 (cells * 59,)."""
    rows, columns = (np.arange(n) // side for n in codes.shape)
    cell = rows[:, None] * (columns[-1] + 1) + columns
    return np.bincount((codes + CODES * cell).ravel(), minlength=CODES * (cell[-1, -1] + 1)).astype(np.float32)
