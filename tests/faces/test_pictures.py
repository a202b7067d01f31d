"""Pictures as they are: what a table says of each goes with it, and a sequence keeps the order of time."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import TEMPLATE
from deepid_lite.faces.decoding import BadImage
from deepid_lite.faces.pictures import load_pictures, load_sequence, overlap
from deepid_lite.faces.tables import INDEX_LANDMARKS

SIZES = [(60, 40), (200, 150), (31, 77)]


def picture(number, size=(20, 10)):
    buffer = io.BytesIO()
    Image.new("RGB", size, (number, 2 * number, 7)).save(buffer, "PNG")
    return buffer.getvalue()


def row(number, identity="ann", box="3.5,4,20,25"):
    points = TEMPLATE / 4 + number
    return ",".join([f"{number}.png", identity, box, *(f"{v:.2f}" for v in points.ravel()), str(10 * number)])


HEADER = ",".join(["file", "identity", "x", "y", "w", "h", *INDEX_LANDMARKS, "matches"])
TABLE = [HEADER, row(2, "bo"), row(0), row(1, box="0,0,9,8")]


def write(root, table, name="faces.csv"):
    (root / "images").mkdir(parents=True, exist_ok=True)
    for number, size in enumerate(SIZES):
        (root / "images" / f"{number}.png").write_bytes(picture(number, size))
    (root / name).write_text("\n".join(table) + "\n")
    return root


def packed(root):
    with tarfile.open(root.with_suffix(".tar"), "w") as tar:
        tar.add(root, "around")
    return root.with_suffix(".tar")


@pytest.mark.parametrize("pack", [lambda root: root, packed], ids=["folder", "tar"])
def test_a_table_goes_with_its_pictures(pack, tmp_path):
    found = load_pictures(pack(write(tmp_path / "set", TABLE)))
    assert [path.rsplit("/", 1)[1] for path in found.paths] == ["2.png", "0.png", "1.png"] and len(found) == 3
    assert [found.names[label] for label in found.labels] == ["bo", "ann", "ann"]
    np.testing.assert_allclose(found.boxes, [[3.5, 4, 20, 25], [3.5, 4, 20, 25], [0, 0, 9, 8]])
    np.testing.assert_allclose(found.landmarks[0], TEMPLATE / 4 + 2, atol=0.01)
    assert found.attributes["matches"].tolist() == [20, 0, 10]
    assert [found[k].shape for k in range(3)] == [(SIZES[n][1], SIZES[n][0], 3) for n in (2, 0, 1)]
    everything = dict(found.decoded())
    assert sorted(everything) == [0, 1, 2] and all(np.array_equal(everything[k], found[k]) for k in range(3))
    some = found.subset(np.array([True, False, True]))
    assert some.paths == [found.paths[0], found.paths[2]] and some.labels.tolist() == [1, 0]
    assert np.array_equal(some.boxes, found.boxes[[0, 2]]) and np.array_equal(some[1], found[2])


def test_names_of_mouth_corners_and_no_landmarks_at_all(tmp_path):
    other = [HEADER.replace("mouth_left", "left_mouth").replace("mouth_right", "right_mouth"), *TABLE[1:]]
    first, second = (load_pictures(write(tmp_path / str(k), table)) for k, table in enumerate((TABLE, other)))
    assert np.array_equal(first.landmarks, second.landmarks)
    plain = load_pictures(write(tmp_path / "plain", ["path,x,y,w,h", "0.png,1,2,3,4"]))
    assert plain.landmarks is None and plain.names == [""] and plain.boxes.tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize(
    "table, told",
    [
        ([HEADER, row(0), row(7)], ["line 3", "'7.png'", "not there"]),
        ([HEADER, row(0), row(0)], ["line 3", "twice"]),
        ([HEADER, row(0, box="1,2,0,4")], ["line 2", "'1 2 0 4'"]),
        ([HEADER, row(0, box="1,2,x,4")], ["line 2", "'1 2 x 4'"]),
        ([HEADER, row(0, box="1,nan,3,4")], ["line 2"]),
        ([HEADER, row(0, box="1,2,3")], ["line 2", "16 values where 17"]),
        ([HEADER.replace("nose_x", "nase_x"), row(0)], ["nase_x"]),
        ([HEADER.replace(",w,", ",width,"), row(0)], ["x, y, w, h"]),
        ([HEADER], ["0 rows"]),
    ],
)
def test_a_wrong_table_is_named_by_line_and_value(table, told, tmp_path):
    with pytest.raises(DataError) as caught:
        load_pictures(write(tmp_path / "set", table))
    text = str(caught.value)
    assert "\n" not in text and "faces.csv" in text and all(part in text for part in told), text


def test_no_table_or_more_than_one(tmp_path):
    root = write(tmp_path / "set", TABLE)
    write(root, TABLE[:2], "index.csv")
    with pytest.raises(DataError, match="2 tables"):
        load_pictures(root)
    assert len(load_pictures(root, "index.csv")) == 1
    with pytest.raises(DataError, match="0 tables other.csv"):
        load_pictures(root, "other.csv")


def test_a_broken_picture_is_named_when_it_is_asked_for(tmp_path):
    root = write(tmp_path / "set", TABLE)
    (root / "images" / "0.png").write_bytes(b"no picture")
    found = load_pictures(root)
    assert found[0].shape == (77, 31, 3)
    with pytest.raises(BadImage, match="images/0.png"):
        found[1]


def sequence(root, separator, n=11, boxes=11):
    (root / "img").mkdir(parents=True)
    for k in range(1, n + 1):
        (root / "img" / f"{k}.png").write_bytes(picture(k))
    lines = [separator.join(map(str, (k, 2 * k, 30, 40.5))) for k in range(1, boxes + 1)]
    (root / "groundtruth_rect.txt").write_text("\r\n".join(lines) + "\r\n")
    return root


@pytest.mark.parametrize("separator", [",", "\t", " ", ", "])
def test_a_sequence_keeps_the_order_of_time(separator, tmp_path):
    found = load_sequence(sequence(tmp_path / "girl", separator))
    assert [found[k][0, 0, 0] for k in range(11)] == list(range(1, 12))
    np.testing.assert_array_equal(found.boxes, [[k, 2 * k, 30, 40.5] for k in range(1, 12)])


def test_several_sequences_in_an_archive_are_told_apart(tmp_path):
    for name, n in (("girl", 3), ("boy", 5)):
        sequence(tmp_path / "all" / name, ",", n, n)
    archive = packed(tmp_path / "all")
    assert len(load_sequence(archive, "girl")) == 3 and len(load_sequence(archive, "boy")) == 5
    for name in (None, "man"):
        with pytest.raises(DataError, match=f"{name}.*boy, girl"):
            load_sequence(archive, name)


def test_wrong_sequences(tmp_path):
    with pytest.raises(DataError, match="10 boxes for 11 frames"):
        load_sequence(sequence(tmp_path / "a", ",", 11, 10))
    root = sequence(tmp_path / "b", ",")
    text = (root / "groundtruth_rect.txt").read_text()
    for old, new, told in (
        ("3,6,30", "3,6,0", "line 3"),
        ("3,6,30", "3,6", "line 3"),
        ("3,6,30", "3,NaN,30", "line 3"),
    ):
        (root / "groundtruth_rect.txt").write_text(text.replace(old, new))
        with pytest.raises(DataError, match=told):
            load_sequence(root)


def test_overlap_is_the_intersection_over_the_union():
    a = np.array([[0, 0, 2, 2], [0, 0, 10, 10], [0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 4, 2]])
    b = np.array([[1, 1, 2, 2], [5, 0, 10, 10], [0, 0, 1, 1], [2, 2, 1, 1], [3, 1, 1, 4]])
    np.testing.assert_allclose(overlap(a, b), [1 / 7, 1 / 3, 1, 0, 2 / 10])
    far = np.float32([[70_000, 0, 1, 1]])  # in single precision its end would be rounded
    assert overlap(far, far + [0, 0.1, 0, 0])[0] == pytest.approx(0.9 / 1.1)
    assert overlap(far, far).dtype == np.float64
