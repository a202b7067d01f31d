"""DeepID, DeepID2 and DeepID2+: four convolutions, features from the last, the last two, or each of them.

DeepID [CVPR 2014] and DeepID2 [NIPS 2014] read one feature layer of 160 neurons from pool3 and conv4
together. DeepID2+ [CVPR 2015, section 2] has 128 maps in each convolution and a feature layer FC-n of 512
neurons on each of them, all supervised. Features are rectified: a neuron is active or exactly zero, which the
studies of sparsity need.
"""

import hashlib
import inspect
import math

import torch
from torch import nn
from torch.nn import functional as F

from deepid_lite.errors import DataError
from deepid_lite.nets.layers import LocallyConnected2d
from deepid_lite.tensors import check, contents_of, load, save

KERNELS = (4, 3, 3, 2)


def map_sizes(input_shape):
    """Sizes (rows, columns) of conv1..conv4 before pooling, and of the maps that are handed on."""
    convolved, handed_on, size = [], [], tuple(input_shape)
    for layer, kernel in enumerate(KERNELS, start=1):
        size = tuple(side - kernel + 1 for side in size)
        convolved.append(size)
        size = tuple(side // 2 for side in size) if layer < 4 else size
        if min(size) < 1:
            raise DataError(
                f"input {tuple(input_shape)}: too small, nothing is left after layer {layer}; "
                "use 55 x 47, 47 x 47, 39 x 31 or 31 x 31"
            )
        handed_on.append(size)
    return convolved, handed_on


class DeepIDNet(nn.Module):
    """The family: maps (conv1..conv4), `dimension` features from each layer in `heads`.

    input_shape: (rows, columns) of the RGB input. skip: the last feature layer also sees pool3 (DeepID,
    DeepID2).
    local: conv3 shared in 2 x 2 blocks and conv4 unshared; False makes both ordinary convolutions.
    batch_norm: normalise each map after its pooling and each feature layer before its ReLU. A modern option:
    the papers have none. It starts every neuron as active on half of the images, so studies of sparsity need
    their null.
    forward: (N, 3, rows, columns) floats in about -1..1 -> {head: (N, dimension) features >= 0}, before
    dropout.
    """

    def __init__(self, input_shape, maps, dimension, heads, skip=False, batch_norm=False, dropout=0.0, local=True):
        super().__init__()
        input_shape, maps, heads = tuple(input_shape), tuple(maps), tuple(sorted(heads))
        if not set(heads) <= {1, 2, 3, 4} or 4 not in heads or (skip and heads != (4,)):
            raise DataError(f"heads {heads}: use some of 1, 2, 3, 4 with 4 among them; with skip only 4")
        if len(maps) != 4 or min(*maps, dimension) < 1:
            raise DataError(f"maps {maps}, dimension {dimension}: use four positive numbers, and one")
        self.config = dict(
            input_shape=input_shape, maps=maps, dimension=dimension, heads=heads, skip=skip,
            batch_norm=batch_norm, dropout=dropout, local=local,
        )  # fmt: skip
        self.heads, self.skip, self.dimension = heads, skip, dimension
        convolved, handed_on = map_sizes(input_shape)
        self.conv1 = nn.Conv2d(3, maps[0], KERNELS[0])
        self.conv2 = nn.Conv2d(maps[0], maps[1], KERNELS[1])
        if local:
            self.conv3 = LocallyConnected2d(maps[1], maps[2], KERNELS[2], convolved[2], share=2)
            self.conv4 = LocallyConnected2d(maps[2], maps[3], KERNELS[3], convolved[3], share=1)
        else:
            self.conv3 = nn.Conv2d(maps[1], maps[2], KERNELS[2])
            self.conv4 = nn.Conv2d(maps[2], maps[3], KERNELS[3])
        self.norms = nn.ModuleList(nn.BatchNorm2d(m) if batch_norm else nn.Identity() for m in maps)
        sizes = [rows * columns * m for (rows, columns), m in zip(handed_on, maps, strict=True)]
        inputs = {head: sizes[head - 1] + (sizes[2] if skip else 0) for head in heads}
        self.fc = nn.ModuleDict({str(head): nn.Linear(inputs[head], dimension) for head in heads})
        self.feature_norms = nn.ModuleDict(
            {str(head): nn.BatchNorm1d(dimension) if batch_norm else nn.Identity() for head in heads}
        )
        self.dropout = nn.Dropout(dropout)  # between a feature layer and its classifier, see losses.py
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def forward(self, x):
        maps = []  # what each layer hands on, (N, channels, rows, columns)
        for layer, convolve in enumerate((self.conv1, self.conv2, self.conv3, self.conv4)):
            x = convolve(x)
            if layer < 3:
                x = F.max_pool2d(x, 2)  # before the ReLU: the same result for a quarter of its work
            x = F.relu(self.norms[layer](x))
            maps.append(x)
        features = {}
        for head in self.heads:
            flat = _flat(maps[head - 1])
            if self.skip:
                flat = torch.cat([_flat(maps[2]), flat], dim=1)
            features[head] = F.relu(self.feature_norms[str(head)](self.fc[str(head)](flat)))
        return features


def _flat(maps):
    """(N, channels, rows, columns) -> (N, rows * columns * channels), the order of channels-last."""
    return maps.permute(0, 2, 3, 1).flatten(1)


def DeepID(input_shape=(39, 31), maps=(20, 40, 60, 80), dimension=160, **options):
    """DeepID [CVPR 2014, Fig. 2]: 160 features from pool3 and conv4, identification only."""
    return DeepIDNet(input_shape, maps, dimension, heads=(4,), skip=True, **options)


def DeepID2(input_shape=(55, 47), maps=(20, 40, 60, 80), dimension=160, **options):
    """DeepID2 [NIPS 2014, Fig. 1]: as DeepID on a larger input, with both signals."""
    return DeepIDNet(input_shape, maps, dimension, heads=(4,), skip=True, **options)


def DeepID2Plus(input_shape=(55, 47), maps=128, dimension=512, heads=(1, 2, 3, 4), dropout=0.5, **options):
    """DeepID2+ [CVPR 2015, Fig. 2]: 128 maps in each convolution, 512 features from each, all supervised."""
    maps = (maps,) * 4 if isinstance(maps, int) else maps
    return DeepIDNet(input_shape, maps, dimension, heads, dropout=dropout, **options)


# what a recipe or a file may name; a paper adds its own net, whose `config` then has an entry "architecture"
ARCHITECTURES = {"DeepID": DeepID, "DeepID2": DeepID2, "DeepID2Plus": DeepID2Plus, "DeepIDNet": DeepIDNet}


def build(config):
    """The net that a `net.config` describes, with fresh weights; without an "architecture" it is a `DeepIDNet`."""
    try:
        options = {**config}
        name = options.pop("architecture", "DeepIDNet")
        if name not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise DataError(
                f"architecture {name!r}: unknown; use one of {known}; nets of other papers: deepid reproduce"
            )
        _check_kinds(ARCHITECTURES[name], options)
        return ARCHITECTURES[name](**options)
    except DataError:
        raise
    except (LookupError, TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise DataError(f"net description {config}: {error}") from None


def _check_kinds(make, options):
    """DataError where an option is neither yes nor no, or no finite number, though its default is one."""
    for name, parameter in inspect.signature(make).parameters.items():
        value, default = options.get(name), parameter.default
        if name not in options or not isinstance(default, (bool, float)):
            continue
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not (isinstance(value, bool) if isinstance(default, bool) else number):
            raise DataError(f"{name} = {value!r:.40}: {default!r} is its default; give another of that kind")


def with_weights(config, weights):
    """The net of a `net.config` with weights {name: tensor}, in evaluation mode; DataError: they are not its own."""
    with torch.device("meta"):  # takes no memory before the sizes are known to be those of the file
        check(weights, build(config).state_dict())
    net = build(config)
    net.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in weights.items()})
    return net.eval()


def put_weights(net, weights, origin):
    """Give a net its weights {name: tensor}, fp16 or fp32.

    DataError, naming their origin, where one is missing, not the net's, of another shape or kind, or not finite.
    """
    own = net.state_dict()
    for name in sorted({*own, *weights}):
        ours, theirs = own.get(name), weights.get(name)
        if ours is None or theirs is None:
            wrong = "is missing" if theirs is None else "is no weight of this net"
        elif theirs.shape != ours.shape:
            wrong = f"is of shape {tuple(theirs.shape)}, the net's of {tuple(ours.shape)}"
        elif theirs.dtype != ours.dtype and not (theirs.is_floating_point() and ours.is_floating_point()):
            wrong = f"is of type {theirs.dtype}, the net's of {ours.dtype}"
        elif not theirs.isfinite().all():
            wrong = "has numbers that are not finite"
        else:
            continue
        raise DataError(f"{origin}: {name} {wrong}; it is damaged or of another net, train again or take another")
    net.load_state_dict(weights)


def save_net(path, net, facts):
    """Write a net's weights with its `config`, where it has one, and some facts about it."""
    save(path, net.state_dict(), {"net": getattr(net, "config", {}), **facts})


def load_net(path, kind=nn.Module):
    """Read what `save_net` wrote: (net in evaluation mode, facts); DataError where it is no net of that kind."""
    weights, facts = load(path)
    with contents_of(path):
        net = with_weights(facts["net"], weights)
        if not isinstance(net, kind):
            raise DataError(f"a {type(net).__name__}, no {kind.__name__}")
    return net.to(memory_format=torch.channels_last), facts


def net_hash(net):
    """SHA-256 over all numbers of a net, with their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def to_input(images):
    """uint8 (N, 3, rows, columns) tensor -> floats in -1..1, the input of every net here."""
    return images.float().div_(127.5).sub_(1)
