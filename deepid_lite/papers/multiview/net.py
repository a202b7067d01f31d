"""The net of [Zhu, Luo, Wang, Tang, NIPS 2014]: neurons of the person, neurons of the view, and EM between them."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from deepid_lite.errors import DataError
from deepid_lite.faces.synthetic.views import PIXELS, VIEWS
from deepid_lite.files import shipped
from deepid_lite.nets.batches import fingerprint, step_seed
from deepid_lite.nets.deepid import ARCHITECTURES, build, load_net, to_input
from deepid_lite.nets.training import fit

# 1 the net


class MultiViewPerceptron(nn.Module):
    """Pictures (N, 1024) -> h1, h2; with a view code h^v -> h3, h4, a picture and a view [section 2].

    h1 = f(U0 x), h2 = f(U1 h1): the person. h3 = f(U2 h2 + V2 h^v), h4 = f(U3 h3): the person in a view. y = U4 h4: the
    picture, and a softmax of U5 y + V5 h^v: its view; f: ReLU. views: degrees. identity, mixed: neurons of h1, h2, and
    of h3, h4. code: "random", K = `random` neurons h^v, uniform from 0 to 1, or "view", the control without random
    neurons: h^v says which view is wanted. samples: S of the E-step. noise: standard deviation of a pixel of y.
    """

    def __init__(self, views=VIEWS, identity=(160, 80), mixed=(80, 160), random=2, code="random", samples=8, noise=0.3):
        super().__init__()
        sizes = (*identity, *mixed, random, samples, len(views))
        if code not in ("random", "view") or min(sizes) < 1 or samples > 1000 or not 0 < noise < 100:
            raise DataError("MultiViewPerceptron: code is random or view, sizes are 1 or more, noise is positive")
        if not max(map(abs, views)) <= 90:
            raise DataError(f"MultiViewPerceptron: views {tuple(views)} are degrees from -90 to 90")
        self.config = dict(
            architecture=type(self).__name__, views=tuple(views), identity=tuple(identity), mixed=tuple(mixed),
            random=random, code=code, samples=samples, noise=noise,
        )  # fmt: skip
        self.noise, self.samples, self.code_is_random = noise, samples, code == "random"
        self.n_codes = random if self.code_is_random else len(views)
        sizes = (PIXELS**2, *identity, *mixed, PIXELS**2)
        self.u = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False))  # U0 .. U4
        self.v2 = nn.Linear(self.n_codes, mixed[0], bias=False)
        self.u5, self.v5 = nn.Linear(PIXELS**2, len(views)), nn.Linear(self.n_codes, len(views), bias=False)
        self.register_buffer("degrees", torch.tensor(views, dtype=torch.float32), persistent=False)
        for layer in self.u[:4]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def identity(self, x):
        """x (N, 1024) -> h1, h2: neurons that know no view."""
        h1 = F.relu(self.u[0](x))
        return h1, F.relu(self.u[1](h1))

    def mix(self, h2, code):
        """h2 (N, D) and codes (..., N or 1, K) -> h3, h4 (..., N, D')."""
        h3 = F.relu(self.u[2](h2) + self.v2(2 * code - 1))
        return h3, F.relu(self.u[3](h3))

    def picture(self, h4):
        return self.u[4](h4)

    def view_scores(self, y, code):
        """log p(v | y, h^v) of pictures y (..., N, 1024) -> (..., N, views)."""
        return F.log_softmax(self.u5(y) + self.v5(2 * code - 1), dim=-1)

    def forward(self, x, code):
        """The picture that the code asks for: (N, 1024)."""
        return self.picture(self.mix(self.identity(x)[1], code)[1])

    def squared_error(self, y, h4):
        """Squared distance (..., N) of y and the pictures of h4 (..., N, D'), without drawing many of them.

        ||y - U4 h4||² = ||y||² - 2 y'U4 h4 + h4'(U4'U4) h4: many samples share what is in brackets. One sample a
        picture is drawn after all, in half of the time of that matrix and its gradient.
        """
        if h4.ndim == 2:
            return ((y - self.picture(h4)) ** 2).sum(-1)
        u, rest = self.u[4].weight, y - self.u[4].bias
        return (rest**2).sum(-1) - 2 * ((rest @ u) * h4).sum(-1) + ((h4 @ (u.T @ u)) * h4).sum(-1)


ARCHITECTURES["MultiViewPerceptron"] = MultiViewPerceptron


# 2 the objective


class ViewLikelihood(nn.Module):
    """EM by the best of S samples [section 2]: the M-step is a step of gradient, the E-step chooses its h^v.

    forward: batch (x, y, view): pictures (N, 1024), pictures of the same people, and which of the net's views those are
    -> minus the mean of log p(y | h2, h^v) + log p(v | y, h^v), constants left out.
    """

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, batch, progress):
        x, y, view = batch
        h2 = self.net.identity(x)[1]
        code = self.best_code(h2, y, view) if self.net.code_is_random else F.one_hot(view, self.net.n_codes).float()
        of_picture, of_view = self.log_likelihood(h2, code, y, view)
        rms = (-2 * of_picture.detach() * self.net.noise**2 / PIXELS**2).clamp(min=0).mean().sqrt()
        return -(of_picture + of_view).mean(), {"picture_rms": rms, "view": -of_view.mean()}

    def log_likelihood(self, h2, code, y, view):
        """log p(y | h2, h^v) and log p(v | y, h^v), (..., N) each, of codes (..., N, K)."""
        of_picture = -self.net.squared_error(y, self.net.mix(h2, code)[1]) / (2 * self.net.noise**2)
        of_view = self.net.view_scores(y, code)
        return of_picture, of_view.gather(-1, view.expand(of_view.shape[:-1])[..., None])[..., 0]

    @torch.no_grad()
    def best_code(self, h2, y, view):
        """E-step: of S draws from the prior the one of largest weight w_s = p(y, v | h2, h^v_s), (N, K).

        In the log domain, for the w_s of a thousand pixels are zero in any float. The M-step keeps this draw alone.
        """
        codes = torch.rand(self.net.samples, len(y), self.net.n_codes, device=y.device)
        best = sum(self.log_likelihood(h2, codes, y, view)).argmax(0)
        return codes[best, torch.arange(len(y), device=y.device)]


class Identification(nn.Module):
    """The control that predicts the person's number from h2, on the same pictures; the net draws nothing."""

    def __init__(self, net, n_people):
        super().__init__()
        self.net, self.classifier = net, nn.Linear(net.u[1].out_features, n_people)

    def forward(self, batch, progress):
        x, people = batch
        loss = F.cross_entropy(self.classifier(self.net.identity(x)[1]), people)
        return loss, {"identification": loss}


# 3 the batches


class Triples:
    """step -> (x, y, view): a picture in any view and light, the same person in a random one of `views`, and which.

    faces: `ViewFaces` of the inputs. clean: those of the targets, one a person and view, see `targets`.
    """

    def __init__(self, faces, clean, views, recipe):
        self.recipe, self.inputs = recipe, to_input(torch.as_tensor(faces.images)).flatten(1)
        self.people = torch.as_tensor(faces.labels)
        self.targets = to_input(torch.as_tensor(targets(clean, views))).flatten(2)  # (people, views, 1024)
        self.fingerprint = fingerprint(faces.images, faces.labels) + fingerprint(clean.images, clean.labels)

    def __len__(self):
        return len(self.people) // self.recipe.batch_size

    def chosen(self, step):
        """Rows of the inputs, and the random numbers that are left for this step."""
        epoch, place = divmod(step, len(self))
        order = np.random.default_rng([self.recipe.seed, epoch]).permutation(len(self.people))
        rows = torch.as_tensor(order[place * self.recipe.batch_size :][: self.recipe.batch_size])
        return rows, torch.Generator().manual_seed(step_seed(self.recipe.seed, step))

    def __call__(self, step, device):
        rows, random = self.chosen(step)
        view = torch.randint(self.targets.shape[1], (len(rows),), generator=random)
        person = self.people[rows]
        return tuple(x.to(device) for x in (self.inputs[rows], self.targets[person, view], view))


class Labelled(Triples):
    """step -> (x, people), for `Identification`."""

    def __call__(self, step, device):
        rows, _ = self.chosen(step)
        return self.inputs[rows].to(device), self.people[rows].to(device)


def targets(clean, views):
    """The one picture of each person in each of the views: uint8 (people, views, 32, 32).

    DataError where a person has not exactly one.
    """
    people, found = np.unique(clean.labels), []
    for view in views:
        of_view = clean.subset(clean.views == view)
        if not np.array_equal(of_view.labels, people):
            raise DataError(f"view {view}: not one clean picture of each of the {len(people)} people; draw them anew")
        found.append(of_view.images)
    return np.stack(found, 1)


# 4 training


def train(faces, clean, recipe, folder, identify=False, **options):
    """Train on pictures of people in all views and return the net. identify: the control `Identification`."""
    if len(faces) < recipe.batch_size:
        raise DataError(f"batch size {recipe.batch_size}: the set has {len(faces)} pictures; use a smaller batch")
    torch.manual_seed(recipe.seed)
    net = build({**recipe.net, "architecture": recipe.architecture})
    batches = (Labelled if identify else Triples)(faces, clean, net.config["views"], recipe)
    objective = Identification(net, int(faces.labels.max()) + 1) if identify else ViewLikelihood(net)
    return fit(objective, batches, recipe, folder, **options)


# 5 use


def pretrained():
    """The net that ships with the book: the study's, of the first seed."""
    return load_net(shipped("multiview.safetensors"), MultiViewPerceptron)[0]


@torch.no_grad()
def features(net, images, seed=0):
    """uint8 (N, 32, 32) -> {"h1", "h2", "h3", "h4": (N, D)}; h3 and h4 are means over codes, for nobody says which."""
    h1, h2 = net.identity(_input(images))
    mixed = [net.mix(h2, code) for code in _codes(net, 20, seed)[:, None]]
    h3, h4 = (torch.stack(layer).mean(0) for layer in zip(*mixed, strict=True))
    return {name: h.numpy() for name, h in (("h1", h1), ("h2", h2), ("h3", h3), ("h4", h4))}


@torch.no_grad()
def render(net, images, views, samples=100, seed=0):
    """The people of pictures uint8 (N, 32, 32) in each of the views, degrees: floats (N, views, 32, 32), about -1 .. 1.

    Of many random codes the one is taken for whose picture the expected view is nearest to the wanted one. A net that
    is told the view gets shares of the two neighbouring codes.
    """
    h2, codes = net.identity(_input(images))[1], _codes(net, samples, seed)
    if net.code_is_random:
        seen = torch.stack([_expected_view(net, net.picture(net.mix(h2, code)[1]), code) for code in codes[:, None]])
        chosen = [codes[(seen - view).abs().argmin(0)] for view in views]  # (N, K) each
    else:
        chosen = [_shares(net, view)[None] for view in views]
    pictures = [net.picture(net.mix(h2, code)[1]) for code in chosen]
    return torch.stack(pictures, 1).numpy().reshape(len(images), len(views), PIXELS, PIXELS)


@torch.no_grad()
def view_of(net, images, samples=100, seed=0):
    """The view, in degrees (N,), of pictures uint8 (N, 32, 32): of the code whose picture is nearest to the input."""
    x, codes = _input(images), _codes(net, samples, seed)
    h2 = net.identity(x)[1]
    errors = torch.stack([net.squared_error(x, net.mix(h2, code)[1]) for code in codes[:, None]])
    code = codes[errors.argmin(0)]
    return _expected_view(net, net.picture(net.mix(h2, code)[1]), code).numpy()


def _input(images):
    if images.shape[1:] != (PIXELS, PIXELS) or images.dtype != np.uint8:
        raise DataError(f"pictures: got {images.dtype} {images.shape}, wanted uint8 (N, {PIXELS}, {PIXELS}), grey")
    return to_input(torch.as_tensor(images)).flatten(1)


def _codes(net, n, seed):
    """Draws from the prior (n, K), or all codes of a net that is told the view."""
    if not net.code_is_random:
        return torch.eye(net.n_codes)
    return torch.rand(n, net.n_codes, generator=torch.Generator().manual_seed(seed))


def _shares(net, view):
    """How much of each view's code makes a view between two of them: (K,)."""
    known = net.degrees.numpy()
    return torch.tensor([np.interp(view, known, row) for row in np.eye(len(known))], dtype=torch.float32)


def _expected_view(net, y, code):
    return net.view_scores(y, code).exp() @ net.degrees
