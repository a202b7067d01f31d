"""A net that is told people, attributes or both, the hand-made features beside it, and one linear SVM an attribute."""

from dataclasses import dataclass

import numpy as np
import torch
from skimage.color import rgb2gray
from skimage.feature import hog
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import nn
from torch.nn import functional as F

from deepid_lite import tensors
from deepid_lite.errors import DataError
from deepid_lite.files import shipped
from deepid_lite.nets.batches import FaceBatches, fingerprint
from deepid_lite.nets.deepid import ARCHITECTURES
from deepid_lite.nets.training import fit

MARGIN = 4  # pixels that random shifts may use

# 1 the net: DeepIDNet, with one feature layer
# 2 the objective


class Told(nn.Module):
    """Cross-entropy over the people, and that of the attributes, summed over them [section 3.2].

    identity, mu: weights of the two; a weight of zero switches a signal off.
    """

    def __init__(self, net, n_people, n_attributes, identity=1.0, mu=0.0):
        super().__init__()
        self.net, self.identity, self.mu = net, identity, mu
        self.people = nn.Linear(net.dimension, n_people)
        self.attributes = nn.Linear(net.dimension, n_attributes)

    def forward(self, batch, progress):
        x, people, attributes = batch
        features = self.net.dropout(self.net(x)[4])
        ident = F.cross_entropy(self.people(features), people)
        scores = self.attributes(features)
        told = F.binary_cross_entropy_with_logits(scores, attributes, reduction="none").sum(1).mean()
        return self.identity * ident + self.mu * told, {"ident": ident.detach(), "attributes": told.detach()}


# 3 the batches


class LabelledFaces(FaceBatches):
    """step -> (x, people (B,), attributes (B, A) of 0 and 1); images, x: see `FaceBatches`. attributes: bool (N, A)."""

    def __init__(self, images, people, attributes, recipe, shape):
        super().__init__(images, np.arange(len(images)), recipe, shape)
        self.told = torch.as_tensor(np.asarray(people, np.int64)), torch.as_tensor(np.asarray(attributes, np.float32))
        self.fingerprint += fingerprint(np.asarray(attributes, np.uint8), people)

    def __call__(self, step, device):
        x, rows = super().__call__(step, device)
        return x, *(known.to(device)[rows] for known in self.told)


# 4 training


def train(crops, people, attributes, recipe, folder, identity=1.0, mu=0.0, start=None, device=None):
    """Train a net on crops uint8 (N, 55 + 2 MARGIN, 47 + 2 MARGIN, 3) of people int (N,) with attributes bool (N, A).

    identity, mu: see `Told`. start: a net to begin with. recipe, folder, device: see training.fit.
    """
    torch.manual_seed(recipe.seed)
    net = ARCHITECTURES[recipe.architecture](**recipe.net)
    objective = Told(net, int(np.max(people)) + 1, np.shape(attributes)[1], identity, mu)
    batches = LabelledFaces(crops, people, attributes, recipe, net.config["input_shape"])
    batches.fingerprint += f" {identity:g} {mu:g}"
    return fit(objective, batches, recipe, folder, device, init=start and start.state_dict())


# 5 use


def hand_made(images):
    """HOG of the grey picture and colour histograms of its nine parts: float32 (N, D); images: uint8 (N, 55, 47, 3).

    FaceTracer's features in today's library; its regions were made by hand.
    """
    found = []
    for image in images:
        shape = hog(rgb2gray(image), orientations=8, pixels_per_cell=(8, 8), cells_per_block=(2, 2))
        parts = [part for rows in np.array_split(image, 3) for part in np.array_split(rows, 3, axis=1)]
        colours = [np.histogram(part[..., c], 6, (0, 256))[0] / part[..., c].size for part in parts for c in range(3)]
        found.append(np.concatenate([shape, *colours]))
    return np.asarray(found, np.float32)


@dataclass
class Answers:
    """One linear classifier for each attribute, on features as they are. names: A; weight: (D, A); bias: (A,)."""

    names: list[str]
    weight: np.ndarray
    bias: np.ndarray
    model_hash: str = ""  # of the net whose features they read, where they were stored

    def scores(self, features):
        """Above zero: the attribute is there. Features (N, D) -> (N, A)."""
        return features @ self.weight + self.bias


def fit_answers(features, attributes, names):
    """A linear SVM for each attribute, bool (N, A), on standardised features (N, D) of people no net saw -> Answers.

    DataError for an attribute that all or none of the pictures have.
    """
    scale = StandardScaler().fit(features)
    x = scale.transform(features)
    size = np.sqrt((x**2).sum(1).mean())  # one penalty then serves every dimension
    columns = []
    for name, column in zip(names, np.asarray(attributes, bool).T, strict=True):
        if column.all() or not column.any():
            raise DataError(f"attribute {name!r}: all pictures to fit on are alike; give more, or leave it out")
        svm = LinearSVC(C=0.1, dual=True, tol=1e-2, max_iter=3000, random_state=0).fit(x / size, column)
        columns.append((svm.coef_[0] / (size * scale.scale_), svm.intercept_[0]))
    weight = np.stack([w for w, _ in columns], 1)
    return Answers(list(names), weight, np.array([b for _, b in columns]) - scale.mean_ @ weight)


def save_answers(path, answers):
    """Write Answers, whole or not at all."""
    weights = {"weight": torch.as_tensor(answers.weight).float(), "bias": torch.as_tensor(answers.bias).float()}
    tensors.save(path, weights, {"attributes": answers.names, "model_hash": answers.model_hash})


def load_answers(path=None):
    """Read what `save_answers` wrote; None: the shipped ones, for the lite net's features of picture and mirror."""
    path = path or shipped("attributes.safetensors")
    found, facts = tensors.load(path)
    with tensors.contents_of(path):
        names, model_hash = facts["attributes"], facts["model_hash"]
        if not (isinstance(names, list) and all(isinstance(text, str) for text in [model_hash, *names])):
            raise DataError("attributes and model_hash are no names")
        tensors.check(found, {"weight": torch.zeros(len(found["weight"]), len(names)), "bias": torch.zeros(len(names))})
    return Answers(names, found["weight"].numpy(), found["bias"].numpy(), model_hash)


def balanced(answers, truth):
    """Balanced accuracy (A,) of answers bool (N, A): the mean of the shares of right ones among both kinds."""
    right = answers == truth
    return (right & truth).sum(0) / truth.sum(0) / 2 + (right & ~truth).sum(0) / (~truth).sum(0) / 2
