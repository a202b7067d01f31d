"""What the figures share: panels, and writing whole files."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest

from deepid_lite.errors import DataError
from deepid_lite.figures.style import check_kind, present, save_figure, side_by_side


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_there_is_one_panel_for_each_scale_that_is_there():
    lite, reference = {"scale": "lite"}, {"scale": "reference"}
    assert present(None, reference) == [reference] and present(lite) == [lite]
    _, panels = side_by_side(lite, reference, 3)
    assert [(ax.get_title(), study) for ax, study in panels] == [("lite", lite), ("reference", reference)]


def test_a_figure_is_written_whole_or_not_at_all(tmp_path):
    fig = plt.figure(figsize=(1, 1))
    for name, begin in (("a.png", b"\x89PNG"), ("new/a.pdf", b"%PDF"), ("a.svg", b"<?xml")):
        save_figure(fig, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(begin)
    assert sorted(p.name for p in tmp_path.rglob("*.*")) == ["a.pdf", "a.png", "a.svg"], "nothing is left beside them"
    for name in ("a.jpeg", "a"):
        with pytest.raises(DataError, match=".png, .pdf, .svg"):
            save_figure(fig, tmp_path / name)
        with pytest.raises(DataError, match="rename it"):
            check_kind(tmp_path / name)
    with pytest.raises(DataError, match="cannot be written"):
        save_figure(fig, tmp_path / "a.png" / "b.png")
