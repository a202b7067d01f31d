"""What is printed of claims and verdicts: a chapter's ending, the scorecard's tables, text for a terminal."""

import math
import re

from deepid_lite.errors import DataError
from deepid_lite.registry import SECTIONS, Estimate
from deepid_lite.results import markdown_table
from deepid_lite.studies.judging import ANSWERS, Verdict, judge, more, number, on_both_scales, paper_claims

__all__ = ["Verdict", "answers", "as_text", "compared", "differences", "ending", "judge", "more", "number",
           "paper_claims", "scorecard", "table", "theirs", "values"]  # fmt: skip


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
        bar = f": {claim.bar()}" * (claim.own_bar or claim.between is not None)
        both = [f"**{found.number}**{bar}", f"**{found.more}**: {differences(found)}"]
        if found.why:
            both = [f"*not tested*: {found.why}", "*not tested*"]
        rows.append([name, claim.paper, "; ".join([values(found), *_beside(found)]), values(lite), *both])
    header = ["claim", "paper", "reference", "lite", "number reached?", "more than the comparison?"]
    return markdown_table(header, rows)


def answers(verdicts, sections=SECTIONS[:4]):
    """A Markdown list for those who read one paragraph: section by section, how many rows have which answer."""
    lines = []
    for section in sections:
        rows = [v for v in verdicts if v.claim.section == section]
        tested = [v for v in rows if not v.why]
        named = {word: [v.claim.name for v in tested if v.more == word] for word in ANSWERS[::-1]}
        said = ", ".join(f"*{word}* in {len(names)} ({', '.join(names)})" for word, names in named.items() if names)
        with_bar = [v for v in tested if v.number != "no number"]
        reached = sum(v.number != "missed" for v in with_bar)
        text = f"- **{section[0].upper()}{section[1:]}.** Tested: {len(tested)} of {len(rows)} claims."
        if tested:
            text += f" More than the comparison? {said}."
        if with_bar:
            text += f" The number or bar was reached in {reached} of {len(with_bar)}."
        lines.append(text)
    return "\n".join(lines)


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
            lines += [f"     {'':<9}  beside        {text}" for text in _beside(v)]
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

    text = _joined(v.difference, of_place) if not on_both_scales(v.difference) else of_place(v.difference)
    return f"{text}; {compared(v, f' ({claim.kind})')}"


def compared(v, kind=""):
    """The comparison with its number: "3 times LBP: 0.1 %"; where losses of accuracies are compared, ours with it."""
    claim, number = v.claim, _joined(theirs(v), lambda x: _minus(v.claim.unit.format(x)))
    if "loss" in claim.against and "%" in claim.unit:
        return f"with {claim.against}{kind} ours: {number}"
    return f"{f'{claim.times:g} times ' * (claim.times != 1)}{claim.against}{kind}: {number}"


def _beside(v):
    """What is printed and not judged: "LBP: correlation 0.93 (0.91 to 0.94)"."""
    return [f"{label}: {_joined(found, lambda x: _text(v.claim, x))}" for label, found in v.beside.items()]


def theirs(v):
    """The comparison's number, in the unit of ours: a float, or one for each place."""
    sign = -1 if v.claim.down else 1

    def of_place(ours, difference):
        points = difference if isinstance(difference, Estimate) else difference["points"]
        return (ours.value - sign * points.value) / v.claim.times

    if isinstance(v.ours, dict):
        return {place: of_place(v.ours[place], v.difference[place]) for place in v.ours}
    return of_place(v.ours, v.difference)


def _joined(found, text):
    if isinstance(found, dict):
        return "; ".join(f"{place} {text(part)}" for place, part in found.items())
    return text(found)


def _form(claim):
    return re.search("{.*?}", claim.unit)[0]


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
