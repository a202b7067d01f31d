"""What relational features are worth: each level of the ensemble, the RBM and its rivals, and other ways to learn."""

import copy
import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from deepid_lite.errors import DataError
from deepid_lite.nets.deepid import save_net
from deepid_lite.papers.relational.joining import DECAYS, chosen_logistic, chosen_rbm
from deepid_lite.papers.relational.net import MODES, PairNet, face_features, multiply_adds, outputs, train
from deepid_lite.papers.relational.rbm import rbm_scores
from deepid_lite.papers.relational.system import ConvNetRBM, fine_tune
from deepid_lite.papers.relational.trainings import (
    NETS,
    SIZES,
    TUNED,
    WHOLE,
    held_out_people,
    of_region,
    recipe_of,
    tested_people,
    train_all,
    training_crops,
    training_minutes,
    work,
)
from deepid_lite.registry import Claim, claims, study
from deepid_lite.verification import metrics
from deepid_lite.verification.intervals import of_nets, of_pairs, rightly
from deepid_lite.verification.published import authors_rates
from deepid_lite.verification.verifier import fit_verifier

# 6 the study

SEEDS = (0, 1, 2)
LENGTHS = (1, 3, 9)  # epochs


@study
def relational(setup, recipe=None, folder="runs/relational", seeds=SEEDS, size=None):
    """Accuracy on the test pairs at each level, of the RBM and its rivals, and of controls; several seeds.

    The nets learn from training people; RBM, logistic regression and the verifier from held-out people, on the last
    folds of whose pairs hidden units and decays are chosen. folder: of the trainings, which go on where they stopped;
    the system of the first seed is written there as well. DataError: the recipe is of another net.
    """
    size, folder = size or SIZES[setup.name], Path(folder) / setup.name
    recipe = recipe_of(setup.name) if recipe is None else recipe
    if recipe.architecture != "PairNet":
        raise DataError(f"relational: a recipe of {recipe.architecture}; its nets are PairNets, use the preset")
    authors = authors_rates(setup.root, AUTHORS) if setup.name == "reference" else {}
    crops, labels, facts = training_crops(setup, size.regions)
    held_out, test = held_out_people(setup, size), tested_people(setup, size)
    right, chosen, roc = {}, [], None
    for seed in seeds:
        of_seed, where = dataclasses.replace(recipe, seed=seed), folder / f"seed-{seed}"
        groups, controls = train_all(crops, labels, of_seed, where)
        seen = {name: [_seen(net, name, held_out, test) for net in group] for name, group in groups.items()}
        scores, system, options = _joined(groups, seen, held_out.pairs, seed)
        scores |= _tuned(system, setup.held_out, test, of_seed, where, size)
        of_one = _controls(controls, of_seed, held_out, test) | {name: [s] for name, s in scores.items()}
        for name, of_name in (_levels(seen) | of_one).items():
            right.setdefault(name, []).extend(rightly(s, test.pairs) for s in of_name)
        chosen.append(options)
        if seed == seeds[0]:
            save_net(folder / "system.safetensors", system, {"trained on": facts["source"]})
            roc = _roc(scores["RBM, fine-tuned"], test.pairs)
    right, fold = {name: np.stack(bits) for name, bits in right.items()}, test.pairs.fold
    return {
        "scale": setup.name, "seeds": list(seeds), "regions": list(size.regions), "nets": NETS, "modes": MODES, **facts,
        "held_out_pairs": len(held_out.pairs), "pairs": len(test.pairs), "recipe": dataclasses.asdict(recipe),
        "steps": len(labels) // (2 * recipe.batch_size) * recipe.epochs, "chosen": chosen,
        "multiply_adds": {name: multiply_adds(PairNet(**recipe.net | {"meet": meet}).config, faces, people)
                          for name, meet, faces, people in work(facts["people"])},
        "fine": {"steps": size.fine_steps, "batch": size.fine_batch, "lr": size.fine_lr},
        "accuracy": {name: of_nets(bits, fold) for name, bits in right.items()},
        "difference": {claim: {other: of_nets(*_both(right, ours, other, fold)) for other in others}
                       for claim, (ours, others) in COMPARED.items()},
        "roc": roc, "authors": authors, "training_minutes": training_minutes(folder, recipe.batch_size),
    }  # fmt: skip


@study
def relational_length(setup, recipe=None, folder="runs/relational-length", lengths=LENGTHS, size=None):
    """Accuracy of one net of the whole face on held-out pairs, trained anew for each number of epochs.

    Test people are not looked at. folder: of the trainings.
    """
    size, recipe = size or SIZES[setup.name], recipe_of(setup.name) if recipe is None else recipe
    crops, labels, facts = training_crops(setup, (WHOLE,))
    held_out = held_out_people(setup, size._replace(regions=(WHOLE,)))
    found = {"one mode": [], "eight modes": []}
    for epochs in lengths:
        of_length = dataclasses.replace(of_region(recipe, WHOLE), epochs=epochs)
        net = train(crops[WHOLE], labels, of_length, Path(folder) / setup.name / str(epochs))
        p = outputs(net, held_out.crops[WHOLE], held_out.pairs)[0]
        for name, scores in (("one mode", p[0]), ("eight modes", p.mean(0))):
            found[name].append(of_pairs(rightly(scores, held_out.pairs), held_out.pairs.fold))
    return {
        "scale": setup.name, "recipe": dataclasses.asdict(recipe), "pairs": len(held_out.pairs), **facts,
        "epochs": list(lengths), "steps": [len(labels) // (2 * recipe.batch_size) * n for n in lengths],
        "accuracy": found,
    }  # fmt: skip


AUTHORS = ("ConvNet-RBM, CelebFaces", "ConvNet-RBM (LFW only)")  # of verification.published.METHODS
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


def _tuned(system, held_out, test, recipe, folder, size):
    """{name: scores} of the system after its last training, all together, and of the control, each net apart."""
    slow = dataclasses.replace(recipe, lr=size.fine_lr, epochs=1, batch_size=size.fine_batch)
    scores = {}
    for name, where in zip(("RBM, fine-tuned", "trained apart"), TUNED, strict=True):
        apart = where == "apart"
        tuned = fine_tune(copy.deepcopy(system), held_out, slow, folder / where, size.fine_steps, apart)
        scores[name] = tuned.scores(test.images, test.pairs)
    return scores


# scores


class Seen(NamedTuple):
    """What a net says of pairs, see `outputs`: of held-out and of test people."""

    fit: np.ndarray
    fit_features: np.ndarray
    test: np.ndarray
    test_features: np.ndarray


def _seen(net, name, held_out, test):
    return Seen(*(part for people in (held_out, test) for part in outputs(net, people.crops[name], people.pairs)))


def _levels(seen):
    """{level: [scores (P,), ...]}, up to the mean of all groups; probabilities of "same"."""
    nets = [net.test for group in seen.values() for net in group]
    means = [np.mean([net.test.mean(0) for net in group], 0) for group in seen.values()]
    first = [group[0].test.mean(0) for group in seen.values()]
    return {
        "one mode": [p[0] for p in nets],
        "one net": [p.mean(0) for p in nets],
        "two nets": means,
        "first of two": first,
        "one group": means[:1],
        "mean": [np.mean(means, 0)],
        "meet first": first[:1],
    }


def _joined(groups, seen, pairs, seed):
    """Scores of what joins the groups, {name: (P,)}; the system with its RBM; what was chosen on held-out pairs."""
    fit, test = (
        np.stack([np.mean([getattr(net, part).mean(0) for net in group], 0) for group in seen.values()], 1)
        for part in ("fit", "test")
    )
    of_all = [net for group in seen.values() for net in group]
    fit_features, test_features = (
        np.concatenate([getattr(net, part) for net in of_all], 1) for part in ("fit_features", "test_features")
    )
    rbm, of_rbm = chosen_rbm(fit, pairs, seed)
    line, of_line = chosen_logistic(fit, pairs)
    many, of_many = chosen_rbm(fit_features, pairs, seed, hidden=(8,), decays=DECAYS[1:], steps=60)
    wide, of_wide = chosen_logistic(fit_features, pairs, (1e-3, 1e-2, 0.1))
    scores = {
        "RBM": rbm_scores(rbm, test),
        "logistic": line.decision_function(test),
        "features, RBM": rbm_scores(many, test_features),
        "features, logistic": wide.decision_function(test_features),
    }
    chosen = {"RBM": of_rbm, "logistic": of_line, "features, RBM": of_many, "features, logistic": of_wide}
    return scores, _system(groups, rbm, of_rbm["hidden"]), chosen


def _system(groups, rbm, hidden):
    config = next(iter(groups.values()))[0].config
    options = {key: value for key, value in config.items() if key not in ("architecture", "input_shape")}
    system = ConvNetRBM(tuple(groups), NETS, hidden, options)
    for ours, theirs in zip(system.groups, groups.values(), strict=True):
        for net, trained in zip(ours, theirs, strict=True):
            net.load_state_dict(trained.state_dict())
    system.rbm.load_state_dict(rbm.state_dict())
    return system.eval()


def _controls(nets, recipe, held_out, test):
    """{name: [scores]} on the first region: pixels, an untrained net, faces that meet last, a net that names people."""
    name = next(iter(test.crops))
    of_fit, of_test = held_out.crops[name], test.crops[name]
    pixels = of_test.reshape(len(of_test), -1) / 255
    torch.manual_seed(recipe.seed)
    fresh = PairNet(**of_region(recipe, name).net).eval()
    guess, _ = chosen_logistic(outputs(fresh, of_fit, held_out.pairs)[1], held_out.pairs, (1e-3, 1e-2, 0.1))
    fit, found = (face_features(nets["identification"], crops) for crops in (of_fit, of_test))
    alive = fit.std(0) > 0  # Joint Bayesian needs features that vary
    verifier = fit_verifier(fit[:, alive], held_out.labels)
    return {
        "pixels": [-((pixels[test.pairs.first] - pixels[test.pairs.second]) ** 2).sum(1)],
        "untrained": [guess.decision_function(outputs(fresh, of_test, test.pairs)[1])],
        "meet last": [outputs(nets["meet last"], of_test, test.pairs)[0].mean(0)],
        "identification": [verifier.score_pairs(found[:, alive], test.pairs)],
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
