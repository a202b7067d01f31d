"""A chapter that quotes a record reads it, so that its numbers are those of the record."""

from pathlib import Path

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
