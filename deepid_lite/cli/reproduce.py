"""Any result or figure of the paper's studies with one command: `deepid reproduce sparsity`, `deepid reproduce fig15`.

A result is computed once for one model, data and code, written as JSON and drawn from there. A file of another model,
other data or other code is refused, never mixed in.
"""

import hashlib
import json
import time
from pathlib import Path

from deepid_lite.errors import DataError
from deepid_lite.figures import paper as plots
from deepid_lite.files import write_json
from deepid_lite.results import provenance
from deepid_lite.studies import ablations as experiments
from deepid_lite.studies import runs as studies
from deepid_lite.studies import setup as scales
from deepid_lite.verification.model import weights_hash

DATA = {"lite": "synthetic", "reference": "webfaces"}  # what the nets of an experiment are trained on

# figure of the paper -> (study or experiment, function of plots)
FIGURES = {
    "fig1": ("strips", "figure_1"),
    "fig3": ("regions", "figure_two_nets"),
    "fig4": ("verification", "figure_4"),
    "fig6": ("sparsity", "figure_6"),
    "fig7": ("attributes", "figure_7"),
    "fig8": ("identities", "figure_8"),
    "fig9": ("attributes", "figure_9"),
    "fig10": ("identities", "figure_10"),
    "fig11": ("attributes", "figure_11"),
    "fig12": ("identities", "figure_12"),
    "fig13": ("attributes", "figure_13"),
    "fig14": ("occlusion", "figure_14"),
    "fig15": ("occlusion", "figure_15"),
    "fig16": ("occlusion", "figure_16"),
    "fig17": ("strips", "figure_17"),
}


def names():
    """What `reproduce` knows: studies, figures, and experiments, which train nets."""
    return [*studies.STUDIES, *FIGURES, *experiments.EXPERIMENTS]


def reproduce(name, scale="lite", out="runs/reproduce", model=None, root=None, fresh=False):
    """Run the study `name`, or the one behind a figure, and draw the figure, or train the nets of an experiment.

    Returns the files written.

    scale: "lite" (synthetic faces) or "reference" (LFW and web faces in DEEPID_DATA or `root`). out: results lie in
    OUT/<scale>/, a result that is there already is used when model, data and code are the same. fresh: compute again.
    """
    if name not in names():
        raise DataError(f"{name!r}: nothing of that name; there are {', '.join(names())}")
    study, figure = FIGURES.get(name, (name, None))
    folder = Path(out) / scale
    if scale not in DATA:
        raise DataError(f"scale {scale!r}: use {' or '.join(DATA)}")
    if study in experiments.EXPERIMENTS:
        path = folder / study / "result.json"
        result = experiments.run_experiment(study, DATA[scale], root, path.parent)
    else:
        path = folder / f"{study}.json"
        result = result_of(study, _scale(scale, model, root), path, fresh)
    if figure is None:
        return [path]
    picture = folder / f"{name}.png"
    fig = getattr(plots, figure)(result)
    fig.savefig(picture, dpi=150, bbox_inches="tight")
    return [path, picture]


def result_of(study, scale, path, fresh=False):
    """The study's dict from its file, or computed and written there with model hash, seconds, versions and commit."""
    marks = {"model_hash": _model_hash(scale), "test_hash": scale.test.data_hash[:16]}
    here = {**marks, "commit": provenance()["commit"]}
    if path.is_file() and not fresh:
        stored = _read(path)
        other = [key for key, value in here.items() if stored.get(key) != value]
        if other:
            raise DataError(f"{path}: made with another {', '.join(other)}; add --fresh or choose another --out")
        return stored
    start = time.perf_counter()
    found = studies.STUDIES[study](scale)
    result = {**found, **marks, "seconds": round(time.perf_counter() - start, 1), **provenance()}
    write_json(path, result)
    return result


def _model_hash(scale):
    """Of the net's weights, or of all nets of an ensemble."""
    if scale.ensemble is None:
        return weights_hash(scale.model)[:16]
    hashes = "".join(map(weights_hash, scale.ensemble.members))
    return hashlib.sha256(hashes.encode()).hexdigest()[:16]


def _scale(name, model, root):
    return scales.lite(model or "lite") if name == "lite" else scales.reference(model or "webfaces", root)


def _read(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: no readable result ({error}); add --fresh") from None
