"""Where a chapter quotes a record in its prose, it quotes what the record says."""

from pathlib import Path

import pytest

from deepid_lite.results import load_result
from deepid_lite.studies.comparisons import against

BOOK = Path(__file__).resolve().parents[2] / "book"


def accuracy(record: str, variant: str, score: str = "joint_bayesian") -> str:
    return f"{load_result(record)['variants'][variant]['layers']['FC-4']['accuracy'][score]:.2f}"


def said(chapter: str) -> str:
    return " ".join((BOOK / f"{chapter}.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize(
    ("record", "variants"),
    [
        ("signals", ["L2", "L2+", "L2-", "L1", "cosine", "none"]),
        ("lambda", ["identification only", "0.05", "0.5", "5", "verification only"]),
    ],
)
def test_the_tables_of_the_signals(record, variants):
    for name, score in (("L2 distance", "euclidean"), ("Joint Bayesian", "joint_bayesian")):
        row = " | ".join([name, *(accuracy(record, variant, score) for variant in variants)])
        assert f"| {row} |" in said("04_losses")


def test_what_chapter_4_concludes_from_them():
    text = said("04_losses")
    assert (
        f"{accuracy('signals', 'none', 'euclidean')} % without and {accuracy('signals', 'L2', 'euclidean')} % with it"
        in text
    )
    assert (
        f"L2+ {accuracy('signals', 'L2+', 'euclidean')} %, L2- {accuracy('signals', 'L2-', 'euclidean')} % by distance"
        in text
    )
    assert f"falls from {accuracy('lambda', '0.05')} to {accuracy('lambda', 'verification only')} %" in text


def test_the_ablations_of_chapter_3():
    text = said("03_architecture")
    local, plain = (accuracy("sharing", name) for name in ("local sharing", "plain convolution"))
    assert f"local layers reached {local} % on LFW, with plain convolutions {plain} %" in text
    paper, norm, modern = (accuracy("recipes", name) for name in ("paper's", "paper's, batch norm", "modern"))
    untrained = f"{load_result('recipes')['null']['untrained']['FC-4']['accuracy']['joint_bayesian']:.2f}"
    assert f"{paper} against {untrained} % on LFW. With batch norm alone it reaches {norm} %" in text
    assert f"with the rest of a modern recipe {modern} %" in text
    whole, small, alone = (
        accuracy("layers", name) for name in ("DeepID2+", "smaller net", "no layer-wise supervision")
    )
    assert (
        f"whole net has {whole} %, of a smaller net {small} %, without supervision of the early layers {alone} %"
        in text
    )


def test_the_reference_net_is_quoted_alike_everywhere():
    record = load_result("lfw_view2")
    found, active = record["identification"], record["active_mean"]
    assert f"{active:.0f} of 512 neurons are active on a face of LFW, {100 * active / 512:.0f} %" in said(
        "03_architecture"
    )
    assert f"{record['net']['images']:,} images of {record['net']['people']:,} people train it" in said("01_faces")
    text = said("07_measuring")
    assert f"Our one net has {record['accuracy']:.2f} % where the paper's has 98.70 %" in text
    assert f"rank-1 {found['rank1']:.1f} % against 95.0 %" in text
    assert f"DIR at 1 % FAR {found['dir_at_1_far']:.1f} % against 80.7 %" in text


def test_what_chapter_12_says_of_the_ensemble():
    """Its sentences on the reference record have no numbers; these are what they say."""
    record, shipped = load_result("ensemble"), load_result("lfw_view2")
    one, every = (record["curves"]["table"][at] for at in (0, -1))
    views = [record["null"]["views"][at] for at in (0, -1)]

    def gain(points, way):
        first, last = (point[way]["accuracy"] for point in points)
        return (last - first) / (100 - first)

    real, hamming = "real joint_bayesian", "binary hamming"
    assert gain((one, every), real) > gain(views, real), "different views carry some of the gain"
    assert gain((one, every), hamming) <= gain(views, hamming), "by Hamming distance no more than the views"
    assert gain((one, every), real) < 0.3, "our few nets remove a small part"
    assert every["binary joint_bayesian"]["accuracy"] >= every[real]["accuracy"], "codes of all nets lose nothing"
    assert shipped["accuracy"] > every[real]["accuracy"] - 0.5, "one net trained well is a good rival"
    for key in ("rank1", "dir_at_1_far"):
        found = [part["identification"][key] for part in (record["null"], record["system"], shipped)]
        assert found == sorted(found), "the ensemble beats its first net, the shipped net both"


def test_what_chapter_13_says_of_lambda():
    """A large weight harms, and verification alone is far behind, by intervals that exclude zero."""
    record = load_result("lambda")
    small = next(name for name in ("0.005", "0.05") if name in record["variants"])
    found = against(record, small, n_draws=2000)
    assert found["5"].high < 0 and found["verification only"].high < -2
