"""The four studies of occlusion, and what the paper claims of it.

`occlusion` is the paper's own [DeepID2+, section 7, Figs. 15 and 16], `strips` its Fig. 17 and the left of its Fig. 1;
`fills` and `sensitivity` go beyond it. Each is a dict of plain numbers for JSON, with its nulls.
"""

import numpy as np

from deepid_lite.faces import regions
from deepid_lite.faces.cache import cache_folder
from deepid_lite.neurons import disguises
from deepid_lite.neurons import occlusion as occ
from deepid_lite.neurons.untrained import untrained_model
from deepid_lite.registry import study
from deepid_lite.studies import robustness
from deepid_lite.verification.features import extract
from deepid_lite.verification.model import face_features, weights_hash

NULLS = ("untrained", "pixels")
VERSION = 3  # part of the mark of stored scores: raise it when a change makes other scores


@study
def occlusion(
    setup,
    folder=None,
    precision="fp32",
    with_lbp=True,
    fractions=occ.FRACTIONS,
    sizes=occ.SIZES,
    fill="black",
    per_fold=None,
    most=None,
    seed=0,
):
    """Verification under growing covers [Figs. 15, 16]: every layer, the code, LBP; untrained net and pixels as nulls.

    Both pictures of a pair are covered, everything is learned on clean ones. folder: where each condition's scores are
    kept, so that an interrupted run goes on; at the reference scale the cache unless given. per_fold: only so many same
    and different pairs of each fold; most: only so many held-out images to fit on.
    """
    conditions = occ.conditions(fractions, sizes, fill, seed, setup.held_out.images)
    found = _swept(setup, conditions, folder, precision, with_lbp, per_fold, most, ("occlusion", fill, seed))
    kinds = {"from_below": ("below", fractions, 100), "block": ("block", sizes, 1)}
    names = {kind: ["clean", *(f"{word} {v:g}" for v in values)] for kind, (word, values, _) in kinds.items()}
    result = {
        "scale": setup.name,
        "data_hash": setup.test.data_hash,
        **found["facts"],
        "fill": fill,
        "seed": seed,
        "paper_height": occ.PAPER_HEIGHT,
        "null": {},
    }
    for kind, (_, values, unit) in kinds.items():
        result[kind] = {"levels": [0, *(round(unit * v, 3) for v in values)], "curves": {}}
        for name, scores in found["scores"].items():
            place = result["null"].setdefault(kind, {}) if name in NULLS else result[kind]["curves"]
            place.update(robustness.curves(scores, names[kind], found["pairs"]))
    return result


@study
def fills(setup, folder=None, precision="fp32", with_lbp=True, fraction=0.4, size=40, per_fold=None, most=None, seed=0):
    """Beyond the paper: what covers are filled with, sunglasses and masks; the rest as in `occlusion`."""
    conditions = {"clean": lambda images, landmarks, index: images}
    for fill in occ.FILLS:
        more = occ.conditions((fraction,), (size,), fill, seed, setup.held_out.images)
        conditions |= {f"{name}, {fill}": cover for name, cover in more.items() if name != "clean"}
    conditions |= {"sunglasses": lambda x, landmarks, _: disguises.sunglasses(x, landmarks),
                   "mask": lambda x, landmarks, _: disguises.surgical_mask(x, landmarks)}  # fmt: skip
    found = _swept(setup, conditions, folder, precision, with_lbp, per_fold, most,
                   ("fills", fraction, size, seed))  # fmt: skip
    result = {"scale": setup.name, "data_hash": setup.test.data_hash, **found["facts"], "seed": seed,
              "conditions": list(conditions), "curves": {}, "null": {}}  # fmt: skip
    for name, scores in found["scores"].items():
        result["null" if name in NULLS else "curves"] |= robustness.curves(scores, conditions, found["pairs"])
    return result


def _swept(setup, conditions, folder, precision, with_lbp, per_fold, most, settings):
    """All methods under all conditions: {"scores": {method: {condition: {curve: (P,)}}}, "pairs", "facts"}."""
    pairs, held_out = robustness.some_pairs(setup.pairs, per_fold), setup.held_out
    members = setup.ensemble.members if setup.ensemble else []

    def known():  # features of all held-out people; other studies use them as well
        return {f"FC-{n}": setup.features("held_out", n) for n in setup.model.net.heads}

    def of_members():
        return {"ensemble": np.concatenate([setup.with_model(m).features("held_out") for m in members], axis=1)}

    limit = {"most": most} if most else {}
    methods = {
        "net": robustness.layers(setup.model, held_out, precision, most, None if most else known),
        "untrained": robustness.untrained(setup.model, held_out, precision, **limit),
        "pixels": robustness.pixels(held_out, **limit),
    } | ({"lbp": robustness.high_dimensional_lbp(held_out, **limit)} if with_lbp else {})
    if members:
        methods["ensemble"] = robustness.joined(members, held_out, precision, most, None if most else of_members)
    nets = [(weights_hash(model), model.region) for model in (setup.model, *members)]
    mark = robustness.mark_of(setup.test.data_hash, held_out.data_hash, *nets, precision, most, *settings,
                              pairs.first, pairs.second, pairs.fold, VERSION)  # fmt: skip
    if folder is None and setup.name == "reference":
        folder = cache_folder() / f"{settings[0]}-{mark}"
    facts = {
        "pairs": len(pairs),
        "images": len(np.union1d(pairs.first, pairs.second)),
        "kept": most or len(held_out),
        "precision": precision,
        "nets": len(members) or 1,
    }
    scores = {name: robustness.sweep(setup.test, pairs, conditions, method, folder, mark, name, progress=True)
              for name, method in methods.items()}  # fmt: skip
    return {"scores": scores, "pairs": pairs, "facts": facts}


@study
def strips(setup, fractions=occ.FRACTIONS, sizes=occ.SIZES, most=None, every=4, seed=0):
    """FC-4 of single people under growing covers [Figs. 1, 17]; other people and an untrained net as nulls.

    most: images of a person at most. every: of the neurons, in the order of their clean means, each `every`-th is kept.
    """
    faces, conditions = setup.identity_set, occ.conditions(fractions, sizes, seed=seed)
    people = [np.flatnonzero(faces.labels == faces.names.index(name))[:most] for name in setup.celebrities]
    result = {
        "scale": setup.name,
        "data_hash": faces.data_hash,
        "people": list(setup.celebrities),
        "seed": seed,
        "images": [len(rows) for rows in people],
        "neurons": setup.model.net.dimension,
        "every": every,
        "levels": {"from_below": [0, *(round(100 * f, 3) for f in fractions)], "block": [0, *sizes]},
    }
    found = [_under_covers(setup.model, faces, rows, conditions) for rows in people]
    result |= occ.compare_people(found, len(fractions), every)
    result["example"] = _example(setup, found, people, fractions)
    fresh = untrained_model(setup.model, setup.held_out.images, most=1000)
    found = [_under_covers(fresh, faces, rows, conditions) for rows in people]
    return result | {"null": occ.compare_people(found, len(fractions))}


def _example(setup, found, people, fractions, neurons=32, bins=20):
    """Fig. 1: responses to one image of each of two people, and to the first covered; histograms of three neurons."""
    half = len(fractions) // 2
    shown = np.arange(neurons) * setup.model.net.dimension // neurons
    background = setup.features("identity_set")[:, : setup.model.net.dimension]  # pictures without their mirrors
    is_first = np.zeros(len(background), bool)
    is_first[people[0]] = True
    gap = (background[is_first] > 0).mean(0) - (background[~is_first] > 0).mean(0)
    picked = [int(np.argmax(gap)), int(np.argmin(gap)), int(np.argmin(np.abs(gap)))]
    groups = {"all": background} | {setup.celebrities[k]: background[people[k]] for k in (0, 1)}
    edges = np.linspace(0, np.quantile(background[:, picked], 0.995), bins + 1)
    responses = {"first": found[0][0, 0], "first, covered": found[0][1 + half, 0], "second": found[1][0, 0]}
    codes = {name: r > 0 for name, r in responses.items()}
    return {
        "covered_percent": round(100 * fractions[half], 3),
        "neurons": shown.tolist(),
        "responses": {name: np.round(r[shown], 4).tolist() for name, r in responses.items()},
        "code_distance": {name: int((codes["first"] != codes[name]).sum()) for name in ("first, covered", "second")},
        "picked": picked,
        "edges": np.round(edges, 4).tolist(),
        "share": {name: [_shares(f[:, k], edges) for k in picked] for name, f in groups.items()},
    }


def _shares(values, edges):
    """Share of values in each bin, the last one open to the right; percent."""
    counts = np.histogram(np.minimum(values, edges[-1]), edges)[0]
    return np.round(100 * counts / len(values), 2).tolist()


def _under_covers(model, faces, rows, conditions):
    """FC-4 features (L, n, D) of some images, without their mirrors, under each condition."""
    images = np.asarray(faces.images[rows])
    covered = (cover(images, faces.landmarks[rows], rows) for cover in conditions.values())
    return np.stack([extract(model.net, regions.crop(c, model.region), flip=False) for c in covered])


@study
def sensitivity(setup, n=100, side=24, step=8):
    """Which places of a face its score and its code hang on: mean over n same-person pairs; untrained net as null."""
    pairs = robustness.some_pairs(setup.pairs, max(1, -(-n // len(np.unique(setup.pairs.fold)))))
    fresh = untrained_model(setup.model, setup.held_out.images, most=1000)
    some = slice(0, 4000)
    null = fresh.with_verifier(face_features(fresh, setup.held_out.images[some]), setup.held_out.labels[some])
    return {
        "scale": setup.name,
        "data_hash": setup.test.data_hash,
        "side": side,
        "step": step,
        "net": _sensitivity(setup.model, setup.test, pairs, n, side, step),
        "null": _sensitivity(null, setup.test, pairs, n, side, step),
    }


def _sensitivity(model, faces, pairs, n, side, step):
    """Mean maps of the score's fall, as a share of what clean same and different pairs lie apart, and of bits."""
    same = np.flatnonzero(pairs.same)[:n]
    clean = {
        part: face_features(model, np.asarray(faces.images[index]))
        for part, index in (("first", pairs.first), ("second", pairs.second))
    }
    z = {part: model.verifier.project(f) for part, f in clean.items()}
    scores = model.verifier[-1].score_pairs(z["first"], z["second"])

    def measure(images, index):
        f = face_features(model, images)
        bits = ((f > 0) != (clean["first"][same[index]] > 0)).mean(1)
        z_covered = model.verifier.project(f)
        return np.stack([model.verifier[-1].score_pairs(z_covered, z["second"][same[index]]), -bits], axis=1)

    drop, tops, lefts = occ.sensitivity_map(np.asarray(faces.images[pairs.first[same]]), measure, side, step)
    drop[..., 0] /= scores[pairs.same].mean() - scores[~pairs.same].mean()
    return {
        "pairs": len(same),
        "tops": tops.tolist(),
        "lefts": lefts.tolist(),
        "score": np.round(drop[..., 0].mean(0), 4).tolist(),
        "code": np.round(drop[..., 1].mean(0), 4).tolist(),
    }


def _accuracy(result, kind, level, curve):
    """Accuracy under an occlusion: kind "from_below" (percent of the face) or "block" (pixels of the paper)."""
    return result[kind]["curves"][curve]["accuracy"][result[kind]["levels"].index(level)]


def _mean(values):
    values = list(values)
    return sum(values) / len(values)


def _deeper(result, level):
    """How much better the deepest layer is than the first that the net has, at a level of occlusion from below."""
    first = min(name for name in result["from_below"]["curves"] if name.startswith("FC-"))
    return _accuracy(result, "from_below", level, "FC-4") - _accuracy(result, "from_below", level, first)
