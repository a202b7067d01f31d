"""The same bytes: what the package drew, aligned, computed and judged before it was moved into rooms, it does now.

`python tests/test_golden.py` writes the values anew; a commit that does so says why.
"""

import hashlib
import json
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from deepid_lite.faces.alignment import align
from deepid_lite.faces.regions import REGIONS, crop
from deepid_lite.faces.synthetic.people import lite_part
from deepid_lite.nets.recipe import read_recipe
from deepid_lite.nets.training import train
from deepid_lite.verification.model import face_features, pretrained

FILE = Path(__file__).parent / "golden" / "values.json"
CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # floats of another processor may differ in the last bits


@lru_cache
def faces():
    return lite_part("test", 64)


def _hash(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def drawn_faces():
    return {"images": _hash(faces().images), "landmarks": _hash(np.rint(100 * faces().landmarks).astype("<i4"))}


def aligned():
    turned = np.array([[0.8, -0.3], [0.3, 0.8]])
    points = [landmarks @ turned + [20, 30] for landmarks in faces().landmarks[:8]]
    return {"align": _hash(np.stack([align(image, p) for image, p in zip(faces().images, points, strict=False)]))}


def crops():
    return {name: _hash(crop(faces().images[:8], region, 2)) for name, region in REGIONS.items()}


def features(name):
    found = face_features(pretrained(name), faces().images[:8])
    return np.round(found[:, ::16], 5).tolist()


def scores(name):
    model = pretrained(name)
    z = model.verifier[:-1].transform(face_features(model, faces().images[:8]))
    return np.round(model.verifier[-1].score_pairs(np.repeat(z[:1], 7, 0), z[1:]), 4).tolist()


def two_steps(folder, optimizer):
    """The losses of two steps, and the mean of each tensor after two steps of SGD: Adam's signs would not stay."""
    recipe = read_recipe(
        "lite",
        batch_size=16,
        epochs=2,
        precision="fp32",
        optimizer=optimizer,
        net={"maps": 4, "batch_norm": True, "heads": [3, 4]},
    )
    labels = np.unique(faces().labels[12:28], return_inverse=True)[1]
    net = train(crop(faces().images[12:28], margin=2), labels, recipe, folder / optimizer, device="cpu")
    rows = (folder / optimizer / "log.csv").read_text().splitlines()
    column = rows[0].split(",").index("loss")
    found = {f"loss {i}": float(row.split(",")[column]) for i, row in enumerate(rows[1:])}
    if optimizer == "sgd":
        found |= {name: t.double().mean().item() for name, t in net.state_dict().items() if "running" not in name}
    return found


@lru_cache
def recorded():
    return json.loads(FILE.read_text())


def test_drawn_faces_keep_their_bytes():
    assert drawn_faces() == recorded()["drawn_faces"]


def test_aligned_frames_keep_their_bytes():
    assert aligned() == recorded()["aligned"]


def test_crops_keep_their_bytes():
    assert crops() == recorded()["crops"]


@pytest.mark.parametrize("name", ["lite", "webfaces"])
def test_shipped_nets_keep_their_features_and_scores(name):
    np.testing.assert_allclose(features(name), recorded()["features"][name], **CLOSE)
    np.testing.assert_allclose(scores(name), recorded()["scores"][name], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_two_steps_of_training_have_the_same_losses_and_end_at_the_same_weights(tmp_path, optimizer):
    found = two_steps(tmp_path, optimizer)
    assert found.keys() == recorded()["two_steps"][optimizer].keys()
    wanted = list(recorded()["two_steps"][optimizer].values())
    np.testing.assert_allclose(list(found.values()), wanted, rtol=1e-3, atol=1e-5)


def write(folder):
    nets = ("lite", "webfaces")
    values = {
        "drawn_faces": drawn_faces(),
        "aligned": aligned(),
        "crops": crops(),
        "features": {name: features(name) for name in nets},
        "scores": {name: scores(name) for name in nets},
        "two_steps": {optimizer: two_steps(folder, optimizer) for optimizer in ("adamw", "sgd")},
    }
    FILE.write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
