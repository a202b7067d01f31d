"""Everything that waits for a GPU, in one go: speed, reference nets, and all ablations over three seeds.

    DEEPID_DATA=FOLDER python benchmarks/everything_on_gpu.py [--dry-run] [--jobs 4] [--minutes 10] [--only STEP]

The steps are commands of their own, in the order of what is needed most; `--dry-run` prints them. Several run at a
time, for a net as small as these leaves most of a GPU idle. None runs longer than `--minutes`: what is not finished
then is stopped and goes on where it was when the script is started again, and a finished step is not repeated. Nets
stay in WORK; OUT gets the small files: records, logs, speeds, and the reference nets as fp16. Decode the faces into the
cache first (`deepid data webfaces`, `deepid data lfw`), or the first steps wait for that.
"""

import argparse
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

DEEPID = [sys.executable, "-m", "deepid_lite"]
SEEDS = 3
EPOCHS = 40  # of the reference net
# name: epochs; in the order in which they are wanted. DeepID2's net is small, and so longer runs are cheap
EXPERIMENTS = {
    "lambda": 20, "signals": 20, "layers": 12, "regions": 12, "people": 20, "dropout": 12, "recipes": 20, "sharing": 20,
}  # fmt: skip


class Step(NamedTuple):
    """name; commands, one after the other; results: {file in OUT: where it lies when the step is done or stopped}."""

    name: str
    commands: list
    results: dict = {}


def plan(work, out):
    """All steps, the first first."""
    yield Step("speed", [[sys.executable, "benchmarks/bench.py", "--only", "gpu", "--json", f"{out}/speed.json"]])
    for seed in range(SEEDS):
        yield _reference(work, out, f"whole-face-{seed}", ["--preset", "regions", "--epochs", f"{EPOCHS}"], seed)
    yield _reference(work, out, "paper", ["--preset", "paper"], 0)
    for name, epochs in EXPERIMENTS.items():
        command = ["reproduce", name, "--scale", "reference", "--out", work, "--seeds", SEEDS, "--epochs", epochs]
        record = {f"{name}.json": Path(work) / "reference" / name / "result.json"}
        yield Step(name, [_deepid(*command)], record)
    # the test set comes last, when nothing is left to choose
    for name, epochs in EXPERIMENTS.items():
        command = ["reproduce", name, "--scale", "reference", "--out", work, "--seeds", SEEDS, "--epochs", epochs]
        record = {f"{name}.json": Path(work) / "reference" / name / "result.json"}
        yield Step(f"{name}, tested", [_deepid(*command, "--test")], record)


def _reference(work, out, name, recipe, seed):
    """One net of the whole face, and its numbers on LFW."""
    run, model = Path(work) / name, f"{out}/{name}.safetensors"
    train = ["train", "--data", "webfaces", *recipe, "--seed", seed, "--out", run, "--ship", model]
    test = ["evaluate", "--model", model, "--data", "lfw", "--json", f"{out}/{name}.json"]
    return Step(name, [_deepid(*train), _deepid(*test)], {f"{name}-log.csv": run / "log.csv"})


def _deepid(*words):
    return DEEPID + [str(word) for word in words]


def run(step, work, out, minutes):
    """(what became of it, seconds): "finished", "finished before", "stopped" at its limit, or "failed"."""
    done, began = Path(work) / f"{step.name}.done", time.monotonic()
    if done.is_file():
        return "finished before", 0.0
    became = "finished"
    with open(Path(work) / f"{step.name}.log", "ab") as log:
        for command in step.commands:
            left = 60 * minutes - (time.monotonic() - began)
            try:
                code = subprocess.run(command, stdout=log, stderr=log, timeout=max(left, 1)).returncode
            except subprocess.TimeoutExpired:
                became = "stopped"
                break
            if code:
                became = "failed"
                break
    for name, source in step.results.items():
        if source.is_file():
            shutil.copy(source, Path(out) / name)
    if became == "finished":
        done.touch()
    return became, time.monotonic() - began


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", default="runs/gpu", help="folder of nets and logs; a second start goes on there")
    parser.add_argument("--out", default="runs/gpu-results", help="folder of the small results")
    parser.add_argument("--minutes", type=float, default=10, help="of a step at most")
    parser.add_argument("--jobs", type=int, default=4, help="steps that run at a time, after the first")
    parser.add_argument("--only", action="append", metavar="STEP", help="these steps alone")
    parser.add_argument("--dry-run", action="store_true", help="print the commands")
    options = parser.parse_args(words)
    steps = [step for step in plan(options.work, options.out) if not options.only or step.name in options.only]
    if options.dry_run:
        for step in steps:
            print(step.name, *(f"    {' '.join(command)}" for command in step.commands), sep="\n")
        return 0
    for folder in (options.work, options.out):
        Path(folder).mkdir(parents=True, exist_ok=True)

    def report(step):
        became, seconds = run(step, options.work, options.out, options.minutes)
        print(f"{step.name:24}{became:18}{seconds:8.0f} s", flush=True)
        return became

    first, trained, tested = (
        [step for step in steps if (step.name == "speed", step.name.endswith(", tested")) == kind]
        for kind in ((True, False), (False, False), (False, True))
    )
    found = []
    for group, jobs in ((first, 1), (trained, options.jobs), (tested, options.jobs)):  # speed is measured alone
        with ThreadPoolExecutor(jobs) as pool:
            found += pool.map(report, group)
    return int(any(became in ("stopped", "failed") for became in found))


if __name__ == "__main__":
    sys.exit(main())
