"""What a model's features say of pairs and of galleries: scores, and reports as plain numbers for JSON.

Everything that is chosen or fitted comes with the model, or from people that `held_out` names; from the test set only
the folds' thresholds are taken, each from the other folds. benchmarks.py has the sets.
"""

import numpy as np
from scipy import stats

from deepid_lite.verification import metrics, verifier
from deepid_lite.verification.model import face_features


def pair_scores(model, features, pairs):
    """Scores (P,) of each pair, higher for one person, in three ways: {"joint_bayesian", "cosine", "hamming"}.

    model: anything with a fitted `verifier`. Hamming counts the neurons that are active in one picture only, on the
    codes f > 0 [DeepID2+, section 5.1].
    """
    i, j = pairs.first, pairs.second
    unit, active = _unit(features), features > 0
    return {
        "joint_bayesian": model.verifier.score_pairs(features, pairs),
        "cosine": (unit[i] * unit[j]).sum(1),
        "hamming": -(active[i] ^ active[j]).sum(1).astype(np.float64),
    }


def scorer(model, features, name="joint_bayesian"):
    """One of the three scores as a function of two index arrays (A,), (B,) into the features -> (A, B)."""
    if name == "joint_bayesian":
        z = model.verifier.project(features)
        return lambda i, j: model.verifier[-1].score_gallery(z[i], z[j])
    if name == "cosine":
        unit = _unit(features)
        return lambda i, j: unit[i] @ unit[j].T
    active = (features > 0).astype(np.float32)  # sums of zeros and ones are exact in it
    count = active.sum(1)
    return lambda i, j: 2.0 * (active[i] @ active[j].T) - count[i][:, None] - count[j]


def _unit(features):
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def verification_report(scores, pairs, n_roc=200):
    """Accuracy in percent for each kind of score, and the ROC of the first kind: a dict for JSON.

    Each with the standard error of the folds' mean, as the papers print it, its 95 % interval, and the folds' mean
    threshold. The ROC is a step function: at each `far` the largest true accept rate that was measured there or below.
    """
    report = {}
    for name, values in scores.items():
        result = metrics.verify(values, pairs)
        report[name] = {
            "accuracy": round(100 * result.accuracy, 3),
            "standard_error": round(100 * result.standard_error, 3),
            "interval": fold_interval(100 * result.fold_accuracy),
            "fold_accuracy": [round(100 * a, 3) for a in result.fold_accuracy],
            "threshold": round(float(np.maximum(result.threshold, values.min() - 1).mean()), 3),  # -inf is no JSON
            "equal_error_rate": round(100 * metrics.equal_error_rate(values, pairs.same), 3),
        }
    far, tar, _ = metrics.roc(next(iter(scores.values())), pairs.same)
    grid = np.unique(np.concatenate([np.linspace(0, 1, n_roc // 2), np.geomspace(1 / len(pairs), 1, n_roc // 2)]))
    steps = tar[np.searchsorted(far, grid, side="right") - 1]
    return report | {"roc": {"far": np.round(grid, 6).tolist(), "tar": np.round(steps, 5).tolist()}}


def flat(report):
    """The first score's numbers of `verification_report` under plain names, the others under theirs, as records are."""
    first, *others = (name for name in report if name != "roc")
    result = dict(report[first])
    for name in others:
        result[name] = report[name]["accuracy"]
        result |= {f"{name}_{key}": report[name][key] for key in ("standard_error", "interval")}
    return result | {"roc": report["roc"]}


def fold_interval(values, level=0.95):
    """[low, high], within 0..100, of the mean of the folds' percentages (F,), by Student's t with F - 1 degrees of
    freedom."""
    values = np.asarray(values)
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return [round(float(np.clip(end, 0, 100)), 3) for end in (values.mean() - half, values.mean() + half)]


def share_interval(share, n, level=0.95):
    """[low, high] in percent of a share of n independent trials, by Wilson's score interval."""
    found = stats.binomtest(round(share * n), n).proportion_ci(level, method="wilson")
    return [round(100 * float(found.low), 3), round(100 * float(found.high), 3)]


def identification_report(model, features, labels, lists):
    """Closed-set rank-1 and open-set DIR at 1 % FAR in percent, by Joint Bayesian scores, with 95 % intervals.

    labels: (N,) people of the features' rows; lists: `pairs.Identification`, indices into the rows. The intervals take
    probes as independent and the open set's threshold as given.
    """
    score = scorer(model, features)
    rank1 = metrics.rank1(metrics.best_matches(score, lists.probes, lists.gallery, labels))
    genuine, impostors = (
        metrics.best_matches(score, probes, lists.open_gallery, labels) for probes in (lists.genuine, lists.impostors)
    )
    found = metrics.detection_rate(genuine, np.maximum(*impostors), far=0.01)
    return {
        "rank1": round(100 * rank1, 3),
        "rank1_interval": share_interval(rank1, len(lists.probes)),
        "dir_at_1_far": round(100 * found.rate, 3),
        "dir_interval": share_interval(found.rate, len(lists.genuine)),
        "far": found.far,
        "closed": {"gallery": len(lists.gallery), "probes": len(lists.probes)},
        "open": {"gallery": len(lists.open_gallery), "genuine": len(lists.genuine), "impostors": len(lists.impostors)},
    }


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
    for name, (of_held_out, of_test) in variants.items():
        scores = verifier.fit_verifier(of_held_out, held_out.labels).score_pairs(of_test, pairs)
        accuracy[name] = round(100 * metrics.verify(scores, pairs).accuracy, 3)
    return {"codes_joint_bayesian": accuracy.pop("codes"), "layers": accuracy}


def activity(features):
    """Active neurons of FC-n on an image, mean and spread; the features' first half is the image itself."""
    active = (features[:, : features.shape[1] // 2] > 0).sum(1)
    return {
        "active_mean": round(float(active.mean()), 2),
        "active_std": round(float(active.std()), 2),
        "neurons": features.shape[1] // 2,
    }
