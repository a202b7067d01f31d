"""Run a twin as a stranger would: from an empty folder, in a kernel that has the package but no Sphinx.

python book/_tools/run_twin.py book/01_faces.ipynb
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

# Runs at the start of the kernel, before any cell: the book's own tools look as if they were not installed.
BLOCKER = """
import sys

class _Absent:
    names = {"sphinx", "myst_nb", "myst_parser", "jupyter_book", "jupytext", "sphinx_exercise"}

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r} (a twin must do without)", name=name)

sys.meta_path.insert(0, _Absent())
"""


def plain_ipython(folder: Path) -> dict:
    """An environment in which kernels read no start-up file of the user and do not warn of local sockets."""
    profile = folder / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text("get_config().IPKernelApp.log_level = 40\n")
    return os.environ | {"IPYTHONDIR": str(folder)}


def run_twin(notebook, timeout: int = 400) -> float:
    """Execute every cell of `notebook` (changed in place) and return the seconds it took.

    Raises nbclient's CellExecutionError when a cell fails, CellTimeoutError when one takes over
    `timeout` seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        hook, work = Path(folder, "hook"), Path(folder, "empty")
        hook.mkdir()
        work.mkdir()
        (hook / "sitecustomize.py").write_text(BLOCKER, encoding="utf-8")
        environment = plain_ipython(Path(folder, "ipython")) | {"PYTHONPATH": str(hook)}
        client = NotebookClient(
            notebook, timeout=timeout, kernel_name="python3", resources={"metadata": {"path": str(work)}}
        )
        start = time.perf_counter()
        client.execute(env=environment)
        return time.perf_counter() - start


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"{name}: {run_twin(nbformat.read(name, as_version=4)):.1f} s")
