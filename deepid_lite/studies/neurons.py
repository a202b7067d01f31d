"""The studies of single neurons, `identities` and `attributes` [DeepID2+, section 6, Figs. 7 to 13], and their claims.

Each compares features of several methods: the net, the same net untrained, and LBP.
"""

from pathlib import Path

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces import splits
from deepid_lite.faces.celeba import celeba_attributes
from deepid_lite.faces.layouts import default_root
from deepid_lite.neurons.selectiveness import linear_decisions, one_neuron, permuted_targets, split_images, testable
from deepid_lite.neurons.silencing import silencing_curves
from deepid_lite.registry import Claim, Estimate, claims, study
from deepid_lite.studies.choices import SMALL
from deepid_lite.studies.responses import curves, extremes, groups, numbers, portraits, random_neurons, summary
from deepid_lite.studies.selective import (
    coin,
    estimates_of_attributes,
    estimates_of_people,
    lbp_features,
    lbp_sweep,
    sweep_lbp,
)

# images that each half needs of a person, or of an attribute and of its absence
PERSON_LEAST, ATTRIBUTE_LEAST = 20, 100
SILENCED = (0, 8, 16, 32, 64, 128, 256, 384, 512, 640, 768, 896, 960, 1000)
COINS, COINS_OF_PEOPLE = 8, 4  # tossed for the attributes' people, and for those of the identities
MOST_LABELLED = 6000  # images with attributes; of everybody as many as come to that together
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
    and scored as all others; "luckiest", the best of all neurons on the very images that score it). `estimates`: what
    is claimed, each [value, low, high] with everybody drawn anew. `coin`: how well labels that a coin gave each person
    are told in random halves, as the paper halves LFW.
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
        "estimates": estimates_of_people(methods, targets, labels, first, found, seed),
        "coin": coin(net, labels, split_images(np.zeros(len(labels)), seed), COINS_OF_PEOPLE, seed),
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
    some = of_everybody(faces.labels[rows], MOST_LABELLED)
    rows, targets = rows[some], targets[some]
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
    said = {kind: {s: linear_decisions(methods[s], targets, first, progress=True) for s in ("net", "untrained")}
            for kind, first in firsts.items()}  # fmt: skip
    swept = sweep_lbp(setup, part, rows, methods, targets, labels, firsts) if with_lbp else {}
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
                **estimates_of_attributes(methods, targets, labels, first, found[kind], said[kind], swept.get(kind)),
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
    held-out ones, on sharp pictures: LBP would suffer most from the small ones. folder: that of the label files, by
    default `celeba_labels` in the data folder.
    """
    if setup.name == "lite":
        drawn = {name: values for name, values in setup.test.attributes.items() if values.dtype == bool}
        return "test", np.arange(len(setup.test)), list(drawn), np.stack(list(drawn.values()), 1).astype(np.float32)
    source = np.asarray(setup.held_out.attributes.get("source", np.full(len(setup.held_out), "")), str)
    rows = np.flatnonzero(np.char.startswith(source, "celeba") & ~np.isin(source, SMALL))
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
    found = {"net": setup.features(part)[rows], "untrained": setup.untrained(seed).features(part)[rows]}
    return found | ({"lbp": lbp_features(setup, part, rows, lbp_sweep(setup)[-1])} if with_lbp else {})


def of_everybody(labels, most):
    """Rows of `most` images at most, of every person as many as come to that: labels (N,) -> int (M,), rising."""
    counts, place = np.bincount(labels), splits.place_among(labels)
    each = max((m for m in range(1, counts.max() + 1) if np.minimum(counts, m).sum() <= most), default=1)
    return np.flatnonzero(place < each)


def attribute_nulls(features, targets, labels, first, seed=0):
    """Shuffled labels by one neuron; a coin for each person by one neuron and by all."""
    shuffled = one_neuron(features, permuted_targets(targets, seed), first)
    tossed = coin(features, labels, first, COINS, seed)
    return {
        "permuted": numbers(shuffled.accuracy),
        "luckiest": numbers(shuffled.every.max(1)),
        "coin_one": tossed["one"],
        "coin_all": tossed["all"],
        "coin": tossed["estimate"],
    }


# claims


def _people(key, who="net"):
    """The readers of a claim about people."""
    return {
        "ours": lambda r: Estimate(*r["estimates"][key][who]),
        "difference": lambda r: Estimate(*r["estimates"][key]["difference"]),
    }


def _attributes(half, key):
    """The readers of a claim about attributes, in halves of a kind."""
    return {
        "ours": lambda r: Estimate(*r["halves"][half]["estimates"][key]["net"]),
        "difference": lambda r: Estimate(*r["halves"][half]["estimates"][key]["difference"]),
    }


def _minus(found, chance):
    return Estimate(*(end - chance for end in found))


OF_PEOPLE = {"study": "identities", "interval": "people"}
OF_ATTRIBUTES = {"study": "attributes", "interval": "people", "kind": "baseline", "leans_on_lbp": True}

claims(
    Claim(
        "C19", "One neuron tells some person from all others", "section 6, Fig. 8", "about 97 %", section="selective",
        **OF_PEOPLE, kind="baseline", against="best LBP feature", at_least=97, margin=5, leans_on_lbp=True,
        **_people("best"),
    ),
    Claim(
        "C20", "One neuron tells some attribute", "section 6, Figs. 9, 11, 13a", "about 97 %", section="selective",
        **OF_ATTRIBUTES, against="best LBP feature", at_least=97, margin=5, **_attributes("random", "one"),
    ),
    Claim(
        "C21", "All neurons together tell attributes better than LBP", "section 6, Fig. 7", "no number",
        section="selective", **OF_ATTRIBUTES, against="LBP at its best dimension", margin=1,
        **_attributes("random", "all"),
    ),
    Claim(
        "C22", "Most single LBP features are near chance for a person", "section 6, Fig. 10b", "about 50 %",
        section="selective", **OF_PEOPLE, kind="baseline", against="typical neuron of the net", at_most=55,
        own_bar=True, margin=2, leans_on_lbp=True, **_people("typical", "lbp"),
    ),
    Claim(
        "C23", "A person's mean activations differ from everybody else's; LBP's do not", "section 6, Fig. 10",
        "drawn, no number", section="selective", **OF_PEOPLE, kind="null", against="untrained net", smaller=True,
        unit="correlation {:.2f}", beside=lambda r: {"LBP": Estimate(*r["estimates"]["correlation"]["lbp"])},
        **_people("correlation"),
    ),
    Claim(
        "C24", "Some neurons are excited by a person and others inhibited; LBP has no such subsets",
        "section 6, Figs. 10, 12", "drawn, no number", section="selective", **OF_PEOPLE, kind="baseline",
        against="LBP", at_least=1, own_bar=True, times=3, unit="{:.2f} % of the features", leans_on_lbp=True,
        **_people("rarer"),
    ),
    Claim(
        "C25", "The same for race", "section 6, Fig. 13b", "drawn, no number", section="selective", kind="baseline",
        against="LBP",
        why="by choice: we do not sort people by race, and the labels that exist are guesses of classifiers",
    ),
    Claim(
        "O1", "All neurons together tell attributes better than LBP, of people who are in one half only", "this book",
        "not measured", of="this book", section="ours", **OF_ATTRIBUTES, against="LBP at its best dimension", margin=1,
        **_attributes("people", "all"),
    ),
    Claim(
        "O2", "Random halves of LFW reward whoever knows people again", "this book", "not measured", of="this book",
        section="ours", **OF_PEOPLE, kind="chance", against="a coin's 50 %",
        ours=lambda r: Estimate(*r["coin"]["estimate"]), difference=lambda r: _minus(r["coin"]["estimate"], 50),
    ),
)  # fmt: skip
