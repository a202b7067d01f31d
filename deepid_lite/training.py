"""Training: one readable loop on Hugging Face Accelerate, for one process or many, that can be killed at any moment.

All randomness of a step comes from (seed, step), so a checkpoint holds tensors and a step number and nothing else,
and a resumed run is bit for bit the run that was never stopped (same machine, same number of threads).
"""

import csv
import ctypes
import dataclasses
import hashlib
import math
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from tqdm import tqdm

from . import checkpoints, nets
from .batches import check_labels, epoch_order, vary
from .errors import DataError
from .losses import TwoSignals


class Student(nn.Module):
    """A net with its losses, one module so that distributed training can wrap it."""

    def __init__(self, recipe, n_people):
        super().__init__()
        self.net = getattr(nets, recipe.architecture)(**recipe.net)
        self.losses = TwoSignals(self.net.heads, self.net.dimension, n_people, recipe.weight, recipe.ident, recipe.label_smoothing, **recipe.verification)

    def forward(self, x, labels, gather):
        features = self.net(x)
        dropped = {head: self.net.dropout(f) for head, f in features.items()}
        return self.losses(features, dropped, labels, gather)


def train(images, labels, recipe, folder, device=None, checkpoint_minutes=5.0, stop_after=None):
    """Train a net and return it.

    images: uint8 (N, rows + 2m, columns + 2m, 3) region crops with a margin of m pixels for random shifts;
    labels: int (N,) 0..n-1. folder: receives `checkpoint.safetensors` (taken up again when it is there),
    `log.csv` and, at the end, `weights.safetensors`. stop_after: end early after that step, for tests.
    """
    folder = Path(folder)
    check_labels(labels, recipe.images_per_person if recipe.weight else 1, recipe.batch_size)
    accelerator = _accelerator(recipe, device)
    _keep_freed_memory()
    torch.manual_seed(recipe.seed)
    student = Student(recipe, int(labels.max()) + 1).to(memory_format=torch.channels_last)
    optimizer = _optimizer(student, recipe, accelerator.device)
    student, optimizer = accelerator.prepare(student, optimizer)
    bare = accelerator.unwrap_model(student)

    steps_per_epoch = len(labels) // recipe.batch_size
    last = steps_per_epoch * recipe.epochs
    identity = {"recipe": dataclasses.asdict(recipe), "data": fingerprint(images, labels), "net": bare.net.config}
    checkpoint = folder / "checkpoint.safetensors"
    start = _resume(checkpoint, identity, bare, optimizer) if checkpoint.is_file() else 0
    # images stay on the device as bytes; a batch is varied there
    pixels = torch.as_tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).to(accelerator.device)
    people = torch.as_tensor(labels).to(accelerator.device)
    rank, world = accelerator.process_index, accelerator.num_processes
    if recipe.batch_size % world:
        raise DataError(f"batch size {recipe.batch_size}: not a multiple of {world} processes")
    mine = slice(rank * recipe.batch_size // world, (rank + 1) * recipe.batch_size // world)
    gather = _gather_from_all if world > 1 else (lambda x: x)

    log = _Log(folder / "log.csv", start, last, recipe.batch_size) if accelerator.is_main_process else None
    student.train()
    saved = time.monotonic()
    for step in range(start, last):
        epoch, place = divmod(step, steps_per_epoch)
        if place == 0 or step == start:
            order = torch.as_tensor(epoch_order(labels, recipe.images_per_person, recipe.seed, epoch))
        batch = order[place * recipe.batch_size : (place + 1) * recipe.batch_size].to(accelerator.device)
        draws = torch.Generator().manual_seed(_seed(recipe.seed, step))
        x = vary(pixels[batch], bare.net.config["input_shape"], recipe.vary, draws)[mine]
        torch.manual_seed(_seed(recipe.seed, step, 1 + rank))  # dropout
        lr = learning_rate(recipe, step / last)
        for group in optimizer.param_groups:
            group["lr"] = lr
        with accelerator.autocast():
            loss, parts = student(x.contiguous(memory_format=torch.channels_last), people[batch][mine], gather)
        optimizer.zero_grad(set_to_none=True)
        accelerator.backward(loss)
        optimizer.step()
        if log and (step % 20 == 0 or step + 1 == last):
            log.write(step, epoch, lr, loss, parts, bare.losses)
        elif log:
            log.tick()
        done = step + 1
        due = time.monotonic() - saved > 60 * checkpoint_minutes
        if accelerator.is_main_process and (due or done == stop_after) and done < last:
            _save(checkpoint, identity, bare, optimizer, done)
            saved = time.monotonic()
        if done == stop_after:
            break
    if log:
        log.close()
    if accelerator.is_main_process and (start == last or step + 1 == last):
        save_net(folder / "weights.safetensors", bare.net, {"recipe": identity["recipe"], "data": identity["data"], "n_people": int(labels.max()) + 1})
        checkpoint.unlink(missing_ok=True)
    accelerator.wait_for_everyone()
    return bare.net.eval()


def learning_rate(recipe, progress):
    """The rate at a fraction of the run. adamw: linear warm-up and a cosine to zero; sgd: ten times less at 60 % and at 85 %."""
    if recipe.optimizer == "sgd":
        return recipe.lr * 0.1 ** ((progress >= 0.6) + (progress >= 0.85))
    if progress < recipe.warmup:
        return recipe.lr * (0.04 + 0.96 * progress / recipe.warmup)
    return recipe.lr * (0.5 + 0.5 * math.cos(math.pi * (progress - recipe.warmup) / (1 - recipe.warmup)))


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
        raise DataError(f"{path}: its tensors do not fit the architecture it names; it is of another version, train again") from None
    return net.eval().to(memory_format=torch.channels_last), facts


def _accelerator(recipe, device):
    if device == "cuda" and not torch.cuda.is_available():
        raise DataError("device cuda: this machine has no GPU that torch can use; leave --device out to train on the CPU")
    return Accelerator(cpu=device == "cpu", mixed_precision="bf16" if recipe.precision == "bf16" else "no")


def _optimizer(student, recipe, device):
    """Biases and norms are not decayed. The fused AdamW walks once over the 37 million weights of FC-1 instead of many times."""
    matrices = [p for p in student.parameters() if p.ndim > 1]
    vectors = [p for p in student.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=0.9)
    return torch.optim.AdamW(groups, lr=recipe.lr, fused=device.type in ("cpu", "cuda"))


def _seed(seed, step, stream=0):
    return int(np.random.SeedSequence([seed, step, stream]).generate_state(1, np.uint64)[0] >> 1)


def _gather_from_all(x):
    """Rows of all processes in order, with gradients. DDP averages gradients, so the factor `world` in front makes the sum whole."""
    world, rank = torch.distributed.get_world_size(), torch.distributed.get_rank()
    rows = [torch.empty_like(x) for _ in range(world)]
    torch.distributed.all_gather(rows, x.detach().contiguous())
    # own rows carry the gradient, times `world`; the value is unchanged
    rows[rank] = x.detach() + world * (x - x.detach()) if x.is_floating_point() else x
    return torch.cat(rows)


def _keep_freed_memory():
    """Let glibc keep big freed blocks: giving each activation back to the system and clearing it anew costs a third of a CPU step."""
    if sys.platform == "linux":
        try:
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(-3, 2_000_000_000)  # M_MMAP_THRESHOLD
            libc.mallopt(-1, 2_000_000_000)  # M_TRIM_THRESHOLD
        except (OSError, AttributeError):
            pass  # another C library: slower, not wrong


def _save(path, identity, bare, optimizer, step):
    tensors = {f"student.{name}": t for name, t in bare.state_dict().items()} | checkpoints.optimizer_tensors(optimizer)
    for head, verification in bare.losses.verification.items():
        if verification.past:
            distance, same = (torch.cat(column) for column in zip(*verification.past, strict=True))
            tensors |= {f"past.{head}.distance": distance, f"past.{head}.same": same}
    checkpoints.save(path, tensors, {"step": step, **identity})


def _resume(path, identity, bare, optimizer):
    tensors, facts = checkpoints.load(path)
    step = facts.pop("step", None)
    for key, value in identity.items():
        if _as_json(facts.get(key)) != _as_json(value):
            raise DataError(f"{path}: it belongs to another {key}; choose another folder, or delete it to start afresh")
    bare.load_state_dict({name[8:]: t for name, t in tensors.items() if name.startswith("student.")})
    checkpoints.restore_optimizer(optimizer, tensors)
    for head, verification in bare.losses.verification.items():
        if f"past.{head}.same" in tensors:
            verification.past = [(tensors[f"past.{head}.distance"].to(verification.margin.device), tensors[f"past.{head}.same"].to(verification.margin.device))]
    return step


def _as_json(value):
    import json

    return json.dumps(value, sort_keys=True)


class _Log:
    """Progress bar (on a terminal) and a CSV file with one row in twenty steps."""

    def __init__(self, path, start, last, batch_size):
        self.path, self.batch_size = path, batch_size
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [row for row in csv.DictReader(open(path)) if int(row["step"]) < start] if start and path.is_file() else []
        self.file = open(path.with_name("log.csv.tmp"), "w", newline="")
        self.writer = None
        for row in kept:
            self._row(row)
        self.file.flush()
        os.replace(self.file.name, path)  # the open file goes on under its new name
        self.bar = tqdm(total=last, initial=start, unit="step", disable=None, desc="training")
        self.clock, self.count = time.monotonic(), 0

    def _row(self, row):
        if self.writer is None:
            self.writer = csv.DictWriter(self.file, list(row))
            self.writer.writeheader()
        self.writer.writerow(row)

    def tick(self):
        self.count += 1
        self.bar.update()

    def write(self, step, epoch, lr, loss, parts, losses):
        self.tick()
        now = time.monotonic()
        speed = self.count * self.batch_size / max(now - self.clock, 1e-9)
        self.clock, self.count = now, 0
        row = {"step": step, "epoch": epoch, "lr": f"{lr:.6g}", "loss": f"{loss.item():.5f}", "images_per_second": f"{speed:.0f}"}
        row |= {name: f"{value.item():.5f}" for name, value in parts.items()}
        row |= {f"margin{head}": f"{v.margin.item():.4f}" for head, v in losses.verification.items()}
        self._row(row)
        self.file.flush()
        self.bar.set_postfix(loss=f"{loss.item():.3f}", images_per_second=f"{speed:.0f}")

    def close(self):
        self.bar.close()
        self.file.close()
