"""The log of a training: rows that stand there once, and files that are no log."""

import math

import numpy as np
import pytest

from deepid_lite.errors import DataError
from deepid_lite.nets.training_log import TrainingLog, minutes_of, read_log

VALUES = {"loss": 1.5, "ident4": 1.0}


def write(path, start, stop, last=100):
    with TrainingLog(path, start, last, 10) as log:
        for step in range(start, stop):
            log.tick()
            log.write(step, step // 10, 0.1, VALUES)


def test_what_is_written_can_be_read(tmp_path):
    write(tmp_path / "log.csv", 0, 5)
    log = read_log(tmp_path / "log.csv")
    assert list(log) == ["step", "epoch", "lr", "images_per_second", "loss", "ident4"]
    assert log["step"].tolist() == [0, 1, 2, 3, 4] and (log["loss"] == 1.5).all()


@pytest.mark.parametrize("torn", [b"", b"7", b"7,0,0.1,10,1", b"7,0,0.1,10,1.5,1", b"9,0,0,0,0,0\n", b"9,0\n9"])
def test_a_resumed_run_goes_on_after_its_checkpoint(tmp_path, torn):
    path = tmp_path / "log.csv"
    write(path, 0, 7)
    with open(path, "ab") as file:
        file.write(torn)  # by a run that was killed
    write(path, 4, 9)
    assert read_log(path)["step"].tolist() == list(range(9))
    write(path, 0, 2)  # without a checkpoint it begins anew
    assert read_log(path)["step"].tolist() == [0, 1]


def test_half_a_row_at_the_end_is_no_row(tmp_path):
    path = tmp_path / "log.csv"
    write(path, 0, 3)
    whole = path.read_bytes()
    for size in range(whole.rindex(b"2,0,"), len(whole)):
        path.write_bytes(whole[:size])
        assert read_log(path)["step"].tolist() == [0, 1]


def test_logs_of_windows_are_read(tmp_path):
    (tmp_path / "log.csv").write_bytes(b"step,loss\r\n0,2\r\n20,1\r\n")
    assert read_log(tmp_path / "log.csv")["loss"].tolist() == [2, 1]


@pytest.mark.parametrize("text", [b"", b"step,los", b"step,loss\n"])
def test_a_log_without_rows_is_empty(tmp_path, text):
    (tmp_path / "log.csv").write_bytes(text)
    assert read_log(tmp_path / "log.csv") == {} and math.isnan(minutes_of(tmp_path / "log.csv", 100))
    write(tmp_path / "log.csv", 0, 2)
    assert read_log(tmp_path / "log.csv")["step"].tolist() == [0, 1]


@pytest.mark.parametrize("text", [b"a,b\n1,2\n", b"\xff\n", b"step,loss\n0\n", b"step,loss\n0,x\n", b"\0\n" * 9])
def test_what_is_no_log_is_told_and_stays(tmp_path, text):
    path = tmp_path / "log.csv"
    path.write_bytes(text)
    for read in (read_log, lambda path: write(path, 50, 51)):
        with pytest.raises(DataError, match="log.csv: no training log .*delete it to train on") as error:
            read(path)
        assert "\n" not in str(error.value) and path.read_bytes() == text


def test_minutes_are_those_of_the_median_speed(tmp_path):
    assert math.isnan(minutes_of(tmp_path / "none.csv", 100))
    speeds = np.array([100, 1, 100, 100, 3])
    rows = "".join(f"{step},{speed}\n" for step, speed in enumerate(speeds))
    (tmp_path / "log.csv").write_text("step,images_per_second\n" + rows)
    assert minutes_of(tmp_path / "log.csv", 12_000) == pytest.approx(2)
