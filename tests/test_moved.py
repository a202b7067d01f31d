"""Notebooks that were handed out before the rooms go on working: old flat names of modules."""

import importlib
import sys

import pytest

from deepid_lite._moved import MOVED


@pytest.mark.parametrize("old", MOVED)
def test_an_old_name_gives_what_the_new_places_hold(old, monkeypatch):
    monkeypatch.delitem(sys.modules, f"deepid_lite.{old}", raising=False)
    with pytest.warns(DeprecationWarning, match=f"deepid_lite.{old} is deepid_lite."):
        module = importlib.import_module(f"deepid_lite.{old}")
    places = [importlib.import_module(f"deepid_lite.{place}") for place in MOVED[old].split()]
    assert module is places[0] or len(places) > 1
    for place in places:
        own = [name for name, value in vars(place).items() if getattr(value, "__module__", None) == place.__name__]
        assert all(hasattr(module, name) for name in own)


@pytest.mark.parametrize("name", ["figure_1", "figure_4", "figure_6", "figure_9", "figure_table_4", "CODE_ROWS",
                                  "fills_dots", "pattern_stability", "figure_ensemble", "figure_two_nets"])  # fmt: skip
def test_figures_are_where_the_chapters_looked_for_them(name):
    with pytest.warns(DeprecationWarning):
        sys.modules.pop("deepid_lite.plots", None)
        plots = importlib.import_module("deepid_lite.plots")
    assert hasattr(plots, name)
