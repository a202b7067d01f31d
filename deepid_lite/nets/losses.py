"""The two signals of DeepID2: identification and verification [DeepID2, section 2; DeepID2+, section 2].

Identification asks "which of n people?" and pulls people apart; verification asks "the same person?" and
pulls images of one person together. DeepID2+ puts both on each of its four feature layers:
    loss = sum over layers of  Ident(f) + lambda * Verif(f, f').
"""

import torch
from torch import nn
from torch.nn import functional as F

from deepid_lite.errors import DataError

SIGNALS = ("l2", "l1", "cosine")
BRANCHES = ("both", "positive", "negative")


def all_pairs(labels):
    """Every pair i < j of a batch: index tensors i, j (P,), and `same` (P,), true where the labels agree."""
    first, second = torch.triu_indices(len(labels), len(labels), offset=1, device=labels.device)
    return first, second, labels[first] == labels[second]


def balanced_threshold(distance, same):
    """The distance that best separates past pairs, by class-balanced error (mean of the two error rates).

    distance: (P,) floats; same: (P,) bool, both kinds present. Plain error would be no guide: among all pairs
    of a batch nearly all are different, and "always different" wins. Returns a scalar tensor, halfway between
    two pairs.
    """
    distance, order = distance.sort()
    same = same[order]
    n_same = same.sum()
    if n_same == 0 or n_same == len(same):
        raise DataError("margin: all past pairs are of one kind; use larger batches, several images a person")
    genuine_below = same.cumsum(0) / n_same
    impostor_below = (~same).cumsum(0) / (len(same) - n_same)
    gain = (genuine_below - impostor_below)[:-1]
    gain[distance[:-1] == distance[1:]] = -1  # no threshold stands between equal distances
    best = gain.argmax()
    return (distance[best] + distance[best + 1]) / 2


class Verification(nn.Module):
    """The verification signal on features (N, D), with positive and negative pairs averaged apart.

    signal: "l2"  1/2 d^2 for one person, 1/2 max(0, margin - d)^2 for two, d the Euclidean distance
            [DeepID2, Eq. 2];
            "l1"  the same with the sum of absolute differences;
            "cosine"  1/2 (y - sigmoid(w cos + b))^2 with learnt w and b, y = 1 or 0 [DeepID2, Eq. 4].
    branches: "both", "positive" (L2+: pull only) or "negative" (L2-: push only) [DeepID2, section 4.2].
    margin: a number stays fixed; None: the margin is set from the first batch and then re-set after each
    `every` pairs to the distance that best separated them. A margin learnt by gradient would shrink to zero.
    normalise: measure distances between features scaled to length 1 (a modern option). On raw features the
    pull of positive pairs can be had by shrinking all features, and with Adam's steps it switched off 99 % of
    the neurons.
    """

    def __init__(self, signal="l2", branches="both", margin=None, every=200_000, normalise=False):
        super().__init__()
        if signal not in SIGNALS:
            raise DataError(f"verification signal {signal!r}: use one of {', '.join(SIGNALS)}")
        if branches not in BRANCHES:
            raise DataError(f"verification branches {branches!r}: use one of {', '.join(BRANCHES)}")
        if margin is not None and not margin > 0:
            raise DataError(f"margin {margin}: use a positive number, or None to have it set from past pairs")
        self.signal, self.branches, self.every, self.normalise = signal, branches, every, normalise
        self.adaptive = margin is None and signal != "cosine"
        self.register_buffer("margin", torch.tensor(0.0 if margin is None else float(margin)))
        self.past = []  # (distance, same) of the pairs since the margin was last set
        if signal == "cosine":
            self.weight = nn.Parameter(torch.tensor(5.0))
            self.bias = nn.Parameter(torch.tensor(-2.5))

    def forward(self, features, labels, pairs=None):
        """features (N, D), labels (N,); pairs: index tensors (i, j), or None for all. Returns a scalar."""
        features = _at_least_float(features)
        if pairs is None:
            first, second, same = all_pairs(labels)
        else:
            first, second = pairs
            same = labels[first] == labels[second]
        if self.signal == "cosine":
            unit = F.normalize(features, dim=1)
            guess = torch.sigmoid(self.weight * (unit[first] * unit[second]).sum(1) + self.bias)
            return self._average(0.5 * (1 - guess) ** 2, 0.5 * guess**2, same)
        if self.normalise:
            features = F.normalize(features, dim=1)
        distance = _distances(features, first, second, 2 if self.signal == "l2" else 1, pairs is None)
        if self.adaptive and self.training:
            self._observe(distance.detach(), same)
        return self._average(0.5 * distance**2, 0.5 * F.relu(self.margin - distance) ** 2, same)

    def get_extra_state(self):
        """The pairs since the margin was last set, (2, P): distances, and 1 where it is one person; for checkpoints."""
        columns = [torch.stack([distance, same.to(distance.dtype)]) for distance, same in self.past]
        return torch.cat([self.margin.new_empty(2, 0), *columns], dim=1)

    def set_extra_state(self, state):
        distance, same = state.to(self.margin.device)
        self.past = [(distance, same.bool())] if len(distance) else []

    def _average(self, if_same, if_different, same):
        pull = (if_same * same).sum() / same.sum().clamp(min=1)
        push = (if_different * ~same).sum() / (~same).sum().clamp(min=1)
        return {"both": pull + push, "positive": pull, "negative": push}[self.branches]

    def _observe(self, distance, same):
        self.past.append((distance, same))
        seen = sum(len(d) for d, _ in self.past)
        if self.margin == 0 or seen >= self.every:
            distances, kinds = zip(*self.past, strict=True)
            self.margin.copy_(balanced_threshold(torch.cat(distances), torch.cat(kinds)))
            self.past = []


def _distances(features, first, second, p, all_of_them):
    """Distances (P,) of the pairs. Their gradient at distance zero is zero, not 0/0."""
    if all_of_them:  # one call that never builds the (P, D) differences
        table = torch.cdist(features, features, p=float(p), compute_mode="donot_use_mm_for_euclid_dist")
        return table[first, second]
    return torch.linalg.vector_norm(features[first] - features[second], ord=p, dim=1)


def _at_least_float(x):
    """Sums over thousands of pairs or people are not taken in half precision."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


class Identification(nn.Module):
    """Softmax over the n people of the training set [DeepID2, Eq. 1].

    forward: cross-entropy of features (N, D) against labels (N,), a scalar.
    """

    def __init__(self, dimension, n_people, label_smoothing=0.0):
        super().__init__()
        self.classifier = nn.Linear(dimension, n_people)
        self.label_smoothing = label_smoothing
        nn.init.normal_(self.classifier.weight, std=0.01)  # near-uniform guesses at the start
        nn.init.zeros_(self.classifier.bias)

    def forward(self, features, labels):
        scores = _at_least_float(self.classifier(features))
        return F.cross_entropy(scores, labels, label_smoothing=self.label_smoothing)


class TwoSignals(nn.Module):
    """Both signals on each supervised layer.

    forward gives the loss, a scalar, and its parts {"ident4": ..., "verif4": ...}.
    """

    def __init__(self, heads, dimension, n_people, weight=0.05, ident=1.0, label_smoothing=0.0, **verification):
        super().__init__()
        if not ident and not weight:
            raise DataError("losses: both signals are switched off; give lambda or ident a positive weight")
        self.weight, self.ident = weight, ident
        self.identification, self.verification = nn.ModuleDict(), nn.ModuleDict()
        for head in map(str, heads):
            if ident:
                self.identification[head] = Identification(dimension, n_people, label_smoothing)
            if weight:
                self.verification[head] = Verification(**verification)

    def forward(self, features, dropped, labels, gather=lambda x: x, ramp=1.0):
        """features: {head: (N, D)}; dropped: the same after dropout, which identification sees; labels (N,).

        The distance of a pair is measured before dropout: two random masks would set even equal images apart.
        gather: joins features and labels of all processes, so that the pairs are those of the whole batch.
        ramp: factor in front of lambda, 0..1, see `Recipe.ramp`.
        """
        parts = {}
        all_labels = gather(labels)
        for head in features:
            if self.ident:
                parts[f"ident{head}"] = self.identification[str(head)](dropped[head], labels)
            if self.weight:
                everyone = gather(_at_least_float(features[head]))
                parts[f"verif{head}"] = self.verification[str(head)](everyone, all_labels)
        weights = {"ident": self.ident, "verif": self.weight * ramp}
        loss = sum(weights[name[:5]] * value for name, value in parts.items())
        return loss, parts
