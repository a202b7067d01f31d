"""Experiments: the same training with one thing changed at a time, and what that changes.

`EXPERIMENTS` is the list. `run_experiment` trains each variant from a preset in OUT/<variant>/, measures all of them
alike and writes OUT/result.json after each, so that a run that was stopped goes on where it was. A result names the
recipe, the data and the code it comes from; those of other data, recipes or code are refused, never mixed.
"""

import dataclasses
import hashlib
import json
import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import nets, pipeline, protocols, recipes
from .errors import DataError
from .evaluation import face_features, fit_verifier, pair_scores
from .pretrained import Pretrained
from .progress import minutes_of
from .records import provenance, write_json
from .regions import by_name, crop
from .sparsity import nulls, picture, rounded, sparsity_of_runs, summary
from .splits import renumber
from .training import train

log = logging.getLogger(__name__)


class Experiment(NamedTuple):
    """statement: what is to be found out. variants: {name: changes of the preset}, names that serve as folders.

    A change is an entry of `recipes.Recipe`; "net.dropout" is the entry `dropout` of its table `net`. The entry
    "people" is not the recipe's: it trains on that many people, the fewer among the more.
    """

    statement: str
    variants: dict[str, dict]


EXPERIMENTS = {
    "dropout": Experiment(
        "The sparsity of the features depends neither on the dropout rate [DeepID2+, section 5] nor on verification.",
        {
            "dropout 0.5": {"net.dropout": 0.5},
            "dropout 0": {"net.dropout": 0.0},
            "dropout 0.25": {"net.dropout": 0.25},
            "dropout 0.75": {"net.dropout": 0.75},
            "dropout 0.5, no verification": {"net.dropout": 0.5, "weight": 0.0},
            "dropout 0, no verification": {"net.dropout": 0.0, "weight": 0.0},
            "dropout 0.25, no verification": {"net.dropout": 0.25, "weight": 0.0},
            "dropout 0.75, no verification": {"net.dropout": 0.75, "weight": 0.0},
            # batch norm centres every neuron; without it nothing but training can bring the rates near one half
            "dropout 0.5, no batch norm": {"net.dropout": 0.5, "net.batch_norm": False, "lr": 5e-4},
            "dropout 0, no batch norm": {"net.dropout": 0.0, "net.batch_norm": False, "lr": 5e-4},
        },
    ),
}

# what a variant's numbers depend on, besides recipe and data
CODE = (
    "align", "batches", "evaluation", "experiments", "features", "joint_bayesian", "layers", "losses", "nets",
    "pretrained", "protocols", "recipes", "regions", "sparsity", "splits", "training", "trials",
)  # fmt: skip


class Parts(NamedTuple):
    """FaceSets: people for the net, people kept from it (Joint Bayesian, sparsity), and people to verify in `pairs`."""

    net: object
    kept: object
    test: object
    pairs: protocols.Pairs


def load_parts(data, root=None, test=None, min_images=2):
    """The parts of a data set; test: the set to verify on, LFW for web faces and else unseen people of the same set."""
    test = test or ("lfw" if data == "webfaces" else data)
    if test not in ("lfw", "celeba", "synthetic"):
        raise DataError(f"{test}: its people are trained on; name another set to test on: lfw, celeba or synthetic")
    faces, pairs, _ = pipeline.test_set(test, root)
    used, pairs = pairs.compact()
    return Parts(*pipeline.training_parts(data, root, min_images), faces.subset(used), pairs)


def varied(recipe, changes):
    """A recipe with changes {"lr": ..., "net.dropout": ...}; what makes no sense is a DataError."""
    values = dataclasses.asdict(recipe)
    for key, value in changes.items():
        table, _, entry = key.rpartition(".")
        if (table or entry) not in values or (table and not isinstance(values[table], dict)):
            raise DataError(f"change {key!r}: no recipe has it; entries are {', '.join(values)}")
        (values[table] if table else values)[entry] = value
    return recipes.check(recipes.Recipe(**values))


def run_experiment(name, data="synthetic", root=None, out=None, preset="ablation", *, test=None, device=None, only=None,
                   parts=None, progress=True, **changes):  # fmt: skip
    """Train and measure the variants of an experiment; returns what OUT/result.json then holds.

    out: a folder, runs/NAME when left out. preset and `changes` (epochs=2, seed=1, ...) give the recipe that the
    variants change. test: the set to verify on. only: names of the variants to run now. parts: `Parts` to use in place
    of those of `data`. Raises DataError for what does not exist, and for results of other code, data or recipe.
    """
    experiment, wanted = _chosen(name, only)
    base = recipes.read_recipe(preset, **changes)
    # all of them are checked before the first is trained
    tried = {variant: _split(base, experiment.variants[variant]) for variant in wanted}
    parts = parts or load_parts(data, root, test, base.min_images)
    out = Path(out or f"runs/{name}")
    result = _begun(out / "result.json", name, experiment, base, data, parts)
    if result["null"] is None:
        result["null"] = _untrained(base, parts, progress)
        write_json(out / "result.json", result)
    for variant, (recipe, people) in tried.items():
        if variant in result["variants"]:
            continue
        log.info("%s: training in %s", variant, out / variant)
        model = _trained(parts, recipe, people, out / variant, device)
        result["variants"][variant] = {
            "changes": experiment.variants[variant],
            "recipe": dataclasses.asdict(recipe),
            **model.card,
            "layers": measure(model, parts, progress),
        }
        write_json(out / "result.json", result)
    return json.loads(json.dumps(result))


def _chosen(name, only):
    """The experiment of that name, and which of its variants to run."""
    if name not in EXPERIMENTS:
        raise DataError(f"experiment {name!r}: unknown; use one of {', '.join(EXPERIMENTS)}")
    experiment = EXPERIMENTS[name]
    wanted = list(experiment.variants) if only is None else list(only)
    if unknown := [variant for variant in wanted if variant not in experiment.variants]:
        raise DataError(f"variant {unknown[0]!r}: {name} has {'; '.join(experiment.variants)}")
    return experiment, wanted


def _split(base, changes):
    """A variant's recipe, and its number of people or None."""
    return varied(base, {key: value for key, value in changes.items() if key != "people"}), changes.get("people")


def measure(model, parts, progress=False):
    """Of each layer FC-n: `sparsity.summary` of the kept people's pictures, and accuracies on the pairs in percent.

    Joint Bayesian is fitted for every layer on the kept people.
    """
    layers = model.net.heads
    of_kept = face_features(model, parts.kept.images, layer=layers, progress=progress)
    of_test = face_features(model, parts.test.images, layer=layers, progress=progress)
    found = {}
    for layer in layers:
        alive = of_kept[layer].any(0)  # a neuron that nobody activates has no variance to fit
        if not alive.any():
            raise DataError(f"FC-{layer}: no neuron is active on anybody; train this variant with a lower lr")
        fitted = fit_verifier(model, of_kept[layer][:, alive], parts.kept.labels)
        scores = pair_scores(fitted, of_test[layer][:, alive], parts.pairs)
        results = {kind: protocols.verify(values, parts.pairs) for kind, values in scores.items()}
        found[f"FC-{layer}"] = {
            "sparsity": summary(picture(of_kept[layer]), parts.kept.labels, histograms=False),
            "accuracy": {kind: rounded(100 * r.accuracy, 3) for kind, r in results.items()},
            "standard_error": {kind: rounded(100 * r.standard_error, 3) for kind, r in results.items()},
            "fold_accuracy": [rounded(100 * a, 3) for a in results["joint_bayesian"].fold_accuracy],
        }
    return found


def _trained(parts, recipe, people, folder, device):
    """The net of a variant as a Pretrained without Joint Bayesian; read from its folder where it is finished."""
    faces, region = parts.net, by_name(recipe.region)
    mine = _some_people(faces.labels, people, recipe.seed)
    crops, labels = crop(faces.images, region, pipeline.MARGIN)[mine], renumber(faces.labels[mine])
    net = train(crops, labels, recipe, folder, device)
    card = {
        "images": len(labels),
        "people": int(labels.max()) + 1,
        "minutes": round(minutes_of(folder / "log.csv", recipe.epochs * len(labels)), 1),
        **provenance("cuda" if next(net.parameters()).is_cuda else "cpu"),
    }
    return Pretrained(net, region, None, card)


def _some_people(labels, people, seed):
    """Mask (N,) of the images of that many people: the first of one seeded order, so that fewer are among more."""
    known = np.unique(labels)
    if people is None:
        return np.ones(len(labels), bool)
    if not 2 <= people <= len(known):
        raise DataError(f"people = {people}: use a number from 2 to {len(known)}, all that the net may see")
    return np.isin(labels, np.random.default_rng(seed).permutation(known)[:people])


def _untrained(base, parts, progress):
    """Sparsity of nets that were not trained, with and without batch norm: {name: {FC-n: {"sparsity": ...}}}."""
    net = getattr(nets, base.architecture)(**base.net)
    model = Pretrained(net.eval(), by_name(base.region), None, {})
    models = nulls(model, parts.kept.images, base.seed)
    found = sparsity_of_runs(models, parts.kept.images, parts.kept.labels, histograms=False, progress=progress)
    return {
        name: {f"FC-{layer}": {"sparsity": values} for layer, values in of_layer.items()}
        for name, of_layer in found.items()
    }


def code_hash():
    """SHA-256 of the package's modules that a result depends on."""
    folder = Path(__file__).parent
    return hashlib.sha256(b"".join((folder / f"{module}.py").read_bytes() for module in CODE)).hexdigest()[:16]


def _begun(path, name, experiment, base, data, parts):
    """The result so far, or a fresh one; a result of other code, data or recipe is refused."""
    identity = {
        "experiment": name,
        "recipe": dataclasses.asdict(base),
        "data": str(data),
        "data_hash": parts.net.data_hash,
        "kept_hash": parts.kept.data_hash,
        "test_hash": parts.test.data_hash,
        "code": code_hash(),
    }
    if not path.is_file():
        if path.parent.is_dir() and any(place.is_dir() for place in path.parent.iterdir()):
            raise DataError(f"{path.parent}: without result.json its runs are of unknown code; take another folder")
        scale = "lite" if data == "synthetic" else "reference"
        fresh = {"scale": scale, "statement": experiment.statement, **identity, "pairs": len(parts.pairs)}
        fresh |= {**provenance(), "null": None, "variants": {}}
        write_json(path, fresh)
        return fresh
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        other = [key for key, value in json.loads(json.dumps(identity)).items() if found[key] != value]
        commit, _, _ = found["commit"], found["variants"], found["null"]
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path}: damaged, or no result of an experiment; take another folder") from None
    if other:
        raise DataError(f"{path}: of another {' and '.join(other)} (commit {commit}); take another folder")
    return found
