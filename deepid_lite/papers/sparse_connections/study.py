"""The study of sparse connections: the paper's nets, its controls and ours, several seeds, and the claims on them."""

import copy
import dataclasses
from pathlib import Path

import numpy as np
import torch

from deepid_lite.faces.loading import load_faces
from deepid_lite.faces.regions import crop
from deepid_lite.nets.deepid import build
from deepid_lite.nets.recipe import read_recipe
from deepid_lite.papers.sparse_connections.net import HOWS, MARGIN, ORDER, outputs_of, sparsify, train
from deepid_lite.papers.sparse_connections.packed import what_it_buys
from deepid_lite.registry import Claim, claims, study
from deepid_lite.verification.features import extract
from deepid_lite.verification.intervals import of_nets, rightly
from deepid_lite.verification.pipeline import training_parts

# 6 the study


def steps(net):
    """What is taken away in which order: (name of the net that results or None, layer, density of the layer).

    The two upper layers keep a sixteenth, which leaves 76 % of the weights or so; then lc_a goes down to the paper's
    totals of 26 and 12 % [abstract].
    """
    sizes = {name: net.mask(name).numel() for name in ORDER}
    total = net.conv1.weight.numel() + net.conv2.weight.numel() + sum(sizes.values())
    others = total - sum(sizes.values()) + (sizes["f"] + sizes["lc_b"]) / 16
    below = {goal: (goal / 100 * total - others) / sizes["lc_a"] for goal in (26, 12)}
    return [(None, "f", 1 / 16), ("76 %", "lc_b", 1 / 16)] + [(f"{goal} %", "lc_a", s) for goal, s in below.items()]


def sparser(net, how, crops, labels, recipe, folder, device=None):
    """Yield (name, net) along `steps`: connections go, then the net trains on from the weights that it has.

    how: of HOWS, or "none": the dense net that trains as long. recipe: of one step. A net that was yielded stays as
    it is.
    """
    images = crops[:: max(1, len(crops) // 2000), MARGIN:-MARGIN, MARGIN:-MARGIN]
    for number, (name, layer, density) in enumerate(steps(net)):
        net = copy.deepcopy(net)
        if how != "none":
            sparsify(net, layer, density, how, images, recipe.seed)
        net = train(crops, labels, recipe, Path(folder) / f"{how}-{number}", net, device)
        yield name, net


@study
def sparse_connections(setup, recipe=None, folder="runs/sparse_connections", seeds=(0, 1, 2)):
    """Accuracy and dead neurons of dense and sparse nets, each choice of connections, several seeds; bytes and time."""
    faces = _training_faces(setup)
    recipe = recipe or read_recipe("sparse_connections")
    recipe = dataclasses.replace(recipe, net=recipe.net | {"n_people": len(faces.names)})
    crops = crop(faces.images, margin=MARGIN)
    used, pairs = setup.pairs.compact()
    tested, known = crop(setup.test.images[used]), (crop(faces.images[::4]), faces.labels[::4])
    runs, size = [], {}
    for seed in seeds:
        nets = _nets(crops, faces.labels, dataclasses.replace(recipe, seed=seed), Path(folder) / setup.name / f"{seed}")
        runs.append({name: _measured(net, tested, pairs, known) for name, net in nets.items()})
        size = size or what_it_buys(nets["12 %"], Path(folder) / setup.name)
    right = {name: np.stack([run[name].pop("right") for run in runs]) for name in runs[0]}
    for name, bits in right.items():
        for run, accuracy in zip(runs, _accuracies(bits, setup.pairs.fold), strict=True):
            run[name]["accuracy"] = round(float(accuracy), 3)
    return {
        "scale": setup.name,
        "people": len(faces.names),
        "images": len(faces),
        "data_hash": faces.data_hash,
        "recipe": dataclasses.asdict(recipe),
        "seeds": list(seeds),
        "pairs": len(setup.pairs),
        "runs": runs,
        "accuracy": {name: of_nets(bits, setup.pairs.fold) for name, bits in right.items()},
        "difference": {name: of_nets(right["26 %" if name == "S1" else "12 %"], setup.pairs.fold, right[other])
                       for name, other in AGAINST.items()},
        "size": size,
    }  # fmt: skip


# claim -> the net that 12 % by correlation, or 26 %, are compared with
AGAINST = {
    "S1": "none, a step less",
    "S2": "dense",
    "S3": "random",
    "S4": "strongest",
    "S5": "scratch",
    "S6": "magnitude",
}


def _accuracies(right, fold):
    """Of the net of each seed (S,), percent: the mean over the folds."""
    return 100 * np.mean([right[:, fold == f].mean(1) for f in np.unique(fold)], axis=0)


def _training_faces(setup):
    """People for the nets; at lite a quarter of the drawn ones, for time."""
    if setup.name == "lite":
        return load_faces("synthetic", part="train", limit=6000).subset(np.arange(3000))
    return training_parts("webfaces", setup.root)[0]


def _nets(crops, labels, recipe, folder):
    """{name: net}: the dense net, the paper's sparse ones, and the controls at 12 %."""
    step = dataclasses.replace(recipe, epochs=max(1, recipe.epochs // 3), lr=recipe.lr / 2)
    untrained = build(recipe.net | {"architecture": "SparseNet"})
    dense = train(crops, labels, recipe, folder / "dense")
    nets = {"untrained": untrained.eval(), "dense": dense}
    for how in (*HOWS, "none"):
        path = dict(sparser(dense, how, crops, labels, step, folder))
        if how == "correlation":
            nets |= {name: net for name, net in path.items() if name}
        else:
            nets[how] = path["12 %"]
    nets["none, a step less"] = path["26 %"]  # as long as the net with 26 %
    torch.manual_seed(recipe.seed)
    fresh = build(recipe.net | {"architecture": "SparseNet"})
    for name in ORDER:
        fresh.mask(name)[...] = nets["12 %"].mask(name)
    longer = dataclasses.replace(recipe, epochs=recipe.epochs + len(steps(fresh)) * step.epochs)
    return nets | {"scratch": train(crops, labels, longer, folder / "scratch", fresh)}


def _measured(net, images, pairs, known):
    """Which pairs the cosine of the features decides rightly, densities, and the share of dead neurons; and of known
    faces, (images, labels) of the training set, the share that the net still names."""
    features = extract(net, images, flip=False, layer=1)
    features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    return {
        "right": rightly((features[pairs.first] * features[pairs.second]).sum(1), pairs),
        "density": round(net.density(), 5),
        "layers": {name: round(net.density(name), 5) for name in ORDER},
        "named": round(named(net, *known), 4),
        "dead": {name: round(float(share), 4) for name, share in dead(net, images[::4]).items()},
    }


@torch.inference_mode()
def named(net, images, labels):
    """Share of the images uint8 (N, 55, 47, 3) of people whom the net learned that its classifier names rightly."""
    scores = net.classifier(torch.as_tensor(extract(net, images, flip=False, layer=1)))
    return float((scores.argmax(1).numpy() == labels).mean())


def dead(net, images):
    """{layer: share of its neurons that are silent on all images}; images: uint8 (N, 55, 47, 3)."""
    awake, hooks = {}, []
    for name in ORDER:

        def note(_, inputs, output, name=name):
            awake[name] = awake.get(name, False) | (outputs_of(output) > 0).any(0)

        hooks.append(getattr(net, name).register_forward_hook(note))
    extract(net, images, flip=False, layer=1)
    for hook in hooks:
        hook.remove()
    return {name: 1 - float(on.float().mean()) for name, on in awake.items()}


# 7 the claims


def _claim(name, statement, against, margin=0.0, net="12 %", source="abstract"):
    return Claim(
        name, statement, source, "no number", section="other systems", study="sparse_connections", kind="baseline",
        against=against, interval="seeds", margin=margin, of="Sparse connections",
        ours=lambda r: r["accuracy"][net], difference=lambda r: r["difference"][name],
    )  # fmt: skip


CLAIMS = [
    _claim("S1", "A quarter of the connections is better than all", "the dense net, trained as long", net="26 %"),
    _claim("S2", "An eighth of the connections keeps the accuracy", "the dense net", margin=-0.5),
    _claim("S3", "Correlations say which to keep", "connections at random", source="section 3"),
    _claim("S4", "Some weak ones should stay", "the strongest only", source="section 3"),
    _claim("S5", "The same net from scratch is worse", "the same masks from scratch", source="section 4"),
    _claim("S6", "The rule is better than today's", "the largest weights", source="ours"),
]
claims(*CLAIMS)
