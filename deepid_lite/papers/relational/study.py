"""What relational features are worth: each level of the ensemble, the RBM and its rivals, and other ways to learn."""

import copy
import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from deepid_lite.errors import DataError
from deepid_lite.faces.loading import load_faces
from deepid_lite.nets.deepid import save_net
from deepid_lite.nets.recipe import read_recipe
from deepid_lite.papers.relational.net import (
    MARGIN,
    MODES,
    PairNet,
    cut,
    face_features,
    multiply_adds,
    outputs,
    shape_of,
    train,
)
from deepid_lite.papers.relational.rbm import fit_rbm, rbm_scores
from deepid_lite.papers.relational.system import ConvNetRBM, fine_tune
from deepid_lite.registry import Claim, claims, study
from deepid_lite.verification import metrics
from deepid_lite.verification.intervals import of_nets, rightly
from deepid_lite.verification.pairs import Pairs, make_pairs, pairs_a_fold
from deepid_lite.verification.pipeline import training_parts
from deepid_lite.verification.verifier import fit_verifier

# 6 the study

SEEDS = (0, 1, 2)
HIDDEN, DECAYS = (4, 8, 16), (1e-4, 1e-3, 1e-2)  # that the RBM is chosen from; the paper has 8 hidden units
STRENGTHS = (0.1, 1.0, 10.0, 100.0)  # C of logistic regression


class Size(NamedTuple):
    """What differs between the scales. pairs: of a fold that are used, of held-out and of test people; None: all."""

    regions: tuple
    held_out_pairs: int | None
    test_pairs: int | None
    epochs: int | None  # None: the preset's
    fine_steps: int
    fine_batch: int
    fine_lr: float


SIZES = {
    "lite": Size(("whole face", "eyes and nose", "lower face"), 120, 240, None, 40, 16, 3e-4),
    "reference": Size(
        ("whole face", "eyes and nose", "lower face", "left half", "inner face", "upper face"), 600, None, 24, 400, 32,
        3e-4,
    ),
}  # fmt: skip


class Data(NamedTuple):
    """Crops uint8 of one region: of the people whom nets learn from, with a margin, of held-out and of test people."""

    train: np.ndarray
    held_out: np.ndarray
    test: np.ndarray


@study
def relational(setup, recipe=None, folder="runs/relational", seeds=SEEDS, size=None):
    """Accuracy on the test pairs at each level, of the RBM and its rivals, and of controls; several seeds.

    The nets learn from training people; RBM, logistic regression and the verifier from held-out people, on the last
    folds of whose pairs hidden units and decays are chosen. folder: of the trainings, which go on where they stopped;
    the system of the first seed is written there as well. DataError: the recipe is of another net.
    """
    size = size or SIZES[setup.name]
    recipe = recipe or read_recipe("relational", epochs=size.epochs)
    if recipe.architecture != "PairNet":
        raise DataError(f"relational: a recipe of {recipe.architecture}; its nets are PairNets, use the preset")
    faces, folder = _training_faces(setup), Path(folder) / setup.name
    used, test = fewer(setup.pairs, size.test_pairs).compact()
    labels, test_images = setup.held_out.labels, setup.test.images[used]
    held_out = make_pairs(labels, per_fold=min(pairs_a_fold(labels), (size.held_out_pairs or 10**9) // 2))
    people = (labels, held_out, test)
    crops = {
        name: Data(cut(faces.images, name, MARGIN), cut(setup.held_out.images, name), cut(test_images, name))
        for name in size.regions
    }
    right, chosen, roc = {}, [], None
    for seed in seeds:
        of_seed, where = dataclasses.replace(recipe, seed=seed), folder / f"seed-{seed}"
        groups = {}
        for name in size.regions:
            groups[name] = _group(crops[name], faces.labels, people, of_seed, where, name)
        found = _controls(crops[size.regions[0]], faces.labels, people, of_seed, where)
        scores, system, options = _joined(groups, people, seed)
        for name, apart in (("RBM, fine-tuned", False), ("trained apart", True)):
            slow = dataclasses.replace(of_seed, lr=size.fine_lr, epochs=1, batch_size=size.fine_batch)
            tuned = fine_tune(
                copy.deepcopy(system), setup.held_out, slow, where / name.split()[-1], size.fine_steps, apart
            )
            scores[name] = tuned.scores(test_images, test)
        for name, of_name in (found | _levels(groups) | {name: [s] for name, s in scores.items()}).items():
            right.setdefault(name, []).extend(rightly(s, test) for s in of_name)
        chosen.append(options)
        if seed == seeds[0]:
            save_net(folder / "system.safetensors", system, {"trained on": faces.source})
            roc = _roc(scores["RBM, fine-tuned"], test)
    right = {name: np.stack(bits) for name, bits in right.items()}
    return {
        "scale": setup.name, "seeds": list(seeds), "regions": list(size.regions), "nets": NETS, "modes": MODES,
        "people": len(np.unique(faces.labels)), "images": len(faces), "held_out_pairs": len(held_out.first),
        "pairs": len(test.first), "recipe": dataclasses.asdict(recipe), "data_hash": faces.data_hash,
        "steps": len(faces.labels) // (2 * recipe.batch_size) * recipe.epochs, "chosen": chosen,
        "multiply_adds": {name: multiply_adds(PairNet(**recipe.net | {"meet": meet}).config, n)
                          for name, meet, n in WORK},
        "fine": {"steps": size.fine_steps, "batch": size.fine_batch, "lr": size.fine_lr},
        "accuracy": {name: of_nets(bits, test.fold) for name, bits in right.items()},
        "difference": {claim: {other: of_nets(*_both(right, ours, other, test.fold)) for other in others}
                       for claim, (ours, others) in COMPARED.items()},
        "roc": roc,
    }  # fmt: skip


NETS = 2  # of each region; the paper has five
WORK = (("pair, meet first", "first", 2), ("pair, meet last", "last", 2), ("one face", "last", 1))
# claim -> what is compared with what
COMPARED = {
    "R1": ("one mode", ["untrained"]),
    "R2": ("one net", ["one mode"]),
    "R3": ("two nets", ["first of two"]),
    "R4": ("mean", ["one group"]),
    "R5": ("RBM", ["mean"]),
    "R6": ("RBM", ["logistic"]),
    "R7": ("RBM, fine-tuned", ["RBM"]),
    "R8": ("meet first", ["meet last"]),
    "R9": ("identification", ["meet first"]),
    "R10": ("RBM, fine-tuned", ["trained apart"]),
}


def _both(right, ours, other, fold):
    """Arguments of `of_nets`, one row a training; a system of which there is one a seed stands for all of its nets."""
    first, second = right[ours], right[other]
    n = max(len(first), len(second))
    return np.repeat(first, n // len(first), 0), fold, np.repeat(second, n // len(second), 0)


def fewer(pairs, per_fold):
    """The first so many genuine and impostor pairs, half each, of every fold; None: all."""
    if per_fold is None:
        return pairs
    places = [np.flatnonzero((pairs.fold == f) & (pairs.same == kind))[: per_fold // 2]
              for f in np.unique(pairs.fold) for kind in (True, False)]  # fmt: skip
    rows = np.concatenate(places)
    return Pairs(pairs.first[rows], pairs.second[rows], pairs.same[rows], pairs.fold[rows])


def _training_faces(setup):
    """People for the nets."""
    if setup.name == "lite":
        return load_faces("synthetic", part="train")
    return training_parts("webfaces", setup.root)[0]


def _group(data, labels, people, recipe, folder, name):
    """The nets of one region: [(net, held-out outputs (8, P), features, test outputs, features), ...]."""
    group = []
    for number in range(NETS):
        of_net = dataclasses.replace(
            recipe, seed=100 * recipe.seed + number, net=recipe.net | {"input_shape": shape_of(name)}
        )
        net = train(data.train, labels, of_net, folder / name.replace(" ", "-") / str(number))
        group.append((net, *outputs(net, data.held_out, people[1]), *outputs(net, data.test, people[2])))
    return group


def _levels(groups):
    """{level: [scores (P,), ...]}, up to the mean of all groups; probabilities of "same"."""
    nets = [p for group in groups.values() for _, _, _, p, _ in group]
    means = [np.mean([p.mean(0) for _, _, _, p, _ in group], 0) for group in groups.values()]
    first = [group[0][3].mean(0) for group in groups.values()]
    return {
        "one mode": [p[0] for p in nets],
        "one net": [p.mean(0) for p in nets],
        "two nets": means,
        "first of two": first,
        "one group": means[:1],
        "mean": [np.mean(means, 0)],
        "meet first": first[:1],
    }


def _joined(groups, people, seed):
    """Scores of what joins the groups, {name: (P,)}; the system with its RBM; what was chosen on held-out pairs."""
    _, pairs, _ = people
    of_fit, of_test = (
        np.stack([np.mean([net[place].mean(0) for net in group], 0) for group in groups.values()], 1)
        for place in (1, 3)
    )
    features = [np.concatenate([net[place] for group in groups.values() for net in group], 1) for place in (2, 4)]
    rbm, of_rbm = chosen_rbm(of_fit, pairs, seed)
    line, of_line = chosen_logistic(of_fit, pairs)
    many, of_many = chosen_rbm(features[0], pairs, seed, hidden=(8,), decays=DECAYS[1:], steps=60)
    wide, of_wide = chosen_logistic(features[0], pairs, (1e-3, 1e-2, 0.1))
    scores = {
        "RBM": rbm_scores(rbm, of_test),
        "logistic": line.decision_function(of_test),
        "features, RBM": rbm_scores(many, features[1]),
        "features, logistic": wide.decision_function(features[1]),
    }
    nets = [[net[0] for net in group] for group in groups.values()]
    options = {key: value for key, value in nets[0][0].config.items() if key not in ("architecture", "input_shape")}
    system = ConvNetRBM(tuple(groups), NETS, of_rbm["hidden"], options)
    for ours, theirs in zip(system.groups, nets, strict=True):
        for net, trained in zip(ours, theirs, strict=True):
            net.load_state_dict(trained.state_dict())
    system.rbm.load_state_dict(rbm.state_dict())
    chosen = {"RBM": of_rbm, "logistic": of_line, "features, RBM": of_many, "features, logistic": of_wide}
    return scores, system.eval(), chosen


def _parts(pairs):
    """Rows of held-out pairs that fit, and those, of other people, that choose: the last three of ten folds."""
    last = pairs.fold >= np.quantile(np.unique(pairs.fold), 0.75)
    return np.flatnonzero(~last), np.flatnonzero(last)


def chosen_rbm(x, pairs, seed=0, hidden=HIDDEN, decays=DECAYS, **options):
    """The RBM of largest likelihood on the pairs that choose, fitted on all again, and its {"hidden", "decay"}."""
    fits, chooses = _parts(pairs)

    def loss(n, decay):
        scores = rbm_scores(fit_rbm(x[fits], pairs.same[fits], n, decay, seed, **options), x[chooses])
        return np.logaddexp(0, np.where(pairs.same[chooses], -scores, scores)).mean()

    n, decay = min(((n, decay) for n in hidden for decay in decays), key=lambda both: loss(*both))
    return fit_rbm(x, pairs.same, n, decay, seed, **options), {"hidden": n, "decay": decay}


def chosen_logistic(x, pairs, strengths=STRENGTHS):
    """Logistic regression, its strength C chosen as `chosen_rbm` chooses."""
    fits, chooses = _parts(pairs)

    def loss(c):
        scores = LogisticRegression(C=c, max_iter=2000).fit(x[fits], pairs.same[fits]).decision_function(x[chooses])
        return np.logaddexp(0, np.where(pairs.same[chooses], -scores, scores)).mean()

    best = min(strengths, key=loss)
    return LogisticRegression(C=best, max_iter=2000).fit(x, pairs.same), {"C": best}


def _controls(data, labels, people, recipe, folder):
    """{name: [scores]} on the first region: pixels, an untrained net, faces that meet last, a net that names people.

    Each control may do as many multiply-adds as the first net.
    """
    held_labels, held_out, test = people
    pixels = data.test.reshape(len(data.test), -1) / 255
    of_net = dataclasses.replace(
        recipe, seed=100 * recipe.seed, net=recipe.net | {"input_shape": shape_of("whole face")}
    )
    torch.manual_seed(recipe.seed)
    fresh = PairNet(**of_net.net).eval()
    guess, _ = chosen_logistic(outputs(fresh, data.held_out, held_out)[1], held_out, (1e-3, 1e-2, 0.1))
    ours = multiply_adds(fresh.config)
    of_last = dataclasses.replace(of_net, net=of_net.net | {"meet": "last"})
    config = PairNet(**of_last.net).config
    last = train(data.train, labels, of_last, folder / "last", share=ours / multiply_adds(config))
    names = train(data.train, labels, of_last, folder / "names", identify=True, share=ours / multiply_adds(config, 1))
    of_fit, of_test = (face_features(names, crops) for crops in (data.held_out, data.test))
    alive = of_fit.std(0) > 0  # Joint Bayesian needs features that vary
    verifier = fit_verifier(of_fit[:, alive], held_labels)
    return {
        "pixels": [-((pixels[test.first] - pixels[test.second]) ** 2).sum(1)],
        "untrained": [guess.decision_function(outputs(fresh, data.test, test)[1])],
        "meet last": [outputs(last, data.test, test)[0].mean(0)],
        "identification": [verifier.score_pairs(of_test[:, alive], test)],
    }


def _roc(scores, pairs):
    far, tar, _ = metrics.roc(scores, pairs.same)
    grid = np.unique(np.concatenate([[0, 1], np.geomspace(1e-3, 1, 60)]))
    return {"far": grid.round(5).tolist(), "tar": [round(float(tar[far <= at].max()), 5) for at in grid]}


# 7 the claims


def _claim(name, statement, against, kind="baseline", source="ICCV 2013, section 3", of="ConvNet-RBM", paper="-"):
    ours, others = COMPARED[name]
    return Claim(
        name, statement, source, paper, section="other systems", study="relational", kind=kind, against=against,
        interval="seeds", of=of, ours=lambda r: r["accuracy"][ours],
        difference=lambda r: r["difference"][name][others[0]],
    )  # fmt: skip


CLAIMS = [
    _claim(
        "R1",
        "Filters over both faces learn to compare them",
        "features of an untrained net, logistic regression",
        "null",
    ),
    _claim("R2", "Eight modes are better than one", "the same nets, one mode"),
    _claim("R3", "Nets of one region help each other", "the first of them alone"),
    _claim("R4", "Regions help each other", "the nets of the whole face"),
    _claim("R5", "The RBM joins the regions better than their mean", "the mean of the regions"),
    _claim("R6", "It does so better than a linear rule", "logistic regression on the same numbers"),
    _claim("R7", "To train the RBM and all nets together helps", "the RBM on nets that stay as they are"),
    _claim("R8", "Faces should meet in the first layer", "the same layers, which meet at their last maps"),
    _claim(
        "R9", "To name people teaches more than to compare pairs", "one net that compares pairs", source="the lecture"
    ),
    _claim(
        "R10",
        "It helps because all is trained together",
        "each net trained on by itself",
        source="ours",
        of="this book",
    ),
]
claims(*CLAIMS)
