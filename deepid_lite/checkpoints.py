"""Tensors and a few plain facts in one safetensors file, complete or absent.

safetensors holds numbers only, so nothing that a reader is handed can run code when it is loaded.
"""

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .errors import DataError


def save(path, tensors, facts):
    """Write {name: tensor} and a JSON-able dict, beside `path` first and renamed when it is on the disk."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".tmp")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(tensors, beside, metadata={"facts": json.dumps(facts)})
        with open(beside, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    except (OSError, SafetensorError) as error:
        beside.unlink(missing_ok=True)
        raise DataError(f"{path}: cannot be written ({error}); free some disk space or choose another folder") from None


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
        raise DataError(f"{path}: cut short, damaged or not written by deepid; delete it and train or download again") from None


def optimizer_tensors(optimizer):
    """The optimiser's state as {"optimizer.<parameter>.<name>": tensor}."""
    state = optimizer.state_dict()["state"]
    return {f"optimizer.{i}.{name}": torch.as_tensor(value) for i, entry in state.items() for name, value in entry.items() if value is not None}


def restore_optimizer(optimizer, tensors):
    """Put back what `optimizer_tensors` gave."""
    state = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            _, i, name = key.split(".", 2)
            state.setdefault(int(i), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
