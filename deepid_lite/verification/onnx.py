"""A net as an ONNX file, and what decides about a pair as plain arrays, for programs without PyTorch.

The file takes what `features.extract` takes and gives what it gives: region crops, uint8 (N, rows, columns, 3), to the
features of the image and of its flip side by side, float32 (N, 2 D). The scaling to -1..1 and the flip are in the
graph, so that another program cannot get them wrong. Any runtime of opset 18 reads it; the page "DeepID2+ in your
browser" runs it with onnxruntime-web.
"""

import json
import logging
import warnings
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from deepid_lite.errors import DataError
from deepid_lite.files import replacing
from deepid_lite.nets.deepid import to_input
from deepid_lite.verification.model import weights_hash

OPSET = 18


class ImageAndFlip(nn.Module):
    """A net as ONNX files hold it: crops uint8 (N, rows, columns, 3) -> one (N, 2 D) for each of `layers`."""

    def __init__(self, net, layers=(4,)):
        super().__init__()
        if missing := [layer for layer in layers if layer not in net.heads]:
            raise DataError(f"layer {missing[0]}: this net has features on {', '.join(map(str, net.heads))}; use these")
        self.net, self.layers = net, tuple(layers)

    def forward(self, pictures):
        x = to_input(pictures.permute(0, 3, 1, 2))
        features = self.net(torch.cat([x, x.flip(3)]))  # one pass of the net: half the graph
        return tuple(torch.cat(features[layer].tensor_split(2), 1) for layer in self.layers)


def export_onnx(model, path, layers=(4,)):
    """Write the net of a `FaceModel` to an .onnx file with the input "pictures" and an output "fc4" for each layer.

    Only what the wanted layers need is written. Needs the packages onnx and onnxscript.
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise DataError(f"{path}: give a file name that ends in .onnx")
    try:
        import onnx
        import onnxscript  # noqa: F401, torch.onnx needs it
    except ImportError as error:
        raise DataError(f"{error.name} is not installed: pip install 'deepid-lite[onnx]'") from None
    module = ImageAndFlip(model.net, layers).eval()
    # two pictures: a batch of one would be taken for a constant; strict: so would len(x) in layers.py
    example = torch.zeros((2, *model.net.config["input_shape"], 3), dtype=torch.uint8)
    with _quiet(), torch.no_grad():
        batch = {"pictures": {0: torch.export.Dim("N", min=1)}}
        program = torch.export.export(module, (example,), dynamic_shapes=batch, strict=True)
        program = torch.onnx.export(
            program, dynamo=True, opset_version=OPSET, external_data=False, verbose=False,
            input_names=["pictures"], output_names=[f"fc{layer}" for layer in module.layers],
        )  # fmt: skip
    proto = program.model_proto
    _without_traces(proto.graph)
    facts = {"region": asdict(model.region), "weights_hash": weights_hash(model), "use": model.card.get("use", "")}
    onnx.helper.set_model_props(proto, {key: value if isinstance(value, str) else json.dumps(value)
                                        for key, value in facts.items()})  # fmt: skip
    onnx.checker.check_model(proto)
    with replacing(path) as part:
        part.write_bytes(proto.SerializeToString())


def pair_arrays(model):
    """What `model.verifier` says of two faces, as one projection and three weights: {name: float64 array}.

    With z = projection @ sqrt(f) - shift of features f (2 D,) the log-likelihood ratio in nats is
    constant + sum(cross z1 z2 + own (z1^2 + z2^2)), for PCA and the basis of Joint Bayesian are one linear map.
    projection: (K, 2 D); shift, cross, own: (K,); constant: ().
    """
    _, pca, joint = (step for _, step in model.verifier.steps)
    projection, lam = joint.V_.T @ pca.components_, joint.lambda_
    cross = lam / (2 * lam + 1)
    return {
        "projection": projection,
        "shift": projection @ pca.mean_ + joint.V_.T @ joint.mean_,
        "cross": cross,
        "own": -cross * lam / (lam + 1) / 2,
        "constant": np.sum(np.log1p(lam) - np.log1p(2 * lam) / 2),
    }


def _without_traces(graph):
    """Drop what torch.onnx notes of each node: the paths of this machine, one half of a small file."""
    batch = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
    for value in (*graph.input, *graph.output, *graph.value_info):
        for side in value.type.tensor_type.shape.dim:
            if side.dim_param:
                side.dim_param = side.dim_param.replace(batch, "N")


@contextmanager
def _quiet():
    """torch.onnx warns of itself and logs each step; a reader who exports a net can do nothing about either."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
