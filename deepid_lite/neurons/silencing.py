"""What happens when neurons are silenced, and what part of a picture drives one. Beyond the paper.

A single neuron that knows a person need not be needed: others may know the same. So the most selective neurons are
set to zero (in the field: ablated, or lesioned); random neurons, and other people, are the nulls.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import rankdata
from tqdm import tqdm

from deepid_lite.errors import DataError
from deepid_lite.nets.deepid import to_input
from deepid_lite.neurons.selectiveness import neuron_thresholds


class SilencingCurves(NamedTuple):
    silenced: np.ndarray  # int (K,): how many neurons
    own: np.ndarray  # (A, K): AUC of each person without the neurons most selective for them
    others: np.ndarray  # (A, K): mean AUC of the other persons without those same neurons
    random: np.ndarray  # (A, K): mean AUC without random neurons, over the draws
    random_sd: np.ndarray  # (A, K): standard deviation over the draws


def silencing_curves(features, targets, first, silenced, draws=10, seed=0, progress=False):
    """Recognition of each person with their most selective neurons at zero, halves both ways averaged.

    features: (N, D) >= 0; targets: bool (N, A), one person each; first: mask (N,) of one half, which ranks the neurons
    and gives each person's template (mean feature vector); images of the other half score by their cosine to it.
    AUC is the chance that an image of the person scores above one of somebody else. silenced: numbers below D.
    """
    silenced, first = np.asarray(silenced), np.asarray(first, bool)
    features, targets = np.asarray(features, np.float32), np.asarray(targets)
    n_neurons, n_people = features.shape[1], targets.shape[1]
    if silenced.size == 0 or silenced.min() < 0 or silenced.max() >= n_neurons:
        raise DataError(f"silenced {silenced.tolist()}: give numbers from 0 to {n_neurons - 1}, one neuron must stay")
    rng = np.random.default_rng(seed)
    found = 0
    for fit in tqdm((first, ~first), disable=None if progress else True, desc="silencing", unit="half"):
        selective = np.argsort(-neuron_thresholds(features[fit], targets[fit]).accuracy, axis=1, kind="stable")
        orders = np.concatenate([selective, [rng.permutation(n_neurons) for _ in range(draws)]])  # (A + draws, D)
        remaining = np.argsort(orders, axis=1)[:, None] >= silenced[:, None]  # (A + draws, K, D)
        templates = np.stack([features[fit & person].mean(0) for person in targets.T])
        auc = _auc_of_cosines(features[~fit], templates, targets[~fit], remaining.reshape(-1, n_neurons))
        found = found + auc.reshape(len(orders), len(silenced), n_people).transpose(2, 0, 1) / 2
    # found (AUC of whom, neurons of whom and draws, K)
    people = np.arange(n_people)
    own, random = found[people, people], found[:, n_people:]
    others = (found[:, :n_people].sum(0) - own) / max(1, n_people - 1)
    return SilencingCurves(silenced, own, others, random.mean(1), random.std(1))


def _auc_of_cosines(features, templates, targets, remaining):
    """AUC (M, A) of the cosine to each template over remaining neurons (M, D): features (N, D), templates (A, D)."""
    remaining = remaining.astype(np.float32)
    length = np.sqrt(np.maximum(remaining @ (features**2).T, 1e-12))  # (M, N); a template's own length changes no order
    auc = np.empty((len(remaining), len(templates)))
    for a, template in enumerate(templates):
        ranks = rankdata(remaining @ (features * template).T / length, axis=1)
        positive = targets[:, a]
        n = positive.sum()
        auc[:, a] = (ranks[:, positive].sum(1) - n * (n + 1) / 2) / (n * (len(positive) - n))
    return auc


def input_gradient(net, images, neuron, layer=4):
    """How much each pixel of pictures moves a neuron: uint8 (N, rows, columns, 3) -> float32 (N, rows, columns).

    The length, over the three colours, of the gradient of the feature with respect to the net's input. neuron: 0 to
    2 D - 1, from D on those of the flip, whose map is flipped back. All zero where the neuron is silent.
    """
    if not 0 <= neuron < 2 * net.dimension:
        raise DataError(f"neuron {neuron}: picture and flip have neurons 0 to {2 * net.dimension - 1}")
    flipped = neuron >= net.dimension
    x = to_input(torch.as_tensor(np.ascontiguousarray(images)).permute(0, 3, 1, 2))
    x = x.to(next(net.parameters()).device).detach().requires_grad_()
    net.eval()
    # no image reads another's pixels, so that one sum has all the gradients
    activity = net(x.flip(3) if flipped else x)[layer][:, neuron % net.dimension].sum()
    (gradient,) = torch.autograd.grad(activity, x)
    return gradient.norm(dim=1).cpu().numpy()
