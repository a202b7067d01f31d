"""What commands print: any text on any terminal, into a pipe that ends, onto a disk that is full."""

import os
import sys
import unicodedata
from contextlib import suppress

from deepid_lite.errors import DataError
from deepid_lite.files import as_json, write_json
from deepid_lite.results import sealed

HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # what moves the cursor, ends a line or changes the direction of writing


def printable(text, keep=""):
    """The text in one line: control characters and what no encoding holds are escaped, but those in `keep`."""
    return "".join(
        ascii(letter)[1:-1] if unicodedata.category(letter) in HIDDEN and letter not in keep else letter
        for letter in str(text)
    )


def say(text="", file=None):
    """Print lines to standard output, or to `file`. Names that others gave go through `printable` before.

    What the terminal cannot show is escaped. Raises DataError where nobody can read it: a closed pipe, a full disk.
    """
    file = sys.stdout if file is None else file
    encoding = getattr(file, "encoding", None) or "utf-8"
    shown = printable(text, keep="\n\t").encode(encoding, "backslashreplace").decode(encoding)
    try:
        print(shown, file=file, flush=True)
    except OSError as error:
        with suppress(OSError):  # or Python complains once more when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
        if file is not sys.stderr:
            raise DataError(f"standard output: cannot be written ({error.strerror}); check where it goes") from None


def report(text, content, json=None):
    """Say the text, and write `content` where --json says; "-" is standard output, which then holds JSON alone."""
    if str(json) == "-":
        say(as_json(sealed(content)))
        return
    if json is not None:
        write_json(json, sealed(content))
    say(text)
