"""Ablations: the same training with one thing changed at a time, over several seeds, and what that changes.

`EXPERIMENTS` is their list, see `ablation_list`. `run_experiment` trains each variant with each seed in
OUT/<variant>/seed-<n>/, measures all of them alike on held-out people (`ablation_nets`) and writes OUT/result.json
after each, so that a run that was stopped goes on where it was. A result names the recipe, the data and the code it
comes from; those of other data, recipes or code are refused, never mixed. **The test set is not even read until it is
asked for** (test=True), at the end, when nothing is left to choose.
"""

import dataclasses
import json
import logging
import shutil
import time
from pathlib import Path

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.splits import renumber
from deepid_lite.files import write_json
from deepid_lite.nets import deepid as nets
from deepid_lite.nets import recipe as recipes
from deepid_lite.nets.training_log import minutes_of
from deepid_lite.neurons.untrained import untrained_net
from deepid_lite.results import provenance, read_record, sealed
from deepid_lite.studies.ablation_data import Crops, held_out_trial, load_parts, load_test, some_images, some_people
from deepid_lite.studies.ablation_list import EXPERIMENTS
from deepid_lite.studies.ablation_nets import attached, mean_of, measure, trained, watched

log = logging.getLogger(__name__)


VERSION = 3  # part of a result's identity: raise it when a change makes other numbers of the same recipe and data
SEEDS = 3
EXTRA = ("people", "images", "attach", "seeds")  # entries of a variant that are not the recipe's


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


def run_experiment(name, data="synthetic", root=None, out=None, preset="ablation", *, seeds=SEEDS, share=1.0,
                   test=False, device=None, only=None, parts=None, fresh=False, **changes):  # fmt: skip
    """Train and measure the variants of an experiment; returns what OUT/result.json then holds.

    out: a folder, runs/NAME when left out. preset and `changes` (epochs=2, seed=1, ...) give the recipe that the
    variants change. seeds: trainings of each variant, from the recipe's seed on. share: of the people of the training
    set, for all variants. test: also verify on the test set, at the end; True, or the name of a set. only: names of the
    variants to run now; when left out all of them, but for those that ask for more people than the data has. parts:
    `Parts` to use in place of those of `data`. fresh: all variants are trained again. Raises DataError for what does
    not exist, and for results of other code, data or recipe.
    """
    experiment, wanted = _chosen(name, only)
    base = varied(recipes.read_recipe(preset, **changes), experiment.base)
    if seeds < 1 or not 0 < share <= 1:
        raise DataError(f"seeds = {seeds}, share = {share}: use one seed or more, and a share above 0 and up to 1")
    # all of them are checked before the first is trained
    tried = {variant: _split(base, experiment.variants[variant]) for variant in wanted}
    parts = parts or load_parts(data, root, base.min_images, share, base.seed)
    tried = _possible(tried, parts.net.labels, strict=only is not None)
    out = Path(out or f"runs/{name}")
    if fresh:
        _forget(out, experiment)
    path = out / "result.json"
    result = _begun(path, name, experiment, base, data, parts, share)
    _check_stored(path, result["variants"], tried)
    crops = Crops(parts)
    if not result["nulls"]:
        result["nulls"]["held_out"] = _untrained(base, crops, "held_out")
        write_json(path, sealed(_summed_up(result)))
    for variant, seed in _turns(tried, base.seed, seeds):
        (recipe, extra), runs = tried[variant], result["variants"].get(variant, {}).get("runs", {})
        if str(seed) in runs:
            continue
        log.info("%s, seed %d: training in %s", variant, seed, _folder(out, variant, seed))
        run = _run(crops, dataclasses.replace(recipe, seed=seed), extra, _folder(out, variant, seed), device)
        found = {"changes": experiment.variants[variant], "recipe": dataclasses.asdict(recipe)}
        result["variants"][variant] = {**found, "runs": {**runs, seed: run}}
        result = json.loads(json.dumps(result))
        write_json(path, sealed(_summed_up(result)))
    if test:
        _test(result, path, tried, base, crops, data, root, None if test is True else test)
    return json.loads(json.dumps(_summed_up(result)))


def _turns(tried, first, seeds):
    """[(variant, seed)] in the order of training: region by region, and there seed by seed.

    So a run that is cut short has trained all variants of a region alike, and a region is cut once.
    """
    regions = list(dict.fromkeys(recipe.region for recipe, _ in tried.values()))
    turns = [(name, first + n) for name, (_, extra) in tried.items() for n in range(max(seeds, extra.get("seeds", 0)))]
    return sorted(turns, key=lambda turn: (regions.index(tried[turn[0]][0].region), turn[1]))


def _folder(out, variant, seed):
    return out / variant / f"seed-{seed}"


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
    """A variant's recipe, and its changes that are not the recipe's, those of EXTRA."""
    extra = {key: value for key, value in changes.items() if key in EXTRA}
    return varied(base, {key: value for key, value in changes.items() if key not in extra}), extra


def _chosen_images(labels, extra, seed):
    """Mask (N,) of the images that a variant trains on."""
    return some_people(labels, extra.get("people"), seed) & some_images(labels, extra.get("images"), seed)


def _possible(tried, labels, strict):
    """The variants {name: (recipe, extra)} whose people `labels` (N,) has."""
    found, known = {}, len(np.unique(labels))
    for variant, (recipe, extra) in tried.items():
        people = extra.get("people")
        if people is not None and people > known and not strict:
            log.info("%s: left out, the net may see %d people", variant, known)
            continue
        _chosen_images(labels, extra, recipe.seed)
        found[variant] = (recipe, extra)
    return found


def _equal_steps(recipe, n_all, n_mine):
    """The recipe with as many epochs of `n_mine` images as make the steps that all `n_all` images make."""
    per_epoch = n_mine // recipe.batch_size
    if n_mine == n_all or not per_epoch:  # of too few images for one batch training has its own word to say
        return recipe
    steps = recipe.epochs * (n_all // recipe.batch_size)
    return dataclasses.replace(recipe, epochs=max(1, round(steps / per_epoch)))


def _check_stored(path, stored, tried):
    """DataError where a finished variant was made with other changes than the list has now."""
    for variant, (recipe, _) in tried.items():
        wanted = json.loads(json.dumps(dataclasses.asdict(recipe)))
        if variant in stored and stored[variant].get("recipe") != wanted:
            raise DataError(f"{path}: {variant!r} is of another recipe; take another folder")


def _run(crops, recipe, extra, folder, device):
    """One training and what it gave, for JSON; where it is finished its net is read from its folder."""
    faces, held_out = crops.parts.net, crops.of("held_out", recipe.region)
    mine = _chosen_images(faces.labels, extra, recipe.seed)
    recipe = _equal_steps(recipe, len(mine), int(mine.sum()))
    all_crops = crops.of("net", recipe.region)
    images, labels = all_crops if mine.all() else all_crops[mine], renumber(faces.labels[mine])
    trial = crops.trials["watched"]

    def watch(net):
        return watched(net, held_out, trial, recipe.precision)

    net, curve = trained(images, labels, recipe, folder, device, faces.data_hash, watch)
    start, seen = time.process_time(), recipe.epochs * (len(labels) // recipe.batch_size) * recipe.batch_size
    return {
        "images": len(labels),
        "people": int(labels.max()) + 1,
        "epochs": recipe.epochs,
        "images_seen": seen,
        "minutes": round(minutes_of(folder / "log.csv", seen), 1),
        "curve": {key: curve[key] for key in ("step", "accuracy")},
        "held_out": measure(_whole(net, crops, recipe, extra), *crops.to_compare("held_out", recipe.region)),
        "cpu_seconds": round(sum(curve["cpu_seconds"]) + time.process_time() - start, 1),
        **provenance("cuda" if next(net.parameters()).is_cuda else "cpu"),
    }


def _whole(net, crops, recipe, extra):
    """The net with the layers that its variant attaches."""
    if not (heads := extra.get("attach")):
        return net
    images = crops.of("held_out", recipe.region)
    return attached(net, heads, images[:: max(1, len(images) // 2000)], recipe.seed)


def _untrained(base, crops, where):
    """The null: nets that were not trained, with and without batch norm: {name: {FC-n: as `measure`}}."""
    net = getattr(nets, base.architecture)(**base.net).eval()
    images = crops.of("held_out", base.region)
    found = {}
    for name, statistics in (("untrained", True), ("untrained_plain", False)):
        fresh = untrained_net(net, images[:: max(1, len(images) // 2000)], base.seed, statistics)
        found[name] = measure(fresh, *crops.to_compare(where, base.region))
    return found


def _test(result, path, tried, base, crops, data, root, test):
    """Score every finished training on the test set, with Joint Bayesian of all held-out people."""
    parts = crops.parts
    crops.with_test(*((parts.test, parts.pairs) if parts.test is not None else load_test(data, root, test)))
    of_test = {"hash": crops.parts.test.data_hash, **_sizes(crops.parts.pairs)}
    if result.setdefault("test", of_test) != of_test:
        raise DataError(f"{path}: tested on another set; take another folder")
    if "test" not in result["nulls"]:
        result["nulls"]["test"] = _untrained(base, crops, "test")
    for variant, (recipe, extra) in tried.items():
        for seed, run in result["variants"][variant]["runs"].items():
            if "test" not in run:
                net, _ = nets.load_net(_folder(path.parent, variant, seed) / "weights.safetensors")
                whole = _whole(net, crops, dataclasses.replace(recipe, seed=int(seed)), extra)
                run["test"] = measure(whole, *crops.to_compare("test", recipe.region))
                write_json(path, sealed(_summed_up(result)))


def _summed_up(result):
    """The result with means over the seeds where its readers look: "layers" of each variant, and "null".

    They are those of the test set once all trainings have been tested on it, and of the held-out people before.
    """
    runs = [run for variant in result["variants"].values() for run in variant["runs"].values()]
    where = "test" if "test" in result["nulls"] and all("test" in run for run in runs) else "held_out"
    result |= {"scored_on": where, "null": result["nulls"].get(where)}
    for variant in result["variants"].values():
        runs = list(variant["runs"].values())
        variant |= mean_of([{key: run[key] for key in ("people", "images", "images_seen", "minutes")} for run in runs])
        layers = [{name: _brief(layer) for name, layer in run[where].items()} for run in runs]
        variant |= {"layers": mean_of(layers), "commit": runs[0]["commit"], "device": runs[0]["device"]}
    result["cpu_seconds"] = round(
        sum(run["cpu_seconds"] for v in result["variants"].values() for run in v["runs"].values())
    )
    return result


def _brief(layer):
    return {key: layer[key] for key in ("sparsity", "accuracy", "standard_error")}


def _sizes(pairs):
    return {"pairs": len(pairs), "pairs_per_fold": np.unique(pairs.fold, return_counts=True)[1].tolist()}


def _begun(path, name, experiment, base, data, parts, share):
    """The result so far, or a fresh one; a result of other code, data or recipe is refused."""
    identity = {
        "experiment": name,
        "recipe": dataclasses.asdict(base),
        "data": str(data),
        "share": share,
        "data_hash": parts.net.data_hash,
        "kept_hash": parts.held_out.data_hash,
        "code": VERSION,
    }
    if not path.is_file():
        if any((path.parent / variant).is_dir() for variant in experiment.variants):
            raise DataError(f"{path.parent}: without result.json its runs are of unknown code; take another folder")
        scale = "lite" if data == "synthetic" else "reference"
        fresh = {"scale": scale, "statement": experiment.statement, **identity}
        fresh |= _sizes(held_out_trial(parts.held_out.labels).pairs)
        fresh |= {**provenance(), "nulls": {}, "variants": {}}
        write_json(path, sealed(fresh))
        return fresh
    found = read_record(path, "take another folder")
    try:
        other = [key for key, value in json.loads(json.dumps(identity)).items() if found.get(key) != value]
        commit, variants = found["commit"], {} if other else found["variants"]
        _ = [
            (variant["recipe"], [run["held_out"] for run in variant["runs"].values()]) for variant in variants.values()
        ]
    except (AttributeError, KeyError, TypeError):
        raise DataError(f"{path}: damaged, or no result of an experiment; take another folder") from None
    if other:
        raise DataError(f"{path}: of another {' and '.join(other)} (commit {commit}); take another folder")
    return found
