"""`deepid reproduce`: one command for a result or a figure; results of other models, data or code are refused."""

import json

import matplotlib.pyplot as plt
import pytest
from samples import small_setup as small_scale

from deepid_lite.cli import reproduce
from deepid_lite.errors import DataError
from deepid_lite.figures import paper as plots
from deepid_lite.studies import ablations as experiments
from deepid_lite.studies import runs as studies


@pytest.fixture
def counted(monkeypatch):
    """A study that counts its calls, on a small scale."""
    calls = []

    def count(scale):
        calls.append(scale.name)
        return {"scale": scale.name, "answer": len(calls)}

    monkeypatch.setitem(studies.STUDIES, "count", count)
    monkeypatch.setitem(reproduce.FIGURES, "fig0", ("count", "figure_0"))
    monkeypatch.setattr(plots, "figure_0", lambda result: plt.figure(), raising=False)
    monkeypatch.setattr(reproduce, "_scale", lambda name, model, root: small_scale(name, seed=model or 0))
    return calls


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
    assert not list(tmp_path.rglob("*.tmp"))


def test_results_of_another_model_are_refused(counted, tmp_path):
    reproduce.reproduce("count", "lite", tmp_path, model=0)
    with pytest.raises(DataError, match="another model_hash; add --fresh"):
        reproduce.reproduce("count", "lite", tmp_path, model=1)
    assert json.loads((tmp_path / "lite" / "count.json").read_text())["answer"] == 1


def test_a_damaged_result_and_unknown_names_are_one_line(counted, tmp_path):
    (path,) = reproduce.reproduce("count", "lite", tmp_path)
    path.write_text('{"ans')
    with pytest.raises(DataError, match="no readable result.*--fresh"):
        reproduce.reproduce("count", "lite", tmp_path)
    with pytest.raises(DataError, match="fig99.*there are.*sparsity.*fig15"):
        reproduce.reproduce("fig99", "lite", tmp_path)


def test_a_figure_of_an_experiment_trains_its_nets_first(monkeypatch, tmp_path):
    asked = []

    def run(name, data, root, out):
        asked.append((name, data, root, out))
        out.mkdir(parents=True, exist_ok=True)
        return {"scale": "lite"}

    monkeypatch.setattr(experiments, "run_experiment", run)
    monkeypatch.setattr(plots, "figure_two_nets", lambda result: plt.figure(), raising=False)
    path, picture = reproduce.reproduce("fig3", "lite", tmp_path, root="here")
    assert asked == [("regions", "synthetic", "here", tmp_path / "lite" / "regions")]
    assert path == tmp_path / "lite" / "regions" / "result.json" and picture.is_file()
    assert reproduce.reproduce("regions", "lite", tmp_path) == [path]
    with pytest.raises(DataError, match="scale 'huge': use lite or reference"):
        reproduce.reproduce("regions", "huge", tmp_path)


def test_every_figure_has_a_study_and_a_function():
    for name, (study, figure) in reproduce.FIGURES.items():
        assert study in {*studies.STUDIES, *experiments.EXPERIMENTS}, name
        assert callable(getattr(plots, figure, None)), name
