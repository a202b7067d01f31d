"""ConvNet-RBM: pairs of filters, modes, the RBM against all hidden states and autograd, training down to the nets."""

import copy
import dataclasses
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from samples import face_set
from torch.nn import functional as F

from deepid_lite.errors import DataError
from deepid_lite.files import as_json
from deepid_lite.nets.deepid import load_net, put_weights, save_net
from deepid_lite.nets.recipe import Recipe, read_recipe
from deepid_lite.papers.relational import joining, study, trainings
from deepid_lite.papers.relational import net as nets
from deepid_lite.papers.relational.net import MARGIN, PairBatches, PairNet, cut, modes, multiply_adds, outputs, stack
from deepid_lite.papers.relational.rbm import ClassificationRBM, fit_rbm, rbm_scores
from deepid_lite.papers.relational.system import ConvNetRBM, GroupBatches, Together, fine_tune, pretrained
from deepid_lite.registry import CLAIMS
from deepid_lite.studies.setup import Setup
from deepid_lite.verification.pairs import make_pairs

NET = {"maps": (3, 4, 5, 6), "dimension": 7}
RECIPE = Recipe("PairNet", net=NET, weight=0, epochs=2, batch_size=8, precision="fp32", vary=0.3, lr=5e-3)


def net_of(**changes):
    torch.manual_seed(0)
    return PairNet(**(NET | changes)).eval()


def pair_of(n=5, shape=(39, 31)):
    torch.manual_seed(1)
    return torch.rand(n, 6, *shape) * 2 - 1


@pytest.fixture(scope="module")
def faces():
    return face_set(8, 5, seed=1)


@pytest.fixture
def rbm():
    torch.manual_seed(2)
    found = ClassificationRBM(5, 8).double()
    for p in found.parameters():
        p.data = torch.randn_like(p)
    return found


# the net


def test_two_faces_as_six_channels_are_a_pair_of_filters():
    """y_j = b_j + k1_j * x1 + k2_j * x2 [section 3]."""
    net, x = net_of(), pair_of()
    k1, k2 = net.conv1.weight.split(3, 1)
    summed = F.conv2d(x[:, :3], k1) + F.conv2d(x[:, 3:], k2) + net.conv1.bias[:, None, None]
    torch.testing.assert_close(net.conv1(x), summed, rtol=1e-4, atol=1e-5)


def test_maps_of_the_papers_net_have_the_papers_sizes():
    seen = []
    net = PairNet().eval()
    for layer in (net.conv1, net.conv2, net.conv3, net.conv4, net.fc):
        layer.register_forward_hook(lambda _, inputs, output: seen.append(tuple(output.shape[1:])))
    assert net(pair_of(2)).shape == (2, 80)
    assert seen == [(20, 36, 28), (40, 16, 12), (60, 6, 4), (80, 2, 1), (80,)]
    assert PairNet((31, 31))(pair_of(2, (31, 31))).shape == (2, 80)


@pytest.mark.parametrize("meet", ["first", "last"])
def test_multiply_adds_are_those_of_the_layers(meet):
    net, counted = net_of(meet=meet), []
    kernels = {net.conv1: 16 * net.channels, net.conv2: 9 * 3, net.conv3: 9 * 4, net.conv4: 4 * 5}
    for layer, taps in kernels.items():
        layer.register_forward_hook(lambda _, inputs, output, taps=taps: counted.append(output.numel() * taps))
    net(pair_of(1))
    assert multiply_adds(net.config) == sum(counted) + net.fc.weight.numel()


def test_the_eight_modes_are_all_orders_and_flips_once():
    a, b = torch.arange(12.0).view(1, 3, 2, 2), torch.arange(12.0, 24).view(1, 3, 2, 2)
    found = list(modes(torch.cat([a, b], 1)))
    wanted = [torch.cat(both, 1) for x, y in ((a, b), (b, a)) for both in
              itertools.product((x, x.flip(3)), (y, y.flip(3)))]  # fmt: skip
    assert len(found) == 8 == len({tuple(x.flatten().tolist()) for x in found})
    assert all(torch.equal(x, y) for x, y in zip(found, wanted, strict=True))


def test_faces_that_meet_last_have_no_order_and_those_that_meet_first_have():
    x = pair_of()
    turned = torch.cat(x.split(3, 1)[::-1], 1)
    torch.testing.assert_close(net_of(meet="last")(x), net_of(meet="last")(turned))
    assert not torch.allclose(net_of()(x), net_of()(turned))


def test_batches_are_half_of_one_person_and_a_function_of_the_step(faces):
    batches = PairBatches(cut(faces.images, "whole face", MARGIN), faces.labels, RECIPE, (39, 31))
    assert len(batches) == len(faces) // 16
    x, same = batches(3, torch.device("cpu"))
    assert x.shape == (8, 6, 39, 31) and same.tolist() == [1] * 4 + [0] * 4
    assert torch.equal(x, batches(3, torch.device("cpu"))[0]) and not torch.equal(x, batches(4, torch.device("cpu"))[0])
    for step in range(20):
        first, second, same = batches.people.pairs(np.random.default_rng(step))
        assert ((faces.labels[first] == faces.labels[second]) == same).all() and (first != second).all()
    assert set(faces.labels[first]) <= set(batches.people.able)


def test_nets_of_other_seeds_learn_from_other_bootstraps_of_the_people(faces):
    drawn = [nets.People(faces.labels, 8, seed).able for seed in (0, 1, 2)]
    assert all(len(able) == 8 for able in drawn) and len({tuple(able) for able in drawn}) == 3


def test_training_tells_its_own_people_apart_and_a_run_that_was_stopped_ends_the_same(faces, tmp_path):
    recipe = Recipe(**{**vars(RECIPE), "epochs": 60, "vary": 0.0})
    crops = cut(faces.images, "whole face", MARGIN)
    net = nets.train(crops, faces.labels, recipe, tmp_path / "whole", device="cpu")
    nets.train(crops, faces.labels, recipe, tmp_path / "stopped", device="cpu", stop_after=7)
    again = nets.train(crops, faces.labels, recipe, tmp_path / "stopped", device="cpu")
    assert all(torch.equal(a, again.state_dict()[name]) for name, a in net.state_dict().items())
    pairs = make_pairs(faces.labels, 2, 15)
    p, features = outputs(net, cut(faces.images, "whole face"), pairs)
    assert p.shape == (8, 60) and features.shape == (60, 7)
    assert ((p.mean(0) > 0.5) == pairs.same).mean() > 0.8


# the RBM


def test_the_rbm_is_the_sum_over_all_hidden_states(rbm):
    x = torch.randn(4, 5).double()
    energies = torch.full((4, 2), -torch.inf).double()
    for h in itertools.product((0.0, 1.0), repeat=8):
        h = torch.tensor(h).double()
        minus_energy = ((x @ rbm.W.T) @ h)[:, None] + h @ rbm.U + rbm.c @ h + rbm.d
        energies = torch.logaddexp(energies, minus_energy)
    torch.testing.assert_close(rbm(x).exp(), torch.softmax(energies, 1), rtol=1e-12, atol=1e-14)


def test_the_closed_gradients_are_those_of_autograd(rbm):
    x, y = torch.randn(6, 5).double().requires_grad_(), torch.tensor([0, 1, 1, 0, 1, 0])
    rbm(x).gather(1, y[:, None]).sum().backward()
    closed = rbm.gradients(x.detach(), y)
    for name, p in (*rbm.named_parameters(), ("x", x)):
        torch.testing.assert_close(closed[name], p.grad, rtol=1e-12, atol=1e-13)


def test_the_fitted_rbm_learns_what_no_linear_rule_can():
    x = np.random.default_rng(0).random((400, 2))
    same = (x[:, 0] > 0.5) == (x[:, 1] > 0.5)
    scores = rbm_scores(fit_rbm(x, same, 8, 1e-5), x)
    assert ((scores > 0) == same).mean() > 0.95
    _, chosen = joining.chosen_logistic(x, make_pairs(np.repeat(np.arange(20), 10), 10, 20))
    assert chosen["C"] in joining.STRENGTHS


def test_decay_makes_the_fit_smaller():
    rng = np.random.default_rng(1)
    x, same = rng.normal(size=(60, 3)), rng.random(60) > 0.5
    sizes = [float((fit_rbm(x, same, 4, decay).W.detach() ** 2).sum()) for decay in (1e-4, 1e-1)]
    assert sizes[1] < sizes[0]


# all together


def system_of(**changes):
    torch.manual_seed(4)
    return ConvNetRBM(regions=("whole face", "eyes and nose"), nets=2, hidden=3, net=NET, **changes).eval()


def test_the_two_levels_average_modes_then_nets(faces):
    system, pairs = system_of(), make_pairs(faces.labels, 2, 5)
    first, second = faces.images[pairs.first], faces.images[pairs.second]
    xs = [stack(cut(first, name), cut(second, name)) for name in system.regions]
    with torch.no_grad():
        found, log_p = system.averages(xs), system(xs)
    for k, (name, group) in enumerate(zip(system.regions, system.groups, strict=True)):
        crops = cut(faces.images, name)
        by_hand = np.mean([outputs(net, crops, pairs)[0] for net in group], (0, 1))
        np.testing.assert_allclose(found[:, k], by_hand, atol=1e-5)
    np.testing.assert_allclose(system.scores(faces.images, pairs), log_p[:, 1] - log_p[:, 0], atol=1e-4)


def test_the_gradient_that_reaches_each_output_is_the_rbms_over_nets_and_modes():
    """One nth of the closed gradient of x_k for each of n nets [section 3]."""
    system = system_of()
    xs = [pair_of(4, nets.shape_of(name)) for name in system.regions]
    of_nets = system.net_outputs(xs)
    for group in of_nets:
        for p in group:
            p.retain_grad()
    x = torch.stack([torch.stack(group).mean(0) for group in of_nets], 1)
    y = torch.tensor([0, 1, 1, 0])
    system.rbm(x).gather(1, y[:, None]).sum().backward()
    closed = system.rbm.gradients(x.detach(), y)["x"]
    for k, group in enumerate(of_nets):
        for p in group:
            torch.testing.assert_close(p.grad, closed[:, k] / 2, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("apart", [False, True])
def test_fine_tuning_moves_every_net_and_the_loss_falls(apart, faces, tmp_path):
    system = system_of()
    recipe = Recipe(**{**vars(RECIPE), "epochs": 1, "lr": 3e-3})
    batch = GroupBatches(faces.images, faces.labels, recipe, system.regions, 8)(0, torch.device("cpu"))
    before, start = copy.deepcopy(system), Together(copy.deepcopy(system), apart)(batch, 0)[0].item()
    fine_tune(system, faces, recipe, tmp_path, 25, apart, device="cpu")
    assert Together(copy.deepcopy(system), apart)(batch, 0)[0].item() < start
    moved = {name: not torch.equal(a, system.state_dict()[name]) for name, a in before.state_dict().items()}
    assert all(moved[f"groups.{g}.{n}.conv1.weight"] for g in (0, 1) for n in (0, 1))
    assert moved["rbm.W"] is not apart
    assert not any(was for name, was in moved.items() if "running" in name)


def test_a_system_comes_back_and_another_papers_net_is_one_line(tmp_path):
    system = system_of()
    save_net(tmp_path / "system.safetensors", system, {})
    again = pretrained(tmp_path / "system.safetensors")
    assert as_json(again.config) == as_json(system.config) and torch.equal(again.rbm.W, system.rbm.W)
    save_net(tmp_path / "one.safetensors", net_of(), {})
    assert load_net(tmp_path / "one.safetensors")[0].config == net_of().config
    for wrong, says in (
        (lambda: pretrained(tmp_path / "one.safetensors"), "one.safetensors: .*a PairNet, no ConvNetRBM"),
        (lambda: put_weights(net_of(), net_of(meet="last").state_dict(), "other"), "other: conv1.weight is of shape"),
    ):
        with pytest.raises(DataError, match=says) as caught:
            wrong()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda a: stack(a, a[:, :30]), "pair: faces of"),
        (lambda a: stack(a, a[:1]), "cut the same region from as many of both"),
        (lambda a: stack(a, a, (31, 31)), "for a net of"),
        (lambda a: stack(a.astype(float), a), "pair: got float64"),
        (lambda a: net_of(meet="second"), "meet = 'second'"),
        (lambda a: ClassificationRBM(3, 0), "0 hidden units"),
        (lambda a: fit_rbm(np.full((3, 2), np.nan), np.ones(3, bool)), "RBM: got inputs"),
        (lambda a: nets.People([0, 0, 1], 8), "1 people have two images"),
        (lambda a: nets.People([0, 0, 1, 1], 7), "even batch"),
    ],
)
def test_bad_input_is_one_line(wrong, says):
    with pytest.raises(DataError, match=says) as caught:
        wrong(np.zeros((2, 39, 31, 3), np.uint8))
    assert "\n" not in str(caught.value)


# the study


FEW = {"hidden": (2,), "decays": (1e-3, 1e-2), "steps": 15}  # of what the RBM is chosen from, so that it takes seconds


@pytest.fixture(scope="module")
def setup():
    """Drawn people of three kinds; those for the nets come from `trained_on`."""
    test = face_set(20, 5, seed=3)
    return Setup("lite", None, test, make_pairs(test.labels, per_fold=5), face_set(20, 4, seed=2), test, ())


@pytest.fixture(scope="module")
def size():
    return trainings.Size(("whole face", "eyes and nose"), 10, 8, {}, 2, 4, 1e-4)


@pytest.fixture(scope="module")
def trained_on():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainings, "_training_faces", lambda setup: face_set(10, 4, seed=1))
        yield Recipe(**{**vars(RECIPE), "epochs": 1})


@pytest.fixture(scope="module")
def result(setup, size, trained_on, tmp_path_factory):
    def chosen(x, pairs, seed, **options):
        return joining.chosen_rbm(x, pairs, seed, **(options | FEW))

    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "chosen_rbm", chosen)
        found = study.relational(setup, trained_on, folder, (0, 1, 2), size)
    return found | {"folder": folder}


def test_the_study_has_its_levels_and_controls(result):
    assert {"pixels", "untrained", "meet last", "identification", "logistic", "trained apart"} < set(result["accuracy"])
    assert all(low <= value <= high for value, low, high in result["accuracy"].values())
    assert result["pairs"] == 80 and json.loads(as_json({k: v for k, v in result.items() if k != "folder"}))
    assert result["chosen"][0]["RBM"]["decay"] in FEW["decays"] and result["roc"]["tar"][-1] == 1
    assert result["training_minutes"] >= 0
    assert pretrained(result["folder"] / "lite" / "system.safetensors").config["nets"] == 2
    first, second = (result["accuracy"][name][0] for name in ("mean", "one group"))
    assert result["difference"]["R4"]["one group"][0] == pytest.approx(first - second, abs=1e-6)


def test_the_claims_read_it_and_the_rules_are_those_of_the_page(result):
    page = (Path(__file__).parents[2] / "book" / "rules.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (R\d+) \| .* \| no number \| .*\((null|baseline)\) \| (-?[\d.]+) \| seeds \|$", page, re.M)
    ours = {name: claim for name, claim in CLAIMS.items() if claim.study == "relational"}
    assert {name: (claim.kind, claim.margin) for name, claim in ours.items()} == {
        name: (kind, float(margin)) for name, kind, margin in rows
    }
    for claim in ours.values():
        assert np.isfinite([*claim.ours(result), claim.difference(result)[0]]).all()


def test_the_nets_of_a_seed_alone_are_those_of_the_study(result, setup, size, trained_on, tmp_path):
    """So that long trainings can be done seed by seed."""
    crops, labels, facts = trainings.training_crops(setup, size.regions)
    assert facts["images"] == len(labels) == 40 and facts["people"] == 10
    groups, controls = trainings.train_all(crops, labels, trained_on, tmp_path)
    system = pretrained(result["folder"] / "lite" / "system.safetensors")
    for ours, theirs in zip(system.groups, groups.values(), strict=True):
        for net, alone in zip(ours, theirs, strict=True):
            assert all(torch.equal(a, alone.state_dict()[name]) for name, a in net.state_dict().items())
    assert controls["meet last"].config["meet"] == "last" and set(controls) == {"meet last", "identification"}


def test_the_control_that_names_people_pays_for_naming_them():
    config = net_of(meet="last").config
    assert multiply_adds(config, 1, 100) - multiply_adds(config, 1) == 100 * config["dimension"]


def test_a_longer_training_is_asked_on_held_out_people_alone(setup, size, trained_on, tmp_path):
    unseen = dataclasses.replace(setup, test=None, pairs=None)
    found = study.relational_length(unseen, trained_on, tmp_path, (1, 3), size)
    assert found["epochs"] == [1, 3] and found["steps"][1] == 3 * found["steps"][0] > 0
    for of_name in found["accuracy"].values():
        assert len(of_name) == 2 and all(low <= value <= high for value, low, high in of_name)
    assert found["pairs"] == 100 and json.loads(as_json(found))


def test_the_recipe_of_another_paper_is_refused():
    setup = Setup("lite", None, None, None, None, None, ())
    with pytest.raises(DataError, match="a recipe of SparseNet"):
        study.relational(setup, Recipe("SparseNet"))


def test_the_preset_is_small_enough_to_ship():
    system = ConvNetRBM(net=read_recipe("relational").net)
    assert 2 * sum(p.numel() for p in system.parameters()) < 4e6
