"""Fixtures that several rooms share: an ensemble of three tiny nets."""

import pytest
from samples import RECIPE, REGIONS, face_set

from deepid_lite.verification import pipeline


@pytest.fixture(scope="session")
def parts():
    """FaceSets of blobs: people for the nets, and people held out."""
    return face_set(10, 6, seed=1), face_set(48, 4, seed=2)


@pytest.fixture
def loaded(parts, monkeypatch):
    """Every data set is `parts`."""
    monkeypatch.setattr(pipeline, "training_parts", lambda data, root, min_images=2: parts)


@pytest.fixture(scope="session")
def trained(parts, tmp_path_factory):
    """The folder of an ensemble of REGIONS, trained for one epoch."""
    out = tmp_path_factory.mktemp("ensemble")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "training_parts", lambda data, root, min_images=2: parts)
        pipeline.train_ensemble("blobs", None, RECIPE, REGIONS, out, "cpu")
    return out
