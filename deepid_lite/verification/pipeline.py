"""The stages joined as the command line runs them: faces -> crops -> net -> features -> Joint Bayesian -> report."""

import dataclasses
import os
from pathlib import Path

from deepid_lite.errors import DataError
from deepid_lite.faces import splits
from deepid_lite.faces.loading import load_faces
from deepid_lite.faces.regions import by_name, crop
from deepid_lite.nets.training import train
from deepid_lite.nets.training_log import minutes_of
from deepid_lite.results import provenance
from deepid_lite.verification import blufr
from deepid_lite.verification.benchmarks import benchmark, blufr_trials, test_set  # noqa: F401  (test_set is handed on)
from deepid_lite.verification.ensemble import Ensemble, features_of, load_ensemble
from deepid_lite.verification.evaluation import (
    activity,
    benchmark_report,
    face_features,
    fit_verifier,
    refitted_report,
    scorer,
)
from deepid_lite.verification.model import FaceModel, pretrained, save_model, weights_hash

USE_DRAWN = "MIT, as the code: the faces are drawn"
USE_PHOTOGRAPHS = "research and teaching only: trained on photographs of people who were not asked"
MARGIN = 4  # pixels around a crop, for random shifts in training


def training_parts(data, root, min_images=2):
    """FaceSets (net, held_out): people for the net, and people for Joint Bayesian and validation. None is in both."""
    if data == "lfw":
        raise DataError("lfw: it is the test set and never trains; use webfaces, celeba, synthetic or a folder")
    if data == "synthetic":
        return load_faces("synthetic", part="train"), load_faces("synthetic", part="joint_bayesian")
    if data == "celeba":
        return load_faces("celeba", root, part="train"), load_faces("celeba", root, part="val")
    faces = load_faces(data, root)
    net, held_out = splits.hold_out(faces, min_images=min_images)
    return faces.subset(net), faces.subset(held_out)


def train_model(data, root, recipe, out, device=None, ship=None, parts=None, start=None):
    """Train as `recipe` says and save OUT/model.safetensors; returns the FaceModel (the first process).

    parts: FaceSets (net, held_out) of `data` where they are loaded already. start: name or file of a model whose net
    goes on; whoever it saw must not be among the held-out people.
    """
    net_faces, held_out = parts or training_parts(data, root, recipe.min_images)
    region = by_name(recipe.region)
    _say(f"net: {len(net_faces):,} images of {len(net_faces.names):,} people")
    _say(f"held out: {len(held_out):,} images of {len(held_out.names):,} people")
    crops = crop(net_faces.images, region, MARGIN)
    first = pretrained(start) if start else None
    net = train(crops, net_faces.labels, recipe, out, device, start=first.net if first else None)
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
        "verifier": {"images": len(held_out), "people": len(held_out.names), "data_hash": held_out.data_hash},
        **provenance("cuda" if next(net.parameters()).is_cuda else "cpu"),
    }
    if first:
        card["started from"] = {"weights": weights_hash(first)[:16], "minutes": first.card.get("minutes")}
    model = FaceModel(net.cpu(), region, None, card)
    model = fit_verifier(model, face_features(model, held_out.images, progress=True), held_out.labels)
    save_model(Path(out) / "model.safetensors", model)
    if ship:
        save_model(ship, model, without_heads=(1,) if 1 in net.heads else ())
    _say(f"{Path(out) / 'model.safetensors'}: written after {minutes:.1f} minutes of training")
    return model


def evaluate_model(name, data, root=None, seed=0, pooling="score", refit_on=None, with_blufr=False, **options):
    """All numbers of a model on a test set, in percent: a dict for JSON.

    name: of a model, its file, the folder of an ensemble, or a FaceModel or Ensemble itself. data, root, seed,
    options: see testsets.benchmark. pooling: how frames become videos, see evaluation.video_scores. refit_on: the data
    set, below `root`, whose held-out people fit Joint Bayesian for every layer and for the binary codes as well.
    with_blufr: BLUFR's trials as well.
    """
    model = _model(name)
    members = model.members if isinstance(model, Ensemble) else [model]
    test = benchmark(data, root, seed, **options)
    if refit_on and isinstance(model, Ensemble):
        raise DataError(f"refit_on: it takes one net apart, and {name} is an ensemble; leave it out")
    if refit_on and test.video is not None:
        raise DataError(f"refit_on: it scores layers on single faces, and {data} has videos; leave it out")
    trials, lists = blufr_trials(test, root) if with_blufr else (None, None)
    features = features_of(model, test.faces.images, progress=True)
    report = {
        "system": "single" if members == [model] else f"ensemble of {len(members)}",
        "model": "in memory" if model is name else Path(name).stem,
        "data": data,
        "data_hash": test.faces.data_hash,
        "images": len(test.faces),
        "pairs": len(test.pairs),
        "seed": seed,
        **benchmark_report(model, features, test, pooling),
        **activity(features[:, : features.shape[1] // len(members)]),  # of the first net
    }
    if with_blufr:
        report["blufr"] = {"lists": lists, **blufr.report(scorer(model, features), test.faces.labels, trials)}
    if refit_on:
        held_out = training_parts(refit_on, root)[1]
        report |= refitted_report(model, held_out, test.faces, test.pairs, progress=True)
    facts = ("trained on", "images", "people", "data_hash", "minutes", "commit", "device")
    net = {key: members[0].card.get(key) for key in facts}
    if members != [model]:
        net |= {"regions": model.names, "minutes": sum(member.card.get("minutes", 0) for member in members)}
    return report | {"minutes": net["minutes"], "net": net, **provenance()}


def _model(name):
    if isinstance(name, FaceModel | Ensemble):
        return name
    return load_ensemble(name) if Path(name).is_dir() else pretrained(name)


SUMMARY_NOTE = (
    "+-: standard error of the folds' mean, as in the paper's tables. Intervals: Student's t over the folds, Wilson's\n"
    "over probes for identification, which takes them as independent and the threshold as given."
)


def summary(report):
    """The report as one table of text: value, standard error, 95 % interval."""
    what = f"{report['images']:,} images"
    if "videos" in report:
        what = f"{report['images']:,} frames of {report['videos']:,} videos"
    folds = len(report["fold_accuracy"])
    lines = [f"{report['model']} on {report['data']}: {what}, {report['pairs']:,} pairs in {folds} folds"]
    lines.append(f"  {'':<32}{'value':>9}{'+-':>8}{'95 % interval':>20}")
    for name, key, prefix in (
        ("verification, Joint Bayesian", "accuracy", ""),
        ("verification, cosine", "cosine", "cosine_"),
        ("verification, Hamming", "hamming", "hamming_"),
    ):
        lines.append(_row(name, report[key], report[f"{prefix}interval"], report[f"{prefix}standard_error"]))
    lines.append(_row("equal error rate", report["equal_error_rate"]))
    if found := report.get("identification"):
        lines.append(_row("closed-set rank-1", found["rank1"], found["rank1_interval"]))
        lines.append(_row("open-set DIR at 1 % FAR", found["dir_at_1_far"], found["dir_interval"]))
    note = SUMMARY_NOTE
    if trials := report.get("blufr"):
        for name, key in (("BLUFR, TAR at 0.1 % FAR", "tar_at_0.1_far"), ("BLUFR, DIR at 1 % FAR", "dir_at_1_far")):
            lines.append(_row(name, trials[key]["mean_minus_deviation"], error=trials[key]["standard_deviation"]))
        note += f"\nBLUFR: mean minus standard deviation (+-) of its trials; lists: {trials['lists']}."
    note += f"\nActive on an image: {report['active_mean']:.1f} of {report['neurons']} neurons,"
    note += f" standard deviation {report['active_std']:.1f}."
    return "\n".join([*lines, note])


def _row(name, value, interval=None, error=None):
    error = "" if error is None else f"{error:.2f}"
    interval = "" if interval is None else f"{interval[0]:.2f} .. {interval[1]:.2f}"
    return f"  {name:<32}{value:7.2f} %{error:>8}{interval:>20}".rstrip()


def _say(text):
    print(text, flush=True)
