"""A gallery on disk: nothing is lost, whoever appends, dies or damages it; what it exports loads elsewhere."""

import json
import multiprocessing
import os

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from deepid_lite.errors import DataError
from deepid_lite.neurons import codes
from deepid_lite.neurons.gallery import CODES, FEATURES, HEADER, NAMES, Gallery, export
from deepid_lite.verification.joint_bayesian import JointBayesian


def faces(n, seed=0, dimension=64):
    """n names, features that are rectified as a net's are, and their codes."""
    features = np.maximum(np.random.default_rng(seed).normal(0, 1, (n, dimension)), 0).astype(np.float32)
    return [f"p{seed}/{i}é.png" for i in range(n)], features, codes.pack(codes.binarise(features))


def new(folder, features=0):
    return Gallery.create(folder, 64, "net", "abc", features, mirror=True)


@pytest.fixture
def ten(tmp_path):
    names, features, packed = faces(10)
    return new(tmp_path / "ten", 64).append(packed, names, features)


def same(gallery, names, packed):
    return gallery.names == names and np.array_equal(gallery.codes, packed)


def test_what_goes_in_comes_out(ten):
    names, features, packed = faces(10)
    again = Gallery.open(ten.folder)
    for gallery in (ten, again):
        assert len(gallery) == 10 and same(gallery, names, packed)
        assert np.array_equal(gallery.features, features.astype(np.float16))
    assert isinstance(again.codes, np.memmap) and not again.codes.flags.writeable
    assert again.header["mirror"] is True and again.header["model_hash"] == "abc"
    assert (again.folder / CODES).stat().st_size == 80 and (again.folder / FEATURES).stat().st_size == 1280


def test_appending_keeps_the_order_and_an_open_gallery_as_it_was(tmp_path):
    first = new(tmp_path / "g")
    (a, _, a_codes), (b, _, b_codes) = faces(3), faces(4, 1)
    second = first.append(a_codes, a)
    third = first.append(b_codes, b)  # opened when it was empty, and still nothing of `second` is lost
    assert (len(first), len(second), len(third)) == (0, 3, 7)
    assert same(third, a + b, np.concatenate([a_codes, b_codes])) and same(second, a, a_codes)


def test_search_finds_names(ten):
    names, features, packed = faces(10)
    distances, indices = ten.search(packed[[4, 7]], 3)
    assert [ten.names[i] for i in indices[:, 0]] == [names[4], names[7]] and not distances[:, 0].any()
    assert np.array_equal(indices, codes.search(packed, packed[[4, 7]], 3)[1])


def test_reranking_is_joint_bayesian_on_the_candidates(tmp_path):
    names, features, packed = faces(40)
    gallery = new(tmp_path / "g", 64).append(packed, names, features)
    labels = np.arange(200) // 4
    training = faces(50, 1)[1][labels] + 0.3 * faces(200, 2)[1]
    verifier = make_pipeline(PCA(5), JointBayesian()).fit(training, labels)
    queries = faces(3, 3)[1]
    found = gallery.search(codes.pack(codes.binarise(queries)), 8)
    scores, distances, indices = gallery.rerank(*found, queries, verifier)
    assert (np.diff(scores, axis=1) <= 0).all()
    for row, query in enumerate(queries):
        candidates = sorted(zip(found[1][row], found[0][row], strict=True))
        assert sorted(zip(indices[row], distances[row], strict=True)) == candidates
        z = verifier[:-1].transform(np.stack([query, *features[indices[row]].astype(np.float16).astype(np.float32)]))
        assert np.allclose(scores[row], verifier[-1].score_pairs(z[[0] * 8], z[1:]), atol=1e-6)


def test_saving_copies_what_is_open(ten, tmp_path):
    copy = ten.save(tmp_path / "copy")
    assert same(copy, ten.names, ten.codes) and np.array_equal(copy.features, ten.features)
    strip = ("files", "count")
    assert {k: v for k, v in copy.header.items() if k not in strip} == {
        k: v for k, v in ten.header.items() if k not in strip
    }
    assert len(new(tmp_path / "none").save(tmp_path / "none2")) == 0


# several processes, and processes that die


def append_often(folder, seed, barrier):
    gallery = Gallery.open(folder)
    barrier.wait()
    for i in range(15):
        names, _, packed = faces(1 + i % 3, 100 * seed + i)
        gallery.append(packed, names)


def test_two_processes_that_append_at_once_lose_no_face(tmp_path):
    new(tmp_path / "g")
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(2)
    both = [spawn.Process(target=append_often, args=(tmp_path / "g", seed, barrier)) for seed in (1, 2)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
        assert process.exitcode == 0
    expected = [faces(1 + i % 3, 100 * seed + i) for seed in (1, 2) for i in range(15)]
    gallery = Gallery.open(tmp_path / "g")  # checks the checksums
    stored = dict(zip(gallery.names, (bytes(code) for code in gallery.codes), strict=True))
    assert len(gallery) == len(stored) == 60
    assert stored == {
        name: bytes(code) for names, _, packed in expected for name, code in zip(names, packed, strict=True)
    }


@pytest.mark.parametrize("written", [{CODES: 3}, {CODES: 24, NAMES: 5}, {CODES: 24, NAMES: 30, FEATURES: 7}])
def test_a_torn_append_is_cut_off(ten, written):
    """A process died between its data and its header."""
    for name, size in written.items():
        with open(ten.folder / name, "ab") as file:
            file.write(b"x" * size)
    names, features, packed = faces(10)
    assert same(Gallery.open(ten.folder), names, packed)
    more, more_features, more_codes = faces(2, 5)
    ten.append(more_codes, more, more_features)
    gallery = Gallery.open(ten.folder)
    assert same(gallery, names + more, np.concatenate([packed, more_codes]))
    assert np.array_equal(gallery.features[10:], more_features.astype(np.float16))


def test_a_failed_append_changes_nothing(ten, monkeypatch):
    names, features, packed = faces(2, 5)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(DataError, match="No space left"):
        ten.append(packed, names, features)
    monkeypatch.undo()
    assert len(Gallery.open(ten.folder)) == 10
    assert len(ten.append(packed, names, features)) == 12
    Gallery.open(ten.folder)


# damage


def cut(path, size):
    os.truncate(path, size)


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def change(folder, **facts):
    header = json.loads((folder / HEADER).read_text())
    (folder / HEADER).write_text(json.dumps(header | facts))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: cut(f / CODES, 79), "79 bytes, and the header counts 80"),
        (lambda f: cut(f / NAMES, 5), "names.txt: 5 bytes"),
        (lambda f: cut(f / FEATURES, 0), "features.bin: 0 bytes"),
        (lambda f: flip(f / CODES, 40), "codes.bin: its checksum"),
        (lambda f: flip(f / NAMES, 2), "names.txt: its checksum"),
        (lambda f: flip(f / FEATURES, 1000), "features.bin: its checksum"),
        (lambda f: (f / CODES).unlink(), "codes.bin: No such file"),
        (lambda f: (f / HEADER).unlink(), "no gallery"),
        (lambda f: (f / HEADER).write_text("{"), "not a header"),
        (lambda f: (f / HEADER).write_text("[]"), "not a header"),
        (lambda f: (f / HEADER).write_bytes(b"\xff\xfe"), "not a header"),
        (lambda f: cut(f / HEADER, 0), "not a header"),
        (lambda f: change(f, count=11), "not a header"),
        (lambda f: change(f, count="10"), "not a header"),
        (lambda f: change(f, bits=0), "not a header"),
        (lambda f: change(f, format=2), "not a header"),
        (lambda f: change(f, files={}), "not a header"),
        (lambda f: change(f, model_hash=None), "not a header"),
    ],
)
def test_damage_is_one_line(ten, damage, said):
    damage(ten.folder)
    with pytest.raises(DataError, match=said) as error:
        Gallery.open(ten.folder)
    assert "\n" not in str(error.value) and str(ten.folder) in str(error.value)


def test_an_append_to_a_shortened_gallery_is_refused(ten):
    cut(ten.folder / CODES, 70)
    names, features, packed = faces(1)
    with pytest.raises(DataError, match="shorter"):
        ten.append(packed, names, features)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda g, f: g.append(faces(2, 1)[2], ["a"], f[:2]), "1 names for 2 codes"),
        (lambda g, f: g.append(np.zeros((1, 16), np.uint8), ["a"], f[:1]), "codes of 64 bits, new ones have 128"),
        (lambda g, f: g.append(faces(1)[2], ["a"]), "keeps features"),
        (lambda g, f: g.append(faces(1)[2], ["a"], f[:1, :9]), "keeps features"),
        (lambda g, f: g.append(faces(1)[2], ["a"], f[:1] * np.nan), "NaN"),
        (lambda g, f: g.append(faces(1)[2], ["a"], f[:1] + 1e5), "65,504"),
        (lambda g, f: g.append(faces(1)[2], ["a\nb"], f[:1]), "line break"),
        (lambda g, f: g.append(faces(1)[2], ["a\ud800"], f[:1]), "broken text"),
        (lambda g, f: g.search(np.zeros((1, 16), np.uint8), 1), "128 bits, and gallery have 64"),
        (lambda g, f: g.search(faces(1)[2], 11), "holds 10 faces"),
        (lambda g, f: g.require_model("abd"), "another"),
        (lambda g, f: Gallery.create(g.folder, 64, "net", "abc"), "not empty"),
        (lambda g, f: Gallery.create(g.folder / "h", 60, "net", "abc"), "multiple of 8"),
        (lambda g, f: Gallery.create(g.folder / CODES, 64, "net", "abc"), "codes.bin"),
        (lambda g, f: Gallery.open(g.folder / "h"), "no gallery"),
        (lambda g, f: Gallery.open(g.folder / CODES), "codes.bin"),
        (lambda g, f: export(g, g.folder / "x", "csv"), "csv"),
        (lambda g, f: export(g, g.folder / "no" / "x", "npy"), "cannot be written"),
    ],
)
def test_a_mistake_is_one_line(ten, call, said):
    with pytest.raises(DataError, match=said) as error:
        call(ten, faces(10)[1])
    assert "\n" not in str(error.value)
    assert same(Gallery.open(ten.folder), ten.names, ten.codes)


def test_an_empty_gallery_and_one_without_features(tmp_path):
    gallery = new(tmp_path / "g")
    names, features, packed = faces(2)
    for call in (lambda: gallery.search(packed, 1), lambda: export(gallery, tmp_path / "x", "npy")):
        with pytest.raises(DataError, match="empty"):
            call()
    with pytest.raises(DataError, match="keep-features"):
        gallery.append(packed, names, features)
    with pytest.raises(DataError, match="keep-features"):
        gallery.append(packed, names).rerank(*gallery.append(packed, names).search(packed, 1), features, None)


# export


def test_exported_codes_load_elsewhere(ten, tmp_path):
    files = export(ten, tmp_path / "codes.npy", "npy")
    loaded = np.load(files[0], allow_pickle=False)
    assert loaded.dtype == np.uint8 and np.array_equal(loaded, ten.codes)
    assert files[1].read_text(encoding="utf-8").splitlines() == ten.names
    raw = export(ten, tmp_path / "codes.bvecs", "bvecs")[0].read_bytes()
    rows = np.frombuffer(raw, np.dtype([("width", "<i4"), ("code", "u1", 8)]))
    assert (rows["width"] == 8).all() and np.array_equal(rows["code"], ten.codes)
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.skipif(codes.faiss() is None, reason="no faiss")
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
