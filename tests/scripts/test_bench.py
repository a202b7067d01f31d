"""The benchmarks run and write what they print; that they measure what they say. Never how fast anything is."""

import dataclasses
import json
import math
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from deepid_lite.nets.training import TwoSignalObjective
from deepid_lite.neurons import codes

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import _timing  # noqa: E402
import bench  # noqa: E402
import gpu  # noqa: E402
import heads  # noqa: E402
import joint_bayesian  # noqa: E402
import lbp  # noqa: E402
import loops  # noqa: E402
import rows  # noqa: E402
import search  # noqa: E402


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """What `bench.py --quick` prints, and the JSON."""
    path = tmp_path_factory.mktemp("bench") / "speed.json"
    command = [sys.executable, ROOT / "benchmarks" / "bench.py", "--quick", "--json", path]
    done = subprocess.run(command, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(path.read_text(encoding="utf-8"))


def test_every_row_is_printed_and_recorded(quick):
    printed, record = quick
    assert {row["group"] for row in record["rows"]} == set(rows.ROWS) == set(record["details"])
    for row in record["rows"]:
        assert bench.line({key: value for key, value in row.items() if key != "group"}) in printed.splitlines()
        if "note" not in row:
            assert min(row["ours"], row["theirs"], row["ratio"]) > 0 and math.isfinite(row["ratio"]), row
    names = [row["name"] for row in record["rows"]]
    for wanted in ("training, FC-1..FC-4", "training, FC-2..FC-4", "conv1", "FC-1", "optimiser", "features, bf16"):
        assert wanted in names


def test_the_record_says_of_what_machine_and_code_it_is(quick):
    _, record = quick
    assert record["quick"] is True and record["threads"] >= 1 and record["cores"] >= 1
    assert record["device"] and record["date"] and {"torch", "python"} <= set(record["versions"])
    assert set(record["seconds"]) == {*rows.ROWS, "all"}
    if not torch.cuda.is_available():
        assert record["details"]["gpu"] is None
        assert "on one GPU" in quick[0] and "not measured: no GPU here" in quick[0]


def test_ratios_say_how_many_times_ours_is_ahead():
    assert rows.rates("", "", 6, "", 3)["ratio"] == 2  # images a second
    assert rows.times("", "", 3, "", 6)["ratio"] == 2  # seconds


def test_contenders_take_turns_and_the_best_of_each_counts():
    turns = []

    def call(name, seconds):
        turns.append(name)
        return seconds.pop()

    a, b = [2.0, 1.0, 3.0], [5.0, 6.0, 4.0]
    best = _timing.take_turns({"a": lambda: call("a", a), "b": lambda: call("b", b)}, seconds=0, least=3)
    assert best == {"a": 1.0, "b": 4.0} and turns == ["a", "b"] * 3


@pytest.mark.parametrize("wanted", [(1, 2, 3, 4), (2, 3, 4)])
def test_operations_are_those_that_torch_counts(wanted):
    recipe = rows.QUICK.recipe(wanted)
    objective = TwoSignalObjective(recipe, 12)
    x, labels = torch.rand(6, 3, 31, 31), torch.arange(6) // 2
    with FlopCounterMode(display=False) as counter:
        objective((x, labels), 1.0)[0].backward()
    assert counter.get_total_flops() == 6 * loops.operations(recipe, 12)


def test_the_timed_parts_are_the_net():
    recipe = rows.QUICK.recipe()
    recipe = dataclasses.replace(recipe, net=recipe.net | {"dropout": 0.0})
    torch.manual_seed(0)
    objective = TwoSignalObjective(recipe, 12).train()
    x, labels = torch.rand(6, 3, 31, 31), torch.arange(6) // 2
    parts = {name: inputs for name, _, inputs, _ in loops.net_parts(objective, x, labels)}
    assert len(parts) == 4 + 4 + 4 + 2
    for (found, has_gradient), wanted in zip(parts["identification"], objective.net(x).values(), strict=True):
        torch.testing.assert_close(found, wanted)
        assert has_gradient
    assert parts["conv1"][0][1] is False  # pixels have no gradient


def test_gpu_rows_are_measured_by_code_that_runs():
    """On the CPU and not compiled: the numbers of a GPU come from the same lines."""
    recipes = {"batch 8": rows.QUICK.recipe()}
    found = gpu.rates(recipes, 12, 1, 0.1, device="cpu", compiled=False, size=32)
    assert min(found["roof_bf16"], found["extraction"], *found["batch 8"].values()) > 0


def test_what_cannot_be_measured_says_why(monkeypatch):
    monkeypatch.setattr(codes, "faiss", lambda: None)
    (row,), details = rows.search(rows.QUICK)
    assert details is None and "faiss is not installed" in bench.line(row)
    monkeypatch.setattr(heads.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 10**9}))
    assert "needs about 14.8 GB of memory, 1.0 GB are free" in heads.head_cost(1_000_000, 512, 192)["not_measured"]
    assert "no more than the 100" in heads.head_cost(64, 16, 8, 100)["not_measured"]


SINGLE = [(joint_bayesian, ["--quick"]), (lbp, ["--faces", "8", "--rows", "0"])]
SINGLE += [(search, ["--faces", "2000"])] if codes.faiss() else []  # without faiss: see the last test


@pytest.mark.parametrize(("script", "options"), SINGLE)
def test_the_single_benchmarks_write_their_table(tmp_path, monkeypatch, capsys, script, options):
    path = tmp_path / "table.json"
    monkeypatch.setattr(sys, "argv", [script.__name__, *options, "--json", str(path)])
    with _timing.one_thread():
        script.main()
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["device"] and record["date"] and (record.get("rows") or record["lbp"])
    assert capsys.readouterr().out


def test_search_without_faiss_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(codes, "faiss", lambda: None)
    monkeypatch.setattr(sys, "argv", ["search.py"])
    with pytest.raises(SystemExit) as caught:
        _timing.run(search.main)
    message = capsys.readouterr().err
    assert caught.value.code == 2 and message.count("\n") == 1 and "pip install faiss-cpu" in message


def test_make_bench_installs_what_it_compares_with():
    """faiss is no part of the development installation: without it a row would say that it was not measured."""
    target = re.search(r"^bench:.*?\n\n", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M | re.S)[0]
    extras = re.search(r'pip install .*-c constraints.txt -e "\.\[(.*)\]"', target)[1].split(",")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.split("[>=<]", need)[0] for extra in extras for need in project["optional-dependencies"][extra]}
    assert "faiss-cpu" in wanted
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert all(re.search(rf"^{name}==", pinned, re.M) for name in wanted)
    assert target.index("pip install") < target.index("bench.py")
