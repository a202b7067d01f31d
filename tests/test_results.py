"""Recorded results: found in a clone and in an installed package alike."""

import json
import math
import shutil
from pathlib import Path

import pytest

from deepid_lite import results
from deepid_lite.errors import DataError
from deepid_lite.files import write_json
from deepid_lite.results import load_result, markdown_table, read_record, sealed

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder that looks like a clone with one recorded result."""
    package, recorded = tmp_path / "deepid_lite", tmp_path / "book" / "results" / "lite"
    package.mkdir()
    recorded.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    write_json(recorded / "scores.json", sealed({"accuracy": 95.5}))
    monkeypatch.setattr(results, "_HERE", package)
    return tmp_path


def test_result_of_a_clone(clone):
    assert load_result("scores", scale="lite") == {"accuracy": 95.5}


def test_result_of_an_installed_package(clone):
    shutil.move(clone / "book" / "results", clone / "deepid_lite" / "recorded")
    (clone / "pyproject.toml").unlink()
    assert load_result("scores", scale="lite") == {"accuracy": 95.5}


def test_missing_result_names_what_there_is(clone):
    with pytest.raises(DataError, match="no lite result 'other' is recorded; there are: scores"):
        load_result("other", scale="lite")
    with pytest.raises(DataError, match="there are: none"):
        load_result("scores")


def test_wrong_scale_and_broken_file(clone):
    with pytest.raises(DataError, match="choose one of reference, lite"):
        load_result("scores", scale="medium")
    (clone / "book" / "results" / "lite" / "scores.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="scores.json: not valid JSON") as caught:
        load_result("scores", scale="lite")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cell", ["1,234", "-0.5", "93.00 ± 0.40 %", "12 %", "1e-06", "0.3 M", 7])
def test_numbers_are_set_right(cell):
    assert "| ---: |" in markdown_table(["a"], [[cell], ["-"]])
    assert "| --- |" in markdown_table(["a"], [[cell], ["two"]])


def test_markdown_table():
    assert markdown_table(["a", "b"], [[1, "x"]]) == "| a | b |\n| ---: | --- |\n| 1 | x |"
    assert markdown_table(["a"], [["1 x"]], caption="Two.") == "Table: Two.\n\n| a |\n| --- |\n| 1 x |"
    with pytest.raises(ValueError, match="1 cells, the header has 2"):
        markdown_table(["a", "b"], [[1]])


RESULT = {"a": {"x": [1, 2.5, None], "y": "text"}, "n": 3}


def test_a_sealed_result_is_read_back_whatever_its_layout(tmp_path):
    path = tmp_path / "r.json"
    write_json(path, sealed(RESULT))
    assert read_record(path, "") == RESULT
    path.write_text(json.dumps(dict(reversed(json.loads(path.read_text()).items()))))
    assert read_record(path, "") == RESULT
    write_json(path, sealed({"nan": math.nan, 1: (2, 3)}))  # as JSON gives them back
    assert read_record(path, "") == {"nan": None, "1": [2, 3]}


@pytest.mark.parametrize(
    "edit",
    [
        lambda r: r | {"partial": {}},
        lambda r: {key: value for key, value in r.items() if key != "n"},
        lambda r: r | {"n": 3.0000001},
        lambda r: r | {"n": "3"},
        lambda r: r | {"a": {"x": [2.5, 1, None], "y": "text"}},
        lambda r: {key: value for key, value in r.items() if key != "digest"},
        lambda r: r | {"digest": 5},
    ],
)
def test_an_edited_result_is_told(tmp_path, edit):
    path = tmp_path / "r.json"
    path.write_text(json.dumps(edit(sealed(RESULT))))
    with pytest.raises(DataError, match="r.json: not as it was recorded.*; restore it"):
        read_record(path, "restore it")


def test_every_recorded_file_is_as_it_was_recorded():
    paths = sorted((ROOT / "book" / "results").rglob("*.json"))
    assert paths
    for path in paths:
        if isinstance(json.loads(path.read_text(encoding="utf-8")), dict):
            read_record(path, "record it again")
