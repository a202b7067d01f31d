"""A model on a test set: one table of verification and identification, as plain numbers for JSON.

Everything that is chosen or fitted comes with the model, or from people that `held_out` names; from the test set only
the folds' thresholds are taken, each from the other folds.
"""

import dataclasses

import numpy as np
from scipy import stats

from deepid_lite.errors import DataError
from deepid_lite.faces.regions import crop
from deepid_lite.verification import metrics as protocols
from deepid_lite.verification import youtube_faces as videos
from deepid_lite.verification.features import extract
from deepid_lite.verification.model import components, make_verifier


def face_features(model, images, layer=4, precision="fp32", progress=False):
    """Features (N, 2 D) of aligned faces (N, 144, 128, 3), picture and mirror, with a `FaceModel` model's region."""
    return extract(model.net, crop(images, model.region), layer=layer, precision=precision, progress=progress)


def pair_scores(model, features, pairs):
    """Scores (P,) of each pair, higher for one person, in three ways: {"joint_bayesian", "cosine", "hamming"}.

    Hamming counts the neurons that are active in one picture only, on the codes f > 0 [DeepID2+, section 5.1].
    """
    i, j = pairs.first, pairs.second
    z = model.verifier[:-1].transform(features)
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    active = features > 0
    return {
        "joint_bayesian": model.verifier[-1].score_pairs(z[i], z[j]),
        "cosine": (unit[i] * unit[j]).sum(1),
        "hamming": -(active[i] ^ active[j]).sum(1).astype(np.float64),
    }


def scorer(model, features, name="joint_bayesian"):
    """One of the three scores as a function of two index arrays (A,), (B,) into the features -> (A, B)."""
    if name == "joint_bayesian":
        z = model.verifier[:-1].transform(features)
        return lambda i, j: model.verifier[-1].score_gallery(z[i], z[j])
    if name == "cosine":
        unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        return lambda i, j: unit[i] @ unit[j].T
    active = (features > 0).astype(np.float32)  # sums of zeros and ones are exact in it
    count = active.sum(1)
    return lambda i, j: 2.0 * (active[i] @ active[j].T) - count[i][:, None] - count[j]


def video_scores(model, features, video, pairs, pooling="score"):
    """Scores (P,) of pairs of videos in the three ways of `pair_scores`.

    features: (N, 2 D) of frames; video: (N,) number of the video of each. pooling: "score" (mean over all pairs of
    frames), "max" (the best of them) or "feature" (the mean feature of a video; its code is the majority's).
    """
    if pooling not in videos.POOLING:
        raise DataError(f"pooling {pooling!r}: use {', '.join(videos.POOLING)}")
    if pooling != "feature":
        kinds = ("joint_bayesian", "cosine", "hamming")
        return {k: videos.pool_scores(scorer(model, features, k), video, pairs, pooling) for k in kinds}
    n_videos = int(np.max(video)) + 1
    code = videos.pool_features((features > 0).astype(np.float32), video, n_videos) > 0.5
    pooled = pair_scores(model, videos.pool_features(features, video, n_videos), pairs)
    return pooled | {"hamming": -(code[pairs.first] ^ code[pairs.second]).sum(1).astype(np.float64)}


def verification_report(scores, pairs, n_roc=200):
    """Accuracy in percent for each kind of score, and the ROC of the first kind: a dict for JSON.

    Each with the standard error of the folds' mean, as the papers print it, and its 95 % interval.
    """
    report = {}
    for name, values in scores.items():
        result = protocols.verify(values, pairs)
        report[name] = {
            "accuracy": round(100 * result.accuracy, 3),
            "standard_error": round(100 * result.standard_error, 3),
            "interval": fold_interval(100 * result.fold_accuracy),
            "fold_accuracy": [round(100 * a, 3) for a in result.fold_accuracy],
            "equal_error_rate": round(100 * protocols.equal_error_rate(values, pairs.same), 3),
        }
    far, tar, _ = protocols.roc(next(iter(scores.values())), pairs.same)
    grid = np.unique(np.concatenate([np.linspace(0, 1, n_roc // 2), np.geomspace(1 / len(pairs), 1, n_roc // 2)]))
    points = np.interp(grid, far, tar)
    report["roc"] = {"far": np.round(grid, 6).tolist(), "tar": np.round(points, 5).tolist()}
    return report


def fold_interval(values, level=0.95):
    """[low, high] of the mean of the folds' values (F,), by Student's t with F - 1 degrees of freedom."""
    values = np.asarray(values)
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return [round(float(values.mean() - half), 3), round(float(values.mean() + half), 3)]


def share_interval(share, n, level=0.95):
    """[low, high] in percent of a share of n independent trials, by Wilson's score interval."""
    found = stats.binomtest(round(share * n), n).proportion_ci(level, method="wilson")
    return [round(100 * float(found.low), 3), round(100 * float(found.high), 3)]


def identification_report(model, features, labels, lists):
    """Closed-set rank-1 and open-set DIR at 1 % FAR in percent, by Joint Bayesian scores, with 95 % intervals.

    labels: (N,) people of the features' rows; lists: `protocols.Identification`, indices into the rows. The intervals
    take probes as independent and the open set's threshold as given.
    """
    score = scorer(model, features)
    rank1 = protocols.closed_set_rank1(score(lists.probes, lists.gallery), labels[lists.probes], labels[lists.gallery])
    found = protocols.open_set_dir(
        score(lists.genuine, lists.open_gallery),
        labels[lists.genuine],
        score(lists.impostors, lists.open_gallery),
        labels[lists.open_gallery],
        far=0.01,
    )
    return {
        "rank1": round(100 * rank1, 3),
        "rank1_interval": share_interval(rank1, len(lists.probes)),
        "dir_at_1_far": round(100 * found.rate, 3),
        "dir_interval": share_interval(found.rate, len(lists.genuine)),
        "far": found.far,
        "closed": {"gallery": len(lists.gallery), "probes": len(lists.probes)},
        "open": {"gallery": len(lists.open_gallery), "genuine": len(lists.genuine), "impostors": len(lists.impostors)},
    }


def benchmark_report(model, features, test, pooling="score"):
    """Everything that a test set asks, in percent: a dict for JSON.

    model: anything with a fitted `verifier`; features: (N, D) of the faces of `test`, a testsets.Benchmark. pooling:
    how frames become videos, see video_scores.
    """
    if test.video is None:
        scores = pair_scores(model, features, test.pairs)
    else:
        scores = video_scores(model, features, test.video, test.pairs, pooling)
    report = _flat(verification_report(scores, test.pairs)) | test.facts
    if test.video is not None:
        report["pooling"] = pooling
    if test.lists is not None:
        report["identification"] = identification_report(model, features, test.faces.labels, test.lists)
    return report


def _flat(report):
    """Joint Bayesian's numbers under plain names, the others under theirs, as the book quotes them."""
    flat = dict(report["joint_bayesian"])
    for name in ("cosine", "hamming"):
        flat[name] = report[name]["accuracy"]
        flat |= {f"{name}_{key}": report[name][key] for key in ("standard_error", "interval")}
    return flat | {"roc": report["roc"]}


def fit_verifier(model, features, labels):
    """The model with Joint Bayesian fitted on features (N, 2 D) of people that its net never saw."""
    return dataclasses.replace(model, verifier=make_verifier(components(features, labels)).fit(features, labels))


def refitted_report(model, held_out, faces, pairs, progress=False):
    """Accuracies in percent that need a Joint Bayesian model of their own, each fitted on the FaceSet `held_out`.

    Every layer that the net has [arXiv v1, Fig. 3], and the binary codes of the last one [DeepID2+, Table 4].
    """
    layers = model.net.heads
    fit = face_features(model, held_out.images, layer=layers, progress=progress)
    test = face_features(model, faces.images, layer=layers, progress=progress)
    variants = {f"FC-{n}": (fit[n], test[n]) for n in layers} | {
        "codes": tuple((f[4] > 0).astype(np.float32) for f in (fit, test))
    }
    accuracy = {}
    for name, (of_kept, of_test) in variants.items():
        scores = pair_scores(fit_verifier(model, of_kept, held_out.labels), of_test, pairs)
        accuracy[name] = round(100 * protocols.verify(scores["joint_bayesian"], pairs).accuracy, 3)
    return {"codes_joint_bayesian": accuracy.pop("codes"), "layers": accuracy}


def activity(features):
    """Active neurons of FC-n on an image, mean and spread; the features' first half is the image itself."""
    active = (features[:, : features.shape[1] // 2] > 0).sum(1)
    return {
        "active_mean": round(float(active.mean()), 2),
        "active_std": round(float(active.std()), 2),
        "neurons": features.shape[1] // 2,
    }
