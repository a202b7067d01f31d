"""What a recorded number needs beside it: code, versions, machine; and a JSON file that is complete or absent."""

import json
import os
import platform
import subprocess
from pathlib import Path

import numpy as np
import scipy
import sklearn
import torch

from deepid_lite import __version__
from deepid_lite.errors import DataError


def provenance(device="cpu"):
    """Device, versions and, in a clone, the commit that ran (with "+" where files were changed since)."""
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else f"{_processor()}, {os.cpu_count()} cores",
        "versions": {
            "deepid_lite": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "scikit-learn": sklearn.__version__,
        },
        "commit": _commit(),
    }


def write_json(path, content):
    """Write a dict beside `path`, then rename."""
    path = Path(path)
    beside = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(content, indent=1) + "\n")
        os.replace(beside, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); choose another place") from None


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _commit():
    def git(*words):
        done = subprocess.run(["git", "-C", Path(__file__).parent, *words], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        head = git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if head and git("status", "--porcelain", "--untracked-files=no", ".") else "") or None
    except OSError:
        return None  # no git here
