"""A training recipe: every number that a run depends on besides its images, read from a small TOML file."""

import dataclasses
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from .errors import DataError


@dataclass(frozen=True)
class Recipe:
    """What a run depends on. `net` and `verification` are passed on to nets.py and losses.Verification."""

    architecture: str = "DeepID2Plus"  # a function of nets.py
    net: dict = field(default_factory=dict)
    verification: dict = field(default_factory=dict)
    ident: float = 1.0  # weight of identification; 0 switches it off
    weight: float = 0.05  # lambda, weight of verification [DeepID2, section 4.1]; 0 switches it off
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
    return sorted(path.stem for path in (resources.files(__package__) / "presets").iterdir() if path.name.endswith(".toml"))


def read_recipe(name_or_path, **changes):
    """A preset's name or a TOML file -> Recipe; `changes` override single fields (None changes nothing)."""
    path = Path(name_or_path)
    if path.suffix == ".toml":
        if not path.is_file():
            raise DataError(f"{path}: no such recipe; presets are {', '.join(preset_names())}")
    else:
        path = resources.files(__package__) / "presets" / f"{name_or_path}.toml"
        if not path.is_file():
            raise DataError(f"preset {name_or_path!r}: unknown; use {', '.join(preset_names())} or a .toml file")
    try:
        values = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path}: not TOML ({error})") from None
    values |= {key: value for key, value in changes.items() if value is not None}
    known = {f.name: f.default if f.default is not dataclasses.MISSING else {} for f in dataclasses.fields(Recipe)}
    for key, value in values.items():
        if key not in known:
            raise DataError(f"{path}: unknown entry {key!r}; known are {', '.join(known)}")
        wanted = (int, float) if isinstance(known[key], float) else type(known[key])
        if not isinstance(value, wanted):
            raise DataError(f"{path}: {key} = {value!r} should be of type {type(known[key]).__name__}")
    return check(Recipe(**values))


def check(recipe):
    """The recipe, or DataError for a number that makes no sense."""
    for name in ("epochs", "batch_size", "images_per_person", "min_images", "lr"):
        if not getattr(recipe, name) > 0:
            raise DataError(f"recipe: {name} = {getattr(recipe, name)}; use a positive number")
    for name, allowed in (("optimizer", ("adamw", "sgd")), ("precision", ("bf16", "fp32")), ("architecture", ("DeepID", "DeepID2", "DeepID2Plus"))):
        if getattr(recipe, name) not in allowed:
            raise DataError(f"recipe: {name} = {getattr(recipe, name)!r}; use one of {', '.join(allowed)}")
    if recipe.weight > 0 and recipe.min_images < 2:
        raise DataError("recipe: verification needs pairs; set min_images = 2 or weight = 0")
    return recipe
