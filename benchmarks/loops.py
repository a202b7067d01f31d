"""The training loop and what it is compared with, as contenders: each trains on noise and reports seconds a step.

What is timed of ours is `training.train` itself, with its own augmentation and optimiser. A clock is given in place of
its log and ends the run before anything is saved.
"""

import itertools
import tempfile
import time
from contextlib import suppress
from functools import partial

import numpy as np
import torch
from _timing import best_time
from torch.nn import functional as F

from deepid_lite.nets.batches import augment, epoch_order
from deepid_lite.nets.summary import layer_table
from deepid_lite.nets.training import TwoSignalObjective, keep_freed_memory, make_optimizer, train

MARGIN, EACH = 4, 4  # pixels around the crop, as in pipeline.py; images a person


def noise(n_people, shape):
    """Training images of noise with their labels: speed does not depend on what they show."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(n_people), EACH)
    size = (len(labels), shape[0] + 2 * MARGIN, shape[1] + 2 * MARGIN, 3)
    return rng.integers(0, 256, size, dtype=np.uint8), labels


def shape_of(recipe):
    return tuple(recipe.net.get("input_shape", (55, 47)))


class Enough(Exception):
    """Ends `training.train`."""


class Clock:
    """In place of a TrainingLog: after each `steps` steps it hands over the seconds of one step."""

    def __init__(self, turn, steps, device):
        self.turn, self.steps, self.device, self.done = turn, steps, device, 0

    def tick(self):
        """One step is done. The first two are a warm-up: memory is asked for, kernels are chosen."""
        self.done += 1
        if self.done == 2 or (self.done > 2 and (self.done - 2) % self.steps == 0):
            wait(self.device)
            self.turn(None if self.done == 2 else (time.perf_counter() - self.start) / self.steps)
            self.start = time.perf_counter()

    def write(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def ours(turn, recipe, n_people, steps, device="cpu"):
    """`training.train` as it is."""
    images, labels = noise(n_people, shape_of(recipe))
    clock = Clock(turn, steps, device)
    with tempfile.TemporaryDirectory() as folder, suppress(Enough):
        train(images, labels, recipe, folder, device, log=lambda *_: clock, checkpoint_minutes=float("inf"))


def plain(turn, recipe, n_people, steps, device="cpu"):
    """The same net, losses and augmentation in the loop that one writes first: fp32, everything as torch has it."""
    images, labels = noise(n_people, shape_of(recipe))
    pixels = torch.as_tensor(images).permute(0, 3, 1, 2).contiguous().to(device)
    people = torch.as_tensor(labels, device=device)
    objective = TwoSignalObjective(recipe, n_people).to(device).train()
    optimizer = torch.optim.AdamW(objective.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    draws, clock = torch.Generator().manual_seed(0), Clock(turn, steps, device)
    for epoch in itertools.count():
        order = torch.as_tensor(epoch_order(labels, recipe.images_per_person, 0, epoch), device=device)
        for batch in order[: len(order) // recipe.batch_size * recipe.batch_size].split(recipe.batch_size):
            x = augment(pixels[batch], shape_of(recipe), recipe.vary, draws)
            loss, _ = objective((x, people[batch]), 1.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            clock.tick()


def seconds_a_step(recipe, n_people, seconds, steps=1, device="cpu", loop=ours):
    """Shortest time of one step of a loop, in this process, of as many as fit into `seconds` (but two)."""
    found, end = [], time.perf_counter() + seconds

    def turn(result):
        found.append(result)
        if len(found) > 2 and time.perf_counter() + steps * result > end:
            raise Enough

    with suppress(Enough):
        loop(turn, recipe, n_people, steps, device)
    return min(found[1:])


def asked(turn, seconds):
    """Each turn is asked for (recipe, people): seconds a step of ours."""
    question = turn(None)
    while True:
        question = turn(seconds_a_step(*question, seconds))


def operations(recipe, n_people):
    """Floating-point operations of one image in training: a multiply-add is two, and each is done three times.

    Forward, for the gradient of the weights, and for that of the input, which the first layer does not need.
    """
    with torch.device("meta"):
        net = TwoSignalObjective(recipe, n_people).net
    layers = {row.name: row.multiply_adds for row in layer_table(net)}
    heads = len(net.heads) * net.dimension * n_people
    return 2 * (3 * (sum(layers.values()) + heads) - layers["conv1"])


def roof(size, dtype, device="cpu"):
    """A function that multiplies two square matrices once, 2 size^3 operations, and returns the seconds."""
    a, b = (torch.randn(size, size).to(device, dtype) for _ in range(2))
    out = torch.empty_like(a)

    def product():
        torch.mm(a, b, out=out)
        wait(device)

    product()  # warm-up
    return lambda: best_time(product, 1, time.perf_counter)[0]


def wait(device):
    """Until the GPU has done what it was asked for; the CPU has always."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def layers(turn, recipe, n_people, as_ours):
    """Each turn: {part: seconds} of one step, forward and backward, parts of the net and of the loop one by one."""
    images, labels = noise(n_people, shape_of(recipe))
    layout = torch.channels_last if as_ours else torch.contiguous_format
    if as_ours:
        keep_freed_memory()
    torch.manual_seed(0)
    objective = TwoSignalObjective(recipe, n_people).to(memory_format=layout).train()
    if as_ours:
        optimizer = make_optimizer(objective, recipe, torch.device("cpu"))
    else:
        optimizer = torch.optim.AdamW(objective.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    pixels = torch.as_tensor(images).permute(0, 3, 1, 2).contiguous()
    batch = torch.as_tensor(epoch_order(labels, recipe.images_per_person, 0, 0))[: recipe.batch_size]
    draws = torch.Generator().manual_seed(0)

    def augmented():
        return augment(pixels[batch], shape_of(recipe), recipe.vary, draws).contiguous(memory_format=layout)

    with torch.autocast("cpu", torch.bfloat16, enabled=as_ours):
        parts = list(net_parts(objective, augmented(), torch.as_tensor(labels)[batch]))
    for p in objective.parameters():
        p.grad = torch.randn_like(p) * 1e-4
    calls = {name: partial(forward_backward, *work, as_ours) for name, *work in parts}
    calls |= {"optimiser": optimizer.step, "batch and augmentation": augmented}
    for call in calls.values():  # warm-up
        call()
    turn(None)
    while True:
        turn({name: best_time(call, 1, time.perf_counter)[0] for name, call in calls.items()})


def forward_backward(function, inputs, weights, bf16):
    """The work of one part in a training step. The first layer's input, pixels, has no gradient."""
    leaves = [x.detach().requires_grad_(grad) for x, grad in inputs]
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        y = function(*leaves)
    torch.autograd.grad(y, [x for x in leaves if x.requires_grad] + weights, torch.ones_like(y))


def net_parts(objective, x, labels):
    """(name, function, [(input, has a gradient)], weights) of each part, in the order of `DeepIDNet.forward`."""
    net, maps, features = objective.net, {}, {}
    for n in range(1, 5):
        convolve, norm = getattr(net, f"conv{n}"), net.norms[n - 1]
        yield f"conv{n}", convolve, [(x, n > 1)], list(convolve.parameters())
        x = convolve(x).detach()

        def rest(x, norm=norm, pool=n < 4):
            return F.relu(norm(F.max_pool2d(x, 2) if pool else x))

        yield f"pool, norm, ReLU {n}", rest, [(x, True)], list(norm.parameters())
        x = maps[n] = rest(x).detach()
    for head in net.heads:
        full, norm = net.fc[str(head)], net.feature_norms[str(head)]

        def feature(x, full=full, norm=norm):
            return F.relu(norm(full(x.permute(0, 2, 3, 1).flatten(1))))

        yield f"FC-{head}", feature, [(maps[head], True)], [*full.parameters(), *norm.parameters()]
        features[head] = feature(maps[head]).detach()
    inputs = [(f, True) for f in features.values()]

    def identify(*found):
        heads = zip(objective.losses.identification.values(), found, strict=True)
        return sum(head(net.dropout(f), labels) for head, f in heads)

    def verify(*found):
        heads = zip(objective.losses.verification.values(), found, strict=True)
        return sum(head(f.float(), labels) for head, f in heads)

    yield "identification", identify, inputs, list(objective.losses.identification.parameters())
    yield "verification", verify, inputs, list(objective.losses.verification.parameters())
