"""Codes: equal to naive loops, one answer from faiss and NumPy also where distances tie, mistakes in one line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepid_lite.errors import DataError
from deepid_lite.neurons import codes

BACKENDS = ["numpy", "of other ties", *(["faiss"] if codes.faiss() else [])]


class OfOtherTies:
    """In place of faiss, whose order of equal distances nobody promises: here the larger index comes first."""

    @staticmethod
    def knn_hamming(queries, gallery, k):
        every = codes.hamming(queries, gallery)
        order = np.lexsort((-np.broadcast_to(np.arange(len(gallery)), every.shape), every), axis=1)[:, :k]
        return np.take_along_axis(every, order, 1), order


def search(backend, *args):
    with pytest.MonkeyPatch.context() as patch:
        if backend == "of other ties":
            patch.setattr(codes, "faiss", lambda: OfOtherTies)
        return codes.search(*args, "numpy" if backend == "numpy" else "faiss")


def some(n, n_bytes, seed=0, low=0, high=256):
    return np.random.default_rng(seed).integers(low, high, (n, n_bytes), dtype=np.uint8)


def naive_search(gallery, queries, k):
    every = (codes.unpack(gallery)[None] != codes.unpack(queries)[:, None]).sum(2)
    order = np.array([sorted(range(len(gallery)), key=lambda i, row=row: (row[i], i))[:k] for row in every])
    return np.take_along_axis(every, order, 1), order


def test_a_bit_is_an_active_neuron():
    features = np.array([[0.0, 1e-30, -1.0, 3.0] * 2], np.float32)
    assert codes.binarise(features).tolist() == [[False, True, False, True] * 2]
    assert codes.binarise(features, 2).sum() == 2


def test_the_lowest_bit_of_a_byte_comes_first():
    bits = np.zeros((1, 16), bool)
    bits[0, [0, 3, 15]] = True
    assert codes.pack(bits).tolist() == [[0b1001, 0b10000000]]


if codes.faiss():

    def test_the_bit_order_is_that_of_faiss():
        faiss = codes.faiss()
        features = np.random.default_rng(0).standard_normal((5, 64)).astype(np.float32)
        theirs = np.zeros((5, 8), np.uint8)
        faiss.real_to_binary(features.size, faiss.swig_ptr(features), faiss.swig_ptr(theirs))
        assert np.array_equal(codes.pack(codes.binarise(features)), theirs)


@given(st.integers(0, 20), st.integers(1, 9), st.integers(0, 99))
def test_unpacking_undoes_packing(n, n_bytes, seed):
    packed = some(n, n_bytes, seed)
    assert np.array_equal(codes.pack(codes.unpack(packed)), packed)


@pytest.mark.parametrize("n_bytes", [1, 3, 8, 64, 130])
@pytest.mark.parametrize("block", [1, 1 << 20])
def test_hamming_counts_unequal_bits(n_bytes, block, monkeypatch):
    monkeypatch.setattr(codes, "BLOCK", block * n_bytes)
    a, b = some(5, n_bytes), some(7, n_bytes, 1)
    expected = (codes.unpack(a)[:, None] != codes.unpack(b)[None]).sum(2)
    assert np.array_equal(codes.hamming(a, b), expected)
    assert np.array_equal(codes.hamming(b, a), expected.T)
    assert codes.hamming(a, a).trace() == 0


def test_long_codes_do_not_overflow():
    assert codes.hamming(np.zeros((1, 8192), np.uint8), np.full((1, 8192), 255, np.uint8)).item() == 65536


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("high", [256, 4, 2, 1])  # fewer values: more ties, up to nothing but ties
@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 90), n_bytes=st.sampled_from([1, 2, 8, 11]), k=st.integers(1, 90), seed=st.integers(0, 999))
def test_search_is_sorting_by_distance_then_index(backend, high, n, n_bytes, k, seed):
    k = min(k, n)
    gallery, queries = some(n, n_bytes, seed, high=high), some(3, n_bytes, seed + 1, high=high)
    distances, indices = search(backend, gallery, queries, k)
    expected = naive_search(gallery, queries, k)
    assert np.array_equal(distances, expected[0]) and np.array_equal(indices, expected[1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_ties_beyond_what_faiss_is_asked_for(backend, monkeypatch):
    """Two hundred equal faces after one that is farther: the first ten of them are the answer."""
    monkeypatch.setattr(codes, "BLOCK", 64 * 50)
    gallery = np.concatenate([np.full((1, 64), 255, np.uint8), np.repeat(some(1, 64), 200, 0), some(100, 64, 2)])
    distances, indices = search(backend, gallery, some(1, 64), 10)
    assert not distances.any() and indices.tolist() == [list(range(1, 11))]


@pytest.mark.parametrize("backend", BACKENDS)
def test_search_reads_a_memory_map(backend, tmp_path):
    gallery = some(50, 8, 3)
    gallery.tofile(tmp_path / "codes")
    mapped = np.memmap(tmp_path / "codes", np.uint8, "r", shape=(50, 8))
    found = search(backend, mapped, gallery[7:9], 3)
    expected = search(backend, gallery, gallery[7:9], 3)
    assert found[1][:, 0].tolist() == [7, 8] and np.array_equal(found[0], expected[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_queries_no_answers(backend):
    distances, indices = search(backend, some(5, 8), some(0, 8), 2)
    assert distances.shape == indices.shape == (0, 2)


def test_orders_of_bits():
    rng = np.random.default_rng(0)
    rate, scale = np.array([0.5, 0.9, 0.1, 0.6]), np.array([1, 9, 30, 2.0])
    features = (rng.random((4000, 4)) < rate) * scale * rng.uniform(0.9, 1.1, (4000, 4))
    assert codes.order_bits(features, "entropy")[:2].tolist() == [0, 3]
    assert codes.order_bits(features, "variance").tolist() == np.argsort(-features.var(0)).tolist() != [0, 1, 2, 3]
    orders = [codes.order_bits(features, "random", seed).tolist() for seed in range(9)]
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders) and len({tuple(order) for order in orders}) > 1


def test_random_projections_estimate_the_angle():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 40))
    angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    bits = codes.random_projection_bits(np.stack([a, b, 7 * a]) + 3, 20000, mean=np.full(40, 3.0))
    assert np.mean(bits[0] != bits[1]) * np.pi == pytest.approx(angle, abs=0.04)
    assert np.array_equal(bits[0], bits[2])  # its length plays no part
    fewer = codes.random_projection_bits(np.stack([a, b]) + 3, 24, mean=np.full(40, 3.0))
    assert np.array_equal(fewer, bits[:2, :24])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: codes.search(some(5, 8), some(2, 16), 1), "128 bits, and gallery have 64"),
        (lambda: codes.search(some(0, 8), some(2, 8), 1), "empty"),
        (lambda: codes.search(some(5, 8), some(2, 8), 6), "holds 5 faces"),
        (lambda: codes.search(some(5, 8), some(2, 8), 0), "k=0"),
        (lambda: codes.search(some(5, 8), some(2, 8), 1, "annoy"), "annoy"),
        (lambda: codes.search(some(5, 8).astype(float), some(2, 8), 1), "float64"),
        (lambda: codes.hamming(some(5, 8)[0], some(2, 8)), r"\(8,\)"),
        (lambda: codes.hamming(some(5, 8), some(2, 9)), "one model"),
        (lambda: codes.binarise([[1.0, np.nan]]), "row 0, column 1"),
        (lambda: codes.binarise([[1.0, np.inf]]), "NaN or inf"),
        (lambda: codes.binarise([1.0, 2.0]), "one row a face"),
        (lambda: codes.pack(np.ones((2, 12), bool)), "multiple of 8"),
        (lambda: codes.pack(np.full((2, 8), 2)), "binarise"),
        (lambda: codes.order_bits(np.ones((2, 8)), "best"), "best"),
        (lambda: codes.random_projection_bits([[np.nan]], 8), "NaN"),
    ],
)
def test_a_mistake_is_one_line(call, said):
    with pytest.raises(DataError, match=said) as error:
        call()
    assert "\n" not in str(error.value)


def test_without_faiss_numpy_answers(monkeypatch):
    expected = codes.search(some(50, 8), some(3, 8, 1), 4)
    monkeypatch.setattr(codes, "faiss", lambda: None)
    assert np.array_equal(codes.search(some(50, 8), some(3, 8, 1), 4)[1], expected[1])
    with pytest.raises(DataError, match="pip install"):
        codes.search(some(50, 8), some(3, 8), 4, "faiss")
