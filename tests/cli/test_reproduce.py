"""`deepid reproduce`: one command for a result or a figure; results of other models, data or code are refused."""

import json
import os

import matplotlib.pyplot as plt
import pytest
from samples import small_setup

from deepid_lite import registry
from deepid_lite.cli import reproduce
from deepid_lite.errors import DataError
from deepid_lite.results import sealed
from deepid_lite.studies import ablations


@pytest.fixture
def counted(monkeypatch):
    """A study that counts its calls, on a small setup, and a figure that draws its answer."""
    calls = []

    def count(setup):
        calls.append(setup.name)
        return {"scale": setup.name, "answer": len(calls)}

    def draw(result):
        ax = plt.figure(figsize=(1, 1)).gca()
        ax.set_ylim(0, 1 / result["answer"])
        return ax.figure

    monkeypatch.setitem(registry.STUDIES, "count", count)
    monkeypatch.setitem(registry.FIGURES, "fig0", registry.Figure(draw, "count"))
    monkeypatch.setattr(reproduce, "_setup", lambda name, model, root: small_setup(name, seed=model or 0))
    yield calls
    plt.close("all")


def test_a_result_is_computed_once_and_names_what_it_comes_from(counted, tmp_path):
    (path,) = reproduce.reproduce("count", "lite", tmp_path)
    result = json.loads(path.read_text())
    assert path == tmp_path / "lite" / "count.json" and result["answer"] == 1
    assert {"model_hash", "test_hash", "seconds", "device", "versions", "commit"} <= result.keys()
    reproduce.reproduce("count", "lite", tmp_path)
    assert counted == ["lite"]
    reproduce.reproduce("count", "lite", tmp_path, fresh=True)
    assert counted == ["lite", "lite"]


def test_a_figure_uses_the_result_of_its_study(counted, tmp_path):
    reproduce.reproduce("count", "lite", tmp_path)
    path, picture = reproduce.reproduce("fig0", "lite", tmp_path)
    assert counted == ["lite"] and picture.name == "fig0.png" and picture.stat().st_size > 0
    assert sorted(p.name for p in (tmp_path / "lite").iterdir()) == ["count.json", "fig0.png"]


def test_a_figure_that_needs_no_result_is_drawn_without_one(tmp_path):
    assert reproduce.reproduce("fig14", "lite", tmp_path) == [tmp_path / "lite" / "fig14.png"]
    assert [p.name for p in (tmp_path / "lite").iterdir()] == ["fig14.png"]
    plt.close("all")


def test_results_of_another_model_are_refused(counted, tmp_path):
    reproduce.reproduce("count", "lite", tmp_path, model=0)
    with pytest.raises(DataError, match="another model_hash; add --fresh"):
        reproduce.reproduce("count", "lite", tmp_path, model=1)
    assert json.loads((tmp_path / "lite" / "count.json").read_text())["answer"] == 1


def test_damaged_results_and_unknown_names_are_one_line(counted, tmp_path):
    (path,) = reproduce.reproduce("count", "lite", tmp_path)
    good = path.read_text()
    for text, says in (('{"ans', "not valid JSON"), ("[1]", "holds a list"), ("[" * 100_000, "not valid JSON")):
        path.write_text(text)
        with pytest.raises(DataError, match=f"count.json: {says}.*--fresh"):
            reproduce.reproduce("count", "lite", tmp_path)
    for answer in ("1", None, 0, [], {}):
        path.write_text(json.dumps(json.loads(good) | {"answer": answer}))
        with pytest.raises(DataError, match="count.json: not as it was recorded.*--fresh"):
            reproduce.reproduce("count", "lite", tmp_path)
        edited = json.loads(good) | {"answer": answer}
        del edited["digest"]
        path.write_text(json.dumps(sealed(edited)))
        with pytest.raises(DataError, match="count.json: fig0 cannot be drawn from it .*--fresh") as caught:
            reproduce.reproduce("fig0", "lite", tmp_path)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="fig99.*there are.*sparsity.*fig15"):
        reproduce.reproduce("fig99", "lite", tmp_path)
    with pytest.raises(DataError, match="scale 'huge': use lite or reference"):
        reproduce.reproduce("regions", "huge", tmp_path)


@pytest.mark.parametrize("place", ["file/below", "lite/count.json/", "lite/fig0.png/", "lite", "pipe"])
def test_what_cannot_be_written_is_told_before_the_work(counted, tmp_path, place):
    out = tmp_path
    if place == "file/below":
        (tmp_path / "file").touch()
        out = tmp_path / "file" / "below"
    elif place == "lite":
        (tmp_path / "lite").touch()
    elif place == "pipe":  # a record is read again
        (tmp_path / "lite").mkdir()
        os.mkfifo(tmp_path / "lite" / "count.json")
    else:
        (tmp_path / place).mkdir(parents=True)
    with pytest.raises(DataError, match="cannot be written .*choose another --out"):
        reproduce.reproduce("fig0", "lite", out)
    assert not counted


@pytest.mark.parametrize("model", ["nothing", "nothing.safetensors"])
def test_a_model_that_is_not_there_is_told_before_data_are_read(monkeypatch, tmp_path, model):
    monkeypatch.setattr(reproduce.setups, "benchmark", lambda *_: pytest.fail("the faces were read first"))
    for scale in ("lite", "reference"):
        with pytest.raises(DataError, match="nothing"):
            reproduce.reproduce("codes", scale, tmp_path, model=model)


def test_an_experiment_trains_nets_of_its_own_anew_where_it_is_asked_to(monkeypatch, tmp_path):
    asked = []

    def run(name, data, root, out, fresh, **trainings):
        asked.append((name, data, root, out, fresh, *trainings.items()))
        return {"scale": "lite"}

    monkeypatch.setattr(ablations, "run_experiment", run)
    monkeypatch.setitem(registry.FIGURES, "fig3", registry.Figure(lambda result: plt.figure(), "regions"))
    path, picture = reproduce.reproduce("fig3", "lite", tmp_path, root="here")
    assert path == tmp_path / "lite" / "regions" / "result.json" and picture.is_file()
    assert reproduce.reproduce("regions", "lite", tmp_path, fresh=True) == [path]
    here = ("regions", "synthetic", "here", path.parent, False)
    assert asked == [here, ("regions", "synthetic", None, path.parent, True)]
    for name in ("fig3", "regions"):
        with pytest.raises(DataError, match="--model m: regions trains nets of its own; leave it out"):
            reproduce.reproduce(name, "lite", tmp_path, model="m")
    assert len(asked) == 2
    reproduce.reproduce("regions", "lite", tmp_path, seeds=5, share=None, test=True)
    assert asked[-1] == ("regions", "synthetic", None, path.parent, False, ("seeds", 5), ("test", True))
    with pytest.raises(DataError, match="--seeds: codes trains no nets; leave it out"):
        reproduce.reproduce("codes", "lite", tmp_path, seeds=5)
    plt.close("all")
