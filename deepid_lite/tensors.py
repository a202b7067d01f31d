"""Tensors and a few plain facts in one safetensors file, complete or absent: checkpoints, weights, models.

safetensors holds numbers only, so nothing that a reader is handed can run code when it is loaded.
"""

import hashlib
import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as as_bytes

from deepid_lite.errors import DataError, checked_features
from deepid_lite.files import finite, reading, replacing, sweep


def save(path, tensors, facts):
    """Write {name: tensor} and a JSON-able dict; the file is whole or not there."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as part:
        part.write_bytes(as_bytes(tensors, metadata={"facts": json.dumps(finite(facts))}))


def save_state(path, tensors, facts):
    """As `save`, for a run that goes on: with a digest, by which `load_state` tells a file that was edited."""
    save(path, tensors, facts | {"digest": digest(tensors, facts)})


def load_state(path):
    """What `save_state` wrote; DataError where a number or a fact was changed since."""
    found, facts = load(path)
    if facts.pop("digest", None) != digest(found, facts):
        raise DataError(f"{path}: damaged, edited or of another version; delete it to start anew")
    return found, facts


def digest(tensors, facts=None):
    """Hash of {name: tensor} and of facts that JSON can hold: 16 hexadecimal digits."""
    found = hashlib.sha256(json.dumps(finite(facts), sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(np.ascontiguousarray(tensor.detach().cpu().numpy()))
    return found.hexdigest()[:16]


def discard(path):
    """Delete a file of `save`, and what a killed `save` left beside it."""
    Path(path).unlink(missing_ok=True)
    sweep(path)


def load(path):
    """Read a file of `save`: ({name: tensor}, facts)."""
    path = Path(path)
    try:
        with reading(path), safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            return {name: file.get_tensor(name) for name in file.keys()}, dict(facts)
    except DataError:
        raise
    except (SafetensorError, KeyError, ValueError, TypeError, RecursionError):
        why = f"{path}: cut short, damaged or not written by deepid"
        raise DataError(f"{why}; delete it and train or download again") from None


@contextmanager
def contents_of(path):
    """Whatever does not fit together in a file that was read is one line with its name."""
    try:
        yield
    except (DataError, LookupError, AttributeError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        why = f"no {error} in it" if isinstance(error, KeyError) else " ".join(str(error).split())[:200]
        raise DataError(f"{path}: edited, damaged or of another kind ({why}); train it again or take another") from None


def check(found, wanted):
    """DataError unless {name: tensor} has the names, shapes and kinds of `wanted`, and finite numbers.

    Floats may be fp16 or fp32. Only shapes and kinds of `wanted` are asked for: it may lie on torch's meta device.
    """
    if other := sorted(found.keys() ^ wanted.keys()):
        raise DataError(f"{other[0]} is {'missing' if other[0] in wanted else 'too many'}")
    for name, like in wanted.items():
        tensor = found[name]
        kinds = (torch.float16, torch.float32) if like.is_floating_point() else (like.dtype,)
        if tensor.shape != like.shape or tensor.dtype not in kinds:
            wants = f"{kinds[-1]} {tuple(like.shape)}"
            raise DataError(f"{name} is {tensor.dtype} {tuple(tensor.shape)}, {wants} is expected")
        checked_features(tensor.numpy(), name)


def optimizer_tensors(optimizer):
    """The optimiser's state as {"optimizer.<parameter>.<name>": tensor}."""
    return {
        f"optimizer.{i}.{name}": torch.as_tensor(value)
        for i, entry in optimizer.state_dict()["state"].items()
        for name, value in entry.items()
        if value is not None
    }


def restore_optimizer(optimizer, tensors):
    """Put back what `optimizer_tensors` gave."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            _, i, name = key.split(".", 2)
            if tensor.ndim == 4:  # fused AdamW wants the moments in the same order in memory as the weights
                tensor = torch.empty_like(parameters[int(i)]).copy_(tensor)
            state.setdefault(int(i), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
