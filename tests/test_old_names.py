"""Notebooks that were handed out import old flat names, of modules that moved or were divided since."""

import importlib
import sys

import pytest

from deepid_lite._moved import MOVED, RENAMED

CHANGED = {name.split(".")[0] for name in RENAMED}
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
@pytest.mark.parametrize("old", [old for old, new in MOVED.items() if " " not in new and old not in CHANGED])
def test_a_module_that_moved_is_the_same_one(old):
    assert importlib.import_module(f"deepid_lite.{old}") is importlib.import_module(f"deepid_lite.{MOVED[old]}")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("old", RENAMED)
def test_a_name_that_changed_is_found_under_its_old_one(old):
    module, _, name = old.partition(".")
    assert getattr(importlib.import_module(f"deepid_lite.{module}"), name).__name__ == RENAMED[old]


@pytest.mark.parametrize("old", MOVED)
def test_an_old_name_gives_what_the_new_places_hold(old, monkeypatch):
    monkeypatch.delitem(sys.modules, f"deepid_lite.{old}", raising=False)
    with pytest.warns(DeprecationWarning, match=f"deepid_lite.{old} is deepid_lite."):
        module = importlib.import_module(f"deepid_lite.{old}")
    places = [importlib.import_module(f"deepid_lite.{place}") for place in MOVED[old].split()]
    for place in places:
        own = [name for name, value in vars(place).items() if getattr(value, "__module__", None) == place.__name__]
        assert all(hasattr(module, name) for name in own)


@pytest.mark.parametrize("name", ["figure_1", "figure_4", "figure_6", "figure_9", "figure_table_4", "CODE_ROWS",
                                  "fills_dots", "pattern_stability", "figure_ensemble", "figure_two_nets"])  # fmt: skip
def test_figures_are_where_the_chapters_looked_for_them(name):
    sys.modules.pop("deepid_lite.plots", None)
    with pytest.warns(DeprecationWarning, match="deepid_lite.plots is"):
        plots = importlib.import_module("deepid_lite.plots")
    assert hasattr(plots, name)
