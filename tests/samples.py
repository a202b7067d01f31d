"""Small sets, nets and recipes that several tests share."""

import numpy as np
import torch
from PIL import Image

from deepid_lite.faces.dataset import FaceSet
from deepid_lite.faces.regions import WHOLE_FACE, by_names
from deepid_lite.nets import deepid as nets
from deepid_lite.nets.recipe import Recipe
from deepid_lite.studies.setup import Setup
from deepid_lite.verification.model import FaceModel

RECIPE = Recipe(
    net={"maps": 4, "dimension": 8, "heads": [3, 4], "batch_norm": True}, verification={"normalise": True},
    epochs=1, batch_size=12, images_per_person=3, precision="fp32",
)  # fmt: skip
REGIONS = by_names("whole face, eyes and nose, nose")


def face_set(n_people, each, seed):
    """Aligned pictures of people who are blobs of colour."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_people), each)
    coarse = rng.integers(0, 256, (n_people, 9, 8, 3)).repeat(16, 1).repeat(16, 2)[labels]
    images = (0.7 * coarse + rng.normal(0, 20, coarse.shape) + 30).clip(0, 255).astype(np.uint8)
    names = [f"{seed}-{person}" for person in range(n_people)]
    landmarks = np.zeros((len(labels), 5, 2), np.float32)
    return FaceSet(images, labels, names, landmarks, {}, [str(i) for i in range(len(labels))], "blobs", f"hash {seed}")


def small_faces(n, people, seed, attributes=("hat",)):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % people
    return FaceSet(
        rng.integers(0, 256, (n, 144, 128, 3), dtype=np.uint8),
        labels,
        [f"person-{p:04d}" for p in range(people)],
        rng.uniform(0, 128, (n, 5, 2)).astype(np.float32),
        {name: rng.random(n) < 0.5 for name in attributes},
        [f"person-{p:04d}/{i}.png" for i, p in enumerate(labels)],
        "synthetic",
        f"hash {seed}",
    )


def small_model(seed=0):
    torch.manual_seed(seed)
    net = nets.DeepID2Plus(maps=4, dimension=8, heads=(3, 4)).eval()
    return FaceModel(net, WHOLE_FACE, None, {})


def small_setup(name="lite", seed=0):
    test = small_faces(6, 3, 1)
    return Setup(name, small_model(seed), test, None, small_faces(4, 2, 2), test, ())


def people_with(counts):
    """(labels, paths as LFW's) of people with so many images each."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return labels, [f"P{a}/P{a}_{i + 1:04d}.jpg" for a, n in enumerate(counts) for i in range(n)]


def assert_disjoint(pairs, labels):
    """No person is in two folds."""
    inside = [set(labels[pairs.first[pairs.fold == f]]) | set(labels[pairs.second[pairs.fold == f]])
              for f in range(pairs.fold.max() + 1)]  # fmt: skip
    assert sum(map(len, inside)) == len(set.union(*inside))


def coarse_faces(n=48, seed=0):
    """uint8 (n, 144, 128, 3): a picture of coarse squares each."""
    return np.random.default_rng(seed).integers(0, 256, (n, 9, 8, 3)).repeat(16, 1).repeat(16, 2).astype(np.uint8)


def net_of_two_heads(batch_norm=True):
    torch.manual_seed(5)
    return nets.DeepID2Plus(maps=6, dimension=32, heads=(2, 4), batch_norm=batch_norm).eval()


def write_people(folder, people, each):
    """A folder of people whose pictures are one pattern of coarse squares under noise."""
    rng = np.random.default_rng(0)
    for person in range(people):
        base = rng.integers(30, 220, (9, 8, 3)).repeat(16, 0).repeat(16, 1)
        (folder / f"p{person:02d}").mkdir(parents=True)
        for image in range(each):
            noisy = np.clip(base + rng.normal(0, 15, base.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / f"p{person:02d}" / f"{image}.png")
