"""The paper's claims, each judged by two questions on recorded results; no answer is typed by hand.

*Number reached?* The paper's number, or the bar, lies inside our 95 % interval, or the interval missed it or passed it.
*More than the comparison?* The interval of the difference lies above the margin (yes), below it (no) or covers it
(inconclusive). The two are never added up to a third. book/rules.md says why, and has each rule; the rules themselves
stand as data at the end of the module of each study.
"""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from deepid_lite import registry
from deepid_lite.errors import DataError
from deepid_lite.registry import SECTIONS, Estimate
from deepid_lite.results import read_record, recorded

SCALES_OF_LOSS = {"points", "log-odds"}
# answers from the worse to the better
NUMBERS, ANSWERS = ("missed", "inside", "passed"), ("no", "inconclusive", "yes")


@dataclass(frozen=True)
class Verdict:
    """A claim judged on one scale; ours, difference: as `Claim` says, None where it was not tested, with the reason."""

    claim: registry.Claim
    scale: str
    number: str
    more: str
    ours: Estimate | dict | None = None
    difference: Estimate | dict | None = None
    beside: dict = field(default_factory=dict)
    why: str = ""


# the two answers


def number(claim, ours):
    """Is the paper's number reached? "inside", "missed", "passed" or "no number"; ours: Estimate or {place: Estimate}.

    Where a bar has two ends, or there are several places, the worst answer counts.
    """
    ends = [("at least", claim.at_least), ("at most", claim.at_most)]
    if claim.between:
        ends = list(zip(("at least", "at most"), claim.between, strict=True))
    if all(bar is None for _, bar in ends):
        return "no number"
    places = list(ours.values()) if isinstance(ours, dict) else [ours]
    answers = []
    for end, bar in ends:
        bars = bar if isinstance(bar, tuple) else (bar,) * len(places)
        answers += [_reached(end, b, place) for b, place in zip(bars, places, strict=True) if b is not None]
    return min(answers, key=NUMBERS.index)


def _reached(end, bar, ours):
    below, above = ("missed", "passed") if end == "at least" else ("passed", "missed")
    return below if ours.high < bar else above if ours.low > bar else "inside"


def more(claim, difference):
    """More than the comparison? "yes", "no" or "inconclusive" of what `claim.difference` gave."""
    if claim.margin is None:
        return "inconclusive"
    if isinstance(difference, Estimate):
        return _beyond(difference, claim.margin)
    if on_both_scales(difference):
        points, odds = _beyond(difference["points"], claim.margin), _beyond(difference["log-odds"], 0)
        return points if points == odds else "inconclusive"
    return min((more(claim, part) for part in difference.values()), key=ANSWERS.index)


def on_both_scales(found):
    """Whether a difference is {"points": Estimate, "log-odds": Estimate} and not one of several places."""
    return isinstance(found, dict) and set(found) == SCALES_OF_LOSS


def _beyond(difference, margin):
    return "yes" if difference.low > margin else "no" if difference.high < margin else "inconclusive"


# records


def paper_claims():
    """The claims of the scorecard, section by section, in the order of their numbers."""
    registry.load(__package__)
    return sorted((c for c in registry.CLAIMS.values() if c.section in SECTIONS), key=_place)


def _place(claim):
    letter, row = re.fullmatch(r"([A-Z]+)(\d+)", claim.name).groups()
    return SECTIONS.index(claim.section), letter, int(row)


def judge(scale="reference", folder=None, claims=None):
    """A Verdict on every claim from the results of one scale: those recorded here, or in FOLDER/<scale>/.

    A claim is not tested where its record is not there, or has no entry yet of that name. DataError for a folder
    without any record, and for a record that is damaged, of another scale, or holds something else than the numbers
    that a claim reads.
    """
    claims = paper_claims() if claims is None else claims
    paths = {claim.study: _path(claim.study, scale, folder) for claim in claims if claim.ours}
    remedy = "restore it with git" if folder is None else "compute it again with deepid reproduce"
    records = {study: read_record(path, remedy) for study, path in paths.items() if path.is_symlink() or path.exists()}
    if folder is not None and claims and not records:
        raise DataError(f"{Path(folder) / scale}: no results there; give the --out of deepid reproduce")
    return [_judge(claim, scale, records.get(claim.study), paths.get(claim.study), remedy) for claim in claims]


def _path(study, scale, folder):
    """Where the result lies, or would lie; an ablation has a folder of its own."""
    if folder is None:
        return recorded(study, scale)
    of_ablation = Path(folder) / scale / study / "result.json"
    return of_ablation if of_ablation.exists() else Path(folder) / scale / f"{study}.json"


def _judge(claim, scale, record, path, remedy):
    def not_tested(why):
        return Verdict(claim, scale, "not tested", "not tested", why=why)

    if claim.ours is None:
        return not_tested(claim.why)
    if record is None:
        return not_tested(f"no {scale} result {claim.study!r}; deepid reproduce {claim.study} makes it")
    try:
        if record.get("scale") != scale:
            raise ValueError(f"its scale is {record.get('scale')!r}")
        ours, difference = _checked(claim.ours(record)), _checked(claim.difference(record))
        beside = _checked(claim.beside(record)) if claim.beside else {}
        return Verdict(claim, scale, number(claim, ours), more(claim, difference), ours, difference, beside)
    except KeyError:
        return not_tested(f"not recorded yet by this rule; deepid reproduce {claim.study} makes it")
    except (DataError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        why = f"{type(error).__name__}: {error}"
        raise DataError(f"{path}: {claim.name} cannot be read from it ({why}); {remedy}") from error


def _checked(found):
    """Estimates of what a claim read: an Estimate or list of three numbers, or a dict of such."""
    if isinstance(found, dict) and found:
        return {place: _checked(part) for place, part in found.items()}
    if not isinstance(found, list | tuple) or len(found) != 3:
        raise TypeError(f"{found!r:.40} is no number with its interval")
    if any(isinstance(part, bool) or math.isnan(part) for part in found) or not found[1] <= found[0] <= found[2]:
        raise ValueError(f"{found!r:.60} is no number with its interval")
    return Estimate(*map(float, found))
