"""Writing files that are whole or not there, and JSON that every parser reads."""

import glob
import json
import math
import os
import shutil
import stat
import sys
import tempfile
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from deepid_lite.errors import DataError


@contextmanager
def replacing(path):
    """A temporary path that takes the place of `path` when the block ends without an error: whole or not at all.

    A link goes on pointing to its file. What is no file (a pipe, a terminal, anything below /dev) is written to as it
    is. Raises DataError with one line where it cannot be written, and leaves nothing behind.
    """
    path, part = Path(path), None
    try:
        direct = _is_stream(path)
        target = path if direct else Path(os.path.realpath(path))
        folder = Path(tempfile.gettempdir()) if direct else target.parent
        folder.mkdir(parents=True, exist_ok=True)
        sweep(target)
        part = folder / f".{target.stem}.{os.getpid()}.part{target.suffix}"
        yield part
        if direct:
            with open(part, "rb") as source, open(target, "wb") as stream:
                shutil.copyfileobj(source, stream)
        else:
            _sync(part)
            os.replace(part, target)
            _sync(folder)
    except OSError as error:
        why = f"{path}: cannot be written ({error.strerror or error})"
        raise DataError(f"{why}; free some disk space or choose another place") from None
    finally:
        if part is not None and os.path.lexists(part):
            part.unlink()


def sweep(path):
    """Remove the temporary files that killed processes left beside `path`."""
    path = Path(path)
    for part in path.parent.glob(f"{glob.escape('.' + path.stem)}.*.part{glob.escape(path.suffix)}"):
        if not _alive(int(part.name.removesuffix(f".part{path.suffix}").rpartition(".")[2])):
            part.unlink(missing_ok=True)


@contextmanager
def reading(path, remedy="check the path and its rights"):
    """A file that a user named, open for reading bytes; DataError, ending with the remedy, where it cannot be read.

    A pipe or a device, which may never end, is refused.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise IsADirectoryError(0, "it is a folder" if os.path.isdir(path) else "it is no plain file")
        with open(path, "rb") as file:
            yield file
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; {remedy}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); {remedy}") from None


def read_bytes(path, remedy="check the path and its rights"):
    """All bytes of a file that a user named; see `reading`."""
    with reading(path, remedy) as file:
        return file.read()


def shipped(name):
    """The path of a small file that the package carries."""
    return Path(str(resources.files("deepid_lite") / "shipped" / name))


@contextmanager
def locked(path):
    """Hold a file for this block alone; it is made where there is none, and free again when the process is killed.

    DataError where another process, or another block of this one, holds it.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "ab")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); choose another place") from None
    with file:
        try:
            _lock(file)
        except (BlockingIOError, PermissionError):
            raise DataError(f"{path}: another run is writing here; wait for its end or take another folder") from None
        except OSError:
            pass  # a file system without locks
        yield


def write_json(path, content):
    """Write a dict as JSON; numbers that are not finite, which JSON lacks, become null."""
    with replacing(path) as part:
        part.write_text(as_json(content) + "\n", encoding="utf-8")


def as_json(content):
    """The text that `write_json` writes."""
    return json.dumps(finite(content), indent=1, allow_nan=False)


def read_json(path, remedy):
    """The dict in a JSON file; DataError, ending with the remedy, where there is none or it is damaged."""
    stored = read_bytes(path, remedy)
    try:
        content = json.loads(stored.decode())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON ({str(error)[:80]}); {remedy}") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds a {type(content).__name__}, not a table of results; {remedy}")
    return content


def _lock(file):
    if sys.platform == "win32":
        import msvcrt

        file.seek(2**30)  # one byte far behind the end: the file itself can be read meanwhile
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_stream(path):
    """Is it there and no regular file? Through /dev even a file is an open stream, whose place must not change."""
    if not os.path.exists(path):
        return False
    if path.is_dir():
        raise IsADirectoryError(0, "it is a folder")
    return path.absolute().parts[1:2] in (("dev",), ("proc",)) or not stat.S_ISREG(os.stat(path).st_mode)


def _sync(path):
    """Ask the system to put a file's bytes, or a folder's names, on the disk."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _alive(process):
    if os.name == "nt":  # where signal 0 would end it
        return True
    try:
        os.kill(process, 0)  # signal 0 only asks
    except OSError:
        return False
    return True


def finite(content):
    """The same dict, list or value as JSON has it: None for a number that is not finite, broken text escaped."""
    if isinstance(content, dict):
        return {finite(str(key)): finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [finite(value) for value in content]
    if isinstance(content, str):
        return content.encode(errors="backslashreplace").decode()
    return None if isinstance(content, float) and not math.isfinite(content) else content
