"""Locally connected convolution: weights that are shared inside small blocks of the map, or not at all.

On an aligned face each place of the map sees its own part of the face, so the third layer of the DeepID nets
shares weights only inside blocks of 2 x 2 neurons, and the fourth shares none [DeepID, section 3.1; DeepID2,
section 2].
"""

import torch
from torch import nn

from deepid_lite.errors import DataError


class LocallyConnected2d(nn.Module):
    """A convolution (stride 1, no padding) with one bank of filters for each block of neurons of the output
    map.

    output_size: (rows, columns) of the output map. share: side of a block, or its (rows, columns); blocks
    tile the map. share=1 shares nothing, and one block as large as the map is an ordinary convolution.
    Input (N, in, rows + k - 1, columns + k - 1), output (N, out, rows, columns).
    weight: (bank rows, bank columns, k, k, in, out); bias: (bank rows, bank columns, out).
    """

    def __init__(self, in_channels, out_channels, kernel_size, output_size, share=1):
        super().__init__()
        rows, columns = output_size
        share_rows, share_columns = (share, share) if isinstance(share, int) else share
        if min(rows, columns, share_rows, share_columns) < 1 or rows % share_rows or columns % share_columns:
            raise DataError(
                f"LocallyConnected2d: a map of {rows} x {columns} has no whole blocks of "
                f"{share_rows} x {share_columns}; change share or the input size"
            )
        self.kernel_size, self.output_size = kernel_size, (rows, columns)
        self.share = (share_rows, share_columns)
        self.banks = (rows // share_rows, columns // share_columns)
        spread = (2 / (in_channels * kernel_size**2)) ** 0.5  # as Kaiming's for a ReLU
        shape = (*self.banks, kernel_size, kernel_size, in_channels, out_channels)
        self.weight = nn.Parameter(torch.randn(shape) * spread)
        self.bias = nn.Parameter(torch.zeros(*self.banks, out_channels))

    def forward(self, x):
        (rows, columns), (share_rows, share_columns) = self.output_size, self.share
        bank_rows, bank_columns = self.banks
        k, n, channels = self.kernel_size, len(x), x.shape[1]
        if x.shape[2:] != (rows + k - 1, columns + k - 1):
            got, wanted = tuple(x.shape[2:]), (rows + k - 1, columns + k - 1)
            raise DataError(f"LocallyConnected2d: got a map of {got}, was built for {wanted}")
        x = x.permute(0, 2, 3, 1)  # (N, H, W, C): in memory already, where the net runs channels-last
        windows = [x[:, i : i + rows, j : j + columns] for i in range(k) for j in range(k)]
        patches = torch.stack(windows, dim=3)  # (N, rows, columns, k * k, C)
        patches = patches.view(n, bank_rows, share_rows, bank_columns, share_columns, k * k * channels)
        # one matrix product per bank: all neurons of its block, of all images
        patches = patches.permute(1, 3, 0, 2, 4, 5).reshape(bank_rows * bank_columns, -1, k * k * channels)
        weight = self.weight.view(bank_rows * bank_columns, k * k * channels, -1)
        bias = self.bias.view(bank_rows * bank_columns, 1, -1)
        # autocast leaves the bias of a batched product in fp32, so all three are brought to one type here
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
        y = torch.baddbmm(bias.to(dtype), patches.to(dtype), weight.to(dtype))
        y = y.view(bank_rows, bank_columns, n, share_rows, share_columns, -1).permute(2, 0, 3, 1, 4, 5)
        return y.reshape(n, rows, columns, -1).permute(0, 3, 1, 2)  # (N, out, rows, columns), channels-last

    def extra_repr(self):
        *_, channels_in, channels_out = self.weight.shape
        return (
            f"{channels_in}, {channels_out}, kernel_size={self.kernel_size}, output_size={self.output_size}, "
            f"share={self.share}"
        )
