"""An ensemble: one net per region, their features side by side, then one PCA and one Joint Bayesian model.

The papers' system has 25 nets, each for a region of its own [DeepID2, section 3; DeepID2+, section 3]. A folder holds
it: `<region>/model.safetensors` for each net, as `train` writes it, and `ensemble.safetensors`, which names the nets by
the hash of their weights and has the verifier. So a net that is missing, or of another training, is noticed.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from sklearn.pipeline import Pipeline

from deepid_lite import tensors as checkpoints
from deepid_lite.errors import DataError
from deepid_lite.faces.regions import CANDIDATES, Region, folder_of
from deepid_lite.verification.evaluation import face_features
from deepid_lite.verification.model import (
    FaceModel,
    components,
    fitted,
    load_model,
    restore_verifier,
    verifier_tensors,
    weights_hash,
)

FILE = "ensemble.safetensors"
# After PCA. DeepID2 had 180, and about 2,000 people to fit Joint Bayesian on; with our 737 validation people are
# verified best with 60 (`components` in book/results/reference/ensemble.json).
COMPONENTS = 60


@dataclass
class Ensemble:
    """members: FaceModel, one a region. verifier: square root, PCA, Joint Bayesian of all features. card: facts."""

    members: list[FaceModel]
    verifier: Pipeline | None
    card: dict

    @property
    def names(self):
        """The members' regions."""
        return [member.region.name for member in self.members]


def features(members, images, layer=4, precision="fp32", progress=False):
    """Features (N, M 2 D) of aligned faces (N, 144, 128, 3): each member's picture and mirror, side by side."""
    return np.concatenate([face_features(member, images, layer, precision, progress) for member in members], axis=1)


def features_of(model, images, progress=False):
    """Features of a FaceModel model, or of all nets of an Ensemble."""
    if isinstance(model, Ensemble):
        return features(model.members, images, progress=progress)
    return face_features(model, images, progress=progress)


def fit(members, kept_features, labels, n_components=COMPONENTS):
    """The ensemble with Joint Bayesian fitted on features (N, M 2 D) of people that none of its nets saw."""
    n = components(kept_features, labels, n_components)
    card = {
        "regions": [member.region.name for member in members],
        "components": n,
        "people": len(np.unique(labels)),
        "images": len(labels),
        "nets": [member.card for member in members],
    }
    return Ensemble(members, fitted(kept_features, labels, n), card)


def save_ensemble(folder, ensemble):
    """Write FOLDER/ensemble.safetensors; the nets stay in their own folders there."""
    hashes = {member.region.name: weights_hash(member) for member in ensemble.members}
    regions = [asdict(member.region) for member in ensemble.members]
    facts = {"regions": regions, "weights": hashes, "card": ensemble.card}
    checkpoints.save(Path(folder) / FILE, verifier_tensors(ensemble.verifier), facts)


def net_file(folder, region):
    """Where the net of a region lies in the folder of its ensemble."""
    return Path(folder) / folder_of(region) / "model.safetensors"


def load_ensemble(folder):
    """Read what `save_ensemble` wrote, and its nets.

    DataError: no ensemble there, a net missing or of another training or region.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise DataError(f"{folder}: no {FILE} there; train the nets with deepid train --regions ... --out {folder}")
    tensors, facts = checkpoints.load(path)
    try:
        hashes, card = facts["weights"], facts["card"]
        regions = [Region(**{**region, "shape": tuple(region["shape"])}) for region in facts["regions"]]
        verifier = restore_verifier({name: tensor.double().numpy() for name, tensor in tensors.items()})
    except (KeyError, AttributeError, TypeError):
        raise DataError(f"{path}: no ensemble of this version; train it again") from None
    return Ensemble([_member(folder, region, hashes[region.name]) for region in regions], verifier, card)


def _member(folder, region, digest):
    path = net_file(folder, region)
    if not path.is_file():
        raise DataError(
            f"{path}: the net of region {region.name!r} is missing; the same deepid train --regions makes it"
        )
    model = load_model(path)
    if model.region != region or weights_hash(model) != digest:
        raise DataError(f"{path}: not the net that this ensemble was fitted on; run deepid train --regions again")
    return model


def finished_members(folder, regions):
    """The nets of FOLDER for these regions, in their order; DataError names the first that is not there yet."""
    members = []
    for region in regions:
        path = net_file(folder, region)
        if not path.is_file():
            raise DataError(f"{path}: not there yet; the same deepid train --regions goes on with it")
        members.append(load_model(path))
        if members[-1].region != region:
            raise DataError(f"{path}: its net looks at {members[-1].region.name!r}, not at {region.name!r}; delete it")
    return members


def trained_models(folder):
    """Every finished net in FOLDER: {region: FaceModel}, in the order of the table; all must be of the same data."""
    paths = sorted(Path(folder).glob("*/model.safetensors"))
    if not paths:
        raise DataError(f"{folder}: no <region>/model.safetensors there; train some with deepid train --regions")
    models = {model.region.name: model for model in map(load_model, paths)}
    if len({model.card.get("data_hash") for model in models.values()}) > 1:
        raise DataError(f"{folder}: its nets were trained on different data; select among nets of one data set")
    order = list(CANDIDATES)
    return {name: models[name] for name in sorted(models, key=lambda n: order.index(n) if n in order else len(order))}
