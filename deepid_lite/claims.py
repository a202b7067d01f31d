"""The paper's claims, each checked by one rule on recorded results; no verdict is typed by hand.

A claim has two questions. Does it *hold*: is our number where the paper says that it is? And does it *beat its null*:
would a model that learned nothing have given the same? "About half of the neurons are active" is true of an untrained
net as well, so it shows nothing by itself. Both yes: replicated. One of the two: partly. None: not replicated.
No recorded result: not tested.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .results import markdown_table, read_result, recorded

GAP = 2.0  # points of accuracy, to beat a null: about four standard errors of LFW's 6,000 pairs


@dataclass(frozen=True)
class Claim:
    """statement: in our words. source: where the paper says it. paper: its number, as text.

    study: the recorded result that it is read from. ours, null: its dict -> a number. unit: how numbers are printed.
    holds: our number -> bool. beats: (ours, null) -> bool.
    """

    name: str
    statement: str
    source: str
    paper: str
    study: str
    ours: Callable[[dict], float]
    null: Callable[[dict], float]
    holds: Callable[[float], bool]
    beats: Callable[[float, float], bool]
    null_is: str
    unit: str = "{:.1f} %"


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
    rows = [
        [f"{v.claim.statement} ({v.claim.source})", v.claim.paper, *_numbers(v), v.verdict]
        for v in verdicts
    ]
    return markdown_table(["claim", "paper", "null model", "ours", "verdict"], rows)


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
    return read_result(path, remedy) if path.is_file() else None


# what the entries below read


def _sparse(key, part="net", scale=1.0):
    """A number of FC-4's summary in the study of sparsity; part: "net" or one of its nulls."""

    def read(r):
        layer = r["layers"]["FC-4"]
        found = layer["net"] if part == "net" else layer["nulls"][part]
        return scale * found[key] / (found["neurons"] if key == "active_mean" else 1)

    return read


def _alike(part):
    """Code distance of two images of one person as a share of that of two people."""

    def read(r):
        layer = r["layers"]["FC-4"]
        found = (layer["net"] if part == "net" else layer["nulls"][part])["hamming"]
        return 100 * found["within"] / found["between"]

    return read


def _active_share(r, variant):
    found = r["variants"][variant]["layers"]["FC-4"]["sparsity"]
    return 100 * found["active_mean"] / found["neurons"]


def _over_dropout(r):
    """Largest difference of the active share between dropout rates, in points of percent."""
    shares = [_active_share(r, f"dropout {rate}") for rate in ("0", "0.25", "0.5", "0.75")]
    return max(shares) - min(shares)


def _loss(kind, null=None):
    """Points that codes lose against the real features with Joint Bayesian; null: codes of another origin."""

    def read(r):
        table = r["table"]["picture and mirror"]
        codes = table["binary"] if null is None else r["nulls"][null]["table"]["binary"]
        return table["real"]["joint_bayesian"]["accuracy"] - codes[kind]["accuracy"]

    return read


def _best_one(system, halves=None):
    """Held-out accuracy of the one best neuron for the target that it knows best."""
    return lambda r: 100 * max((r["halves"][halves] if halves else r)["systems"][system]["one"])


def _mean(values):
    return sum(values) / len(values)


def _all_neurons(halves):
    """Mean accuracy over the attributes of a linear SVM on all neurons."""
    return lambda r: 100 * _mean(r["halves"][halves]["all"]["net"])


def _best_lbp(halves):
    return lambda r: 100 * max(_mean(found) for found in r["halves"][halves]["all_lbp"].values())


def _both_signs(system):
    """The rarer of selective excitatory and inhibitory neurons, percent of all, mean over the people."""

    def read(r):
        found = r["systems"][system]
        return 100 * _mean([min(pair) for pair in zip(found["excitatory"], found["inhibitory"], strict=True)])

    return read


def _covered(kind, level, curve, null=False):
    """Accuracy under a cover: kind "from_below" (percent of the face) or "block" (pixels of the paper)."""

    def read(r):
        place = r["null"][kind] if null else r[kind]["curves"]
        return place[curve]["accuracy"][r[kind]["levels"].index(level)]

    return read


def _deeper(level):
    """How much better the deepest layer is than the first that the net has, at a level of cover from below."""

    def read(r):
        first = min(name for name in r["from_below"]["curves"] if name.startswith("FC-"))
        return _covered("from_below", level, "FC-4")(r) - _covered("from_below", level, first)(r)

    return read


def _stable(level, null=False):
    """Rank correlation of people's mean activations, clean and covered; null: with other people's."""

    def read(r):
        if null:
            return _mean(r["other_person_rank_correlation"])
        place = r["levels"]["from_below"].index(level)
        return _mean([person[place] for person in r["rank_correlation"]["from_below"]])

    return read


def _between(low, high):
    return lambda ours: low <= ours <= high


def _at_least(bound):
    return lambda ours: ours >= bound


def _at_most(bound):
    return lambda ours: ours <= bound


def _above(margin):
    return lambda ours, null: ours >= null + margin


def _below(margin):
    return lambda ours, null: ours <= null - margin


CLAIMS = (
    Claim(
        "half of the neurons", "About half of the neurons are active on an image", "section 5, Fig. 6", "57.0 %",
        "sparsity", _sparse("active_mean", scale=100), _sparse("active_mean", "untrained", 100),
        _between(40, 60), lambda ours, null: not 40 <= null <= 60, "untrained net",
    ),
    Claim(
        "half of the images", "A neuron is active on about half of the images: the spread over neurons is small",
        "section 5, Fig. 6", "12.4 points", "sparsity", _sparse("rate_std", scale=100),
        _sparse("rate_std", "untrained", 100), _at_most(15), _below(2), "untrained net", "{:.1f} points",
    ),
    Claim(
        "half are zero", "Half of a neuron's activations are zero", "section 6, Fig. 12", "about 50 %", "sparsity",
        lambda r: 100 * (1 - r["test"]["FC-4"]["rate_mean"]),
        lambda r: 100 * (1 - _sparse("rate_mean", "untrained")(r)), _between(40, 60),
        lambda ours, null: not 40 <= null <= 60, "untrained net",
    ),
    Claim(
        "one person, one pattern", "Two images of a person activate more of the same neurons than images of two people",
        "Fig. 1", "drawn, no number", "sparsity", _alike("net"), _alike("untrained"), _at_most(75), _below(10),
        "untrained net", "{:.0f} % of the distance",
    ),
    Claim(
        "dropout", "How many neurons are active does not depend on the dropout rate", "section 5", "stated, no number",
        "dropout", _over_dropout,
        lambda r: abs(_active_share(r, "dropout 0.5") - _active_share(r, "dropout 0.5, no batch norm")),
        _at_most(5), lambda ours, null: ours < null / 2, "batch norm left out", "{:.1f} points",
    ),
    Claim(
        "binary codes", "Binary codes lose about one point with Joint Bayesian", "section 5, Table 4", "1.03 points",
        "codes", _loss("joint_bayesian"), _loss("joint_bayesian", "untrained"), _at_most(1.25), _below(1),
        "codes of an untrained net", "{:.2f} points",
    ),
    Claim(
        "Hamming", "Hamming distance alone comes close behind", "section 5, Table 4", "2.25 points", "codes",
        _loss("hamming"), _loss("hamming", "untrained"), _at_most(3), _below(1), "codes of an untrained net",
        "{:.2f} points",
    ),
    Claim(
        "one neuron, a person", "One neuron tells some person from all others", "section 6, Fig. 8", "about 97 %",
        "identities", _best_one("net"), _best_one("lbp"), _at_least(95), _above(GAP), "best LBP feature",
    ),
    Claim(
        "LBP and a person", "Most single LBP features are near chance for a person", "section 6, Fig. 10",
        "about 50 %", "identities", lambda r: 100 * _mean(r["systems"]["lbp"]["median"]),
        lambda r: 100 * _mean(r["systems"]["net"]["median"]), _at_most(55), _below(GAP), "typical neuron of the net",
    ),
    Claim(
        "one neuron, an attribute", "One neuron tells some attribute, on people it never saw", "section 6, Fig. 9",
        "about 97 %", "attributes", _best_one("net", "people"), _best_one("lbp", "people"), _at_least(95), _above(GAP),
        "best LBP feature",
    ),
    Claim(
        "attributes against LBP", "All neurons together beat LBP at attributes", "section 6, Fig. 7", "in all of them",
        "attributes", _all_neurons("random"), _best_lbp("random"), _at_least(75), _above(GAP),
        "LBP at its best dimension",
    ),
    Claim(
        "attributes of strangers", "The same where no person is in both halves", "beyond the paper", "not measured",
        "attributes", _all_neurons("people"), _best_lbp("people"), _at_least(75), _above(GAP),
        "LBP at its best dimension",
    ),
    Claim(
        "two signs", "Some neurons are excited by a person and others inhibited; LBP has no such subsets",
        "section 6, Figs. 10 and 12", "drawn, no number", "identities", _both_signs("net"), _both_signs("lbp"),
        _at_least(1), lambda ours, null: ours >= 3 * null, "LBP", "{:.1f} % of the features",
    ),
    Claim(
        "40 % covered", "Over 90 % with 40 % of the face covered, where LBP is below 70 %", "section 7, Fig. 15",
        "over 90 %", "occlusion", _covered("from_below", 40, "FC-4"), _covered("from_below", 40, "LBP"),
        _at_least(90), _above(GAP), "LBP",
    ),
    Claim(
        "blocks of 50", "Blocks of 50 x 50 pixels leave 89.2 %, and LBP about 70 %", "section 7, Fig. 16", "89.2 %",
        "occlusion", _covered("block", 50, "FC-4"), _covered("block", 50, "LBP"), _at_least(89.2), _above(GAP), "LBP",
    ),
    Claim(
        "deeper is more robust", "Deeper layers are more robust: the gap to the first one grows under a cover",
        "section 7, Fig. 15", "drawn, no number", "occlusion", _deeper(40), _deeper(0), _at_least(2), _above(1),
        "the gap on clean faces", "{:.1f} points",
    ),
    Claim(
        "stable patterns", "A person's pattern of activations stays under a cover of 40 %", "section 7, Fig. 17",
        "drawn, no number", "strips", _stable(40), _stable(40, null=True), _at_least(0.7), _above(0.2), "other people",
        "rank correlation {:.2f}",
    ),
)  # fmt: skip
