"""What the multi-view perceptron is worth on drawn people: recognition by view, drawn views, views never seen."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import RidgeCV

from deepid_lite.errors import DataError
from deepid_lite.faces.synthetic.views import VIEWS, ViewFaces, make_views
from deepid_lite.nets.batches import fingerprint
from deepid_lite.nets.deepid import build, to_input
from deepid_lite.nets.recipe import read_recipe
from deepid_lite.papers.multiview.net import features, render, targets, train, view_of
from deepid_lite.registry import Claim, Estimate, claims, study
from deepid_lite.verification.across_views import baselines, by_view, estimate, rank1_by_view

# 6 the study

PEOPLE, LIGHTS, SEEDS, SIDE_LIGHT = (120, 60), 3, (0, 1, 2), 1
SEEN, UNSEEN = (-60, -30, 0, 30, 60), (-45, -15, 15, 45)
# what each net has in place of the preset's
NETS = {
    "MVP": {},
    "told the view": {"code": "view"},
    "frontal target": {"code": "view", "views": (0,)},
    "MVP, five views": {"views": SEEN},
    "told, five views": {"code": "view", "views": SEEN},
}
ABLATIONS = {"S = 1": {"samples": 1}}  # of the first seed
# of the preset's 250 epochs, how many a net gets: 150 and 100 by the record `lengths`; all others get 250
SHARE = {"identification": 0.6, "told the view": 0.4, "frontal target": 0.4, "told, five views": 0.4}

# the paper's table on Multi-PIE, percent: the mean over the views, then each of VIEWS
PAPER = {
    "raw": (36.7, 12.8, 21.0, 35.5, 59.2, 81.3, 58.3, 37.3, 19.7, 7.63),
    "LBP": (50.2, 16.2, 35.2, 56.8, 77.4, 89.1, 79.1, 55.9, 29.7, 14.6),
    "landmark LBP": (63.2, 35.5, 52.8, 71.4, 83.9, 94.9, 82.9, 68.2, 48.3, 32.1),
    "CNN": (58.1, 46.4, 56.4, 60.7, 66.2, 64.6, 62.8, 63.6, 57.9, 44.2),
    "FIP": (72.9, 49.3, 66.1, 78.9, 91.4, 94.3, 90.0, 82.5, 62.0, 42.5),
    "RL": (70.8, 44.6, 63.6, 77.5, 90.5, 94.3, 89.8, 80.0, 59.5, 38.9),
    "MTL + RL": (74.8, 51.5, 70.4, 80.1, 91.7, 93.8, 89.6, 83.3, 63.8, 50.2),
    "MVP, h1": (61.5, 35.1, 51.6, 64.3, 85.4, 92.5, 84.9, 67.0, 45.4, 28.3),
    "MVP, h2": (79.3, 60.2, 75.2, 83.4, 93.3, 95.7, 92.2, 83.9, 70.6, 60.0),
    "MVP, h3": (72.6, 55.7, 68.5, 74.6, 86.7, 91.0, 84.1, 74.2, 63.8, 56.0),
    "MVP, h4": (62.3, 44.4, 57.3, 62.0, 77.3, 83.4, 73.1, 63.9, 53.2, 46.9),
}


class Data(NamedTuple):
    """Inputs and clean pictures, of people who train and of people who test."""

    train: ViewFaces
    clean: ViewFaces
    test: ViewFaces
    clean_test: ViewFaces


def draw_data(people=PEOPLE, lights=LIGHTS, expression=0.0, test="test"):
    """The set of this chapter; people: of both parts. expression: of the inputs, see `make_views`. test: who tests."""
    pairs = [
        (make_views(n, lights=lights, part=part, expression=expression), make_views(n, lights=1, part=part, jitter=0))
        for part, n in zip(("train", test), people, strict=True)
    ]
    return Data(*pairs[0], *pairs[1])


@study
def multiview(setup, folder="runs/multiview", people=PEOPLE, seeds=SEEDS, **changes):
    """Rank-1 by view, drawn views and views never seen, of the net, its controls, and features without a net.

    Everything here is drawn, so there is the lite scale only. folder: of the trainings, which go on where they stopped.
    people: who train and who test. changes: of the preset's recipe. Numbers with intervals are [value, low, high]: the
    people are drawn anew, and over the seeds Student's t where that is wider. Pictures are measured in percent of the
    range from black to white (root of the mean squared error).
    """
    if setup.name != "lite":
        raise DataError(f"multiview, scale {setup.name}: its people are drawn; use --scale lite")
    data, recipe = draw_data(people), read_recipe("multiview", **changes)

    def rank1_of(of_train, of_test):
        return rank1_by_view(data.train, data.test, of_train, of_test)

    of_train, of_test = baselines(data.train), baselines(data.test)
    rates = {name: [rank1_of(of_train[name], of_test[name])] for name in of_train}
    drawn, views = _references(data), {"ridge on pixels": [_ridge(data)]}
    for seed in seeds:
        for name, net in _trained(data, recipe, Path(folder), seed, NETS | (ABLATIONS if seed == seeds[0] else {})):
            of_train, of_test = features(net, data.train.images), features(net, data.test.images)
            for layer in of_train if name == "MVP" else ["h2"]:
                rates.setdefault(f"{name}, {layer}", []).append(rank1_of(of_train[layer], of_test[layer]))
            if name in ("MVP", "told the view", "MVP, five views", "told, five views"):
                drawn.setdefault(name, []).append(drawn_views(net, data))
            if name in ("MVP", "MVP, five views"):
                views.setdefault(name, []).append(view_error(data.test, view_of(net, data.test.images)))
            if name == "frontal target":
                fronts = (render(net, faces.images, [0]).reshape(len(faces), -1) for faces in (data.train, data.test))
                rates.setdefault("frontal target, its picture", []).append(rank1_of(*fronts))
    hashes = [fingerprint(faces.images, faces.labels) for faces in data]
    return {
        "scale": setup.name, "people": list(people), "views": list(VIEWS), "lights": LIGHTS, "seeds": list(seeds),
        "recipe": dataclasses.asdict(recipe), "data_hash": "".join(hashes),
        "rank1": {name: by_view(found) | _by_person(found) for name, found in rates.items()},
        "drawn": {name: {key: by_view([one[key] for one in found]) for key in ("error", "right")}
                  | {"people": np.round([one["error"] for one in found], 2).tolist()} for name, found in drawn.items()},
        "view error": {name: by_view(found) for name, found in views.items()},
    }  # fmt: skip


def _trained(data, recipe, folder, seed, nets):
    """(name, net) of each net of a seed, "identification" and "untrained" among them."""
    recipe = dataclasses.replace(recipe, seed=seed)
    torch.manual_seed(seed)
    yield "untrained", build({**recipe.net, "architecture": recipe.architecture}).eval()
    where = folder / f"seed-{seed}"
    short = for_net(recipe, "identification")
    yield "identification", train(data.train, data.clean, short, where / "identification", identify=True, device="cpu")
    for name, changes in nets.items():
        of_net = dataclasses.replace(for_net(recipe, name), net={**recipe.net, **changes})
        seen = np.isin(data.train.views, changes.get("views", VIEWS) if "five" in name else VIEWS)
        yield name, train(data.train.subset(seen), data.clean, of_net, folder_of(where, name), device="cpu")


def for_net(recipe, name):
    """The recipe with the epochs that held-out people ask for, see SHARE."""
    return dataclasses.replace(recipe, epochs=max(1, round(recipe.epochs * SHARE.get(name, 1))))


def folder_of(where, name):
    """Of the training of a net."""
    return where / name.replace(" ", "-").replace(",", "")


def _inputs(data):
    """The one picture of each test person that nets draw from: frontal, the light from the side."""
    return data.test.subset((data.test.views == 0) & (data.test.lights == SIDE_LIGHT)).images


def drawn_views(net, data):
    """How good are the drawn views? See `_compared`."""
    return _compared(render(net, _inputs(data), VIEWS), _pictures(data.clean_test))


def _pictures(clean):
    """Clean pictures as floats (people, views, 32, 32), -1 .. 1."""
    return to_input(torch.as_tensor(targets(clean, VIEWS))).numpy()


def _compared(pictures, true):
    """Floats (people, views, 32, 32), drawn and true -> (people, views) each.

    error: percent of the range; right: 100 where of all true pictures in this view the person's own is nearest, else 0.
    """
    errors = ((pictures[:, None] - true) ** 2).mean((3, 4))  # (drawn person, true person, view)
    own = np.arange(len(true))
    return {"error": 50 * np.sqrt(errors[own, own]), "right": 100.0 * (errors.argmin(1) == own[:, None])}


def _references(data):
    """The same of pictures that no net drew; at the ends of the range a neighbour is the view itself."""
    true, last = _pictures(data.clean_test), len(VIEWS) - 1
    left, right = (np.clip(np.arange(last + 1) + step, 0, last) for step in (-1, 1))
    shown = {
        "the input": np.broadcast_to((_inputs(data) / 127.5 - 1)[:, None], true.shape),
        "mean face": np.broadcast_to(_pictures(data.clean).mean(0), true.shape),
        "left neighbour": true[:, left],
        "right neighbour": true[:, right],
        "mean of the neighbours": (true[:, left] + true[:, right]) / 2,
    }
    return {name: [_compared(pictures, true)] for name, pictures in shown.items()}


def _ridge(data):
    """Errors of the view by ridge regression on pixels, its strength chosen by leaving training pictures out."""
    of_train, of_test = (faces.images.reshape(len(faces), -1) / 255 for faces in (data.train, data.test))
    return view_error(data.test, RidgeCV(np.logspace(-1, 4, 6)).fit(of_train, data.train.views).predict(of_test))


def view_error(faces, views):
    """Degrees off, (people, views), the mean over the lights."""
    return np.abs(views - faces.views).reshape(-1, len(VIEWS), LIGHTS).mean(2)


def _by_person(found):
    """The means over the views, (trainings, people), from which differences get their intervals."""
    return {"people": np.round(np.mean(found, 2), 3).tolist()}


# 7 the claims


def rank1(result, name):
    """Mean over the views, percent."""
    return Estimate(*result["rank1"][name]["mean"])


def rank1_gain(result, name, other):
    """How much more of one method than of the other; the same people and seeds."""
    first, second = (np.array(result["rank1"][key]["people"]) for key in (name, other))
    return Estimate(*estimate(first - second))


def nearer(result, name, other, view):
    """How much nearer to the true picture of a view one drawing is than another, percent of the range."""
    first, second = (np.array(result["drawn"][key]["people"])[:, :, VIEWS.index(view)] for key in (name, other))
    return Estimate(*estimate(second - first))


H2, FRONTAL, FIVE = "MVP, h2", "frontal target, h2", "MVP, five views"

claims(
    Claim(
        "M1", section="other systems", study="multiview", source="rank-1 by view", paper="79.3 %",
        statement="The neurons h2 recognise people across views better than hand-made features",
        ours=lambda r: rank1(r, H2), difference=lambda r: rank1_gain(r, H2, "landmark LBP"), kind="baseline",
        against="landmark LBP", interval="people", margin=8.0, of="Multi-View Perceptron",
    ),
    Claim(
        "M2", section="other systems", study="multiview", source="rank-1 by view", paper="79.3 %",
        statement="They do so better than features that learn to draw the frontal view alone",
        ours=lambda r: rank1(r, H2), difference=lambda r: rank1_gain(r, H2, FRONTAL), kind="baseline",
        against="the same net with the frontal target alone", interval="seeds", margin=3.2, of="Multi-View Perceptron",
    ),
    Claim(
        "M3", section="other systems", study="multiview", source="rank-1 by view", paper="79.3 %",
        statement="Of the net's layers h2 is the best; above it the view comes back in",
        ours=lambda r: rank1(r, H2), kind="baseline", against="h1, h3 and h4",
        difference=lambda r: {h: rank1_gain(r, H2, f"MVP, {h}") for h in ("h1", "h3", "h4")},
        interval="seeds", margin=3.3, of="Multi-View Perceptron",
    ),
    Claim(
        "M4", section="other systems", study="multiview", source="unseen views", paper="drawn",
        statement="The net draws views that it never saw: nearer to the truth than both neighbouring true views",
        ours=lambda r: {f"{v}°": Estimate(*r["drawn"][FIVE]["error"]["views"][VIEWS.index(v)]) for v in UNSEEN},
        difference=lambda r: {f"{v}°, {side}": nearer(r, FIVE, f"{side} neighbour", v)
                              for v in UNSEEN for side in ("left", "right")},
        kind="baseline", against="the person's true pictures 15° away", interval="people", smaller=True,
        unit="{:.1f} % of the range", of="Multi-View Perceptron",
    ),
    Claim(
        "M5", section="other systems", study="multiview", source="ours", paper="-",
        statement="Random neurons that EM infers make better features than a net that is told the view",
        ours=lambda r: rank1(r, H2), difference=lambda r: rank1_gain(r, H2, "told the view, h2"), kind="baseline",
        against="the same net, told the view", interval="seeds", of="this book",
    ),
    Claim(
        "M6", section="other systems", study="multiview", source="ours", paper="-",
        statement="To predict a thousand pixels in every view teaches more than to predict who it is",
        ours=lambda r: rank1(r, H2), difference=lambda r: rank1_gain(r, H2, "identification, h2"), kind="baseline",
        against="the same neurons trained to name the person", interval="seeds", of="this book",
    ),
)  # fmt: skip
