"""The paper's studies as functions of a `Scale`, each a dict of plain numbers for JSON.

`STUDIES` names them for the command line (`deepid reproduce NAME`); plots.py draws their results. Every study holds its
null model beside the net: a claim counts only where the trained net beats its null.
"""

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces import splits
from deepid_lite.faces.regions import crop
from deepid_lite.neurons import codes as binary
from deepid_lite.neurons import selectiveness as single
from deepid_lite.neurons import sparsity as neurons
from deepid_lite.neurons.silencing import lesions
from deepid_lite.studies import codes as code_tables
from deepid_lite.studies import neuron_systems as subjects
from deepid_lite.studies import neurons as tables
from deepid_lite.studies.ensemble import ensemble
from deepid_lite.studies.fairness import error_rates_by_sex
from deepid_lite.studies.occlusion import fills, occlusion, sensitivity, strips
from deepid_lite.verification.features import extract
from deepid_lite.verification.model import fitted
from deepid_lite.verification.pipeline import evaluate_model

STUDIES = {}


def study(function):
    """Register a study under its function's name."""
    STUDIES[function.__name__] = function
    return function


for elsewhere in (occlusion, strips, fills, sensitivity, ensemble, error_rates_by_sex):
    study(elsewhere)


@study
def verification(scale, seed=0):
    """Tables 1 and 3 and Fig. 4: everything that `deepid evaluate` says of the net, or of the ensemble, on its test."""
    data = "lfw" if scale.name == "reference" else "synthetic"
    report = evaluate_model(scale.ensemble or scale.model, data, scale.root, seed)
    return {"scale": scale.name, **report}


@study
def sparsity(scale, seed=0):
    """Figs. 1 and 6: active neurons an image, images a neuron, entropy and Hamming distances, of each layer.

    Counted on the pictures (no mirror) of the held-out people, as the paper counts on its validation people; `test` has
    the same of the test people. Nulls: fresh weights with batch norm's statistics estimated and without batch norm; the
    independent neurons of the same rates stand in each summary. `examples`: activations of 32 evenly spaced neurons of
    the last layer on two pictures of one person and one of another, those of whom there are most [Fig. 1].
    """
    layers = scale.model.net.heads
    nulls = neurons.nulls(scale.model, scale.held_out.images, seed)
    null = neurons.sparsity_of_runs(nulls, scale.held_out.images, scale.held_out.labels, layers, progress=True)
    of = {part: {n: neurons.picture(scale.features(part, n)) for n in layers} for part in ("held_out", "test")}
    return {
        "scale": scale.name,
        "data_hash": scale.held_out.data_hash,
        "people": len(scale.held_out.names),
        "layers": {
            f"FC-{n}": {
                "net": neurons.summary(of["held_out"][n], scale.held_out.labels),
                "nulls": {name: found[n] for name, found in null.items()},
            }
            for n in layers
        },
        "test": {f"FC-{n}": neurons.summary(of["test"][n], scale.test.labels, histograms=False) for n in layers},
        "examples": neurons.rounded(neurons.examples(of["test"][layers[-1]], scale.test.labels)),
    }


@study
def codes(scale, seed=0):
    """Table 4 of one net, accuracy against bits and bytes, and recall of a search; see code_tables.

    Joint Bayesian and the orders of bits are fitted on the held-out people, Table 4 for codes of picture and mirror and
    of the picture alone. Nulls: codes of a net with fresh weights, and signs of random projections of the raw pixels.
    """
    held_out, test = scale.features("held_out"), scale.features("test")
    bits, half, sizes = test > 0, held_out.shape[1] // 2, code_tables.bit_sizes(held_out.shape[1])
    labels, pairs = scale.held_out.labels, scale.pairs
    draws = {"random": range(code_tables.RANDOM_DRAWS), "entropy": [0], "variance": [0]}
    curve = {
        how: code_tables.bits_curve(bits, [binary.order_bits(held_out, how, s) for s in seeds], pairs, sizes)
        for how, seeds in draws.items()
    }
    verifier = fitted(held_out, labels)  # on the same people as the codes' own, also where `held_out` is a part
    z = verifier[:-1].transform(test)
    gallery, queries = code_tables.search_split(scale.test.labels)
    scores = verifier[-1].score_gallery(z[queries], z[gallery])
    search = code_tables.searcher(scores, scale.test.labels, gallery, queries)
    return {
        "scale": scale.name,
        "data_hash": scale.held_out.data_hash,
        "test_hash": scale.test.data_hash,
        "bits": len(bits[0]),
        "table": {
            "picture and mirror": code_tables.table_4(held_out, labels, test, pairs, verifier),
            "picture": code_tables.table_4(held_out[:, :half], labels, test[:, :half], pairs),
        },
        "curve": {
            "bits": sizes,
            **curve,
            "projections": code_tables.projections_curve(test, held_out.mean(0), pairs, sizes),
        },
        "floats": code_tables.floats_curve(held_out, labels, test, pairs),
        "search": {
            "gallery": len(gallery),
            "queries": len(queries),
            "candidates": code_tables.candidate_sizes(len(gallery)),
            "codes": search(bits),
            "real": search(None),
        },
        "nulls": _null_codes(scale, sizes, search, seed),
    }


def _null_codes(scale, sizes, search, seed):
    """Codes that no training made, as long as the net's: {name: table, curve, search}."""
    crops = {part: crop(getattr(scale, part).images, scale.model.region) for part in ("held_out", "test")}
    fresh = neurons.untrained(scale.model.net, crops["held_out"][:2000], seed)
    nets = {part: extract(fresh, faces, progress=True) > 0 for part, faces in crops.items()}
    flat = {part: faces.reshape(len(faces), -1) for part, faces in crops.items()}
    mean = flat["held_out"].mean(0)
    pixels = {part: binary.random_projection_bits(f, max(sizes), seed, mean) for part, f in flat.items()}
    orders = [np.random.default_rng(s).permutation(max(sizes)) for s in range(code_tables.RANDOM_DRAWS)]
    return {
        name: {
            "table": {
                "binary": code_tables.binary_row(found["held_out"], scale.held_out.labels, found["test"], scale.pairs)
            },
            "curve": code_tables.bits_curve(found["test"], orders, scale.pairs, sizes),
            "search": search(found["test"]),
        }
        for name, found in {"untrained": nets, "pixels": pixels}.items()
    }


@study
def identities(scale, seed=0, with_lbp=True, draws=10):
    """Figs. 8, 10 and 12 for the five people with most images: one neuron, its statistics, histograms; and lesions.

    Halves are stratified by person. Nulls: an untrained net, LBP, labels shuffled among the images ("permuted", chosen
    and scored as all others; "luckiest", the best of all neurons on the very images that score it).
    """
    names, labels = list(scale.celebrities), scale.crowd.labels
    first = single.halves(labels, seed)
    targets = np.stack([labels == scale.crowd.names.index(name) for name in names], axis=1)
    tested, missing = single.testable(targets, [first], names, subjects.PERSON_LEAST)
    names, targets = [names[a] for a in tested], targets[:, tested]
    if not names:
        raise DataError(f"identities: nobody has {subjects.PERSON_LEAST} images in each half; give more images")
    systems = subjects.systems(scale, "crowd", np.arange(len(labels)), with_lbp, seed)
    net = systems["net"]
    found = {name: single.one_neuron(x, targets, first, progress=True) for name, x in systems.items()}
    shuffled = single.one_neuron(net, single.permuted(targets, seed), first)
    silenced = lesions(net, targets, first, subjects.SILENCED, draws, seed, progress=True)
    return {
        "scale": scale.name,
        "data_hash": scale.crowd.data_hash,
        "seed": seed,
        "images": len(labels),
        "people": len(scale.crowd.names),
        "neurons": net.shape[1],
        "names": names,
        "positives": targets.sum(0).tolist(),
        "not_tested": missing,
        "systems": {name: tables.summary(f) for name, f in found.items()},
        "nulls": {"permuted": tables.numbers(shuffled.accuracy), "luckiest": tables.numbers(shuffled.every.max(1))},
        "curves": {n: {s: tables.curves(x, targets[:, a], found[s], a) for s, x in systems.items()}
                   for a, n in enumerate(names[:3])},
        "random_neurons": tables.random_neurons(net, seed),
        "histograms": {n: tables.extremes(net, targets[:, a], found["net"], a, ~first)
                       for a, n in enumerate(names[:2])},
        "seen": tables.portraits(net, found["net"], {n: a for a, n in enumerate(names)}, labels),
        "lesions": {key: tables.numbers(value, 5) for key, value in silenced._asdict().items()},
    }  # fmt: skip


@study
def attributes(scale, folder=None, seed=0, with_lbp=True):
    """Figs. 7, 9, 11 and 13: attributes by all neurons and by one, against LBP over its dimensions.

    Ground truth at the lite scale; at the reference scale CelebA's human labels of people whom the net never saw
    (folder: see `subjects.attribute_labels`). Each number comes twice, for random halves of the images, as in the
    paper, and for halves without a person in common. Nulls: an untrained net, labels shuffled among the images, and a
    coin tossed for each person, which only knowing the person again can tell.
    """
    part, rows, names, targets = subjects.attribute_labels(scale, folder)
    faces = getattr(scale, part)
    labels = splits.renumber(faces.labels[rows])
    firsts = {"random": single.halves(np.zeros(len(rows)), seed), "people": splits.split_people(labels, seed)}
    tested, missing = single.testable(targets, firsts.values(), names, subjects.ATTRIBUTE_LEAST)
    names, targets = [names[a] for a in tested], targets[:, tested]
    if not names:
        raise DataError(f"attributes: none has {subjects.ATTRIBUTE_LEAST} images of each kind in each half; give more")
    systems = subjects.systems(scale, part, rows, with_lbp, seed)
    net = systems["net"]
    found = {kind: {s: single.one_neuron(x, targets, first, progress=True) for s, x in systems.items()}
             for kind, first in firsts.items()}  # fmt: skip
    strangers = found["people"]
    best = np.argsort(-strangers["net"].accuracy, kind="stable")
    return {
        "scale": scale.name,
        "data_hash": faces.data_hash,
        "seed": seed,
        "labels": "drawn" if scale.name == "lite" else "given by people",
        "images": len(rows),
        "people": int(labels.max()) + 1,
        "neurons": net.shape[1],
        "names": names,
        "known": (~np.isnan(targets)).sum(0).tolist(),
        "positives": (targets == 1).sum(0).tolist(),
        "positive_people": [len(np.unique(labels[column == 1])) for column in targets.T],
        "not_tested": missing,
        "left_out": [] if scale.name == "lite" else list(subjects.LEFT_OUT),
        "halves": {
            kind: {
                "systems": {s: tables.summary(f) for s, f in found[kind].items()},
                "nulls": subjects.attribute_nulls(net, targets, labels, first, seed),
                **subjects.attribute_accuracy(scale, part, rows, systems, targets, first, with_lbp),
            } for kind, first in firsts.items()
        },
        "curves": {names[a]: {s: tables.curves(x, targets[:, a], strangers[s], a) for s, x in systems.items()}
                   for a in best[:2]},
        "histograms": {group: tables.groups(net, targets, names, wanted, strangers["net"], ~firsts["people"])
                       for group, wanted in subjects.GROUPS.items() if set(wanted) & set(names)},
        "seen": tables.portraits(net, strangers["net"], {names[a]: a for a in best[:6]}, labels, targets, names),
    }  # fmt: skip
