"""python -m deepid_lite: the command line."""

import sys

from deepid_lite.cli.faults import end_at_ctrl_c_while_loading, exit_code


def main():
    """Run the command line and end with its exit code; what goes wrong is one line on stderr."""
    end_at_ctrl_c_while_loading()
    sys.exit(exit_code(_run))


def _run():
    from deepid_lite.cli.main import run  # here, so that Ctrl-C while modules are loaded is one line too

    run()


if __name__ == "__main__":
    main()
