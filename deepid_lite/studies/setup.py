"""What a study runs on, at two scales that never mix: a model, and people whom its net never saw.

`lite()` has the synthetic faces and takes seconds; `reference()` has the web-face net and LFW. A study is a function of
a `Setup` that returns a dict for JSON, so that one function serves the book's build and the recorded run.
"""

import hashlib
from dataclasses import astuple, dataclass, field, replace

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.cache import cache_folder
from deepid_lite.faces.dataset import FaceSet
from deepid_lite.faces.loading import load_faces
from deepid_lite.files import replacing
from deepid_lite.neurons.untrained import untrained_model
from deepid_lite.verification.benchmarks import benchmark
from deepid_lite.verification.ensemble import Ensemble, any_model
from deepid_lite.verification.model import FaceModel, face_features, weights_hash
from deepid_lite.verification.pairs import Pairs
from deepid_lite.verification.pipeline import training_parts

PARTS = ("test", "held_out", "identity_set")
VERSION = 1  # part of the key of stored features: raise it when a change makes other features of the same net and faces


@dataclass
class Setup:
    """A model and the people to study it on.

    name: "lite" or "reference". model: FaceModel. test: unseen people and the `pairs` to verify among them.
    held_out: people who fit Joint Bayesian and other classifiers; they are never tested. identity_set: the
    test people and five of whom there are many images, `celebrities` by name, for the study of identities.
    """

    name: str
    model: FaceModel
    test: FaceSet
    pairs: Pairs
    held_out: FaceSet
    identity_set: FaceSet
    celebrities: tuple[str, ...]
    root: str | None = None  # folder of the data sets; None: that of DEEPID_DATA
    ensemble: Ensemble | None = None  # where `model` was given as the folder of one; `model` is its first net then
    precision: str = "fp32"  # in which features are extracted, fp32 or bf16
    _store: dict = field(default_factory=dict, init=False, repr=False)

    def features(self, part, layer=4):
        """Features (N, 2 D), picture and mirror, of a part of PARTS; extracted once, then remembered."""
        if part not in PARTS:
            raise DataError(f"part {part!r}: use {', '.join(PARTS)}")
        if layer not in self.model.net.heads:
            raise DataError(f"layer {layer}: this net has features on {', '.join(map(str, self.model.net.heads))}")
        faces = getattr(self, part)
        if faces.data_hash not in self._store:
            self._store[faces.data_hash] = self._stored(faces)
        return self._store[faces.data_hash][layer]

    def with_model(self, model, precision=None):
        """The same people with another net, for its features; precision: in which they are extracted, if another."""
        return replace(self, model=model, ensemble=None, precision=precision or self.precision)

    def untrained(self, seed=0):
        """The same people with the null: the net with fresh weights, batch norm's statistics from held-out people.

        Of photographs its features are extracted in bf16, in a third of the time.
        """
        precision = self.precision if self.name == "lite" else "bf16"
        return self.with_model(untrained_model(self.model, self.held_out.images, seed), precision)

    def _stored(self, faces):
        """{layer: features}, all in one pass. Those of photographs take minutes: they stay beside the decoded faces."""
        layers = self.model.net.heads
        if self.name == "lite":
            return face_features(self.model, faces.images, layers, self.precision)
        key = f"{VERSION} {faces.data_hash} {weights_hash(self.model)} {astuple(self.model.region)} {self.precision}"
        name = f"features-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        paths = {n: cache_folder() / f"{name}-fc{n}.npy" for n in layers}
        if all(path.is_file() for path in paths.values()):
            return {n: _read(path, len(faces)) for n, path in paths.items()}
        found = face_features(self.model, faces.images, layers, self.precision, progress=True)
        for n, path in paths.items():
            with replacing(path) as part:
                np.save(part, found[n])
        return found


def _read(path, n):
    try:
        found = np.load(path, allow_pickle=False)
        if found.ndim != 2 or len(found) != n or not np.isfinite(found).all():
            raise ValueError
    except (OSError, ValueError, EOFError):
        raise DataError(f"{path}: cannot be read as the features of {n} faces; delete it and run again") from None
    return found


def lite(model="lite"):
    """The embedded scale: the shipped lite net and 200 unseen synthetic people; no download, no GPU."""
    net, ensemble = _model(model)
    tested = benchmark("synthetic")
    test, pairs = tested.faces, tested.pairs
    celebrities = load_faces("synthetic", part="celebrities")
    return Setup(
        "lite", net, test, pairs, load_faces("synthetic", part="joint_bayesian"), join(test, celebrities),
        tuple(f"celebrities/{name}" for name in celebrities.names), ensemble=ensemble,
    )  # fmt: skip


def reference(model="webfaces", root=None, fit_on="webfaces"):
    """The reference scale: a net of web faces, tested on LFW; `root` is the folder that DEEPID_DATA would name."""
    net, ensemble = _model(model)
    tested = benchmark("lfw", root)
    test, pairs = tested.faces, tested.pairs
    _, held_out = training_parts(fit_on, root)
    counts = np.bincount(test.labels)
    most = tuple(test.names[person] for person in np.argsort(-counts, kind="stable")[:5])
    return Setup("reference", net, test, pairs, held_out, test, most, root, ensemble)


def join(first, second):
    """One FaceSet of two sets of different people; the second's names gain its part, attributes need both."""
    names = [*first.names, *(f"celebrities/{name}" for name in second.names)]
    both = first.attributes.keys() & second.attributes.keys()
    digest = hashlib.sha256(f"{first.data_hash} {second.data_hash}".encode()).hexdigest()
    return FaceSet(
        images=np.concatenate([first.images, second.images]),
        labels=np.concatenate([first.labels, second.labels + len(first.names)]),
        names=names,
        landmarks=np.concatenate([first.landmarks, second.landmarks]),
        attributes={name: np.concatenate([first.attributes[name], second.attributes[name]]) for name in sorted(both)},
        paths=[*first.paths, *second.paths],
        source=first.source,
        data_hash=digest,
    )


def _model(model):
    """(FaceModel, Ensemble or None) for a model, its name or file, or the folder of an ensemble."""
    found = any_model(model)
    return (found.members[0], found) if isinstance(found, Ensemble) else (found, None)
