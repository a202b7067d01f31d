"""Train the nets of an ensemble one after another, or shared out among processes, and join them at the end.

Everything can be stopped at any moment: a net that is finished is not trained again, one that is not goes on from its
checkpoint, and the same command joins them when the last is there.
"""

import dataclasses
import json
import os
from pathlib import Path

import torch

from deepid_lite.errors import DataError
from deepid_lite.nets.recipe import for_region
from deepid_lite.tensors import load
from deepid_lite.verification import ensemble, pipeline

SPREADS = ("data", "nets")


def train_ensemble(data, root, recipe, regions, out, device=None, spread="data"):
    """Train one net a region in OUT/<region>/, then fit PCA and Joint Bayesian on all; returns the Ensemble.

    recipe: of every net, but for its region. regions: `regions.Region`s. Under `torchrun`, spread says how several
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
    parts = pipeline.training_parts(data, root, recipe.min_images)
    for region in mine:
        path = ensemble.net_file(out, region)
        if not _is_finished(path, recipes[region], parts[0].data_hash):
            pipeline.train_model(data, root, recipes[region], path.parent, device, parts=parts)
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
