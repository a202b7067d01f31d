"""What the studies of selectiveness run on: systems of features to compare, and attribute labels, of a `Scale`."""

import dataclasses
from pathlib import Path

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.celeba import celeba_attributes
from deepid_lite.faces.layouts import default_root
from deepid_lite.neurons import selectiveness as single
from deepid_lite.neurons import sparsity
from deepid_lite.studies import neurons as tables
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


def attribute_labels(scale, folder=None):
    """(part of the scale, rows of it, names, labels float32 (N, A) with nan for unknown).

    The ground truth of drawn test people; at the reference scale the human labels of the CelebA people among the
    held-out ones. folder: that of the label files, by default `celeba_labels` in the data folder.
    """
    if scale.name == "lite":
        drawn = {name: values for name, values in scale.test.attributes.items() if values.dtype == bool}
        return "test", np.arange(len(scale.test)), list(drawn), np.stack(list(drawn.values()), 1).astype(np.float32)
    source = scale.held_out.attributes.get("source", np.full(len(scale.held_out), ""))
    rows = np.flatnonzero(source == "celeba")
    if not len(rows):
        raise DataError(
            "attributes: no held-out person comes from CelebA, which alone has human labels; keep web faces"
        )
    if folder is None:
        folder = Path(scale.root or default_root("celeba")) / "celeba_labels"
    known = celeba_attributes(scale.held_out.subset(rows), folder)
    names = [name for name in known if name not in LEFT_OUT]
    return "held_out", rows, names, np.stack([known[name] for name in names], 1)


def systems(scale, part, rows, with_lbp=True, seed=0):
    """Features (N, D) of the rows of a part: "net", "untrained" and, as bytes, "lbp", the largest descriptor."""
    null = sparsity.untrained_model(scale.model, scale.held_out.images, seed)
    fresh = dataclasses.replace(scale, model=null, _store={})  # its features are not the net's
    found = {"net": scale.features(part)[rows], "untrained": fresh.features(part)[rows]}
    return found | ({"lbp": describe(scale, part, rows, lbp_sweep(scale)[-1])} if with_lbp else {})


def lbp_sweep(scale):
    """LBP descriptors to compare with (see `lbp.SWEEP`); at the lite scale the three smallest, which take seconds."""
    return lbp.SWEEP[:3] if scale.name == "lite" else lbp.SWEEP


def describe(scale, part, rows, entry):
    """LBP descriptors, uint8 (N, D), of the rows of a part; entry: one of `lbp.SWEEP`."""
    _, points, levels = entry
    images = getattr(scale, part).images
    return lbp.describe(images if len(rows) == len(images) else images[rows], points, levels)


def attribute_accuracy(scale, part, rows, found, targets, first, with_lbp=True):
    """Balanced accuracy of each attribute by linear SVM, for the systems `found` and for LBP over its dimensions."""
    accuracy = {name: tables.numbers(single.linear_accuracy(found[name], targets, first, progress=True))
                for name in ("net", "untrained")}  # fmt: skip
    swept = {}
    for entry in lbp_sweep(scale) if with_lbp else ():
        bytes_ = found["lbp"] if entry is lbp_sweep(scale)[-1] else describe(scale, part, rows, entry)
        swept[str(bytes_.shape[1])] = tables.numbers(
            single.linear_accuracy(bytes_, targets, first, lbp.GramPCA(1000), progress=True)
        )
    return {"all": accuracy, "all_lbp": swept}


def attribute_nulls(features, targets, labels, first, seed=0):
    """Shuffled labels by one neuron; a coin for each person by one neuron and by all."""
    shuffled = single.one_neuron(features, single.permuted(targets, seed), first)
    coins = single.coin_labels(labels, seed=seed)
    return {
        "permuted": tables.numbers(shuffled.accuracy),
        "luckiest": tables.numbers(shuffled.every.max(1)),
        "coin_one": tables.numbers(single.one_neuron(features, coins, first).accuracy),
        "coin_all": tables.numbers(single.linear_accuracy(features, coins, first)),
    }
