"""Binary codes: which neurons are active, as bits; their Hamming distance, and exact search among millions of them.

A neuron is active where its rectified feature is above 0 [DeepID2+, sections 1 and 5.1]. One bit a neuron: 512 neurons
are 64 bytes, and 128 bytes with the flip's, where the float features take 2,048 and 4,096.

`bits` are bool (N, B), `codes` are the same bits packed: uint8 (N, B / 8). **Bit order**: bit i is bit i mod 8 of byte
i // 8, the lowest first. faiss packs float vectors in this order. A Hamming distance does not depend on it, as long as
all codes follow one.
"""

from functools import lru_cache

import numpy as np

from deepid_lite.errors import DataError, checked_features

BLOCK = 1 << 20  # bytes of codes that are compared at a time: they stay in the processor's cache
ORDERS = ("random", "entropy", "variance")


def binarise(features, threshold=0.0):
    """Features (N, D) -> bits, bool (N, D): true where a feature is above the threshold, a number or (D,)."""
    return _rows(features) > threshold


def pack(bits):
    """Bits, bool or 0/1 (N, B), B a multiple of 8 -> codes, uint8 (N, B / 8)."""
    bits = np.asarray(bits)
    if bits.ndim != 2 or not bits.shape[1] or bits.shape[1] % 8:
        raise DataError(f"bits {bits.shape}: give (N, B) with B a multiple of 8; pad with columns of zeros")
    if bits.dtype != bool:
        if not np.isin(bits, (0, 1)).all():
            raise DataError("bits: values other than 0 and 1; binarise the features first")
        bits = bits.astype(bool)
    return np.packbits(bits, axis=1, bitorder="little")


def unpack(codes):
    """Codes, uint8 (N, B / 8) -> bits, bool (N, B)."""
    return np.unpackbits(checked(codes), axis=1, bitorder="little").astype(bool)


def hamming(a, b):
    """Numbers of unequal bits of all pairs of codes: uint8 (Na, B / 8), (Nb, B / 8) -> int32 (Na, Nb)."""
    a, b = _alike(a, b)
    out = np.empty((len(a), len(b)), np.int32)
    first = _words(a)
    for start, columns in _blocks(b):
        for row, word in enumerate(first):
            out[row, start : start + columns.shape[1]] = _distances(columns, word)
    return out


def search(gallery, queries, k, backend=None):
    """The k nearest codes of the gallery for each query, exactly.

    gallery: uint8 (N, B / 8), may be a memory map; queries: uint8 (Q, B / 8). Returns distances int32 (Q, k), not
    falling, and indices int64 (Q, k); of equal distances the smaller index comes first, also where k cuts through them.
    backend: "faiss", "numpy", or None for faiss where it is installed. Both give the same answers.
    DataError: codes of different length, an empty gallery, k outside 1..N, faiss asked for and not installed.
    """
    gallery, queries = _alike(gallery, queries, "gallery", "queries")
    if not len(gallery):
        raise DataError("gallery: it is empty; add faces first")
    if not 1 <= k <= len(gallery):
        raise DataError(f"k={k}: the gallery holds {len(gallery)} faces; ask for 1 to {len(gallery)}")
    if backend not in (None, "faiss", "numpy"):
        raise DataError(f"backend {backend!r}: use faiss or numpy")
    if backend == "faiss" and faiss() is None:
        raise DataError("backend 'faiss': it is not installed; pip install faiss-cpu, or use numpy")
    if backend == "numpy" or faiss() is None:
        return _search_numpy(gallery, queries, k)
    return _search_faiss(gallery, queries, k)


@lru_cache
def faiss():
    """The module faiss, or None where it is not installed."""
    try:
        import faiss as module
    except ImportError:
        return None
    return module


def order_bits(features, how, seed=0):
    """In which order to keep bits when only some fit: permutation (D,) of the columns of float features (N, D).

    "random"; "entropy": bits closest to active on half of the images first; "variance": neurons whose float features
    vary most first. Equal ones keep the order of the columns. Choose on people who are not tested.
    """
    features = _rows(features)
    if how not in ORDERS:
        raise DataError(f"order {how!r}: use one of {', '.join(ORDERS)}")
    if how == "random":
        return np.random.default_rng(seed).permutation(features.shape[1])
    # the entropy of a bit falls with the distance of its rate from one half
    merit = features.var(0) if how == "variance" else -np.abs((features > 0).mean(0) - 0.5)
    return np.argsort(-merit, kind="stable")


def random_projection_bits(features, n_bits, seed=0, mean=0.0):
    """Bits (N, n_bits) that need no net to choose them: on which side of a random plane through `mean` a feature lies.

    The share of unequal bits of two features estimates the angle between them over pi [Charikar, STOC 2002].
    features: (N, D); mean: (D,) of people who are not tested. The first columns do not depend on n_bits.
    """
    features = _rows(features)
    rng = np.random.default_rng(seed)
    planes = np.stack([rng.standard_normal(features.shape[1], np.float32) for _ in range(n_bits)], axis=1)
    out = np.empty((len(features), n_bits), bool)
    for start in range(0, len(features), 1024):  # in blocks: pixels may come as bytes, four times smaller
        block = np.asarray(features[start : start + 1024], np.float32) - np.asarray(mean, np.float32)
        out[start : start + 1024] = block @ planes > 0
    return out


# how it is done


def _search_faiss(gallery, queries, k):
    """faiss breaks ties in its own way, also at the k-th place: ask for more than k, then put them in our order."""
    gallery, queries = np.ascontiguousarray(gallery), np.ascontiguousarray(queries)
    asked = min(len(gallery), 2 * k + 16)
    # the same code as IndexBinaryFlat.search, without a copy of the gallery
    distances, indices = faiss().knn_hamming(queries, gallery, asked)
    order = np.lexsort((indices, distances))[:, :k]
    last = distances[:, -1]
    distances, indices = (np.take_along_axis(found, order, 1) for found in (distances, indices))
    # where the k-th distance goes on to the end of what faiss found, there may be smaller indices that it left out
    unsure = np.flatnonzero((last == distances[:, -1]) & (asked < len(gallery)))
    if len(unsure):
        distances[unsure], indices[unsure] = _search_numpy(gallery, queries[unsure], k)
    return distances, indices


def _search_numpy(gallery, queries, k):
    """Block after block; a later face enters only if it is strictly nearer than the k-th so far."""
    found = [(np.empty(0, np.int32), np.empty(0, np.int64)) for _ in queries]
    words = _words(queries)
    for start, columns in _blocks(gallery):
        for row, word in enumerate(words):
            distance, index = found[row]
            new = _distances(columns, word)
            if len(index) == k:
                near = np.flatnonzero(new < distance[-1])
            else:
                near = np.flatnonzero(new <= np.partition(new, min(k, len(new)) - 1)[min(k, len(new)) - 1])
            if len(near):
                distance = np.concatenate([distance, new[near].astype(np.int32)])
                index = np.concatenate([index, near + start])
                order = np.argsort(distance, kind="stable")[:k]  # stable: indices grow among equal distances
                found[row] = distance[order], index[order]
    if not found:
        return np.empty((0, k), np.int32), np.empty((0, k), np.int64)
    return tuple(np.stack(column) for column in zip(*found, strict=True))


def _blocks(codes):
    """(start, words) of blocks of codes, words uint64 (W, n): neighbours in memory are neighbours in the gallery."""
    rows = max(1, BLOCK // codes.shape[1])
    for start in range(0, len(codes), rows):
        yield start, np.ascontiguousarray(_words(codes[start : start + rows]).T)


def _words(codes):
    """Codes (N, B / 8) as uint64 (N, W), filled up with zeros, which are equal in all codes."""
    width = -(-codes.shape[1] // 8) * 8
    if width != codes.shape[1]:
        codes = np.pad(codes, ((0, 0), (0, width - codes.shape[1])))
    return np.ascontiguousarray(codes).view(np.uint64)


def _distances(columns, word):
    """Unequal bits between words (W, n) and one code (W,) -> (n,), in the smallest type that always holds them."""
    unequal = columns ^ word[:, None]
    return np.bitwise_count(unequal).sum(0, dtype=np.uint16 if 64 * len(word) < 2**16 else np.int32)


def checked(codes, name="codes"):
    """The codes themselves, or a DataError where they are not uint8 (N, B / 8)."""
    codes = np.asanyarray(codes)  # keeps a memory map one
    if codes.ndim != 2 or codes.dtype != np.uint8 or not codes.shape[1]:
        raise DataError(f"{name}: {codes.dtype} {codes.shape}, expected packed codes, uint8 (N, bits / 8)")
    return codes


def _alike(a, b, first="first codes", second="second codes"):
    a, b = checked(a, first), checked(b, second)
    if a.shape[1] != b.shape[1]:
        raise DataError(
            f"{second}: {8 * b.shape[1]} bits, and {first} have {8 * a.shape[1]}: both must come from one model"
        )
    return a, b


def _rows(features):
    features = checked_features(features)
    if features.ndim != 2 or not features.shape[1]:
        raise DataError(f"features {features.shape}: give (N, D), one row a face")
    return features
