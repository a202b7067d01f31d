"""The rows of the table that bench.py prints: each function measures one group and gives (rows, details)."""

import dataclasses
import tempfile

import gpu
import heads
import loops
import pieces
import torch
from _timing import Contender, take_turns

from deepid_lite.nets.recipe import read_recipe
from deepid_lite.nets.training import TwoSignalObjective

ALL, WITHOUT_FC1 = (1, 2, 3, 4), (2, 3, 4)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much a run measures: of what net and how many people, for how many seconds."""

    quick: bool = False
    net: dict = dataclasses.field(default_factory=lambda: {"maps": 128})
    batch: int = 192
    people: int = 3300  # about as many as our web faces have
    steps: int = 2  # between two looks at the clock
    seconds: float = 30  # of one row; other rows take a fixed part of it
    head_seconds: float = 160  # at most, of the row on many people
    roof: int = 4096
    batches: tuple = (24, 48, 96, 384)
    widths: tuple = (32, 64, 256)
    crowds: tuple = (1000, 10_000)
    head_people: tuple = (8192, 32_768, 131_072, 524_288, 1_000_000)
    drawn: int = 8192
    shared_people: int = 131_072
    gpu_batches: tuple = (192, 2048)

    def recipe(self, heads=ALL, **changes):
        """The reference recipe with this net and batch."""
        recipe = read_recipe("reference", **{"batch_size": self.batch} | changes)
        return dataclasses.replace(recipe, net=recipe.net | self.net | {"heads": list(heads)})

    def wide(self, maps):
        recipe = self.recipe()
        return dataclasses.replace(recipe, net=recipe.net | {"maps": maps})


QUICK = Sizes(
    quick=True, net={"maps": 4, "dimension": 8, "input_shape": [31, 31]}, batch=8, people=12, steps=1, seconds=0.5,
    roof=64, batches=(12,), widths=(6,), crowds=(20,), head_people=(256,), drawn=128, shared_people=64,
    gpu_batches=(8,),
)  # fmt: skip


def row(name, unit, ours, against, theirs, ratio):
    return {"name": name, "ours": ours, "unit": unit, "against": against, "theirs": theirs, "ratio": ratio}


def rates(name, unit, ours, against, theirs):
    """A row of things a second."""
    return row(name, unit, ours, against, theirs, ours / theirs)


def times(name, unit, ours, against, theirs):
    """A row of seconds, or parts of them."""
    return row(name, unit, ours, against, theirs, theirs / ours)


def note(name, why):
    return {"name": name, "note": why}


def train(sizes):
    """Images a second of the whole loop, and how near that is to the machine's own matrix products."""
    roofs = {"roof bf16": loops.roof(sizes.roof, torch.bfloat16), "roof fp32": loops.roof(sizes.roof, torch.float32)}
    rows, shares, details, shortest = [], [], {}, dict.fromkeys(roofs, float("inf"))
    for name, wanted in (("FC-1..FC-4", ALL), ("FC-2..FC-4", WITHOUT_FC1)):
        recipe = sizes.recipe(wanted)
        arguments = recipe, sizes.people, sizes.steps
        with Contender(loops.ours, *arguments) as ours, Contender(loops.plain, *arguments) as plain:
            ours.wait(), plain.wait()
            best = take_turns({"ours": ours.turn, "plain": plain.turn} | roofs, sizes.seconds)
        shortest = {roof: min(shortest[roof], best[roof]) for roof in roofs}
        found = {way: recipe.batch_size / best[way] for way in ("ours", "plain")}
        details[name] = found | {"operations": loops.operations(recipe, sizes.people)}
        rows.append(rates(f"training, {name}", "images/s", found["ours"], "plain fp32 loop", found["plain"]))
    roof = {name[5:]: 2 * sizes.roof**3 / seconds for name, seconds in shortest.items()}
    for name, found in details.items():
        for way, precision in (("ours", "bf16"), ("plain", "fp32")):
            reached = found[way] * found["operations"] / 1e9
            label = f"share of the roof, {name}, {way}"
            shares.append(rates(label, "GFLOP/s", reached, f"{precision} product", roof[precision] / 1e9))
    return rows + shares, details | {"roof": roof, "people": sizes.people, "batch": sizes.batch}


def layers(sizes):
    """Milliseconds of each part of a step, forward and backward, ours and plain."""
    best = {"ours": {}, "plain": {}}

    def turn(way, contender):
        for part, seconds in contender.turn().items():
            best[way][part] = min(best[way].get(part, float("inf")), 1000 * seconds)

    arguments = sizes.recipe(), sizes.people
    with Contender(loops.layers, *arguments, True) as ours, Contender(loops.layers, *arguments, False) as plain:
        ours.wait(), plain.wait()
        take_turns({"ours": lambda: turn("ours", ours), "plain": lambda: turn("plain", plain)}, sizes.seconds / 2)
    parts = [times(part, "ms", ours, "the same, fp32", best["plain"][part]) for part, ours in best["ours"].items()]
    sums = (sum(best[way].values()) for way in ("ours", "plain"))
    ours, theirs = sums
    return [*parts, times("all parts of a step", "ms", ours, "the same, fp32", theirs)], best


def sweep(sizes):
    """Images a second of our loop against batch size, maps and people; one is changed at a time."""
    cases = [("base", f"batch {sizes.batch}", sizes.recipe(), sizes.people)]
    cases += [("batch", n, sizes.recipe(batch_size=n), sizes.people) for n in sizes.batches]
    cases += [("maps", n, sizes.wide(n), sizes.people) for n in sizes.widths]
    cases += [("people", n, sizes.recipe(), n) for n in sizes.crowds]
    base = {"batch": sizes.batch, "maps": sizes.net["maps"], "people": sizes.people}
    against = ", ".join(f"{what} {n:,}" for what, n in base.items())
    rows, found = [], []
    with Contender(loops.asked, sizes.seconds / 6) as contender:
        for what, n, recipe, people in cases:
            rate = recipe.batch_size / contender.turn((recipe, people))
            found.append({"changed": what, "to": n, "images_per_second": rate})
    for case in found[1:]:
        label = f"training, {case['changed']} {case['to']:,}"
        rows.append(rates(label, "images/s", case["images_per_second"], against, found[0]["images_per_second"]))
    return rows, {"base": base, "cases": found}


def head(sizes):
    """What the softmax costs with many people, all of them scored or some drawn."""
    dimension = sizes.net.get("dimension", 512)
    found = heads.head_costs(sizes.head_people, dimension, sizes.batch, sizes.drawn, sizes.head_seconds)
    rows = []
    for case in found:
        full, sampled, label = case["full"], case["sampled"], f"head of {case['people']:,} people"
        if "seconds" not in full:
            rows.append(note(label, f"not measured: {full['not_measured']}"))
            continue
        if "seconds" not in sampled:
            rows.append(note(label, f"{1000 * full['seconds']:.3g} ms a step; sampled: {sampled['not_measured']}"))
            continue
        values = [1000 * way["seconds"] for way in (sampled, full)]
        rows.append(times(f"{label}, {sizes.drawn:,} drawn", "ms a step", values[0], "all scored", values[1]))
        values = [way["bytes"] / 1e6 for way in (sampled, full)]
        rows.append(times(f"{label}, {sizes.drawn:,} drawn", "MB", values[0], "all scored", values[1]))
    return rows, {"dimension": dimension, "batch": sizes.batch, "drawn": sizes.drawn, "sizes": found}


def sharded(sizes):
    """The softmax shared out over two processes against one process, with the same cores."""
    dimension = sizes.net.get("dimension", 512)
    with tempfile.TemporaryDirectory() as folder:
        found = heads.sharing(sizes.shared_people, dimension, sizes.batch, sizes.seconds / 2, folder)
    took, held = found["seconds"], found["bytes_a_process"]
    label = f"head of {found['people']:,} people, two processes"
    return [
        times(label, "ms a step", 1000 * took["two"], "one process", 1000 * took["one"]),
        times(label, "MB each", held["two"] / 1e6, "one process", held["one"] / 1e6),
    ], found


def joint_bayesian(sizes):
    found = pieces.fitting(sizes.quick)
    values = 1000 * found["step_seconds"], 1000 * found["loop_step_seconds"]
    return [times("Joint Bayesian, one EM step", "ms", values[0], "loop over the people", values[1])], found


def gallery(sizes):
    found = pieces.gallery_scoring(sizes.quick, sizes.seconds / 10)
    return [rates("Joint Bayesian, scores", "pairs/s", found["ours"], "pair by pair", found["loop"])], found


def lbp(sizes):
    found = pieces.describing(sizes.quick, sizes.seconds / 3)
    slow = found["cell by cell"]
    return [
        rates("high-dimensional LBP, one thread", "faces/s", found["ours, one thread"], "cell by cell", slow),
        rates("high-dimensional LBP", "faces/s", found["ours"], "cell by cell", slow),
    ], found


def search(sizes):
    found = pieces.searching(sizes.quick, sizes.seconds / 3)
    if found is None:
        return [note("search by codes", "not measured: faiss is not installed (pip install faiss-cpu)")], None
    by_numpy, ours, by_faiss = found["milliseconds"].values()
    return [
        times(f"search, {found['faces']:,} codes", "ms a query", ours, "faiss alone", by_faiss),
        times(f"search, {found['faces']:,} codes", "ms a query", ours, "NumPy", by_numpy),
    ], found


def features(sizes):
    net = TwoSignalObjective(sizes.recipe(), 2).net.to(memory_format=torch.channels_last)
    found = pieces.extracting(net, sizes.quick, sizes.seconds / 2)
    return [
        rates("features, bf16", "images/s", found["bf16"], "plain fp32 loop", found["plain"]),
        rates("features, fp32", "images/s", found["fp32"], "plain fp32 loop", found["plain"]),
    ], found


def minutes_of_25(rate):
    """Minutes of 25 nets one after the other, each 12 epochs of 64,000 images, at a rate of images a second."""
    return 25 * 12 * 64_000 / rate / 60


def on_gpu(sizes):
    if not torch.cuda.is_available():
        return [note("on one GPU", "not measured: no GPU here")], None
    recipes = {f"batch {n}": sizes.recipe(batch_size=n) for n in sizes.gpu_batches}
    steps = 1 if sizes.quick else 20
    size = 256 if sizes.quick else 8192
    found = gpu.rates(recipes, sizes.people, steps, sizes.seconds / 2, compiled=not sizes.quick, size=size)
    rows = []
    for name in recipes:
        for way in ("loop", "compiled"):
            label = f"GPU, training, {name}, {way}"
            rows.append(rates(label, "images/s", found[name][way], "plain fp32 loop", found[name]["plain"]))
        share = found[name]["share_of_roof"]
        roof = found["roof_bf16"] / 1e9
        rows.append(rates(f"GPU, share of the roof, {name}", "GFLOP/s", share * roof, "bf16 product", roof))
    rows.append(note("GPU, features", f"{found['extraction']:,.0f} images/s, picture and mirror"))
    rows.append(note("GPU, 25 nets", f"{minutes_of_25(max(found[name]['loop'] for name in recipes)):,.0f} minutes"))
    return rows, found


ROWS = {
    "train": train, "layers": layers, "sweep": sweep, "head": head, "sharded": sharded,
    "joint_bayesian": joint_bayesian, "gallery": gallery, "lbp": lbp, "search": search, "features": features,
    "gpu": on_gpu,
}  # fmt: skip
