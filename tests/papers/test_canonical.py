"""The canonical-view net: its layers and its start against their definitions, what it draws, how a view is chosen."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from samples import small_setup
from torch.nn import functional as F

from deepid_lite.errors import DataError
from deepid_lite.faces.synthetic.views import make_views
from deepid_lite.nets.deepid import load_net, save_net
from deepid_lite.nets.recipe import Recipe, read_recipe
from deepid_lite.papers import canonical as paper
from deepid_lite.papers.canonical import (
    CanonicalViewNet,
    Faces,
    canonical,
    canonical_view,
    features,
    frontality,
    least_squares,
    train,
)
from deepid_lite.registry import CLAIMS

RECIPE = Recipe(
    architecture="CanonicalViewNet", net={"maps": (2, 3, 2)}, weight=0.0, epochs=2, batch_size=6, precision="fp32"
)


@pytest.fixture(scope="module")
def faces():
    return make_views(3, views=(-30, 0, 30), lights=2, part="train")


@pytest.fixture(scope="module")
def frontal():
    return make_views(3, views=(0,), lights=1, part="train", jitter=0).images


def net_of(maps=(2, 3, 2), seed=0):
    torch.manual_seed(seed)
    return CanonicalViewNet(maps)


def test_a_place_has_filters_of_its_own():
    net, x = net_of(), torch.rand(2, 1, 32, 32)
    padded = F.pad(x, (2, 2, 2, 2))
    maps = net.local[0](padded)
    for row, column in ((0, 0), (31, 5), (14, 20)):
        window = padded[:, 0, row : row + 5, column : column + 5]
        by_hand = (
            torch.einsum("nij,ijo->no", window, net.local[0].weight[row, column, :, :, 0])
            + net.local[0].bias[row, column]
        )
        torch.testing.assert_close(maps[:, :, row, column], by_hand, rtol=1e-4, atol=1e-5)
    assert net.features(x).shape == (2, 2 * 64) and net(x).shape == (2, 1024)


def test_the_first_map_of_the_start_is_a_ridge_regression_at_its_place():
    torch.manual_seed(1)
    net, x, y = net_of(), torch.rand(40, 1, 32, 32), torch.rand(40, 1, 32, 32)
    least_squares(net, x, y, ridge=2.0)
    row, column = 7, 30
    window = F.pad(x, (2, 2, 2, 2))[:, 0, row : row + 5, column : column + 5].reshape(40, 25)
    window = torch.cat([window, torch.ones(40, 1)], 1).double()
    weight = torch.linalg.solve(window.T @ window + 2.0 * torch.eye(26), window.T @ y[:, 0, row, column].double())
    torch.testing.assert_close(
        net.local[0].weight[row, column, :, :, 0, 0].flatten().double(), weight[:-1], rtol=1e-3, atol=1e-4
    )
    torch.testing.assert_close(net.local[0].bias[row, column, 0].double(), weight[-1], rtol=1e-3, atol=1e-4)


def test_each_map_of_a_place_sees_something_else():
    torch.manual_seed(1)
    net = net_of((3, 2, 2))
    least_squares(net, torch.rand(60, 1, 32, 32), torch.rand(60, 1, 32, 32))
    first, second, third = net.local[0].weight[..., 0, :].flatten(0, 3).T
    assert not torch.allclose(first, second, atol=1e-2) and not torch.allclose(first, third, atol=1e-2)


def test_the_start_draws_better_than_the_mean_face(faces, frontal):
    net = net_of((4, 4, 4))
    batches = Faces(faces, frontal, RECIPE)
    goal = batches.targets[batches.people]
    least_squares(net, batches.inputs, goal.view(-1, 1, 32, 32))
    with torch.no_grad():
        assert F.mse_loss(net(batches.inputs), goal) < 0.5 * F.mse_loss(goal.mean(0).expand_as(goal), goal)


@pytest.mark.parametrize("start", ["least squares", "random"])
def test_a_run_that_was_stopped_ends_as_if_it_was_not(faces, frontal, tmp_path, start):
    whole = train(faces, frontal, RECIPE, tmp_path / "whole", start, device="cpu")
    train(faces, frontal, RECIPE, tmp_path / "stopped", start, device="cpu", stop_after=4)
    again = train(faces, frontal, RECIPE, tmp_path / "stopped", start, device="cpu")
    assert all(torch.equal(a, again.state_dict()[name]) for name, a in whole.state_dict().items())


def test_the_control_trains_the_same_layers_on_names(faces, tmp_path):
    net = train(faces, None, RECIPE, tmp_path, device="cpu")
    assert net.config == net_of().config and features(net, faces.images).shape == (18, 128)
    batch = Faces(faces, None, RECIPE)(1, "cpu")
    assert batch[1].dtype == torch.int64 and batch[0].shape == (6, 1, 32, 32)


def test_each_input_goes_with_the_front_of_its_own_person(faces, frontal):
    batches = Faces(faces, frontal, RECIPE)
    seen = []
    for step in range(3):
        x, y = batches(step, "cpu")
        for picture, goal in zip(x, y, strict=True):
            (row,) = np.flatnonzero((np.abs(batches.inputs.numpy() - picture.numpy()) < 1e-6).all((1, 2, 3)))
            np.testing.assert_allclose((goal.numpy() + 1) * 127.5, frontal[faces.labels[row]].ravel(), atol=1e-3)
            seen.append(row)
    assert sorted(seen) == list(range(18))  # each once an epoch


def test_weights_come_back(faces, tmp_path):
    net = net_of().eval()
    save_net(tmp_path / "net.safetensors", net, {})
    again, _ = load_net(tmp_path / "net.safetensors")
    np.testing.assert_allclose(canonical(again, faces.images), canonical(net, faces.images), atol=1e-5)


def test_a_symmetric_picture_looks_more_frontal_than_its_halves():
    picture = np.random.default_rng(0).integers(0, 256, (1, 32, 32), dtype=np.uint8)
    symmetric = np.concatenate([picture[:, :, :16], picture[:, :, 15::-1]], 2)
    assert frontality(symmetric, 0)[0] == 0 < frontality(picture, 0)[0]
    blurred = np.full_like(picture, picture.mean())  # symmetric as well, of rank one
    assert frontality(symmetric, 0.1)[0] < frontality(blurred, 0.1)[0]
    np.testing.assert_allclose(frontality(picture[:, :, ::-1], 0.1), frontality(picture, 0.1))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda f, y: train(f, y[:2], RECIPE, "nowhere"), "2 frontal pictures for 3 people"),
        (lambda f, y: train(f.subset(slice(0, 4)), y, RECIPE, "nowhere"), "batch size 6: the set has 4"),
        (lambda f, y: train(f, y, RECIPE, "nowhere", "zero"), "start 'zero': use"),
        (lambda f, y: features(net_of(), f.images[:, :16]), "pictures: got uint8"),
        (lambda f, y: frontality(f.images[:, :, :31]), "an even W"),
        (lambda f, y: CanonicalViewNet((4, 8)), "give three positive numbers"),
        (lambda f, y: canonical_view(small_setup("reference")), "canonical_view, scale reference"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(wrong, says, faces, frontal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=says) as caught:
        wrong(faces, frontal)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_the_preset_is_small_enough_to_ship():
    assert 2 * sum(p.numel() for p in CanonicalViewNet(**read_recipe("canonical").net).parameters()) < 4e6


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return canonical_view(small_setup(), folder, (6, 3), (0, 1), epochs=1, batch_size=60, net={"maps": [2, 2, 2]})


def test_the_study_has_its_nulls_baselines_and_controls(result):
    wanted = {"raw", "LBP", "landmark LBP", "untrained", "least squares alone", "random start", "identification"}
    assert set(result["rank1"]) == wanted | {"FIP", "its picture"}
    assert {"the input", "mean frontal face", "FIP"} < set(result["pictures"])
    mean = result["pictures"]["mean frontal face"]["error"]["views"]
    assert all(view == pytest.approx(mean[0], abs=1e-3) for view in mean)  # the same face for every view
    assert result["chosen"]["any picture"]["mean"] == pytest.approx([100 / 3] * 3, abs=1e-3)  # 0 to 60 on both sides


def test_the_claims_read_it_and_the_rules_are_those_of_the_page(result):
    page = (Path(__file__).parents[2] / "book" / "rules.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (F\d+) \|.*\| ([\d.]+)(?: points)? \| \w+ \|$", page, re.M))
    ours = [claim for claim in CLAIMS.values() if claim.study in ("canonical_view", "frontal_choice")]
    assert {claim.name: claim.margin for claim in ours} == {claim.name: float(rows[claim.name]) for claim in ours}
    for claim in ours[:-1]:  # the last is about photographs, see below
        assert np.isfinite([claim.ours(result), claim.difference(result)]).all()


def test_the_nose_of_a_turned_head_is_off_the_middle_of_its_eyes():
    faces = make_views(4, lights=1, jitter=0)
    offset = paper.choice.nose_offset(faces.landmarks).reshape(4, 9)
    assert (
        (offset[:, 4] < 3).all() and (np.diff(offset[:, 4:], axis=1) > 0).all() and offset.argmin(1).tolist() == [4] * 4
    )
    turned = faces.landmarks @ np.array([[0.8, 0.6], [-0.6, 0.8]], np.float32)  # the picture's axes do not matter
    np.testing.assert_allclose(paper.choice.nose_offset(turned), offset.ravel(), atol=1e-3)
    with pytest.raises(DataError, match="both eyes of face 1 are one point"):
        paper.choice.nose_offset(np.concatenate([faces.landmarks[:1], np.ones((1, 5, 2))]))


def test_the_choice_among_photographs_takes_symmetric_ones_of_people_with_enough():
    setup = small_setup("reference")
    labels = np.repeat([0, 1, 2], [12, 11, 3])
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (26, 144, 128, 3), dtype=np.uint8)
    landmarks = np.tile(np.float32([[40, 60], [80, 60], [60, 80], [45, 100], [75, 100]]), (26, 1, 1))
    landmarks[:, 2, 0] += np.arange(26) + 1  # the first of a person is the most frontal
    for row in (0, 12):
        images[row] = np.maximum(images[row], images[row, :, ::-1])
    setup.test = dataclasses.replace(
        setup.test,
        images=images,
        labels=labels,
        names=["a", "b", "c"],
        landmarks=landmarks,
        paths=["x"] * 26,
        attributes={},
    )
    found = paper.frontal_choice(setup)
    assert found["people"] == 2 and found["chosen"]["symmetry alone"]["people"] == found["chosen"]["best"]["people"]
    assert found["chosen"]["any picture"]["people"] == pytest.approx([100 * 6.5 / 40, 100 * 18 / 40])
    (claim,) = [claim for claim in CLAIMS.values() if claim.study == "frontal_choice"]
    assert claim.difference(found).value > 0 and claim.ours(found).value > 0
    with pytest.raises(DataError, match="frontal_choice, scale lite"):
        paper.frontal_choice(small_setup())
