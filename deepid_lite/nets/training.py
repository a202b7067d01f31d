"""Training: one loop on Hugging Face Accelerate, for one process or many, that can be killed at any moment.

All randomness of a step comes from (seed, step), so a checkpoint holds tensors and a step number and nothing
else, and a resumed run is bit for bit the run that was never stopped (same machine, same number of threads).
"""

import ctypes
import dataclasses
import hashlib
import json
import math
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn

from deepid_lite import tensors as checkpoints
from deepid_lite.errors import DataError
from deepid_lite.nets import deepid as nets
from deepid_lite.nets.batches import check_images, check_labels, epoch_order, vary
from deepid_lite.nets.losses import TwoSignals
from deepid_lite.nets.training_log import TrainingLog

# Accelerate loads tqdm's bar for notebooks, which complains where ipywidgets is missing; our own bars are plain text.
warnings.filterwarnings("ignore", message="IProgress not found")

LOG_EVERY = 20  # steps
REFERENCE_FAN_IN = 1152  # of conv3: 3 x 3 x 128


class Student(nn.Module):
    """A net with its losses, one module so that distributed training can wrap it."""

    def __init__(self, recipe, n_people):
        super().__init__()
        self.net = getattr(nets, recipe.architecture)(**recipe.net)
        self.losses = TwoSignals(
            self.net.heads, self.net.dimension, n_people,
            recipe.weight, recipe.ident, recipe.label_smoothing, **recipe.verification,
        )  # fmt: skip

    def forward(self, x, labels, gather, ramp):
        features = self.net(x)
        dropped = {head: self.net.dropout(f) for head, f in features.items()}
        return self.losses(features, dropped, labels, gather, ramp)


def train(images, labels, recipe, folder, device=None, checkpoint_minutes=5.0, stop_after=None, start=None):
    """Train a net and return it.

    images: uint8 (N, rows + 2m, columns + 2m, 3) region crops with a margin of m pixels for random shifts;
    labels: int (N,) 0..n-1. folder: receives `checkpoint.safetensors` (taken up again when it is there),
    `log.csv` and, at the end, `weights.safetensors`; a run that is finished is read from there. stop_after: end
    early after that step, for tests. start: a trained net of the same architecture, whose weights are taken up; the
    classifiers are new.
    """
    folder, labels = Path(folder), np.asarray(labels)
    if finished := _finished(folder / "weights.safetensors", images, labels, recipe):
        return finished
    check_labels(labels, recipe.images_per_person if recipe.weight else 1, recipe.batch_size)
    accelerator = _accelerator(device)
    world, rank = accelerator.num_processes, accelerator.process_index
    if recipe.batch_size % world:
        raise DataError(f"batch size {recipe.batch_size}: not a multiple of {world} processes")
    mine = slice(rank * recipe.batch_size // world, (rank + 1) * recipe.batch_size // world)
    gather = _gather_from_all if world > 1 else (lambda x: x)
    bf16 = recipe.precision == "bf16" and _has_bf16(accelerator.device)
    _keep_freed_memory()

    torch.manual_seed(recipe.seed)
    student = Student(recipe, int(labels.max()) + 1).to(memory_format=torch.channels_last)
    if start is not None:
        _take_up(student.net, start)
    shape = student.net.config["input_shape"]
    check_images(images, labels, shape)
    optimizer = _optimizer(student, recipe, accelerator.device)
    student, optimizer = accelerator.prepare(student, optimizer)
    bare = accelerator.unwrap_model(student)

    steps_per_epoch = len(labels) // recipe.batch_size
    last = steps_per_epoch * recipe.epochs
    data = fingerprint(images, labels)
    identity = {"recipe": dataclasses.asdict(recipe), "data": data, "net": bare.net.config}
    checkpoint = folder / "checkpoint.safetensors"
    start = _resume(checkpoint, identity, bare, optimizer) if checkpoint.is_file() else 0
    # images stay on the device as bytes; a batch is varied there
    pixels = torch.as_tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).to(accelerator.device)
    people = torch.as_tensor(labels).long().to(accelerator.device)

    student.train()
    saved = time.monotonic()
    log_path = folder / "log.csv" if accelerator.is_main_process else None
    with TrainingLog(log_path, start, last, recipe.batch_size) as log:
        for step in range(start, last):
            epoch, place = divmod(step, steps_per_epoch)
            if place == 0 or step == start:
                order = torch.as_tensor(epoch_order(labels, recipe.images_per_person, recipe.seed, epoch))
            batch = order[place * recipe.batch_size : (place + 1) * recipe.batch_size].to(accelerator.device)
            # every process draws for the whole batch, so that their number changes nothing
            draws = torch.Generator().manual_seed(_seed(recipe.seed, step))
            x = vary(pixels[batch], shape, recipe.vary, draws)[mine]
            x = x.contiguous(memory_format=torch.channels_last)
            torch.manual_seed(_seed(recipe.seed, step, 1 + rank))  # dropout
            lr = learning_rate(recipe, step / last)
            for group in optimizer.param_groups:
                group["lr"] = lr * group["scale"]
            with torch.autocast(accelerator.device.type, torch.bfloat16, enabled=bf16):
                loss, parts = student(x, people[batch][mine], gather, verification_ramp(recipe, step / last))
            optimizer.zero_grad(set_to_none=True)
            accelerator.backward(loss)
            optimizer.step()

            log.tick()
            if step % LOG_EVERY == 0 or step + 1 == last:
                log.write(step, epoch, lr, _values(loss, parts, bare, accelerator))
            done = step + 1
            due = time.monotonic() - saved > 60 * checkpoint_minutes
            if accelerator.is_main_process and (due or done == stop_after) and done < last:
                _save(checkpoint, identity, bare, optimizer, done)
                saved = time.monotonic()
            if done == stop_after:
                break
    if accelerator.is_main_process and done == last:
        facts = {"recipe": identity["recipe"], "data": data, "n_people": int(labels.max()) + 1}
        _check_finite(bare, step)
        save_net(folder / "weights.safetensors", bare.net, facts)
        checkpoints.discard(checkpoint)
    accelerator.wait_for_everyone()
    return bare.net.eval()


def learning_rate(recipe, progress):
    """The rate at a fraction of the run.

    adamw: linear warm-up and a cosine to zero; sgd: ten times less from 60 % on, and again from 85 % on.
    """
    if recipe.optimizer == "sgd":
        return recipe.lr * 0.1 ** (int(progress >= 0.6) + int(progress >= 0.85))
    if progress < recipe.warmup:
        return recipe.lr * (0.04 + 0.96 * progress / recipe.warmup)
    return recipe.lr * (0.5 + 0.5 * math.cos(math.pi * (progress - recipe.warmup) / (1 - recipe.warmup)))


def verification_ramp(recipe, progress):
    """The factor in front of lambda at a fraction of the run, see `Recipe.ramp`."""
    return min(1.0, progress / recipe.ramp) if recipe.ramp else 1.0


def fingerprint(images, labels):
    """Short hash of the training data: labels, shape and a fixed sample of the pixels."""
    digest = hashlib.sha256(np.ascontiguousarray(labels, dtype=np.int64).tobytes())
    digest.update(str(images.shape).encode())
    digest.update(np.ascontiguousarray(images[:: max(1, len(images) // 1000)]).tobytes())
    return digest.hexdigest()[:16]


def save_net(path, net, facts):
    """Write a net's weights with its description and some facts about it."""
    checkpoints.save(path, net.state_dict(), {"net": net.config, **facts})


def load_net(path):
    """Read what `save_net` wrote: (net in evaluation mode, facts)."""
    tensors, facts = checkpoints.load(path)
    net = nets.build(facts.get("net", {}))
    try:
        net.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in tensors.items()})
    except RuntimeError:
        why = f"{path}: its tensors do not fit the architecture it names"
        raise DataError(f"{why}; it is of another version, train again") from None
    return net.eval().to(memory_format=torch.channels_last), facts


def _finished(path, images, labels, recipe):
    """The net of a run that came to its end with the same recipe and images, or None."""
    if not path.is_file():
        return None
    net, facts = load_net(path)
    same = {"recipe": dataclasses.asdict(recipe), "data": fingerprint(images, labels)}
    if any(_as_json(facts.get(key)) != _as_json(value) for key, value in same.items()):
        raise DataError(f"{path}: of another recipe or other images; take another folder, or delete it to train anew")
    return net


def _take_up(net, start):
    for key, value in net.config.items():
        if key != "dropout" and start.config[key] != value:
            raise DataError(f"start: its {key} is {start.config[key]}, the recipe's {value}; change the recipe")
    net.load_state_dict(start.state_dict())


def _accelerator(device):
    if device not in (None, "cpu", "cuda"):
        raise DataError(f"device {device!r}: use cpu or cuda, or none to take a GPU where there is one")
    if device == "cuda" and not torch.cuda.is_available():
        raise DataError("device cuda: torch can use no GPU here; leave the device out to train on the CPU")
    if "WORLD_SIZE" not in os.environ:  # Accelerate would keep the first device of a notebook for ever
        AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(cpu=device == "cpu" or not torch.cuda.is_available(), mixed_precision="no")


def _has_bf16(device):
    """A GPU without bf16 (Colab's T4) emulates it, slower than fp32."""
    return device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)


def _optimizer(student, recipe, device):
    """AdamW or SGD over weights (decayed) and biases (not decayed).

    Adam moves each weight by about lr, and so the input of a neuron by lr times its fan-in: layers wider than
    conv3 take steps smaller by that factor, or a few steps would switch off most neurons of FC-1 (fan-in
    73,216) for good. The fused AdamW walks once over the 37 million weights of FC-1 instead of many times.
    """
    groups = {}
    for module in student.modules():
        for name, p in module.named_parameters(recurse=False):
            wide = isinstance(module, torch.nn.Linear) and recipe.optimizer == "adamw"
            scale = min(1.0, REFERENCE_FAN_IN / module.in_features) if wide and name == "weight" else 1.0
            decay = recipe.weight_decay if p.ndim > 1 and name != "bias" else 0.0
            groups.setdefault((scale, decay), []).append(p)
    groups = [
        {"params": parameters, "weight_decay": decay, "scale": scale, "lr": recipe.lr}
        for (scale, decay), parameters in groups.items()
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9)
    return torch.optim.AdamW(groups, fused=device.type in ("cpu", "cuda"))


def _seed(seed, step, stream=0):
    return int(np.random.SeedSequence([seed, step, stream]).generate_state(1, np.uint64)[0] >> 1)


def _gather_from_all(x):
    """Rows of all processes in order, with gradients for this one's own.

    Every process computes the same loss from all rows, and DDP averages what flows back through each one's
    own: the factor `world` makes their sum of it.
    """
    world, rank = torch.distributed.get_world_size(), torch.distributed.get_rank()
    rows = [torch.empty_like(x) for _ in range(world)]
    torch.distributed.all_gather(rows, x.detach().contiguous())
    if x.is_floating_point():
        rows[rank] = x.detach() + world * (x - x.detach())  # the value of x, with `world` times its gradient
    return torch.cat(rows)


def _keep_freed_memory():
    """Let glibc keep big freed blocks: to hand them back and ask anew costs a third of a CPU step."""
    if sys.platform == "linux":
        try:
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(-3, 2_000_000_000)  # M_MMAP_THRESHOLD
            libc.mallopt(-1, 2_000_000_000)  # M_TRIM_THRESHOLD
        except (OSError, AttributeError):
            pass  # another C library: slower, not wrong


def _values(loss, parts, bare, accelerator):
    """Loss, its parts (means over all processes) and margins. DataError where the loss is no number."""
    mine = torch.stack([loss, *parts.values()]).detach()
    means = accelerator.reduce(mine, "mean")
    values = dict(zip(["loss", *parts], means.tolist(), strict=True))
    if not math.isfinite(values["loss"]):
        raise DataError(f"training: the loss is {values['loss']}; use a lower lr and start in another folder")
    return values | {f"margin{head}": v.margin.item() for head, v in bare.losses.verification.items()}


def _check_finite(bare, step):
    """A diverged net must not replace the last good one on the disk."""
    if not all(p.isfinite().all() for p in bare.parameters()):
        raise DataError(f"training: weights overflowed by step {step}; use a lower lr in another folder")


def _save(path, identity, bare, optimizer, step):
    _check_finite(bare, step)
    tensors = {f"student.{name}": t for name, t in bare.state_dict().items()}
    tensors |= checkpoints.optimizer_tensors(optimizer)
    for head, verification in bare.losses.verification.items():
        if verification.past:
            distance, same = (torch.cat(column) for column in zip(*verification.past, strict=True))
            tensors |= {f"past.{head}.distance": distance, f"past.{head}.same": same}
    checkpoints.save(path, tensors, {"step": step, **identity})


def _resume(path, identity, bare, optimizer):
    """Put a checkpoint back; the number of steps that are done."""
    tensors, facts = checkpoints.load(path)
    for key, value in identity.items():
        if _as_json(facts.get(key)) != _as_json(value):
            raise DataError(f"{path}: of another {key}; take another folder, or delete it to start anew")
    try:
        bare.load_state_dict({name[8:]: t for name, t in tensors.items() if name.startswith("student.")})
        checkpoints.restore_optimizer(optimizer, tensors)
        for head, verification in bare.losses.verification.items():
            if f"past.{head}.same" in tensors:
                past = (tensors[f"past.{head}.distance"], tensors[f"past.{head}.same"])
                verification.past = [tuple(t.to(verification.margin.device) for t in past)]
        return facts["step"]
    except (RuntimeError, KeyError, IndexError, ValueError):
        raise DataError(f"{path}: not a checkpoint of this version; delete it to start afresh") from None


def _as_json(value):
    return json.dumps(value, sort_keys=True)
