"""What is inside a net, layer by layer: map sizes, receptive fields, parameters, multiply-adds.

Everything is read from the net itself, so that a table in the book, or in `deepid info`, cannot drift away
from the code that it describes.
"""

from typing import NamedTuple

from deepid_lite.nets.deepid import KERNELS, map_sizes
from deepid_lite.nets.layers import LocallyConnected2d

HEADER = ["layer", "kernel", "output", "banks", "sees (px)", "parameters", "multiply-adds"]


class Row(NamedTuple):
    """One layer. Sizes are (rows, columns); parameters include biases; multiply_adds are those of one image.

    kernel: side of the window that a neuron reads in the layer before (None where it reads the whole map).
    banks: sets of filters: 1 where the whole map shares one, (rows x columns) where nothing is shared.
    field: (rows, columns) of the input pixels that one neuron sees. stride: pixels between the fields of
    neighbours, so neuron (i, j) sees the pixels from (i * stride, j * stride) on, for no layer is padded.
    """

    name: str
    kernel: int | None
    maps: int
    size: tuple[int, int]
    banks: int
    field: tuple[int, int]
    stride: int
    parameters: int
    multiply_adds: int


def layer_table(net):
    """The rows of a `DeepIDNet`: conv1, pool1, ... conv4, then those of fc1..fc4 that it has.

    A neuron of a pooled map sees more than one of the map before, so pools have rows of their own. A batch
    norm is counted with its layer. Sharing weights saves parameters and no multiplication: a neuron of
    a locally connected layer does the work of a neuron of a convolution. Biases, ReLUs and pools are not
    counted. Returns a list of `Row`; the parameters add up to those of the net.
    """
    convolved, handed_on = map_sizes(net.config["input_shape"])
    rows, field, stride, channels = [], 1, 1, 3
    for n, (kernel, before, after) in enumerate(zip(KERNELS, convolved, handed_on, strict=True), start=1):
        layer, maps = getattr(net, f"conv{n}"), net.config["maps"][n - 1]
        banks = layer.banks[0] * layer.banks[1] if isinstance(layer, LocallyConnected2d) else 1
        field += (kernel - 1) * stride
        work = before[0] * before[1] * kernel**2 * channels * maps
        count = _count(layer) + _count(net.norms[n - 1])
        rows.append(Row(f"conv{n}", kernel, maps, before, banks, (field, field), stride, count, work))
        if after != before:
            field += stride
            stride *= 2
            rows.append(Row(f"pool{n}", 2, maps, after, 1, (field, field), stride, 0, 0))
        channels = maps
    by_name = {row.name: row for row in rows}
    for head in net.heads:
        fc = net.fc[str(head)]
        source = by_name["conv4" if head == 4 else f"pool{head}"]
        # the fields of the map's neurons together; the pool3 of DeepID2's skip sees nothing beyond conv4's
        seen = tuple(f + (n - 1) * source.stride for f, n in zip(source.field, source.size, strict=True))
        work = fc.in_features * fc.out_features
        count = _count(fc) + _count(net.feature_norms[str(head)])
        rows.append(Row(f"fc{head}", None, fc.out_features, (1, 1), 1, seen, 0, count, work))
    return rows


def table_cells(net):
    """`layer_table` as text for a table under `HEADER`: one list of cells a layer, and the totals last."""
    rows = layer_table(net)
    cells = []
    for row in rows:
        inputs = net.fc[row.name[2:]].in_features if row.kernel is None else None
        kernel = f"all {inputs:,}" if inputs else f"{row.kernel} × {row.kernel}"
        output = f"{row.maps}" if inputs else f"{row.size[0]} × {row.size[1]} × {row.maps}"
        trained = row.parameters > 0
        numbers = [f"{row.parameters:,}", f"{row.multiply_adds:,}"] if trained else ["", ""]
        banks = f"{row.banks}" if trained and not inputs else ""
        cells.append([row.name, kernel, output, banks, f"{row.field[0]} × {row.field[1]}", *numbers])
    totals = [f"{sum(row.parameters for row in rows):,}", f"{sum(row.multiply_adds for row in rows):,}"]
    return [*cells, ["total", "", "", "", "", *totals]]


def _count(module):
    return sum(p.numel() for p in module.parameters())


def as_text(net):
    """The layer table as lines of text, columns aligned, for a terminal."""
    table = [HEADER, *table_cells(net)]
    widths = [max(len(row[i]) for row in table) for i in range(len(HEADER))]
    return "\n".join("  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in table)
