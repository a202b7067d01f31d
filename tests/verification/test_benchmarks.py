"""What a model is tested on: LFW's and CFP's lists, options of a set, everything that may be missing."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from samples import assert_disjoint, people_with

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import TEMPLATE
from deepid_lite.faces.tables import INDEX_LANDMARKS
from deepid_lite.verification import benchmarks, pipeline
from deepid_lite.verification.benchmarks import read_cfp, read_lfw_pairs
from deepid_lite.verification.pairs import identification_lists, make_pairs


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPID_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DEEPID_DATA", raising=False)


def test_cfp_is_read_from_its_folder(cfp):
    test = benchmarks.benchmark("cfp", cfp)
    assert test.name == "cfp" and test.lists is None and test.video is None
    assert test.facts == {"kind": "FP", "alignment": "none, pictures as they are"}
    assert len(test.faces) == 16 and test.faces.names == ["001", "002", "003", "004"]
    for number, path in enumerate(test.faces.paths):  # each picture stands at its path
        assert abs(int(test.faces.images[number].mean()) - 10 * number) <= 1, path
    assert {test.faces.paths[i].split("/")[1] for i in test.pairs.second} == {"profile"}
    frontal = benchmarks.benchmark("cfp", cfp / "cfp-dataset", kind="FF")
    assert {frontal.faces.paths[i].split("/")[1] for i in frontal.pairs.second} == {"frontal"}
    assert frontal.faces.data_hash == test.faces.data_hash
    first, second = (test.faces.labels[side] for side in (test.pairs.first, test.pairs.second))
    assert (first == second).tolist() == test.pairs.same.tolist()


def test_an_index_of_landmarks_aligns_cfp(cfp):
    images = cfp / "cfp-dataset/Data/Images"
    points = ",".join(map(str, (TEMPLATE / 3).ravel()))
    rows = [f"{path.relative_to(images)},{path.parts[-3]},{points}" for path in images.rglob("*.jpg")]
    (images / "index.csv").write_text("\n".join([f"path,identity,{','.join(INDEX_LANDMARKS)}", *rows]))
    test = benchmarks.benchmark("cfp", cfp)
    assert test.facts["alignment"] == "by index.csv" and len(test.pairs) == 8
    np.testing.assert_allclose(test.faces.landmarks[0], TEMPLATE, atol=1e-3)


def test_a_changed_picture_is_read_again(cfp):
    before = benchmarks.benchmark("cfp", cfp).faces.data_hash
    file = cfp / "cfp-dataset/Data/Images/001/frontal/01.jpg"
    Image.fromarray(np.full((64, 50, 3), 200, np.uint8)).save(file)
    assert benchmarks.benchmark("cfp", cfp).faces.data_hash != before


def test_a_cfp_folder_that_is_not_whole_is_one_line(cfp):
    (cfp / "cfp-dataset/Data/Images/002/profile/01.jpg").unlink()
    with pytest.raises(DataError, match="names 1 images that are not among the faces, the first 002/profile/01"):
        benchmarks.benchmark("cfp", cfp)
    with pytest.raises(DataError, match="no folder Protocol there"):
        benchmarks.benchmark("cfp", cfp / "cfp-dataset/Data")
    (cfp / "cfp-dataset/Data").rename(cfp / "away")
    with pytest.raises(DataError, match="no Data/Images beside Protocol"):
        benchmarks.benchmark("cfp", cfp)
    with pytest.raises(DataError, match="DEEPID_DATA"):
        benchmarks.benchmark("cfp")


@pytest.mark.parametrize(
    ("data", "option"),
    [
        ("lfw", {"kind": "FF"}),
        ("cfp", {"pairs": "pairs.txt"}),
        ("ytf", {"errata": "errata.txt"}),
        ("synthetic", {"frames": 3}),
        ("synthetic", {"corrected": True}),
    ],
)
def test_an_option_of_another_set_is_refused(data, option):
    with pytest.raises(DataError, match=f"{next(iter(option))}: no option of the test set '{data}'"):
        benchmarks.benchmark(data, **option)


def test_anything_that_scores_pairs_of_faces_is_evaluated():
    """A model that knows the truth makes no mistake, one that knows nothing is a coin."""

    class Knows:
        def scores(self, faces, pairs):
            return (faces.labels[pairs.first] == faces.labels[pairs.second]).astype(float)

    class Guesses:
        def scores(self, faces, pairs):
            return np.ones(len(pairs))

    faces = type("Faces", (), {"labels": np.repeat(np.arange(40), 4)})()
    test = benchmarks.Benchmark("small", faces, make_pairs(faces.labels, per_fold=10))
    found = benchmarks.evaluate(Knows(), test)
    assert (found["accuracy"], found["equal_error_rate"], found["interval"]) == (100, 0, [100, 100])
    assert benchmarks.evaluate(Guesses(), test)["accuracy"] == 50
    with pytest.raises(DataError, match="pairs of videos"):
        benchmarks.evaluate(Knows(), benchmarks.Benchmark("videos", faces, test.pairs, video=faces.labels))


# the official lists


def tiny_lfw(tmp_path, text="2\t2\nP0\t1\t2\nP1 2 1\nP0\t1\tP1\t2\nP1\t1\tP2\t1\n"
             "P3\t1\t3\nP3\t2\t3\nP3\t1\tP4\t1\nP4\t2\tP3\t3\n"):  # fmt: skip
    (tmp_path / "pairs.txt").write_text(text)
    return tmp_path / "pairs.txt", people_with([2, 2, 1, 3, 2])[1]


def test_lfw_pairs_by_hand(tmp_path):
    file, paths = tiny_lfw(tmp_path)
    pairs = read_lfw_pairs(file, paths)
    names = [(paths[i][:10], paths[j][:10]) for i, j in zip(pairs.first, pairs.second, strict=True)]
    expected = "P0/P0_0001 P0/P0_0002 P1/P1_0002 P1/P1_0001 P0/P0_0001 P1/P1_0002"
    assert " ".join(" ".join(pair) for pair in names[:3]) == expected
    assert pairs.same.tolist() == [True, True, False, False] * 2
    assert pairs.fold.tolist() == [0] * 4 + [1] * 4 and len(pairs) == 8
    # other roots, endings and orders of the images find the same ones
    other = [f"/data/lfw/{Path(p).with_suffix('.png')}" for p in reversed(paths)]
    np.testing.assert_array_equal(read_lfw_pairs(file, other).first, len(paths) - 1 - pairs.first)


def test_view_1_is_one_fold(tmp_path):
    file, paths = tiny_lfw(tmp_path, "1\nP0 1 2\nP0 1 P1 2\n")
    assert read_lfw_pairs(file, paths).fold.tolist() == [0, 0]


def test_errata_flip_labels(tmp_path):
    file, paths = tiny_lfw(tmp_path)
    (tmp_path / "errata.txt").write_text("# wrong in the list\nP0 2 P0 1 0\nP0 1 P1 2 1  # one person after all\n")
    flipped = read_lfw_pairs(file, paths, errata=tmp_path / "errata.txt").same
    assert flipped.tolist() == [False, True, True, False, True, True, False, False]
    given_rows = [("P0", 2, "P0", 1, False), ("P0", 1, "P1", 2, 1)]
    np.testing.assert_array_equal(read_lfw_pairs(file, paths, errata=given_rows).same, flipped)
    for row, words in [(("P0", 1, "P2", 1, 1), "no pair"), (("P0", 1, "P1", 2), "same 0 or 1"),
                       (("P0", 1, "P1", 2, "maybe"), "maybe")]:  # fmt: skip
        with pytest.raises(DataError, match=words):
            read_lfw_pairs(file, paths, errata=[row])


@pytest.mark.parametrize("change, words", [
    (lambda t: t.replace("P2\t1", "Nobody\t7"), "names 1 images .* Nobody/Nobody_0007"),
    (lambda t: t[: t.rindex("P4")], "7 pairs, .* 8 in all"),
    (lambda t: t + "P0 1 2\n", "9 pairs"),
    (lambda t: t.replace("2\t2", "ten folds", 1), "line 1"),
    (lambda t: "", "line 1"),
    (lambda t: t.replace("P1 2 1\n", "P1 2 P1 1\n"), "line 3: .* should be name, number, number"),
    (lambda t: t.replace("P1 2 1\n", "P1 two 1\n"), "line 3"),
])  # fmt: skip
def test_wrong_pair_files(tmp_path, change, words):
    file, paths = tiny_lfw(tmp_path)
    file.write_text(change(file.read_text()))
    with pytest.raises(DataError, match=words) as caught:
        read_lfw_pairs(file, paths)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_pair_file(tmp_path):
    with pytest.raises(DataError, match="nowhere.txt"):
        read_lfw_pairs(tmp_path / "nowhere.txt", [])


def cfp_paths(cfp):
    images = cfp / "cfp-dataset/Data/Images"
    return sorted(str(path.relative_to(images)) for path in images.rglob("*.jpg"))


def test_cfp_folds(cfp):
    paths = cfp_paths(cfp)
    pairs = read_cfp(cfp / "cfp-dataset", paths)
    assert pairs.same.tolist() == [True, True, False, False] * 2 and pairs.fold.tolist() == [0] * 4 + [1] * 4
    assert [paths[i] for i in pairs.first[:3]] == ["001/frontal/01.jpg", "002/frontal/01.jpg", "001/frontal/01.jpg"]
    assert [paths[i] for i in pairs.second[:3]] == ["001/profile/02.jpg", "002/profile/02.jpg", "002/profile/02.jpg"]
    assert all("frontal" in paths[i] for i in read_cfp(cfp / "cfp-dataset", paths, "FF").second)


def test_wrong_cfp_folders(cfp):
    folder, paths = cfp / "cfp-dataset", cfp_paths(cfp)
    with pytest.raises(DataError, match="'FF' or 'FP'"):
        read_cfp(folder, paths, "PP")
    with pytest.raises(DataError, match="001/frontal/01"):
        read_cfp(folder, paths[1:])
    with pytest.raises(DataError, match="Pair_list"):
        read_cfp(folder / "Protocol", paths)
    for text, said in (("1,4\n1;9\n", "line 2: '1;9'"), ("", "diff.txt: no pairs in it")):
        (folder / "Protocol/Split/FP/02/diff.txt").write_text(text)
        with pytest.raises(DataError, match=said):
            read_cfp(folder, paths)


@pytest.mark.real
def test_lfw_lists():
    root = Path(os.environ.get("DEEPID_DATA", "/nowhere"))
    if not (root / "lfw_protocol" / "pairs.txt").exists():
        pytest.skip("DEEPID_DATA names no folder with lfw_protocol/pairs.txt")
    counts = [line.split() for line in (root / "lfw_protocol" / "lfw-names.txt").read_text().splitlines()]
    labels = np.repeat(np.arange(len(counts)), [int(n) for _, n in counts])
    paths = [f"{name}/{name}_{i + 1:04d}.jpg" for name, n in counts for i in range(int(n))]
    assert (len(paths), len(counts)) == (13233, 5749)

    pairs = read_lfw_pairs(root / "lfw_protocol" / "pairs.txt", paths)
    assert len(pairs) == 6000 and pairs.fold.max() == 9
    np.testing.assert_array_equal(pairs.same, labels[pairs.first] == labels[pairs.second])
    assert_disjoint(pairs, labels)
    for name, size in (("pairsDevTrain", 2200), ("pairsDevTest", 1000)):
        assert len(read_lfw_pairs(root / "lfw_protocol" / f"{name}.txt", paths)) == size

    lists = identification_lists(labels, closed=np.union1d(pairs.first, pairs.second))
    assert (len(lists.gallery), len(lists.probes)) == (4281, 3420)
    assert (len(lists.open_gallery), len(lists.genuine), len(lists.impostors)) == (596, 596, 9494)
    assert not set(labels[lists.impostors]) & set(labels[lists.open_gallery])
    made = make_pairs(labels, seed=1)
    assert len(made) == 6000
    assert_disjoint(made, labels)


def test_a_set_that_must_not_fit_is_refused_before_the_work(monkeypatch):
    monkeypatch.setattr(pipeline, "benchmark", lambda *a, **k: SimpleNamespace(video=None))
    monkeypatch.setattr(pipeline, "face_features", lambda *a, **k: pytest.fail("features were made first"))
    with pytest.raises(DataError, match="lfw: it is the test set and never trains"):
        pipeline.evaluate_model("lite", "synthetic", refit_on="lfw")
