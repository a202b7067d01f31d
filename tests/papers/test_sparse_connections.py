"""Sparse connections: correlations against a loop, masks both ways, what is kept, files and sparse products."""

import copy
import dataclasses
import json

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from samples import face_set, small_faces, small_model
from torch.nn import functional as F

from deepid_lite import tensors
from deepid_lite.errors import DataError
from deepid_lite.faces.regions import crop
from deepid_lite.figures.sparse_connections import figure_density
from deepid_lite.files import as_json
from deepid_lite.nets.deepid import DeepIDNet
from deepid_lite.nets.recipe import Recipe, read_recipe
from deepid_lite.papers.sparse_connections import net as sparse_net
from deepid_lite.papers.sparse_connections import packed, study, upper
from deepid_lite.papers.sparse_connections.net import HOWS, MARGIN, ORDER, SparseNet, choose, correlations, sparsify
from deepid_lite.studies.setup import Setup
from deepid_lite.verification.features import extract
from deepid_lite.verification.pairs import make_pairs

SMALL = {"n_people": 10, "maps": [3, 4], "local": [5, 3], "dimension": 6}
RECIPE = Recipe("SparseNet", net=SMALL, weight=0, epochs=3, batch_size=12, images_per_person=1, precision="fp32")


@pytest.fixture
def net():
    torch.manual_seed(0)
    return SparseNet(**SMALL).eval()


@pytest.fixture(scope="module")
def crops():
    return crop(face_set(10, 6, seed=1).images, margin=MARGIN)


def pictures(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 55, 47, 3), np.uint8)


def activity(net, images):
    """What the layers read and their rectified outputs, by another way than hooks."""
    x = torch.as_tensor(images).permute(0, 3, 1, 2) / 127.5 - 1
    x = F.relu(net.conv2(F.relu(F.max_pool2d(net.conv1(F.avg_pool2d(x, 2)), 2))))
    a = F.relu(net.lc_a(x))
    padded = F.pad(F.max_pool2d(a, 2), (1, 1, 1, 1))
    b = F.relu(net.lc_b(padded))
    flat = b.permute(0, 2, 3, 1).flatten(1)
    return {"lc_a": (x, a), "lc_b": (padded, b), "f": (flat, F.relu(net.f(flat)))}


def test_correlations_are_those_of_a_loop(net):
    with torch.no_grad():
        net.lc_a.bias[0, 0, 0] = -1e3  # dead
    images = pictures(30)
    found = {name: correlations(net, name, images, batch_size=7) for name in ORDER}
    with torch.no_grad():
        x, y = (part.double().numpy() for part in activity(net, images)["lc_a"])
        read, f = (part.double().numpy() for part in activity(net, images)["f"])
    rng = np.random.default_rng(0)
    for _ in range(40):
        row, column, tap, channel, out = (int(rng.integers(n)) for n in (8, 6, 9, 4, 5))
        a, b = y[:, out, row, column], x[:, channel, row + tap // 3, column + tap % 3]
        wanted = np.corrcoef(a, b)[0, 1] if a.std() > 0 and b.std() > 0 else 0
        assert found["lc_a"][row * 6 + column, tap * 4 + channel, out] == pytest.approx(wanted, abs=1e-4)
    assert not found["lc_a"][0, :, 0].any()
    for i, o in [(0, 0), (5, 3), (20, 5)]:
        wanted = np.corrcoef(f[:, o], read[:, i])[0, 1] if f[:, o].std() * read[:, i].std() > 0 else 0
        assert found["f"][0, i, o] == pytest.approx(wanted, abs=1e-4)


def test_a_mask_stops_sums_and_gradients(net):
    images = torch.as_tensor(pictures(4)).permute(0, 3, 1, 2) / 127.5 - 1
    for name in ORDER:
        sparsify(net, name, 0.3, "random")
    before = net(images)[1].detach()
    net(images)[1].sum().backward()
    for name in ORDER:
        absent = ~getattr(net, name).parametrizations.weight[0].kept
        weight = getattr(net, name).parametrizations.weight.original
        assert absent.any() and not weight.grad[absent].any() and weight.grad[~absent].any()
        with torch.no_grad():
            weight[absent] = 1e6
    assert torch.equal(net(images)[1], before)


def test_three_quarters_come_from_the_stronger_half_of_each_sign():
    rng = np.random.default_rng(1)
    scores = np.concatenate([rng.uniform(0.1, 1, 400), rng.uniform(-1, -0.1, 200)])
    kept = choose(scores, 60, "correlation", rng)
    for sign, wanted in ((scores > 0, 40), (scores < 0, 20)):
        strong = sign & (np.abs(scores) >= np.median(np.abs(scores[sign])))
        assert kept[sign].sum() == wanted and kept[strong].sum() == 0.75 * wanted


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("n", [1, 7, 33, 60, 99, 100])
def test_as_many_are_kept_as_were_asked_for(how, n):
    scores = np.random.default_rng(n).normal(size=100)
    scores[:30] = 0  # of dead neurons
    assert choose(scores, n, how, np.random.default_rng(0)).sum() == n


def test_neurons_without_correlation_are_in_the_weaker_half():
    scores = np.concatenate([np.zeros(150), np.linspace(0.1, 1, 50), np.linspace(-1, -0.1, 50)])
    kept = choose(scores, 40, "correlation", np.random.default_rng(0))
    assert kept[175:200].sum() == kept[200:225].sum() == 15, "three quarters of each sign from its stronger half"
    assert kept[:175].sum() == 5 and kept[225:].sum() == 5
    assert choose(np.zeros(9), 4, "correlation", np.random.default_rng(0)).sum() == 4


def test_strongest_and_largest_are_the_outermost_and_random_asks_nothing():
    scores = np.random.default_rng(0).normal(size=200)
    top = set(np.argsort(-np.abs(scores))[:20])
    for how in ("strongest", "magnitude"):
        assert set(np.flatnonzero(choose(scores, 20, how, np.random.default_rng(0)))) == top
    kept = [choose(s, 20, "random", np.random.default_rng(0)) for s in (scores, -7 * scores)]
    assert np.array_equal(*kept)
    with pytest.raises(DataError, match="how = 'best': use one of correlation"):
        choose(scores, 20, "best", np.random.default_rng(0))


def test_sparser_masks_lie_inside_denser_ones(net):
    images = pictures(20)
    sparsify(net, "lc_a", 0.5, images=images)
    first = net.mask("lc_a").clone()
    sparsify(net, "lc_a", 0.1, images=images)
    second = net.mask("lc_a")
    assert not (second & ~first).any()
    assert net.density("lc_a") == pytest.approx(0.1, abs=1e-3) and net.density("lc_b") == 1
    for wrong in (0, 0.2, 1.5):
        with pytest.raises(DataError, match=r"density .* of layer lc_a: use more than 0 and at most 0.1"):
            sparsify(net, "lc_a", wrong, "random")


def test_the_steps_end_at_the_papers_densities(net):
    for name, layer, density in study.steps(net):
        sparsify(net, layer, density, "magnitude")
        if name in ("26 %", "12 %"):
            assert 100 * net.density() == pytest.approx(float(name[:2]), abs=0.5)


@pytest.mark.parametrize("name", ["lc_a", "lc_b", "f"])
def test_a_layer_is_its_sparse_matrix(net, name):
    sparsify(net, name, 0.2, "random")
    layer = getattr(net, name)
    with torch.no_grad():
        x, _ = activity(net, pictures(3))[name]
        wanted = layer(x) - layer(torch.zeros_like(x))
    flat = x if x.ndim == 2 else x.permute(0, 2, 3, 1).flatten(1)
    found = packed.as_matrix(layer, x.shape[2:]) @ flat.numpy().T
    wanted = wanted if wanted.ndim == 2 else wanted.permute(0, 2, 3, 1).flatten(1)
    np.testing.assert_allclose(found.T, wanted.numpy(), atol=1e-4)


def test_a_packed_net_is_small_and_the_same(net, tmp_path):
    for name in ORDER:
        sparsify(net, name, 0.1, "random")
    packed.save_packed(tmp_path / "net.safetensors", net)
    again = packed.load_packed(tmp_path / "net.safetensors")
    x = torch.as_tensor(pictures(3)).permute(0, 3, 1, 2) / 127.5 - 1
    assert torch.equal(net(x)[1], again(x)[1]) and again.density() == net.density()
    weights = 4 * sum(net.mask(name).numel() for name in ORDER)
    kept = sum(t.numel() * t.element_size() for n, t in tensors.load(tmp_path / "net.safetensors")[0].items()
               if n.endswith((".bits", ".values")))  # fmt: skip
    assert kept < 0.14 * weights  # a tenth, and one bit of 32 each
    packed.save_packed(tmp_path / "half.safetensors", net, half=True)
    assert torch.allclose(packed.load_packed(tmp_path / "half.safetensors")(x)[1], net(x)[1], rtol=0.02, atol=0.02)


def test_time_is_measured_beside_the_net_and_its_copies(net, tmp_path):
    other = copy.deepcopy(net)
    sparsify(other, "lc_a", 0.2, "random")
    found = packed.what_it_buys(other, str(tmp_path / "new"), (1, 2), 2)
    assert set(found["milliseconds"]) == {"1", "2"} and found["bytes"]["packed"] < found["bytes"]["dense"]
    x = torch.as_tensor(pictures(2)).permute(0, 3, 1, 2) / 127.5 - 1
    assert other(x)[1].shape == net(x)[1].shape and net.density("lc_a") == 1


def test_masks_of_another_net_get_one_line(net, crops, tmp_path):
    path = tmp_path / "net.safetensors"
    packed.save_packed(path, net)
    found, facts = tensors.load(path)
    cases = {
        "mask is torch.uint8": {"lc_b.bits": found["lc_b.bits"][:-1]},
        "values is torch.float32": {"f.values": found["f.values"][1:]},
        "conv1.bias": {"conv1.bias": found["conv1.bias"][1:]},
    }
    for said, change in cases.items():
        tensors.save(path, found | change, facts)
        with pytest.raises(DataError, match=said) as error:
            packed.load_packed(path)
        assert "\n" not in str(error.value)
    tensors.save(path, found, {"net": {"architecture": "DeepID2", "maps": [2] * 4, "dimension": 4}})
    with pytest.raises(DataError, match="no net with masks"):
        packed.load_packed(path)
    torch.manual_seed(0)
    other = SparseNet(**SMALL | {"maps": [3, 5]})
    with pytest.raises(DataError, match="init: .* is of shape"):
        sparse_net.train(crops, np.repeat(np.arange(10), 6), RECIPE, tmp_path, other)


def test_training_goes_on_inside_the_mask_and_from_the_weights(net, crops, tmp_path):
    labels = np.repeat(np.arange(10), 6)
    sparsify(net, "lc_a", 0.2, "random")
    masks = {name: net.mask(name).clone() for name in ORDER}
    start = net.f.weight.detach().clone()
    after = sparse_net.train(crops, labels, RECIPE, tmp_path, net)
    assert all(torch.equal(after.mask(name), masks[name]) for name in ORDER)
    moved = (after.f.weight - start).abs().max()
    assert 0 < moved < 0.2  # on from there, not anew
    read = sparse_net.train(crops, labels, RECIPE, tmp_path, net)  # it is finished
    assert torch.equal(read.f.weight, after.f.weight)


def test_dead_neurons_are_counted(net):
    with torch.no_grad():
        net.f.bias[:3] = -1e3
        net.f.bias[3:] = 1e3
    assert study.dead(net, pictures(5))["f"] == 0.5


def test_known_faces_are_named_by_the_classifier(net):
    images = pictures(12)
    with torch.no_grad():
        net.classifier.weight.zero_()
        net.classifier.bias[:] = torch.arange(10)
    assert study.named(net, images, np.array([9] * 3 + [8] * 9)) == 0.25


def ground_of(crops, labels):
    images = crops[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    return study.Ground(
        RECIPE, images, labels, images, images, None,
        lambda recipe, folder, net: sparse_net.train(crops, labels, recipe, folder, net), None, {},
    )  # fmt: skip


def test_each_step_trains_on_from_the_net_before(net, crops, tmp_path):
    labels = np.repeat(np.arange(10), 6)
    ground = ground_of(crops, labels)
    path = [after for _, after in study.sparser(net, "correlation", ground, RECIPE, tmp_path)]
    assert net.density() == 1, "what a step begins with stays as it is"
    for (_, layer, density), before, after in zip(study.steps(net), [net, *path], path, strict=False):
        assert after.density(layer) == pytest.approx(density, rel=0.1)
        assert all(not (after.mask(name) & ~before.mask(name)).any() for name in ORDER)
        assert 0 < (after.conv2.weight - before.conv2.weight).abs().max() < 0.2
    again = [after for _, after in study.sparser(net, path, ground, RECIPE, tmp_path)]
    for one, other in zip(path, again, strict=True):
        assert all(torch.equal(one.mask(name), other.mask(name)) for name in ORDER), "the masks of a path"


@pytest.fixture
def one_step(monkeypatch):
    """{name of the folder: recipes}: in the study a step down the gradient stands for each of its 66 trainings."""
    asked = {}

    def step(crops, labels, recipe, folder, start=None, device=None):
        asked.setdefault(folder.name, []).append(recipe)
        torch.manual_seed(recipe.seed)
        net = SparseNet(**recipe.net)
        net.load_state_dict((start or net).state_dict())
        x = torch.as_tensor(crops[::2, MARGIN:-MARGIN, MARGIN:-MARGIN]).permute(0, 3, 1, 2) / 127.5 - 1
        sparse_net.Identification(net)((x, torch.as_tensor(labels[::2])), 0.0)[0].backward()
        with torch.no_grad():
            for weight in net.parameters():
                weight -= 0.01 * weight.grad
        return net.eval()

    monkeypatch.setattr(study, "train", step)
    return asked


def test_the_study_has_its_controls_and_is_drawn(monkeypatch, tmp_path, one_step):
    test = face_set(30, 4, seed=3)
    setup = Setup("lite", None, test, make_pairs(test.labels, per_fold=8), face_set(12, 4, seed=2), test, ())
    monkeypatch.setattr(study, "_drawn_faces", lambda: face_set(10, 6, seed=1))
    monkeypatch.setattr(study, "what_it_buys", lambda net, folder: packed.what_it_buys(net, folder, (1, 2), 2))
    found = study.sparse_connections(setup, RECIPE, tmp_path, seeds=(0, 1, 2))
    time = {name: [recipe.epochs for recipe in recipes] for name, recipes in one_step.items()}
    for how in (*HOWS, "none"):
        assert [time[f"{how}-{k}"] for k in range(4)] == [[1, 1, 1]] * 4, "dense or sparse, all train on as long"
    assert time["dense"] == [3, 3, 3] and time["scratch"] == [7, 7, 7], "as long as the dense net and its steps"
    assert all([recipe.seed for recipe in recipes] == [0, 1, 2] for recipes in one_step.values())
    nets = found["runs"][0]
    for name in ("26 %", "12 %"):
        assert 100 * nets[name]["density"] == pytest.approx(float(name[:2]), abs=0.5)
    assert nets["76 %"]["layers"]["lc_a"] == 1
    assert {*HOWS[1:], "untrained", "dense", "none", "none, a step less", "76 %", "26 %", "12 %", "scratch"} == set(
        nets
    )
    assert all(
        nets[name]["layers"] == nets["12 %"]["layers"] for name in ("random", "strongest", "magnitude", "scratch")
    )
    assert nets["none"]["density"] == nets["dense"]["density"] == nets["none, a step less"]["density"] == 1
    assert json.loads(as_json(found)) and found["size"]["bytes"]["packed"] < found["size"]["bytes"]["dense"]
    for claim in study.CLAIMS:
        value, low, high = claim.difference(found)
        assert low <= value <= high and claim.ours(found)
    means = {name: np.mean([run[name]["accuracy"] for run in found["runs"]]) for name in nets}
    assert found["difference"]["S2"][0] == pytest.approx(means["12 %"] - means["dense"], abs=2e-3)
    assert found["accuracy"]["26 %"][0] == pytest.approx(means["26 %"], abs=1e-3)
    assert figure_density(found).axes
    plt.close("all")


# the upper layers of a trained net


@pytest.fixture(scope="module")
def trained_net():
    torch.manual_seed(0)
    net = DeepIDNet((55, 47), (4,) * 4, 6, (3, 4), batch_norm=True, dropout=0.5)
    for norm in (*net.norms, *net.feature_norms.values()):  # as after a training
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 2)
        norm.weight.data.uniform_(0.5, 2)
    return net.eval()


def test_upper_layers_on_stored_maps_are_the_net(trained_net, tmp_path):
    images = pictures(5)
    maps = upper.lower_maps(trained_net, images, tmp_path / "maps.npy", batch_size=2)
    net = upper.upper_part(trained_net, 3)
    assert maps.dtype == np.float16 and maps.shape == (5, 4, 12, 10)
    wanted = extract(trained_net, images, flip=False)
    np.testing.assert_allclose(study.features_of(net, maps, 2), wanted, atol=0.05 * wanted.max())  # maps are bf16
    np.testing.assert_array_equal(upper.lower_maps(trained_net, images[:0], tmp_path / "maps.npy"), maps)
    total = sum(getattr(trained_net, f"conv{n}").weight.numel() for n in (1, 2, 3, 4))
    assert net.shared + sum(net.mask(n).numel() for n in ORDER) == total + trained_net.fc["4"].weight.numel()


def test_correlations_where_places_share_their_weights_are_means(trained_net):
    maps = upper.lower_maps(trained_net, pictures(20))
    net = upper.upper_part(trained_net, 3)
    found = correlations(net, "lc_a", maps, batch_size=7)
    with torch.no_grad():
        x = net.inputs(maps)
        y = F.relu(net.norms["lc_a"](net.lc_a(x))).numpy()
    x = x.numpy()
    assert found.shape == net.mask("lc_a").shape == (20, 36, 4)
    for bank, tap, channel, out in [(0, 0, 0, 0), (6, 4, 2, 1), (19, 8, 3, 3)]:
        row, column = 2 * (bank // 4), 2 * (bank % 4)
        each = []
        for i in (row, row + 1):
            for j in (column, column + 1):
                a, b = y[:, out, i, j], x[:, channel, i + tap // 3, j + tap % 3]
                each.append(np.corrcoef(a, b)[0, 1] if a.std() * b.std() > 0 else 0)
        assert found[bank, tap * 4 + channel, out] == pytest.approx(np.mean(each), abs=1e-3)


def test_a_layer_that_shares_is_its_sparse_matrix(trained_net):
    net = upper.upper_part(trained_net, 3)
    sparsify(net, "lc_a", 0.3, "random")
    x = torch.rand(2, 4, 12, 10)
    with torch.no_grad():
        wanted = net.lc_a(x) - net.lc_a(torch.zeros_like(x))
    found = packed.as_matrix(net.lc_a, (12, 10)) @ x.permute(0, 2, 3, 1).flatten(1).numpy().T
    np.testing.assert_allclose(found.T, wanted.permute(0, 2, 3, 1).flatten(1).numpy(), atol=1e-4)


def test_a_classifier_without_training_names_the_nearest_mean(trained_net):
    coarse = np.random.default_rng(2).integers(0, 256, (3, 5, 4, 3), np.uint8).repeat(11, 1).repeat(12, 2)[:, :, :47]
    images, labels = np.repeat(coarse, 4, 0), np.repeat(np.arange(3), 4)
    maps = upper.lower_maps(trained_net, images)
    net = upper.name_people(upper.upper_part(trained_net, 3), maps, labels)
    assert study.named(net, maps, labels) == 1
    assert study.named(net, maps, labels[::-1]) < 1


def test_pictures_come_mirrored_or_not_and_each_once(trained_net):
    maps = np.stack([np.arange(12), 100 + np.arange(12)]).astype(np.float16)[:, :, None, None, None]
    recipe = dataclasses.replace(RECIPE, batch_size=6, images_per_person=2)
    batches = upper.StoredMaps(maps, np.repeat(np.arange(4), 3), recipe, "a hash")
    seen, people = (
        torch.cat(parts).flatten() for parts in zip(*(batches(step, "cpu") for step in (0, 1)), strict=True)
    )
    assert sorted((seen % 100).tolist()) == list(range(12)) and 0 < (seen >= 100).sum() < 12
    assert ((seen % 100) // 3 == people).all()
    assert all(torch.equal(a, b) for a, b in zip(batches(1, "cpu"), batches(1, "cpu"), strict=True))


def test_people_with_enough_pictures_learn_on(monkeypatch):
    monkeypatch.setattr(study, "PICTURES", 12)
    monkeypatch.setattr(study, "EACH", (3, 4))
    faces = small_faces(40, 7, 0)  # five or six each
    found = study._known_faces(faces.subset(np.flatnonzero((faces.labels != 2) | (np.arange(40) < 10))))
    assert np.bincount(found.labels).tolist() == [4, 4, 4] and "person-0002" not in found.names


def test_the_study_of_photographs_starts_from_the_trained_net(monkeypatch, tmp_path, trained_net):
    model, test = small_model(), face_set(30, 4, seed=3)
    model.net = trained_net
    setup = Setup("reference", model, test, make_pairs(test.labels, per_fold=8), face_set(12, 4, seed=2), test, ())
    monkeypatch.setattr(study, "training_parts", lambda data, root: (face_set(10, 9, seed=1), None))
    monkeypatch.setattr(study, "what_it_buys", lambda net, folder: packed.what_it_buys(net, folder, (1,), 2))
    asked = {}

    def one_step(maps, labels, recipe, folder, net, data_hash):
        asked.setdefault(folder.name, []).append((recipe.seed, recipe.epochs))
        with torch.no_grad():
            again = upper.UpperNet(**{k: v for k, v in recipe.net.items() if k != "architecture"})
            again.load_state_dict(net.state_dict())
            again.f.bias += 0.01 * (1 + recipe.seed)
        return again.eval()

    monkeypatch.setattr(upper, "train", one_step)
    recipe = read_recipe("sparse_webfaces")
    found = study.sparse_connections(setup, recipe, tmp_path, seeds=(0, 1, 2))
    nets = found["runs"][0]
    assert found["images"] == 90 and found["people"] == 10 and "dense" not in asked
    assert [len({run[0] for run in runs}) for runs in asked.values()] == [3] * len(asked)
    total = {name: sum(epochs for _, epochs in asked.get(name, [])) // 3 for name in ("first", "scratch")}
    assert total["scratch"] == 7 == total["first"] + sum(asked[f"masks-{k}"][0][1] for k in range(4))
    assert (
        nets["dense first"]["layers"] == nets["scratch"]["layers"] == nets["12 %"]["layers"] == nets["random"]["layers"]
    )
    for name in ("26 %", "12 %"):
        assert 100 * nets[name]["density"] == pytest.approx(float(name[:2]), abs=0.5)
    claim = next(claim for claim in study.CLAIMS if claim.name == "S5")
    means = {name: np.mean([run[name]["accuracy"] for run in found["runs"]]) for name in nets}
    assert claim.ours(found)[0] == pytest.approx(means["dense first"], abs=1e-3)
    assert claim.difference(found)[0] == pytest.approx(means["dense first"] - means["scratch"], abs=2e-3)
    assert json.loads(as_json(found)) and figure_density(found, found).axes
    plt.close("all")


def test_what_a_net_of_photographs_learns_on_trains(trained_net, tmp_path):
    images, labels = pictures(24), np.repeat(np.arange(6), 4)
    maps = np.stack([upper.lower_maps(trained_net, view) for view in (images, images[:, :, ::-1])])
    net = upper.name_people(upper.upper_part(trained_net, 6), maps[0], labels)
    sparsify(net, "lc_a", 0.2, "random")
    recipe = dataclasses.replace(read_recipe("sparse_webfaces"), epochs=2, batch_size=12, net=net.config)
    after = upper.train(maps, labels, recipe, tmp_path, net, "a hash")
    assert torch.equal(after.mask("lc_a"), net.mask("lc_a"))
    assert 0 < (after.lc_a.weight - net.lc_a.weight).abs().max() < 0.1
    with pytest.raises(DataError, match="of another data"):
        upper.train(maps, labels, recipe, tmp_path, net, "another hash")
