"""The paper's claims, one entry each: what it says, where our number is read from, and what null it must beat.

claims.py judges them. The entries follow the paper's sections; each names its table or figure.
"""

from collections.abc import Callable
from dataclasses import dataclass

from deepid_lite.studies.comparisons import against, folds_of, paired, right_of

GAP = 2.0  # points of accuracy, to beat a null: about four standard errors of LFW's 6,000 pairs


@dataclass(frozen=True)
class Claim:
    """statement: in our words. source: where the paper says it. paper: its number, as text.

    study: the recorded result that it is read from. ours, null: its dict -> a number. unit: how numbers are printed.
    holds: our number -> bool. beats: (ours, null) -> bool. why: where it cannot be tested here, the reason.
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
    why: str = ""


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


def _system(way, first=False):
    """Accuracy of the whole ensemble, or of its first net, by a way such as "real joint_bayesian"."""
    return lambda r: r["curves"]["table"][0 if first else -1][way]["accuracy"]


def _views(way, first=False):
    """The same of one net that looks as often."""
    return lambda r: r["null"]["views"][0 if first else -1][way]["accuracy"]


def _gain(of):
    """Points from one net, or view, to all of them."""
    return lambda r: of("real joint_bayesian")(r) - of("real joint_bayesian", first=True)(r)


def _code_loss(first):
    """Points that codes lose with Joint Bayesian, of the whole ensemble or of its first net."""
    return lambda r: _system("real joint_bayesian", first)(r) - _system("binary joint_bayesian", first)(r)


def _identified(key, null=False):
    return lambda r: (r["null"] if null else r["system"])["identification"][key]


def _clean(curve):
    """Accuracy on whole faces in the study of occlusion."""
    return _covered("from_below", 0, curve)


def _least_gain(baseline, chance=False):
    """The smallest gain of a baseline over its variants in points; chance: half its paired 95 % interval."""

    def read(r):
        found = max(against(r, baseline).values(), key=lambda difference: difference.points)
        return (found.high - found.low) / 2 if chance else -found.points

    return read


def _signal_gain(chance=False):
    """The L2 signal against none, in points."""

    def read(r):
        found = against(r, "none")["L2"]
        return (found.high - found.low) / 2 if chance else found.points

    return read


def _over_deepid2(chance=False):
    """DeepID2+ minus DeepID2, mean over the regions, in points."""

    def read(r):
        right, fold = right_of(r), folds_of(r)
        regions = [name.removeprefix("DeepID2+, ") for name in right if name.startswith("DeepID2+")]
        found = [paired(right[f"DeepID2+, {region}"], right[f"DeepID2, {region}"], fold) for region in regions]
        return _mean([(d.high - d.low) / 2 if chance else d.points for d in found])

    return read


def _not_here(r):
    raise KeyError("no data")


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
        "one net on LFW", "One net, FC-4 of picture and mirror, verifies nearly all of LFW's pairs",
        "section 5, Table 4", "98.70 %", "occlusion", _clean("FC-4"), _clean("LBP"), _at_least(98), _above(GAP),
        "high-dimensional LBP",
    ),
    Claim(
        "ensemble on LFW", "25 nets verify LFW better than everything before", "section 4, Table 1, Fig. 4", "99.47 %",
        "ensemble", _system("real joint_bayesian"), _views("real joint_bayesian"), _at_least(99), _above(GAP / 2),
        "one net, as many views", "{:.2f} %",
    ),
    Claim(
        "DeepID2+ and DeepID2", "On every region a DeepID2+ net beats a DeepID2 net", "section 4, Fig. 3",
        "about 2 points", "regions", _over_deepid2(), _over_deepid2(chance=True), _at_least(1),
        lambda ours, null: ours > null, "chance of the pairs", "{:.2f} points",
    ),
    Claim(
        "three changes", "More maps, more people and supervision of every layer: each makes the net better",
        "arXiv v1, Fig. 3", "drawn, no number", "layers", _least_gain("DeepID2+"), _least_gain("DeepID2+", chance=True),
        _at_least(0.5), lambda ours, null: ours > null, "chance of the pairs", "{:.2f} points, the smallest",
    ),
    Claim(
        "verification signal", "The L2 signal beside identification makes features better", "DeepID2, section 4",
        "2.39 points", "signals", _signal_gain(), _signal_gain(chance=True), _at_least(1),
        lambda ours, null: ours > null, "chance of the pairs", "{:.2f} points",
    ),
    Claim(
        "more regions", "Nets of 25 regions gain 0.77 points over one net", "section 5, Table 4", "0.77 points",
        "ensemble", _gain(_system), _gain(_views), _at_least(0.77), _above(0.5), "views of one net", "{:.2f} points",
    ),
    Claim(
        "corrected labels", "With the wrongly labelled pairs of LFW corrected the accuracy rises", "section 4",
        "99.52 %", "errata", _not_here, _not_here, _at_least(99), _above(GAP), "the labels as they are",
        why="the authors' list of corrections is not printed; `deepid evaluate --errata FILE` reads one",
    ),
    Claim(
        "YouTube Faces", "25 nets verify YouTube Faces' videos better than everything before",
        "section 4, Table 2, Fig. 5", "93.2 %", "ytf", _not_here, _not_here, _at_least(92), _above(GAP),
        "high-dimensional LBP", why="the videos need a registration; `deepid evaluate --data ytf` reads them",
    ),
    Claim(
        "closed-set identification", "Rank-1 identification among some 4,250 people", "section 4, Table 3", "95.0 %",
        "ensemble", _identified("rank1"), _identified("rank1", null=True), _at_least(94), _above(GAP),
        "its first net alone",
    ),
    Claim(
        "open-set identification", "Detection and identification rate at 1 % false alarms", "section 4, Table 3",
        "80.7 %", "ensemble", _identified("dir_at_1_far"), _identified("dir_at_1_far", null=True), _at_least(79),
        _above(GAP), "its first net alone",
    ),
    Claim(
        "codes of an ensemble", "Codes of 25 nets lose less than those of one net", "section 5, Table 4", "0.35 points",
        "ensemble", _code_loss(first=False), _code_loss(first=True), _at_most(0.6), _below(0.25), "codes of one net",
        "{:.2f} points",
    ),
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
