"""Notebooks that were handed out import old flat names, of modules that moved or were divided since."""

import importlib

import pytest

from deepid_lite._moved import MOVED

HAD = {
    "protocols": ["Identification", "Pairs", "make_pairs", "read_cfp", "read_lfw_pairs", "verify"],
    "trials": ["Pairs", "make_pairs", "read_cfp", "read_lfw_pairs"],
    "evaluation": ["face_features", "pair_scores", "video_scores"],
    "pretrained": ["face_features", "make_verifier", "pretrained"],
    "pipeline": ["evaluate_model", "summary", "train_model"],
    "ensemble_training": ["train_ensemble"],
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("old", HAD)
def test_a_module_that_was_divided_offers_what_it_had(old):
    module = importlib.import_module(f"deepid_lite.{old}")
    for name in HAD[old]:
        assert getattr(module, name).__name__ == name
    with pytest.raises(AttributeError):
        getattr(module, "something else")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("old", [old for old, new in MOVED.items() if " " not in new])
def test_a_module_that_moved_is_the_same_one(old):
    assert importlib.import_module(f"deepid_lite.{old}") is importlib.import_module(f"deepid_lite.{MOVED[old]}")
