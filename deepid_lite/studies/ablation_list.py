"""The list of ablations: what each is to find out, and what its variants change; `ablations` runs them.

Every comparison is fair in one way: all variants of an experiment see as many images, whatever they cost in time. The
presets train for a few epochs only, so that numbers of one experiment are compared with each other, and with nothing
else. Those of DeepID2 have its small net, as the paper's studies had.
"""

from typing import NamedTuple

from deepid_lite.studies.comparisons import against, folds_of, paired, right_of


class Experiment(NamedTuple):
    """statement: what is to be found out. variants: {name: changes}, names that serve as folders. base: changes of
    the preset that all variants share.

    A change is an entry of `recipe.Recipe`; "net.dropout" is the entry `dropout` of its table `net`; "region" also
    gives the net that region's input size. Two entries are not the recipe's:
    "people": trains on that many people, or on that share of them when below 1, the fewer among the more, for as many
    more epochs, so that as many images are seen;
    "attach": feature layers that the trained net gets afterwards, without any training, see `ablations.attached`.
    """

    statement: str
    variants: dict[str, dict]
    base: dict = {}


# dropout came with DeepID2+
DEEPID2 = {"architecture": "DeepID2", "net.maps": [20, 40, 60, 80], "net.dimension": 160, "net.dropout": 0.0}
# DeepID2+ as the nets of an ensemble have it: FC-1 holds three quarters of the weights and is not used there
NO_FC1 = {"net.heads": [2, 3, 4]}
# presets/paper.toml, but for its net and its length
PAPER = {
    "optimizer": "sgd", "lr": 0.01, "weight_decay": 5e-4, "batch_size": 128, "weight": 0.05, "ramp": 0.0,
    "label_smoothing": 0.0, "vary": 0.0, "verification": {"signal": "l2", "every": 200_000}, "net.batch_norm": False,
}  # fmt: skip

EXPERIMENTS = {
    "dropout": Experiment(
        "The sparsity of the features depends neither on the dropout rate [DeepID2+, section 5] nor on verification.",
        {
            "dropout 0.5": {"net.dropout": 0.5},
            "dropout 0": {"net.dropout": 0.0},
            "dropout 0.25": {"net.dropout": 0.25},
            "dropout 0.75": {"net.dropout": 0.75},
            "dropout 0.5, no verification": {"net.dropout": 0.5, "weight": 0.0},
            "dropout 0, no verification": {"net.dropout": 0.0, "weight": 0.0},
            "dropout 0.25, no verification": {"net.dropout": 0.25, "weight": 0.0},
            "dropout 0.75, no verification": {"net.dropout": 0.75, "weight": 0.0},
            # batch norm centres every neuron; without it nothing but training can bring the rates near one half
            "dropout 0.5, no batch norm": {"net.dropout": 0.5, "net.batch_norm": False, "lr": 5e-4},
            "dropout 0, no batch norm": {"net.dropout": 0.0, "net.batch_norm": False, "lr": 5e-4},
        },
    ),
    "layers": Experiment(
        "More maps, more people and supervision of every layer each make DeepID2+ better [arXiv v1, Fig. 3].",
        {
            "DeepID2+": {},
            # nothing but FC-4 is trained; the other layers read its convolutions through random weights
            "no layer-wise supervision": {"net.heads": [4], "attach": [1, 2, 3]},
            "a third of the people": {"people": 1 / 3},
            "smaller net": {"net.maps": [20, 40, 60, 80], "net.dimension": 160},
        },
    ),
    "regions": Experiment(
        "DeepID2+ is better than DeepID2 on every region, by about two points on average [arXiv v1, Fig. 4].",
        {
            f"{name}, {region}": {**net, "region": region}
            for region in ("whole face", "eyes and nose", "lower face")
            for name, net in (("DeepID2+", NO_FC1), ("DeepID2", DEEPID2))
        },
    ),
    "signals": Experiment(
        "Verification by L2 helps most, and pulling (L2+) does most of it [DeepID2, section 4].",
        {
            "L2": {},
            "L2+": {"verification.branches": "positive"},
            "L2-": {"verification.branches": "negative"},
            # sums of 160 absolute differences are some ten times larger than their Euclidean norm, squares a hundred
            "L1": {"verification.signal": "l1", "weight": 0.005},
            "cosine": {"verification.signal": "cosine"},
            "none": {"weight": 0.0},
        },
        DEEPID2,
    ),
    "lambda": Experiment(
        "Both signals together beat each alone, and a weight in between is best [DeepID2, section 4].",
        {
            "identification only": {"weight": 0.0},
            "0.05": {"weight": 0.05},
            "0.5": {"weight": 0.5},
            "5": {"weight": 5.0},
            "verification only": {"ident": 0.0},
        },
        DEEPID2,
    ),
    "people": Experiment(
        "More people make better features: accuracy rises with their number [DeepID2, section 4].",
        {**{str(n): {"people": n} for n in (32, 64, 128, 256, 512, 1024, 2048)}, "all": {}},
        DEEPID2,
    ),
    "sharing": Experiment(
        "Weights shared in small blocks only, or not at all, suit aligned faces better than plain convolution.",
        {"local sharing": {}, "plain convolution": {"net.local": False}},
        DEEPID2,
    ),
    "recipes": Experiment(
        "What today's practice adds to the papers' recipe, on as many images.",
        {
            "modern": {},
            "paper's": PAPER,
            "paper's, lr 0.05": {**PAPER, "lr": 0.05},  # the paper gives no rate, and the run is short
            "paper's, batch norm": {**PAPER, "net.batch_norm": True},
        },
        DEEPID2,
    ),
}


def _half(difference):
    """Half of the 95 % interval of a `Difference`: what the chance of the pairs makes."""
    return (difference.high - difference.low) / 2


def _over_deepid2(result):
    """`Difference`s of DeepID2+ to DeepID2, region by region."""
    right, fold = right_of(result), folds_of(result)
    regions = [name.removeprefix("DeepID2+, ") for name in right if name.startswith("DeepID2+")]
    return [paired(right[f"DeepID2+, {region}"], right[f"DeepID2, {region}"], fold) for region in regions]


def _mean(values):
    return sum(values) / len(values)


def _closest(result):
    """The `Difference` to DeepID2+ of the variant that comes closest."""
    return max(against(result, "DeepID2+").values(), key=lambda difference: difference.points)


def _active(result, variant):
    """Active neurons of FC-4 on an image, in percent."""
    found = result["variants"][variant]["layers"]["FC-4"]["sparsity"]
    return 100 * found["active_mean"] / found["neurons"]


def _over_dropout(result):
    """Largest difference of the active share between dropout rates, in points."""
    shares = [_active(result, f"dropout {rate}") for rate in ("0", "0.25", "0.5", "0.75")]
    return max(shares) - min(shares)
