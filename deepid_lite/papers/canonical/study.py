"""What the canonical-view net is worth on drawn people: recognition by view, its pictures, the choice of a picture."""

import dataclasses
from pathlib import Path

import numpy as np
import torch

from deepid_lite.errors import DataError
from deepid_lite.faces.synthetic.views import VIEWS, make_views
from deepid_lite.nets.batches import fingerprint
from deepid_lite.nets.deepid import build
from deepid_lite.nets.recipe import read_recipe
from deepid_lite.papers.canonical.net import as_input, canonical, features, frontality, least_squares, train
from deepid_lite.registry import Claim, Estimate, claims, study
from deepid_lite.verification.across_views import baselines, by_view, estimate, rank1_by_view

# 6 the study

PEOPLE, LIGHTS, SEEDS = (120, 60), 3, (0, 1, 2)
WEIGHTS = {"symmetry alone": 0.0, "symmetry and rank": 0.1, "rank alone": 1e6}


@study
def canonical_view(setup, folder="runs/canonical", people=PEOPLE, seeds=SEEDS, **changes):
    """Rank-1 by view and the error of the frontal picture, of the net, its controls, and features without a net.

    Everything here is drawn, so there is the lite scale only. Numbers with intervals are [value, low, high]: the
    people are drawn anew, and over the seeds Student's t where that is wider. Errors are in percent of the range from
    black to white. `right`: is the true frontal picture that is nearest to the net's the person's own? `chosen`: the
    yaw, without its sign, of each person's picture that a rule without labels takes for the most frontal.
    """
    if setup.name != "lite":
        raise DataError(f"canonical_view, scale {setup.name}: its people are drawn; use --scale lite")
    train_set, test = (
        make_views(n, lights=LIGHTS, part=part) for n, part in zip(people, ("train", "test"), strict=True)
    )
    fronts = [
        make_views(n, (0,), 1, part=part, jitter=0).images for n, part in zip(people, ("train", "test"), strict=True)
    ]
    recipe = read_recipe("canonical", **changes)
    of_train, of_test = baselines(train_set), baselines(test)
    rates = {name: [rank1_by_view(train_set, test, of_train[name], of_test[name])] for name in of_train}
    pictures = {"the input": [_compared(test, test.images / 127.5 - 1, fronts[1])]}
    mean = np.broadcast_to(fronts[0].mean(0) / 127.5 - 1, test.images.shape)
    pictures["mean frontal face"] = [_compared(test, mean, fronts[1])]
    for seed in seeds:
        for name, net in trained(
            train_set, fronts[0], dataclasses.replace(recipe, seed=seed), Path(folder) / f"seed-{seed}"
        ):
            found = rank1_by_view(train_set, test, features(net, train_set.images), features(net, test.images))
            rates.setdefault(name, []).append(found)
            if name == "FIP":
                both = [canonical(net, faces.images).reshape(len(faces), -1) for faces in (train_set, test)]
                rates.setdefault("its picture", []).append(rank1_by_view(train_set, test, *both))
            if name not in ("untrained", "identification"):
                pictures.setdefault(name, []).append(_compared(test, canonical(net, test.images), fronts[1]))
    return {
        "scale": setup.name, "people": list(people), "views": list(VIEWS), "lights": LIGHTS, "seeds": list(seeds),
        "recipe": dataclasses.asdict(recipe),
        "data_hash": fingerprint(train_set.images, train_set.labels) + fingerprint(test.images, test.labels),
        "rank1": {name: by_view(found) | {"people": np.round(np.mean(found, 2), 3).tolist()}
                  for name, found in rates.items()},
        "pictures": {name: {key: by_view([one[key] for one in found]) for key in ("error", "right")}
                     for name, found in pictures.items()},
        "chosen": {name: _rounded(chosen) for name, chosen in _chosen(test).items()},
    }  # fmt: skip


def trained(faces, frontal, recipe, folder, pictures=900):
    """(name, net) of each net of a seed; pictures: for the start by least squares."""
    torch.manual_seed(recipe.seed)
    net = build({**recipe.net, "architecture": recipe.architecture}).eval()
    yield "untrained", net
    rows = np.random.default_rng(recipe.seed).permutation(len(faces))[:pictures]
    goal = as_input(frontal)[faces.labels[rows]]
    least_squares(net, as_input(faces.images[rows]), goal)
    yield "least squares alone", net
    yield "FIP", train(faces, frontal, recipe, folder / "fip", pictures=pictures, device="cpu")
    yield "random start", train(faces, frontal, recipe, folder / "random", start="random", device="cpu")
    yield "identification", train(faces, None, recipe, folder / "identification", device="cpu")


def _compared(faces, drawn, frontal):
    """Pictures (N, 32, 32), floats, with the true frontal ones, uint8 (people, 32, 32) -> (people, views) each."""
    true = frontal.reshape(len(frontal), -1) / 127.5 - 1
    errors = ((drawn.reshape(len(drawn), 1, -1) - true) ** 2).mean(2)  # (N, people)
    own = errors[np.arange(len(errors)), faces.labels]
    shape = (len(frontal), len(VIEWS), -1)
    right = 100.0 * (errors.argmin(1) == faces.labels)
    return {"error": 50 * np.sqrt(own).reshape(shape).mean(2), "right": right.reshape(shape).mean(2)}


def _chosen(faces):
    """The yaw of the picture of each person that looks most frontal, by rule: {rule: (people,)}; and of any picture."""
    yaw = np.abs(faces.views).reshape(-1, len(VIEWS) * LIGHTS)
    found = {"any picture": yaw.mean(1)}
    for name, weight in WEIGHTS.items():
        score = frontality(faces.images, weight).reshape(yaw.shape)
        found[name] = yaw[np.arange(len(yaw)), score.argmin(1)]
    return found


def _rounded(values):
    return {"mean": estimate(values), "people": np.round(values, 2).tolist()}


# 7 the claims


def rank1(result, name):
    """Mean over the views, percent."""
    return Estimate(*result["rank1"][name]["mean"])


def gain(result, name, other, part="rank1"):
    """How much more of one method than of the other; the same people and seeds."""
    return Estimate(*estimate(np.array(result[part][name]["people"]) - np.array(result[part][other]["people"])))


claims(
    Claim(
        "F1", section="other systems", study="canonical_view", source="rank-1 by view", paper="72.9 %",
        statement="Features that learn to draw the frontal view recognise people across views better than LBP",
        ours=lambda r: rank1(r, "FIP"), difference=lambda r: gain(r, "FIP", "landmark LBP"), kind="baseline",
        against="landmark LBP", interval="people", margin=4.8, of="FIP",
    ),
    Claim(
        "F2", section="other systems", study="canonical_view", source="rank-1 by view", paper="72.9 %",
        statement="The frontal picture is the stronger supervision than the person's name",
        ours=lambda r: rank1(r, "FIP"), difference=lambda r: gain(r, "FIP", "identification"), kind="baseline",
        against="the same layers trained to name the person", interval="seeds", margin=7.4, of="FIP",
    ),
    Claim(
        "F3", section="other systems", study="canonical_view", source="the start of the training", paper="no number",
        statement="A start by least squares, layer by layer, makes better features than a random one",
        ours=lambda r: rank1(r, "FIP"), difference=lambda r: gain(r, "FIP", "random start"), kind="baseline",
        against="a random start and as many steps", interval="seeds", of="FIP",
    ),
    Claim(
        "F4", section="other systems", study="canonical_view", source="arXiv 1404.3543", paper="no number",
        statement="Symmetry and rank find a person's frontal picture without labels",
        ours=lambda r: Estimate(*r["chosen"]["symmetry and rank"]["mean"]),
        difference=lambda r: gain(r, "any picture", "symmetry and rank", "chosen"), kind="chance",
        against="any picture of the person", interval="people", smaller=True, unit="{:.1f}° of yaw", of="FIP",
    ),
)  # fmt: skip
