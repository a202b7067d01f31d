"""A chapter that quotes a record reads it, so that its numbers are those of the record."""

from pathlib import Path

from deepid_lite.results import load_result
from deepid_lite.studies.comparisons import against

BOOK = Path(__file__).resolve().parents[2] / "book"


def said(chapter: str) -> str:
    return " ".join((BOOK / f"{chapter}.md").read_text(encoding="utf-8").split())


def test_the_chapters_that_quote_records_load_them():
    """A typed number would stay behind when the study is run again."""
    for chapter, names in {
        "03_architecture": ("layers", "sharing", "recipes", "lfw_view2"),
        "04_losses": ("signals", "lambda"),
        "05_training": ("recipes", "lfw_view2"),
        "06_joint_bayesian": ("signals", "lfw_view2"),
        "07_measuring": ("lfw_view2",),
    }.items():
        assert [name for name in names if f'"{name}"' not in said(chapter)] == []


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
        found = [part["identification"][key] for part in (record["null"], shipped, record["system"])]
        assert found == sorted(found), "the ensemble beats its first net, and the shipped net by less"


def test_what_chapter_13_says_of_lambda():
    """A large weight harms, and verification alone is far behind, by intervals that exclude zero."""
    record = load_result("lambda")
    small = next(name for name in ("0.005", "0.05") if name in record["variants"])
    found = against(record, small, n_draws=2000)
    assert found["5"].high < 0 and found["verification only"].high < -2
