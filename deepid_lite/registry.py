"""Where studies, figures and claims make themselves known, so that nobody keeps a list of them.

A module registers what it holds when it is imported; `load` imports all modules of a room.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Literal, NamedTuple

STUDIES: dict[str, Callable] = {}  # name -> function of a `Setup` that returns a dict for JSON
FIGURES: dict[str, "Figure"] = {}  # name -> Figure
CLAIMS: dict[str, "Claim"] = {}  # name -> Claim


class Figure(NamedTuple):
    """draw: result -> matplotlib figure. of: the study or ablation whose result it draws; None: it needs none."""

    draw: Callable
    of: str | None


@dataclass(frozen=True)
class Claim:
    """What a paper says, and the rule that judges a recorded result: a bar, and a comparison to be better than.

    statement: in our words. source: where the paper says it. paper: its number, as text. row: its place among the
    claims. study: the result that it is read from. ours, comparison: its dict -> a number; unit: how they are printed.
    The bar is one of at_least, at_most (smaller is better) and between. kind: of the comparison, a *null* where there
    was nothing to learn, a *baseline* that learned or was designed, or *chance*; against: its name. Ours has to be
    better by `margin` and `times` as good, and a comparison with `between` has to lie outside. of: whose claim it is.
    why: where it cannot be tested here, the reason.
    """

    name: str
    statement: str
    source: str
    paper: str
    _: KW_ONLY
    row: int
    study: str
    kind: Literal["null", "baseline", "chance"]
    against: str
    ours: Callable[[dict], float] | None = None
    comparison: Callable[[dict], float] | None = None
    at_least: float | None = None
    at_most: float | None = None
    between: tuple[float, float] | None = None
    margin: float = 0.0
    times: float = 1.0
    unit: str = "{:.1f} %"
    of: str = "DeepID2+"
    why: str = ""

    def holds(self, ours):
        """Is our number where the bar says?"""
        if self.between:
            return self.between[0] <= ours <= self.between[1]
        return ours >= self.at_least if self.at_most is None else ours <= self.at_most

    def beats(self, ours, other):
        """Is it better than the comparison's number by as much as it has to be?"""
        if self.between:
            return not self.holds(other)
        better, worse = (ours, other) if self.at_most is None else (other, ours)
        return better > worse and better >= self.times * worse + self.margin

    def rule(self):
        """The rule as text: "at least 90 %, and 2 points above LBP"."""
        unit = re.sub("{.*?}", "{:g}", self.unit)
        if self.between:
            return f"{self.between[0]:g} to {unit.format(self.between[1])}, and {self.against} outside"
        larger = self.at_most is None
        bar = f"at least {unit.format(self.at_least)}" if larger else f"at most {unit.format(self.at_most)}"
        if self.times != 1:
            better = f"at {f'least {self.times:g}' if larger else f'most {1 / self.times:g}'} times"
        else:
            gap = f"{self.margin:g}{' points' if re.search('%|points', self.unit) else ''} " if self.margin else ""
            better = gap + ("above" if larger else "below")
        return re.sub(r"(?<![.\d])1 points", "1 point", f"{bar}, and {better} {self.against}")


def study(function):
    """Register a study under its function's name."""
    STUDIES[function.__name__] = function
    return function


def figure(name, of=None):
    """Register the function that draws the figure `name` from the result of a study, or from nothing."""

    def register(function):
        FIGURES[name] = Figure(function, of)
        return function

    return register


def claims(*entries):
    """Register claims; they stand at the end of the module of their study."""
    CLAIMS.update({claim.name: claim for claim in entries})


def load(room):
    """Import every module of a room, such as "deepid_lite.studies", so that what it holds is registered."""
    for module in pkgutil.iter_modules(importlib.import_module(room).__path__):
        importlib.import_module(f"{room}.{module.name}")
