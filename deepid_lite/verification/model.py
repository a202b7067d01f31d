"""A net, the region it looks at and its verifier in one safetensors file.

`pretrained("lite")` was trained on the synthetic faces, `pretrained("webfaces")` on photographs; the latter is for
research and teaching only. Numbers are kept as fp16 where 11 bits are enough, and nothing in the file is code.
"""

import dataclasses
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import nn

from deepid_lite import tensors
from deepid_lite.errors import DataError
from deepid_lite.faces.regions import Region, crop, folder_of
from deepid_lite.nets import deepid
from deepid_lite.verification.features import extract
from deepid_lite.verification.joint_bayesian import JointBayesian
from deepid_lite.verification.verifier import Verifier, fit_verifier, make_verifier

FACTS = {"images": int, "people": int, "data_hash": str, "minutes": int | float | None, "use": str}  # on a card


@dataclasses.dataclass
class FaceModel:
    """net: in evaluation mode. region: what it looks at. verifier: None until it is fitted. card: facts, for JSON."""

    net: nn.Module
    region: Region
    verifier: Verifier | None
    card: dict

    def features(self, images, layer=4, precision="fp32", progress=False):
        """See `face_features`."""
        return extract(self.net, crop(images, self.region), layer=layer, precision=precision, progress=progress)

    def with_verifier(self, features, labels):
        """This model with a verifier fitted on features (N, 2 D) of people `labels` (N,) that its net never saw."""
        return dataclasses.replace(self, verifier=fit_verifier(features, labels))


def face_features(model, images: np.ndarray, layer: int | tuple = 4, precision="fp32", progress=False):
    """Features float32 (N, 2 D) of aligned faces uint8 (N, 144, 128, 3): of each image, then of its flip.

    model: FaceModel, or an Ensemble, whose nets stand side by side. layer: see features.extract.
    """
    return model.features(images, layer, precision, progress)


def weights_hash(model):
    """SHA-256 over all numbers of a model's net."""
    return deepid.net_hash(model.net)


def names():
    """Models that this installation holds."""
    folder = resources.files("deepid_lite") / "weights"
    return sorted(p.name.removesuffix(".safetensors") for p in folder.iterdir() if p.name.endswith(".safetensors"))


def pretrained(name: str | Path = "lite") -> FaceModel:
    """A FaceModel by name ("lite", "webfaces") or from a file that `save_model` wrote."""
    path = Path(name)
    if path.suffix != ".safetensors":
        path = Path(str(resources.files("deepid_lite") / "weights" / f"{name}.safetensors"))
        if not path.is_file():
            known = ", ".join(names()) or "none"
            raise DataError(f"model {name!r}: this installation has {known}; or give a .safetensors file")
    return load_model(path)


def save_model(path, model, without_heads=()):
    """Write a FaceModel. without_heads: feature layers to leave out (FC-1 alone has 37 million weights)."""
    config = dict(model.net.config)
    if without_heads:
        config["heads"] = tuple(h for h in model.net.heads if h not in without_heads)
    gone = tuple(f"{layer}.{h}." for h in without_heads for layer in ("fc", "feature_norms"))
    # convolutions and FC layers are products of thousands of terms: fp16 is enough; running statistics stay fp32
    numbers = {
        f"net.{name}": t.half() if t.is_floating_point() and "norms" not in name else t
        for name, t in model.net.state_dict().items()
        if not name.startswith(gone)
    }
    architecture = config.pop("architecture", type(model.net).__name__)
    facts = {"architecture": architecture, "net": config, "region": dataclasses.asdict(model.region)}
    tensors.save(path, numbers | verifier_tensors(model.verifier), facts | {"card": model.card})


def load_model(path):
    """Read what `save_model` wrote -> FaceModel; DataError with the file's name where any part does not fit."""
    numbers, facts = tensors.load(path)
    with tensors.contents_of(path):
        net = _net(facts, {n[4:]: t for n, t in numbers.items() if n.startswith("net.")})
        region = read_region(facts["region"])
        if region.shape != tuple(net.config.get("input_shape", region.shape)):
            raise DataError(f"a region of {region.shape} pixels for a net that sees {net.config['input_shape']}")
        verifier = read_verifier({n: t for n, t in numbers.items() if not n.startswith("net.")}, 2 * net.dimension)
        card = read_card(facts.get("card", {}))
    return FaceModel(net.eval().to(memory_format=torch.channels_last), region, verifier, card)


def _net(facts, weights):
    """The net that the facts describe, with these numbers."""
    config, architecture = dict(facts["net"]), facts.get("architecture", "DeepIDNet")
    if architecture != "DeepIDNet":
        config["architecture"] = architecture
    return deepid.with_weights(config, weights)


def read_region(facts):
    """A Region from its facts, whose name can be a folder's."""
    region = Region(**{**facts, "shape": tuple(facts["shape"])})
    if not folder_of(region).isprintable() or "/" in region.name:
        raise DataError(f"region {region.name!r} has a name that none can have")
    return region


def read_card(card):
    """The facts of a card, those of FACTS of their kinds."""
    card = dict(card)
    for key in card.keys() & FACTS.keys():
        if not isinstance(card[key], FACTS[key]):
            raise DataError(f"card: {key} is {card[key]!r:.40}, of a wrong kind")
    return card


def verifier_tensors(verifier):
    """The numbers of a fitted Verifier: {name: float32 tensor}."""
    _, pca, joint = (step for _, step in verifier.steps)
    arrays = {
        "pca.mean": pca.mean_,
        "pca.components": pca.components_,
        "joint.mean": joint.mean_,
        "joint.S_mu": joint.S_mu_,
        "joint.S_eps": joint.S_eps_,
    }
    return {name: torch.as_tensor(np.asarray(a, dtype=np.float32)) for name, a in arrays.items()}


def read_verifier(numbers, width):
    """A fitted Verifier of `width` features from what `verifier_tensors` gave."""
    k = len(numbers["joint.mean"])
    shapes = {"pca.mean": (width,), "pca.components": (k, width), "joint.mean": (k,)}
    shapes |= {"joint.S_mu": (k, k), "joint.S_eps": (k, k)}
    tensors.check(numbers, {name: torch.empty(shape, device="meta") for name, shape in shapes.items()})
    arrays = {name: tensor.double().numpy() for name, tensor in numbers.items()}
    verifier = make_verifier(k)
    root, pca, _ = (step for _, step in verifier.steps)
    root.fit(np.zeros((1, width)))
    pca.mean_, pca.components_ = arrays["pca.mean"], arrays["pca.components"]
    pca.n_components_, pca.n_features_in_ = k, width
    pca.explained_variance_ = np.ones(k)  # used only by whitening, which is off
    joint = JointBayesian.from_covariances(arrays["joint.mean"], arrays["joint.S_mu"], arrays["joint.S_eps"])
    verifier.steps[-1] = ("jointbayesian", joint)
    return verifier
