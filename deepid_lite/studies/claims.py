"""The paper's claims, each checked by one rule on recorded results; no verdict is typed by hand.

A claim has two questions. Does it *hold*: is our number where the paper says that it is? And does it *beat its null*:
would a model that learned nothing have given the same? "About half of the neurons are active" is true of an untrained
net as well, so it shows nothing by itself. Both yes: replicated. One of the two: partly. None: not replicated.
No recorded result: not tested.
"""

from dataclasses import dataclass
from pathlib import Path

from deepid_lite.files import read_json
from deepid_lite.results import markdown_table, recorded
from deepid_lite.studies.claim_list import CLAIMS, Claim


@dataclass(frozen=True)
class Verdict:
    """A claim judged on one scale; ours and null are None where it was not tested."""

    claim: Claim
    scale: str
    ours: float | None
    null: float | None
    verdict: str


def judge(scale="reference", folder=None, claims=None):
    """Every claim on the results of one scale: those recorded in this installation, or FOLDER/<scale>/<study>.json."""
    return [_judge(claim, scale, folder) for claim in (CLAIMS if claims is None else claims)]


def _judge(claim, scale, folder):
    result = _result(claim.study, scale, folder)
    try:
        ours, null = (None, None) if result is None else (float(claim.ours(result)), float(claim.null(result)))
    except (KeyError, TypeError):  # a study that left this part out, as without the data for it
        ours = null = None
    return Verdict(claim, scale, ours, null, verdict_of(claim, ours, null))


def verdict_of(claim, ours, null):
    """The verdict's words for two numbers."""
    if ours is None or null is None or ours != ours or null != null:
        return "not tested"
    return ("not replicated", "partly", "replicated")[bool(claim.holds(ours)) + bool(claim.beats(ours, null))]


def table(verdicts):
    """A Markdown table: claim, paper, null, ours, verdict."""
    rows = [[f"{v.claim.statement} ({v.claim.source})", v.claim.paper, *_numbers(v), v.verdict] for v in verdicts]
    return markdown_table(["claim", "paper", "null model", "ours", "verdict"], rows)


def scorecard(folder=None, claims=None):
    """A Markdown table: claim, paper, null and ours at the reference scale, ours at lite; the reference's verdict."""
    rows = []
    for lite, reference in zip(judge("lite", folder, claims), judge("reference", folder, claims), strict=True):
        claim, (null, ours) = reference.claim, _numbers(reference)
        verdict = f"**{reference.verdict}**"
        if reference.verdict == "not tested":
            verdict += f": {claim.why or 'no recorded result'}"
        place = f"{claim.statement} ({claim.source})"
        rows.append([place, claim.paper, null, _numbers(lite)[1], ours, verdict])
    return markdown_table(["claim", "paper", "null model", "lite", "reference", "verdict"], rows)


def as_text(verdicts):
    """The same for a terminal."""
    lines = []
    for v in verdicts:
        null, ours = _numbers(v)
        lines += [f"{v.verdict.upper():<15} {v.claim.statement}"]
        lines += [f"{'':<15} paper {v.claim.paper}; {v.scale} {ours}; null {null}"]
    return "\n".join(lines)


def _numbers(v):
    if v.verdict == "not tested":
        return f"({v.claim.null_is})", "-"
    return f"{v.claim.unit.format(v.null)} ({v.claim.null_is})", v.claim.unit.format(v.ours)


def _result(study, scale, folder):
    """The recorded dict, or None where there is none."""
    path = recorded(study, scale) if folder is None else Path(folder) / scale / f"{study}.json"
    remedy = "restore it with git" if folder is None else "compute it again with deepid reproduce"
    return read_json(path, remedy) if path.is_file() else None
