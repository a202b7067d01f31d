"""A training recipe: every number that a run depends on besides its images, read from a small TOML file."""

import dataclasses
import math
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import torch

from deepid_lite.errors import DataError
from deepid_lite.faces.regions import by_name
from deepid_lite.nets import deepid as nets
from deepid_lite.nets.losses import TwoSignals


@dataclass(frozen=True)
class Recipe:
    """What a run depends on. `net` and `verification` are passed on to nets.py and losses.Verification."""

    architecture: str = "DeepID2Plus"  # a function of nets.py
    net: dict = field(default_factory=dict)
    verification: dict = field(default_factory=dict)
    ident: float = 1.0  # weight of identification; 0 switches it off
    weight: float = 0.05  # lambda, weight of verification [DeepID2, section 4.1]; 0 switches it off
    ramp: float = 0.0  # fraction of the run over which lambda rises from 0: unlearnt features collapse
    label_smoothing: float = 0.0
    optimizer: str = "adamw"  # or "sgd" (momentum 0.9)
    lr: float = 1e-3  # the highest rate; warm-up, then a cosine to zero (adamw), or steps (sgd)
    weight_decay: float = 0.05
    warmup: float = 0.1  # fraction of the run
    epochs: int = 20
    batch_size: int = 192  # over all processes
    images_per_person: int = 4  # standing side by side in a batch, so that there are positive pairs
    min_images: int = 2  # people with fewer are left out
    vary: float = 1.0  # strength of mirror, similarity and colour changes; 0 none
    precision: str = "bf16"  # or "fp32"
    region: str = "whole face"
    seed: int = 0


def preset_names():
    """Names of the presets in the package."""
    folder = resources.files("deepid_lite") / "presets"
    return sorted(path.name.removesuffix(".toml") for path in folder.iterdir() if path.name.endswith(".toml"))


def read_recipe(name_or_path, **changes):
    """A preset's name or a TOML file -> Recipe; `changes` override single fields (None changes nothing)."""
    path = Path(name_or_path)
    if path.suffix == ".toml":
        if not path.is_file():
            raise DataError(f"{path}: no such recipe; presets are {', '.join(preset_names())}")
    else:
        path = resources.files("deepid_lite") / "presets" / f"{name_or_path}.toml"
        if not path.is_file():
            raise DataError(f"preset {name_or_path!r}: unknown; use {', '.join(preset_names())} or a file")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not TOML ({error})") from None
    values |= {key: value for key, value in changes.items() if value is not None}
    defaults = dataclasses.asdict(Recipe())
    for key, value in values.items():
        if key not in defaults:
            raise DataError(f"{path}: unknown entry {key!r}; known are {', '.join(defaults)}")
        wanted = type(defaults[key])
        fits = isinstance(value, (int, float) if wanted is float else wanted) and not isinstance(value, bool)
        if not fits:
            raise DataError(f"{path}: {key} = {value!r} should be of type {wanted.__name__}")
    try:
        return check(Recipe(**values))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def for_region(recipe, name):
    """The recipe of a net that looks at the region of that name: a square one needs a net of square input."""
    net = recipe.net | {"input_shape": list(by_name(name).shape)}
    return check(dataclasses.replace(recipe, region=name, net=net))


# what a number may be: (lowest, highest); whole numbers are told by their type
RANGES = {
    "ident": (0, math.inf), "weight": (0, math.inf), "ramp": (0, 1), "label_smoothing": (0, 0.99),
    "lr": (1e-12, 1e3), "weight_decay": (0, math.inf), "warmup": (0, 0.99), "vary": (0, 2),
    "seed": (0, 2**31), "epochs": (1, math.inf), "batch_size": (2, math.inf),
    "images_per_person": (1, math.inf), "min_images": (1, math.inf),
}  # fmt: skip
CHOICES = {
    "optimizer": ("adamw", "sgd"),
    "precision": ("bf16", "fp32"),
    "architecture": ("DeepID", "DeepID2", "DeepID2Plus"),
}


def check(recipe):
    """The recipe, or DataError for an entry that makes no sense."""
    for name, (low, high) in RANGES.items():
        value = getattr(recipe, name)
        if not low <= value <= high:
            raise DataError(f"{name} = {value}; use a number from {low} to {high}")
    for name, allowed in CHOICES.items():
        if getattr(recipe, name) not in allowed:
            raise DataError(f"{name} = {getattr(recipe, name)!r}; use one of {', '.join(allowed)}")
    if recipe.weight > 0 and min(recipe.min_images, recipe.images_per_person) < 2:
        raise DataError("verification needs pairs; set min_images, images_per_person >= 2, or weight = 0")
    try:
        with torch.device("meta"):  # built without memory, to hear now what it would say at the start
            net = getattr(nets, recipe.architecture)(**recipe.net)
            TwoSignals(net.heads, net.dimension, 2, recipe.weight, recipe.ident, **recipe.verification)
    except (TypeError, ValueError) as error:
        raise DataError(f"[net] or [verification]: {error}") from None
    return recipe
