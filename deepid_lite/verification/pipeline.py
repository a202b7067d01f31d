"""The stages joined as the command line runs them: faces -> crops -> net -> features -> verifier -> report."""

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import torch

from deepid_lite.errors import DataError
from deepid_lite.faces import splits
from deepid_lite.faces.loading import load_faces
from deepid_lite.faces.regions import by_name, crop
from deepid_lite.nets.recipe import for_region
from deepid_lite.nets.training import train
from deepid_lite.nets.training_log import minutes_of
from deepid_lite.results import provenance
from deepid_lite.tensors import load
from deepid_lite.verification import blufr, ensemble
from deepid_lite.verification.benchmarks import benchmark, blufr_trials
from deepid_lite.verification.ensemble import Ensemble, any_model
from deepid_lite.verification.evaluation import activity, refitted_report, scorer
from deepid_lite.verification.model import FaceModel, face_features, pretrained, save_model, weights_hash

USE_DRAWN = "MIT, as the code: the faces are drawn"
USE_PHOTOGRAPHS = "research and teaching only: trained on photographs of people who were not asked"
MARGIN = 4  # pixels around a crop, for random shifts in training
SPREADS = ("data", "nets")


def training_parts(data, root, min_images=2):
    """FaceSets (net, held_out): people for the net, and people for Joint Bayesian and validation. None is in both."""
    if data == "lfw":
        raise DataError("lfw: it is the test set and never trains; use webfaces, celeba, synthetic or a folder")
    if data == "synthetic":
        return load_faces("synthetic", part="train"), load_faces("synthetic", part="joint_bayesian")
    if data == "celeba":
        return load_faces("celeba", root, part="train"), load_faces("celeba", root, part="val+test")  # as DeepID2
    faces = load_faces(data, root)
    net, held_out = (faces.subset(part) for part in splits.hold_out(faces, min_images=min_images))
    counts = np.bincount(held_out.labels)
    if len(counts) < 2 or counts.max() < 2:
        needs = "Joint Bayesian needs two held-out people, one of them with two images"
        raise DataError(f"{data}: {len(faces.names)} people, of whom {len(counts)} held out; {needs}; give 15 or more")
    return net, held_out


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
    init = first.net.state_dict() if first else None
    net = train(crops, net_faces.labels, recipe, out, device, net_faces.data_hash, init=init)
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
    model = model.with_verifier(face_features(model, held_out.images, progress=True), held_out.labels)
    save_model(Path(out) / "model.safetensors", model)
    if ship:
        save_model(ship, model, without_heads=(1,) if 1 in net.heads else ())
    _say(f"{Path(out) / 'model.safetensors'}: written after {minutes:.1f} minutes of training")
    return model


def train_ensemble(data, root, recipe, regions, out, device=None, spread="data"):
    """Train one net a region in OUT/<region>/, then fit PCA and Joint Bayesian on all; returns the Ensemble.

    recipe: of every net, but for its region. regions: regions.Region objects. Under `torchrun`, spread says how several
    processes share the work: "data": they train every net together, each on a part of each batch; "nets": each trains
    nets of its own, and whoever finds the last one finished joins them (the others return None).
    DataError: a folder holds a net of another recipe or other data.
    """
    if spread not in SPREADS:
        raise DataError(f"spread {spread!r}: use one of {', '.join(SPREADS)}")
    recipes = {region: for_region(recipe, region.name) for region in regions}  # all are checked before the first runs
    mine = list(regions)
    if spread == "nets":
        rank, world = _alone()
        mine = mine[rank::world]
    parts = training_parts(data, root, recipe.min_images)
    for region in mine:
        path = ensemble.net_file(out, region)
        if not _is_finished(path, recipes[region], parts[0].data_hash):
            train_model(data, root, recipes[region], path.parent, device, parts=parts)
    missing = [region for region in regions if not ensemble.net_file(out, region).is_file()]
    if int(os.environ.get("RANK", 0)) > 0 or missing:
        return None
    return join(out, regions, parts[1])


def join(out, regions, held_out):
    """Fit PCA and Joint Bayesian on all nets' features of the FaceSet `held_out`; writes OUT/ensemble.safetensors."""
    members = ensemble.finished_members(out, regions)
    found = ensemble.features(members, held_out.images, progress=True)
    joined = ensemble.fit(members, found, held_out.labels)
    ensemble.save_ensemble(out, joined)
    print(f"{Path(out) / ensemble.FILE}: {len(members)} nets, {joined.card['components']} components", flush=True)
    return joined


def _is_finished(path, recipe, data_hash):
    """Whether the net of a run like this one is there already."""
    if not path.is_file():
        return False
    card = load(path)[1].get("card", {})
    wanted = json.loads(json.dumps({"recipe": dataclasses.asdict(recipe), "data_hash": data_hash}))
    if other := [key for key, value in wanted.items() if card.get(key) != value]:
        raise DataError(f"{path}: of another {' and '.join(other)}; take another --out, or delete it to train anew")
    return True


def _alone():
    """(rank, world) of this process, which from here on trains by itself, on a GPU of its own where it can."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        os.environ.pop(name, None)
    return rank, world


def evaluate_model(name, data, root=None, seed=0, refit_on=None, with_blufr=False, **options):
    """All numbers of a model on a test set, in percent, and what they come from: a dict for JSON.

    name: of a model, its file, the folder of an ensemble, or a FaceModel or Ensemble itself. data, root, seed,
    options: see benchmarks.benchmark. refit_on: the data set, below `root`, whose held-out people fit Joint Bayesian
    for every layer and for the binary codes as well. with_blufr: BLUFR's trials as well.
    """
    model = any_model(name)
    members = model.members if isinstance(model, Ensemble) else [model]
    test = benchmark(data, root, seed, **options)
    if refit_on and isinstance(model, Ensemble):
        raise DataError(f"refit_on: it takes one net apart, and {name} is an ensemble; leave it out")
    if refit_on and test.video is not None:
        raise DataError(f"refit_on: it scores layers on single faces, and {data} has videos; leave it out")
    held_out = training_parts(refit_on, root)[1] if refit_on else None
    trials, lists = blufr_trials(test, root) if with_blufr else (None, None)
    features = face_features(model, test.faces.images, progress=True)
    report = {
        "system": "single" if members == [model] else f"ensemble of {len(members)}",
        "model": "in memory" if model is name else Path(name).stem,
        "data": data,
        "data_hash": test.faces.data_hash,
        "images": len(test.faces),
        "pairs": len(test.pairs),
        "seed": seed,
        **test.report(model, features),
        **activity(features[:, : features.shape[1] // len(members)]),  # of the first net
    }
    if with_blufr:
        report["blufr"] = {"lists": lists, **blufr.report(scorer(model, features), test.faces.labels, trials)}
    if refit_on:
        report |= refitted_report(model, held_out, test.faces, test.pairs, progress=True)
    facts = ("trained on", "images", "people", "data_hash", "minutes", "commit", "device")
    net = {key: members[0].card.get(key) for key in facts}
    if members != [model]:
        net |= {"regions": model.names, "minutes": sum(member.card.get("minutes") or 0 for member in members)}
    return report | {"minutes": net["minutes"], "net": net, **provenance()}


def _say(text):
    print(text, flush=True)
