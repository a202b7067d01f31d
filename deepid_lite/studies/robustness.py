"""One set of pairs under many conditions: every method scores all of them, and an interrupted sweep goes on.

A *condition* changes the pictures: a function (images, landmarks, index) -> images. A `Method` turns pictures into
scores, of several curves where a net has several layers. Nothing is fitted on, or chosen for, a condition: what a
method learned, it learned from clean pictures.
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
from deepid_lite.neurons.untrained import untrained_model
from deepid_lite.studies.comparisons import packed, unpacked
from deepid_lite.studies.intervals import rightly
from deepid_lite.verification import ensemble, lbp
from deepid_lite.verification.features import extract
from deepid_lite.verification.metrics import in_folds, verify
from deepid_lite.verification.pairs import Pairs
from deepid_lite.verification.verifier import components, fit_verifier

BLOCK = 512  # pictures at a time
PIXELS = dataclasses.replace(WHOLE_FACE, name="pixels", shape=(28, 24))


def sweep(faces, pairs, conditions, method, folder=None, mark="", name="method", progress=False):
    """Scores of a method's curves under each condition: {condition: {curve: (P,)}}.

    faces: has images and landmarks; only the pictures that `pairs` names are touched. method: it is fitted only when
    something is left to do. folder: where each condition's
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
        fixed = [in_folds(scores[c][curve], pairs, thresholds) for c in conditions]
        report[curve] = {
            "accuracy": _percent(v.accuracy for v in chosen),
            "standard_error": _percent(v.standard_error for v in chosen),
            "fixed": _percent(v.accuracy for v in fixed),
            "fixed_standard_error": _percent(v.standard_error for v in fixed),
            "fold_accuracy": [_percent(v.fold_accuracy) for v in chosen],
        }
    return report


def decided(scores, pairs):
    """Which pairs scores (P,) decide rightly, fold by fold, as text for a record that has `pairs_per_fold`."""
    return packed(rightly(scores, pairs)[np.argsort(pairs.fold, kind="stable")])


def decisions(result, *texts):
    """What `decided` wrote into a record: ([bool (P,) of each text], fold (P,))."""
    fold = np.repeat(np.arange(len(result["pairs_per_fold"])), result["pairs_per_fold"])
    return [unpacked(text, len(fold)) for text in texts], fold


class Method:
    """Descriptions of a face, one a curve, each by Joint Bayesian, or by Hamming distance where they are bits.

    describe: images (n, 144, 128, 3) -> {curve: (n, D)}. make: (features, labels) -> fitted verifier. held_out: has
    images and labels, clean people to fit on; most: whole people with so many images at most. known: a function that
    gives {curve: (N, D)} of `held_out`, where somebody has them already.
    """

    def __init__(self, describe, make, held_out, most=None, known=None):
        self.describe, self.make, self.held_out, self.most, self.known = describe, make, held_out, most, known
        self.verifiers = {}

    def fit(self):
        """A verifier for each curve, once."""
        if self.verifiers:
            return
        rows = whole_people(self.held_out.labels, self.most)
        found = {c: f[rows] for c, f in self.known().items()} if self.known else self._described(rows)
        labels = self.held_out.labels[rows]
        self.verifiers = {curve: self.make(f, labels) for curve, f in found.items() if f.dtype != bool}

    def embed(self, images):
        """{curve: (n, k)}, what is compared."""
        found = self.describe(images)
        return {c: f if f.dtype == bool else self.verifiers[c][:-1].transform(f) for c, f in found.items()}

    def score(self, curve, first, second):
        """Scores (P,) of rows (P, k) with rows (P, k)."""
        if curve in self.verifiers:
            return self.verifiers[curve][-1].score_pairs(first, second)
        return -(first != second).sum(1).astype(np.float64)

    def _described(self, rows):
        """Descriptions of many held-out images, in blocks."""
        found = {}
        for i in range(0, len(rows), BLOCK):
            for curve, part in self.describe(np.asarray(self.held_out.images[rows[i : i + BLOCK]])).items():
                if curve not in found:
                    found[curve] = np.empty((len(rows), part.shape[1]), part.dtype)
                found[curve][i : i + len(part)] = part
        return found


def layers(model, held_out, precision="fp32", most=None, known=None):
    """Every feature layer of a FaceModel's net, and its last layer's code."""

    def describe(images):
        found = extract(model.net, crop(images, model.region), layer=model.net.heads, precision=precision)
        return {f"FC-{n}": f for n, f in found.items()} | {"code, Hamming": found[max(found)] > 0}

    return Method(describe, _joint_bayesian, held_out, most, known)


def joined(members, held_out, precision="fp32", most=None, known=None):
    """All nets of an ensemble: their FC-4 side by side, one PCA and one Joint Bayesian model; members: FaceModels."""

    def describe(images):
        found = [extract(member.net, crop(images, member.region), precision=precision) for member in members]
        return {"ensemble": np.concatenate(found, axis=1)}

    return Method(describe, lambda f, labels: ensemble.fit(members, f, labels).verifier, held_out, most, known)


def untrained(model, held_out, precision="fp32", most=4000, seed=0):
    """The null: FC-4 of the same net with fresh weights (and batch norm's statistics of the held-out people)."""

    @functools.cache
    def net():
        return untrained_model(model, held_out.images, seed, most=1000).net

    def describe(images):
        return {"untrained net": extract(net(), crop(images, model.region), precision=precision)}

    return Method(describe, _joint_bayesian, held_out, most)


def pixels(held_out, most=4000):
    """A second null: the face in 28 x 24 grey pixels."""

    def describe(images):
        return {"pixels": crop(images, PIXELS).mean(3).reshape(len(images), -1).astype(np.float32)}

    return Method(describe, _joint_bayesian, held_out, most)


def high_dimensional_lbp(held_out, most=10000, workers=None):
    """High-dimensional LBP, 99,120 numbers, square root, PCA to 400 and Joint Bayesian [Chen et al., CVPR 2013]."""

    def make(features, labels):
        return lbp.make_lbp_verifier(components(features, labels, 400)).fit(features, labels)

    return Method(lambda x: {"LBP": lbp.describe(x, workers=workers, progress=False)}, make, held_out, most)


def _joint_bayesian(features, labels):
    return fit_verifier(features, labels)


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
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            scores = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError):
        raise DataError(f"{path}: damaged; delete it and run again") from None
    if str(scores.pop("mark", "")) != mark or any(s.shape != (n_pairs,) for s in scores.values()):
        raise DataError(f"{path}: scores of another model, other data or other settings; use an empty folder")
    return scores
