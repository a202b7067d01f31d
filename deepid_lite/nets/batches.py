"""Which images stand in which batch, and how each is augmented: pure functions of (seed, step).

A run that is stopped and resumed sees the very batches it would have seen.
"""

import hashlib

import numpy as np
import torch
from torch.nn import functional as F

from deepid_lite.errors import DataError


class FaceBatches:
    """What `training.fit` trains DeepID nets on: batches(step, device) -> (x, people).

    images: uint8 (N, rows + 2m, columns + 2m, 3) crops with a margin of m pixels for random shifts; labels: int (N,)
    0..n-1; shape: (rows, columns) of the net's input. x: floats (B, 3, rows, columns), augmented; people: (B,).
    len: steps of an epoch. fingerprint, data_hash: see `fingerprint`. DataError where images or labels do not fit.
    """

    def __init__(self, images, labels, recipe, shape, data_hash=None):
        check_images(images, labels, shape)
        self.recipe, self.shape, self.rows = recipe, shape, BatchRows(labels, recipe)
        self.fingerprint = fingerprint(images, labels, data_hash)
        self.pixels = torch.as_tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        self.people = torch.as_tensor(np.array(labels, np.int64))

    def __len__(self):
        return len(self.rows)

    def __call__(self, step, device):
        # the images lie on the device as bytes, and a batch is augmented there
        self.pixels, self.people = self.pixels.to(device), self.people.to(device)
        batch = torch.as_tensor(self.rows(step)).to(device)
        draws = torch.Generator().manual_seed(step_seed(self.recipe.seed, step))
        x = augment(self.pixels[batch], self.shape, self.recipe.vary, draws)
        return x.contiguous(memory_format=torch.channels_last), self.people[batch]


class BatchRows:
    """step -> rows (B,) of its images, in the order that `epoch_order` draws for its epoch. len: steps of an epoch."""

    def __init__(self, labels, recipe):
        self.labels, self.recipe, self.size = labels, recipe, recipe.batch_size
        self.order = (None, None)  # epoch and order, of the last step

    def __len__(self):
        return len(self.labels) // self.size

    def __call__(self, step):
        epoch, place = divmod(step, len(self))
        if self.order[0] != epoch:
            self.order = epoch, epoch_order(self.labels, self.recipe.images_per_person, self.recipe.seed, epoch)
        return self.order[1][place * self.size :][: self.size]


def step_seed(seed, step, stream=0):
    """A seed for the random numbers of one step; stream: for those that must differ from others of the step."""
    return int(np.random.SeedSequence([seed, step, stream]).generate_state(1, np.uint64)[0] >> 1)


def fingerprint(images, labels, data_hash=None):
    """Short hash of a training set: its labels, its shape and all of its pixels.

    data_hash: that of the FaceSet which the images are crops of, in place of their pixels. Crops are computed, and
    another processor may round one of a million the other way, so a run could not go on there.
    """
    digest = hashlib.sha256(np.ascontiguousarray(labels, dtype="<i8").tobytes())
    digest.update(str(images.shape).encode())
    if data_hash:
        digest.update(data_hash.encode())
    else:
        for image in images:
            digest.update(np.ascontiguousarray(image))
    return digest.hexdigest()[:16]


def epoch_order(labels, images_per_person, seed, epoch):
    """The order (N,) of one epoch: each image once, those of one person side by side in groups of `images_per_person`.

    A batch drawn at random from thousands of people would hold almost no two images of one person, and the
    verification signal would see no positive pair. Groups are shuffled, and so are the images of each person.
    """
    rng = np.random.default_rng([seed, epoch])
    shuffled = rng.permutation(len(labels))
    by_person = shuffled[np.argsort(labels[shuffled], kind="stable")]
    sorted_labels = labels[by_person]
    starts = np.flatnonzero(np.r_[True, sorted_labels[1:] != sorted_labels[:-1]])
    place = np.arange(len(labels)) - np.repeat(starts, np.diff(np.r_[starts, len(labels)]))
    group = np.cumsum(place % images_per_person == 0) - 1
    return by_person[np.argsort(rng.permutation(group[-1] + 1)[group], kind="stable")]


def check_labels(labels, images_per_person, batch_size):
    """DataError where the labels cannot fill batches that hold pairs of one and of two people."""
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or (labels < 0).any():
        raise DataError("labels: they are not whole numbers from 0 on, one an image; number the people")
    counts = np.bincount(labels)
    if (counts == 0).any():
        raise DataError("labels: they are not 0..n-1 without gaps; number the people afresh")
    if len(counts) < 2:
        raise DataError("labels: one person only; training needs at least two")
    if images_per_person > 1 and (counts < 2).any():
        alone = (counts < 2).sum()
        raise DataError(f"labels: {alone} people have one image, pairs need two; drop them: min_images = 2")
    if len(labels) < batch_size:
        raise DataError(f"batch size {batch_size}: the set has {len(labels)} images; use a smaller batch")


def check_images(images, labels, shape):
    """DataError where images are not one uint8 crop a label, the net's input with a margin around it."""
    wanted = f"uint8 ({len(labels)}, {shape[0]} + 2m, {shape[1]} + 2m, 3)"
    margins = {side - net_side for side, net_side in zip(images.shape[1:3], shape, strict=False)}
    fits = images.ndim == 4 and images.shape[3] == 3 and len(margins) == 1 and min(margins) >= 0
    if not fits or min(margins) % 2 or len(images) != len(labels) or images.dtype != np.uint8:
        raise DataError(f"images: got {images.dtype} {images.shape}, wanted {wanted}; crop the net's region")


def augment(images, shape, strength, generator):
    """Random mirror, small similarity and colour changes.

    images: uint8 (B, 3, rows + 2m, columns + 2m). Returns floats (B, 3, rows, columns) in -1..1.
    strength: 0 none (mirror included), 1 the usual. No patch is ever erased: the nets of the occlusion study
    must never have seen an occlusion. All random numbers come from `generator`, on the CPU, so that every
    device draws the same.
    """
    device, n = images.device, len(images)
    rows, columns = shape
    x = images.float()
    if strength == 0:
        margin = (x.shape[2] - rows) // 2
        return x[:, :, margin : margin + rows, margin : margin + columns] / 127.5 - 1
    draw = torch.rand(n, 10, generator=generator) * 2 - 1
    mirror = torch.where(draw[:, 0] < 0, -1.0, 1.0)
    angle, scale = draw[:, 1] * 0.1 * strength, 1 + draw[:, 2] * 0.08 * strength
    shift_x, shift_y = draw[:, 3] * 2.5 * strength, draw[:, 4] * 2.5 * strength  # pixels
    # affine_grid works in units of half the picture; a turn in pixels needs the sides' ratio
    half_w, half_h = columns / x.shape[3], rows / x.shape[2]
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack(
        [
            torch.stack([cos * mirror * half_w, -sin * half_w * rows / columns, 2 * shift_x / x.shape[3]], 1),
            torch.stack([sin * mirror * half_h * columns / rows, cos * half_h, 2 * shift_y / x.shape[2]], 1),
        ],
        1,
    )
    grid = F.affine_grid(theta.to(device), (n, 3, rows, columns), align_corners=False)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    gain = 1 + 0.25 * strength * draw[:, 5:6] + 0.08 * strength * draw[:, 6:9]  # exposure, colour cast
    gain = gain.to(device)[:, :, None, None]
    mean = x.mean((1, 2, 3), keepdim=True)
    contrast = (1 + 0.2 * strength * draw[:, 9]).to(device)[:, None, None, None]
    x = ((x - mean) * contrast + mean) * gain
    grey = (torch.rand(n, generator=generator) < 0.1 * strength).to(device)[:, None, None, None]
    x = torch.where(grey, x.mean(1, keepdim=True), x)
    return x.clamp(0, 255) / 127.5 - 1
