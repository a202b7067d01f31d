"""LocallyConnected2d against a naive loop and against an ordinary convolution."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from deepid_lite.errors import DataError
from deepid_lite.nets.layers import LocallyConnected2d


def naive(layer, x):
    """One output neuron after another: the filters of its block on its window."""
    k, (rows, columns) = layer.kernel_size, layer.output_size
    share_rows, share_columns = layer.share
    out = []
    for r in range(rows):
        for c in range(columns):
            weight = layer.weight[r // share_rows, c // share_columns]  # (k, k, in, out)
            window = x[:, :, r : r + k, c : c + k]  # (N, in, k, k)
            bias = layer.bias[r // share_rows, c // share_columns]
            out.append(torch.einsum("nihw,hwio->no", window, weight) + bias)
    return torch.stack(out, -1).view(len(x), -1, rows, columns)


def layer_and_input(n_in, n_out, k, rows, columns, share, n=3):
    torch.manual_seed(0)
    layer = LocallyConnected2d(n_in, n_out, k, (rows, columns), share).double()
    torch.nn.init.normal_(layer.bias)
    return layer, torch.randn(n, n_in, rows + k - 1, columns + k - 1, dtype=torch.double, requires_grad=True)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3),
       st.integers(1, 2), st.integers(1, 3))  # fmt: skip
def test_equals_a_naive_loop_in_values_and_gradients(n_in, n_out, k, blocks_down, blocks_across, a, b):
    layer, x = layer_and_input(n_in, n_out, k, blocks_down * a, blocks_across * b, (a, b))
    ours, wanted = layer(x), naive(layer, x)
    torch.testing.assert_close(ours, wanted)
    direction = torch.randn_like(ours)
    variables = [x, layer.weight, layer.bias]
    for got, want in zip(
        torch.autograd.grad((ours * direction).sum(), variables),
        torch.autograd.grad((wanted * direction).sum(), variables),
        strict=True,
    ):
        torch.testing.assert_close(got, want)


def test_gradients_numerically():
    layer, x = layer_and_input(2, 3, 2, 2, 4, 2, n=2)
    parameters = dict(layer.named_parameters())

    def run(x, weight, bias):
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (x,))

    assert torch.autograd.gradcheck(run, (x, parameters["weight"], parameters["bias"]))


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_one_block_is_an_ordinary_convolution(memory):
    layer, x = layer_and_input(3, 4, 3, 6, 5, (6, 5))
    kernel = layer.weight[0, 0].permute(3, 2, 0, 1)  # (out, in, k, k)
    wanted = F.conv2d(x, kernel, layer.bias[0, 0])
    torch.testing.assert_close(layer(x.contiguous(memory_format=memory)), wanted)


def test_equal_banks_are_an_ordinary_convolution():
    layer, x = layer_and_input(3, 4, 2, 4, 3, 1)
    with torch.no_grad():
        layer.weight[:] = layer.weight[0, 0].clone()
        layer.bias[:] = layer.bias[0, 0].clone()
    kernel = layer.weight[0, 0].permute(3, 2, 0, 1)
    torch.testing.assert_close(layer(x), F.conv2d(x, kernel, layer.bias[0, 0]))


def test_weights_are_shared_inside_their_block_only():
    layer, x = layer_and_input(2, 1, 3, 6, 4, 2)
    before = layer(x)
    with torch.no_grad():
        layer.weight[1, 0] += 1  # the block of rows 2-3, columns 0-1
    changed = (layer(x) != before).any(0)[0]
    wanted = torch.zeros(6, 4, dtype=torch.bool)
    wanted[2:4, 0:2] = True
    assert torch.equal(changed, wanted)


def test_parameter_count():
    layer = LocallyConnected2d(40, 60, 3, (10, 8), share=2)
    assert sum(p.numel() for p in layer.parameters()) == 433_200  # DeepID2's conv3
    assert layer.banks == (5, 4)


def test_autocast_computes_in_bf16():
    layer, x = layer_and_input(2, 3, 2, 4, 4, 2)
    layer, x = layer.float(), x.detach().float()
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), layer(x), atol=0.1, rtol=0.05)


@pytest.mark.parametrize(("size", "share"), [((5, 4), 2), ((4, 5), 2), ((0, 4), 1), ((4, 4), 0), ((4, 4), (2, 3))])
def test_maps_without_whole_blocks_are_refused(size, share):
    with pytest.raises(DataError, match="whole blocks"):
        LocallyConnected2d(1, 1, 2, size, share)


def test_an_input_of_another_size_is_refused():
    layer, x = layer_and_input(1, 1, 2, 4, 4, 2)
    with pytest.raises(DataError, match=r"got a map of \(5, 6\), was built for \(5, 5\)"):
        layer(F.pad(x, (0, 1)))
