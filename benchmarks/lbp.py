"""High-dimensional LBP: faces a second, and what one pass over LFW and one fit of PCA take.

    python benchmarks/lbp.py [--json out.json] [--faces 200] [--rows 2000]

The pictures are noise: the work does not depend on what they show. Wall-clock seconds are those of this machine as busy
as it is; processor seconds stand beside them, because a busy machine counts less in them. "If quiet" divides those by
the threads: what a pass takes when every thread has a core to itself (a lower bound, a little is done in turn).
"""

import argparse
import os
import time

import numpy as np
import skimage
from _timing import one_thread, run, write
from PIL import Image
from skimage.feature import local_binary_pattern

from deepid_lite.faces.alignment import FRAME
from deepid_lite.verification.lbp import CELL, CELLS, CODES, LARGEST, LEVELS, POINTS_21, SWEEP, GramPCA, describe

LFW = 13_233


def seconds(call):
    """Wall-clock and processor seconds of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def noise(n):
    """Pictures (n, 144, 128, 3) of nothing."""
    return np.random.default_rng(0).integers(0, 256, (n, *FRAME, 3), dtype=np.uint8)


def cell_by_cell(images):
    """`describe` as one writes it first: the codes of the whole picture, then a histogram for each cell."""
    rows = []
    for image in images:
        grey, maps = Image.fromarray(image).convert("L").resize(LARGEST[::-1], Image.Resampling.BICUBIC), []
        for level in range(LEVELS):
            size = tuple(round(side / 2 ** (level / 2)) for side in LARGEST)
            small = np.asarray(grey.resize(size[::-1], Image.Resampling.BICUBIC))
            padded = np.pad(small, CELL * CELLS, mode="edge")  # the corner of a point's patch may lie outside
            maps.append((size, local_binary_pattern(padded, P=8, R=1, method="nri_uniform").astype(np.uint8)))
        for point in POINTS_21:
            for size, codes in maps:
                left, top = np.rint(point * (size[1] / FRAME[1], size[0] / FRAME[0])).astype(int) + CELL * CELLS // 2
                for y in range(top, top + CELL * CELLS, CELL):
                    for x in range(left, left + CELL * CELLS, CELL):
                        cell = codes[y : y + CELL, x : x + CELL]
                        rows.append(np.histogram(cell, bins=CODES, range=(0, CODES))[0])
    return np.array(rows, np.uint8).reshape(len(images), -1)


def describing(n):
    faces = noise(n)
    describe(faces[:8], progress=False)  # first call: imports, caches
    cores = os.cpu_count() or 1
    cases = [(*SWEEP[-1], workers) for workers in dict.fromkeys((1, min(cores, 2), min(cores, 8)))]
    for name, points, scales, workers in cases + [(*case, min(cores, 2)) for case in SWEEP[:-1]]:
        wall, processor = seconds(
            lambda points=points, scales=scales, workers=workers: describe(faces, points, scales, workers, False)
        )
        yield dict(
            what=name, threads=workers, faces_per_second=n / wall, processor_ms_a_face=1000 * processor / n,
            lfw_pass_minutes=LFW * wall / n / 60, lfw_pass_minutes_if_quiet=LFW * processor / n / workers / 60,
        )  # fmt: skip


def fitting(n):
    rng = np.random.default_rng(0)
    counts = rng.multinomial(100, np.full(59, 1 / 59), size=(n, 21 * 5 * 16)).astype(np.uint8).reshape(n, -1)
    pca = GramPCA(400)
    fit, fit_processor = seconds(lambda: pca.fit(counts))
    transform, transform_processor = seconds(lambda: pca.transform(counts[:500]))
    return dict(
        rows=n, columns=counts.shape[1], fit_seconds=fit, fit_processor_seconds=fit_processor,
        transform_ms_a_face=2 * transform, transform_processor_ms_a_face=2 * transform_processor,
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="write the numbers and the machine there")
    parser.add_argument("--faces", type=int, default=200, metavar="N", help="faces to describe")
    parser.add_argument("--rows", type=int, default=2000, metavar="N", help="rows to fit PCA on, 500 or more; 0: none")
    options = parser.parse_args()

    print(f"{'descriptor':28}{'threads':>8}{'faces/s':>9}{'CPU ms/face':>13}{'LFW min':>9}{'if quiet':>10}")
    rows = []
    for row in describing(options.faces):
        rows.append(row)
        print(
            f"{row['what']:28}{row['threads']:8}{row['faces_per_second']:9.1f}{row['processor_ms_a_face']:13.1f}"
            f"{row['lfw_pass_minutes']:9.1f}{row['lfw_pass_minutes_if_quiet']:10.1f}",
            flush=True,
        )
    pca = fitting(options.rows) if options.rows else None
    if pca:
        print(
            f"GramPCA(400) on {pca['rows']} x {pca['columns']}: fit {pca['fit_seconds']:.1f} s "
            f"({pca['fit_processor_seconds']:.1f} s processor), transform {pca['transform_ms_a_face']:.1f} ms a face "
            f"({pca['transform_processor_ms_a_face']:.1f} ms processor), one BLAS thread"
        )
    if options.json:
        write(options.json, {"blas_threads": 1, "lbp": rows, "pca": pca}, skimage=skimage.__version__)


if __name__ == "__main__":
    with one_thread():
        run(main)
