"""Training: one loop on Hugging Face Accelerate, for any net, in one process or many, that can be killed at any moment.

All randomness of a step comes from (seed, step), so a checkpoint holds tensors and a step number and nothing
else, and a resumed run is bit for bit the run that was never stopped (same machine, same number of threads).
"""

import ctypes
import dataclasses
import json
import math
import time
import warnings
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import is_initialized
from accelerate.utils import AutocastKwargs, gather, recursively_apply
from torch import distributed, nn

from deepid_lite import tensors
from deepid_lite.errors import DataError
from deepid_lite.files import locked
from deepid_lite.nets.batches import FaceBatches, check_labels, step_seed
from deepid_lite.nets.deepid import ARCHITECTURES, put_weights, save_net
from deepid_lite.nets.losses import TwoSignals
from deepid_lite.nets.recipe import Recipe, learning_rate, verification_ramp
from deepid_lite.nets.training_log import TrainingLog

# Accelerate loads tqdm's bar for notebooks, which complains where ipywidgets is missing; our own bars are plain text.
warnings.filterwarnings("ignore", message="IProgress not found")

LOG_EVERY = 20  # steps
REFERENCE_FAN_IN = 1152  # of conv3: 3 x 3 x 128


class TwoSignalObjective(nn.Module):
    """A DeepID net with its losses [DeepID2+, section 2].

    forward: batch (x, people), see `FaceBatches`, and the fraction of the run that is done -> the loss, a scalar, and
    {name: scalar} for the log: the loss of each layer and signal, and each margin.
    """

    def __init__(self, recipe, n_people):
        super().__init__()
        self.recipe = recipe
        self.net = ARCHITECTURES[recipe.architecture](**recipe.net)
        self.losses = TwoSignals(
            self.net.heads, self.net.dimension, n_people,
            recipe.weight, recipe.ident, recipe.label_smoothing, **recipe.verification,
        )  # fmt: skip

    def forward(self, batch, progress):
        x, people = batch
        features = self.net(x)
        dropped = {head: self.net.dropout(f) for head, f in features.items()}
        ramp = verification_ramp(self.recipe, progress)
        loss, parts = self.losses(features, dropped, people, rows_of_all, ramp)
        return loss, parts | {f"margin{head}": v.margin for head, v in self.losses.verification.items()}


def train(
    images: np.ndarray,
    labels: np.ndarray,
    recipe: Recipe,
    folder: str | Path,
    device: str | None = None,
    data_hash: str | None = None,
    **options,
) -> nn.Module:
    """Train a DeepID net with its two signals and return it.

    images: uint8 (N, rows + 2m, columns + 2m, 3) region crops with a margin of m pixels for random shifts;
    labels: int (N,) 0..n-1. data_hash: see `batches.fingerprint`. The rest: see `fit`.
    """
    labels = np.asarray(labels)
    check_labels(labels, recipe.images_per_person if recipe.weight else 1, recipe.batch_size)
    torch.manual_seed(recipe.seed)
    objective = TwoSignalObjective(recipe, int(labels.max()) + 1)
    batches = FaceBatches(images, labels, recipe, objective.net.config["input_shape"], data_hash)
    return fit(objective, batches, recipe, folder, device, **options)


def fit(
    objective, batches, recipe, folder, device=None, init=None, log=TrainingLog, checkpoint_minutes=5.0, stop_after=None
):
    """Train the net of an objective and return it, in evaluation mode.

    objective: a module with the net as `net`; forward(batch, progress) -> (loss, {name: part}), tensors without
    dimensions; progress: the fraction 0..1 of the run that is done. Whatever it keeps from step to step must be in its
    `state_dict`: as parameters, as buffers, or as one tensor a module by torch's `get_extra_state`.
    batches: batches(step, device) -> a tuple or dict of tensors (B, ...), a pure function of (recipe.seed, step);
    len(batches): the steps of an epoch; batches.fingerprint: a text that stands for all images and labels.
    recipe: a `Recipe`; read here are optimizer, lr, weight_decay, warmup, epochs, batch_size, precision and seed.
    folder: receives `checkpoint.safetensors` (taken up again when it is there), `log.csv` and, at the end,
    `weights.safetensors`; a run that is finished is read from there. Only one run at a time can write there.
    init: weights {name: tensor} that the net starts from. log: a class like `TrainingLog`. stop_after: a last step, for
    tests. Under torchrun or accelerate each process takes its share of every batch.
    """
    run = _Run(Path(folder), objective, batches, recipe, init)
    if run.is_finished():
        return objective.net.eval()
    accelerator = _accelerator(device, recipe)
    keep_freed_memory()
    objective.to(accelerator.device).train()
    optimizer = make_optimizer(objective, recipe, accelerator.device)
    model, optimizer = accelerator.prepare(objective, optimizer)
    world, rank, main = accelerator.num_processes, accelerator.process_index, accelerator.is_main_process
    last = len(batches) * recipe.epochs
    with locked(run.log) if main else nullcontext():
        done = last if run.is_finished() else run.resume(optimizer)  # another process may just have ended it
        saved = time.monotonic()
        with log(run.log if main else None, done, last, recipe.batch_size) as rows:
            for step in range(done, last):
                batch = recursively_apply(lambda x: x.chunk(world)[rank], batches(step, accelerator.device))
                lr = learning_rate(recipe, step / last)
                torch.manual_seed(step_seed(recipe.seed, step, 1 + rank))  # dropout
                loss, parts = _step(accelerator, model, optimizer, lr, batch, step / last)
                rows.tick()
                if step % LOG_EVERY == 0 or step + 1 == last:
                    rows.write(step, step // len(batches), lr, _means(accelerator, loss, parts))
                done = step + 1
                due = time.monotonic() - saved > 60 * checkpoint_minutes
                if main and (due or done == stop_after) and done < last:
                    run.save(optimizer, done)
                    saved = time.monotonic()
                if done == stop_after:
                    break
        if main and done == last:
            run.finish()
    accelerator.wait_for_everyone()
    return accelerator.unwrap_model(model, keep_fp32_wrapper=False).net.eval()


def _step(accelerator, model, optimizer, lr, batch, progress):
    for group in optimizer.param_groups:
        group["lr"] = lr * group["scale"]
    with accelerator.autocast():
        loss, parts = model(batch, progress)
    optimizer.zero_grad(set_to_none=True)
    accelerator.backward(loss)
    optimizer.step()
    return loss, parts


def _means(accelerator, loss, parts):
    """The loss and its parts as floats, means over all processes; DataError where the loss is no number."""
    values = accelerator.reduce(torch.stack([loss, *parts.values()]).detach(), "mean").tolist()
    if not math.isfinite(values[0]):
        raise DataError(f"training: the loss is {values[0]}; use a lower lr and start in another folder")
    return dict(zip(["loss", *parts], values, strict=True))


def rows_of_all(x):
    """Rows of all processes in order, with gradients for this one's own; of a single process x as it is.

    Every process computes the same loss from all rows, and DDP averages what flows back through each one's own: the
    factor `world` makes their sum of it.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return x
    world, rank = distributed.get_world_size(), distributed.get_rank()
    rows = gather(x.detach())
    if x.is_floating_point():  # the value of x, with `world` times its gradient
        rows[rank * len(x) : (rank + 1) * len(x)] = x.detach() + world * (x - x.detach())
    return rows


class _Run:
    """A training as it lies in its folder: which one it is, its log, its checkpoint and, at the end, its weights."""

    def __init__(self, folder, objective, batches, recipe, init):
        self.objective = objective.to(memory_format=torch.channels_last)
        self.log, self.checkpoint = folder / "log.csv", folder / "checkpoint.safetensors"
        self.weights = folder / "weights.safetensors"
        if init is not None:
            put_weights(objective.net, init, "init")
        facts = {"recipe": dataclasses.asdict(recipe), "data": batches.fingerprint}
        facts |= {"net": getattr(objective.net, "config", {}), "init": init and tensors.digest(init)}
        self.identity = json.loads(json.dumps(facts))  # as a file gives it back

    def is_finished(self):
        """Whether its weights are there already; the net then has them."""
        if not self.weights.is_file():
            return False
        weights, facts = tensors.load(self.weights)
        self._check_identity(self.weights, facts)
        put_weights(self.objective.net, weights, self.weights)
        tensors.discard(self.checkpoint)  # a kill may have left it
        return True

    def finish(self):
        """Write the weights; the checkpoint has done its duty."""
        _check_finite(self.objective.net.state_dict())
        save_net(self.weights, self.objective.net, self.identity)
        tensors.discard(self.checkpoint)

    def save(self, optimizer, step):
        """Write the checkpoint: all tensors, the number of steps that are done, and a hash of both."""
        state = {f"student.{name}": t for name, t in self.objective.state_dict().items()}
        state |= tensors.optimizer_tensors(optimizer)
        _check_finite(state)  # a diverged net must not replace the last good one
        facts = {"step": step, **self.identity}
        tensors.save_state(self.checkpoint, state, facts)

    def resume(self, optimizer):
        """Take up the checkpoint, where there is one; the number of steps that are done."""
        if not self.checkpoint.is_file():
            return 0
        state, facts = tensors.load_state(self.checkpoint)
        self._check_identity(self.checkpoint, facts)
        try:
            own = {name: state[f"student.{name}"] for name in self.objective.state_dict()}
            self.objective.load_state_dict(own)
            tensors.restore_optimizer(optimizer, state)
        except (RuntimeError, KeyError, IndexError, ValueError):
            raise DataError(f"{self.checkpoint}: of another objective; delete it to start anew") from None
        return facts["step"]

    def _check_identity(self, path, facts):
        for key, value in self.identity.items():
            if facts.get(key) != value:
                raise DataError(f"{path}: of another {key}; take another folder, or delete it to train anew")


def _check_finite(state):
    if not all(t.isfinite().all() for t in state.values()):
        raise DataError("training: weights overflowed; use a lower lr in another folder")


def make_optimizer(objective, recipe, device):
    """AdamW or SGD over weights (decayed) and biases (not decayed); parameters that need no gradient are left out.

    Adam moves each weight by about lr, and so the input of a neuron by lr times its fan-in: layers wider than
    conv3 take steps smaller by that factor, or a few steps would switch off most neurons of FC-1 (fan-in
    73,216) for good. The fused AdamW walks once over the 37 million weights of FC-1 instead of many times.
    """
    groups = {}
    for module in objective.modules():
        for name, p in module.named_parameters(recurse=False):
            wide = isinstance(module, nn.Linear) and recipe.optimizer == "adamw"
            scale = min(1.0, REFERENCE_FAN_IN / module.in_features) if wide and name == "weight" else 1.0
            decay = recipe.weight_decay if p.ndim > 1 and name != "bias" else 0.0
            if p.requires_grad:
                groups.setdefault((scale, decay), []).append(p)
    groups = [dict(params=p, weight_decay=decay, scale=scale, lr=recipe.lr) for (scale, decay), p in groups.items()]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9)
    return torch.optim.AdamW(groups, fused=device.type in ("cpu", "cuda"))


def keep_freed_memory():
    """Let glibc keep big freed blocks: to hand them back and ask anew costs a third of a CPU step."""
    with suppress(OSError, AttributeError):  # another C library: slower, not wrong
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 2_000_000_000)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, 2_000_000_000)  # M_TRIM_THRESHOLD


def _accelerator(device, recipe):
    if device not in (None, "cpu", "cuda"):
        raise DataError(f"device {device!r}: use cpu or cuda, or none to take a GPU where there is one")
    if device == "cuda" and not torch.cuda.is_available():
        raise DataError("device cuda: torch can use no GPU here; leave the device out to train on the CPU")
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    # a GPU without bf16 (Colab's T4) emulates it, slower than fp32
    has_bf16 = device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)
    autocast = AutocastKwargs(enabled=recipe.precision == "bf16" and has_bf16)
    # Accelerate keeps the first device and precision of a process for ever: later ones are told it by other ways
    cpu = device.type == "cpu" and not is_initialized()
    accelerator = Accelerator(cpu=cpu, mixed_precision="bf16", kwargs_handlers=[autocast])
    if accelerator.num_processes == 1:
        accelerator.state.device = device
    if recipe.batch_size % accelerator.num_processes:
        raise DataError(f"batch size {recipe.batch_size}: not a multiple of {accelerator.num_processes} processes")
    return accelerator
