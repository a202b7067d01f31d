"""The ONNX file computes what PyTorch computes, and the plain arrays score pairs as the verifier does."""

import json
import sys

import numpy as np
import pytest
import torch

from deepid_lite.__main__ import main
from deepid_lite.errors import DataError
from deepid_lite.faces.regions import WHOLE_FACE
from deepid_lite.nets.deepid import DeepID2Plus
from deepid_lite.verification.features import extract
from deepid_lite.verification.model import FaceModel, pretrained, weights_hash
from deepid_lite.verification.onnx import export_onnx, pair_arrays


@pytest.fixture(scope="module")
def lite():
    return pretrained("lite")


def crops(n, shape=(55, 47)):
    return np.random.default_rng(n).integers(0, 256, (n, *shape, 3), dtype=np.uint8)


def session(path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    return pytest.importorskip("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])


def deepid(*words):
    """The command line's exit code."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as done:
        patch.setattr("sys.argv", ["deepid", *map(str, words)])
        main()
    return done.value.code


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    pytest.importorskip("onnxscript")
    path = tmp_path_factory.mktemp("onnx") / "lite.onnx"
    assert deepid("export", "--model", "lite", "--out", path, "--layer", 2, "--layer", 4) == 0
    return path


def test_the_file_computes_the_features_of_picture_and_mirror(lite, exported):
    run = session(exported)
    assert [output.name for output in run.get_outputs()] == ["fc2", "fc4"]
    for n in (1, 2, 5):  # any number of pictures
        pictures = crops(n)
        found = dict(zip((2, 4), run.run(None, {"pictures": pictures}), strict=True))
        wanted = extract(lite.net, pictures, layer=(2, 4))
        for layer in (2, 4):
            assert found[layer].shape == (n, 1024) and found[layer].dtype == np.float32
            np.testing.assert_allclose(found[layer], wanted[layer], rtol=1e-4, atol=1e-4)
    mirrored = run.run(["fc4"], {"pictures": pictures[:, :, ::-1]})[0]
    np.testing.assert_allclose(mirrored[:, :512], found[4][:, 512:], atol=1e-4)


def test_the_file_says_what_it_is_and_not_where_it_was_made(lite, exported):
    onnx = pytest.importorskip("onnx")
    proto = onnx.load(exported)
    facts = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(facts["region"])["name"] == lite.region.name
    assert facts["weights_hash"] == weights_hash(lite) and facts["use"] == lite.card["use"]
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 18)]
    assert b".py" not in exported.read_bytes()  # the exporter notes lines of source with their paths
    assert not any(tensor.external_data for tensor in proto.graph.initializer)


def test_other_nets_are_exported_as_well(lite, tmp_path):
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    net = DeepID2Plus(input_shape=(47, 47), maps=4, dimension=16, local=False)
    export_onnx(FaceModel(net, WHOLE_FACE, lite.verifier, {}), tmp_path / "small.onnx", layers=(1, 3))
    pictures = crops(3, (47, 47))
    for found, layer in zip(session(tmp_path / "small.onnx").run(None, {"pictures": pictures}), (1, 3), strict=True):
        np.testing.assert_allclose(found, extract(net, pictures, layer=layer), rtol=1e-4, atol=1e-4)


def test_the_arrays_score_pairs_as_joint_bayesian_does(lite):
    features = extract(lite.net, crops(6))
    wanted = lite.verifier.score_all(features[:3], features[3:]).diagonal()
    arrays = pair_arrays(lite)
    mine = np.sqrt(features.astype(np.float64)) @ arrays["projection"].T - arrays["shift"]
    one, two = mine[:3], mine[3:]
    scores = arrays["constant"] + (one * two) @ arrays["cross"] + (one**2 + two**2) @ arrays["own"]
    np.testing.assert_allclose(scores, wanted, rtol=1e-4)


def test_mistakes_are_one_line(lite, tmp_path, monkeypatch, capsys):
    assert deepid("export", "--out", tmp_path / "lite.bin") == 2
    assert capsys.readouterr().err == f"deepid: {tmp_path}/lite.bin: give a file name that ends in .onnx\n"
    with pytest.raises(DataError, match=r"layer 1: this net has features on 2, 3, 4"):
        export_onnx(lite, tmp_path / "lite.onnx", layers=(1,))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(DataError, match=r"onnx is not installed: pip install 'deepid-lite\[onnx\]'"):
        export_onnx(lite, tmp_path / "lite.onnx")
    assert list(tmp_path.iterdir()) == []
