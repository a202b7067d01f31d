"""Tensors and a few plain facts in one safetensors file, complete or absent.

safetensors holds numbers only, so nothing that a reader is handed can run code when it is loaded.
"""

import json
import os
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from deepid_lite.errors import DataError


def save(path, tensors, facts):
    """Write {name: tensor} and a JSON-able dict, beside `path` first and renamed when it is on the disk."""
    path = Path(path)
    beside = _beside(path)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        save_file(tensors, beside / path.name, metadata={"facts": json.dumps(facts)})
        with open(beside / path.name, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(beside / path.name, path)
    except (OSError, SafetensorError) as error:
        why = f"{path}: cannot be written ({error})"
        raise DataError(f"{why}; free some disk space or choose another folder") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def discard(path):
    """Delete a file of `save`, and what a killed `save` left beside it."""
    Path(path).unlink(missing_ok=True)
    shutil.rmtree(_beside(Path(path)), ignore_errors=True)


def _beside(path):
    """A folder, for safetensors writes to a name of its own choice first and leaves it when it is killed."""
    return path.with_name(path.name + ".tmp")


def load(path):
    """Read a file of `save`: ({name: tensor}, facts)."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; give the path of a .safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            return {name: file.get_tensor(name) for name in file.keys()}, facts
    except (SafetensorError, OSError, KeyError, ValueError):
        why = f"{path}: cut short, damaged or not written by deepid"
        raise DataError(f"{why}; delete it and train or download again") from None


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
