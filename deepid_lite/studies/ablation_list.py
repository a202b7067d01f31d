"""The list of ablations: what each is to find out, and what its variants change; `ablations` runs them.

Every comparison is fair in one way: all variants of an experiment see as many images, whatever they cost in time. How
many, the recipe says: numbers of one experiment are compared with each other, and with nothing else. Claims of earlier
papers are tested on the nets of these papers, which are small.
"""

from typing import NamedTuple

from deepid_lite.faces.regions import REGIONS


class Experiment(NamedTuple):
    """statement: what is to be found out. variants: {name: changes}, names that serve as folders. base: changes of
    the preset that all variants share.

    A change is an entry of `recipe.Recipe`; "net.dropout" is the entry `dropout` of its table `net`; "region" also
    gives the net that region's input size. Four entries are not the recipe's:
    "people": trains on that many people, or on that share of them when below 1, the fewer among the more, for as many
    more epochs, so that as many images are seen;
    "images": the same with that share of each person's images, two at least;
    "attach": feature layers that the trained net gets afterwards, without any training, see `ablation_nets.attached`;
    "seeds": trainings of this variant, where it needs more than the others.
    """

    statement: str
    variants: dict[str, dict]
    base: dict = {}


SMALL = {"net.maps": [20, 40, 60, 80], "net.dimension": 160}
# dropout came with DeepID2+
DEEPID2 = {"architecture": "DeepID2", **SMALL, "net.dropout": 0.0}
# on DeepID2's larger input, so that one crop serves both
DEEPID = {"architecture": "DeepID", **SMALL, "net.dropout": 0.0, "net.input_shape": [55, 47], "weight": 0.0}
# DeepID2+ as the nets of an ensemble have it: FC-1 holds three quarters of the weights and is not used there
NO_FC1 = {"net.heads": [2, 3, 4]}
EIGHT = tuple(REGIONS)[:8]
# presets/paper.toml, but for its net, its length and its rate, which the papers do not give: at 0.01 it has not begun
# to learn after 100,000 images, and stays below an untrained net
PAPER = {
    "optimizer": "sgd", "lr": 0.05, "weight_decay": 5e-4, "batch_size": 128, "weight": 0.05, "ramp": 0.0,
    "label_smoothing": 0.0, "vary": 0.0, "verification": {"signal": "l2", "every": 200_000}, "net.batch_norm": False,
}  # fmt: skip
ADAMW = {"optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.05}
RATES = (0.5, 0.0, 0.25, 0.75)

EXPERIMENTS = {
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
            "0.005": {"weight": 0.005},
            "0.05": {"weight": 0.05},
            "0.5": {"weight": 0.5},
            "5": {"weight": 5.0},
            "verification only": {"ident": 0.0},
        },
        DEEPID2,
    ),
    "layers": Experiment(
        "More maps, more people and supervision of every layer each make DeepID2+ better [arXiv v1, Fig. 3].",
        {
            "DeepID2+": {},
            # nothing but FC-4 is trained; the other layers read its convolutions through random weights
            "no layer-wise supervision": {"net.heads": [4], "attach": [1, 2, 3]},
            "half of the people": {"people": 1 / 2},
            "a quarter of the people": {"people": 1 / 4},
            "half of the images": {"images": 1 / 2},
            "a quarter of the images": {"images": 1 / 4},
            "smaller net": SMALL,
        },
    ),
    "regions": Experiment(
        "DeepID2+ is better than DeepID2 by about two points on average over regions [DeepID2+, Fig. 3].",
        {
            f"{name}, {region}": {**net, "region": region}
            for region in EIGHT
            for name, net in (("DeepID2+", NO_FC1), ("DeepID2", DEEPID2))
        },
    ),
    "people": Experiment(
        "More people make better features: accuracy rises with their number [DeepID, section 4].",
        {**{str(n): {"people": n} for n in (64, 128, 256, 512, 1024, 2048, 4096)}, "all": {}},
        DEEPID,
    ),
    "dropout": Experiment(
        "The sparsity of the features does not depend on the dropout rate [DeepID2+, section 5].",
        {
            **{f"dropout {rate:g}": {"net.dropout": rate} for rate in RATES},
            # batch norm centres every neuron; without it nothing but training can bring the rates near one half. What
            # four rates differ by is compared with what four seeds differ by
            **{
                f"dropout {rate:g}, no batch norm": {"net.dropout": rate, "net.batch_norm": False, "lr": 5e-4}
                | ({"seeds": len(RATES)} if rate == RATES[0] else {})
                for rate in RATES
            },
        },
    ),
    "sharing": Experiment(
        "Weights shared in small blocks only, or not at all, suit aligned faces better than plain convolution.",
        {"local sharing": {}, "plain convolution": {"net.local": False}},
        DEEPID2,
    ),
    "recipes": Experiment(
        "What today's practice adds to the papers' recipe, one by one, on as many images.",
        {
            "modern": {},
            "paper's": PAPER,
            "paper's, lr 0.01": {**PAPER, "lr": 0.01},
            "paper's, batch norm": {**PAPER, "net.batch_norm": True},
            "paper's, AdamW": {**PAPER, **ADAMW},
            "paper's, label smoothing": {**PAPER, "label_smoothing": 0.1},
            "paper's, all three": {**PAPER, **ADAMW, "net.batch_norm": True, "label_smoothing": 0.1},
        },
        DEEPID2,
    ),
}
