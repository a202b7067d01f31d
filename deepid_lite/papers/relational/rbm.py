"""The classification RBM on top [ICCV 2013, section 3]: p(y | x) and its gradients in closed form.

    E(y, h, x) = -h'W x - h'U_y - b'x - c'h - d_y,    h binary, y one of C classes
    o_jy = c_j + U_jy + sum_k W_jk x_k
    p(y | x) = exp(d_y + sum_j softplus(o_jy)) / sum_y' exp(d_y' + sum_j softplus(o_jy'))

The sum over the 2^H states of h falls apart into one factor a hidden unit, and the sum over y has two terms: nothing is
sampled. b cancels out, for x is given.
"""

import numpy as np
import torch
from scipy.optimize import minimize
from torch import nn
from torch.nn import functional as F

from deepid_lite.errors import DataError
from deepid_lite.nets.batches import step_seed

CLASSES = 2


class ClassificationRBM(nn.Module):
    """x (N, inputs) -> log p(y | x), (N, 2); y: 0 different people, 1 the same."""

    def __init__(self, inputs, hidden=8):
        super().__init__()
        if min(inputs, hidden) < 1:
            raise DataError(f"ClassificationRBM: {inputs} inputs, {hidden} hidden units; use 1 or more")
        self.W = nn.Parameter(0.1 * torch.randn(hidden, inputs))
        self.U = nn.Parameter(0.1 * torch.randn(hidden, CLASSES))
        self.c, self.d = nn.Parameter(torch.zeros(hidden)), nn.Parameter(torch.zeros(CLASSES))

    def preactivations(self, x):
        """o_jy, (N, hidden, 2)."""
        return (self.c + x @ self.W.T)[:, :, None] + self.U

    def forward(self, x):
        return F.log_softmax(self.d + F.softplus(self.preactivations(x)).sum(1), dim=1)

    @torch.no_grad()
    def gradients(self, x, y):
        """Of the sum over N of log p(y | x): {"W", "U", "c", "d"}, and "x" (N, inputs), which goes down to the nets.

        delta_j = sigmoid(o_jt) - sum_y p(y | x) sigmoid(o_jy), t the true class y (N,).
        """
        wrong = F.one_hot(y, CLASSES).to(x) - self(x).exp()  # (N, 2)
        on = torch.sigmoid(self.preactivations(x))
        of_class = on * wrong[:, None]  # (N, hidden, 2)
        delta = of_class.sum(2)
        found = {"W": delta.T @ x, "U": of_class.sum(0), "c": delta.sum(0)}
        return found | {"d": wrong.sum(0), "x": delta @ self.W}


def fit_rbm(x, same, hidden=8, decay=1e-3, seed=0, steps=300):
    """A ClassificationRBM fitted to x (N, inputs) and bool (N,) by L-BFGS with the closed gradients.

    decay: of the squares of W and U. The hidden units start at random numbers that come from `seed`.
    """
    x, same = np.asarray(x, np.float64), np.asarray(same)
    if x.ndim != 2 or same.shape != x.shape[:1] or not np.isfinite(x).all():
        raise DataError(f"RBM: got inputs {x.shape} and classes {same.shape}; wanted finite (N, inputs) and (N,)")
    torch.manual_seed(step_seed(seed, hidden))
    rbm = ClassificationRBM(x.shape[1], hidden).double()
    x, y = torch.as_tensor(x), torch.as_tensor(same).long()
    sizes = {name: p.numel() for name, p in rbm.named_parameters()}

    def put(flat):
        for p, part in zip(rbm.parameters(), np.split(flat, np.cumsum(list(sizes.values()))[:-1]), strict=True):
            p.data = torch.as_tensor(part).view(p.shape)

    @torch.no_grad()
    def loss(flat):
        put(flat)
        gradients, value = rbm.gradients(x, y), -rbm(x).gather(1, y[:, None]).mean()
        slopes = {name: -gradients[name] / len(x) for name in sizes}
        for name in ("W", "U"):
            value += decay * (getattr(rbm, name) ** 2).sum()
            slopes[name] += 2 * decay * getattr(rbm, name)
        return float(value), np.concatenate([slopes[name].numpy().ravel() for name in sizes])

    start = torch.cat([p.detach().flatten() for p in rbm.parameters()]).numpy()
    put(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": steps}).x)
    return rbm.float()


@torch.no_grad()
def rbm_scores(rbm, x):
    """log p(same | x) - log p(different | x), (N,)."""
    log_p = rbm(torch.as_tensor(x, dtype=torch.float32))
    return (log_p[:, 1] - log_p[:, 0]).numpy()
