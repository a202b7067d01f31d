"""Face search: milliseconds a query and recall, for codes by NumPy, by faiss, and beside them an index of real numbers.

    python benchmarks/search.py [--json book/results/lite/search.json] [--faces 1000000] [--quick]

A million simulated faces, ten of each person: 32 normal numbers for the person and as many for the image, a random
linear map to 512 neurons, rectified. Their codes are 64 bytes a face, the real features 2,048. A query is another
image of one of the people; its recall is the share of that person's ten faces among the ten that were found. Queries
come a hundred at a time. One thread; processor seconds, so that a busy machine counts less; best of several
runs. "codes, ours" is `codes.search` with faiss installed: the same answers as NumPy's.
"""

import argparse

import numpy as np
from _timing import best_time, one_thread, run, write

from deepid_lite.errors import DataError
from deepid_lite.neurons import codes

EACH, NEURONS, LATENT, NOISE = 10, 512, 32, 0.6
K, BATCH = 10, 100
LISTS, PROBES = 512, (1, 4, 16, 64)


def simulate(n_faces, seed=0):
    """(features (n, 512), queries (100, 512), the query's person (100,)); face i is of person i // 10."""
    rng = np.random.default_rng(seed)
    neurons = rng.standard_normal((LATENT, NEURONS)).astype(np.float32) / np.sqrt(LATENT)
    people = rng.standard_normal((n_faces // EACH, LATENT), dtype=np.float32)
    features = np.empty((len(people) * EACH, NEURONS), np.float32)
    for start in range(0, len(people), 2000):
        who = np.repeat(people[start : start + 2000], EACH, axis=0)
        who += NOISE * rng.standard_normal(who.shape, dtype=np.float32)
        np.maximum(who @ neurons, 0, out=features[start * EACH : start * EACH + len(who)])
    asked = rng.choice(len(people), BATCH, replace=False)
    noise = NOISE * rng.standard_normal((BATCH, LATENT), dtype=np.float32)
    return features, np.maximum((people[asked] + noise) @ neurons, 0), asked


def normalised(features):
    """Rows of length one, in place: a million of them are two gigabytes."""
    for start in range(0, len(features), 10000):
        block = features[start : start + 10000]
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return features


def reranked(candidates, features, queries):
    """The K candidates with the largest cosine; candidates (Q, C) -> (Q, K)."""
    cosine = np.einsum("qcd,qd->qc", features[candidates], queries)
    return np.take_along_axis(candidates, np.argsort(-cosine, axis=1, kind="stable")[:, :K], 1)


def by_product(features, queries):
    """The K faces with the largest cosine, by a matrix product a block: (Q, K)."""
    best, place = np.full((BATCH, 0), 0, np.float32), np.zeros((BATCH, 0), np.int64)
    for start in range(0, len(features), 16384):
        cosine = queries @ features[start : start + 16384].T
        new = np.argpartition(-cosine, K, axis=1)[:, :K]
        best = np.concatenate([best, np.take_along_axis(cosine, new, 1)], axis=1)
        place = np.concatenate([place, new + start], axis=1)
    return np.take_along_axis(place, np.argsort(-best, axis=1, kind="stable")[:, :K], 1)


def methods(faiss, features, queries, gallery, asked):
    """(name, bytes a face, function -> indices (Q, K)) of each way to search."""
    n_bytes, real = gallery.shape[1], features.shape[1] * 4
    yield "codes, NumPy", n_bytes, lambda: codes.search(gallery, asked, K, "numpy")[1]
    yield "codes, ours", n_bytes, lambda: codes.search(gallery, asked, K)[1]
    flat = faiss.IndexBinaryFlat(8 * n_bytes)
    flat.add(gallery)
    yield "codes, faiss", n_bytes, lambda: flat.search(asked, K)[1]
    for c in (50, 200):
        yield (
            f"codes, then {c} by real features",
            n_bytes + real,
            lambda c=c: reranked(codes.search(gallery, asked, c)[1], features, queries),
        )
    quantiser = faiss.IndexBinaryFlat(8 * n_bytes)
    lists = faiss.IndexBinaryIVF(quantiser, 8 * n_bytes, min(LISTS, len(gallery) // 40))
    lists.train(gallery[:: max(1, len(gallery) // 20000)])
    lists.add(gallery)
    for probes in PROBES:

        def in_lists(probes=probes):
            lists.nprobe = probes
            return lists.search(asked, K)[1]

        yield f"codes, {probes} of {lists.nlist} lists", n_bytes, in_lists
    yield "real features, NumPy", real, lambda: by_product(features, queries)
    yield "real features, faiss", real, lambda: faiss.knn(queries, features, K, metric=faiss.METRIC_INNER_PRODUCT)[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="write the table and the machine there")
    parser.add_argument("--faces", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="20,000 faces")
    options = parser.parse_args()
    faiss = codes.faiss()
    if faiss is None:
        raise DataError("faiss is not installed, and it is what is compared with: pip install faiss-cpu")
    faiss.omp_set_num_threads(1)

    features, queries, people = simulate(20_000 if options.quick else options.faces)
    gallery, asked = codes.pack(codes.binarise(features)), codes.pack(codes.binarise(queries))
    features, queries = normalised(features), normalised(queries)
    print(f"{len(gallery):,} faces, codes {gallery.nbytes / 1e6:.0f} MB, real features {features.nbytes / 1e6:,.0f} MB")
    rows = []
    for name, n_bytes, call in methods(faiss, features, queries, gallery, asked):
        seconds, found = best_time(call, 5 if options.quick else 3)
        milliseconds = 1000 * seconds / BATCH
        recall = np.mean(found // EACH == people[:, None])
        rows.append({"method": name, "bytes": n_bytes, "ms": round(milliseconds, 4), "recall": round(100 * recall, 2)})
        print(f"{name:32}{n_bytes:6} bytes{milliseconds:10.3f} ms a query   recall {100 * recall:6.2f} %", flush=True)
    by_name = {row["method"]: row["ms"] for row in rows}
    ratio = by_name["codes, ours"] / by_name["codes, faiss"]
    print(f"ours / faiss: {ratio:.2f}")
    if options.json:
        table = {"faces": len(gallery), "batch": BATCH, "k": K, "threads": 1, "ratio": round(ratio, 3), "rows": rows}
        write(options.json, table, faiss=faiss.__version__)


if __name__ == "__main__":
    with one_thread():
        run(main)
