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


class Estimate(NamedTuple):
    """A number with its 95 % interval; a record holds it as a list of three."""

    value: float
    low: float
    high: float


# the scorecard's tables, in their order; a claim of another section is judged, but stands in none of them
SECTIONS = ("how good it is", "sparse", "selective", "robust", "earlier papers", "ours")


@dataclass(frozen=True)
class Claim:
    """What a paper says, and the rule by which a record answers two questions; book/rules.md has all rules.

    name: "C9". statement: in our words. source: where the paper says it. paper: its number, as text. section: one of
    SECTIONS. study: the record that it is read from.

    Number reached? ours: record -> Estimate in the numbers of `unit`, or {place: Estimate}, of which the worse counts.
    The bar is one of at_least, at_most (smaller is better) and between, or none; a tuple is a bar for each place.
    own_bar: it is ours and not the paper's.

    More than the comparison? difference: record -> Estimate of ours minus the comparison's, signed so that positive
    speaks for the claim; or, with log_odds, {"points": Estimate, "log-odds": Estimate}; or {place: either}, of which
    the worse counts. It has to lie above `margin` (in log-odds above zero); None: it stays inconclusive, whatever it
    is. times: ours minus that many times the comparison's. smaller: smaller is better, where no at_most says so. kind:
    of the comparison, a *null* where there was nothing to learn, a *baseline* that learned or was designed, or
    *chance*; against: its name.

    interval: what is drawn anew for it. beside: record -> {label: Estimate}, printed and not judged. leans_on_lbp: the
    dagger. of: whose claim it is. why: where it cannot be tested here, the reason; such a claim reads nothing.
    """

    name: str
    statement: str
    source: str
    paper: str
    _: KW_ONLY
    section: str
    kind: Literal["null", "baseline", "chance"]
    against: str
    study: str = ""
    ours: Callable[[dict], Estimate | dict] | None = None
    difference: Callable[[dict], Estimate | dict] | None = None
    beside: Callable[[dict], dict[str, Estimate]] | None = None
    interval: Literal["pairs", "people", "seeds", ""] = ""
    at_least: float | tuple[float, ...] | None = None
    at_most: float | None = None
    between: tuple[float, float] | None = None
    own_bar: bool = False
    margin: float | None = 0.0
    log_odds: bool = False
    times: float = 1.0
    smaller: bool = False
    unit: str = "{:.1f} %"
    leans_on_lbp: bool = False
    of: str = "DeepID2+"
    why: str = ""

    @property
    def down(self):
        """Whether a smaller number of ours is the better one."""
        return self.smaller or self.at_most is not None

    def bar(self):
        """The bar as text: "at least 90 %"."""
        unit = re.sub("{.*?}", "{}", self.unit)
        if self.between:
            text = f"from {self.between[0]:g} to {unit.format(f'{self.between[1]:g}')}"
        elif self.at_most is not None:
            text = f"at most {unit.format(f'{self.at_most:g}')}"
        elif self.at_least is not None:
            bars = self.at_least if isinstance(self.at_least, tuple) else (self.at_least,)
            text = f"at least {unit.format(' and '.join(f'{bar:g}' for bar in bars))}"
        else:
            return "no number"
        return text + " (ours)" * self.own_bar

    def rule(self):
        """The rule as text: "at least 90 %; better than LBP (baseline) by more than 8 points, and in log-odds"."""
        against = f"{self.against} ({self.kind})"
        if self.margin is None:
            return f"{self.bar()}; more than {against} is inconclusive by rule"
        if self.times != 1:
            return f"{self.bar()}; more than {self.times:g} times {against}"
        points = " points" if re.search("%|point", self.unit) else ""
        by = f" by more than {self.margin:g}{points}" if self.margin else ""
        return f"{self.bar()}; better than {against}{by}{', and in log-odds' if self.log_odds else ''}".replace(
            " 1 points", " 1 point"
        )


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
