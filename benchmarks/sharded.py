"""Identification with more people than one process can hold: share them out, or sample them.

The classifier of a head has one row of weights for each person. With a million people these are 512 million weights,
and AdamW keeps four numbers of four bytes for each of them. Two ways out:

- `ShardedIdentification`: every process holds the rows of some of the people, and the loss and all gradients are those
  of one process with all rows:
      log sum over all people of exp(s) = M + log(sum over the processes of exp(L - M)),   M = max of L,
  where L is the log-sum-exp over one process's people. So four numbers an image travel (the largest L, this sum, the
  score of the right person, the sum of all scores), and on the way back the gradient of its features.
- `sampled_cross_entropy`: one process scores the people of the batch and some others, drawn anew in each step.
"""

import math

import torch
from torch import distributed, nn
from torch.nn import functional as F

from deepid_lite.errors import DataError


def people_of(n_people, rank, n_processes):
    """The people (first, one past the last) that process `rank` holds: equal shares, the first ones take the rest."""
    if n_processes > n_people:
        raise DataError(f"sharded softmax: {n_processes} processes for {n_people} people; use fewer processes")
    share, rest = divmod(n_people, n_processes)
    first = rank * share + min(rank, rest)
    return first, first + share + (rank < rest)


class ShardedIdentification(nn.Module):
    """`losses.Identification` with its classifier shared out over the processes of torch.distributed.

    forward: cross-entropy of features (N, D) against labels (N,), a scalar, the same on every process. Features and
    labels are those of the whole batch, the same on every process: `training` gathers them so for the verification
    signal. The gradient of the features is complete on every process. That of the classifier is of this process's
    rows; DistributedDataParallel must be told to leave them alone.
    """

    def __init__(self, dimension, n_people, label_smoothing=0.0):
        super().__init__()
        rank, n_processes = _place()
        self.n_people, self.label_smoothing = n_people, label_smoothing
        self.first, end = people_of(n_people, rank, n_processes)
        self.classifier = nn.Linear(dimension, end - self.first)
        # as in losses.Identification; from one seed all processes would draw the same rows, hence a stream for each
        draws = torch.Generator().manual_seed((torch.initial_seed() + self.first) % 2**63)
        nn.init.normal_(self.classifier.weight, std=0.01, generator=draws)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, features, labels):
        weight, bias = self.classifier.weight, self.classifier.bias
        return sharded_cross_entropy(features, labels, weight, bias, self.first, self.n_people, self.label_smoothing)


def sharded_cross_entropy(features, labels, weight, bias, first, n_people, label_smoothing=0.0):
    """Softmax over n_people [DeepID2, Eq. 1] of whom this process holds weight (n, D) and bias (n,) from `first` on.

    features (N, D) and labels (N,), 0..n_people - 1: the same on every process. The slices must cover all people once;
    they may be of any size. Returns the mean over the batch, as F.cross_entropy does. DataError where torch.distributed
    does not run or a label is out of range. Every process has to call it, and its backward, as often as the others.
    """
    _place()
    if labels.min() < 0 or labels.max() >= n_people:
        raise DataError(f"sharded softmax: labels {labels.min()} to {labels.max()}; number {n_people} people from 0 on")
    scores = _at_least_float(F.linear(_SumOfGradients.apply(features), weight, bias))
    here = (labels >= first) & (labels < first + len(weight))
    place = (labels - first).clamp(0, len(weight) - 1)
    own = scores.gather(1, place[:, None])[:, 0] * here  # the score of the right person, 0 where others hold it
    log_sum = scores.logsumexp(1)
    largest = log_sum.detach().clone()
    distributed.all_reduce(largest, op=distributed.ReduceOp.MAX)
    total, own, all_scores = _Sum.apply(torch.stack([(log_sum - largest).exp(), own, scores.sum(1)]))
    log_sum = largest + total.log()
    wanted = (1 - label_smoothing) * own + label_smoothing * all_scores / n_people
    return (log_sum - wanted).mean()


def sampled_cross_entropy(features, labels, weight, bias, n_sampled, generator=None, sparse=False):
    """Cross-entropy over the batch's own people and `n_sampled` of the others, drawn without replacement.

    features (N, D), labels (N,), weight (P, D), bias (P,). [An et al., "Partial FC", ICCV workshops 2021, draw so for
    faces.] Here each drawn person stands for (others / n_sampled) people: that factor makes the sum of exponentials
    right on average. The loss, its logarithm, is a little too small on average, and exact when all are drawn.
    sparse: the gradient of weight holds the scored rows only, for torch.optim.SparseAdam or SGD. DataError where
    n_sampled is no number from 1 on.
    """
    if not (isinstance(n_sampled, int) and n_sampled >= 1):
        raise DataError(f"sampled softmax: n_sampled = {n_sampled!r}; draw 1 person or more")
    present, target = labels.unique(return_inverse=True)
    absent = torch.ones(len(weight), dtype=torch.bool, device=labels.device)
    absent[present] = False
    others = absent.nonzero()[:, 0]
    drawn = others[torch.randperm(len(others), generator=generator, device=others.device)[:n_sampled]]
    scored = torch.cat([present, drawn])
    rows = F.embedding(scored, weight, sparse=sparse)
    scores = _at_least_float(F.linear(features, rows, bias[scored]))
    if len(drawn):
        stands_for = math.log(len(others) / len(drawn))
        scores = scores + stands_for * (torch.arange(len(scored), device=scores.device) >= len(present))
    return F.cross_entropy(scores, target)


class _Sum(torch.autograd.Function):
    """Sum over the processes. All of them compute one loss from it, so the gradient comes back as it is."""

    @staticmethod
    def forward(ctx, x):
        x = x.clone()
        distributed.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class _SumOfGradients(torch.autograd.Function):
    """The same features go to all processes, so their gradient is the sum of what comes back from each."""

    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        gradient = gradient.contiguous().clone()
        distributed.all_reduce(gradient)
        return gradient


def _place():
    """Rank and number of processes."""
    if not (distributed.is_available() and distributed.is_initialized()):
        raise DataError("sharded softmax: torch.distributed does not run; start with torchrun and init_process_group")
    return distributed.get_rank(), distributed.get_world_size()


def _at_least_float(x):
    """Sums over a million people are not taken in half precision."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
