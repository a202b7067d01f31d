"""Codes of LFW's photographs that ship with the package: real data for everybody, without a name and without a face.

512 bits an image: which neurons of FC-4 the picture activates, without its flip. Images and people stand in
shuffled order under numbers, and so do the pairs of LFW's view 2. `data_scripts/lfw_codes.py` writes the file.

**Pseudonyms, not secrets.** The file holds no name and no picture, but it can be joined with what does. Whoever has LFW
and the shipped net computes the codes again and finds each one here; the seed of the shuffle is written down; and the
number of images alone gives the most photographed people away. So it is for research and teaching only, as LFW is.
"""

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch

from deepid_lite.errors import DataError
from deepid_lite.tensors import load
from deepid_lite.tensors import save as save_tensors
from deepid_lite.verification.pairs import Pairs

ARRAYS = ("codes", "people", "first", "second", "same", "fold")


@dataclass(frozen=True)
class ShippedCodes:
    """codes: uint8 (N, B / 8), see codes.py. people: int64 (N,), numbers 0..P-1. pairs: to verify. card: facts."""

    codes: np.ndarray
    people: np.ndarray
    pairs: Pairs
    card: dict


def lfw_codes(path=None):
    """The shipped codes of LFW, or those in a file that `save` wrote -> ShippedCodes.

    DataError: no such file, one that is cut short or of another kind, numbers that do not match their checksum.
    """
    path = Path(path or str(resources.files("deepid_lite") / "shipped" / "lfw-codes.safetensors"))
    tensors, facts = load(path)
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    if set(arrays) != set(ARRAYS) or set(facts) != {"card", "sha256"}:
        raise DataError(f"{path}: holds no shipped codes; give a file of data_scripts/lfw_codes.py")
    if _digest(arrays) != facts["sha256"]:
        raise DataError(f"{path}: its numbers do not match their checksum; install the package again")
    first, second, fold = (arrays[name].astype(np.int64) for name in ("first", "second", "fold"))
    pairs = Pairs(first, second, arrays["same"], fold)
    return ShippedCodes(arrays["codes"], arrays["people"].astype(np.int64), pairs, facts["card"])


def shuffled(codes, people, pairs, seed=0):
    """New numbers for images and people, and the pairs of each fold in a new order, each pair either way round.

    codes (N, B / 8), people (N,) 0..P-1, pairs: `Pairs`. Returns (codes, people, pairs) that say the same: every
    count, distance and accuracy stays, fold by fold.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(codes))  # the new image k is the old image order[k]
    place, number = np.argsort(order), rng.permutation(people.max() + 1)
    rows = np.lexsort((rng.random(len(pairs)), pairs.fold))
    turned = rng.random(len(pairs)) < 0.5
    first, second = place[pairs.first[rows]], place[pairs.second[rows]]
    again = Pairs(np.where(turned, second, first), np.where(turned, first, second), pairs.same[rows], pairs.fold[rows])
    return codes[order], number[people[order]], again


def save(path, shipped):
    """Write ShippedCodes, complete or not at all, with a checksum of its numbers."""
    pairs = shipped.pairs
    numbers = {"people": shipped.people, "first": pairs.first, "second": pairs.second, "fold": pairs.fold}
    arrays = {name: values.astype(np.min_scalar_type(-1 - values.max())) for name, values in numbers.items()}
    arrays |= {"codes": shipped.codes, "same": pairs.same}
    tensors = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in arrays.items()}
    save_tensors(path, tensors, {"card": shipped.card, "sha256": _digest(arrays)})


def _digest(arrays):
    """SHA-256 over kinds, shapes and values, in one order."""
    digest = hashlib.sha256()
    for name in ARRAYS:
        values = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {values.dtype} {values.shape}".encode() + values.tobytes())
    return digest.hexdigest()
