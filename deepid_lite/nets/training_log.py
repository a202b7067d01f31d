"""How a run is doing: a progress bar on a terminal, and a CSV file with one row in twenty steps."""

import math
import time
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from tqdm import tqdm

from deepid_lite.errors import DataError


class TrainingLog(AbstractContextManager):
    """Writes a CSV file and draws a bar with loss, images per second and time left; path None: does neither.

    A run that is resumed at step `start` keeps the rows before it: no step stands there twice or is missing.
    Use as a context manager. DataError where the file cannot be written, or is no log of this run.
    """

    def __init__(self, path, start, last, batch_size):
        self.path, self.batch_size, self.file, self.columns = path, batch_size, None, []
        if path:
            self.columns, _, size = _rows(path, before=start) if Path(path).exists() else ([], [], 0)
            self.file = open(path, "ab", buffering=0)
            self.file.truncate(size)  # in place: whoever has locked the file goes on holding it
        hide = None if path else True  # None: hide where there is no terminal
        self.bar = tqdm(total=last, initial=start, unit="step", disable=hide, desc="training")
        self.clock, self.count = time.monotonic(), 0

    def tick(self):
        """One step is done."""
        self.count += 1
        self.bar.update()

    def write(self, step, epoch, lr, values):
        """Add a row. values: {column: float}, `loss` among them."""
        now = time.monotonic()
        speed = self.count * self.batch_size / max(now - self.clock, 1e-9)
        self.clock, self.count = now, 0
        self.bar.set_postfix(loss=f"{values['loss']:.3f}", images_per_second=f"{speed:.0f}")
        row = {"step": step, "epoch": epoch, "lr": f"{lr:.6g}", "images_per_second": f"{speed:.0f}"}
        row |= {name: f"{value:.8g}" for name, value in values.items()}
        if self.file:
            if self.columns not in ([], list(row)):
                raise DataError(f"{self.path}: its columns are of another run; delete it, and this one goes on")
            lines = [row.values()] if self.columns else [row, row.values()]
            try:
                self.file.write("".join(",".join(map(str, cells)) + "\n" for cells in lines).encode())
            except OSError as error:
                raise DataError(f"{self.path}: cannot be written ({error.strerror}); free some disk space") from None
            self.columns = list(row)

    def __exit__(self, *_):
        self.bar.close()
        if self.file:
            self.file.close()


def read_log(path):
    """The log.csv of a training run: {column: (rows,) floats}."""
    columns, rows, _ = _rows(path, before=math.inf)
    return dict(zip(columns, np.array(rows).T, strict=True))


def minutes_of(path, n_images):
    """Minutes that a run over `n_images` images (all epochs) took by its log, at its median speed.

    The median leaves out pauses: a run may be stopped and taken up again days later.
    """
    speeds = read_log(path).get("images_per_second") if Path(path).is_file() else None
    return math.nan if speeds is None else n_images / max(float(np.median(speeds)), 1e-9) / 60


def _rows(path, before):
    """The columns, the rows of the steps < before, and the bytes of both; half a row at the end is left out."""
    columns, rows, size = [], [], 0
    try:
        for line in Path(path).read_bytes().splitlines(keepends=True):
            cells = line.decode().strip().split(",")
            if not line.endswith(b"\n") or (columns and float(cells[0]) >= before):
                break
            if columns:
                rows.append([float(cell) for cell in cells])
            columns, size = columns or cells, size + len(line)
            if columns[0] != "step" or len(cells) != len(columns):
                raise ValueError(f"row {len(rows)}")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no training log ({error}); give that of a run, or delete it to train on") from None
    return (columns, rows, size) if rows else ([], [], 0)
