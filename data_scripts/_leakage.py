"""Is anybody of the test set among the training people? Two looks: equal photographs, and people who look alike.

Names do not settle it: some training sets carry none. A person decides on the pairs that these functions put first.
"""

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.regions import Region, crop

THUMBNAIL = Region("thumbnail", 18, 24, 80, 96, (24, 20))  # of the face, without the background


def near_duplicates(train_images, test_images, threshold=0.97, batch_size=2000):
    """Pairs of aligned faces that are nearly the same photograph: (i, j, correlation) arrays, highest first.

    images: uint8 (N, 144, 128, 3). Compared are grey thumbnails of 24 x 20 pixels, mean removed, so that neither
    exposure nor compression hides a copy. Some pairs are alike by chance, so each still has to be looked at.
    """
    if not 0 < threshold < 1:
        raise DataError(f"threshold {threshold}: a correlation between 0 and 1")
    train, test = _thumbnails(train_images), _thumbnails(test_images)
    found = []
    for start in range(0, len(train), batch_size):
        correlation = train[start : start + batch_size] @ test.T
        i, j = np.nonzero(correlation > threshold)
        found.append(np.stack([i + start, j, correlation[i, j]]))
    i, j, value = np.concatenate(found, axis=1)
    order = np.argsort(-value)
    return i[order].astype(int), j[order].astype(int), value[order]


def nearest_people(train, test, count=200):
    """Pairs of people who look most alike: (person of train, person of test, z-score) arrays, highest first.

    train, test: (vectors (N, D), labels (N,)) in a space where the dot product compares people, such as
    `joint_bayesian_space`. A person is the mean of their images. A similarity counts by how far it stands out from
    all others of both people, because some faces (blurred, bald, a child's) are near to everybody's.
    """
    a, b = _people(*train), _people(*test)
    similarity = a @ b.T
    rows = (similarity - similarity.mean(1, keepdims=True)) / similarity.std(1, keepdims=True)
    columns = (similarity - similarity.mean(0)) / similarity.std(0)
    z = (rows + columns) / 2
    first = np.argsort(-z, axis=None)[:count]
    return *np.unravel_index(first, z.shape), z.ravel()[first]


def joint_bayesian_space(model, features):
    """Features (N, 2 D) -> (N, K) vectors whose dot products are the cross terms of the Joint Bayesian score."""
    joint = model.verifier[-1]
    z = (model.verifier.project(features) - joint.mean_) @ joint.V_
    return z * np.sqrt(joint.lambda_ / (1 + 2 * joint.lambda_))


def _thumbnails(images):
    grey = crop(images, THUMBNAIL).astype(np.float32).mean(3).reshape(len(images), -1)
    grey -= grey.mean(1, keepdims=True)
    return grey / np.maximum(np.linalg.norm(grey, axis=1, keepdims=True), 1e-6)


def _people(vectors, labels):
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    means = np.zeros((labels.max() + 1, vectors.shape[1]))
    np.add.at(means, labels, vectors)
    means -= means.mean(0)
    return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
