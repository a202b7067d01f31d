"""The command line: deepid data | train | evaluate | info | export | regions | search | reproduce | claims | ..."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from deepid_lite import __version__
from deepid_lite.cli.checks import check_output, check_outputs
from deepid_lite.cli.faults import resumable
from deepid_lite.cli.output import printable, report, say
from deepid_lite.cli.pictures import Json, attributes, locate
from deepid_lite.cli.regions import regions_app
from deepid_lite.cli.search import search_app
from deepid_lite.cli.tracking import track
from deepid_lite.errors import DataError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="DeepID2+ on your own faces: read a data set, train a net, measure it. Start with: deepid info lite",
)

app.add_typer(search_app, name="search")
app.add_typer(regions_app, name="regions")
app.command()(attributes)
app.command()(locate)
app.command()(track)


Data = Annotated[
    str, typer.Option("--data", help="synthetic, webfaces, lfw, celeba, or a folder or archive of identity/image files")
]
Root = Annotated[
    Path | None, typer.Option("--root", help="folder or archive of the data set; default: the folder in DEEPID_DATA")
]
Device = Annotated[Literal["cpu", "cuda"] | None, typer.Option("--device", help="default: the GPU where there is one")]


def _version(wanted: bool):
    if wanted:
        say(f"deepid {__version__}")
        raise typer.Exit


@app.callback()
def deepid(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="say the version and end")
    ] = False,
):
    pass


@app.command()
def data(
    source: Annotated[str, typer.Argument(help="synthetic, webfaces, lfw, celeba, or a path")],
    root: Root = None,
    part: Annotated[
        str | None,
        typer.Option(help="a part of the set: synthetic train/joint_bayesian/test/celebrities, celeba train/val/test"),
    ] = None,
):
    """Read a data set once, align it into the cache and say what is in it."""
    import numpy as np

    from deepid_lite.faces.loading import load_faces

    faces = load_faces(source, root, part=part)
    counts = np.bincount(faces.labels, minlength=len(faces.names))
    several = f"{(counts > 1).sum():,} with two or more, at most {counts.max()}"
    say(f"{len(faces):,} images of {len(faces.names):,} people ({several})")
    say(f"attributes: {printable(', '.join(faces.attributes) or 'none')}")
    say(f"skipped: {len(faces.skipped)}; data hash {faces.data_hash[:16]}")


@app.command()
def train(
    data: Data = "synthetic",
    root: Root = None,
    preset: Annotated[str, typer.Option(help="lite, ablation, reference, paper, celeba, or a .toml file")] = "lite",
    out: Annotated[Path, typer.Option(help="folder of the run; a run that was stopped goes on from there")] = Path(
        "runs/lite"
    ),
    device: Device = None,
    epochs: Annotated[int | None, typer.Option(help="instead of the preset's")] = None,
    batch_size: Annotated[int | None, typer.Option(help="instead of the preset's, over all processes")] = None,
    seed: Annotated[int | None, typer.Option(help="instead of the preset's")] = None,
    start: Annotated[str | None, typer.Option(help="a model whose net goes on: its name or file")] = None,
    ship: Annotated[Path | None, typer.Option(help="also write the model without FC-1 here, as fp16")] = None,
    regions: Annotated[
        str | None,
        typer.Option(help="an ensemble, one net a region: all, a number (the first so many), or names with commas"),
    ] = None,
    spread: Annotated[
        Literal["data", "nets"],
        typer.Option(help="several processes train every net together (data), or nets of their own (nets)"),
    ] = "data",
):
    """Train a net, then fit Joint Bayesian on people that the net never saw, and save both as OUT/model.safetensors.

    With --regions: one net a region in OUT/<region>/ and OUT/ensemble.safetensors, which joins them.
    """
    from deepid_lite.faces.regions import by_names
    from deepid_lite.nets.recipe import read_recipe
    from deepid_lite.verification.pipeline import train_ensemble, train_model

    if regions is not None and (ship or start):
        raise DataError("--ship, --start: they are for one net; leave --regions or them out")
    recipe = read_recipe(preset, epochs=epochs, batch_size=batch_size, seed=seed)
    check_outputs((out / "model.safetensors", ship), data, root, preset, start)
    with resumable(out):
        if regions is None:
            train_model(data, root, recipe, out, device, ship, start=start)
        else:
            train_ensemble(data, root, recipe, by_names(regions), out, device, spread)


@app.command()
def evaluate(
    model: Annotated[
        str, typer.Option(help="lite, webfaces, a model.safetensors that train wrote, or the folder of an ensemble")
    ] = "lite",
    data: Annotated[
        str, typer.Option(help="lfw, ytf, cfp, synthetic, celeba, or a folder or archive of identity/image files")
    ] = "synthetic",
    root: Root = None,
    pairs: Annotated[
        Path | None, typer.Option(help="LFW's pairs.txt or YTF's splits.txt; default: beside the images")
    ] = None,
    errata: Annotated[
        Path | None, typer.Option(help="LFW: corrected labels of pairs, see benchmarks.read_lfw_pairs")
    ] = None,
    kind: Annotated[
        Literal["FF", "FP"] | None, typer.Option(help="CFP: frontal-frontal or frontal-profile (the default)")
    ] = None,
    frames: Annotated[int | None, typer.Option(help="YTF: frames of a video, 0 for all; default 20")] = None,
    sampling: Annotated[
        Literal["even", "first", "random"] | None, typer.Option(help="YTF: which frames; default even")
    ] = None,
    pooling: Annotated[
        Literal["score", "max", "feature"] | None,
        typer.Option(help="YTF: mean score of frame pairs (the default), the highest, or the score of mean features"),
    ] = None,
    corrected: Annotated[
        bool, typer.Option("--corrected", help="YTF: the corrected labels of splits_corrected.txt")
    ] = False,
    blufr: Annotated[bool, typer.Option("--blufr", help="also BLUFR's trials over all pairs of images")] = False,
    refit_on: Annotated[
        str | None,
        typer.Option(
            help="also score every layer and the codes, Joint Bayesian fitted on this set's held-out people: webfaces"
        ),
    ] = None,
    json: Json = None,
    roc: Annotated[Path | None, typer.Option(help="also draw the ROC (Fig. 4) to this .png, .pdf or .svg")] = None,
    published: Annotated[
        Path | None,
        typer.Option(help="with --roc, LFW: folder of the authors' points, see data_scripts/published_roc.py"),
    ] = None,
):
    """Verification in ten folds, and identification, of a model on people it never saw: one table with intervals."""
    from deepid_lite.cli.table import summary
    from deepid_lite.figures.roc import figure_4
    from deepid_lite.figures.style import check_kind, save_figure
    from deepid_lite.verification.pipeline import evaluate_model
    from deepid_lite.verification.published import read_published

    if published and (not roc or data != "lfw"):
        raise DataError(f"--published {published}: LFW's curves; give --data lfw and --roc FILE as well")
    if roc:
        check_kind(roc)
    check_outputs((json, roc), model, data, root, pairs, errata, refit_on, published)
    curves = read_published(published) if published else None
    options = {"pairs": pairs, "errata": errata, "kind": kind, "frames": frames, "sampling": sampling}
    options |= {"pooling": pooling, "corrected": corrected or None}
    found = evaluate_model(model, data, root, refit_on=refit_on, with_blufr=blufr, **options)
    report(summary(found), found, json)
    if roc:
        save_figure(figure_4(found, published=curves), roc)


@app.command()
def info(
    name: Annotated[
        str, typer.Argument(help="DeepID, DeepID2, DeepID2Plus, a model (lite, webfaces) or a .safetensors file")
    ] = "DeepID2Plus",
):
    """Layers, parameters and multiply-adds of a net; what is known about a model."""
    from deepid_lite.nets import deepid as nets
    from deepid_lite.nets.summary import as_text
    from deepid_lite.verification.model import pretrained

    if name in ("DeepID", "DeepID2", "DeepID2Plus"):
        say(as_text(getattr(nets, name)()))
        return
    found = pretrained(name)
    say(as_text(found.net))
    for key, value in found.card.items():
        say(printable(f"{key}: {value}"))


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="the .onnx file to write")],
    model: Annotated[str, typer.Option(help="lite, webfaces, or a model.safetensors that train wrote")] = "lite",
    layer: Annotated[list[int] | None, typer.Option(help="1 to 4 for FC-1 to FC-4, may be repeated; default 4")] = None,
):
    """Write a net as an ONNX file: region crops in, features of the picture and its mirror image out."""
    from deepid_lite.verification.model import pretrained
    from deepid_lite.verification.onnx import export_onnx

    check_output(out, model)
    export_onnx(pretrained(model), out, tuple(dict.fromkeys(layer or (4,))))
    say(printable(out))


@app.command()
def reproduce(
    name: Annotated[
        str, typer.Argument(help="a study (sparsity, codes, ...), a figure (fig6 ... fig17), an experiment (dropout)")
    ],
    scale: Annotated[
        Literal["lite", "reference"], typer.Option(help="synthetic faces, or LFW and web faces in DEEPID_DATA")
    ] = "lite",
    out: Annotated[Path, typer.Option(help="folder of results and pictures")] = Path("runs/reproduce"),
    model: Annotated[
        str | None, typer.Option(help="a model.safetensors or an ensemble's folder, instead of the shipped net")
    ] = None,
    root: Root = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="compute again what is there already")] = False,
    seeds: Annotated[int | None, typer.Option(help="experiments: trainings of each variant; default 3")] = None,
    share: Annotated[float | None, typer.Option(help="experiments: of the people to train on, 0.1 for a tenth")] = None,
    epochs: Annotated[int | None, typer.Option(help="experiments: instead of the preset's")] = None,
    preset: Annotated[str | None, typer.Option(help="experiments: instead of ablation, for example half")] = None,
    only: Annotated[list[str] | None, typer.Option(help="experiments: a variant; may be repeated")] = None,
    test: Annotated[
        bool, typer.Option("--test", help="experiments: also verify on the test set, once, when all is chosen")
    ] = False,
):
    """Compute a result of the paper's studies, or draw one of its figures, from a net and unseen people."""
    from deepid_lite.cli.reproduce import reproduce as run

    folder = out / scale / name
    check_output(folder.with_suffix(".json"), model, root)
    with resumable(folder):
        trainings = {"seeds": seeds, "share": share, "epochs": epochs, "preset": preset, "only": only or None}
        for path in run(name, scale, out, model, root, fresh, **trainings, test=test or None):
            say(printable(path))


@app.command()
def claims(
    scale: Annotated[
        Literal["lite", "reference"] | None, typer.Option(help="which recorded results to judge; default: both")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="folder of results, as reproduce writes it; default: those recorded here")
    ] = None,
):
    """What the paper claims, by which rule it is judged, and both answers: number reached? more than the comparison?"""
    from deepid_lite.studies.claims import as_text, judge

    there = [each for each in ("reference", "lite") if results is None or (results / each).is_dir()]
    say(as_text([judge(each, results) for each in ([scale] if scale else there or ["lite"])]))


def run():
    """The command in sys.argv. typer's own main() would take Ctrl-C, and boxes of several lines for a wrong option."""
    command = typer.main.get_command(app)
    with command.make_context("deepid", sys.argv[1:]) as context:
        command.invoke(context)
