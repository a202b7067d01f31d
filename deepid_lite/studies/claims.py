"""The paper's claims, each checked by one rule on recorded results; no verdict is typed by hand.

A claim has two questions. Does it *hold*: is our number where the paper says that it is? And does it *beat its
comparison*: would a model that learned nothing, a rival, or chance have given the same? "About half of the neurons are
active" is true of an untrained net as well, so it shows nothing by itself. Both yes: replicated. One of the two:
partly. None: not replicated. No recorded result: not tested.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from deepid_lite import registry
from deepid_lite.errors import DataError
from deepid_lite.results import markdown_table, read_record, recorded

# whose claims the scorecard judges; those of other papers stand in the chapters on them
PAPERS = ("DeepID2+", "arXiv v1", "DeepID2", "this book")


@dataclass(frozen=True)
class Verdict:
    """A claim judged on one scale; ours and comparison are None where it was not tested."""

    claim: registry.Claim
    scale: str
    ours: float | None
    comparison: float | None
    verdict: str


def paper_claims():
    """The claims of the scorecard, in the order of its rows."""
    registry.load(__package__)
    return sorted((c for c in registry.CLAIMS.values() if c.of in PAPERS), key=lambda claim: claim.row)


def judge(scale="reference", folder=None, claims=None):
    """Every claim on the results of one scale: those recorded in this installation, or in FOLDER/<scale>/.

    A claim whose record is not there is not tested. DataError for a folder without any record, and for a record that
    is damaged, of another scale, or lacks a number that a claim reads.
    """
    claims = paper_claims() if claims is None else claims
    paths = {claim.study: _path(claim.study, scale, folder) for claim in claims}
    if folder is not None and claims and not any(path.is_file() for path in paths.values()):
        raise DataError(f"{Path(folder) / scale}: no results there; give the --out of deepid reproduce")
    remedy = "restore it with git" if folder is None else "compute it again with deepid reproduce"
    records = {study: read_record(path, remedy) for study, path in paths.items() if path.is_file()}
    return [_judge(claim, scale, records.get(claim.study), f"{paths[claim.study]}", remedy) for claim in claims]


def _path(study, scale, folder):
    """Where the result lies, or would lie; an ablation has a folder of its own."""
    if folder is None:
        return recorded(study, scale)
    of_ablation = Path(folder) / scale / study / "result.json"
    return of_ablation if of_ablation.is_file() else Path(folder) / scale / f"{study}.json"


def _judge(claim, scale, record, path, remedy):
    if record is None or claim.ours is None:
        return Verdict(claim, scale, None, None, "not tested")
    try:
        if record.get("scale") != scale:
            raise ValueError(f"its scale is {record.get('scale')!r}")
        ours, other = (_number(read(record)) for read in (claim.ours, claim.comparison))
    except (DataError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        why = f"{type(error).__name__}: {error}"
        raise DataError(f"{path}: {claim.name!r} cannot be read from it ({why}); {remedy}") from error
    return Verdict(claim, scale, ours, other, verdict_of(claim, ours, other))


def _number(value):
    if isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{value} is no number")
    return float(value)


def verdict_of(claim, ours, comparison):
    """The verdict's words for two numbers."""
    return ("not replicated", "partly", "replicated")[claim.holds(ours) + claim.beats(ours, comparison)]


def scorecard(folder=None, claims=None):
    """A Markdown table: claim, paper, comparison and ours at the reference scale, ours at lite; reference's verdict."""
    rows = []
    for lite, reference in zip(judge("lite", folder, claims), judge("reference", folder, claims), strict=True):
        claim, (other, ours) = reference.claim, _numbers(reference)
        verdict = f"**{reference.verdict}**"
        if reference.verdict == "not tested":
            verdict += f": {claim.why or 'no recorded result'}"
        place = f"{claim.statement} ({claim.source})"
        rows.append([place, claim.paper, other, _numbers(lite)[1], ours, verdict])
    return markdown_table(["claim", "paper", "compared with", "lite", "reference", "verdict"], rows)


def as_text(verdicts):
    """Verdicts for a terminal, each with its rule."""
    lines = []
    for v in verdicts:
        other, ours = _numbers(v)
        lines += [f"{v.verdict.upper():<15} {v.claim.statement}"]
        lines += [f"{'':<15} paper {v.claim.paper}; {v.scale} {ours}; {v.claim.kind} {other}"]
        lines += [f"{'':<15} rule: {v.claim.rule()}"]
        if v.verdict == "not tested":
            lines += [f"{'':<15} {v.claim.why or f'no {v.scale} result {v.claim.study!r}'}"]
    return "\n".join(lines)


def _numbers(v):
    if v.verdict == "not tested":
        return f"({v.claim.against})", "-"
    return f"{v.claim.unit.format(v.comparison)} ({v.claim.against})", v.claim.unit.format(v.ours)
