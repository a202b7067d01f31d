"""What the benchmarks share: best of several runs, contenders that take turns, a process of its own, one JSON file."""

import multiprocessing
import os
import sys
import time
from pathlib import Path

import threadpoolctl

from deepid_lite.errors import DataError


def one_thread():
    """A context in which BLAS and OpenMP use one thread; ours and what it is compared with then share no cores."""
    return threadpoolctl.threadpool_limits(1)


def best_time(call, repeats, clock=time.process_time):
    """Shortest of `repeats` runs in seconds, and the last result. Processor seconds: a busy machine counts less."""
    shortest = float("inf")
    for _ in range(repeats):
        start = clock()
        result = call()
        shortest = min(shortest, clock() - start)
    return shortest, result


def take_turns(calls, seconds, least=2, most=20):
    """Shortest wall-clock seconds of each of `calls` ({name: function}), which run one after the other in turns.

    So another program that slows the machine down for a while hurts all of them alike. There are as many rounds as fit
    into `seconds`, but `least` at least. A call may return its own seconds; otherwise the clock decides.
    """
    shortest = dict.fromkeys(calls, float("inf"))
    end, done, longest = time.perf_counter() + seconds, 0, 0.0
    while done < least or (done < most and time.perf_counter() + longest < end):
        round_start = time.perf_counter()
        for name, call in calls.items():
            start = time.perf_counter()
            own = call()
            took = own if isinstance(own, float) else time.perf_counter() - start
            shortest[name] = min(shortest[name], took)
        done, longest = done + 1, max(longest, time.perf_counter() - round_start)
    return shortest


class Contender:
    """`target(turn, *arguments)` in a process of its own, where it waits for its turns.

    The target prepares itself and calls `turn(None)`, which returns once it may go on, with what the other side has
    asked; `turn(result)` hands a result over and waits again. It never returns before it is stopped. Memory and the
    settings of its C library are its own, too. Use as a context manager.
    """

    def __init__(self, target, *arguments):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, target, arguments), daemon=True)
        self.process.start()
        theirs.close()
        self.ready = False

    def ask(self, question=None):
        """Let it run until its next result; `answer` waits for that."""
        self.wait()
        self.pipe.send(question)

    def wait(self):
        """Until it has prepared itself: nobody's turn should fall into the preparations of another."""
        if not self.ready:
            self.answer()
            self.ready = True

    def answer(self):
        try:
            return self.pipe.recv()
        except EOFError:
            raise ContenderDied("the process was killed; most often the memory was too small") from None

    def turn(self, question=None):
        self.ask(question)
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pipe.close()
        self.process.join(10)
        self.process.kill()


class ContenderDied(RuntimeError):
    """Its process is gone; where it raised an error, that stands on the terminal."""


def _serve(pipe, target, arguments):
    def turn(result):
        pipe.send(result)
        return pipe.recv()

    try:
        target(turn, *arguments)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the other side has heard enough


def peak_memory():
    """Most bytes of memory that this process has held so far."""
    status = Path("/proc/self/status")
    if status.is_file():  # Linux: getrusage would begin with what the parent held
        return 1024 * next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def write(path, content, **versions):
    """The table with machine, versions and commit; further versions by name."""
    from deepid_lite.files import write_json  # here: it imports much that a contender does not need
    from deepid_lite.results import provenance, sealed

    facts = provenance()
    facts["versions"] |= versions
    write_json(path, sealed(content | {"date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count()} | facts))


def run(main):
    """Call it; what the user got wrong is one line and exit code 2."""
    try:
        sys.exit(main())
    except DataError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
