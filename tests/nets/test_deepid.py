"""DeepID, DeepID2, DeepID2+: sizes and parameter counts of the papers' tables."""

import pytest
import torch

from deepid_lite.errors import DataError
from deepid_lite.nets.deepid import (
    ARCHITECTURES,
    DeepID,
    DeepID2,
    DeepID2Plus,
    DeepIDNet,
    build,
    load_net,
    map_sizes,
    net_hash,
    put_weights,
    save_net,
    to_input,
)


def count(module):
    return sum(p.numel() for p in module.parameters())


def on_meta(make, *args, **options):
    with torch.device("meta"):  # no memory for 50 million weights
        return make(*args, **options)


def test_map_sizes():
    assert map_sizes((55, 47))[0] == [(52, 44), (24, 20), (10, 8), (4, 3)]
    assert map_sizes((55, 47))[1] == [(26, 22), (12, 10), (5, 4), (4, 3)]
    assert map_sizes((47, 47)) == ([(44, 44), (20, 20), (8, 8), (3, 3)], [(22, 22), (10, 10), (4, 4), (3, 3)])
    assert map_sizes((39, 31)) == ([(36, 28), (16, 12), (6, 4), (2, 1)], [(18, 14), (8, 6), (3, 2), (2, 1)])
    assert map_sizes((31, 31)) == ([(28, 28), (12, 12), (4, 4), (1, 1)], [(14, 14), (6, 6), (2, 2), (1, 1)])


@pytest.mark.parametrize(
    ("shape", "conv3", "conv4", "inputs"),
    [((55, 47), 433_200, 231_360, 2160), ((47, 47), 16 * 60 * (9 * 40 + 1), 9 * 80 * (4 * 60 + 1), 1680)],
)
def test_deepid2_parameters(shape, conv3, conv4, inputs):
    net = on_meta(DeepID2, shape)
    layers = [net.conv1, net.conv2, net.conv3, net.conv4, net.fc["4"]]
    assert [count(layer) for layer in layers] == [980, 7_240, conv3, conv4, (inputs + 1) * 160]
    assert net.fc["4"].in_features == inputs
    assert count(net) == sum(count(layer) for layer in layers)  # nothing else learns
    if shape == (55, 47):
        assert count(net.fc["4"]) == 345_760


@pytest.mark.parametrize(
    ("shape", "banks3", "banks4", "inputs"),
    [((55, 47), 20, 12, [73_216, 15_360, 2_560, 1_536]), ((47, 47), 16, 9, [61_952, 12_800, 2_048, 1_152])],
)
def test_deepid2plus_parameters(shape, banks3, banks4, inputs):
    net = on_meta(DeepID2Plus, shape)
    assert [count(net.conv1), count(net.conv2)] == [6_272, 147_584]
    assert count(net.conv3) == banks3 * 128 * (9 * 128 + 1)
    assert count(net.conv4) == banks4 * 128 * (4 * 128 + 1)
    assert [net.fc[str(n)].in_features for n in (1, 2, 3, 4)] == inputs
    assert [count(net.fc[str(n)]) for n in (1, 2, 3, 4)] == [(i + 1) * 512 for i in inputs]
    if shape == (55, 47):
        assert [count(net.conv3), count(net.conv4)] == [2_951_680, 787_968]
        assert [round(count(net.fc[str(n)]) / 1e6, 2) for n in (1, 2, 3, 4)] == [37.49, 7.86, 1.31, 0.79]


@pytest.mark.parametrize(("shape", "inputs"), [((39, 31), 520), ((31, 31), 320)])
def test_deepid_inputs(shape, inputs):
    assert on_meta(DeepID, shape).fc["4"].in_features == inputs


@pytest.mark.parametrize(
    ("make", "shape"),
    [(DeepID, (39, 31)), (DeepID, (31, 31)), (DeepID2, (55, 47)), (DeepID2, (47, 47)),
     (DeepID2Plus, (55, 47)), (DeepID2Plus, (47, 47))],
)  # fmt: skip
@pytest.mark.parametrize("options", [{}, {"local": False}, {"batch_norm": True}])
def test_features_are_rectified(make, shape, options):
    torch.manual_seed(0)
    net = make(shape, maps=(4, 4, 6, 8), dimension=10, **options).eval()
    features = net(torch.randn(3, 3, *shape))
    assert list(features) == list(net.heads)
    for f in features.values():
        assert f.shape == (3, 10)
        assert (f >= 0).all() and (f == 0).any() and (f > 0).any()


def test_plain_convolutions_share_everywhere():
    net = on_meta(DeepID2Plus, local=False)
    assert count(net.conv3) == 128 * (9 * 128 + 1)
    assert count(net.conv4) == 128 * (4 * 128 + 1)


def test_forward_step_by_step():
    """The same net written out from its parts, batch norms included."""
    torch.manual_seed(0)
    net = DeepID2(maps=(3, 4, 5, 6), dimension=7, batch_norm=True).double().eval()
    for norm in (*net.norms, net.feature_norms["4"]):
        torch.nn.init.uniform_(norm.weight, 0.5, 2)
        torch.nn.init.normal_(norm.bias)
        torch.nn.init.normal_(norm.running_mean)
    images = torch.randn(2, 3, 55, 47, dtype=torch.double)
    x = images
    for convolve, norm in zip((net.conv1, net.conv2, net.conv3), net.norms, strict=False):
        x = norm(torch.max_pool2d(convolve(x), 2)).relu()
    pool3, conv4 = x, net.norms[3](net.conv4(x)).relu()
    joined = torch.cat([pool3.permute(0, 2, 3, 1).flatten(1), conv4.permute(0, 2, 3, 1).flatten(1)], 1)
    torch.testing.assert_close(net(images)[4], net.feature_norms["4"](net.fc["4"](joined)).relu())


def test_channels_last_changes_nothing():
    torch.manual_seed(0)
    net = DeepID2Plus(maps=4, dimension=6).eval()
    x = torch.randn(2, 3, 55, 47)
    plain = net(x)
    fast = net.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    for head in plain:
        torch.testing.assert_close(fast[head], plain[head])


def test_build_makes_the_same_net():
    for net in (
        DeepID(maps=(2, 3, 4, 5), dimension=6),
        DeepID2((47, 47), maps=(2, 3, 4, 5), dimension=6, local=False),
        DeepID2Plus(maps=3, dimension=6, heads=(4, 2), batch_norm=True, dropout=0.3),
    ):
        twin = build(net.config)
        assert twin.config == net.config
        twin.load_state_dict(net.state_dict())
        x = torch.randn(2, 3, *net.config["input_shape"])
        for head, f in net.eval()(x).items():
            assert torch.equal(f, twin.eval()(x)[head])
    assert net.heads == (2, 4)


def test_the_hash_of_a_net_is_that_of_its_numbers_and_names():
    torch.manual_seed(0)
    first, second = (DeepIDNet((31, 31), (2,) * 4, 3, (4,)) for _ in range(2))
    assert net_hash(first) != net_hash(second)
    second.load_state_dict(first.state_dict())
    assert net_hash(first) == net_hash(second) == net_hash(first.to(memory_format=torch.channels_last))
    with torch.no_grad():
        second.fc["4"].bias[-1] += 1e-6
    assert net_hash(first) != net_hash(second)


def test_inputs_run_from_minus_one_to_one():
    x = to_input(torch.tensor([[0, 255]], dtype=torch.uint8))
    assert x.tolist() == [[-1.0, 1.0]]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"heads": (1, 2)}, "with 4 among them"),
        ({"heads": (4, 5)}, "with 4 among them"),
        ({"input_shape": (20, 20)}, "too small"),
        ({"input_shape": (59, 47)}, "whole blocks"),
        ({"maps": (4, 4, 4)}, "four positive numbers"),
        ({"maps": 0}, "four positive numbers"),
        ({"dimension": 0}, "four positive numbers"),
    ],
)
def test_what_cannot_be_built_gets_one_line(options, says):
    with pytest.raises(DataError, match=says):
        DeepID2Plus(**{"maps": 4, "dimension": 4} | options)


def test_skip_with_other_heads_is_refused():
    with pytest.raises(DataError, match="skip"):
        build(DeepID2(maps=(2, 2, 2, 2), dimension=2).config | {"heads": (3, 4)})


def test_a_description_of_something_else_is_refused():
    for config in ({}, {"width": 3}):
        with pytest.raises(DataError, match="net description"):
            build(config)


class Paper(torch.nn.Module):
    """A net that is none of the family."""

    def __init__(self, width):
        super().__init__()
        self.config = {"architecture": "Paper", "width": width}
        self.layer = torch.nn.Linear(width, 2)


def test_nets_of_other_papers_are_stored_and_built_by_name(tmp_path, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "Paper", Paper)
    net = Paper(3)
    save_net(tmp_path / "net.safetensors", net, {"data": "points"})
    again, facts = load_net(tmp_path / "net.safetensors")
    assert isinstance(again, Paper) and facts["data"] == "points" and not again.training
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), again.parameters(), strict=True))
    monkeypatch.delitem(ARCHITECTURES, "Paper")
    with pytest.raises(DataError, match="architecture 'Paper': unknown; use one of DeepID"):
        load_net(tmp_path / "net.safetensors")


def test_a_description_without_an_architecture_is_of_the_family():
    net = DeepID2(maps=(2, 2, 2, 2), dimension=4)
    assert "architecture" not in net.config and build(net.config).config == net.config
    assert build({"architecture": "DeepID2", "maps": (2, 2, 2, 2), "dimension": 4}).config == net.config


@pytest.mark.parametrize(
    "config",
    [
        None,
        3,
        "maps",
        [1],
        {},
        {"architecture": []},
        {"architecture": "DeepID2", "maps": 3},
        {"width": 3},
        {"architecture": "DeepID2", "dropout": 2.0},
    ],
)
def test_descriptions_that_are_none_get_one_line(config):
    with pytest.raises(DataError) as error:
        build(config)
    assert "\n" not in str(error.value)


def test_weights_of_half_precision_fit_and_others_are_told():
    net = DeepID2(maps=(2, 2, 2, 2), dimension=4, batch_norm=True)
    weights = {name: t.half() if t.is_floating_point() else t for name, t in net.state_dict().items()}
    put_weights(net, weights, "file")
    assert all(p.dtype == torch.float32 for p in net.parameters())
    before = {name: t.clone() for name, t in net.state_dict().items()}
    for wrong in (torch.full((2,), torch.inf), torch.zeros(2, dtype=torch.bool), torch.zeros(3), torch.zeros(2, 1)):
        with pytest.raises(DataError, match="file: conv1.bias "):
            put_weights(net, weights | {"conv1.bias": wrong}, "file")
    assert all(torch.equal(t, before[name]) for name, t in net.state_dict().items())
