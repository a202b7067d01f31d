"""The study of localisation: attributes without boxes, what else could have given the boxes, and the claims on them."""

import dataclasses
from pathlib import Path

import numpy as np
import torch

from deepid_lite.errors import DataError
from deepid_lite.faces.loading import load_faces
from deepid_lite.faces.synthetic.people import ATTRIBUTES
from deepid_lite.nets.deepid import build
from deepid_lite.nets.recipe import read_recipe
from deepid_lite.papers.localisation.locator import HIT, calibrated
from deepid_lite.papers.localisation.net import best_squares, overlap, responses, train, zoomed
from deepid_lite.papers.localisation.scenes import SIDE, make_scenes
from deepid_lite.registry import Claim, claims, study
from deepid_lite.verification.intervals import of_people, of_seeds

COUNTS = (1, 5, len(ATTRIBUTES))
NOISE = 0.1  # share of wrong labels in each copy of the one attribute that is repeated

# 6 the study


@study
def localisation(setup, recipe=None, folder="runs/localisation", seeds=(0, 1, 2), sizes=(3000, 300, 2)):
    """Scenes found, and recall at 0.1 false positives, of nets that learned other labels; nulls beside them.

    sizes: scenes to train on, scenes of other people to calibrate on, and scenes of each test person. Lite only: drawn
    faces, whose boxes are true.
    """
    if setup.name != "lite":
        raise DataError("localisation: it needs drawn faces, whose boxes are known; use --scale lite")
    faces = load_faces("synthetic", part="train", limit=6000)
    recipe = recipe or read_recipe("localisation")
    n, n_others, each = sizes
    rows = np.linspace(0, len(faces) - 1, n).astype(int)
    scenes = make_scenes(faces.images, rows, seed=1)
    others = _with_and_without(setup.held_out, n_others, seed=2)
    order = np.random.default_rng(3).permutation(len(setup.test))
    tested = np.concatenate([order[setup.test.labels[order] == p][:each] for p in range(len(setup.test.names))])
    test = (
        make_scenes(setup.test.images, tested, seed=4),
        make_scenes(setup.test.images, np.full(len(tested), -1), seed=5),
    )
    people = setup.test.labels[tested]
    found = [
        _one_seed(faces, scenes, others, test, dataclasses.replace(recipe, seed=seed), Path(folder) / f"{seed}")
        for seed in seeds
    ]
    skin = [skin_maps(faces.images[::20], s.images) for s in (*others, *test)]
    answers = {name: [run[name] for run in found] for name in found[0]} | {
        "skin colour": [_measured(skin[:2], skin[2:], others, test)]
    }
    answers |= {name: [{"hit": overlap(box, test[0].boxes) >= HIT}] for name, box in _constant(scenes).items()}
    return {
        "scale": setup.name,
        "scenes": n,
        "test_scenes": len(tested),
        "data_hash": faces.data_hash,
        "recipe": dataclasses.asdict(recipe),
        "seeds": list(seeds),
        "hit": {name: estimated([run["hit"] for run in runs], people) for name, runs in answers.items()},
        "recall": {name: estimated([run["recall"] for run in runs], people)
                   for name, runs in answers.items() if "recall" in runs[0]},
        "by_seed": {name: [round(100 * float(run["recall"].mean()), 2) for run in runs]
                    for name, runs in answers.items() if "recall" in runs[0]},
        "overlap": {name: round(float(np.mean([run["overlap"].mean() for run in runs])), 3)
                    for name, runs in answers.items() if "overlap" in runs[0]},
        "difference": _differences(answers, people),
    }  # fmt: skip


def _with_and_without(faces, n, seed):
    """n scenes with a face, each of another row, and n without."""
    rows = np.linspace(0, len(faces) - 1, n).astype(int)
    return make_scenes(faces.images, rows, seed), make_scenes(faces.images, np.full(n, -1), seed + 10)


def labels_of(faces, rows, count, seed, how="attributes"):
    """What the net is told of each scene: bool (N, K), or people int (N,).

    how: "attributes", the first `count` in an order that the seed draws; "shuffled" among the scenes; "repeated": one
    attribute `count` times, each time with NOISE of its own; "people".
    """
    rng = np.random.default_rng([7, seed])
    names = rng.permutation(ATTRIBUTES)
    if how == "people":
        return faces.labels[rows]
    table = np.stack([faces.attributes[name][rows].astype(bool) for name in names], 1)
    if how == "repeated":
        return table[:, :1] ^ (rng.random((len(rows), count)) < NOISE)
    return table[rng.permutation(len(rows))] if how == "shuffled" else table[:, :count]


def _one_seed(faces, scenes, others, test, recipe, folder):
    """{name: what its net finds in the test scenes}."""
    most, nets = COUNTS[-1], {}

    def trained(name, labels, start=None):
        nets[name] = train(scenes.images, labels, recipe, folder / name.replace(" ", "-"), start)

    for count in COUNTS:
        trained(f"{count} attributes", labels_of(faces, scenes.rows, count, recipe.seed))
    for how in ("shuffled", "repeated"):
        trained(how, labels_of(faces, scenes.rows, most, recipe.seed, how))
    trained("people", labels_of(faces, scenes.rows, most, recipe.seed, "people"))
    trained("pre-trained", labels_of(faces, scenes.rows, most, recipe.seed), nets["people"])
    torch.manual_seed(recipe.seed)
    nets["untrained"] = build(recipe.net | {"architecture": "LNet"}).eval()
    maps = {name: [responses(net, s.images) for s in (*others, *test)] for name, net in nets.items()}
    return {name: _measured(found[:2], found[2:], others, test) for name, found in maps.items()}


def _measured(of_others, of_test, others, test):
    """Of each test scene: is the best square right, and is it at FALSE_POSITIVES? maps with and without a face each."""
    zoom, threshold = calibrated(of_others[0], others[0].boxes, of_others[1])
    boxes, scores = best_squares(of_test[0])
    found = overlap(zoomed(boxes, zoom), test[0].boxes)
    empty = float((best_squares(of_test[1])[1] > threshold).mean())
    hit = found >= HIT
    return {"hit": hit, "recall": hit & (scores > threshold), "overlap": found, "false_positives": empty}


def skin_maps(faces, images):
    """How much each pixel of scenes has the colour of cheeks: a Gaussian of hue, brightness left out (N, SIDE, SIDE).

    faces: aligned, uint8 (M, 144, 128, 3), whose cheeks say what skin is.
    """
    cheeks = np.concatenate([faces[:, 84:100, 32:44].reshape(-1, 3), faces[:, 84:100, 84:96].reshape(-1, 3)])
    hues = _hue(cheeks)
    away = _hue(images) - hues.mean(0)
    return np.exp(-0.5 * np.einsum("...i,ij,...j->...", away, np.linalg.inv(np.cov(hues.T)), away))


def _hue(pixels):
    """Shares of red and green (..., 2) of pixels uint8 (..., 3)."""
    pixels = pixels.astype(np.float64) + 1
    return pixels[..., :2] / pixels.sum(-1, keepdims=True)


def _constant(scenes):
    """{name: box (4,)}: what a guess without looking says."""
    side = np.median(scenes.boxes[:, 2])
    centre = np.array([(SIDE - side) / 2, (SIDE - side) / 2, side, side])
    return {"centre box": centre, "median box": np.median(scenes.boxes, axis=0)}


def estimated(first, people, second=None):
    """Share, in percent, of scenes for which `first` holds, or its difference to `second`'s -> Estimate.

    first, second: one bool (N,) for each seed; people: (N,), the person in each scene.
    """
    values = 100 * np.stack([np.asarray(a, float) for a in first])
    if second is not None:
        values = values - 100 * np.stack([np.asarray(b, float) for b in second])
    sums = np.bincount(people, values.mean(0)), np.bincount(people)
    drawn = of_people(lambda counts: counts @ sums[0] / (counts @ sums[1]), len(sums[0]))
    return of_seeds(values.mean(1), drawn) if len(values) > 1 else drawn


def _differences(answers, people):
    most = f"{COUNTS[-1]} attributes"
    of = {name: [run["recall"] for run in runs] for name, runs in answers.items() if "recall" in runs[0]}
    hits = {name: [run["hit"] for run in runs] for name, runs in answers.items()}
    median = [np.asarray(hits["median box"][0])] * len(of[most])
    nulls = [estimated(hits[most], people, other) for other in (hits["untrained"], median)]
    return {
        "L1": min(nulls, key=lambda e: e.value),
        "L2": estimated(of[most], people, of[f"{COUNTS[0]} attributes"]),
        "L3": estimated(of[most], people, of["repeated"]),
        "L4": estimated(of["pre-trained"], people, of[most]),
    }


# 7 the claims


def _claim(name, statement, kind, against, margin=0.0, ours=None):
    return Claim(
        name, statement, "section 3.1", "no number", section="other systems", study="localisation", kind=kind,
        against=against, interval="seeds", margin=margin, of="LNet",
        ours=ours or (lambda r: r["recall"]["23 attributes"]), difference=lambda r: r["difference"][name],
    )  # fmt: skip


CLAIMS = [
    _claim("L1", "Attributes of whole pictures are enough to find the face", "null", "median box or untrained net",
           5.0, lambda r: r["hit"]["23 attributes"]),
    _claim("L2", "More attributes find more faces", "baseline", "one attribute"),
    _claim("L3", "It is the attributes, not the number of labels", "chance", "one attribute, 23 times"),
    _claim("L4", "Pre-training on identities helps", "baseline", "none", 0.0, lambda r: r["recall"]["pre-trained"]),
]  # fmt: skip
claims(*CLAIMS)
