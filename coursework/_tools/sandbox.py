"""Run one hand-in so that nothing of it is left and nothing else can be touched.

Whatever a command starts is ended with it: the keeper (this file as a script) adopts orphans, as Linux' child
subreaper, and kills until it has no child left, so that a daemon that forked twice and left its session goes, too.
Where the grader is root, each hand-in is a user of its own, who owns one empty folder and nothing else.

Standard library and psutil alone: the same file works here and inside the archive for Gradescope.
"""

import ctypes
import os
import pwd
import random
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from functools import lru_cache
from pathlib import Path

import psutil

GRACE = 5.0  # seconds beyond the last alarm before a cell counts as not to be stopped
CHILD_SUBREAPER, PARENT_DEATH_SIGNAL = 36, 1  # of prctl(2)
PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "OPENBLAS_CORETYPE")
PROBE = """
import importlib.util, subprocess, sys
import otter
assert importlib.util.find_spec("deepid_lite")
subprocess.run([sys.executable, "-c", ""], check=True)  # as otter starts a kernel
"""
stop = threading.Event()  # set by Ctrl-C: what runs is ended


@lru_cache
def apart() -> str:
    """How hand-ins are kept from each other here: "users", "users who read all", or "" for not at all.

    The second is for an interpreter in a closed home, such as /root: its users may read all files, and write none.
    """
    if os.geteuid() == 0 and shutil.which("setpriv"):
        for way in ("users", "users who read all"):
            words = [*as_user(new_user(), way), sys.executable, "-c", PROBE]
            if subprocess.run(words, capture_output=True, cwd="/", env=plain_env() | {"HOME": "/"}).returncode == 0:
                return way
    return ""


def plain_env() -> dict[str, str]:
    """Those of the grader's variables that a notebook needs."""
    env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    if path := os.environ.get("PYTHONPATH"):
        env["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, filter(None, path.split(os.pathsep))))
    return env


def as_user(user: int, way: str) -> list[str]:
    """The words before a command that make it run as `user`, without a way back."""
    words = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs"]
    return words if way == "users" else [*words, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


def new_user() -> int:
    """The number of a user who does not exist and has no process: a hand-in never meets what another one left."""
    while True:
        user = random.randrange(20000, 60000)
        try:
            pwd.getpwuid(user)
        except KeyError:
            if all(process.info["uids"] is None or process.info["uids"].real != user
                   for process in psutil.process_iter(["uids"])):  # fmt: skip
                return user


class Scratch:
    """A folder for one run: `folder` is the grader's and can be read, `work` is the hand-in's own; then both go."""

    def __init__(self, apart=True):
        self.apart = apart

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="grading-"))
        self.work = self.folder / "work"
        self.work.mkdir(mode=0o700)
        self.user = new_user() if self.apart and apart() else 0
        if self.user:
            os.chown(self.folder, 0, self.user)
            os.chown(self.work, self.user, self.user)
            self.folder.chmod(0o750)
        return self

    def __exit__(self, *error):
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, command, progress, limit, deadline, cache=None):
        """`supervise` as this folder's user, with a home of its own and none of the grader's variables."""
        env = plain_env() | dict.fromkeys(("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR"), str(self.work))
        # one thread a notebook, so that two share two cores fairly; no talk of debuggers
        env |= {"OMP_NUM_THREADS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1", "USER": "student", "LOGNAME": "student"}
        env |= {"DEEPID_CACHE": str(cache)} if cache else {}
        before = as_user(self.user, apart()) if self.user else []
        return supervise([*before, *command], progress, limit, deadline, env, self.user)


def supervise(command, progress, limit, deadline, env=None, user=0):
    """Run `command` until it ends or hangs, and end all that it started -> (what went wrong or None, its last words).

    progress: the file that changes while things go on. Silence for three limits is hanging: the alarms of
    limit_cell.txt ring after one and two. user: the user whom the command becomes, 0 if it stays the grader.
    """
    with tempfile.TemporaryFile() as log:
        words = [sys.executable, "-I", os.path.abspath(__file__), str(user), *map(str, command)]
        keeper = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env)
        trouble, last = None, time.time()
        while keeper.poll() is None and trouble is None:
            time.sleep(0.1)
            noted = os.lstat(progress).st_mtime if os.path.lexists(progress) else None
            last = max(last, noted or 0)
            if time.monotonic() > deadline:
                trouble = "took longer than all of the time"
            elif stop.is_set():
                trouble = "was interrupted"
            elif noted and time.time() - last > 3 * limit + GRACE:
                trouble = "could not be stopped"
        keeper.terminate()
        keeper.wait()
        log.seek(max(0, log.seek(0, os.SEEK_END) - 2000))
        return trouble, log.read().decode(errors="replace")


def read_text(path, most=20_000_000) -> str:
    """A file of a folder where a stranger writes, "" unless it is a plain file of a sane length."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), encoding="utf-8") as file:
            facts = os.fstat(file.fileno())
            return file.read() if stat.S_ISREG(facts.st_mode) and facts.st_size <= most else ""
    except (OSError, ValueError):
        return ""


def keep(user: int, command) -> int:
    """Run `command` here and end it with all its descendants, also when this process is told to go."""
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        prctl(CHILD_SUBREAPER, 1)
        prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)  # when the grader was killed
    if user:
        resource.setrlimit(resource.RLIMIT_NPROC, (1000, 1000))  # threads count, too
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        return subprocess.Popen(command, start_new_session=True, cwd=os.environ.get("TMPDIR")).wait()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while have_children():
            kill_all_of(user) if user else kill_children()
            time.sleep(0.005)


def have_children() -> bool:
    """Bury the dead; whether anybody is left. An orphan of a killed child becomes a child, too."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def kill_children():
    for member in psutil.Process().children(recursive=True):
        try:
            member.kill()
        except psutil.Error:
            pass


def kill_all_of(user):
    """One system call for all processes of a user, so that none can fork away from it."""
    if (child := os.fork()) == 0:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
        os.kill(-1, signal.SIGKILL)
        os._exit(0)
    os.waitpid(child, 0)


if __name__ == "__main__":
    sys.exit(keep(int(sys.argv[1]), sys.argv[2:]))
