"""python -m deepid_lite: the command line."""

import os
import signal
import sys


def main():
    """Run the command line and end with its exit code; what goes wrong is one line on stderr."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell's & ignores Ctrl-C
        signal.signal(signal.SIGINT, _interrupted)
    from deepid_lite.cli.faults import exit_code  # here, so that Ctrl-C while modules are loaded is one line too

    sys.exit(exit_code(_run))


def _run():
    from deepid_lite.cli.main import run

    run()


def _interrupted(number, frame):
    """Ctrl-C: an exception, but the end at once while a module is loaded: torch's C++ aborts at an exception there."""
    while frame:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            os.write(2, b"deepid: interrupted; the same command starts again\n")
            os._exit(130)
        frame = frame.f_back
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
