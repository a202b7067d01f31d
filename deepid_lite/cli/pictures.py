"""What the neurons are good for, on a picture of one's own: deepid attributes."""

from pathlib import Path
from typing import Annotated

import typer

from deepid_lite.cli.checks import check_output
from deepid_lite.cli.output import printable, report
from deepid_lite.errors import DataError

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
    scores = answers.scores(model.features(fill_frame(read(picture))[None]))[0]
    found = {name: round(float(score), 3) for name, score in zip(answers.names, scores, strict=True)}
    said = sorted((name for name in found if found[name] > 0), key=lambda name: -found[name])
    report(f"{printable(picture)}: {', '.join(said).replace('_', ' ') or 'none of the attributes'}", found, json)


def read(path):
    """A picture file as uint8 (H, W, 3)."""
    from deepid_lite.faces.decoding import decode

    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give the path of a picture") from None
    return decode(data, str(path))
