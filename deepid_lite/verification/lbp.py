"""High-dimensional local binary patterns: the hand-made features that the nets are compared with.

A local binary pattern (LBP) compares a pixel's eight neighbours with it: one bit each. The 58 patterns with at most two
changes between 0 and 1 around the circle, the uniform ones, have a bin each and all others share one: 59. A face is the
counts of these codes in 4 x 4 cells around landmarks, at several scales [Chen et al., "Blessing of Dimensionality",
CVPR 2013; DeepID2+, sections 6 and 7, takes 21 landmarks: 21 x 5 x 16 x 59 = 99,120 numbers].

The square roots of the counts, PCA and Joint Bayesian follow: `make_lbp_verifier`.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.linalg
from PIL import Image
from skimage.feature import local_binary_pattern
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from tqdm import tqdm

from deepid_lite.errors import DataError, checked_features
from deepid_lite.faces.alignment import FRAME, TEMPLATE
from deepid_lite.verification.joint_bayesian import JointBayesian
from deepid_lite.verification.verifier import Verifier

# The 21 points of dlib's extractor, (x, y) in the aligned frame. Only five landmarks are known of our faces, so all
# points are fixed: the template, and the others where they lie on an average upright face with these eyes. On a face
# that is turned away they miss. (dlib names the nose bridge twice and one outer end of a brow never; we take the brow.)
POINTS_21 = np.array(
    [
        *TEMPLATE.tolist(),  # eyes, nose tip, mouth corners
        [27, 52], [57, 49.5], [71, 49.5], [101, 52],  # ends of the brows
        [36, 60], [52, 61], [76, 61], [92, 60],  # corners of the eyes
        [64, 59], [64, 67.5], [64, 76],  # bridge of the nose, from between the eyes downwards
        [54.5, 90.5], [64, 93.5], [73.5, 90.5],  # wings of the nose and the point below it
        [64, 101.5], [64, 114],  # middle of the upper and the lower lip
    ],
    dtype=np.float32,
)  # fmt: skip
LARGEST = (288, 256)  # rows, columns of the largest scale; the paper's is about 300 x 300
LEVELS = 5  # each smaller by the square root of 2: 288, 204, 144, 102 and 72 rows
CELL, CELLS, CODES = 10, 4, 59  # pixels a side, cells a side, bins: 100 pixels a cell, so that a count fits a byte
BLOCK = CELLS**2 * CODES  # numbers for one point at one scale

# Descriptors for the sweep over dimensions: name, points, scales; dimensions 944 to 99,120
SWEEP = [
    ("nose tip, coarsest scale", POINTS_21[2:3], (4,)),
    ("5 points, middle scale", POINTS_21[:5], (2,)),
    ("5 points, 3 scales", POINTS_21[:5], (0, 2, 4)),
    ("21 points, 2 scales", POINTS_21, (1, 3)),
    ("21 points, 5 scales", POINTS_21, 5),
]


def describe(images, points=POINTS_21, scales=LEVELS, workers=None, progress=None):
    """Counts of uniform LBP codes around points [Chen et al. 2013, section 3].

    images: uint8 (N, 144, 128, 3), aligned. points: (P, 2), pixels (x, y) of the frame. scales: the first so many of
    the five, from the largest, or a list of levels out of 0 (largest) to 4. workers: threads (default: one a core, at
    most 8). progress: True or False; None: a bar only on a terminal.

    Returns uint8 (N, P * scales * 16 * 59), in the order point, scale, cell (row by row), code: the counts of a cell
    sum to 100. The codes are scikit-image's `nri_uniform` with P=8, R=1: the four diagonal neighbours are interpolated
    on the circle (most code on the web takes the corner pixels), and a neighbour counts when it is at least as bright.
    Beyond the frame its border repeats. DataError for images or points of another shape, type or range.
    """
    points, levels = _check(images, points, scales)
    workers = min(os.cpu_count() or 1, 8) if workers is None else workers
    if not isinstance(workers, int | np.integer) or workers < 1:
        raise DataError(f"workers={workers!r}: give a number of threads, 1 or more, or None")
    plans = [_plan(points, level) for level in levels]
    out = np.empty((len(images), len(points), len(levels), BLOCK), np.uint8)

    def run(start):  # scikit-image and Pillow let go of Python's lock: threads share the cores
        for row in range(start, min(start + 8, len(images))):
            grey = Image.fromarray(images[row]).convert("L").resize(LARGEST[::-1], Image.Resampling.BICUBIC)
            for k, plan in enumerate(plans):
                out[row, :, k] = _histograms(grey, plan)
        return min(8, len(images) - start)

    hide = None if progress is None else not progress
    with ThreadPoolExecutor(workers) as pool, tqdm(total=len(images), disable=hide, desc="LBP", unit="face") as bar:
        for done in pool.map(run, range(0, len(images), 8)):
            bar.update(done)
    return out.reshape(len(images), len(points) * len(levels) * BLOCK)


@dataclass(frozen=True)
class _Plan:
    """One scale: its size, the window that the patches span with a pixel around it, and each cell's pixels."""

    size: tuple[int, int]  # columns, rows, as Pillow wants it
    rows: np.ndarray  # of the window, (H + 2,); repeats at the border
    columns: np.ndarray  # (W + 2,)
    pixels: np.ndarray  # (P * 16, 100), indices into the H x W window of codes
    bins: np.ndarray  # (P * 16, 1), first bin of each cell


def _plan(points, level):
    rows, columns = (round(side / 2 ** (level / 2)) for side in LARGEST)
    half = CELL * CELLS // 2
    corner = np.rint(points * (columns / FRAME[1], rows / FRAME[0])).astype(int) - half  # left, top of each patch
    left, top = corner.min(0)
    width, height = corner.max(0) - (left, top) + 2 * half
    step = np.arange(CELLS) * CELL
    cell = (step[:, None] * width + step).ravel()  # (16,), first pixel of a cell within its patch
    inside = (np.arange(CELL)[:, None] * width + np.arange(CELL)).ravel()  # (100,)
    first = (corner[:, 1] - top) * width + corner[:, 0] - left
    pixels = (first[:, None, None] + cell[:, None] + inside).reshape(-1, CELL**2)
    return _Plan(
        (columns, rows),
        np.clip(np.arange(top - 1, top + height + 1), 0, rows - 1),
        np.clip(np.arange(left - 1, left + width + 1), 0, columns - 1),
        pixels,
        CODES * np.arange(len(pixels))[:, None],
    )


def _histograms(grey, plan):
    """Counts (P, 16 * 59) of the codes in every cell of one scale, from the grey picture of the largest."""
    small = np.asarray(grey.resize(plan.size, Image.Resampling.BICUBIC))
    window = small[plan.rows[:, None], plan.columns]
    codes = uniform_codes(window)
    counts = np.bincount((codes.ravel()[plan.pixels] + plan.bins).ravel(), minlength=len(plan.pixels) * CODES)
    return counts.reshape(-1, BLOCK)


def uniform_codes(window):
    """Codes (H, W) of a grey window, bytes (H + 2, W + 2): scikit-image's `nri_uniform`, P=8, R=1, bit for bit.

    The same interpolation on the circle, for all pixels at once: a fifth of the time.
    """
    grey, centre = window.astype(np.float64), window[1:-1, 1:-1]
    # how far a neighbour on a diagonal lies beyond the pixel before it, rounded as there, place by place
    rows, columns = (np.arange(1, side - 1) for side in window.shape)
    up, down = (((rows + step) - np.floor(rows + step))[:, None] for step in (-0.70711, 0.70711))
    left, right = ((columns + step) - np.floor(columns + step) for step in (-0.70711, 0.70711))
    left = (1 - left) * grey[:, :-2] + left * grey[:, 1:-1]
    right = (1 - right) * grey[:, 1:-1] + right * grey[:, 2:]
    neighbours = (
        window[1:-1, 2:], (1 - up) * right[:-2] + up * right[1:-1], window[:-2, 1:-1],
        (1 - up) * left[:-2] + up * left[1:-1], window[1:-1, :-2], (1 - down) * left[1:-1] + down * left[2:],
        window[2:, 1:-1], (1 - down) * right[1:-1] + down * right[2:],
    )  # fmt: skip
    pattern = np.zeros(centre.shape, np.uint8)
    for bit, neighbour in enumerate(neighbours):
        pattern |= (neighbour >= centre).view(np.uint8) << bit
    return _code_of_pattern()[pattern]


@lru_cache
def _code_of_pattern():
    """int (256,): scikit-image's code of each pattern of neighbours, the first (to the right) in the lowest bit."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    right, top_right, top, top_left, left, low_left, low, low_right = (2 * bits - 1).T
    ring = [[9 * top_left, top, 9 * top_right], [left, 0 * top, right], [9 * low_left, low, 9 * low_right]]
    patches = np.stack([np.stack(row) for row in ring]).transpose(0, 2, 1).reshape(3, -1)  # side by side
    return local_binary_pattern(patches, P=8, R=1, method="nri_uniform")[1, 1::3].astype(np.intp)


def _check(images, points, scales):
    """points as float64 (P, 2) and the levels as a list."""
    if getattr(images, "dtype", None) != np.uint8 or images.ndim != 4 or images.shape[1:] != (*FRAME, 3):
        got = f"{getattr(images, 'dtype', type(images).__name__)} {getattr(images, 'shape', '')}".strip()
        raise DataError(f"LBP: got {got}, wanted uint8 (N, {FRAME[0]}, {FRAME[1]}, 3); align the faces first")
    try:
        points = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        raise DataError("LBP points: they are no numbers; give (P, 2), pixels (x, y) of the frame") from None
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise DataError(f"LBP points: got shape {points.shape}, wanted (P, 2): x and y of one point or more")
    if not ((points >= 0) & (points <= (FRAME[1], FRAME[0]))).all():  # also where one is nan
        raise DataError(f"LBP points: one lies outside the {FRAME[0]} x {FRAME[1]} frame; give its pixels (x, y)")
    levels = list(range(scales) if isinstance(scales, int | np.integer) else np.atleast_1d(scales).ravel().tolist())
    if not levels or len(set(levels)) < len(levels) or not set(levels) <= set(range(LEVELS)):
        raise DataError(f"LBP scales={scales!r}: give a number, 1 to {LEVELS}, or distinct levels of 0 to {LEVELS - 1}")
    return points, levels


def make_lbp_verifier(n_components=400):
    """An unfitted Verifier of byte descriptors (N, D): square root and PCA, Joint Bayesian [Chen et al. 2013].

    Joint Bayesian needs more images than people by `n_components` at least.
    """
    return Verifier(make_pipeline(GramPCA(n_components), JointBayesian()).steps)


class GramPCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Exact PCA of the square roots of many counts a row, when there are more columns than rows.

    The N x N matrix of inner products of the rows has the same eigenvalues as the D x D scatter matrix and gives its
    eigenvectors. It is summed over blocks of columns, which alone are turned into numbers of four bytes: fitting 10,000
    rows of 99,120 takes about 3 GB of memory with the bytes themselves, 4,000 rows 1 GB.

    Parameters
    ----------
    n_components : as many or, where the rows have a lower rank, that many.
    max_rows : of more rows than these, a random choice of so many fits the components (all are transformed); None:
        all. Time grows with its cube: the eigenvalues of 4,000 rows take seconds, of 10,000 minutes.
    block : columns at a time.
    random_state : seed of that choice.

    Attributes
    ----------
    components_ : float32 (n_components_, D), orthonormal rows, the largest variance first; each row's largest entry in
        size is positive. mean_ : float32 (D,), of the square roots. explained_variance_, explained_variance_ratio_ :
        (n_components_,). n_components_, n_samples_ (rows that were used), n_features_in_.

    Values must be finite and not negative; anything else is a DataError.
    """

    def __init__(self, n_components=400, max_rows=4000, block=4096, random_state=0):
        self.n_components = n_components
        self.max_rows = max_rows
        self.block = block
        self.random_state = random_state

    def fit(self, X, y=None):
        """Learn from counts X (N, D), best as bytes; y is not used."""
        for name, least in (("n_components", 1), ("max_rows", 2), ("block", 1)):
            value = getattr(self, name)
            all_rows = name == "max_rows" and value is None
            if not all_rows and not (isinstance(value, int | np.integer) and value >= least):
                raise DataError(f"GramPCA: {name}={value!r}: a whole number, {least} or more, is expected")
        X = self._validate(X, ensure_min_samples=2)
        rows = slice(None)
        if self.max_rows and len(X) > self.max_rows:
            rows = np.sort(check_random_state(self.random_state).permutation(len(X))[: self.max_rows])
        variances, turn, total = self._diagonalise(X, rows)
        self.n_components_ = len(variances)
        self.n_samples_ = n = len(turn)
        self.explained_variance_, self.explained_variance_ratio_ = variances / (n - 1), variances / total
        self.components_ = np.empty((self.n_components_, X.shape[1]), np.float32)
        turn = (turn / np.sqrt(variances)).T.astype(np.float32)
        for at in self._blocks(X):
            self.components_[:, at] = turn @ (_root(X[rows, at]) - self.mean_[at])
        largest = np.take_along_axis(self.components_, np.abs(self.components_).argmax(1)[:, None], 1)
        self.components_ *= np.sign(largest)
        return self

    def _diagonalise(self, X, rows):
        """Largest eigenvalues (K,), decreasing, and eigenvectors (N, K) of the centred Gram matrix, and its trace."""
        n, d = len(X[rows, 0]), X.shape[1]
        self.mean_ = np.empty(d, np.float32)
        gram = np.zeros((n, n))
        for at in self._blocks(X):
            part = _root(X[rows, at])
            self.mean_[at] = part.mean(0, dtype=np.float64)
            part -= self.mean_[at]
            gram += part @ part.T  # fp32 within a block, fp64 over the blocks
        total = np.trace(gram)
        wanted = min(self.n_components, n - 1, d)
        values, vectors = scipy.linalg.eigh(gram.T, overwrite_a=True, subset_by_index=(n - wanted, n - 1))
        if not total > 0:
            raise DataError(f"GramPCA: all {n} rows are alike; give descriptors of different images")
        above = values[::-1] > 1e-6 * values[-1]  # what is smaller is rounding
        return values[::-1][above], vectors[:, ::-1][:, above], total

    def transform(self, X):
        """Components float32 (N, n_components_) of counts X (N, D), some rows at a time."""
        check_is_fitted(self, "components_")
        X = self._validate(X, reset=False)
        out = np.empty((len(X), self.n_components_), np.float32)
        step = max(1, 2**24 // X.shape[1])  # 64 MB of numbers
        for i in range(0, len(X), step):
            out[i : i + step] = (_root(X[i : i + step]) - self.mean_) @ self.components_.T
        return out

    def _blocks(self, X):
        return [slice(i, i + self.block) for i in range(0, X.shape[1], self.block)]

    def _validate(self, X, **options):
        kinds = [np.float32, np.float64, np.uint8]  # bytes stay bytes, unknown types become the first
        try:
            X = validate_data(self, X, dtype=kinds, ensure_all_finite=False, **options)
        except ValueError as error:
            raise DataError(" ".join(str(error).split())) from None
        if checked_features(X, "counts").dtype != np.uint8 and X.min() < 0:
            raise DataError("Negative values in data passed to GramPCA: give what `describe` returns")
        return X

    @property
    def _n_features_out(self):
        return self.n_components_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = []  # bytes come in, fp32 goes out
        return tags


def _root(counts):
    return np.sqrt(counts, dtype=np.float32)
