"""Speed: one table of ratios, measured side by side in one run of less than ten minutes on two cores.

    python benchmarks/bench.py [--quick] [--only ROW] [--json FILE]        (or `make bench`)

Ours takes turns with what it is compared with, best of several, so that a busy machine hurts both alike. A ratio of 2
is twice as fast; a share of a roof is what we reach of the machine's own matrix products in that precision. Pictures
are noise. A full run is recorded in book/results/lite/speed.json, which the book's page on speed shows; with --quick
(tiny nets, to see that it all runs) or --only nothing is recorded unless --json says where. Rows that need a GPU say
so where there is none. There is no `deepid bench`: benchmarks/ is in a clone and not in the installed package.
"""

import argparse
import time

from _timing import run, write

HEADER = f"{'':46}{'ours':>11}  {'unit':11}{'against':36}{'theirs':>11}{'ratio':>10}"


def number(x):
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


def line(found):
    """A row as it is printed."""
    if "note" in found:
        return f"{found['name']:46}{found['note']}"
    values = [number(found[key]) for key in ("ours", "theirs", "ratio")]
    return f"{found['name']:46}{values[0]:>11}  {found['unit']:11}{found['against']:36}{values[1]:>11}{values[2]:>9}x"


def main():
    # imported here: the processes that the rows start read this file again, and should not wait for all of it
    import torch
    from rows import QUICK, ROWS, Sizes

    from deepid_lite.results import recorded

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="where to record it (a full run: the file that the book shows)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run? The numbers mean nothing")
    parser.add_argument("--only", metavar="ROW", action="append", choices=ROWS, help=f"one of {', '.join(ROWS)}")
    options = parser.parse_args()
    sizes = QUICK if options.quick else Sizes()
    path = options.json or (None if options.quick or options.only else recorded("speed", "lite"))

    start = time.perf_counter()
    threads = torch.get_num_threads()
    content = {"threads": threads, "quick": options.quick, "rows": [], "details": {}}
    print(HEADER, flush=True)
    for name in options.only or ROWS:
        began = time.perf_counter()
        rows, details = ROWS[name](sizes)
        content["rows"] += [{"group": name, **found} for found in rows]
        content["details"][name] = details
        content.setdefault("seconds", {})[name] = round(time.perf_counter() - began, 1)
        print("\n".join(line(found) for found in rows), flush=True)
    content["seconds"]["all"] = round(time.perf_counter() - start, 1)
    print(f"{content['seconds']['all']:.0f} seconds with {threads} threads")
    if path:
        version = (content["details"].get("search") or {}).get("version")
        write(path, content, **({"faiss": version} if version else {}))


if __name__ == "__main__":
    run(main)
