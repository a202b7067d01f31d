"""The studies of occlusion, and what the paper claims of it.

`occlusion` is the paper's own [DeepID2+, section 7, Figs. 15 and 16], `strips` its Fig. 17 and the left of its Fig. 1,
`ensemble_occlusion` its curve of 25 nets; `fills` and `sensitivity` go beyond it. Each is a dict of plain numbers for
JSON, with its nulls.
"""

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.cache import cache_folder
from deepid_lite.neurons import disguises
from deepid_lite.neurons import occlusion as occ
from deepid_lite.neurons.untrained import untrained_model
from deepid_lite.registry import Claim, Estimate, claims, study
from deepid_lite.results import load_result
from deepid_lite.studies import robustness
from deepid_lite.studies.intervals import of_loss_difference, of_pairs
from deepid_lite.studies.patterns import patterns, under_covers
from deepid_lite.studies.robustness import decided, decisions
from deepid_lite.verification.metrics import verify
from deepid_lite.verification.model import face_features, weights_hash

NULLS = ("untrained", "pixels")
NULL_PAIRS = 50  # same and different pairs of each fold on which the nulls are tested
LBP_AT = 70.0  # percent: the paper's LBP under blocks of 50
VERSION = 4  # part of the mark of stored scores: raise it when a change makes other scores


@study
def occlusion(
    setup,
    folder=None,
    precision=None,
    with_lbp=True,
    fractions=occ.FRACTIONS,
    sizes=occ.SIZES,
    fill="black",
    per_fold=None,
    most=None,
    seed=0,
    n_people=None,
):
    """Verification under growing covers [Figs. 15, 16]: every layer, the code, LBP; untrained net and pixels as nulls.

    Both pictures of a pair are covered, everything is learned on clean ones. `block_at_70`: to the sizes comes the
    block under which LBP verifies 70 %, between two of them on a straight line. `right`: which pairs were decided
    rightly, for intervals. `patterns`: see `patterns`, under 40 % from below and under that block. folder: where each
    condition's scores are kept, so that an interrupted run goes on; at the reference scale the cache unless given.
    precision: of the nets; bf16 at the reference scale unless given. per_fold: only so many same and different pairs
    of each fold; most: only so many held-out images to fit on; n_people: of whom patterns are looked at, none for 0 or,
    unless given, where pairs are few.
    """
    precision = precision or ("bf16" if setup.name == "reference" else "fp32")
    donors = setup.held_out.images
    conditions, at = occ.conditions(fractions, sizes, fill, seed, donors), {}

    def calibrated(lbp, pairs):
        at["size"] = size_at(LBP_AT, sizes, [100 * verify(lbp[f"block {n:g}"]["LBP"], pairs).accuracy for n in sizes])
        return occ.conditions((), (at["size"],), fill, seed, donors)

    more = calibrated if sizes else None
    found = _swept(setup, conditions, folder, precision, with_lbp, per_fold, most, ("occlusion", fill, seed), more)
    kinds = {"from_below": ("below", fractions, 100), "block": ("block", sorted({*sizes, *at.values()}), 1)}
    result = _covered(setup, found, kinds) | {"fill": fill, "seed": seed, "block_at_70": at.get("size")}
    n_people = (0 if per_fold else 150) if n_people is None else n_people
    if n_people:
        chosen = {"40 % from below": ((0.4,), ()), **({f"block of {at['size']:g}": ((), (at["size"],))} if at else {})}
        covers = {name: list(occ.conditions(*of, fill, seed, donors).values())[1] for name, of in chosen.items()}
        result["patterns"] = patterns(setup, covers, n_people)
    return result


@study
def ensemble_occlusion(setup, folder=None, block=None, per_fold=None, most=None, seed=0):
    """All nets of an ensemble, and the first alone, where the paper prints what 25 nets keep: 40 and 70 %, one block.

    block: its size; unless given the one under which LBP verifies 70 %, as `occlusion` recorded it. DataError where
    `setup` has no ensemble, or where that is not recorded yet.
    """
    if setup.ensemble is None:
        raise DataError("ensemble_occlusion: --model must be the folder of one; deepid train --regions makes it")
    block = block or load_result("occlusion", setup.name).get("block_at_70")
    if block is None:
        raise DataError("ensemble_occlusion: the recorded occlusion has no block_at_70; reproduce and record it first")
    fractions, precision = (0.4, 0.7), "bf16" if setup.name == "reference" else "fp32"
    conditions = occ.conditions(fractions, (block,), seed=seed)
    found = _swept(setup, conditions, folder, precision, False, per_fold, most, ("ensemble", block, seed))
    kinds = {"from_below": ("below", fractions, 100), "block": ("block", [block], 1)}
    return _covered(setup, found, kinds) | {"seed": seed, "block_at_70": block}


def size_at(wanted, sizes, accuracies):
    """The size, a whole number, at which falling accuracies reach `wanted`: between two sizes on a straight line.

    Where they never do, the size whose accuracy is nearest.
    """
    for k in range(1, len(sizes)):
        above, below = accuracies[k - 1], accuracies[k]
        if above > wanted >= below:
            return round(sizes[k - 1] + (above - wanted) / (above - below) * (sizes[k] - sizes[k - 1]))
    return sizes[int(np.argmin(np.abs(np.subtract(accuracies, wanted))))]


def _covered(setup, found, kinds):
    """Curves over the levels of each kind {name: (word, values, unit)}, and which pairs were decided rightly."""
    pairs = found["pairs"]
    result = {
        "scale": setup.name,
        "data_hash": setup.test.data_hash,
        **found["facts"],
        "pairs_per_fold": np.bincount(pairs.fold).tolist(),
        "paper_height": occ.PAPER_HEIGHT,
        "null": {},
        "right": {},
    }
    for kind, (word, values, unit) in kinds.items():
        names = ["clean", *(f"{word} {v:g}" for v in values)]
        result[kind] = {"levels": [0, *(round(unit * v, 3) for v in values)], "curves": {}}
        result["right"][kind], result["null"][kind] = {}, {}
        for method, scores in found["scores"].items():
            if method in NULLS:
                result["null"][kind] |= robustness.curves(scores, names, found["null_pairs"])
                continue
            result[kind]["curves"] |= robustness.curves(scores, names, pairs)
            right = result["right"][kind]
            right |= {curve: [decided(scores[name][curve], pairs) for name in names] for curve in scores["clean"]}
    return result


@study
def fills(setup, folder=None, precision=None, with_lbp=True, fraction=0.4, size=40, per_fold=30, most=None, seed=0):
    """Beyond the paper, on some pairs: what covers are filled with, sunglasses and masks; else as `occlusion`."""
    precision = precision or ("bf16" if setup.name == "reference" else "fp32")
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
        pairs = found["null_pairs" if name in NULLS else "pairs"]
        result["null" if name in NULLS else "curves"] |= robustness.curves(scores, conditions, pairs)
    return result


def _swept(setup, conditions, folder, precision, with_lbp, per_fold, most, settings, more=None):
    """All methods under all conditions: {"scores": {method: {condition: {curve: (P,)}}}, "facts", and the pairs}.

    more: function of LBP's scores and the pairs that gives further conditions for everybody.
    """
    pairs, held_out = robustness.some_pairs(setup.pairs, per_fold), setup.held_out
    null_pairs = robustness.some_pairs(pairs, NULL_PAIRS)
    members = setup.ensemble.members if setup.ensemble else []

    def known():  # features of all held-out people; other studies use them as well
        return {f"FC-{n}": setup.features("held_out", n) for n in setup.model.net.heads}

    def of_members():
        of_each = [setup.with_model(m, precision).features("held_out") for m in members]
        return {"ensemble": np.concatenate(of_each, axis=1)}

    limit = {"most": most} if most else {}
    methods = {"lbp": robustness.high_dimensional_lbp(held_out, **limit)} if with_lbp else {}
    methods |= {
        "net": robustness.layers(setup.model, held_out, precision, most, None if most else known),
        "untrained": robustness.untrained(setup.model, held_out, precision, **limit),
        "pixels": robustness.pixels(held_out, **limit),
    }
    if members:
        methods["ensemble"] = robustness.joined(members, held_out, precision, most, None if most else of_members)
    nets = [(weights_hash(model), model.region) for model in (setup.model, *members)]
    mark = robustness.mark_of(setup.test.data_hash, held_out.data_hash, *nets, precision, most, *settings,
                              pairs.first, pairs.second, pairs.fold, VERSION)  # fmt: skip
    if folder is None and setup.name == "reference":
        folder = cache_folder() / f"{settings[0]}-{mark}"
    facts = {
        "pairs": len(pairs),
        "null_pairs": len(null_pairs),
        "images": len(np.union1d(pairs.first, pairs.second)),
        "kept": most or len(held_out),
        "precision": precision,
        "nets": len(members) or 1,
    }
    scores = {}
    for name, method in methods.items():
        of = null_pairs if name in NULLS else pairs

        def swept(conditions, name=name, method=method, of=of):
            return robustness.sweep(setup.test, of, conditions, method, folder, mark, name, progress=True)

        scores[name] = swept(conditions)
        if name == "lbp" and more:
            further = {c: cover for c, cover in more(scores["lbp"], pairs).items() if c not in conditions}
            scores["lbp"] |= swept(further)
            conditions = conditions | further
    return {"scores": scores, "pairs": pairs, "null_pairs": null_pairs, "facts": facts}


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
    found = [under_covers(setup.model, faces, rows, conditions) for rows in people]
    result |= occ.compare_people(found, len(fractions), every)
    result["example"] = _example(setup, found, people, fractions)
    fresh = untrained_model(setup.model, setup.held_out.images, most=1000)
    found = [under_covers(fresh, faces, rows, conditions) for rows in people]
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


@study
def sensitivity(setup, n=50, side=24, step=8):
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


# claims


def _right(result, kind, level, *curves):
    """Which pairs these curves decide rightly: (clean, covered) of each, and the fold of each pair."""
    at = result[kind]["levels"].index(level)
    texts = [result["right"][kind][curve][k] for curve in curves for k in (0, at)]
    found, fold = decisions(result, *texts)
    return list(zip(found[::2], found[1::2], strict=True)), fold


def _kept(result, kind, level, curve="FC-4"):
    """Accuracy under a cover."""
    ((_, covered),), fold = _right(result, kind, level, curve)
    return of_pairs(covered, fold)


def _lost(result, kind, level, curve="FC-4"):
    """Points lost under a cover."""
    (both,), fold = _right(result, kind, level, curve)
    return of_pairs(both, fold, lambda a: 100 * (a[..., 0] - a[..., 1]))


def _loses_less(result, kind, level, other="LBP", ours="FC-4"):
    """How much less ours loses than the other."""
    (first, second), fold = _right(result, kind, level, ours, other)
    return of_loss_difference(first, second, fold)


def _first_layer(result):
    return min(name for name in result["from_below"]["curves"] if name.startswith("FC-"))


def _at_block(read, **more):
    """A reader at the block under which LBP is at 70 %."""
    return lambda r: read(r, "block", r["block_at_70"], **more)


def _levels(read, **more):
    """A reader at the two levels of C30."""
    return lambda r: {f"{level} %": read(r, "from_below", level, **more) for level in (40, 70)}


def _patterns(key):
    return lambda r: {place: Estimate(*found[key]) for place, found in r["patterns"]["at"].items()}


def _patterns_of_own_mean(result):
    return {f"{place}, each condition's own mean subtracted": Estimate(*found["own_mean"]["own"])
            for place, found in result["patterns"]["at"].items()}  # fmt: skip


def _at_50(result):
    return {f"{curve} under blocks of 50": _kept(result, "block", 50, curve) for curve in ("FC-4", "LBP")}


LEANS = {"section": "robust", "study": "occlusion", "kind": "baseline", "interval": "pairs", "log_odds": True,
         "leans_on_lbp": True}  # fmt: skip
OF_ALL = {**LEANS, "study": "ensemble_occlusion", "against": "loss of the single net", "leans_on_lbp": False}

claims(
    Claim(
        "C26", "Over 90 % with 40 % of the face covered from below, where LBP is below 70 %", "section 7, Fig. 15",
        "over 90 %", **LEANS, against="LBP's loss", at_least=90, margin=8, ours=lambda r: _kept(r, "from_below", 40),
        difference=lambda r: _loses_less(r, "from_below", 40),
    ),
    Claim(
        "C27", "LBP drops dramatically already at 10 to 20 %", "section 7, Fig. 15", "drawn, no number", **LEANS,
        against="FC-4's loss", at_least=10, own_bar=True, unit="{:.1f} points",
        ours=lambda r: _lost(r, "from_below", 20, "LBP"), difference=lambda r: _loses_less(r, "from_below", 20),
    ),
    Claim(
        "C28", "Blocks of 50 × 50 pixels leave 89.2 %, and LBP about 70 %", "section 7, Fig. 16", "89.2 %", **LEANS,
        against="LBP's loss", at_least=89.2, margin=8, ours=_at_block(_kept), difference=_at_block(_loses_less),
        beside=_at_50,
    ),
    Claim(
        "C29", "It is depth: over 90 % from FC-2 on at 40 %, FC-1 below", "section 7, Figs. 15, 16",
        "drawn, no number", **{**LEANS, "leans_on_lbp": False}, margin=1, smaller=True, unit="{:.1f} points",
        against="the loss of FC-1, or of the first layer that the net has", ours=lambda r: _lost(r, "from_below", 40),
        difference=lambda r: _loses_less(r, "from_below", 40, _first_layer(r)),
    ),
    Claim(
        "C30", "25 nets are the most robust", "section 7, Fig. 15", "93.9 % at 40 %, 88.2 % at 70 %", **OF_ALL,
        at_least=(93.9, 88.2), ours=_levels(_kept, curve="ensemble"),
        difference=_levels(_loses_less, other="FC-4", ours="ensemble"),
    ),
    Claim(
        "C31", "25 nets are so under blocks of 50 as well", "section 7, Fig. 16", "92.4 %", **OF_ALL, at_least=92.4,
        ours=_at_block(_kept, curve="ensemble"),
        difference=_at_block(_loses_less, other="FC-4", ours="ensemble"),
    ),
    Claim(
        "C32", "A person's pattern of activations stays", "section 7, Fig. 17", "drawn, no number", section="robust",
        study="occlusion", kind="null", interval="people", against="covered patterns of other people", at_least=0.7,
        own_bar=True, margin=0.2, unit="rank correlation {:.2f}", ours=_patterns("own"),
        difference=_patterns("difference"), beside=_patterns_of_own_mean,
    ),
)  # fmt: skip
