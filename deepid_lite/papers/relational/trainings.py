"""Who trains and who is asked at each scale, and all trainings of a seed."""

import dataclasses
from typing import NamedTuple

import numpy as np

from deepid_lite.faces.loading import load_faces
from deepid_lite.nets.recipe import read_recipe
from deepid_lite.nets.training_log import minutes_of, read_log
from deepid_lite.papers.relational.net import MARGIN, PairNet, cut, multiply_adds, shape_of, train
from deepid_lite.papers.relational.system import REGIONS
from deepid_lite.verification.pairs import Pairs, make_pairs, pairs_a_fold
from deepid_lite.verification.pipeline import training_parts

NETS = 2  # of each region; the paper has five
WHOLE = "whole face"  # region of the controls
TUNED = ("together", "apart")  # folders of the nets that are trained on


class Size(NamedTuple):
    """What differs between the scales. pairs: of a fold that are used, of held-out and of test people; None: all."""

    regions: tuple
    held_out_pairs: int | None
    test_pairs: int | None
    recipe: dict  # what is not as in the preset
    fine_steps: int
    fine_batch: int
    fine_lr: float


SIZES = {
    "lite": Size(REGIONS, 120, 240, {}, 40, 16, 3e-4),
    "reference": Size(REGIONS, 300, None, {"epochs": 3, "batch_size": 96}, 60, 16, 3e-4),
}


class People(NamedTuple):
    """Who did not train the nets, held out or tested: aligned faces, labels, pairs, and crops of each region."""

    images: np.ndarray
    labels: np.ndarray
    pairs: Pairs
    crops: dict


def recipe_of(scale):
    """The preset with what the scale changes in it."""
    return read_recipe("relational", **SIZES[scale].recipe)


# people


def _training_faces(setup):
    if setup.name == "lite":
        return load_faces("synthetic", part="train")
    return training_parts("webfaces", setup.root)[0]


def training_crops(setup, regions):
    """People for the nets: ({region: crops with MARGIN}, labels, facts). The pictures, gigabytes, are let go."""
    faces = _training_faces(setup)
    facts = {"people": len(np.unique(faces.labels)), "images": len(faces), "data_hash": faces.data_hash,
             "source": faces.source}  # fmt: skip
    return {name: cut(faces.images, name, MARGIN) for name in regions}, faces.labels, facts


def held_out_people(setup, size):
    """People for the RBM, its rivals and the verifier, who also choose."""
    labels, images = setup.held_out.labels, setup.held_out.images
    pairs = make_pairs(labels, per_fold=min(pairs_a_fold(labels), (size.held_out_pairs or 10**9) // 2))
    return People(images, labels, pairs, {name: cut(images, name) for name in size.regions})


def tested_people(setup, size):
    used, pairs = fewer(setup.pairs, size.test_pairs).compact()
    images = setup.test.images[used]
    return People(images, setup.test.labels[used], pairs, {name: cut(images, name) for name in size.regions})


def fewer(pairs, per_fold):
    """The first so many genuine and impostor pairs, half each, of every fold; None: all."""
    if per_fold is None:
        return pairs
    places = [np.flatnonzero((pairs.fold == f) & (pairs.same == kind))[: per_fold // 2]
              for f in np.unique(pairs.fold) for kind in (True, False)]  # fmt: skip
    rows = np.concatenate(places)
    return Pairs(pairs.first[rows], pairs.second[rows], pairs.same[rows], pairs.fold[rows])


# trainings


def of_region(recipe, name, number=0, **net):
    """The recipe of the net of that number of a region."""
    net = recipe.net | {"input_shape": shape_of(name)} | net
    return dataclasses.replace(recipe, seed=100 * recipe.seed + number, net=net)


def train_all(crops, labels, recipe, folder):
    """All nets of one seed: ({region: [PairNet, ...]}, {"meet last": PairNet, "identification": PairNet}).

    Each control is a net of the first region and may do as many multiply-adds as the first net.
    """
    groups = {
        name: [train(images, labels, of_region(recipe, name, number), folder / name.replace(" ", "-") / str(number))
               for number in range(NETS)]
        for name, images in crops.items()
    }  # fmt: skip
    first = next(iter(crops))
    of_last = of_region(recipe, first, meet="last")
    ours, last, name = (
        multiply_adds(PairNet(**of_last.net | {"meet": meet}).config, faces, people)
        for _, meet, faces, people in work(len(np.unique(labels)))
    )
    return groups, {
        "meet last": train(crops[first], labels, of_last, folder / "last", share=ours / last),
        "identification": train(crops[first], labels, of_last, folder / "names", identify=True, share=ours / name),
    }


def training_minutes(folder, batch_size):
    """Minutes that the trainings of `train_all` in that folder took by their logs."""
    logs = [log for log in folder.rglob("log.csv") if log.parent.name not in TUNED]
    return round(sum(minutes_of(log, batch_size * (read_log(log)["step"][-1] + 1)) for log in logs), 1)


def work(people):
    """(name, where faces meet, faces, people to name) of the nets that are compared at equal multiply-adds."""
    return ("pair, meet first", "first", 2, 0), ("pair, meet last", "last", 2, 0), ("one face", "last", 1, people)
