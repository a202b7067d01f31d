"""Ablations: the same training with one thing changed at a time, and what that changes.

`EXPERIMENTS` is their list, see `ablation_list`. `run_experiment` trains each variant from a preset in
OUT/<variant>/, measures all of them alike and writes OUT/result.json after each, so that a run that was stopped goes on
where it was. A result names the recipe, the data and the code it comes from; those of other data, recipes or code are
refused, never mixed. Whom of the pairs each variant got right is kept too, for `comparisons`.
"""

import dataclasses
import json
import logging
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from deepid_lite.errors import DataError
from deepid_lite.faces.regions import by_name, crop
from deepid_lite.faces.splits import renumber
from deepid_lite.files import write_json
from deepid_lite.nets import deepid as nets
from deepid_lite.nets import recipe as recipes
from deepid_lite.nets.training import train
from deepid_lite.nets.training_log import minutes_of
from deepid_lite.neurons.sparsity import picture, rounded, sparsity_of_runs, summary
from deepid_lite.neurons.untrained import null_models
from deepid_lite.results import provenance, read_record, sealed
from deepid_lite.studies.ablation_list import EXPERIMENTS
from deepid_lite.studies.comparisons import packed
from deepid_lite.verification import pipeline
from deepid_lite.verification.benchmarks import benchmark
from deepid_lite.verification.evaluation import pair_scores
from deepid_lite.verification.metrics import verify
from deepid_lite.verification.model import FaceModel, face_features
from deepid_lite.verification.pairs import Pairs

log = logging.getLogger(__name__)


VERSION = 2  # part of a result's identity: raise it when a change makes other numbers of the same recipe and data


class Parts(NamedTuple):
    """FaceSets: people for the net, people held out from it (Joint Bayesian, sparsity), people to verify in `pairs`."""

    net: object
    held_out: object
    test: object
    pairs: Pairs


def load_parts(data, root=None, test=None, min_images=2):
    """The parts of a data set; test: the set to verify on, LFW for web faces and else unseen people of the same set."""
    test = test or ("lfw" if data == "webfaces" else data)
    if test not in ("lfw", "celeba", "synthetic"):
        raise DataError(f"{test}: its people are trained on; name another set to test on: lfw, celeba or synthetic")
    tested = benchmark(test, root)
    faces, pairs = tested.faces, tested.pairs
    used, pairs = pairs.compact()
    return Parts(*pipeline.training_parts(data, root, min_images), faces.subset(used), pairs)


def varied(recipe, changes):
    """A recipe with changes {"lr": ..., "net.dropout": ..., "region": ...}; what makes no sense is a DataError."""
    values = dataclasses.asdict(recipe)
    for key, value in changes.items():
        table, _, entry = key.rpartition(".")
        if (table or entry) not in values or (table and not isinstance(values[table], dict)):
            raise DataError(f"change {key!r}: no recipe has it; entries are {', '.join(values)}")
        (values[table] if table else values)[entry] = value
    made = recipes.Recipe(**values)
    return recipes.for_region(made, made.region) if "region" in changes else recipes.check(made)


def run_experiment(name, data="synthetic", root=None, out=None, preset="ablation", *, test=None, device=None, only=None,
                   parts=None, progress=True, fresh=False, **changes):  # fmt: skip
    """Train and measure the variants of an experiment; returns what OUT/result.json then holds.

    out: a folder, runs/NAME when left out. preset and `changes` (epochs=2, seed=1, ...) give the recipe that the
    variants change. test: the set to verify on. only: names of the variants to run now; when left out all of them, but
    for those that ask for more people than the data has. parts: `Parts` to use in place of those of `data`. fresh: all
    variants are trained again. Raises DataError for what does not exist, and for results of other code, data or recipe.
    """
    experiment, wanted = _chosen(name, only)
    base = varied(recipes.read_recipe(preset, **changes), experiment.base)
    # all of them are checked before the first is trained
    tried = {variant: _split(base, experiment.variants[variant]) for variant in wanted}
    parts = parts or load_parts(data, root, test, base.min_images)
    tried = _possible(tried, parts.net.labels, strict=only is not None)
    out = Path(out or f"runs/{name}")
    if fresh:
        _forget(out, experiment)
    result = _begun(out / "result.json", name, experiment, base, data, parts)
    _check_stored(out / "result.json", result["variants"], tried)
    if result["null"] is None:
        result["null"] = _untrained(base, parts, progress)
        write_json(out / "result.json", sealed(result))
    for variant, (recipe, extra) in tried.items():
        if variant in result["variants"]:
            continue
        log.info("%s: training in %s", variant, out / variant)
        model = _trained(parts, recipe, extra, out / variant, device)
        result["variants"][variant] = {
            "changes": experiment.variants[variant],
            "recipe": dataclasses.asdict(recipe),
            **model.card,
            "layers": measure(model, parts, progress),
        }
        write_json(out / "result.json", sealed(result))
    return json.loads(json.dumps(result))


def _forget(out, experiment):
    """Remove what was trained and measured in a folder, the result last."""
    try:
        for variant in experiment.variants:
            if (out / variant).is_dir():
                shutil.rmtree(out / variant)
        (out / "result.json").unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{out}: old runs cannot be removed ({error.strerror}); take another folder") from None


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
    """A variant's recipe, and its changes that are not the recipe's: {"people": ..., "attach": ...} or fewer."""
    extra = {key: value for key, value in changes.items() if key in ("people", "attach")}
    return varied(base, {key: value for key, value in changes.items() if key not in extra}), extra


def _possible(tried, labels, strict):
    """The variants {name: (recipe, extra)} whose people `labels` (N,) has, with as many epochs as see equal images."""
    found, known = {}, len(np.unique(labels))
    for variant, (recipe, extra) in tried.items():
        people = extra.get("people")
        if people is not None and people > known and not strict:
            log.info("%s: left out, the net may see %d people", variant, known)
            continue
        found[variant] = (_equal_steps(recipe, labels, some_people(labels, people, recipe.seed)), extra)
    return found


def _equal_steps(recipe, labels, mine):
    """The recipe with as many epochs of the images `mine` (N,) as make the steps that all images make."""
    per_epoch = int(mine.sum()) // recipe.batch_size
    if mine.all() or not per_epoch:  # of too few images for one batch training has its own word to say
        return recipe
    steps = recipe.epochs * (len(labels) // recipe.batch_size)
    return dataclasses.replace(recipe, epochs=max(1, round(steps / per_epoch)))


def _check_stored(path, stored, tried):
    """DataError where a finished variant was made with other changes than the list has now."""
    for variant, (recipe, _) in tried.items():
        wanted = json.loads(json.dumps(dataclasses.asdict(recipe)))
        if variant in stored and stored[variant].get("recipe") != wanted:
            raise DataError(f"{path}: {variant!r} is of another recipe; take another folder")


def measure(model, parts, progress=False):
    """Of each layer FC-n: `sparsity.summary` of the held-out people's pictures, and accuracies on the pairs in percent.

    Joint Bayesian is fitted for every layer on the held-out people; cosine and Euclidean distance are those of the
    features themselves. "right", of the last layer: which pairs were decided rightly, fold by fold, see `packed`.
    """
    layers = model.net.heads
    of_held_out = face_features(model, parts.held_out.images, layer=layers, progress=progress)
    of_test = face_features(model, parts.test.images, layer=layers, progress=progress)
    found = {}
    for layer in layers:
        alive = of_held_out[layer].any(0)  # a neuron that nobody activates has no variance to fit
        if not alive.any():
            raise DataError(f"FC-{layer}: no neuron is active on anybody; train this variant with a lower lr")
        fitted = model.with_verifier(of_held_out[layer][:, alive], parts.held_out.labels)
        scores = pair_scores(fitted, of_test[layer][:, alive], parts.pairs)
        scores["euclidean"] = _nearness(of_test[layer], parts.pairs)
        results = {kind: verify(values, parts.pairs) for kind, values in scores.items()}
        found[f"FC-{layer}"] = {
            "sparsity": summary(picture(of_held_out[layer]), parts.held_out.labels, histograms=False),
            "accuracy": {kind: rounded(100 * r.accuracy, 3) for kind, r in results.items()},
            "standard_error": {kind: rounded(100 * r.standard_error, 3) for kind, r in results.items()},
            "fold_accuracy": [rounded(100 * a, 3) for a in results["joint_bayesian"].fold_accuracy],
        }
    last = f"FC-{layers[-1]}"
    found[last]["right"] = {kind: packed(_right(scores[kind], parts.pairs, results[kind].threshold)) for kind in scores}
    return found


def _nearness(features, pairs):
    """Minus the Euclidean distance of the features (N, 2 D) of each pair (P,)."""
    return -np.linalg.norm(features[pairs.first] - features[pairs.second], axis=1)


def _right(scores, pairs, threshold):
    """Whether thresholds (F,), one a fold, decide the pairs rightly: bool (P,) in the order of the folds."""
    place = np.unique(pairs.fold, return_inverse=True)[1]
    return ((scores > threshold[place]) == pairs.same)[np.argsort(pairs.fold, kind="stable")]


def _trained(parts, recipe, extra, folder, device):
    """The net of a variant as a FaceModel without Joint Bayesian; read from its folder where it is finished."""
    faces, region = parts.net, by_name(recipe.region)
    mine = some_people(faces.labels, extra.get("people"), recipe.seed)
    images = faces.images if mine.all() else faces.images[mine]
    crops, labels = crop(images, region, pipeline.MARGIN), renumber(faces.labels[mine])
    net = train(crops, labels, recipe, folder, device)
    seen = recipe.epochs * (len(labels) // recipe.batch_size) * recipe.batch_size
    card = {
        "images": len(labels),
        "people": int(labels.max()) + 1,
        "images_seen": seen,
        "minutes": round(minutes_of(folder / "log.csv", seen), 1),
        **provenance("cuda" if next(net.parameters()).is_cuda else "cpu"),
    }
    if heads := extra.get("attach"):
        net = attached(net, heads, crop(images[:: max(1, len(images) // 2000)], region), recipe.seed)
    return FaceModel(net, region, None, card)


@torch.no_grad()
def attached(net, heads, images, seed=0):
    """A trained net with the feature layers `heads` besides its own, with random weights: what its convolutions hold.

    images: uint8 (N, rows, columns, 3) crops; where the net has batch norm they give the new layers its statistics.
    Everything else stays as it was trained.
    """
    heads = tuple(sorted({*net.heads, *heads}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        whole = nets.build(net.config | {"heads": heads})
    whole.load_state_dict({**whole.state_dict(), **net.state_dict()})
    whole = whole.eval().to(next(net.parameters()).device, memory_format=torch.channels_last)
    fresh = [norm for head, norm in whole.feature_norms.items() if int(head) not in net.heads]
    for norm in fresh:
        norm.train().momentum = None  # statistics as a plain mean over the batches
    for batch in np.array_split(images, -(-len(images) // 256)):
        x = torch.as_tensor(np.ascontiguousarray(batch)).to(next(net.parameters()).device).permute(0, 3, 1, 2)
        whole(nets.to_input(x).contiguous(memory_format=torch.channels_last))
    return whole.eval()


def some_people(labels, people, seed):
    """Mask (N,) of the images of that many people, or of that share of them when below 1, or of all for None.

    They are the first of one seeded order, so that fewer are among more.
    """
    known = np.unique(labels)
    if people is None:
        return np.ones(len(labels), bool)
    wanted = round(people * len(known)) if 0 < people < 1 else people
    if not 2 <= wanted <= len(known) or wanted != int(wanted):
        raise DataError(f"people = {people}: use a number from 2 to {len(known)}, all that the net may see")
    return np.isin(labels, np.random.default_rng(seed).permutation(known)[:wanted])


def _untrained(base, parts, progress):
    """The null: nets that were not trained, with and without batch norm: {name: {FC-n: as `measure`}}.

    Of the one without batch norm only the sparsity is measured.
    """
    net = getattr(nets, base.architecture)(**base.net)
    model = FaceModel(net.eval(), by_name(base.region), None, {})
    models = null_models(model, parts.held_out.images, base.seed)
    plain = {"untrained_plain": models["untrained_plain"]}
    found = sparsity_of_runs(plain, parts.held_out.images, parts.held_out.labels, histograms=False, progress=progress)
    return {"untrained": measure(models["untrained"], parts, progress)} | {
        name: {f"FC-{layer}": {"sparsity": values} for layer, values in of_layer.items()}
        for name, of_layer in found.items()
    }


def _begun(path, name, experiment, base, data, parts):
    """The result so far, or a fresh one; a result of other code, data or recipe is refused."""
    identity = {
        "experiment": name,
        "recipe": dataclasses.asdict(base),
        "data": str(data),
        "data_hash": parts.net.data_hash,
        "kept_hash": parts.held_out.data_hash,
        "test_hash": parts.test.data_hash,
        "code": VERSION,
    }
    if not path.is_file():
        if any((path.parent / variant).is_dir() for variant in experiment.variants):
            raise DataError(f"{path.parent}: without result.json its runs are of unknown code; take another folder")
        scale = "lite" if data == "synthetic" else "reference"
        fresh = {"scale": scale, "statement": experiment.statement, **identity, "pairs": len(parts.pairs)}
        fresh["pairs_per_fold"] = np.unique(parts.pairs.fold, return_counts=True)[1].tolist()
        fresh |= {**provenance(), "null": None, "variants": {}}
        write_json(path, sealed(fresh))
        return fresh
    found = read_record(path, "take another folder")
    try:
        other = [key for key, value in json.loads(json.dumps(identity)).items() if found[key] != value]
        commit, variants, _ = found["commit"], found["variants"], found["null"]
        _ = [variant["recipe"] for variant in variants.values()]
    except (AttributeError, KeyError, TypeError):
        raise DataError(f"{path}: damaged, or no result of an experiment; take another folder") from None
    if other:
        raise DataError(f"{path}: of another {' and '.join(other)} (commit {commit}); take another folder")
    return found
