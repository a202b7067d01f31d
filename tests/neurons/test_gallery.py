"""A gallery in one SQLite file: nothing is lost, whoever appends, dies or damages it."""

import multiprocessing
import os
import signal
import sqlite3
import time

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from deepid_lite.errors import DataError
from deepid_lite.neurons import codes
from deepid_lite.neurons.gallery import Gallery
from deepid_lite.verification.joint_bayesian import JointBayesian
from deepid_lite.verification.verifier import Verifier


def faces(n, seed=0, dimension=64):
    """n names, features that are rectified as a net's are, and their codes."""
    features = np.maximum(np.random.default_rng(seed).normal(0, 1, (n, dimension)), 0).astype(np.float32)
    return [f"p{seed}/{i}é.png" for i in range(n)], features, codes.pack(codes.binarise(features))


def new(path, features=0):
    return Gallery.create(path, 64, "net", "abc", features, mirror=True)


@pytest.fixture
def ten(tmp_path):
    names, features, packed = faces(10)
    return new(tmp_path / "ten", 64).append(packed, names, features)


def same(gallery, names, packed):
    gallery.verify()
    return gallery.names == names and np.array_equal(gallery.codes, packed)


def test_what_goes_in_comes_out(ten):
    names, features, packed = faces(10)
    again = Gallery.open(ten.path)
    for gallery in (ten, again):
        assert len(gallery) == 10 and same(gallery, names, packed)
        assert np.array_equal(gallery.kept_features([7, 2, 2]), features.astype(np.float16)[[7, 2, 2]])
    assert again.header["mirror"] is True and again.header["model_hash"] == "abc"
    assert [path.name for path in ten.path.parent.iterdir()] == ["ten"], "one file, and no log once all is closed"


def test_a_gallery_may_begin_with_faces(ten, tmp_path):
    names, features, packed = faces(10)
    gallery = Gallery.create(tmp_path / "g", 64, "net", "abc", 64, (packed, names, features), mirror=True)
    assert (gallery.header, gallery.count) == (ten.header, 10) and same(gallery, names, packed)


@pytest.mark.parametrize("sizes", [(300,), (1,) * 30, (0, 257, 0, 1)])
def test_any_appends_give_one_gallery(tmp_path, sizes):
    names, _, packed = faces(sum(sizes))
    gallery, start = new(tmp_path / "g"), 0
    for n in sizes:
        gallery = gallery.append(packed[start : start + n], names[start : start + n])
        start += n
    assert same(gallery, names, packed) and same(Gallery.open(gallery.path), names, packed)


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
    verifier = Verifier(make_pipeline(PCA(5), JointBayesian()).steps).fit(training, labels)
    queries = faces(3, 3)[1]
    found = gallery.search(codes.pack(codes.binarise(queries)), 8)
    scores, distances, indices = gallery.rerank(*found, queries, verifier)
    assert (np.diff(scores, axis=1) <= 0).all()
    for row, query in enumerate(queries):
        candidates = sorted(zip(found[1][row], found[0][row], strict=True))
        assert sorted(zip(indices[row], distances[row], strict=True)) == candidates
        stored = features[indices[row]].astype(np.float16).astype(np.float32)
        assert np.allclose(scores[row], verifier.score_all(query[None], stored)[0], atol=1e-6)


# several processes, and processes that die


def append_often(path, seed, barrier):
    gallery = Gallery.open(path)
    barrier.wait()
    for i in range(15):
        names, _, packed = faces(1 + i % 3, 100 * seed + i)
        gallery.append(packed, names)


def test_processes_that_append_at_once_lose_no_face_and_a_reader_reads_on(tmp_path):
    new(tmp_path / "g")
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(3)
    both = [spawn.Process(target=append_often, args=(tmp_path / "g", seed, barrier)) for seed in (1, 2)]
    for process in both:
        process.start()
    barrier.wait(120)
    seen = [0]
    while any(process.is_alive() for process in both):
        gallery = Gallery.open(tmp_path / "g")
        gallery.verify()
        seen.append(len(gallery))
    assert [process.exitcode for process in both] == [0, 0] and seen == sorted(seen)
    expected = [faces(1 + i % 3, 100 * seed + i) for seed in (1, 2) for i in range(15)]
    gallery = Gallery.open(tmp_path / "g")
    stored = dict(zip(gallery.names, (bytes(code) for code in gallery.codes), strict=True))
    assert len(gallery) == len(stored) == 60
    assert stored == {
        name: bytes(code) for names, _, packed in expected for name, code in zip(names, packed, strict=True)
    }


def append_until_killed(path, pipe):
    gallery = Gallery.open(path)
    for i in range(10**6):
        names, features, packed = faces(50, i)
        gallery = gallery.append(packed, names, features)
        pipe.send(len(gallery))


@pytest.mark.parametrize("wait", [0.0, 0.013, 0.031])
def test_a_killed_process_loses_nothing_that_was_acknowledged(tmp_path, wait):
    new(tmp_path / "g", 64)
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=append_until_killed, args=(tmp_path / "g", theirs))
    process.start()
    ours.recv()
    time.sleep(wait)
    process.kill()
    process.join()
    acknowledged = 50
    while ours.poll():
        acknowledged = ours.recv()
    gallery = Gallery.open(tmp_path / "g")
    assert len(gallery) in (acknowledged, acknowledged + 50)
    all_faces = [faces(50, i) for i in range(len(gallery) // 50)]
    assert same(gallery, [name for f in all_faces for name in f[0]], np.concatenate([f[2] for f in all_faces]))
    names, features, packed = faces(1, 10**6)
    assert len(gallery.append(packed, names, features)) == len(gallery) + 1


def create_and_die(path):
    names, features, packed = faces(10)
    sqlite3.connect = dying(sqlite3.connect)
    Gallery.create(path, 64, "net", "abc", 64, (packed, names, features))


def dying(connect):
    class Dying(sqlite3.Connection):
        def execute(self, command, *values):
            if command == "COMMIT":
                os.kill(os.getpid(), signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
            return super().execute(command, *values)

    return lambda *args, **options: connect(*args, factory=Dying, **options)


def test_after_a_killed_build_the_next_one_builds(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=create_and_die, args=(tmp_path / "g",))
    process.start()
    process.join(120)
    assert process.exitcode != 0
    with pytest.raises(DataError, match="build"):
        Gallery.open(tmp_path / "g")
    names, features, packed = faces(10)
    Gallery.check_new(tmp_path / "g")
    assert same(Gallery.create(tmp_path / "g", 64, "net", "abc", 64, (packed, names, features)), names, packed)
    assert [path.name for path in tmp_path.iterdir()] == ["g"]


def test_a_failed_build_leaves_nothing(tmp_path):
    names, _, packed = faces(2)
    with pytest.raises(DataError, match="broken text"):
        Gallery.create(tmp_path / "g", 64, "net", "abc", faces=(packed, ["a", "caf\udce9"]))
    Gallery.check_new(tmp_path / "g")
    (tmp_path / "empty").touch()
    Gallery.check_new(tmp_path / "empty")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"], "what is not ours stays"
    assert len(Gallery.create(tmp_path / "g", 64, "net", "abc", faces=(packed, names))) == 2


class FullDisk(sqlite3.Connection):
    def execute(self, command, *values):
        if command.startswith("INSERT INTO appends"):
            raise sqlite3.OperationalError("database or disk is full")
        return super().execute(command, *values)


def test_a_full_disk_changes_nothing(ten, tmp_path, monkeypatch):
    names, features, packed = faces(2, 5)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, factory=FullDisk, **options))
    for call in (
        lambda: ten.append(packed, names, features),
        lambda: Gallery.create(tmp_path / "g", 64, "net", "abc", 64, (packed, names, features)),
    ):
        with pytest.raises(DataError, match="disk is full"):
            call()
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["ten"]
    assert len(Gallery.open(ten.path)) == 10
    assert len(ten.append(packed, names, features)) == 12


def build(path, seed, barrier, pipe):
    names, features, packed = faces(2000, seed)
    barrier.wait()
    try:
        Gallery.check_new(path)
        pipe.send(len(Gallery.create(path, 64, "net", "abc", 64, (packed, names, features))))
    except DataError as error:
        pipe.send(str(error))


def test_of_several_builds_at_once_one_wins(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    barrier, pipes = spawn.Barrier(3), [spawn.Pipe() for _ in range(3)]
    for seed, (_, theirs) in enumerate(pipes):
        spawn.Process(target=build, args=(tmp_path / "g", seed, barrier, theirs)).start()
    said = [ours.recv() for ours, _ in pipes]
    (winner,) = [seed for seed, answer in enumerate(said) if answer == 2000]
    assert all(answer == 2000 or len(answer.splitlines()) == 1 for answer in said)
    assert same(Gallery.open(tmp_path / "g"), *faces(2000, winner)[::2])


# damage


def change(path, command, *values):
    with sqlite3.connect(path) as db:
        db.execute(command, values)
    db.close()


def flip(path, table, column):
    """One bit of a blob."""
    with sqlite3.connect(path) as db:
        row, blob = db.execute(f"SELECT rowid, {column} FROM {table} ORDER BY rowid DESC").fetchone()
        blob = bytes([*blob[:5], blob[5] ^ 1, *blob[6:]])
        db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (blob, row))
    db.close()


def overwrite(path, at, data):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: flip(p, "header", "facts"),
        lambda p: flip(p, "appends", "codes"),
        lambda p: flip(p, "appends", "names"),
        lambda p: flip(p, "features", "fp16"),
        lambda p: change(p, "UPDATE header SET facts = ?", '{"bits": 1024.0}'),
        lambda p: change(p, "UPDATE header SET facts = ?", b""),
        lambda p: change(p, "UPDATE appends SET codes = 7"),
        lambda p: change(p, "UPDATE appends SET last = 11"),
        lambda p: change(p, "UPDATE appends SET last = -1"),
        lambda p: change(p, "UPDATE appends SET codes = names"),
        lambda p: change(p, "UPDATE features SET face = face + 1000"),
        lambda p: change(p, "DELETE FROM features WHERE face = 3"),
        lambda p: change(p, "DELETE FROM header"),
        lambda p: change(p, "DROP TABLE appends"),
        lambda p: change(p, "DROP TABLE header"),
        lambda p: os.truncate(p, 20000),
        lambda p: os.truncate(p, 0),
        lambda p: overwrite(p, 0, b"no such file"),
        lambda p: overwrite(p, 16384, bytes(40000)),
        lambda p: p.write_text("{}" * 1000),
        lambda p: p.write_text("x"),  # SQLite takes so short a file for an empty one
        lambda p: p.unlink(),
        lambda p: (p.unlink(), p.mkdir(), (p / "header.json").write_text("{}")),
    ],
)
def test_damage_is_one_line(ten, damage):
    damage(ten.path)
    with pytest.raises(DataError, match="build") as error:
        Gallery.open(ten.path).verify()
    assert len(str(error.value).splitlines()) == 1 and str(ten.path) in str(error.value)


def test_what_has_lost_its_place_is_not_searched(ten):
    change(ten.path, "UPDATE appends SET last = -1")
    with pytest.raises(DataError, match="damaged"):
        Gallery.open(ten.path).search(ten.codes[:1], 1)


def test_a_short_file_is_not_replaced_by_a_gallery(tmp_path):
    (tmp_path / "notes").write_text("x")
    for build in (Gallery.check_new, lambda path: Gallery.create(path, 64, "net", "abc")):
        with pytest.raises(DataError, match="notes: no gallery"):
            build(tmp_path / "notes")
    assert (tmp_path / "notes").read_text() == "x"


def test_a_gallery_on_a_disk_that_cannot_be_written_is_read(ten, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    names, features, packed = faces(10)
    assert same(Gallery.open(ten.path), names, packed)
    with pytest.raises(DataError, match="readonly"):
        ten.append(packed, names, features)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda g, f: g.append(faces(2, 1)[2], ["a"], f[:2]), "1 names"),
        (lambda g, f: g.append(np.zeros((1, 16), np.uint8), ["a"], f[:1]), "takes"),
        (lambda g, f: g.append(faces(1)[2], ["a"]), "takes"),
        (lambda g, f: g.append(faces(1)[2], ["a"], f[:1, :9]), "takes"),
        (lambda g, f: g.append(faces(1)[2], ["a"], f[:1] * np.nan), "NaN"),
        (lambda g, f: g.append(faces(1)[2], ["a"], f[:1] + 1e5), "65,504"),
        (lambda g, f: g.append(faces(1)[2], ["a\nb"], f[:1]), "line break"),
        (lambda g, f: g.append(faces(1)[2], ["a\u2028b"], f[:1]), "line break"),
        (lambda g, f: g.append(faces(1)[2], ["\x1b[2J"], f[:1]), "control character"),
        (lambda g, f: g.append(faces(1)[2], ["a\ud800"], f[:1]), "broken text"),
        (lambda g, f: g.search(np.zeros((1, 16), np.uint8), 1), "128 bits, and gallery have 64"),
        (lambda g, f: g.search(faces(1)[2], 11), "holds 10 faces"),
        (lambda g, f: Gallery.create(g.path, 64, "net", "abc"), "is there already"),
        (lambda g, f: Gallery.check_new(g.path), "is there already"),
        (lambda g, f: Gallery.check_new(g.path.parent), "a folder"),
        (lambda g, f: Gallery.check_new("/dev/null"), "no gallery"),
        (lambda g, f: Gallery.create(g.path.parent / "h", 60, "net", "abc"), "multiple of 8"),
        (lambda g, f: Gallery.create(g.path / "h", 64, "net", "abc"), "ten"),
        (lambda g, f: Gallery.open(g.path.parent / "h"), "no gallery"),
        (lambda g, f: Gallery.open(g.path.parent), "a folder"),
        (lambda g, f: Gallery.open(g.path / ("n" * 300)), "no gallery"),
    ],
)
def test_a_mistake_is_one_line(ten, call, said):
    with pytest.raises(DataError, match=said) as error:
        call(ten, faces(10)[1])
    assert "\n" not in str(error.value)
    assert same(Gallery.open(ten.path), ten.names, ten.codes)


def test_an_append_to_another_gallery_of_that_name_is_refused(ten):
    ten.path.unlink()
    other = Gallery.create(ten.path, 64, "net", "other hash", 64)
    with pytest.raises(DataError, match="built again"):
        ten.append(ten.codes[:0], [], np.empty((0, 64)))
    assert not len(Gallery.open(other.path))


def test_an_empty_gallery_and_one_without_features(tmp_path):
    gallery = new(tmp_path / "g")
    names, features, packed = faces(2)
    with pytest.raises(DataError, match="empty"):
        gallery.search(packed, 1)
    with pytest.raises(DataError, match="keep-features"):
        gallery.append(packed, names, features)
    with pytest.raises(DataError, match="keep-features"):
        gallery.append(packed, names).rerank(*gallery.append(packed, names).search(packed, 1), features, None)
