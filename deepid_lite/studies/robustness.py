"""One set of pairs under many conditions: every method scores all of them, and an interrupted sweep goes on.

A *condition* changes the pictures: a function (images, landmarks, index) -> images. A *method* turns pictures into
scores: `fit()` learns from clean pictures and is called only when something is left to do; `embed(images)` maps images
(n, 144, 128, 3) to {curve: array (n, k)}; `score(curve, first, second)` scores the rows of two such arrays. One method
may have several curves, as a net has layers.

Nothing is fitted on, or chosen for, a condition: what a method learned, it learned from clean pictures.
"""

import dataclasses
import functools
import hashlib
import zipfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from deepid_lite.errors import DataError
from deepid_lite.faces.regions import WHOLE_FACE, crop
from deepid_lite.files import replacing
from deepid_lite.neurons import sparsity
from deepid_lite.verification import ensemble, lbp
from deepid_lite.verification.features import extract
from deepid_lite.verification.metrics import Pairs, in_folds, verify
from deepid_lite.verification.model import components, make_verifier

BLOCK = 512  # pictures at a time
PIXELS = dataclasses.replace(WHOLE_FACE, name="pixels", shape=(28, 24))


def sweep(faces, pairs, conditions, method, folder=None, mark="", name="method", progress=False):
    """Scores of a method's curves under each condition: {condition: {curve: (P,)}}.

    faces: has images and landmarks; only the pictures that `pairs` names are touched. folder: where each condition's
    scores are kept as `<name>-<condition>.npz` when they are complete; what lies there with the same `mark` (a text
    that names model, data and settings) is not computed again, and with another mark is a DataError.
    """
    used, compact = pairs.compact()
    files = {c: Path(folder) / f"{name}-{c.replace(' ', '-')}.npz" if folder else None for c in conditions}
    found = {c: _stored(path, mark, len(pairs)) for c, path in files.items()}
    missing = [c for c in conditions if found[c] is None]
    if not missing:
        return found
    method.fit()
    total = len(missing) * len(used)
    with tqdm(total=total, desc=name, unit="face", disable=None if progress else True) as bar:
        for condition in missing:
            parts = []
            for i in range(0, len(used), BLOCK):
                index = used[i : i + BLOCK]
                images = np.asarray(faces.images[index])
                parts.append(method.embed(conditions[condition](images, faces.landmarks[index], index)))
                bar.update(len(index))
            scores = {}
            for curve in parts[0]:
                z = np.concatenate([part[curve] for part in parts])
                scores[curve] = method.score(curve, z[compact.first], z[compact.second])
            found[condition] = scores
            if files[condition]:
                with replacing(files[condition]) as part:
                    np.savez(part, mark=np.array(mark), **scores)
    return found


def some_pairs(pairs, per_fold=None):
    """The first `per_fold` same and different pairs of each fold, or all."""
    if per_fold is None:
        return pairs
    if per_fold < 1:
        raise DataError(f"per_fold {per_fold}: give 1 or more pairs of each kind")
    rows = [np.flatnonzero((pairs.fold == f) & (pairs.same == same))[:per_fold]
            for f in np.unique(pairs.fold) for same in (True, False)]  # fmt: skip
    rows = np.sort(np.concatenate(rows))
    return Pairs(pairs.first[rows], pairs.second[rows], pairs.same[rows], pairs.fold[rows])


def curves(scores, conditions, pairs, clean="clean"):
    """Accuracy over the conditions: {curve: {"accuracy", "standard_error", "fixed", "fixed_standard_error",
    "fold_accuracy"}}, percent, one entry a condition.

    scores: what `sweep` returned, with the condition `clean`. "accuracy" has its threshold chosen under the condition
    itself; "fixed" keeps the threshold that the other nine folds' *clean* scores gave: what a method in use has.
    """
    report = {}
    for curve, clean_scores in scores[clean].items():
        thresholds = verify(clean_scores, pairs).threshold
        chosen = [verify(scores[c][curve], pairs) for c in conditions]
        fixed = [verify_at(scores[c][curve], pairs, thresholds) for c in conditions]
        report[curve] = {
            "accuracy": _percent(v.accuracy for v in chosen),
            "standard_error": _percent(v.standard_error for v in chosen),
            "fixed": _percent(v.accuracy for v in fixed),
            "fixed_standard_error": _percent(v.standard_error for v in fixed),
            "fold_accuracy": [_percent(v.fold_accuracy) for v in chosen],
        }
    return report


def verify_at(scores, pairs, thresholds):
    """`metrics.verify` with given thresholds (F,), one a fold in the folds' order -> Verification."""
    folds = np.unique(pairs.fold)
    thresholds = np.asarray(thresholds, np.float64)
    if thresholds.shape != (len(folds),) or np.isnan(thresholds).any():
        raise DataError(f"thresholds: got shape {thresholds.shape}, wanted one number for each of {len(folds)} folds")
    if np.shape(scores) != (len(pairs),) or not np.isfinite(scores).all():
        raise DataError(f"scores: shape {np.shape(scores)}, wanted {len(pairs)} finite numbers, one for each pair")
    return in_folds(scores, pairs, thresholds)


class Layers:
    """Every feature layer of a net by Joint Bayesian, and its last layer's code by Hamming distance.

    model: FaceModel. held_out: has images and labels, clean people who fit Joint Bayesian; `most`: whole people with so
    many images at most. features: layer -> features (N, 2 D) of `held_out`, where somebody has them already.
    """

    def __init__(self, model, held_out, precision="fp32", most=None, features=None):
        self.model, self.held_out, self.precision, self.most, self.features = model, held_out, precision, most, features
        self.layers, self.verifiers = model.net.heads, {}

    def fit(self):
        """Joint Bayesian of each layer."""
        some = whole_people(self.held_out.labels, self.most)
        if self.features is None:
            found = self._extract(np.asarray(self.held_out.images[some]))
        else:
            found = {layer: self.features(layer)[some] for layer in self.layers}
        labels = self.held_out.labels[some]
        self.verifiers = {f"FC-{n}": make_verifier(components(f, labels)).fit(f, labels) for n, f in found.items()}

    def embed(self, images):
        """{"FC-n": what Joint Bayesian compares, "code, Hamming": bits}."""
        found = self._extract(images)
        z = {f"FC-{n}": self.verifiers[f"FC-{n}"][:-1].transform(f) for n, f in found.items()}
        return z | {"code, Hamming": found[max(self.layers)] > 0}

    def score(self, curve, first, second):
        """Scores of rows (P, k) with rows (P, k)."""
        if curve in self.verifiers:
            return self.verifiers[curve][-1].score_pairs(first, second)
        return -(first != second).sum(1).astype(np.float64)

    def _extract(self, images):
        return extract(self.model.net, crop(images, self.model.region), layer=self.layers, precision=self.precision)


class Descriptor:
    """One description of a face by Joint Bayesian, as the curve `curve`.

    describe: images (n, 144, 128, 3) -> (n, D). make: (features, labels) -> fitted verifier. held_out, most: as in
    `Layers`. features: (N, D) of `held_out`, where somebody has them already.
    """

    def __init__(self, curve, describe, make, held_out, most=None, features=None):
        self.curve, self.describe, self.make = curve, describe, make
        self.held_out, self.most, self.features, self.verifier = held_out, most, features, None

    def fit(self):
        """Joint Bayesian of the description."""
        some = whole_people(self.held_out.labels, self.most)
        found = self._described(some) if self.features is None else self.features[some]
        self.verifier = self.make(found, self.held_out.labels[some])

    def embed(self, images):
        """{curve: what Joint Bayesian compares}."""
        return {self.curve: self.verifier[:-1].transform(self.describe(images))}

    def score(self, _, first, second):
        """Scores of rows (P, k) with rows (P, k)."""
        return self.verifier[-1].score_pairs(first, second)

    def _described(self, rows):
        """The description of many held-out images, in blocks."""
        found = None
        for i in range(0, len(rows), BLOCK):
            part = self.describe(np.asarray(self.held_out.images[rows[i : i + BLOCK]]))
            found = np.empty((len(rows), part.shape[1]), part.dtype) if found is None else found
            found[i : i + len(part)] = part
        return found


def joined(members, held_out, precision="fp32", most=None, features=None):
    """All nets of an ensemble: their FC-4 side by side, one PCA and one Joint Bayesian model; members: FaceModels."""

    def describe(images):
        found = [extract(member.net, crop(images, member.region), precision=precision) for member in members]
        return np.concatenate(found, axis=1)

    def make(features, labels):
        return ensemble.fit(members, features, labels).verifier

    return Descriptor("ensemble", describe, make, held_out, most, features)


def untrained(model, held_out, precision="fp32", most=4000, seed=0):
    """The null: FC-4 of the same net with fresh weights (and batch norm's statistics of the held-out people)."""

    @functools.cache
    def net():
        return untrained_model(model, held_out, seed).net

    def describe(images):
        return extract(net(), crop(images, model.region), precision=precision)

    return Descriptor("untrained net", describe, _joint_bayesian, held_out, most)


def untrained_model(model, held_out, seed=0):
    """A FaceModel with fresh weights; batch norm has the statistics of about a thousand held-out images."""
    return sparsity.untrained_model(model, held_out.images, seed, most=1000)


def pixels(held_out, most=4000):
    """A second null: the face in 28 x 24 grey pixels."""

    def describe(images):
        return crop(images, PIXELS).mean(3).reshape(len(images), -1).astype(np.float32)

    return Descriptor("pixels", describe, _joint_bayesian, held_out, most)


def high_dimensional_lbp(held_out, most=10000, workers=None):
    """High-dimensional LBP, 99,120 numbers, square root, PCA to 400 and Joint Bayesian [Chen et al., CVPR 2013]."""

    def describe(images):
        return lbp.describe(images, workers=workers, progress=False)

    def make(features, labels):
        return lbp.make_lbp_verifier(components(features, labels, 400)).fit(features, labels)

    return Descriptor("LBP", describe, make, held_out, most)


def _joint_bayesian(features, labels):
    return make_verifier(components(features, labels)).fit(features, labels)


def whole_people(labels, most):
    """Rows of the first people whose images together are at most `most`, but of two people at least; None: all."""
    if most is None:
        return np.arange(len(labels))
    counts = np.bincount(labels)
    people = max(2, int((np.cumsum(counts) <= most).sum()))
    return np.flatnonzero(labels < people)


def _percent(values):
    return [round(100 * float(v), 3) for v in values]


# files


def mark_of(*parts):
    """A short text that changes with any of the parts (texts, numbers, arrays, lists of them)."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
        digest.update(b"|")
    return digest.hexdigest()[:16]


def _stored(path, mark, n_pairs):
    if path is None or not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            scores = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError):
        raise DataError(f"{path}: damaged; delete it and run again") from None
    if str(scores.pop("mark", "")) != mark or any(s.shape != (n_pairs,) for s in scores.values()):
        raise DataError(f"{path}: scores of another model, other data or other settings; use an empty folder")
    return scores
