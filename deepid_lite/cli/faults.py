"""What goes wrong, in one line: exit code 2 for what a user can mend, 1 for the system, 130 after Ctrl-C."""

import errno
import os
import sys
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path

from deepid_lite.cli.output import printable, say
from deepid_lite.errors import DataError

OF_THE_SYSTEM = {
    errno.ENOSPC: "free some disk space",
    errno.EDQUOT: "free some disk space",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "end some programs",
    errno.EAGAIN: "end some programs, or raise the limit of processes (ulimit -u)",
    errno.ENOMEM: "free some memory",
    errno.EIO: "the disk is damaged or was taken out",
}
NO_MEMORY = ("out of memory", "allocate memory", "bad_alloc")  # in the words of torch and C++
PROCESSES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")  # set by torchrun


def exit_code(work):
    """Run the function; whatever it raises is one line on stderr. DEEPID_TRACEBACK=1 shows the traceback before it."""
    try:
        for name in PROCESSES:
            if not os.environ.get(name, "0").isdecimal():
                raise DataError(f"{name}={os.environ[name]}: no number; unset it, or start with torchrun")
        work()
        with suppress(AttributeError):  # a closed standard output is None
            sys.stdout.flush()
        return 0
    except SystemExit as stop:
        return stop.code
    except BaseException as error:
        _silence(sys.stdout)
        if type(error).__name__ == "NoArgsIsHelpError":  # `deepid search` alone
            print(error, file=sys.stderr)
            return 2
        if not hasattr(error, "format_message") and hasattr(error, "exit_code"):  # typer's way to end after --help
            return error.exit_code
        if os.environ.get("DEEPID_TRACEBACK"):
            traceback.print_exc()
        line, code = explain(error)
        if not isinstance(error.__context__ or error, BrokenPipeError):  # `| head` has read enough
            say(f"deepid: {printable(' '.join(line.split()))}", sys.stderr)
        return code


def explain(error):
    """One line that names the file or value and the remedy, and the exit code, for any exception."""
    text = str(error)
    if isinstance(error, DataError):
        return text, 2
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted; {text or 'the same command starts again'}", 130
    if hasattr(error, "format_message"):  # typer's words for a wrong option
        return (
            f"{error.format_message().rstrip('.')}; see {error.ctx.command_path if error.ctx else 'deepid'} --help",
            2,
        )
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(w in text for w in NO_MEMORY)):
        return "the memory is too small; use fewer images, a smaller net or a smaller --batch-size", 1
    if isinstance(error, RuntimeError) and "start new thread" in text:
        return "no further thread can be started; end some programs, or raise the limit of processes (ulimit -u)", 1
    if isinstance(error, RuntimeError) and "home directory" in text:
        return "no home folder is known; set HOME, or write paths out without ~", 2
    if isinstance(error, RecursionError):
        return "a file is nested too deeply to be read; make it flatter", 2
    if isinstance(error, UnicodeError):
        return f"{text}; save the file as UTF-8, or rename it", 2
    if isinstance(error, OSError) and error.errno:
        remedy, code = OF_THE_SYSTEM.get(error.errno), 1
        if remedy is None:
            remedy, code = "check the path and its rights", 2
        return f"{error.filename or 'the system'}: {error.strerror}; {remedy}", code
    return f"{type(error).__name__}: {text[:300]}; set DEEPID_TRACEBACK=1 to see where", 1


@contextmanager
def resumable(folder):
    """Ctrl-C in this block says what the folder of the run keeps."""
    try:
        yield
    except KeyboardInterrupt:
        kept = any(Path(folder).rglob("*.safetensors"))
        again = f"goes on from what {folder} holds" if kept else "starts again, as nothing was saved yet"
        raise KeyboardInterrupt(f"the same command {again}") from None


def _silence(file):
    """Python flushes once more when it ends; what cannot be written then is not complained about twice."""
    try:
        file.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
    except (AttributeError, ValueError):
        pass  # it is closed
