"""The studies of single neurons, `identities` and `attributes` [DeepID2+, section 6, Figs. 7 to 13], and their claims.

Each compares features of several methods: the net, the same net untrained, and LBP.
"""

from pathlib import Path

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces import splits
from deepid_lite.faces.celeba import celeba_attributes
from deepid_lite.faces.layouts import default_root
from deepid_lite.neurons.selectiveness import (
    coin_labels,
    linear_accuracy,
    one_neuron,
    permuted_targets,
    split_images,
    testable,
)
from deepid_lite.neurons.silencing import silencing_curves
from deepid_lite.neurons.untrained import untrained_model
from deepid_lite.registry import study
from deepid_lite.studies.responses import curves, extremes, groups, numbers, portraits, random_neurons, summary
from deepid_lite.verification import lbp

# images that each half needs of a person, or of an attribute and of its absence
PERSON_LEAST, ATTRIBUTE_LEAST = 20, 100
SILENCED = (0, 8, 16, 32, 64, 128, 256, 384, 512, 640, 768, 896, 960, 1000)
# not tested on people: a judgement of worth, and features that stand in for race or are used to demean
LEFT_OUT = ("Attractive", "Pale_Skin", "Big_Lips", "Big_Nose", "Narrow_Eyes", "Chubby", "Double_Chin")
GROUPS = {
    "sex": ("Male",),
    "age": ("Young", "wrinkles"),
    "hair": ("Bald", "Black_Hair", "Gray_Hair", "Blond_Hair", "Brown_Hair",
             "bald", "black_hair", "gray_hair", "blond_hair", "brown_hair"),
}  # fmt: skip


@study
def identities(setup, seed=0, with_lbp=True, draws=10):
    """Figs. 8, 10 and 12 for the five people with most images: one neuron, its statistics, histograms; and lesions.

    Halves are stratified by person. Nulls: an untrained net, LBP, labels shuffled among the images ("permuted", chosen
    and scored as all others; "luckiest", the best of all neurons on the very images that score it).
    """
    names, labels = list(setup.celebrities), setup.identity_set.labels
    first = split_images(labels, seed)
    targets = np.stack([labels == setup.identity_set.names.index(name) for name in names], axis=1)
    tested, missing = testable(targets, [first], names, PERSON_LEAST)
    names, targets = [names[a] for a in tested], targets[:, tested]
    if not names:
        raise DataError(f"identities: nobody has {PERSON_LEAST} images in each half; give more images")
    methods = method_features(setup, "identity_set", np.arange(len(labels)), with_lbp, seed)
    net = methods["net"]
    found = {name: one_neuron(x, targets, first, progress=True) for name, x in methods.items()}
    shuffled = one_neuron(net, permuted_targets(targets, seed), first)
    silenced = silencing_curves(net, targets, first, SILENCED, draws, seed, progress=True)
    return {
        "scale": setup.name,
        "data_hash": setup.identity_set.data_hash,
        "seed": seed,
        "images": len(labels),
        "people": len(setup.identity_set.names),
        "neurons": net.shape[1],
        "names": names,
        "positives": targets.sum(0).tolist(),
        "not_tested": missing,
        "systems": {name: summary(f) for name, f in found.items()},
        "nulls": {"permuted": numbers(shuffled.accuracy), "luckiest": numbers(shuffled.every.max(1))},
        "curves": {n: {s: curves(x, targets[:, a], found[s], a) for s, x in methods.items()}
                   for a, n in enumerate(names[:3])},
        "random_neurons": random_neurons(net, seed),
        "histograms": {n: extremes(net, targets[:, a], found["net"], a, ~first)
                       for a, n in enumerate(names[:2])},
        "seen": portraits(net, found["net"], {n: a for a, n in enumerate(names)}, labels),
        "lesions": {key: numbers(value, 5) for key, value in silenced._asdict().items()},
    }  # fmt: skip


@study
def attributes(setup, folder=None, seed=0, with_lbp=True):
    """Figs. 7, 9, 11 and 13: attributes by all neurons and by one, against LBP over its dimensions.

    Ground truth at the lite scale; at the reference scale CelebA's human labels of people whom the net never saw
    (folder: see `attribute_labels`). Each number comes twice, for random halves of the images, as in the
    paper, and for halves without a person in common. Nulls: an untrained net, labels shuffled among the images, and a
    coin tossed for each person, which only knowing the person again can tell.
    """
    part, rows, names, targets = attribute_labels(setup, folder)
    faces = getattr(setup, part)
    labels = splits.renumber(faces.labels[rows])
    firsts = {"random": split_images(np.zeros(len(rows)), seed), "people": splits.split_people(labels, seed)}
    tested, missing = testable(targets, firsts.values(), names, ATTRIBUTE_LEAST)
    names, targets = [names[a] for a in tested], targets[:, tested]
    if not names:
        raise DataError(f"attributes: none has {ATTRIBUTE_LEAST} images of each kind in each half; give more")
    methods = method_features(setup, part, rows, with_lbp, seed)
    net = methods["net"]
    found = {kind: {s: one_neuron(x, targets, first, progress=True) for s, x in methods.items()}
             for kind, first in firsts.items()}  # fmt: skip
    strangers = found["people"]
    best = np.argsort(-strangers["net"].accuracy, kind="stable")
    return {
        "scale": setup.name,
        "data_hash": faces.data_hash,
        "seed": seed,
        "labels": "drawn" if setup.name == "lite" else "given by people",
        "images": len(rows),
        "people": int(labels.max()) + 1,
        "neurons": net.shape[1],
        "names": names,
        "known": (~np.isnan(targets)).sum(0).tolist(),
        "positives": (targets == 1).sum(0).tolist(),
        "positive_people": [len(np.unique(labels[column == 1])) for column in targets.T],
        "not_tested": missing,
        "left_out": [] if setup.name == "lite" else list(LEFT_OUT),
        "halves": {
            kind: {
                "systems": {s: summary(f) for s, f in found[kind].items()},
                "nulls": attribute_nulls(net, targets, labels, first, seed),
                **attribute_accuracy(setup, part, rows, methods, targets, first, with_lbp),
            } for kind, first in firsts.items()
        },
        "curves": {names[a]: {s: curves(x, targets[:, a], strangers[s], a) for s, x in methods.items()}
                   for a in best[:2]},
        "histograms": {group: groups(net, targets, names, wanted, strangers["net"], ~firsts["people"])
                       for group, wanted in GROUPS.items() if set(wanted) & set(names)},
        "seen": portraits(net, strangers["net"], {names[a]: a for a in best[:6]}, labels, targets, names),
    }  # fmt: skip


def attribute_labels(setup, folder=None):
    """(part of the setup, rows of it, names, labels float32 (N, A) with nan for unknown).

    The ground truth of drawn test people; at the reference scale the human labels of the CelebA people among the
    held-out ones. folder: that of the label files, by default `celeba_labels` in the data folder.
    """
    if setup.name == "lite":
        drawn = {name: values for name, values in setup.test.attributes.items() if values.dtype == bool}
        return "test", np.arange(len(setup.test)), list(drawn), np.stack(list(drawn.values()), 1).astype(np.float32)
    source = setup.held_out.attributes.get("source", np.full(len(setup.held_out), ""))
    rows = np.flatnonzero(source == "celeba")
    if not len(rows):
        raise DataError(
            "attributes: no held-out person comes from CelebA, which alone has human labels; keep web faces"
        )
    if folder is None:
        folder = Path(setup.root or default_root("celeba")) / "celeba_labels"
    known = celeba_attributes(setup.held_out.subset(rows), folder)
    names = [name for name in known if name not in LEFT_OUT]
    return "held_out", rows, names, np.stack([known[name] for name in names], 1)


def method_features(setup, part, rows, with_lbp=True, seed=0):
    """Features (N, D) of the rows of a part: "net", "untrained" and, as bytes, "lbp", the largest descriptor."""
    null = setup.with_model(untrained_model(setup.model, setup.held_out.images, seed))
    found = {"net": setup.features(part)[rows], "untrained": null.features(part)[rows]}
    return found | ({"lbp": lbp_features(setup, part, rows, lbp_sweep(setup)[-1])} if with_lbp else {})


def lbp_sweep(setup):
    """LBP descriptors to compare with (see `lbp.SWEEP`); at the lite scale the three smallest, which take seconds."""
    return lbp.SWEEP[:3] if setup.name == "lite" else lbp.SWEEP


def lbp_features(setup, part, rows, entry):
    """LBP descriptors, uint8 (N, D), of the rows of a part; entry: one of `lbp.SWEEP`."""
    _, points, levels = entry
    images = getattr(setup, part).images
    return lbp.describe(images if len(rows) == len(images) else images[rows], points, levels)


def attribute_accuracy(setup, part, rows, found, targets, first, with_lbp=True):
    """Balanced accuracy of each attribute by linear SVM, for the methods `found` and for LBP over its dimensions."""
    accuracy = {name: numbers(linear_accuracy(found[name], targets, first, progress=True))
                for name in ("net", "untrained")}  # fmt: skip
    swept = {}
    for entry in lbp_sweep(setup) if with_lbp else ():
        bytes_ = found["lbp"] if entry is lbp_sweep(setup)[-1] else lbp_features(setup, part, rows, entry)
        swept[str(bytes_.shape[1])] = numbers(linear_accuracy(bytes_, targets, first, lbp.GramPCA(1000), progress=True))
    return {"all": accuracy, "all_lbp": swept}


def attribute_nulls(features, targets, labels, first, seed=0):
    """Shuffled labels by one neuron; a coin for each person by one neuron and by all."""
    shuffled = one_neuron(features, permuted_targets(targets, seed), first)
    coins = coin_labels(labels, seed=seed)
    return {
        "permuted": numbers(shuffled.accuracy),
        "luckiest": numbers(shuffled.every.max(1)),
        "coin_one": numbers(one_neuron(features, coins, first).accuracy),
        "coin_all": numbers(linear_accuracy(features, coins, first)),
    }


def _best_one(found, method):
    """Held-out accuracy of the one best feature for the target that it knows best."""
    return 100 * max(found["systems"][method]["one"])


def _mean(values):
    return sum(values) / len(values)


def _net_and_lbp(half):
    """The two numbers of a claim: mean accuracy of all neurons, and of LBP at its best dimension; half: of people."""
    return {
        "ours": lambda r: 100 * _mean(r["halves"][half]["all"]["net"]),
        "comparison": lambda r: 100 * max(map(_mean, r["halves"][half]["all_lbp"].values())),
    }


def _both_signs(method):
    """The rarer of selective excitatory and inhibitory features, percent of all, mean over the people; method: text."""
    return lambda r: 100 * _mean([*map(min, *(r["systems"][method][sign] for sign in ("excitatory", "inhibitory")))])
