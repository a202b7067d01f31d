"""What a net knows of the place of a face when it was told attributes of pictures only: recall, nulls and claims."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from deepid_lite.faces.celeba import CELEBA_ATTRIBUTES
from deepid_lite.faces.layouts import default_root
from deepid_lite.faces.pictures import overlap
from deepid_lite.faces.synthetic.people import ATTRIBUTES
from deepid_lite.nets.batches import fingerprint
from deepid_lite.nets.deepid import build
from deepid_lite.nets.recipe import read_recipe
from deepid_lite.papers.localisation.net import (
    FALSE_POSITIVES,
    GRID,
    best_squares,
    enlarged,
    fit_frame,
    fit_locator,
    responses,
    train,
)
from deepid_lite.papers.localisation.photographs import read_photographs
from deepid_lite.papers.localisation.scenes import SIDE, Scenes, make_clutter, make_scenes
from deepid_lite.registry import Claim, claims, study
from deepid_lite.verification.intervals import of_images

# 6 the study

SEEDS, COUNTS = (0, 1, 2), (1, 3, 10, 23)
NOISE = 0.1  # of the labels that change when one attribute is repeated
RIGHT = 0.5  # overlap from which on a face is found


class Data(NamedTuple):
    """Scenes of people who train, choose and test, and scenes without a face, to choose and to test."""

    train: Scenes
    validation: Scenes
    test: Scenes
    empty: Scenes
    empty_test: Scenes


def draw_data(people=(300, 75, 150), empty=400):
    """The scenes of this chapter: 12 of each training person, 4 of the others, all with other clutter."""
    parts = zip(people, ("train", "validation", "test"), (3, 1, 1), strict=True)
    with_face = [make_scenes(n, 4, times, part) for n, part, times in parts]
    return Data(*with_face, make_clutter(empty, 1), make_clutter(empty, 2))


@study
def localisation(setup, data=None, folder="runs/localisation", seeds=SEEDS, counts=COUNTS, **changes):
    """Recall at 0.1 false positives an image, hits and pointing, by the number of attributes and for the nulls.

    data: `Data`; by default drawn here. changes: of the preset's recipe. Numbers with intervals are [value, low, high]
    in percent of the test scenes: the people are drawn anew, and over the seeds Student's t where that is wider.
    """
    if data is None:
        data = (
            draw_data() if setup.name == "lite" else Data(*read_photographs(setup.root or default_root("celeba_wild")))
        )
    recipe, n = read_recipe("localisation", **changes), data.train.attributes.shape[1]
    counts = [count for count in counts if count < n] + [n]
    found, where, orders, folder = {}, {}, [], Path(folder) / setup.name
    for seed in seeds:
        order = _order(seed, data)
        orders.append(order.tolist())
        for name, net in _nets(data, dataclasses.replace(recipe, seed=seed), folder / f"{seed}", order, counts):
            maps = [responses(net, part.images) for part in data[1:]]
            found.setdefault(name, []).append(_measured(data, *maps))
            where.setdefault(name, []).append(in_the_face(maps[1], data.test.boxes))
    found["skin colour"] = [_measured(data, *(skin_maps(data.validation, part.images) for part in data[1:]))]
    found["median box"] = [_always(data, np.median(data.validation.boxes, 0))]
    found["centre box"] = [_always(data, _centred(np.median(data.validation.boxes[:, 2])))]
    rows = {name: np.array([run["recall"] for run in runs]) for name, runs in found.items()}
    rows["hits"], people = np.array([run["hits"] for run in found[of(n)]]), data.test.people
    return {
        "scale": setup.name,
        "scenes": dict(zip(data._fields, map(len, data), strict=True)),
        "data_hash": "".join(fingerprint(part.images, part.people) for part in data),
        "recipe": dataclasses.asdict(recipe), "seeds": list(seeds), "counts": counts,
        "names": list(ATTRIBUTES if setup.name == "lite" else CELEBA_ATTRIBUTES), "orders": orders,
        "share": np.round(100 * data.train.attributes.mean(0), 1).tolist(),
        **{key: {name: of_images([run[key] for run in runs], people) for name, runs in found.items()}
           for key in ("recall", "hits", "pointing")},
        "overlap": {name: round(float(np.mean([run["overlap"] for run in runs])), 3) for name, runs in found.items()},
        "runs": {name: [round(float(np.mean(run["recall"])), 2) for run in runs] for name, runs in found.items()},
        "frames": {name: [run["frame"] for run in runs] for name, runs in found.items() if "frame" in runs[0]},
        "roc": {name: np.round(np.mean([run["roc"] for run in runs], 0), 2).tolist()
                for name, runs in found.items() if "roc" in runs[0]},
        "where": {name: np.round(np.mean(where[name], 0), 3).tolist() for name in where},
        "difference": {
            **{claim: of_images(rows[a or of(n)] - rows[b or of(n)], people) for claim, (a, b) in AGAINST.items()},
            "L2": of_images(rows["hits"] - found["median box"][0]["hits"], people),
        },
    }  # fmt: skip


AGAINST = {  # None: told all attributes
    "L1": (None, "shuffled"),
    "L3": (None, "skin colour"),
    "L4": (None, "1 attribute"),
    "L5": (None, "1 attribute, repeated"),
    "L6": ("identities first", None),
}


def of(count):
    """The name of the net that was told so many attributes."""
    return f"{count} attribute{'s' * (count > 1)}"


def _order(seed, data):
    """In which order the attributes are told with a seed."""
    return np.random.default_rng([6, seed]).permutation(data.train.attributes.shape[1])


def _nets(data, recipe, folder, order, counts):
    """(name, net): as many attributes as in counts, and the nulls and controls; all train for as many epochs."""
    images, told = data.train.images, data.train.attributes[:, order]
    rng = np.random.default_rng([7, recipe.seed])
    torch.manual_seed(recipe.seed)
    yield "untrained", _settled(build({**recipe.net, "architecture": recipe.architecture}), images)
    for count in counts:
        yield of(count), train(images, told[:, :count], recipe, folder / f"{count}")
    yield "shuffled", train(images, told[rng.permutation(len(told))], recipe, folder / "shuffled")
    repeated = told[:, :1] ^ (rng.random(told.shape) < NOISE)
    yield "1 attribute, repeated", train(images, repeated, recipe, folder / "repeated")
    half = dataclasses.replace(recipe, epochs=max(1, recipe.epochs // 2))
    rest = dataclasses.replace(recipe, epochs=max(1, recipe.epochs - half.epochs))
    people = train(images, data.train.people, half, folder / "people")
    yield "identities alone", people
    yield "identities first", train(images, told, rest, folder / "first", people)


@torch.no_grad()
def _settled(net, images):
    """A net with fresh weights, batch norm's statistics from pictures."""
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches
    net.train()
    responses(net, images[:1000])
    return net.eval()


def _measured(data, validation, test, empty, empty_test):
    """How well the best squares of maps find the faces of the test scenes; frame: from the validation scenes."""
    frame = fit_frame(best_squares(validation)[0], data.validation.boxes / SIDE)
    squares, values = best_squares(test)
    clear = best_squares(empty_test)[1]
    share = overlap(frame(squares), data.test.boxes / SIDE)
    hits = 100.0 * (share >= RIGHT)
    above = [values > np.quantile(clear, 1 - rate) for rate in RATES]
    return {
        "recall": hits * (values > np.quantile(clear, 1 - FALSE_POSITIVES)),
        "hits": hits,
        "pointing": 100.0 * pointing(test, data.test.boxes),
        "overlap": share.mean(),
        "frame": [frame.size, frame.down],
        "roc": [float((hits * found).mean()) for found in above],
    }


RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # false positives an image, of the ROC


def _always(data, box):
    """The same box on every scene; with nothing that tells faces from clutter, one of ten passes at 0.1."""
    share = overlap(np.broadcast_to(box, data.test.boxes.shape), data.test.boxes)
    hits = 100.0 * (share >= RIGHT)
    middle = np.broadcast_to(box[:2] + box[2:] / 2, (len(share), 2))
    return {"recall": FALSE_POSITIVES * hits, "hits": hits, "overlap": share.mean(),
            "pointing": 100.0 * _inside(middle, data.test.boxes)}  # fmt: skip


def _centred(side):
    return np.array([(SIDE - side) / 2, (SIDE - side) / 2, side, side])


def pointing(maps, boxes):
    """Whether the brightest place of each map (N, h, w) lies in the box, (N, 4) in pixels of the scene: bool (N,)."""
    maps = enlarged(maps)
    rows, columns = np.divmod(maps.reshape(len(maps), -1).argmax(1), GRID)
    return _inside((np.stack([columns, rows], 1) + 0.5) * SIDE / GRID, boxes)


def _inside(points, boxes):
    return ((points >= boxes[:, :2]) & (points <= boxes[:, :2] + boxes[:, 2:])).all(1)


def in_the_face(maps, boxes, size=25, reach=2.0):
    """The mean map about a face, (size, size): each scene's map in the frame of its box, whose side is 1 / reach of it.

    Each map is divided by its own mean before. Places beyond the scene do not count. maps: (N, h, w).
    """
    maps = torch.as_tensor(maps / np.maximum(maps.mean((1, 2), keepdims=True), 1e-9))[:, None].float()
    steps = np.linspace(-reach / 2, reach / 2, size)
    middle = boxes[:, :2] + boxes[:, 2:] / 2
    x, y = (middle[:, k, None] + steps * boxes[:, 2, None] for k in (0, 1))  # pixels
    grid = np.stack(np.broadcast_arrays(x[:, None, :], y[:, :, None]), -1) * 2 / SIDE - 1
    there = (np.abs(grid) <= 1).all(-1)
    found = torch.nn.functional.grid_sample(
        maps, torch.as_tensor(grid).float(), align_corners=False, padding_mode="border"
    )[:, 0].numpy()
    return (found * there).sum(0) / np.maximum(there.sum(0), 1)


def skin_maps(known, images, bins=8):
    """How much a pixel's colour is that of a face, by histograms inside and outside the boxes of known scenes.

    Floats (N, 8, 8), shares: means over squares of 8 x 8 pixels. images: uint8 (N, SIDE, SIDE, 3).
    """
    places = np.arange(SIDE) + 0.5
    x, y = ((places >= known.boxes[:, k, None]) & (places <= (known.boxes[:, k] + known.boxes[:, 2])[:, None])
            for k in (0, 1))  # fmt: skip
    inside = (y[:, :, None] & x[:, None]).ravel()
    colours = _colours(known.images, bins).ravel()
    face, other = (np.bincount(colours[chosen], minlength=bins**3) + 1.0 for chosen in (inside, ~inside))
    odds = face / face.sum() / (face / face.sum() + other / other.sum())
    return odds[_colours(images, bins)].reshape(len(images), 8, SIDE // 8, 8, SIDE // 8).mean((2, 4))


def _colours(images, bins):
    step = 256 // bins
    r, g, b = (images[..., c].astype(np.int64) // step for c in range(3))
    return (r * bins + g) * bins + b


def shipped_locator(folder="runs/localisation/lite"):
    """What `deepid locate` uses: the first net of the study that was told all attributes, read or trained."""
    data, recipe = draw_data(), read_recipe("localisation")
    told = data.train.attributes[:, _order(recipe.seed, data)]
    net = train(data.train.images, told, recipe, Path(folder) / f"{recipe.seed}" / f"{told.shape[1]}")
    return fit_locator(net, data.validation, data.empty)


# 7 the claims


def _claim(name, statement, kind, against, margin, source="section 3.1", ours=None, key="recall"):
    return Claim(
        name, statement, source, "no number", section="other systems", study="localisation", kind=kind,
        against=against, interval="seeds", margin=margin, of="LNet and ANet",
        ours=lambda r: r[key][ours or of(r["counts"][-1])], difference=lambda r: r["difference"][name],
    )  # fmt: skip


CLAIMS = [
    _claim("L1", "Averaged responses find faces without boxes", "null", "shuffled attributes", 10.0),
    _claim("L2", "The bright square is the face", "null", "the median box", 10.0, key="hits"),
    _claim("L3", "They find more than colour does", "baseline", "skin colour, told boxes", 0.0, "ours"),
    _claim("L4", "More attributes, better recall", "baseline", "one attribute", 0.0, "Figure 9"),
    _claim("L5", "It is their number, not their gradient", "null", "one attribute, repeated", 0.0, "ours"),
    _claim("L6", "Identities first is better", "baseline", "attributes alone, as long", 0.0, "the lecture",
           ours="identities first"),
]  # fmt: skip
claims(*CLAIMS)
