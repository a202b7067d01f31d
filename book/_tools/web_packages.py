"""npm packages that the book's pages serve, and that its browser tests use, in the versions that `web/` locks.

`web/package-lock.json` holds a checksum of every package and no address: npm asks the registry that it is set up for
and refuses a package with another checksum. No script of a package is run.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

LISTS = tuple(Path(__file__).parent / "web" / name for name in ("package.json", "package-lock.json"))
TARGET = Path(__file__).resolve().parents[2] / "_build" / "web"


class PackagesMissing(RuntimeError):
    """npm is not installed, or it could not get the packages: one line that says which."""


def folder(target: Path = TARGET) -> Path:
    """`target`/node_modules with exactly what the lock names; npm runs only when the lists have changed."""
    mark = hashlib.sha256(b"\0".join(path.read_bytes() for path in LISTS)).hexdigest()
    stamp = target / "installed"
    if not (stamp.is_file() and stamp.read_text() == mark):
        _install(target)
        stamp.write_text(mark)  # last: an interrupted installation starts again
    return target / "node_modules"


def _install(target):
    npm = shutil.which("npm")
    if npm is None:
        raise PackagesMissing("npm is not installed: get Node.js 18 or newer to build the pages that need its packages")
    target.mkdir(parents=True, exist_ok=True)
    (target / "installed").unlink(missing_ok=True)
    for path in LISTS:
        shutil.copyfile(path, target / path.name)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=target, capture_output=True, text=True, timeout=600)
        failed, said = done.returncode, done.stderr.strip()
    except subprocess.TimeoutExpired:
        failed, said = True, "no answer within ten minutes"
    if failed:
        first = next((line for line in said.splitlines() if line.strip()), "no message")
        raise PackagesMissing(f"npm ci failed ({first}): check the network or npm's registry, then build again")


if __name__ == "__main__":
    try:
        print(folder())
    except PackagesMissing as error:
        print(f"web_packages: {error}", file=sys.stderr)
        sys.exit(1)
