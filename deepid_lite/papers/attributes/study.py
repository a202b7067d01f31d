"""The study of attributes: the four rows of the lecture's slide, their null, attributes beside identity, the claims."""

import dataclasses
from pathlib import Path

import numpy as np
import torch

from deepid_lite.faces.loading import load_faces
from deepid_lite.faces.regions import crop
from deepid_lite.faces.synthetic.people import ATTRIBUTES
from deepid_lite.nets.deepid import ARCHITECTURES
from deepid_lite.nets.recipe import read_recipe
from deepid_lite.papers.attributes.net import MARGIN, balanced, fit_answers, hand_made, train
from deepid_lite.registry import Claim, claims, study
from deepid_lite.verification.features import extract
from deepid_lite.verification.intervals import of_images, of_nets, rightly
from deepid_lite.verification.model import pretrained, weights_hash

# CelebA and LFWA, percent, as the slide has them
SLIDE = {"HOG and colour": (81, 74), "from scratch": (83, 79), "identity, directly": (84, 82), "fine-tuned": (87, 84)}
MU = 1.0  # weight of the attributes beside identity

# 6 the study


@study
def attribute_nets(setup, recipe=None, folder="runs/attribute_nets", seeds=(0, 1, 2), sizes=(2000, 800, 800)):
    """Accuracy over the attributes of each kind of feature by linear SVMs, and verification with attributes beside.

    sizes: pictures to train nets on, of other people to fit the SVMs on, and of the test people, evenly spread.
    """
    faces = load_faces("synthetic", part="train", limit=6000)
    faces = faces.subset(np.arange(min(sizes[0], len(faces))))
    others, test = (_spread(part, n) for part, n in zip((setup.held_out, setup.test), sizes[1:], strict=True))
    recipe = recipe or read_recipe("attributes")
    names = [name for name in ATTRIBUTES if all(0 < table(part, [name]).mean() < 1 for part in (faces, others, test))]
    used, pairs = setup.pairs.compact()
    seen = [crop(part) for part in (others.images, test.images, setup.test.images[used])]
    known, truth = table(others, names), table(test, names)
    hand = [hand_made(part) for part in seen[:2]]
    right = {"majority": [np.broadcast_to(known.mean(0) > 0.5, truth.shape) == truth]}
    right["HOG and colour"] = [(fit_answers(hand[0], known, names).scores(hand[1]) > 0) == truth]
    verified = {}
    for seed in seeds:
        nets = _nets(faces, names, dataclasses.replace(recipe, seed=seed), Path(folder) / setup.name / f"{seed}")
        for name, net in nets.items():
            fit_on, features = (extract(net, part, flip=False) for part in seen[:2])
            answers = fit_answers(fit_on, known, names).scores(features) > 0
            right.setdefault(name, []).append(answers == truth)
            if name in ("identity, directly", "identity and attributes"):
                f = extract(net, seen[2], flip=False)
                f /= np.maximum(np.linalg.norm(f, axis=1, keepdims=True), 1e-12)
                bits = rightly((f[pairs.first] * f[pairs.second]).sum(1), pairs)
                verified.setdefault(name, []).append(bits)
    return {
        "scale": setup.name,
        "images": dict(zip(("nets", "svm", "test"), map(len, (faces, others, test)), strict=True)),
        "data_hash": faces.data_hash,
        "recipe": dataclasses.asdict(recipe),
        "seeds": list(seeds),
        "names": names,
        "share": np.round(100 * truth.mean(0), 1).tolist(),
        "accuracy": {name: _mean(found, test.labels) for name, found in right.items()},
        "balanced": {name: round(100 * float(np.mean([balanced(b == truth, truth).mean() for b in found])), 2)
                     for name, found in right.items()},
        "by_attribute": {name: np.round(100 * np.mean(found, (0, 1)), 1).tolist() for name, found in right.items()},
        "verification": {name: of_nets(found, pairs.fold) for name, found in verified.items()},
        "difference": {
            **{name: _mean(right[a], test.labels, right[b]) for name, (a, b) in AGAINST.items()},
            "A4": of_nets(verified["identity, directly"], pairs.fold, verified["identity and attributes"]),
        },
    }  # fmt: skip


AGAINST = {
    "A1": ("identity, directly", "from scratch"),
    "A2": ("fine-tuned", "identity, directly"),
    "A3": ("from scratch", "HOG and colour"),
    "A5": ("identity, directly", "majority"),
}


def table(faces, names):
    """Attributes of a FaceSet as bool (N, A)."""
    return np.stack([np.asarray(faces.attributes[name]).astype(bool) for name in names], 1)


def _spread(faces, n):
    """About n pictures of a set, as many of each person."""
    return faces.subset(np.arange(0, len(faces), max(1, len(faces) // n)))


def _nets(faces, names, recipe, folder):
    """{name: net}; from scratch trains as long as identity and fine-tuning together."""
    given = crop(faces.images, margin=MARGIN), faces.labels, table(faces, names)
    tune = dataclasses.replace(recipe, epochs=max(1, recipe.epochs // 2), lr=recipe.lr / 4)
    longer = dataclasses.replace(recipe, epochs=recipe.epochs + tune.epochs)
    torch.manual_seed(recipe.seed)
    nets = {"untrained": ARCHITECTURES[recipe.architecture](**recipe.net).eval()}
    nets["from scratch"] = train(*given, longer, folder / "scratch", identity=0.0, mu=1.0)
    nets["identity, directly"] = train(*given, recipe, folder / "identity")
    nets["fine-tuned"] = train(*given, tune, folder / "tuned", 0.0, 1.0, nets["identity, directly"])
    nets["identity and attributes"] = train(*given, recipe, folder / "both", 1.0, MU)
    return nets


def _mean(right, people, other=None):
    """Mean accuracy over the attributes, or its difference to another kind's -> Estimate; right: (S)(N, A)."""
    values = 100 * np.mean(right, axis=2)
    return of_images(values if other is None else values - 100 * np.mean(other, axis=2), people)


def shipped_answers(n=2000):
    """What `deepid attributes` knows, fitted anew on the lite net's features of n held-out pictures -> Answers."""
    model, faces = pretrained("lite"), _spread(load_faces("synthetic", part="joint_bayesian"), n)
    answers = fit_answers(model.features(faces.images), table(faces, ATTRIBUTES), ATTRIBUTES)
    return dataclasses.replace(answers, model_hash=weights_hash(model)[:16])


# 7 the claims


def _claim(name, statement, paper, kind, against, margin, source="Table 1"):
    ours = AGAINST.get(name, ("",))[0]
    return Claim(
        name, statement, source, paper, section="other systems", study="attribute_nets", kind=kind, against=against,
        interval="seeds", margin=margin, of="LNet and ANet", difference=lambda r: r["difference"][name],
        ours=lambda r: r["accuracy"][ours] if ours else r["verification"]["identity, directly"],
    )  # fmt: skip


CLAIMS = [
    _claim("A1", "Identity features beat a net from scratch", "84 against 83 %", "baseline", "from scratch", 0.5),
    _claim("A2", "Fine-tuned they are best", "87 against 84 %", "baseline", "directly", 1.5),
    _claim("A3", "A net from scratch beats HOG and colour", "83 against 81 %", "baseline", "HOG and colour", 1.0),
    _claim("A4", "Attributes beside identity do not help recognition", "no number", "baseline", "trained on both", -0.5,
           "the lecture"),
    _claim("A5", "Identity features know attributes", "no number", "null", "the more frequent answer", 0.0, "ours"),
]  # fmt: skip
claims(*CLAIMS)
