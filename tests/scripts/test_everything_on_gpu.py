"""The script for a GPU: its plan is made of commands that exist, and it goes on where it was stopped."""

import sys
from pathlib import Path

import pytest
import typer

from deepid_lite.cli.main import app
from deepid_lite.studies.ablation_list import EXPERIMENTS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import everything_on_gpu
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    return everything_on_gpu


def test_every_command_of_the_plan_is_one_that_there_is(script):
    command = typer.main.get_command(app)
    for step in script.plan("work", "out"):
        for words in step.commands:
            if words[:3] == script.DEEPID:
                group = command.make_context("deepid", words[3:], resilient_parsing=True)
                name, sub, rest = command.resolve_command(group, words[3:])
                assert sub.make_context(name, list(rest), parent=group).params, words
            else:
                assert (ROOT / words[1]).is_file()


def test_the_test_set_comes_after_all_trainings_and_every_experiment_is_there(script):
    names = [step.name for step in script.plan("work", "out")]
    assert names[0] == "speed" and {*script.EXPERIMENTS} == EXPERIMENTS.keys()
    first_test = min(n for n, name in enumerate(names) if name.endswith(", tested"))
    assert all(names.index(name) < first_test <= names.index(f"{name}, tested") for name in EXPERIMENTS)


def test_a_dry_run_prints_the_plan_and_makes_nothing(script, tmp_path, capsys):
    assert script.main(["--dry-run", "--work", str(tmp_path / "w"), "--out", str(tmp_path / "o")]) == 0
    printed = capsys.readouterr().out
    assert all(step.name in printed for step in script.plan("w", "o")) and not list(tmp_path.iterdir())
    assert "reproduce lambda --scale reference" in printed and "--test" in printed


def test_what_is_stopped_goes_on_and_what_is_finished_is_not_repeated(script, tmp_path, monkeypatch, capsys):
    def step(name, code):
        found = {f"{name}.txt": tmp_path / "work" / f"{name}.txt"}
        return script.Step(
            name, [[sys.executable, "-c", f"p = {str(tmp_path / 'work' / name)!r} + '.txt'\n{code}"]], found
        )

    once = "open(p, 'a').write('x')"
    slow = "import os, time\nif not os.path.exists(p): open(p, 'w').write('half'); time.sleep(60)"
    steps = [step("quick", once), step("slow", slow), step("wrong", "raise SystemExit(3)")]
    monkeypatch.setattr(script, "plan", lambda work, out: steps)
    words = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out"), "--minutes", "0.05", "--jobs", "2"]
    assert script.main(words) == 1
    first = capsys.readouterr().out
    assert "quick                   finished " in first and "stopped" in first and "failed" in first
    assert (tmp_path / "out" / "slow.txt").read_text() == "half", "what there is of a stopped step is kept"
    assert script.main([*words, "--only", "quick", "--only", "slow"]) == 0
    second = capsys.readouterr().out
    assert "finished before" in second and "stopped" not in second
    assert (tmp_path / "out" / "quick.txt").read_text() == "x"
