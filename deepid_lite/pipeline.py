"""The stages joined as the command line runs them: faces -> crops -> net -> features -> Joint Bayesian -> report."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from . import protocols, splits
from .errors import DataError
from .evaluation import (
    activity,
    face_features,
    fit_verifier,
    identification_report,
    pair_scores,
    refitted_report,
    verification_report,
)
from .faces import load_faces
from .pretrained import Pretrained, pretrained, save_model
from .progress import minutes_of
from .records import provenance
from .regions import by_name, crop
from .training import train

USE_DRAWN = "MIT, as the code: the faces are drawn"
USE_PHOTOGRAPHS = "research and teaching only: trained on photographs of people who were not asked"
MARGIN = 4  # pixels around a crop, for random shifts in training


def training_parts(data, root, min_images=2):
    """FaceSets (net, kept): people for the net, and people for Joint Bayesian and validation. None is in both."""
    if data == "lfw":
        raise DataError(
            "lfw: it is the test set and never trains; use webfaces, celeba, synthetic or a folder"
        )
    if data == "synthetic":
        return load_faces("synthetic", part="train"), load_faces("synthetic", part="joint_bayesian")
    if data == "celeba":
        return load_faces("celeba", root, part="train"), load_faces("celeba", root, part="val")
    faces = load_faces(data, root)
    net, kept = splits.hold_out(faces, min_images=min_images)
    return faces.subset(net), faces.subset(kept)


def train_model(data, root, recipe, out, device=None, ship=None):
    """Train as `recipe` says and save OUT/model.safetensors; returns the Pretrained (the first process)."""
    net_faces, kept = training_parts(data, root, recipe.min_images)
    region = by_name(recipe.region)
    _say(f"net: {len(net_faces):,} images of {len(net_faces.names):,} people")
    _say(f"kept from it: {len(kept):,} images of {len(kept.names):,} people")
    crops = crop(net_faces.images, region, MARGIN)
    net = train(crops, net_faces.labels, recipe, out, device)
    if int(os.environ.get("RANK", 0)) > 0:
        return None  # of several processes the first alone writes the model
    minutes = minutes_of(Path(out) / "log.csv", recipe.epochs * len(net_faces))
    card = {
        "trained on": data,
        "images": len(net_faces),
        "people": len(net_faces.names),
        "data_hash": net_faces.data_hash,
        "recipe": dataclasses.asdict(recipe),
        "minutes": round(minutes, 1),
        "use": USE_DRAWN if data == "synthetic" else USE_PHOTOGRAPHS,
        "verifier": {"images": len(kept), "people": len(kept.names), "data_hash": kept.data_hash},
        **provenance("cuda" if next(net.parameters()).is_cuda else "cpu"),
    }
    model = Pretrained(net.cpu(), region, None, card)
    model = fit_verifier(model, face_features(model, kept.images, progress=True), kept.labels)
    save_model(Path(out) / "model.safetensors", model)
    if ship:
        save_model(ship, model, without_heads=(1,) if 1 in net.heads else ())
    _say(f"{Path(out) / 'model.safetensors'}: written after {minutes:.1f} minutes of training")
    return model


def test_set(data, root=None, pairs=None, errata=None, seed=0):
    """(faces, pairs, identification lists) of a test: LFW's own, or drawn for the unseen people of another set."""
    faces = load_faces(data, root, **({"part": "test"} if data in ("synthetic", "celeba") else {}))
    if data == "lfw":
        pairs = protocols.read_lfw_pairs(pairs or _lfw_file("pairs.txt", root), faces.paths, errata=errata)
        in_pairs = np.union1d(pairs.first, pairs.second)
        return faces, pairs, protocols.identification_lists(faces.labels, seed, closed=in_pairs)
    counts = np.bincount(faces.labels)
    able = (counts >= 2).sum()
    # as many pairs as LFW has, or half of those that a smaller set can give
    per_fold = min(300, int((counts * (counts - 1)).sum() // 40))
    pairs = protocols.make_pairs(faces.labels, per_fold=max(1, per_fold), seed=seed)
    enrolled = max(
        1, able // 4
    )  # LFW's proportions: a part of the people is enrolled, everybody else is an impostor
    lists = protocols.identification_lists(faces.labels, seed, enrolled=enrolled, impostors=len(faces) // 2)
    return faces, pairs, lists


def evaluate_model(name, data, root=None, pairs=None, errata=None, seed=0, refit_on=None):
    """All numbers of a model on a test set, in percent: a dict for JSON.

    refit_on: the data set whose kept people fit Joint Bayesian for every layer and for the binary codes as well.
    """
    model = name if isinstance(name, Pretrained) else pretrained(name)
    faces, pairs, lists = test_set(data, root, pairs, errata, seed)
    features = face_features(model, faces.images, progress=True)
    scores = pair_scores(model, features, pairs)
    verification = verification_report(scores, pairs)
    return {
        "system": "single",
        "model": "in memory" if isinstance(name, Pretrained) else Path(name).stem,
        "data": data,
        "data_hash": faces.data_hash,
        "images": len(faces),
        "pairs": len(pairs),
        "seed": seed,
        **_flat(verification),
        "identification": identification_report(model, features, faces.labels, lists),
        **activity(features),
        **(
            refitted_report(model, training_parts(refit_on, root)[1], faces, pairs, progress=True)
            if refit_on
            else {}
        ),
        "minutes": model.card.get("minutes"),
        "net": {
            key: model.card.get(key)
            for key in ("trained on", "images", "people", "data_hash", "minutes", "commit", "device")
        },
        **provenance(),
    }


def _flat(report):
    """Joint Bayesian's numbers under plain names, the others under theirs, as the book quotes them."""
    main = report["joint_bayesian"]
    flat = {
        "accuracy": main["accuracy"],
        "standard_error": main["standard_error"],
        "fold_accuracy": main["fold_accuracy"],
    }
    flat["equal_error_rate"] = main["equal_error_rate"]
    for name in ("cosine", "hamming"):
        flat[name], flat[f"{name}_standard_error"] = report[name]["accuracy"], report[name]["standard_error"]
    return flat | {"roc": report["roc"]}


def summary(report):
    """The report as a few lines of text."""
    identification = report["identification"]
    lines = [f"{report['model']} on {report['data']}: {report['images']:,} images, {report['pairs']:,} pairs"]
    for name, key in (("Joint Bayesian", "accuracy"), ("cosine", "cosine"), ("Hamming", "hamming")):
        error = report["standard_error" if key == "accuracy" else f"{key}_standard_error"]
        lines.append(f"  verification, {name:<15} {report[key]:6.2f} % +- {error:.2f}")
    lines.append(f"  closed-set rank-1             {identification['rank1']:6.2f} %")
    lines.append(f"  open-set DIR at 1 % FAR       {identification['dir_at_1_far']:6.2f} %")
    lines.append(
        f"  active neurons of {report['neurons']}         {report['active_mean']:6.1f} +- {report['active_std']:.1f}"
    )
    return "\n".join(lines)


def _lfw_file(name, root):
    from .sources import default_root

    root = Path(root) if root else default_root("lfw")
    folder = root if root.is_dir() else root.parent
    for path in (
        folder / name,
        folder / "lfw_protocol" / name,
        folder.parent / name,
        folder.parent / "lfw_protocol" / name,
    ):
        if path.is_file():
            return path
    raise DataError(
        f"{folder}: no {name} beside the images; fetch it with data_scripts/lfw.py or give --pairs"
    )


def _say(text):
    print(text, flush=True)
