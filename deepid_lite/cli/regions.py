"""The command `deepid regions`: list the regions, draw them, choose among trained ones."""

from pathlib import Path
from typing import Annotated

import typer

from deepid_lite.cli.checks import check_output
from deepid_lite.cli.output import printable, report, say

regions_app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="The face regions of an ensemble: list, draw, select."
)


@regions_app.command("list")
def list_(pool: Annotated[bool, typer.Option("--pool", help="all candidates, not only the twenty-five")] = False):
    """Name, place in the aligned frame of 144 x 128 pixels, and input of the net."""
    from deepid_lite.faces.regions import CANDIDATES, REGIONS

    table = CANDIDATES if pool else REGIONS
    width = max(map(len, table))
    say(f"{'region':<{width}}    left     top   width  height  net's input")
    for r in table.values():
        numbers = "".join(f"{v:8.1f}" for v in (r.left, r.top, r.width, r.height))
        say(f"{r.name:<{width}}{numbers}  {r.shape[0]} x {r.shape[1]}")


@regions_app.command()
def draw(
    out: Annotated[Path, typer.Argument(help="picture to write: .png, .pdf or .svg")],
    regions: Annotated[str, typer.Option(help="all, a number, or names with commas")] = "all",
):
    """Draw regions on a synthetic face, each with what its net sees."""
    from deepid_lite.faces.regions import by_names
    from deepid_lite.figures.ensemble import figure_regions
    from deepid_lite.figures.style import check_kind, save_figure

    check_kind(out)
    check_output(out)
    save_figure(figure_regions(by_names(regions)), out)
    say(printable(out))


@regions_app.command()
def select(
    runs: Annotated[Path, typer.Argument(help="folder of trained nets, <region>/model.safetensors, as train wrote it")],
    count: Annotated[int, typer.Option(help="how many regions at most")] = 25,
    data: Annotated[str, typer.Option("--data", help="the data set that the nets were trained on")] = "webfaces",
    root: Annotated[Path | None, typer.Option("--root", help="its folder or archive; default: DEEPID_DATA")] = None,
    layer: Annotated[int, typer.Option(help="features of FC-n")] = 4,
    seed: Annotated[int, typer.Option(help="of the pairs of validation people")] = 0,
    json: Annotated[
        Path | None, typer.Option("--json", help="also write the steps to this file; -: nothing else is said")
    ] = None,
):
    """Choose regions by forward-backward greedy search on validation people, whom no net and no test knows."""
    from deepid_lite.results import provenance
    from deepid_lite.verification import pipeline
    from deepid_lite.verification.ensemble import trained_models
    from deepid_lite.verification.model import face_features
    from deepid_lite.verification.region_selection import select as choose

    check_output(json, runs, data, root)
    models = trained_models(runs)
    held_out = pipeline.training_parts(data, root)[1]
    features = {name: face_features(model, held_out.images, layer, progress=True) for name, model in models.items()}
    progress = None if str(json) == "-" else _say
    found = choose(features, held_out.labels, min(count, len(models)), seed=seed, progress=progress)
    facts = {"data": data, "data_hash": held_out.data_hash, "layer": layer, **provenance()}
    report(f"chosen: {', '.join(found['chosen'])}", found | facts, json)


def _say(names, accuracy):
    say(f"{len(names):3d} regions  {accuracy:6.2f} %  {', '.join(names)}")
