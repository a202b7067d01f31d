"""A net, the region it looks at and its Joint Bayesian model in one safetensors file.

`pretrained("lite")` was trained on the synthetic faces, `pretrained("webfaces")` on photographs; the latter is for
research and teaching only. Numbers are kept as fp16 where 11 bits are enough, and nothing in the file is code.
"""

import hashlib
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from deepid_lite import tensors as checkpoints
from deepid_lite.errors import DataError
from deepid_lite.faces.regions import Region
from deepid_lite.nets import deepid as nets
from deepid_lite.verification.joint_bayesian import JointBayesian

WIDE = 2048  # features; beyond, PCA is approximated, see make_verifier


@dataclass
class FaceModel:
    """net: in evaluation mode. region: what it looks at. verifier: square root, PCA, Joint Bayesian. card: facts."""

    net: nets.DeepIDNet
    region: Region
    verifier: Pipeline
    card: dict


def make_verifier(n_components=120, update="exact", wide=False):
    """Unfitted pipeline from features (N, D): square root, PCA, Joint Bayesian.

    wide: for thousands of features, whose covariance takes minutes to decompose: PCA by random projections and power
    iterations [Halko et al., SIAM Review 2011], seeded.

    Rectified features are skewed to the right; the root brings them closer to the Gaussians that Joint Bayesian
    assumes. Score pairs with `z = verifier[:-1].transform(features)` and `verifier[-1].score_pairs(z[i], z[j])`.
    """
    pca = PCA(n_components, svd_solver="covariance_eigh")
    if wide:
        pca = PCA(n_components, svd_solver="randomized", iterated_power=7, random_state=0)
    return make_pipeline(FunctionTransformer(np.sqrt), pca, JointBayesian(update))


def components(features, labels, most=120):
    """How many PCA components to keep for Joint Bayesian: `most`, but no more than vary within people.

    features: (N, D); labels: (N,) people.
    """
    return min(most, features.shape[1], max(1, len(labels) - len(np.unique(labels))))


def fitted(features, labels, n_components=120):
    """Joint Bayesian after PCA on features, or on bits as numbers; fewer components where the people are too few."""
    verifier = make_verifier(components(features, labels, n_components), wide=features.shape[1] > WIDE)
    return verifier.fit(np.asarray(features, np.float32), labels)


def weights_hash(model):
    """SHA-256 over all numbers of a model's net."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.net.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def names():
    """Models that this installation holds."""
    folder = resources.files("deepid_lite") / "weights"
    return sorted(
        path.name.removesuffix(".safetensors") for path in folder.iterdir() if path.name.endswith(".safetensors")
    )


def pretrained(name="lite"):
    """A model by name ("lite", "webfaces") or from a file that `save_model` wrote."""
    path = Path(name)
    if path.suffix != ".safetensors":
        path = Path(str(resources.files("deepid_lite") / "weights" / f"{name}.safetensors"))
        if not path.is_file():
            raise DataError(
                f"model {name!r}: this installation has {', '.join(names()) or 'none'}; or give a .safetensors file"
            )
    return load_model(path)


def save_model(path, model, without_heads=()):
    """Write a FaceModel. without_heads: feature layers to leave out (FC-1 alone has 37 million weights)."""
    heads = tuple(h for h in model.net.heads if h not in without_heads)
    gone = tuple(f"{layer}.{h}." for h in without_heads for layer in ("fc", "feature_norms"))
    # convolutions and FC layers are products of thousands of terms: fp16 is enough; running statistics stay fp32
    tensors = {
        f"net.{name}": t.half() if t.is_floating_point() and "norms" not in name else t
        for name, t in model.net.state_dict().items()
        if not name.startswith(gone)
    }
    tensors |= verifier_tensors(model.verifier)
    checkpoints.save(
        path, tensors, {"net": model.net.config | {"heads": heads}, "region": asdict(model.region), "card": model.card}
    )


def load_model(path):
    """Read what `save_model` wrote."""
    tensors, facts = checkpoints.load(path)
    try:
        net = nets.build(facts["net"])
        net.load_state_dict(
            {n[4:]: t.float() if t.dtype == torch.float16 else t for n, t in tensors.items() if n.startswith("net.")}
        )
        region = Region(**{**facts["region"], "shape": tuple(facts["region"]["shape"])})
        arrays = {n: t.double().numpy() for n, t in tensors.items() if not n.startswith("net.")}
        verifier = restore_verifier(arrays)
    except (KeyError, RuntimeError, TypeError):
        raise DataError(f"{path}: no model of this version (net, region and Joint Bayesian); train it again") from None
    return FaceModel(net.eval().to(memory_format=torch.channels_last), region, verifier, facts.get("card", {}))


def verifier_tensors(verifier):
    """The numbers of a fitted `make_verifier`: {name: float32 tensor}."""
    _, pca, joint = (step for _, step in verifier.steps)
    arrays = {
        "pca.mean": pca.mean_,
        "pca.components": pca.components_,
        "joint.mean": joint.mean_,
        "joint.S_mu": joint.S_mu_,
        "joint.S_eps": joint.S_eps_,
    }
    return {name: torch.as_tensor(np.asarray(a, dtype=np.float32)) for name, a in arrays.items()}


def restore_verifier(arrays):
    """A fitted pipeline from the numbers of `verifier_tensors`; KeyError where one is missing."""
    verifier = make_verifier(len(arrays["joint.mean"]))
    root, pca, _ = (step for _, step in verifier.steps)
    pca.mean_, pca.components_ = arrays["pca.mean"], arrays["pca.components"]
    pca.n_components_, pca.n_features_in_ = pca.components_.shape
    pca.explained_variance_ = np.ones(pca.n_components_)  # used only by whitening, which is off
    root.fit(np.zeros((1, pca.n_features_in_)))
    verifier.steps[-1] = (
        "jointbayesian",
        JointBayesian.from_covariances(arrays["joint.mean"], arrays["joint.S_mu"], arrays["joint.S_eps"]),
    )
    return verifier
