"""What the neurons are good for, on a picture of one's own: deepid attributes, deepid locate."""

from pathlib import Path
from typing import Annotated

import typer

from deepid_lite.cli.checks import check_output
from deepid_lite.cli.output import printable, report
from deepid_lite.errors import DataError
from deepid_lite.files import read_bytes

Json = Annotated[
    Path | None, typer.Option("--json", help="also write all numbers to this file; -: nothing else is said")
]


def attributes(
    picture: Annotated[Path, typer.Argument(help="a picture that an aligned face fills")], json: Json = None
):
    """What the shipped lite net's features say of glasses, beard, hair: it learned from drawn faces."""
    from deepid_lite.faces.cache import fill_frame
    from deepid_lite.papers.attributes.net import load_answers
    from deepid_lite.verification.model import pretrained, weights_hash

    check_output(json, picture)
    model, answers = pretrained("lite"), load_answers()
    if answers.model_hash != weights_hash(model)[:16]:
        raise DataError(
            "shipped answers: of another net than lite; fit them anew with attributes.study.shipped_answers"
        )
    scores = answers.scores(model.features(fill_frame(read(picture), picture)[None]))[0]
    found = {name: round(float(score), 3) for name, score in zip(answers.names, scores, strict=True)}
    said = sorted((name for name in found if found[name] > 0), key=lambda name: -found[name])
    report(f"{printable(picture)}: {', '.join(said).replace('_', ' ') or 'none of the attributes'}", found, json)


def locate(
    picture: Annotated[Path, typer.Argument(help="a picture with one face, three to eight tenths of it wide")],
    json: Json = None,
):
    """Where a face is, in pixels: a small net that was told attributes of drawn scenes, and no box."""
    import numpy as np

    from deepid_lite.papers.localisation.net import as_scene, load_locator

    check_output(json, picture)
    image = read(picture)
    scene, in_pixels = as_scene(image, picture)
    boxes, there = load_locator()(scene[None])
    if not there[0]:
        raise DataError(f"{picture}: no face found; cut the picture so that one face is three to eight tenths of it")
    left, top, width, height = in_pixels(boxes)[0]
    ends = np.clip([left + width, top + height], 1, image.shape[1::-1])
    first = np.clip([left, top], 0, ends - 1)
    found = dict(zip(("x", "y", "w", "h"), np.rint([*first, *(ends - first)]).astype(int).tolist(), strict=True))
    said = "{x} from the left, {y} from the top, {w} wide, {h} high".format(**found)
    report(f"{printable(picture)}: a face {said}, in pixels", found, json)


def read(path):
    """A picture file as uint8 (H, W, 3)."""
    from deepid_lite.faces.decoding import decode

    return decode(read_bytes(path, "give the path of a picture"), str(path))
