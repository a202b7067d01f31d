"""An ensemble: one net per region, their features side by side, then one PCA and one Joint Bayesian model.

The papers' system has 25 nets, each for a region of its own [DeepID2, section 3; DeepID2+, section 3]. A folder holds
it: `<region>/model.safetensors` for each net, as `train` writes it, and `ensemble.safetensors`, which names the nets by
the hash of their weights and has the verifier. So a net that is missing, or of another training, is noticed.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from deepid_lite import tensors
from deepid_lite.errors import DataError
from deepid_lite.faces.regions import CANDIDATES, folder_of
from deepid_lite.verification.model import (
    FaceModel,
    face_features,
    load_model,
    pretrained,
    read_card,
    read_region,
    read_verifier,
    verifier_tensors,
    weights_hash,
)
from deepid_lite.verification.verifier import Verifier, components, fit_verifier

FILE = "ensemble.safetensors"
# After PCA. DeepID2 had 180, and about 2,000 people to fit Joint Bayesian on; with our 737 validation people are
# verified best with 60 (`components` in book/results/reference/ensemble.json).
COMPONENTS = 60


@dataclass
class Ensemble:
    """members: FaceModel, one a region. verifier: of all features side by side. card: facts."""

    members: list[FaceModel]
    verifier: Verifier
    card: dict

    @property
    def names(self):
        """The members' regions."""
        return [member.region.name for member in self.members]

    def features(self, images, layer=4, precision="fp32", progress=False):
        """See model.face_features: (N, M 2 D)."""
        return features(self.members, images, layer, precision, progress)


def any_model(name):
    """A FaceModel or Ensemble, by name, by file, by the folder of an ensemble, or as it is."""
    if isinstance(name, FaceModel | Ensemble):
        return name
    return load_ensemble(name) if Path(name).is_dir() else pretrained(name)


def features(members, images, layer=4, precision="fp32", progress=False):
    """Features (N, M 2 D) of aligned faces (N, 144, 128, 3): each member's image and flip, side by side."""
    return np.concatenate([face_features(member, images, layer, precision, progress) for member in members], axis=1)


def fit(members, held_out, labels, n_components=COMPONENTS):
    """The ensemble with a verifier fitted on features `held_out` (N, M 2 D) of people that none of its nets saw."""
    card = {
        "regions": [member.region.name for member in members],
        "components": components(held_out, labels, n_components),
        "people": len(np.unique(labels)),
        "images": len(labels),
        "nets": [member.card for member in members],
    }
    return Ensemble(members, fit_verifier(held_out, labels, n_components), card)


def save_ensemble(folder, ensemble):
    """Write FOLDER/ensemble.safetensors; the nets stay in their own folders there."""
    hashes = {member.region.name: weights_hash(member) for member in ensemble.members}
    regions = [asdict(member.region) for member in ensemble.members]
    facts = {"regions": regions, "weights": hashes, "card": ensemble.card}
    tensors.save(Path(folder) / FILE, verifier_tensors(ensemble.verifier), facts)


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
    numbers, facts = tensors.load(path)
    with tensors.contents_of(path):
        regions, card = [read_region(region) for region in facts["regions"]], read_card(facts["card"])
        hashes = [facts["weights"][region.name] for region in regions]
        if not regions:
            raise DataError("it names no net")
    members = [_member(folder, region, digest) for region, digest in zip(regions, hashes, strict=True)]
    with tensors.contents_of(path):
        return Ensemble(members, read_verifier(numbers, sum(2 * member.net.dimension for member in members)), card)


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
