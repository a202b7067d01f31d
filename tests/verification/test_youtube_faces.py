"""YouTube Faces in its official layout, written small: folders, lists, frames, and scores of videos from frames."""

import numpy as np
import pytest
from ytf_splits import HEADER, row, splits

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import TEMPLATE
from deepid_lite.verification import benchmarks, youtube_faces
from deepid_lite.verification.pairs import Pairs

# the folder and its lists


def test_videos_are_found_and_their_frames_stand_in_order_of_time(ytf):
    found = youtube_faces.find_videos(ytf / "aligned_images_DB")
    assert found.names == [f"p{p}/{v}" for p in range(5) for v in range(2)]
    assert [len(frames) for frames in found.frames] == [3 + 2 * p + v for p in range(5) for v in range(2)]
    assert [f.split(".")[-2] for f in found.frames[-1]] == [str(n) for n in range(95, 107)]  # 99 before 100
    assert all((found.folder / frame).is_file() for frames in found.frames for frame in frames)


def test_splits_are_ten_folds_and_corrected_labels_an_option(ytf):
    names = youtube_faces.find_videos(ytf / "frame_images_DB").names
    pairs = youtube_faces.read_splits(ytf / "splits.txt", names)
    assert len(pairs) == 20 and pairs.fold.tolist() == np.repeat(np.arange(10), 2).tolist()
    assert pairs.same.tolist() == [True, False] * 10
    assert names[pairs.first[0]] == "p1/0" and names[pairs.second[1]] == "p2/1"
    both = [youtube_faces.read_splits(ytf / "splits_corrected.txt", names, corrected) for corrected in (False, True)]
    assert np.array_equal(both[0].same, pairs.same)
    assert np.flatnonzero(both[1].same != pairs.same).tolist() == [3, 4]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (splits(last=19)[0], "19 pairs in splits of 2, 2, 2, 2, 2, 2, 2, 2, 2, 1 pairs"),
        (splits(last=18)[0], "cut short"),
        (HEADER, "0 pairs"),
        ("", "0 pairs"),
        (splits()[0].replace("p1/0", "p1/7"), "names 1 videos that are not there, the first p1/7"),
        (splits()[0].replace("1, 2, p1/0, p2/1, 0", "1, 2, p1/0, p2/1"), "line 3: '1, 2, p1/0, p2/1' should be"),
        (splits()[0].replace("1, 2, p1/0, p2/1, 0", "1, 2, p1/0, p2/1, 2"), "line 3"),
        (splits()[0].replace("1, 2, p1/0", "1, x, p1/0"), "line 3"),
        (splits()[0].replace("1, 2, p1/0", ", 2, p1/0"), "line 3"),
        (splits()[0].replace("1, 2, p1/0", "1, 3, p1/0"), "line 3: split 1, pair 3 is out of order"),
        (splits()[0].replace("1, 2, p1/0", "0, 2, p1/0"), "splits of 1, 2"),
        (splits()[0] + row(11, 1, "p0/0", "p0/1", 1), "ten"),
    ],
)
def test_a_wrong_list_of_splits_is_one_line(ytf, text, said):
    (ytf / "splits.txt").write_text(text)
    with pytest.raises(DataError) as error:
        youtube_faces.read_splits(ytf / "splits.txt", youtube_faces.find_videos(ytf / "frame_images_DB").names)
    assert said.replace("ten", "10 splits") in str(error.value) and "\n" not in str(error.value)


def test_missing_files_and_missing_labels_are_one_line(ytf, tmp_path):
    names = youtube_faces.find_videos(ytf / "frame_images_DB").names
    for path, corrected, said in (("splits.txt", True, "no sixth column"), ("no.txt", False, "no such file")):
        with pytest.raises(DataError, match=said):
            youtube_faces.read_splits(ytf / path, names, corrected)
    with pytest.raises(DataError, match="no such folder"):
        youtube_faces.find_videos(ytf / "nowhere")
    (tmp_path / "empty/p0/0").mkdir(parents=True)
    with pytest.raises(DataError, match="no frames"):
        youtube_faces.find_videos(tmp_path / "empty")


# frames


def test_sampling_spreads_begins_or_draws():
    assert youtube_faces.sample_frames(10, 2).tolist() == [2, 7]
    assert youtube_faces.sample_frames(100, 20).tolist() == list(range(2, 100, 5))
    assert youtube_faces.sample_frames(48, 4, "first").tolist() == [0, 1, 2, 3]
    drawn = youtube_faces.sample_frames(1000, 20, "random", 3)
    assert len(set(drawn.tolist())) == 20 and (np.diff(drawn) > 0).all()
    assert np.array_equal(drawn, youtube_faces.sample_frames(1000, 20, "random", 3))
    assert not np.array_equal(drawn, youtube_faces.sample_frames(1000, 20, "random", 4))
    for how in youtube_faces.SAMPLING:
        assert youtube_faces.sample_frames(7, 0, how).tolist() == list(range(7))  # all of them
        assert youtube_faces.sample_frames(7, 20, how).tolist() == list(range(7))  # and no frame twice
    for wrong in ((5, 3, "last"), (5, -1, "even"), (0, 3, "even")):
        with pytest.raises(DataError, match="frames"):
            youtube_faces.sample_frames(*wrong)


def test_boxes_give_landmarks_in_both_folders(ytf):
    found = youtube_faces.find_videos(ytf / "aligned_images_DB")
    points = youtube_faces.frame_landmarks(found, found.frames[0])
    assert points.shape == (3, 5, 2)
    np.testing.assert_allclose(points[0], youtube_faces.IN_BOX * (50, 40), atol=1e-4)
    found = youtube_faces.find_videos(ytf / "frame_images_DB")
    points = youtube_faces.frame_landmarks(found, found.frames[0])
    np.testing.assert_allclose(points[1] - points[0], np.tile([1, 0], (5, 1)), atol=1e-4)  # the box moves along
    # the box itself lies in the middle of the expanded one: the mean landmark is below its centre, the eyes above
    assert points[0][:2, 1].max() < 35 < points[0][3:, 1].min() and abs(points[0][:, 0].mean() - 40) < 1
    mean = youtube_faces.IN_BOX
    side = np.linalg.norm(points[0][1] - points[0][0]) / np.linalg.norm(mean[1] - mean[0])
    assert side == pytest.approx(2.2 * 20, rel=1e-5)


def test_a_missing_or_broken_box_is_one_line(ytf):
    found = youtube_faces.find_videos(ytf / "frame_images_DB")
    file = ytf / "frame_images_DB/p0.labeled_faces.txt"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[1:]))
    with pytest.raises(DataError, match="no box for p0/0/0.95.jpg .1 of 3 frames"):
        youtube_faces.frame_landmarks(found, found.frames[0])
    for wrong in ("p0\\0\\0.95.jpg,0,40,x,20,20", "p0\\0\\0.95.jpg,0,40,35,20", "p0\\0\\0.95.jpg,0,40,35,0,20"):
        file.write_text("\n".join([wrong, *lines[1:]]))
        with pytest.raises(DataError, match="line 1"):
            youtube_faces.frame_landmarks(found, found.frames[0])
    file.unlink()
    with pytest.raises(DataError, match="no such file"):
        youtube_faces.frame_landmarks(found, found.frames[0])


# from frames to videos

VIDEO = np.array([1, 0, 1, 2, 0, 1])  # frames of three videos, mixed
PAIRS = Pairs(np.array([0, 1, 0]), np.array([1, 2, 2]), np.ones(3, bool), np.zeros(3, int))


def test_scores_are_the_mean_or_the_best_over_all_pairs_of_frames():
    table = np.random.default_rng(0).normal(size=(6, 6))
    for how, join in (("score", np.mean), ("max", np.max)):
        found = youtube_faces.pool_scores(lambda i, j: table[np.ix_(i, j)], VIDEO, PAIRS, how)
        loop = [
            join([table[a, b] for a in range(6) for b in range(6) if VIDEO[a] == i and VIDEO[b] == j])
            for i, j in zip(PAIRS.first, PAIRS.second, strict=True)
        ]
        np.testing.assert_allclose(found, loop)
    with pytest.raises(DataError, match="pooling 'median'"):
        youtube_faces.pool_scores(None, VIDEO, PAIRS, "median")


def test_features_are_averaged_within_a_video():
    features = np.random.default_rng(0).normal(size=(6, 4))
    pooled = youtube_faces.pool_features(features, VIDEO, 3)
    np.testing.assert_allclose(pooled, [features[VIDEO == v].mean(0) for v in range(3)])
    for video, n in ((VIDEO, 4), (VIDEO, 2), (np.array([0, 2]), 3)):
        with pytest.raises(DataError, match="number them"):
            youtube_faces.pool_features(features[: len(video)], video, n)


# the whole set


@pytest.fixture
def cached(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPID_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DEEPID_DATA", raising=False)


def test_the_set_is_read_with_its_frames_and_folds(ytf, cached):
    test = benchmarks.benchmark("ytf", ytf, frames=2)
    assert test.name == "ytf" and test.lists is None
    assert test.faces.images.shape == (20, 144, 128, 3) and np.bincount(test.video).tolist() == [2] * 10
    assert test.facts == {
        "videos": 10,
        "frames": 2,
        "sampling": "even",
        "labels": "published",
        "folder": "aligned_images_DB",
        "pooling": "score",
    }
    names = [path.rsplit("/", 1)[0] for path in test.faces.paths]
    first = names[int(np.flatnonzero(test.video == test.pairs.first[0])[0])]
    assert first == "p1/0" and len(test.pairs) == 20
    np.testing.assert_allclose(test.faces.landmarks.mean((0, 1)), TEMPLATE.mean(0), atol=0.5)
    again = benchmarks.benchmark("ytf", ytf, frames=2)
    assert again.faces.data_hash == test.faces.data_hash
    corrected = benchmarks.benchmark("ytf", ytf, frames=2, corrected=True)
    assert (corrected.pairs.same != test.pairs.same).sum() == 2 and corrected.facts["labels"] == "corrected"


def test_all_frames_of_the_unaligned_folder(ytf, cached):
    (ytf / "aligned_images_DB").rename(ytf / "away")
    test = benchmarks.benchmark("ytf", ytf, frames=0, sampling="first")
    assert len(test.faces) == sum(3 + 2 * p + v for p in range(5) for v in range(2))
    assert test.facts["frames"] == "all" and test.facts["folder"] == "frame_images_DB"


def test_a_set_that_is_not_whole_is_one_line(ytf, cached):
    with pytest.raises(DataError, match="no option of the test set 'ytf'"):
        benchmarks.benchmark("ytf", ytf, kind="FF")
    with pytest.raises(DataError, match="--root"):
        benchmarks.benchmark("ytf", ytf / "cache")
    for path in (ytf / "aligned_images_DB/p1/0").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(DataError, match="cannot be used"):
        benchmarks.benchmark("ytf", ytf, frames=3)
    (ytf / "splits.txt").unlink()
    with pytest.raises(DataError, match="no splits.txt"):
        benchmarks.benchmark("ytf", ytf)
    with pytest.raises(DataError, match="DEEPID_DATA"):
        benchmarks.benchmark("ytf")
