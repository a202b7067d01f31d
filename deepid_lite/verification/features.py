"""From images to features: a batch at a time, each image and its flip."""

import numpy as np
import torch
from tqdm import tqdm

from deepid_lite.errors import DataError
from deepid_lite.nets.deepid import to_input


@torch.inference_mode()
def extract(net, images, flip=True, layer=4, batch_size=256, precision="fp32", progress=False):
    """Features of region crops [DeepID2+, section 3: image and flip side by side].

    images: uint8 (N, rows, columns, 3) of the net's input shape. Returns float32 (N, D), or (N, 2 D) with flip (the
    image's features, then its flip's). All are >= 0; a neuron is active where its feature is > 0. layer: 1 to 4 for
    FC-1 to FC-4; several of them give {layer: features} in one pass.
    """
    layers = (layer,) if isinstance(layer, int) else tuple(layer)
    _check(net, images, layers)
    device = next(net.parameters()).device
    net.eval()
    width = net.dimension * (2 if flip else 1)
    out = {wanted: np.empty((len(images), width), np.float32) for wanted in layers}
    hide = None if progress else True  # None: hide where there is no terminal
    for i in tqdm(range(0, len(images), batch_size), disable=hide, desc="features", unit="batch"):
        x = torch.as_tensor(np.ascontiguousarray(images[i : i + batch_size])).to(device).permute(0, 3, 1, 2)
        x = to_input(x).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            views = [net(x), net(x.flip(3))] if flip else [net(x)]
        for wanted in layers:
            both = torch.cat([view[wanted] for view in views], 1)
            out[wanted][i : i + batch_size] = both.float().cpu().numpy()
    return out[layer] if isinstance(layer, int) else out


def _check(net, images, layers):
    expected = (*net.config["input_shape"], 3)
    if images.ndim != 4 or images.shape[1:] != expected or images.dtype != np.uint8:
        got, wanted = f"{images.dtype} {images.shape}", f"uint8 (N, {', '.join(map(str, expected))})"
        raise DataError(f"features: got {got}, wanted {wanted}; crop the region first")
    if missing := [wanted for wanted in layers if wanted not in net.heads]:
        raise DataError(f"layer {missing[0]}: this net has features on {', '.join(map(str, net.heads))}")
