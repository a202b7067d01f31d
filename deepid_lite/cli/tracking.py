"""What the neurons are good for, on a video of one's own: deepid track."""

from pathlib import Path
from typing import Annotated

import typer

from deepid_lite.cli.checks import check_output
from deepid_lite.cli.output import printable, say
from deepid_lite.errors import DataError

KINDS = (".csv", ".json")


def track(
    frames: Annotated[
        str, typer.Argument(help="a folder, tar or zip of a video's frames, in the order of their names")
    ],
    box: Annotated[str, typer.Option(help="the face in the first frame: left,top,width,height in pixels")],
    out: Annotated[Path, typer.Option(help="the .csv or .json to write; a run that was stopped goes on")] = Path(
        "boxes.csv"
    ),
    net: Annotated[Path | None, typer.Option(help="a TrackingNet's .safetensors; default: that of drawn faces")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="of the candidates that are tried in each frame")] = 0,
):
    """Follow a face through a video: one box a frame. The shipped net learned from drawn faces."""
    from deepid_lite import tensors
    from deepid_lite.papers.tracking.following import checkpoint_of, follow_frames
    from deepid_lite.papers.tracking.net import load_tracking_net

    if out.suffix.lower() not in KINDS:
        raise DataError(f"{out}: a table of boxes ends in {' or '.join(KINDS)}; rename it")
    check_output(out, frames, net)
    if any(Path(frames).resolve() == folder for folder in out.resolve().parents):
        raise DataError(f"{out}: lies among the frames; choose another place")
    checkpoint = checkpoint_of(out)
    try:
        found = follow_frames(load_tracking_net(net), frames, read_box(box), checkpoint, seed)
    except KeyboardInterrupt:
        again = f"goes on from {checkpoint}" if checkpoint.is_file() else "starts again, as nothing was saved yet"
        raise KeyboardInterrupt(f"the same command {again}") from None
    _write(out, found)
    tensors.discard(checkpoint)
    for line in found.skipped:
        say(printable(f"skipped: {line}"))
    say(printable(f"{out}: {len(found.names)} frames, {found.by.count('skipped')} of them skipped"))


def read_box(text):
    """ "57,21,31,45" -> four floats; DataError for anything else."""
    try:
        values = [float(part) for part in text.split(",")]
        if len(values) != 4:
            raise ValueError
    except ValueError:
        raise DataError(f"--box {text}: give left,top,width,height in pixels, such as 57,21,31,45") from None
    return values


def _write(out, found):
    """One row a frame: name, box, confidence (empty where there is none), who found it."""
    import csv

    from deepid_lite.files import replacing, write_json
    from deepid_lite.results import sealed

    rows = [
        {"frame": name, **{k: round(float(v), 3) for k, v in zip("xywh", box, strict=True)},
         "confidence": None if confidence != confidence else round(float(confidence), 4), "by": by}
        for name, box, confidence, by in zip(found.names, found.boxes, found.confidence, found.by, strict=True)
    ]  # fmt: skip
    if out.suffix.lower() == ".json":
        write_json(out, sealed({"frames": rows, "skipped": found.skipped}))
        return
    with replacing(out) as part, open(part, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
