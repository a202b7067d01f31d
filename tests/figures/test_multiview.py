"""Drawings of the multi-view perceptron show the numbers of the record, and the paper's."""

import json

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

matplotlib.use("Agg")

from deepid_lite.faces.synthetic.views import VIEWS  # noqa: E402
from deepid_lite.figures import multiview as plots  # noqa: E402
from deepid_lite.figures.widgets import views_widget  # noqa: E402
from deepid_lite.papers.multiview.net import MultiViewPerceptron  # noqa: E402
from deepid_lite.papers.multiview.study import PAPER, UNSEEN  # noqa: E402


def by_view(seed):
    values = np.random.default_rng(seed).uniform(20, 90, 9)
    return {"views": [[v, v - 3, v + 3] for v in values]}


@pytest.fixture
def result():
    drawn = {name: {"error": by_view(i), "right": by_view(i + 50)} for i, name in enumerate(plots.UNSEEN_LINES)}
    return {"rank1": {name: by_view(i + 20) for i, name in enumerate(plots.OURS)}, "drawn": drawn}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_papers_means_are_those_of_its_views():
    for name, (mean, *views) in PAPER.items():
        assert len(views) == len(VIEWS) and np.mean(views) == pytest.approx(mean, abs=0.35), name


def test_rank1_shows_both_tables(result):
    theirs, ours = plots.rank1(result).axes
    for line, (name, of_paper) in zip(theirs.lines, plots.OURS.items(), strict=True):
        assert line.get_ydata().tolist() == list(PAPER[of_paper][1:])
        assert any(np.allclose(other.get_ydata(), np.array(result["rank1"][name]["views"])[:, 0])
                   for other in ours.lines if len(other.get_ydata()) == 9)  # fmt: skip


def test_unseen_shows_the_four_views_alone(result):
    error, _ = plots.unseen(result).axes
    wanted = [result["drawn"]["MVP, five views"]["error"]["views"][VIEWS.index(v)][0] for v in UNSEEN]
    assert error.lines[0].get_ydata().tolist() == wanted


def taught():
    names = ["raw", "landmark LBP", "DeepID2+", *plots.TEACHERS]
    return {name: by_view(i) | {"mean": [40.0 + i, 39.0, 45.0 + i]} for i, name in enumerate(names)}


def test_teachers_have_a_line_each_and_fip_where_it_is_given():
    result = {"views": list(VIEWS), "rank1": taught()}
    for fip, others in ((None, 3), (by_view(70), 4)):
        same, other = plots.teachers(result, fip=fip).axes
        shown = [np.asarray(line.get_ydata(), float) for line in same.lines if len(line.get_ydata()) == 9]
        wanted = [np.array(result["rank1"][name]["views"])[:, 0] for name in plots.TEACHERS]
        assert all(any(np.allclose(y, line) for line in shown) for y in wanted)
        assert len(other.get_legend().get_texts()) == others


def test_a_studio_is_a_row():
    ax = plots.studios({"studios": {"one": taught(), "two": taught()}}, first={"rank1": taught()}).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["the chapter's", "one", "two"]
    assert any(np.allclose(line.get_xdata(), taught()["name"]["mean"][0]) for line in ax.lines)


def test_lengths_show_each_net_and_ring_what_was_chosen():
    found = {name: {n: {"mean": [40.0 + i + int(n) / 10, 39.0, 90.0]} for n in ("50", "100")}
             for i, name in enumerate(plots.LEARNERS)}  # fmt: skip
    chosen = dict.fromkeys(found, 100) | {"MVP": 50}
    (ax,) = plots.lengths({"rank1": found, "chosen": chosen}).axes
    rings = [line for line in ax.lines if line.get_markersize() == 12]
    assert [line.get_ydata().tolist() for line in rings] == [[found[n][str(chosen[n])]["mean"][0]] for n in found]
    shown = [line.get_ydata().tolist() for line in ax.lines if len(line.get_ydata()) == 2]
    assert all([of_net["50"]["mean"][0], of_net["100"]["mean"][0]] in shown for of_net in found.values())


def test_a_turning_head_has_a_picture_of_each_view():
    fig = plots.heads({"one": np.zeros((9, 32, 32), np.uint8), "two": np.zeros((9, 32, 32), np.float32)})
    titles = [ax.get_title() for ax in fig.axes]
    assert titles[:3] == ["−60°", "−45°", "−30°"] and titles[4] == "0°" and not any(titles[9:])
    assert len(fig.axes) == 18 and all(len(ax.images) == 1 for ax in fig.axes)
    assert fig.axes[0].images[0].get_clim() == (0, 255) and fig.axes[9].images[0].get_clim() == (-1, 1)


def test_the_slider_has_every_view_and_a_picture_is_like_itself():
    torch.manual_seed(0)
    net = MultiViewPerceptron(identity=(9, 8), mixed=(7, 6)).eval()
    true = np.random.default_rng(0).integers(0, 256, (2, 9, 32, 32), dtype=np.uint8)
    html = views_widget(net, true[:, 4], true / 127.5 - 1, true, VIEWS)
    data = json.loads(html.split('class="data">')[1].split("</script>")[0])
    assert data["views"] == list(VIEWS) and [len(person["frames"]) for person in data["people"]] == [9, 9]
    for person in data["people"]:
        assert all(frame["same"] > 0.999 > frame["other"] for frame in person["frames"])
        assert all(frame["drawn"] == frame["truth"] for frame in person["frames"])
