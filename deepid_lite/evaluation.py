"""A model on a test set: one table of verification and identification, as plain numbers for JSON.

Everything that is chosen or fitted comes with the model, or from people that `kept` names; from the test set only the
folds' thresholds are taken, each from the other folds.
"""

import dataclasses

import numpy as np

from . import protocols
from .features import extract
from .pretrained import components, make_verifier
from .regions import crop


def face_features(model, images, layer=4, precision="fp32", progress=False):
    """Features (N, 2 D) of aligned faces (N, 144, 128, 3), picture and mirror, with a `Pretrained` model's region."""
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


def verification_report(scores, pairs, n_roc=200):
    """Accuracy in percent with its standard error for each kind of score, ROC of the first kind: a dict for JSON."""
    report = {}
    for name, values in scores.items():
        result = protocols.verify(values, pairs)
        report[name] = {
            "accuracy": round(100 * result.accuracy, 3),
            "standard_error": round(100 * result.standard_error, 3),
            "fold_accuracy": [round(100 * a, 3) for a in result.fold_accuracy],
            "equal_error_rate": round(100 * protocols.equal_error_rate(values, pairs.same), 3),
        }
    far, tar, _ = protocols.roc(next(iter(scores.values())), pairs.same)
    grid = np.unique(
        np.concatenate([np.linspace(0, 1, n_roc // 2), np.geomspace(1 / len(pairs), 1, n_roc // 2)])
    )
    points = np.interp(grid, far, tar)
    report["roc"] = {"far": np.round(grid, 6).tolist(), "tar": np.round(points, 5).tolist()}
    return report


def identification_report(model, features, labels, lists):
    """Closed-set rank-1 and open-set DIR at 1 % FAR in percent, by Joint Bayesian scores.

    labels: (N,) people of the features' rows; lists: `protocols.Identification`, indices into the rows.
    """
    z, joint = model.verifier[:-1].transform(features), model.verifier[-1]
    closed = joint.score_gallery(z[lists.probes], z[lists.gallery])
    rank1 = protocols.closed_set_rank1(closed, labels[lists.probes], labels[lists.gallery])
    genuine = joint.score_gallery(z[lists.genuine], z[lists.open_gallery])
    impostors = joint.score_gallery(z[lists.impostors], z[lists.open_gallery])
    found = protocols.open_set_dir(
        genuine, labels[lists.genuine], impostors, labels[lists.open_gallery], far=0.01
    )
    return {
        "rank1": round(100 * rank1, 3),
        "dir_at_1_far": round(100 * found.rate, 3),
        "far": found.far,
        "closed": {"gallery": len(lists.gallery), "probes": len(lists.probes)},
        "open": {
            "gallery": len(lists.open_gallery),
            "genuine": len(lists.genuine),
            "impostors": len(lists.impostors),
        },
    }


def fit_verifier(model, features, labels):
    """The model with Joint Bayesian fitted on features (N, 2 D) of people that its net never saw."""
    return dataclasses.replace(model, verifier=make_verifier(components(features, labels)).fit(features, labels))


def refitted_report(model, kept, faces, pairs, progress=False):
    """Accuracies in percent that need a Joint Bayesian model of their own, each fitted on the FaceSet `kept`.

    Every layer that the net has [arXiv v1, Fig. 3], and the binary codes of the last one [DeepID2+, Table 4].
    """
    layers = model.net.heads
    fit = face_features(model, kept.images, layer=layers, progress=progress)
    test = face_features(model, faces.images, layer=layers, progress=progress)
    variants = {f"FC-{n}": (fit[n], test[n]) for n in layers} | {
        "codes": tuple((f[4] > 0).astype(np.float32) for f in (fit, test))
    }
    accuracy = {}
    for name, (of_kept, of_test) in variants.items():
        scores = pair_scores(fit_verifier(model, of_kept, kept.labels), of_test, pairs)
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
