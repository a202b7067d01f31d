"""Files are whole or not there; JSON is JSON everywhere."""

import errno
import json
import os
import stat
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepid_lite import files, tensors
from deepid_lite.errors import DataError
from deepid_lite.files import as_json, read_bytes, read_json, replacing, write_json


def test_an_error_in_the_block_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as part:
        part.write_text("half")
        raise ZeroDivisionError
    with pytest.raises(DataError, match="No space left"), replacing(path) as part:
        part.write_text("half")
        raise OSError(28, "No space left on device")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_keeps_the_ending(tmp_path):
    with replacing(tmp_path / "new" / "a.png") as part:
        assert part.suffix == ".png" and part.parent == tmp_path / "new"
        part.write_text("x")
    assert (tmp_path / "new" / "a.png").read_text() == "x"


def test_a_link_keeps_pointing_at_its_file(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "there" / "real.json")
    for content in ({"a": 1}, {"a": 2}):
        write_json(tmp_path / "link.json", content)
        assert (tmp_path / "link.json").is_symlink()
        assert read_json(tmp_path / "there" / "real.json", "") == content


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    write_json(pipe, {"a": 1})
    reader.join(10)
    assert json.loads(got[0]) == {"a": 1} and stat.S_ISFIFO(pipe.stat().st_mode)


def test_standard_output_as_a_file_is_written_to_in_its_place(tmp_path):
    code = "from deepid_lite.files import write_json; write_json('/dev/stdout', {'a': 1})"
    out = tmp_path / "out.txt"
    with open(out, "w") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True)
    piped = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert json.loads(out.read_text()) == json.loads(piped) == {"a": 1}


@pytest.mark.parametrize("place", [".", "file/below", "x" * 300])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written") as caught:
        write_json(tmp_path / place, {})
    assert "\n" not in str(caught.value) and sorted(os.listdir(tmp_path)) == ["file"]


numbers = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text()
contents = st.recursive(numbers, lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=20)


@given(st.dictionaries(st.text(), contents))
def test_json_comes_back_and_is_strict(tmp_path_factory, content):
    def expected(x):
        if isinstance(x, dict):
            return {key: expected(value) for key, value in x.items()}
        if isinstance(x, list):
            return [expected(value) for value in x]
        return x if not isinstance(x, float) or abs(x) < float("inf") else None

    path = tmp_path_factory.mktemp("json") / "a.json"
    write_json(path, content)
    assert read_json(path, "") == expected(content)
    json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.mark.parametrize(
    "damaged", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000, b'{"a": ' + b"1" * 5000 + b"}", b'"text"']
)
def test_a_damaged_file_is_one_line_with_the_remedy(tmp_path, damaged):
    (tmp_path / "a.json").write_bytes(damaged)
    with pytest.raises(DataError, match="a.json.*restore it") as caught:
        read_json(tmp_path / "a.json", "restore it")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_or_unreadable_is_not_called_damaged(tmp_path):
    with pytest.raises(DataError, match="no such file; restore it"):
        read_json(tmp_path / "none.json", "restore it")
    with pytest.raises(DataError, match="cannot be read .it is a folder"):
        read_json(tmp_path, "restore it")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_what_the_system_does_not_give_is_not_called_damaged(tmp_path, monkeypatch, number):
    def closed(path, mode):  # root may open everything
        raise OSError(number, os.strerror(number), str(path))

    write_json(tmp_path / "a.json", {})
    tensors.save(tmp_path / "a.safetensors", {}, {})
    monkeypatch.setattr(files, "open", closed, raising=False)
    for read in (
        lambda: read_json(tmp_path / "a.json", "ask its owner"),
        lambda: tensors.load(tmp_path / "a.safetensors"),
    ):
        with pytest.raises(DataError, match="cannot be read") as caught:
            read()
        assert os.strerror(number) in str(caught.value) and "delete" not in str(caught.value)


def test_a_pipe_or_a_device_is_not_read(tmp_path):
    """They may never end, and so would the command."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(DataError, match="cannot be read .it is no plain file") as caught:
            read_bytes(path)
        assert "\n" not in str(caught.value)


def test_text_that_no_encoding_holds_is_escaped():
    assert json.loads(as_json({"caf\udce9": ["\udce9", "é"]})) == {"caf\\udce9": ["\\udce9", "é"]}
