"""The multi-view perceptron: its E-step, gradients, batches, and what it draws, on nets of a few neurons."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from samples import small_setup

from deepid_lite.errors import DataError
from deepid_lite.faces.synthetic.views import make_views
from deepid_lite.nets.deepid import load_net, put_weights, save_net
from deepid_lite.nets.recipe import Recipe, read_recipe
from deepid_lite.papers import multiview
from deepid_lite.papers.multiview.net import (
    Labelled,
    MultiViewPerceptron,
    Triples,
    ViewLikelihood,
    features,
    render,
    targets,
    train,
    view_of,
)
from deepid_lite.registry import CLAIMS

VIEWS = (-30, 0, 30)
NET = {"views": VIEWS, "identity": (8, 6), "mixed": (6, 7), "samples": 4}
RECIPE = Recipe(
    architecture="MultiViewPerceptron", net=NET, weight=0.0, epochs=2, batch_size=6, precision="fp32", lr=0.01
)


@pytest.fixture(scope="module")
def faces():
    return make_views(3, views=VIEWS, lights=2, part="train")


@pytest.fixture(scope="module")
def clean():
    return make_views(3, views=VIEWS, lights=1, part="train", jitter=0)


def net_of(**changes):
    torch.manual_seed(0)
    return MultiViewPerceptron(**(NET | changes))


def batch_of(n=5):
    torch.manual_seed(1)
    return torch.rand(n, 1024) * 2 - 1, torch.rand(n, 1024) * 2 - 1, torch.arange(n) % 3


def test_the_distance_without_drawing_is_that_of_the_drawing():
    net, (x, y, _) = net_of(), batch_of()
    codes = torch.rand(4, 5, 2)
    h4 = net.mix(net.identity(x)[1], codes)[1]
    drawn = ((y - net.picture(h4)) ** 2).sum(-1)
    torch.testing.assert_close(net.squared_error(y, h4), drawn, rtol=1e-4, atol=1e-2)


def test_the_e_step_takes_the_draw_of_largest_weight():
    net, (x, y, view) = net_of(), batch_of()
    objective = ViewLikelihood(net)
    h2 = net.identity(x)[1]
    torch.manual_seed(3)
    chosen = objective.best_code(h2, y, view)
    torch.manual_seed(3)
    codes = torch.rand(4, 5, 2)
    for n in range(5):
        weights = []
        for s in range(4):
            picture = net.picture(net.mix(h2[n], codes[s, n])[1])
            of_view = net.view_scores(y[n], codes[s, n])[view[n]]
            weights.append(-((y[n] - picture) ** 2).sum() / (2 * net.noise**2) + of_view)
        assert torch.equal(chosen[n], codes[torch.stack(weights).argmax(), n])
    assert not chosen.requires_grad


def test_the_objective_is_minus_the_log_likelihood():
    """Up to the constants of the normal distribution: torch's own densities give the same differences."""
    net, (x, y, view) = net_of(code="view"), batch_of()
    loss, parts = ViewLikelihood(net)((x, y, view), 0.0)
    code = torch.nn.functional.one_hot(view, 3).float()
    of_picture = torch.distributions.Normal(net(x, code), net.noise).log_prob(y).sum(1)
    constant = 1024 * np.log(net.noise * np.sqrt(2 * np.pi))
    of_view = torch.distributions.Categorical(logits=net.view_scores(y, code)).log_prob(view)
    assert loss.item() == pytest.approx(-(of_picture + constant + of_view).mean().item(), rel=1e-4)
    assert parts["picture_rms"].item() == pytest.approx((y - net(x, code)).square().mean().sqrt().item(), rel=1e-3)


def test_identity_neurons_know_nothing_of_the_code():
    net, (x, y, view) = net_of(code="view"), batch_of()
    first, second = (
        ViewLikelihood(net).log_likelihood(net.identity(x)[1], c, y, view)[0]
        for c in (torch.eye(3)[view], torch.eye(3)[view - 1])
    )
    assert not torch.allclose(first, second)  # h3 does
    assert net.u[0].weight.shape == (8, 1024) and net.v2.weight.shape == (6, 3)


def test_more_samples_fit_better():
    """Of nested draws: the best of forty is at least as likely as the best of the first four."""
    (x, y, view), found = batch_of(), []
    for samples in (4, 40):
        net = net_of(samples=samples)
        h2 = net.identity(x)[1]
        codes = torch.rand(40, 5, 2, generator=torch.Generator().manual_seed(0))[:samples]
        found.append(sum(ViewLikelihood(net).log_likelihood(h2, codes, y, view)).max(0).values)
    assert (found[1] >= found[0]).all() and (found[1] > found[0]).any()


def test_batches_are_triples_of_one_person(faces, clean):
    batches = Triples(faces, clean, VIEWS, RECIPE)
    x, y, view = batches(4, "cpu")
    rows, _ = batches.chosen(4)
    assert all(torch.equal(a, b) for a, b in zip((x, y, view), batches(4, "cpu"), strict=True))
    wanted = targets(clean, VIEWS)[faces.labels[rows], view]
    assert (y.numpy() + 1) * 127.5 == pytest.approx(wanted.reshape(6, -1).astype(float), abs=1e-3)
    assert sorted(torch.cat([batches.chosen(step)[0] for step in range(3)]).tolist()) == list(range(18))
    assert torch.equal(Labelled(faces, clean, VIEWS, RECIPE)(4, "cpu")[1], torch.as_tensor(faces.labels)[rows])


def test_a_run_that_was_stopped_ends_as_if_it_was_not(faces, clean, tmp_path):
    whole = train(faces, clean, RECIPE, tmp_path / "whole", device="cpu")
    train(faces, clean, RECIPE, tmp_path / "stopped", device="cpu", stop_after=4)
    again = train(faces, clean, RECIPE, tmp_path / "stopped", device="cpu")
    assert all(torch.equal(a, again.state_dict()[name]) for name, a in whole.state_dict().items())


@pytest.mark.parametrize("code", ["random", "view"])
def test_training_draws_its_own_people_better(faces, clean, tmp_path, code):
    """Of each view, than a net with fresh weights."""
    recipe = Recipe(
        **{**vars(RECIPE), "epochs": 20, "net": NET | {"identity": (32, 16), "mixed": (16, 32), "code": code}}
    )
    net = train(faces, clean, recipe, tmp_path, device="cpu")
    torch.manual_seed(recipe.seed)
    fresh = MultiViewPerceptron(**recipe.net).eval()
    true = targets(clean, VIEWS) / 127.5 - 1
    inputs = faces.images[(faces.views == 0) & (faces.lights == 1)]
    after, before = (((render(one, inputs, VIEWS) - true) ** 2).mean((0, 2, 3)) for one in (net, fresh))
    assert (after < before).all()


@pytest.mark.parametrize("code", ["random", "view"])
def test_features_and_pictures_have_their_shapes(faces, code):
    net = net_of(code=code).eval()
    found = features(net, faces.images)
    assert {name: x.shape for name, x in found.items()} == {"h1": (18, 8), "h2": (18, 6), "h3": (18, 6), "h4": (18, 7)}
    assert render(net, faces.images[:2], [15, 30], samples=10).shape == (2, 2, 32, 32)
    assert np.isin(view_of(net, faces.images).shape, 18) and np.abs(view_of(net, faces.images)).max() <= 30


def test_a_net_that_is_told_the_view_mixes_two_codes_between_them(faces):
    net = net_of(code="view").eval()
    h2 = net.identity(torch.as_tensor(faces.images[:1]).float().flatten(1) / 127.5 - 1)[1]
    between = net.picture(net.mix(h2, torch.tensor([[0.5, 0.5, 0.0]]))[1])
    np.testing.assert_allclose(
        render(net, faces.images[:1], [-15]).ravel(), between.detach().ravel(), rtol=1e-4, atol=1e-5
    )


def test_weights_come_back_and_those_of_another_net_do_not(tmp_path):
    net = net_of().eval()
    save_net(tmp_path / "net.safetensors", net, {})
    again, _ = load_net(tmp_path / "net.safetensors")
    assert again.config == net.config
    with pytest.raises(DataError, match="damaged or of another net"):
        put_weights(net, net_of(random=5).state_dict(), "other.safetensors")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda f, c: train(f, c.subset(c.views != 30), RECIPE, "nowhere"), "view 30: not one clean picture"),
        (lambda f, c: train(f.subset(slice(0, 4)), c, RECIPE, "nowhere"), "batch size 6: the set has 4 pictures"),
        (lambda f, c: features(net_of(), f.images.repeat(2, 1)), "pictures: got uint8"),
        (lambda f, c: net_of(code="other"), "code is random or view"),
        (lambda f, c: multiview.multiview(small_setup("reference")), "multiview, scale reference"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(wrong, says, faces, clean, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=says) as caught:
        wrong(faces, clean)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_the_preset_is_small_enough_to_ship():
    net = MultiViewPerceptron(**read_recipe("multiview").net)
    assert 2 * sum(p.numel() for p in net.parameters()) < 4e6


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return multiview.multiview(
        small_setup(),
        tmp_path_factory.mktemp("runs"),
        (6, 3),
        (0, 1),
        epochs=1,
        batch_size=60,
        net=dict(NET, views=read_recipe("multiview").net["views"]),
    )


def test_the_study_has_its_nulls_baselines_and_controls(result):
    assert {"raw", "LBP", "landmark LBP", "untrained, h2", "told the view, h2", "identification, h2"} < set(
        result["rank1"]
    )
    for found in result["rank1"].values():
        value, low, high = found["mean"]
        assert 0 <= low <= value <= high <= 100 or high - low > 50  # Student's t of two trainings is wide
        assert np.mean(found["people"]) == pytest.approx(value, abs=0.01) and len(found["views"]) == 9
    neighbour, mean_of = (result["drawn"][name]["error"] for name in ("left neighbour", "mean of the neighbours"))
    assert neighbour["views"][0][0] == 0 < neighbour["views"][1][0] and mean_of["mean"][0] < neighbour["mean"][0]


def test_the_claims_read_it_and_the_rules_are_those_of_the_page(result):
    page = (Path(__file__).parents[2] / "book" / "rules.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (M\d) \|.*\| ([\d.]+)(?: points)? \| \w+ \|$", page, re.M))
    ours = [claim for claim in CLAIMS.values() if claim.study == "multiview"]
    assert {claim.name: claim.margin for claim in ours} == {name: float(margin) for name, margin in rows.items()}
    for claim in ours:
        first, found = claim.ours(result), claim.difference(result)
        numbers = [
            *(first.values() if isinstance(first, dict) else [first]),
            *(found.values() if isinstance(found, dict) else [found]),
        ]
        assert np.isfinite(numbers).all()
