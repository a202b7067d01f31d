"""What commands print: every text on every terminal, in lines that stay lines."""

import io
import json
import os
import sys

import pytest

from deepid_lite.cli.output import printable, report, say
from deepid_lite.errors import DataError
from deepid_lite.results import read_record

NAMES = [
    "Zoë",
    "\x1b[2J\x1b]0;title\x07",
    "two\nlines",
    "caf\udce9",
    "\u202eevil",
    "李小龍",
    "a\u2028b",
    "\x9b31m",
    "日本\x00",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays_on_its_line_and_moves_no_cursor(name):
    shown = printable(name)
    assert shown.isprintable() and len(shown.splitlines()) == 1
    assert printable(shown) == shown


def test_what_a_terminal_can_show_stays_as_it_is():
    assert [printable(name) for name in ("Zoë", "李小龍", "a b\\c")] == ["Zoë", "李小龍", "a b\\c"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("name", NAMES)
def test_every_encoding_can_say_it(name, encoding):
    raw = io.BytesIO()
    terminal = io.TextIOWrapper(raw, encoding=encoding)
    say(name, terminal)
    said = raw.getvalue().decode(encoding)
    assert said.endswith("\n") and not set(said) & {"\x1b", "\x07", "\x9b", "\u202e"}


def test_a_table_keeps_its_lines():
    file = io.StringIO()
    say("a\tb\nc\td", file)
    assert file.getvalue() == "a\tb\nc\td\n"


def test_a_closed_pipe_is_one_line(monkeypatch):
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        with pytest.raises(DataError) as error:
            say("nobody reads this")
        monkeypatch.undo()
    assert len(str(error.value).splitlines()) == 1


def test_an_error_that_nobody_reads_is_no_further_error(monkeypatch):
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as pipe:
        monkeypatch.setattr(sys, "stderr", pipe)
        say("nobody reads this", sys.stderr)
        monkeypatch.undo()


def test_json_on_standard_output_is_nothing_but_json(tmp_path, capsys):
    content = {"name": NAMES[1], "value": float("nan")}
    report("in words", content, "-")
    written = capsys.readouterr().out
    report("in words", content, tmp_path / "a.json")
    assert capsys.readouterr().out == "in words\n"
    assert json.loads((tmp_path / "a.json").read_text()) == json.loads(written)
    assert read_record(tmp_path / "a.json", "") == {"name": NAMES[1], "value": None}
    report("in words", content)
    assert capsys.readouterr().out == "in words\n"
