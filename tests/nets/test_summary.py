"""The layer tables against the papers' numbers, the nets' own tensors, and gradients."""

import re
from pathlib import Path

import pytest
import torch

from deepid_lite.nets import deepid as nets
from deepid_lite.nets.summary import HEADER, layer_table, table_cells

ROOT = Path(__file__).resolve().parents[2]


def by_name(net):
    return {row.name: row for row in layer_table(net)}


def test_deepid2_has_the_sizes_and_parameters_of_the_paper():
    rows = by_name(nets.DeepID2())
    sizes = {name: row.size for name, row in rows.items()}
    assert sizes == {
        "conv1": (52, 44), "pool1": (26, 22), "conv2": (24, 20), "pool2": (12, 10),
        "conv3": (10, 8), "pool3": (5, 4), "conv4": (4, 3), "fc4": (1, 1),
    }  # fmt: skip
    counts = {"conv1": 980, "conv2": 7240, "conv3": 433_200, "conv4": 231_360, "fc4": 345_760}
    assert {name: rows[name].parameters for name in counts} == counts
    assert rows["conv3"].banks == 20 and rows["conv4"].banks == 12
    assert rows["fc4"].multiply_adds == 2160 * 160


def test_square_deepid2plus_has_the_inputs_of_the_paper():
    net = nets.DeepID2Plus(input_shape=(47, 47))
    rows = by_name(net)
    assert [rows[f"fc{n}"].multiply_adds // 512 for n in (1, 2, 3, 4)] == [61_952, 12_800, 2_048, 1_152]
    assert rows["fc1"].parameters == 61_952 * 512 + 512


@pytest.mark.parametrize(
    "net",
    [
        nets.DeepID(),
        nets.DeepID(input_shape=(31, 31)),
        nets.DeepID2Plus(maps=8, dimension=16, batch_norm=True),
        nets.DeepID2Plus(maps=(3, 5, 7, 9), dimension=16, heads=(2, 4), local=False),
    ],
)
def test_parameters_add_up_to_those_of_the_net(net):
    assert sum(row.parameters for row in layer_table(net)) == sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("local", [True, False])
def test_multiply_adds_agree_with_the_tensors_that_flow(local):
    """Counted from the outside: every output of a layer costs one product for each of its inputs."""
    net = nets.DeepID2Plus(maps=(3, 5, 7, 9), dimension=6, local=local)
    counted = {}

    def count(name, fan_in):
        return lambda module, inputs, output: counted.update({name: output[0].numel() * fan_in})

    for n, (kernel, channels) in enumerate(zip(nets.KERNELS, (3, 3, 5, 7), strict=True), start=1):
        getattr(net, f"conv{n}").register_forward_hook(count(f"conv{n}", kernel**2 * channels))
        net.fc[str(n)].register_forward_hook(count(f"fc{n}", net.fc[str(n)].in_features))
    net(torch.zeros(1, 3, 55, 47))
    assert {row.name: row.multiply_adds for row in layer_table(net) if row.parameters} == counted


@pytest.mark.parametrize("layer, place", [("conv3", (0, 0)), ("conv3", (9, 7)), ("conv4", (2, 1))])
def test_receptive_field_is_where_the_gradient_reaches(layer, place):
    torch.manual_seed(0)
    net = nets.DeepID2Plus(maps=16, dimension=4)
    caught = []
    getattr(net, layer).register_forward_hook(lambda module, inputs, output: caught.append(output))
    reached = torch.zeros(55, 47, dtype=torch.bool)
    for _ in range(8):  # each picture opens other ways through the pools
        x = torch.randn(1, 3, 55, 47, requires_grad=True)
        net(x)
        caught.pop()[0, :, *place].sum().backward()
        reached |= (x.grad[0] != 0).any(0)
    row = by_name(net)[layer]
    for axis in (0, 1):
        pixels = reached.any(1 - axis).nonzero()[:, 0]
        first = place[axis] * row.stride
        assert (pixels.min(), pixels.max()) == (first, first + row.field[axis] - 1)


def test_every_feature_layer_sees_the_whole_input():
    for shape in [(55, 47), (47, 47)]:
        rows = by_name(nets.DeepID2Plus(input_shape=shape, maps=2, dimension=2))
        assert {rows[f"fc{n}"].field for n in (1, 2, 3, 4)} == {shape}


def test_cells_fill_the_header_and_end_with_the_totals():
    net = nets.DeepID2Plus()
    cells = table_cells(net)
    assert all(len(line) == len(HEADER) for line in cells)
    assert cells[-1][-2] == f"{sum(p.numel() for p in net.parameters()):,}"
    assert cells[0] == ["conv1", "4 × 4", "52 × 44 × 128", "1", "4 × 4", "6,272", "14,057,472"]


def test_the_drawn_net_shows_the_sizes_of_the_net():
    drawing = (ROOT / "book" / "figures" / "deepid2plus.svg").read_text(encoding="utf-8")
    assert "<script" not in drawing
    drawn = set(re.findall(r"\d+ × \d+ × \d+", drawing))
    rows = by_name(nets.DeepID2Plus())
    handed_on = [rows[name] for name in ("pool1", "pool2", "pool3", "conv4")]
    expected = {f"{row.size[0]} × {row.size[1]} × {row.maps}" for row in handed_on} | {"55 × 47 × 3"}
    assert drawn == expected
