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
from deepid_lite.results import markdown_table, read_record, recorded

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
    if _scales(difference):
        points, odds = _beyond(difference["points"], claim.margin), _beyond(difference["log-odds"], 0)
        return points if points == odds else "inconclusive"
    return min((more(claim, part) for part in difference.values()), key=ANSWERS.index)


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
    if folder is not None and claims and not any(path.is_file() for path in paths.values()):
        raise DataError(f"{Path(folder) / scale}: no results there; give the --out of deepid reproduce")
    remedy = "restore it with git" if folder is None else "compute it again with deepid reproduce"
    records = {study: read_record(path, remedy) for study, path in paths.items() if path.is_file()}
    return [_judge(claim, scale, records.get(claim.study), paths.get(claim.study), remedy) for claim in claims]


def _path(study, scale, folder):
    """Where the result lies, or would lie; an ablation has a folder of its own."""
    if folder is None:
        return recorded(study, scale)
    of_ablation = Path(folder) / scale / study / "result.json"
    return of_ablation if of_ablation.is_file() else Path(folder) / scale / f"{study}.json"


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
    except KeyError as error:
        return not_tested(f"not recorded yet: {claim.study} has no {error}; deepid reproduce {claim.study} makes it")
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


# what is printed


def ending(*names, folder=None):
    """The Markdown table that ends a chapter: claims by name with the paper's number, ours and both answers."""
    claims = {claim.name: claim for claim in paper_claims()}
    if unknown := [name for name in names if name not in claims]:
        raise DataError(f"claims {', '.join(unknown)}: there are {', '.join(claims)}")
    return table([claims[name] for name in names], folder)


def scorecard(*sections, folder=None):
    """The same table of all claims of these SECTIONS, by default of all."""
    return table([claim for claim in paper_claims() if claim.section in (sections or SECTIONS)], folder)


def table(claims, folder=None):
    """A Markdown table of claims; the answers are those of the reference scale."""
    rows = []
    for lite, found in zip(judge("lite", folder, claims), judge("reference", folder, claims), strict=True):
        claim = found.claim
        name = f"**{claim.name}**{' †' * claim.leans_on_lbp} {claim.statement} ({claim.source})"
        answers = [f"**{found.number}**, {claim.bar()}", f"**{found.more}**: {differences(found)}"]
        if found.why:
            answers = [f"*not tested*: {found.why}", "*not tested*"]
        rows.append([name, claim.paper, values(found), values(lite), *answers])
    header = ["claim", "paper", "reference", "lite", "number reached?", "more than the comparison?"]
    return markdown_table(header, rows)


def as_text(verdicts):
    """Verdicts for a terminal: each claim with its rule, and both answers of each scale. verdicts: one list a scale."""
    lines = []
    for scales in zip(*verdicts, strict=True):
        claim = scales[0].claim
        lines += [f"{claim.name:<4} {claim.statement}{' †' * claim.leans_on_lbp}"]
        lines += [f"     paper: {claim.paper}; rule: {claim.rule()}"]
        for v in scales:
            if v.why:
                lines += [f"     {v.scale:<9}  NOT TESTED    {v.why}"]
            else:
                lines += [f"     {v.scale:<9}  {v.number.upper():<12}  {values(v)}"]
                lines += [f"     {'':<9}  {v.more.upper():<12}  {differences(v)}"]
            lines += [f"     {'':<9}  beside        {label}: {_text(claim, e)}" for label, e in v.beside.items()]
    return "\n".join(lines)


def values(v):
    """Our number as text: "42.0 (41.6 to 42.5) %"; each place's with its name."""
    return "–" if v.ours is None else _joined(v.ours, lambda found: _text(v.claim, found))


def differences(v):
    """The difference to the comparison as text, signed so that a positive one speaks for the claim."""
    claim = v.claim
    if v.difference is None:
        return "–"
    points = " points" * bool(re.search("%|point", claim.unit))

    def of_place(found):
        if isinstance(found, Estimate):
            return _signed(found, _form(claim)) + points
        return f"{_signed(found['points'], _form(claim))}{points}, {_signed(found['log-odds'], '{:.2f}')} in log-odds"

    text = _joined(v.difference, of_place) if not _scales(v.difference) else of_place(v.difference)
    times = f"{claim.times:g} times " * (claim.times != 1)
    return f"{text}, against {times}{claim.against} ({claim.kind}), {_joined(theirs(v), lambda x: _plain(claim, x))}"


def theirs(v):
    """The comparison's number, in the unit of ours: a float, or one for each place."""
    sign = -1 if v.claim.down else 1

    def of_place(ours, difference):
        points = difference if isinstance(difference, Estimate) else difference["points"]
        return (ours.value - sign * points.value) / v.claim.times

    if isinstance(v.ours, dict):
        return {place: of_place(v.ours[place], v.difference[place]) for place in v.ours}
    return of_place(v.ours, v.difference)


def _scales(found):
    return isinstance(found, dict) and set(found) == SCALES_OF_LOSS


def _joined(found, text):
    if isinstance(found, dict):
        return "; ".join(f"{place} {text(part)}" for place, part in found.items())
    return text(found)


def _form(claim):
    return re.search("{.*?}", claim.unit)[0]


def _plain(claim, value):
    return _minus(claim.unit.format(value))


def _text(claim, found):
    return _minus(claim.unit.replace(_form(claim), _form(claim).format(found.value) + _ends(found, _form(claim))))


def _signed(found, form):
    return _minus(f"{'+' if found.value >= 0 else ''}{form.format(found.value)}{_ends(found, form)}")


def _ends(found, form):
    if math.isinf(found.low) or math.isinf(found.high):
        return " (fewer than three trainings, so without an interval)"
    return f" ({form.format(found.low)} to {form.format(found.high)})"


def _minus(text):
    return re.sub(r"(?<!\w)-(?=\d)", "−", text)
