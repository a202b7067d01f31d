"""Targets compared: each reaches the same neurons, with as many steps, and every studio has its controls."""

import dataclasses

import numpy as np
import pytest
import torch
from samples import small_setup

from deepid_lite.errors import DataError
from deepid_lite.nets.recipe import read_recipe
from deepid_lite.papers.multiview import targets as module
from deepid_lite.papers.multiview.lengths import lengths, shortest
from deepid_lite.papers.multiview.net import MultiViewPerceptron
from deepid_lite.papers.multiview.study import draw_data

NET = {"identity": (8, 6), "mixed": (6, 7), "samples": 4}
SMALL = {"epochs": 1, "batch_size": 60, "net": {**read_recipe("multiview").net, **NET}}


@pytest.fixture(scope="module")
def data():
    return draw_data((3, 2), 1)


def test_the_bit_of_a_pair_pulls_one_person_together_and_pushes_two_apart():
    torch.manual_seed(0)
    pairs, x, people = module.Pairs(MultiViewPerceptron(**NET), 4), torch.rand(8, 1024), torch.arange(4).repeat(2)
    loss, parts = pairs((x, people), 0.0)
    loss.backward()
    assert loss == parts["verification"] > 0 and pairs.net.u[0].weight.grad.abs().sum() > 0
    assert pairs.net.u[2].weight.grad is None  # what draws has no part in it
    pairs.eval()
    h2 = torch.nn.functional.normalize(pairs.net.identity(x)[1], dim=1)
    distance = torch.cdist(h2, h2)
    same = (people[:, None] == people) & ~torch.eye(8, dtype=bool)
    by_hand = (distance[same] ** 2 / 2).mean() + (
        torch.relu(pairs.verification.margin - distance[people[:, None] != people]) ** 2 / 2
    ).mean()
    assert pairs((x, people), 0.0)[0].item() == pytest.approx(by_hand.item(), rel=1e-3)


def test_name_and_pair_adds_both_signals():
    torch.manual_seed(0)
    both, people = module.Pairs(MultiViewPerceptron(**NET), 4, name=True), torch.arange(4).repeat(2)
    loss, parts = both((torch.rand(8, 1024), people), 0.0)
    assert loss.item() == pytest.approx((parts["identification"] + parts["verification"] / 2).item())


@pytest.mark.parametrize("target", ["pair", "name", "name and pair", "frontal picture", "all views"])
def test_each_target_changes_the_neurons_of_the_person(target, data, tmp_path):
    recipe = dataclasses.replace(read_recipe("multiview", **SMALL), batch_size=20)
    net = module.of_target(data, target, recipe, tmp_path)
    torch.manual_seed(recipe.seed)
    fresh = MultiViewPerceptron(**recipe.net)
    for layer in range(2):
        assert net.u[layer].weight.shape == fresh.u[layer].weight.shape
        assert not torch.equal(net.u[layer].weight, fresh.u[layer].weight)


def test_an_unknown_target_is_one_line(data, tmp_path):
    with pytest.raises(DataError, match="target 'smell': use pair") as caught:
        module.of_target(data, "smell", read_recipe("multiview", **SMALL), tmp_path)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())
    for study in (module.supervision, module.studios):
        with pytest.raises(DataError, match=f"{study.__name__}, scale reference"):
            study(small_setup("reference"))


def test_pictures_keep_their_place_when_they_are_enlarged():
    picture = np.zeros((1, 32, 32), np.uint8)
    picture[0, :16, 16:] = 200
    big = module._enlarged(picture)[0]
    assert big.shape == (55, 47, 3) and (big[..., 0] == big[..., 2]).all()
    assert big[:26, 25:].min() == 200 and big[:, :22].max() == 0 and big[29:].max() == 0


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ABLATIONS", {"K = 1": module.ABLATIONS["K = 1"]})
        return module.supervision(small_setup(), tmp_path_factory.mktemp("runs"), (6, 3), (0,), **SMALL)


def test_supervision_has_its_targets_nulls_and_baselines(result):
    wanted = {"raw", "LBP", "landmark LBP", "untrained", "DeepID2+", *module.TARGETS}
    assert set(result["rank1"]) == wanted and set(result["ablations"]) == {"S = 8, K = 2", "K = 1"}
    for name, found in result["rank1"].items():
        value, low, high = found["mean"]
        assert 0 <= low <= value <= high <= 100 and len(found["views"]) == 9
        if name in module.TARGETS:
            active, silent = found["h2"]
            assert 0 < active <= 100 and 0 <= silent < 100


def test_a_studio_changes_what_it_says(tmp_path, monkeypatch):
    """Fewer people take more passes, and the steps stay what they are."""
    asked = {"less": dict(people=6, lights=3), "slow": dict(people=6, lights=3, lr=5e-4, times=2)}
    monkeypatch.setattr(module, "STUDIOS", asked)
    monkeypatch.setattr(module, "PEOPLE", (12, 3))
    seen = []
    monkeypatch.setattr(module, "_rates", lambda data, recipe, *rest: seen.append((recipe.epochs, recipe.lr)) or {})
    found = module.studios(small_setup(), tmp_path, test=2, **{**SMALL, "epochs": 2, "batch_size": 54})
    assert found["steps"] == 12 and list(found["studios"]) == list(asked)
    assert seen == [(4, found["recipe"]["lr"]), (8, 5e-4)]


def test_the_length_is_the_shortest_that_is_as_good_as_the_best():
    of_net = {str(n): {"mean": [mean, 0, 100]} for n, mean in ((50, 70.0), (100, 84.5), (150, 85.4), (250, 85.0))}
    assert shortest(of_net) == 100
    assert shortest(of_net | {"250": {"mean": [95.0, 0, 100]}}) == 250


def test_lengths_are_measured_on_people_who_do_not_test(tmp_path):
    found = lengths(small_setup(), tmp_path, (6, 3), (1, 2), **{k: v for k, v in SMALL.items() if k != "epochs"})
    assert all(set(of_net) == {"1", "2"} and found["chosen"][name] in (1, 2) for name, of_net in found["rank1"].items())
    tested = draw_data((6, 3))
    assert found["data_hash"] != "".join(module.fingerprint(faces.images, faces.labels) for faces in tested)
    assert found["data_hash"].startswith(module.fingerprint(tested.train.images, tested.train.labels))
    with pytest.raises(DataError, match="lengths, scale reference"):
        lengths(small_setup("reference"))
