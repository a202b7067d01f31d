"""One set of pairs under many conditions: every system scores all of them, and an interrupted sweep goes on.

A *condition* changes the pictures: a function (images, landmarks, index) -> images. A *system* turns pictures into
scores: `fit()`, run only when something is left to do, returns (embed, compare); embed maps images (n, 144, 128, 3) to
{curve: array (n, k)}, compare maps each curve to a function of two such arrays that scores their rows. One system may
have several curves, as a net has layers.

Nothing is fitted on, or chosen for, a condition: what a system learned, it learned from clean pictures.
"""

import dataclasses
import hashlib
import zipfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from deepid_lite.errors import DataError
from deepid_lite.faces.regions import WHOLE_FACE, crop
from deepid_lite.neurons.untrained import untrained_model
from deepid_lite.verification import ensemble, lbp
from deepid_lite.verification.features import extract
from deepid_lite.verification.metrics import Pairs, in_folds, verify
from deepid_lite.verification.model import components, make_verifier

BLOCK = 512  # pictures at a time
PIXELS = dataclasses.replace(WHOLE_FACE, name="pixels", shape=(28, 24))


def sweep(faces, pairs, conditions, fit, folder=None, mark="", name="system", progress=False):
    """Scores of a system's curves under each condition: {condition: {curve: (P,)}}.

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
    embed, compare = fit()
    total = len(missing) * len(used)
    with tqdm(total=total, desc=name, unit="face", disable=None if progress else True) as bar:
        for condition in missing:
            parts = []
            for i in range(0, len(used), BLOCK):
                index = used[i : i + BLOCK]
                images = np.asarray(faces.images[index])
                parts.append(embed(conditions[condition](images, faces.landmarks[index], index)))
                bar.update(len(index))
            scores = {}
            for curve in parts[0]:
                z = np.concatenate([part[curve] for part in parts])
                scores[curve] = compare[curve](z[compact.first], z[compact.second])
            found[condition] = scores
            _store(files[condition], mark, scores)
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
    itself; "fixed" keeps the threshold that the other nine folds' *clean* scores gave: what a system in use has.
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
    """`protocols.verify` with given thresholds (F,), one a fold in the folds' order -> Verification."""
    folds = np.unique(pairs.fold)
    thresholds = np.asarray(thresholds, np.float64)
    if thresholds.shape != (len(folds),) or np.isnan(thresholds).any():
        raise DataError(f"thresholds: got shape {thresholds.shape}, wanted one number for each of {len(folds)} folds")
    if np.shape(scores) != (len(pairs),) or not np.isfinite(scores).all():
        raise DataError(f"scores: shape {np.shape(scores)}, wanted {len(pairs)} finite numbers, one for each pair")
    return in_folds(scores, pairs, thresholds)


# systems: each returns `fit`


def net_system(model, held_out, precision="fp32", most=None, features=None):
    """Every feature layer of a `FaceModel` net by Joint Bayesian, and its last layer's code by Hamming distance.

    held_out: has images and labels, clean people who fit Joint Bayesian; `most`: whole people with so many images at
    most. features: layer -> features (N, 2 D) of `held_out`, where somebody has them already.
    """

    def fit():
        layers, verifiers = model.net.heads, {}
        some = _whole_people(held_out.labels, most)
        if features is None:
            images = crop(np.asarray(held_out.images[some]), model.region)
            fitted = extract(model.net, images, layer=layers, precision=precision)
        else:
            fitted = {layer: features(layer)[some] for layer in layers}
        labels = held_out.labels[some]
        for layer, f in fitted.items():
            verifiers[layer] = make_verifier(components(f, labels)).fit(f, labels)

        def embed(images):
            found = extract(model.net, crop(images, model.region), layer=layers, precision=precision)
            z = {f"FC-{n}": verifiers[n][:-1].transform(found[n]) for n in layers}
            return z | {"code, Hamming": found[max(layers)] > 0}

        compare = {f"FC-{n}": verifiers[n][-1].score_pairs for n in layers}
        return embed, compare | {"code, Hamming": _hamming}

    return fit


def ensemble_system(members, held_out, precision="fp32", most=None, features=None):
    """All nets of an ensemble: their FC-4 side by side, one PCA and one Joint Bayesian model.

    members: FaceModel, one a region. features: (N, M 2 D) of `held_out`, where somebody has them already.
    """

    def side_by_side(images):
        found = [extract(member.net, crop(images, member.region), precision=precision) for member in members]
        return np.concatenate(found, axis=1)

    def fit():
        some = _whole_people(held_out.labels, most)
        fitted = side_by_side(np.asarray(held_out.images[some])) if features is None else features[some]
        joined = ensemble.fit(members, fitted, held_out.labels[some]).verifier
        return lambda images: {"ensemble": joined[:-1].transform(side_by_side(images))}, {
            "ensemble": joined[-1].score_pairs
        }

    return fit


def untrained_system(model, held_out, precision="fp32", most=4000, seed=0):
    """The null: FC-4 of the same net with fresh weights (and batch norm's statistics of the held-out people)."""

    def fit():
        fresh = untrained_model(model, held_out.images, seed, most=1000)
        embed = _descriptors(lambda x: extract(fresh.net, crop(x, fresh.region), precision=precision))
        return _with_verifier(embed, make_verifier, held_out, _whole_people(held_out.labels, most), "untrained net")

    return fit


def pixel_system(held_out, most=4000):
    """A second null: the face in 28 x 24 grey pixels."""

    def fit():
        embed = _descriptors(lambda x: crop(x, PIXELS).mean(3).reshape(len(x), -1))
        return _with_verifier(embed, make_verifier, held_out, _whole_people(held_out.labels, most), "pixels")

    return fit


def lbp_system(held_out, most=10000, workers=None):
    """High-dimensional LBP, 99,120 numbers, square root, PCA to 400 and Joint Bayesian [Chen et al., CVPR 2013]."""

    def fit():
        embed = _descriptors(lambda x: lbp.describe(x, workers=workers, progress=False), np.uint8)
        return _with_verifier(embed, lambda n: lbp.make_lbp_verifier(min(400, n)), held_out,
                              _whole_people(held_out.labels, most), "LBP", most_components=400)  # fmt: skip

    return fit


def _descriptors(describe, dtype=np.float32):
    """describe over many images in blocks, into one array."""

    def run(images, index):
        out = None
        for i in range(0, len(index), BLOCK):
            part = describe(np.asarray(images[index[i : i + BLOCK]]))
            out = np.empty((len(index), part.shape[1]), dtype) if out is None else out
            out[i : i + len(part)] = part
        return out

    return run


def _with_verifier(describe, make, held_out, some, curve, most_components=120):
    found, labels = describe(held_out.images, some), held_out.labels[some]
    verifier = make(components(found, labels, most_components)).fit(found, labels)
    del found

    def embed(images):
        return {curve: verifier[:-1].transform(describe(images, np.arange(len(images))))}

    return embed, {curve: verifier[-1].score_pairs}


def _whole_people(labels, most):
    """Rows of the first people whose images together are at most `most`, but of two people at least; None: all."""
    if most is None:
        return np.arange(len(labels))
    counts = np.bincount(labels)
    people = max(2, int((np.cumsum(counts) <= most).sum()))
    return np.flatnonzero(labels < people)


def _hamming(a, b):
    return -(a != b).sum(1).astype(np.float64)


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


def _store(path, mark, scores):
    if path is None:
        return
    beside = path.with_name(path.stem + ".tmp.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(beside, mark=np.array(mark), **scores)
        beside.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); choose another folder") from None
