"""How a run is doing: a progress bar on a terminal, and a CSV file with one row in twenty steps."""

import csv
import math
import os
import statistics
import time
from pathlib import Path

from tqdm import tqdm

from deepid_lite.errors import DataError


class TrainingLog:
    """Writes a CSV file and draws a bar with loss, images per second and time left; path None: does neither.

    A run that is resumed at step `start` keeps the rows before it: no step stands there twice or is missing.
    Use as a context manager. DataError where the file cannot be written.
    """

    def __init__(self, path, start, last, batch_size):
        self.path, self.batch_size, self.file, self.writer = path, batch_size, None, None
        hide = None if path else True  # None: hide where there is no terminal
        self.bar = tqdm(total=last, initial=start, unit="step", disable=hide, desc="training")
        self.clock, self.count = time.monotonic(), 0
        if path:
            self._open(Path(path), start)

    def _open(self, path, start):
        held_out = _rows(path, before=start)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(path.name + ".tmp")
            self.file = open(beside, "w", newline="")
            for row in held_out:
                self._row(row)
            self.file.flush()
            os.replace(beside, path)  # the open file goes on under its new name
        except OSError as error:
            raise self._cannot_write(error) from None

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
        if self.path:
            row = {"step": step, "epoch": epoch, "lr": f"{lr:.6g}", "images_per_second": f"{speed:.0f}"}
            try:
                self._row(row | {name: f"{value:.8g}" for name, value in values.items()})
                self.file.flush()
            except OSError as error:
                raise self._cannot_write(error) from None

    def _row(self, row):
        if self.writer is None:
            self.writer = csv.DictWriter(self.file, list(row))
            self.writer.writeheader()
        self.writer.writerow(row)

    def _cannot_write(self, error):
        why = f"{self.path}: cannot be written ({error.strerror})"
        return DataError(f"{why}; free some disk space or choose another folder")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bar.close()
        if self.file:
            try:
                self.file.close()
            except OSError:
                pass  # rows that a full disk refused: reported when they were written


def minutes_of(path, n_images):
    """Minutes that a run over `n_images` images (all epochs) took by its log, at its median speed.

    The median leaves out pauses: a run may be stopped and taken up again days later.
    """
    speeds = [float(row["images_per_second"]) for row in _rows(Path(path), before=math.inf)]
    return n_images / max(statistics.median(speeds), 1e-9) / 60 if speeds else math.nan


def _rows(path, before):
    """The complete rows of steps < before."""
    if before == 0 or not path.is_file():
        return []
    with open(path, newline="") as file:
        return [row for row in csv.DictReader(file) if None not in row.values() and int(row["step"]) < before]
