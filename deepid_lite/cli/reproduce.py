"""Any result or figure of the paper's studies with one command: `deepid reproduce sparsity`, `deepid reproduce fig15`.

A result is computed once for one model, data and code, written as JSON and drawn from there. A file of another model,
other data or other code is refused, never mixed in.
"""

import hashlib
import tempfile
import time
from pathlib import Path

from deepid_lite.errors import DataError
from deepid_lite.figures.style import save_figure
from deepid_lite.files import write_json
from deepid_lite.registry import FIGURES, STUDIES, load
from deepid_lite.results import provenance, read_record, sealed
from deepid_lite.studies import ablations
from deepid_lite.studies import setup as setups
from deepid_lite.verification.model import weights_hash

DATA = {"lite": "synthetic", "reference": "webfaces"}  # what the nets of an experiment are trained on


def names():
    """What `reproduce` knows: studies, figures, and experiments, which train nets."""
    for room in ("papers", "studies", "figures"):
        load(f"deepid_lite.{room}")
    return [*STUDIES, *FIGURES, *ablations.EXPERIMENTS]


def reproduce(name, scale="lite", out="runs/reproduce", model=None, root=None, fresh=False, **trainings):
    """Run the study `name`, or the one behind a figure, and draw the figure, or train the nets of an experiment.

    Returns the files written.

    scale: "lite" (synthetic faces) or "reference" (LFW and web faces in DEEPID_DATA or `root`). out: results lie in
    OUT/<scale>/, a result that is there already is used when model, data and code are the same. fresh: compute again.
    trainings: of an experiment, see `ablations.run_experiment`; None leaves its own.
    """
    if name not in names():
        raise DataError(f"{name!r}: nothing of that name; there are {', '.join(names())}")
    if scale not in DATA:
        raise DataError(f"scale {scale!r}: use {' or '.join(DATA)}")
    draw, study = FIGURES.get(name, (None, name))
    trains = study in ablations.EXPERIMENTS
    folder = Path(out) / scale
    path = folder / study / "result.json" if trains else folder / f"{study}.json"
    picture = folder / f"{name}.png"
    if trains and model is not None:
        raise DataError(f"--model {model}: {study} trains nets of its own; leave it out")
    trainings = {key: value for key, value in trainings.items() if value is not None}
    if trainings and not trains:
        raise DataError(f"--{next(iter(trainings))}: {name} trains no nets; leave it out")
    _check_writable(*([path] if study else []), *([picture] if draw else []))
    if study is None:
        save_figure(draw(), picture)
        return [picture]
    if trains:
        result = ablations.run_experiment(study, DATA[scale], root, path.parent, fresh=fresh, **trainings)
    else:
        result = result_of(study, _setup(scale, model, root), path, fresh)
    if draw is None:
        return [path]
    try:
        fig = draw(result)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        why = f"{type(error).__name__}: {error}"
        raise DataError(f"{path}: {name} cannot be drawn from it ({why}); add --fresh to compute it again") from error
    save_figure(fig, picture)
    return [path, picture]


def result_of(study, setup, path, fresh=False):
    """The study's dict from its file, or computed and written there with model hash, seconds, versions and commit."""
    marks = {"model_hash": _model_hash(setup), "test_hash": setup.test.data_hash[:16]}
    here = {**marks, "commit": provenance()["commit"]}
    if path.is_file() and not fresh:
        stored = read_record(path, "add --fresh to compute it again")
        other = [key for key, value in here.items() if stored.get(key) != value]
        if other:
            raise DataError(f"{path}: made with another {', '.join(other)}; add --fresh or choose another --out")
        return stored
    start = time.perf_counter()
    found = STUDIES[study](setup)
    result = {**found, **marks, "seconds": round(time.perf_counter() - start, 1), **provenance()}
    write_json(path, sealed(result))
    return result


def _check_writable(*paths):
    """DataError where a file could not be written: before the work, which may take hours."""
    for path in paths:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path.parent):
                pass
            if path.exists() and not path.is_file():
                raise OSError(0, "it is no plain file")
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror}); choose another --out") from None


def _model_hash(setup):
    """Of the net's weights, or of all nets of an ensemble."""
    if setup.ensemble is None:
        return weights_hash(setup.model)[:16]
    hashes = "".join(map(weights_hash, setup.ensemble.members))
    return hashlib.sha256(hashes.encode()).hexdigest()[:16]


def _setup(name, model, root):
    return setups.lite(model or "lite") if name == "lite" else setups.reference(model or "webfaces", root)
