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
from deepid_lite.files import read_bytes
from deepid_lite.nets.deepid import DeepIDNet, build
from deepid_lite.nets.losses import TwoSignals


def _number(default, low, high=math.inf):
    return field(default=default, metadata={"from": low, "to": high})


def _word(*words):
    """One of these; the first is the default."""
    return field(default=words[0], metadata={"words": words})


@dataclass(frozen=True)
class Recipe:
    """What a run depends on. `net` and `verification` are passed on to the architecture and losses.Verification."""

    architecture: str = "DeepID2Plus"  # of deepid.ARCHITECTURES
    net: dict = field(default_factory=dict)
    verification: dict = field(default_factory=dict)
    ident: float = _number(1.0, 0)  # weight of identification; 0 switches it off
    weight: float = _number(0.05, 0)  # lambda, weight of verification [DeepID2, section 4.1]; 0 switches it off
    ramp: float = _number(0.0, 0, 1)  # fraction of the run over which lambda rises from 0: unlearnt features collapse
    label_smoothing: float = _number(0.0, 0, 0.99)
    optimizer: str = _word("adamw", "sgd")  # sgd with momentum 0.9
    lr: float = _number(1e-3, 1e-12, 1e3)  # the highest rate; warm-up, then a cosine to zero (adamw), or steps (sgd)
    weight_decay: float = _number(0.05, 0)
    warmup: float = _number(0.1, 0, 0.99)  # fraction of the run
    epochs: int = _number(20, 1)
    batch_size: int = _number(192, 2)  # over all processes
    images_per_person: int = _number(4, 1)  # side by side in a batch, so that there are positive pairs
    min_images: int = _number(2, 1)  # people with fewer are left out
    vary: float = _number(1.0, 0, 2)  # strength of the augmentation: flip, similarity, colours; 0 none
    precision: str = _word("bf16", "fp32")
    region: str = "whole face"
    seed: int = _number(0, 0, 2**31)


def preset_names():
    """Names of the presets in the package."""
    folder = resources.files("deepid_lite") / "presets"
    return sorted(path.name.removesuffix(".toml") for path in folder.iterdir() if path.name.endswith(".toml"))


def read_recipe(name_or_path: str | Path, **changes) -> Recipe:
    """A preset's name or a TOML file -> Recipe; `changes` override single fields (None changes nothing)."""
    path = Path(name_or_path)
    if path.suffix == ".toml":
        content = read_bytes(path, f"presets are {', '.join(preset_names())}")
    else:
        path = Path(str(resources.files("deepid_lite") / "presets" / f"{name_or_path}.toml"))
        if not path.is_file():
            raise DataError(f"preset {name_or_path!r}: unknown; use {', '.join(preset_names())} or a file")
        content = path.read_bytes()
    try:
        values = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
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


def check(recipe):
    """The recipe, or DataError for an entry that makes no sense."""
    for entry in dataclasses.fields(recipe):
        value, allowed = getattr(recipe, entry.name), entry.metadata
        if "from" in allowed and not allowed["from"] <= value <= allowed["to"]:
            raise DataError(f"{entry.name} = {value}; use a number from {allowed['from']} to {allowed['to']}")
        if "words" in allowed and value not in allowed["words"]:
            raise DataError(f"{entry.name} = {value!r}; use one of {', '.join(allowed['words'])}")
    if recipe.weight > 0 and min(recipe.min_images, recipe.images_per_person) < 2:
        raise DataError("verification needs pairs; set min_images, images_per_person >= 2, or weight = 0")
    try:
        with torch.device("meta"):  # built without memory, to hear now what it would say at the start
            net = build(recipe.net | {"architecture": recipe.architecture})
            if isinstance(net, DeepIDNet):
                TwoSignals(net.heads, net.dimension, 2, recipe.weight, recipe.ident, **recipe.verification)
    except (TypeError, ValueError) as error:
        raise DataError(f"[net] or [verification]: {error}") from None
    return recipe


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
