"""`deepid search` as a user runs it: build, add, query, info, export; every mistake is one line and exit code 2."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from deepid_lite.cli.search import search_app
from deepid_lite.errors import DataError
from deepid_lite.faces.loading import load_faces
from deepid_lite.neurons import codes
from deepid_lite.neurons.gallery import Gallery
from deepid_lite.verification.model import face_features, pretrained, weights_hash


def search(*words):
    """Standard output of a command that succeeds."""
    done = CliRunner().invoke(search_app, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def refused(*words):
    with pytest.raises(DataError) as error:
        search(*words)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPID_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two folders of patterned pictures, and the first one's features in a file."""
    folder = tmp_path_factory.mktemp("user")
    rng = np.random.default_rng(0)
    for person in range(10):
        base = rng.integers(30, 220, (9, 8, 3)).repeat(16, 0).repeat(16, 1)
        for image in range(2):
            path = folder / ("first" if person < 7 else "second") / f"p{person}" / f"{image}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.clip(base + rng.normal(0, 10, base.shape), 0, 255).astype(np.uint8)).save(path)
    faces = load_faces(str(folder / "first"), cache=False)
    lite = pretrained("lite")
    found = face_features(lite, faces.images)
    np.savez(folder / "first.npz", features=found, names=faces.paths, model_hash=weights_hash(lite))
    return folder


@pytest.fixture(scope="module")
def gallery(place):
    said = search("build", place / "gallery", "--faces", place / "first", "--keep-features")
    assert "14 faces, 128 bytes each" in said
    return place / "gallery"


def test_a_face_finds_itself_then_the_same_person(place, gallery):
    path = place / "first" / "p3" / "1.png"
    lines = search("query", gallery, "--image", path, "--k", "2").splitlines()
    assert lines[0] == "1.png" and lines[1].split()[:4] == ["1", "0", "of", "1024"]
    assert [line.split()[-1] for line in lines[1:]] == ["p3/1.png", "p3/0.png"]


def test_saved_features_give_the_same_gallery(place, gallery, tmp_path):
    search("build", tmp_path / "g", "--features", place / "first.npz")
    ours, theirs = Gallery.open(tmp_path / "g"), Gallery.open(gallery)
    assert ours.names == theirs.names and np.array_equal(ours.codes, theirs.codes)
    assert (ours.header["features"], theirs.header["features"]) == (0, 1024)
    with np.load(place / "first.npz") as stored:
        assert np.array_equal(theirs.kept_features(range(14)), stored["features"].astype(np.float16))
    assert ours.header["model_hash"] == weights_hash(pretrained("lite"))


def test_adding_then_querying_by_folder(place, tmp_path):
    search("build", tmp_path / "g", "--faces", place / "first", "--picture-only")
    assert "20 faces, 64 bytes each" in search("add", tmp_path / "g", "--faces", place / "second")
    said = search("query", tmp_path / "g", "--faces", place / "second", "--k", 2, "--json", tmp_path / "a.json")
    answers = json.loads((tmp_path / "a.json").read_text())["answers"]
    assert [a["query"] for a in answers] == [f"p{p}/{i}.png" for p in (7, 8, 9) for i in (0, 1)]
    assert all(a["found"][0]["name"] == a["query"] and a["found"][0]["distance"] == 0 for a in answers)
    assert all(a["found"][1]["name"][:2] == a["query"][:2] for a in answers)
    assert said.count(" of 512 bits ") == 12


@pytest.mark.parametrize("rerank", [0, 6])
def test_every_backend_answers_alike(place, gallery, rerank):
    words = ["query", gallery, "--features", place / "first.npz", "--rerank", rerank]
    backends = ["numpy", *(["faiss"] if codes.faiss() else [])]
    assert {search(*words, "--backend", backend) for backend in backends} == {search(*words)}


def test_json_alone_goes_to_standard_output(place, gallery, tmp_path):
    words = ["query", gallery, "--features", place / "first.npz", "--k", 2]
    search(*words, "--json", tmp_path / "a.json")
    assert json.loads(search(*words, "--json", "-")) == json.loads((tmp_path / "a.json").read_text())


def test_names_from_others_move_no_cursor(place, gallery, tmp_path):
    names = ["\x1b[2Jtitle\x07", "two\nlines", *map(str, range(12))]
    evil = changed(place, tmp_path, names=names)
    lines = search("query", gallery, "--features", evil, "--k", 1, "--json", tmp_path / "a.json").splitlines()
    assert len(lines) == 28 and all(line.isprintable() for line in lines)
    assert [a["query"] for a in json.loads((tmp_path / "a.json").read_text())["answers"]] == names
    assert "control character" in refused("build", tmp_path / "g", "--features", evil)
    assert "control character" in refused("add", gallery, "--features", evil)


def test_after_a_failed_build_nothing_is_left_and_the_corrected_one_runs(place, tmp_path):
    bad = changed(place, tmp_path, names=["caf\udce9", *map(str, range(13))])
    assert "broken text" in refused("build", tmp_path / "new" / "g", "--features", bad)
    assert not (tmp_path / "new").exists()
    search("build", tmp_path / "new" / "g", "--features", place / "first.npz")
    assert "14 faces" in search("info", tmp_path / "new" / "g")


@pytest.mark.parametrize("kind", ["itself", "link"])
def test_no_output_takes_the_place_of_an_input(place, gallery, tmp_path, kind):
    def named(path):
        if kind == "itself":
            return path
        (tmp_path / path.name).symlink_to(path)
        return tmp_path / path.name

    first, image = place / "first.npz", place / "first" / "p3" / "1.png"
    before = [path.read_bytes() for path in (gallery, first, image)]
    refused("export", gallery, named(gallery))
    refused("query", gallery, "--features", first, "--json", gallery)
    refused("query", gallery, "--features", first, "--json", named(first))
    refused("query", gallery, "--image", image, "--json", named(image))
    assert [path.read_bytes() for path in (gallery, first, image)] == before


def test_reranking_orders_by_score(place, gallery, tmp_path):
    search("query", gallery, "--faces", place / "second", "--rerank", 50, "--k", 14, "--json", tmp_path / "a.json")
    for answer in json.loads((tmp_path / "a.json").read_text())["answers"]:
        scores = [found["score"] for found in answer["found"]]
        assert scores == sorted(scores, reverse=True)
        assert sorted(found["index"] for found in answer["found"]) == list(range(14))
        distances = codes.hamming(Gallery.open(gallery).codes, Gallery.open(gallery).codes)
        assert distances.max() >= max(found["distance"] for found in answer["found"]) / 2 > 0


def test_info_and_export(gallery, tmp_path):
    said = search("info", gallery)
    assert "14 faces" in said and "model: lite" in said and "bits: 1024" in said
    said = search("export", gallery, tmp_path / "codes.npy")
    assert said.splitlines() == [str(tmp_path / "codes.npy"), str(tmp_path / "codes.npy.names.txt")]
    assert np.array_equal(np.load(tmp_path / "codes.npy"), Gallery.open(gallery).codes)


def changed(place, tmp_path, **arrays):
    with np.load(place / "first.npz") as stored:
        np.savez(tmp_path / "changed.npz", **{**stored, **arrays})
    return tmp_path / "changed.npz"


def test_mistakes_about_the_query(place, gallery, tmp_path):
    first = place / "first.npz"
    assert "give one of --image" in refused("query", gallery)
    assert "more than one source" in refused("query", gallery, "--features", first, "--faces", place / "first")
    assert "nobody.png" in refused("query", gallery, "--image", tmp_path / "nobody.png")
    (tmp_path / "text.png").write_text("no picture")
    assert "text.png" in refused("query", gallery, "--image", tmp_path / "text.png")
    assert "nowhere" in refused("query", gallery, "--faces", tmp_path / "nowhere")
    assert "holds 14 faces" in refused("query", gallery, "--features", first, "--k", 15)
    assert "--k 0" in refused("query", gallery, "--features", first, "--k", 0)
    assert "--rerank 3" in refused("query", gallery, "--features", first, "--rerank", 3)
    assert "another" in refused("query", gallery, "--features", first, "--model", "webfaces")


def test_mistakes_about_features(place, gallery, tmp_path):
    def said(**arrays):
        return refused("query", gallery, "--features", changed(place, tmp_path, **arrays))

    with np.load(place / "first.npz") as stored:
        features = stored["features"]
    assert "NaN" in said(features=np.where(np.arange(1024) == 5, np.nan, features))
    assert "(14, 512)" in said(features=features[:, :512])
    assert "(N, 1024)" in said(features=features.ravel())
    assert "13 names" in said(names=np.arange(13))
    assert "another model" in said(model_hash="0123")
    assert "(0, 1024)" in said(features=features[:0], names=[])
    assert "names, (" in said(features=features, names=np.array([["a"]] * len(features)))
    assert "complex" in said(features=features + 1j)
    assert "first.npz" not in said(names=np.array(7))
    (tmp_path / "broken.npz").write_bytes((place / "first.npz").read_bytes()[:1000])
    assert "broken.npz" in refused("query", gallery, "--features", tmp_path / "broken.npz")
    np.save(tmp_path / "plain.npy", features)
    assert "plain.npy" in refused("query", gallery, "--features", tmp_path / "plain.npy")
    assert "absent.npz" in refused("query", gallery, "--features", tmp_path / "absent.npz")


def test_mistakes_about_the_gallery(place, gallery, tmp_path):
    first = place / "first.npz"
    assert "no gallery" in refused("query", tmp_path / "g", "--features", first)
    assert "a folder" in refused("query", tmp_path, "--features", first)
    assert "is there already" in refused("build", gallery, "--features", first)
    assert "nothing" in refused("build", tmp_path / "g", "--features", first, "--model", "nothing")
    assert not (tmp_path / "g").exists()
    Gallery.create(tmp_path / "empty", 1024, "lite", weights_hash(pretrained("lite")))
    assert "holds 0 faces" in refused("query", tmp_path / "empty", "--features", first)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "header.json").write_text("{}")
    (tmp_path / "text").write_text("no gallery" * 100)
    (tmp_path / "cut").write_bytes(gallery.read_bytes()[:40000])
    (tmp_path / "blank").write_bytes(b"")
    for name in ("old", "text", "cut", "blank"):
        for words in (
            ["info"],
            ["query", "--features", first],
            ["add", "--features", first],
            ["export", tmp_path / "x"],
        ):
            assert "build" in refused(words[0], tmp_path / name, *words[1:])
    search("build", tmp_path / "codes", "--features", first)
    assert "keep-features" in refused("query", tmp_path / "codes", "--features", first, "--rerank", 9)


def test_a_bad_add_loses_nothing(place, gallery, tmp_path):
    copy = Path(shutil.copy(gallery, tmp_path / "copy"))
    with np.load(place / "first.npz") as stored:
        bad = changed(place, tmp_path, features=np.full_like(stored["features"], np.inf))
    refused("add", copy, "--features", bad)
    refused("add", copy, "--features", place / "first.npz", "--model", "webfaces")
    assert len(Gallery.open(copy)) == 14


def test_it_is_a_command_of_deepid(gallery):
    def deepid(*words):
        run = [sys.executable, "-m", "deepid_lite", "search", *map(str, words)]
        return subprocess.run(run, capture_output=True, text=True, timeout=120)

    assert "14 faces" in deepid("info", gallery).stdout
    done = deepid("info", gallery / "nothing")
    assert done.returncode == 2 and done.stderr.startswith("deepid: ") and len(done.stderr.splitlines()) == 1
