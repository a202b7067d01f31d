"""Codes of a gallery in the formats of other programs, which load them."""

import os
from pathlib import Path

import numpy as np
import pytest

from deepid_lite.errors import DataError
from deepid_lite.neurons import codes
from deepid_lite.neurons.gallery import Gallery
from deepid_lite.neurons.gallery_export import export


@pytest.fixture
def ten(tmp_path):
    packed = codes.pack(np.random.default_rng(0).random((10, 64)) < 0.5)
    return Gallery.create(tmp_path / "ten", 64, "net", "abc", faces=(packed, [f"{i}é.png" for i in range(10)]))


def test_exported_codes_load_elsewhere(ten, tmp_path):
    files = export(ten, tmp_path / "codes.npy", "npy")
    loaded = np.load(files[0], allow_pickle=False)
    assert loaded.dtype == np.uint8 and np.array_equal(loaded, ten.codes)
    assert files[1].read_text(encoding="utf-8").splitlines() == ten.names
    raw = export(ten, tmp_path / "codes.bvecs", "bvecs")[0].read_bytes()
    rows = np.frombuffer(raw, np.dtype([("width", "<i4"), ("code", "u1", 8)]))
    assert (rows["width"] == 8).all() and np.array_equal(rows["code"], ten.codes)
    assert not list(tmp_path.glob(".*.part"))


class FakeFaiss:
    """What of faiss the export calls."""

    class IndexBinaryFlat:
        def __init__(self, bits):
            self.bits, self.rows = bits, []

        def add(self, packed):
            self.rows += [row.tobytes() for row in packed]

    @staticmethod
    def write_index_binary(index, path):
        Path(path).write_bytes(index.bits.to_bytes(4, "little") + b"".join(index.rows))


def test_a_faiss_index_holds_all_codes(ten, tmp_path, monkeypatch):
    monkeypatch.setattr(codes, "faiss", lambda: FakeFaiss)
    data = export(ten, tmp_path / "codes.faiss", "faiss")[0].read_bytes()
    assert int.from_bytes(data[:4], "little") == 64 and data[4:] == ten.codes.tobytes()


if codes.faiss():

    def test_faiss_reads_the_exported_index(ten, tmp_path):
        faiss = codes.faiss()
        index = faiss.read_index_binary(str(export(ten, tmp_path / "codes.faiss", "faiss")[0]))
        assert (index.d, index.ntotal) == (64, 10)
        distances, indices = index.search(np.ascontiguousarray(ten.codes[:3]), 1)
        assert indices.ravel().tolist() == [0, 1, 2] and not distances.any()


def test_without_faiss_its_format_is_refused(ten, tmp_path, monkeypatch):
    monkeypatch.setattr(codes, "faiss", lambda: None)
    with pytest.raises(DataError, match="pip install"):
        export(ten, tmp_path / "codes.faiss", "faiss")
    assert not list(tmp_path.glob("*codes*"))


def test_what_databases_are_given_has_the_same_distances(ten):
    """Text of bits (pgvector's bit) and hexadecimal bytes (Elasticsearch's bit) of the packed codes."""
    bits = ["".join("01"[int(b)] for b in row) for row in codes.unpack(ten.codes)]
    numbers = [int(bytes(row).hex(), 16) for row in ten.codes]
    expected = codes.hamming(ten.codes, ten.codes)
    assert [[sum(a != b for a, b in zip(x, y, strict=True)) for y in bits] for x in bits] == expected.tolist()
    assert [[(x ^ y).bit_count() for y in numbers] for x in numbers] == expected.tolist()


@pytest.mark.parametrize("form", ["npy", "bvecs"])
def test_no_output_takes_the_place_of_the_gallery(ten, tmp_path, form):
    (tmp_path / "link").symlink_to(ten.path)
    named = ten.path.rename(tmp_path / "other.names.txt")
    gallery = Gallery.open(named)
    for out in (named, tmp_path / "other"):
        with pytest.raises(DataError, match="the gallery itself"):
            export(gallery, out, form)
    named.rename(ten.path)
    with pytest.raises(DataError, match="the gallery itself"):
        export(ten, tmp_path / "link", form)
    assert len(Gallery.open(ten.path)) == 10 and sorted(p.name for p in tmp_path.iterdir()) == ["link", "ten"]


def test_what_cannot_be_exported_is_one_line_and_leaves_nothing(ten, tmp_path):
    empty = Gallery.create(tmp_path / "empty", 64, "net", "abc")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")  # it has no place for the names beside it
    before = sorted(tmp_path.iterdir())
    for gallery, out, form, said in (
        (ten, tmp_path / "x", "csv", "csv"),
        (ten, ten.path / "x", "npy", "cannot be written"),
        (ten, tmp_path / "folder", "npy", "folder"),
        (ten, tmp_path / "pipe", "npy", "no plain file"),
        (empty, tmp_path / "x", "npy", "empty"),
    ):
        with pytest.raises(DataError, match=said) as error:
            export(gallery, out, form)
        assert "\n" not in str(error.value)
    assert sorted(tmp_path.iterdir()) == before
