"""Attribute labels: every kind of list that CelebA's come in, and what is wrong with them."""

import hashlib
import os
import types
import zipfile

import numpy as np
import pytest

from deepid_lite.errors import DataError
from deepid_lite.faces import celeba
from deepid_lite.faces.celeba import CELEBA_ATTRIBUTES, celeba_attributes
from deepid_lite.faces.dataset import FaceSet

rng = np.random.default_rng(0)
NAMES = [f"{n:06d}.jpg" for n in range(1, 9)]
TRUTH = {name: rng.integers(0, 2, 40) for name in NAMES}
MALE = CELEBA_ATTRIBUTES.index("Male")


def face_set(paths, kind, /, **attributes):
    n = len(paths)
    images = np.zeros((n, 144, 128, 3), np.uint8)
    columns = {name: np.array(values) for name, values in attributes.items()}
    return FaceSet(
        images=images,
        labels=np.zeros(n, int),
        names=["one"],
        landmarks=np.zeros((n, 5, 2), np.float32),
        attributes=columns,
        paths=paths,
        source=kind,
    )


def signs(names, announced=None, truth=TRUTH):
    rows = [" ".join([name, *(("-1", " 1")[value] for value in truth[name])]) for name in names]
    return "\r\n".join([str(announced or len(names)), " ".join(CELEBA_ATTRIBUTES) + " ", *rows]) + "\r\n"


def bits(names, truth=TRUTH):
    return "".join(f"{name} {' '.join(map(str, truth[name]))}\r\n" for name in names)


def table(names, columns=("Attractive", "Male")):
    rows = [[name, "2", *(TRUTH[name][CELEBA_ATTRIBUTES.index(column)] for column in columns)] for name in names]
    return "".join(",".join(map(str, row)) + "\n" for row in [["", "Partition", *columns], *rows])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "list_attr_first20000.txt").write_text(signs(NAMES[:2], announced=202599))
    (tmp_path / "attr_val_01.txt").write_text(bits(NAMES[2:4]))
    (tmp_path / "attr_test_01.txt").write_text(bits(NAMES[4:5]))
    (tmp_path / "attractive_male_all.csv").write_text(table(NAMES[:7]))
    (tmp_path / "identity_CelebA.txt").write_text("000001.jpg 2880\n")
    (tmp_path / "other.csv").write_text("a,b\n1,2,3\n")
    return tmp_path


def test_all_lists_of_a_folder_together(folder):
    faces = face_set(NAMES[::-1], "celeba")
    found = celeba_attributes(faces, folder)
    assert tuple(found) == CELEBA_ATTRIBUTES and len(found) == 40
    for column, attribute in enumerate(CELEBA_ATTRIBUTES):
        values = found[attribute][::-1]  # back in the order of NAMES
        known = 7 if attribute in ("Attractive", "Male") else 5
        assert values.dtype == np.float32 and np.isnan(values[known:]).all()
        np.testing.assert_array_equal(values[:known], [TRUTH[name][column] for name in NAMES[:known]])


def test_the_official_list_is_enough(tmp_path):
    (tmp_path / "list_attr_celeba.txt").write_text(signs(NAMES))
    (tmp_path / "attr_val_01.txt").write_text("nonsense, but not read where the whole list is there")
    faces = face_set(["somewhere/" + name for name in NAMES], "celeba")
    found = celeba_attributes(faces, tmp_path)
    np.testing.assert_array_equal(np.stack(list(found.values()), 1), [TRUTH[name] for name in NAMES])


def test_the_official_list_may_stay_in_its_zip(tmp_path):
    path = tmp_path / "list_attr_celeba.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("list_attr_celeba.txt", signs(NAMES))
    found = celeba_attributes(face_set(NAMES, "celeba"), tmp_path)
    np.testing.assert_array_equal(np.stack(list(found.values()), 1), [TRUTH[name] for name in NAMES])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.txt", signs(NAMES))
    for content in (path.read_bytes(), path.read_bytes()[:40]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="list_attr_celeba.zip: no zip with list_attr_celeba.txt"):
            celeba_attributes(face_set(NAMES, "celeba"), tmp_path)


@pytest.mark.parametrize("suffix", [".txt", ".zip"])
def test_a_whole_list_must_be_the_official_one(tmp_path, monkeypatch, suffix):
    path, names = tmp_path / f"list_attr_celeba{suffix}", ["000001.jpg", "000002.jpg", "000003.jpg"]
    given = {"right": signs(names), "changed": signs(names).replace("-1", " 1", 1)}
    md5 = hashlib.md5(given["right"].encode()).hexdigest()
    monkeypatch.setattr(celeba, "OFFICIAL", (given["right"].split()[0], md5))
    for kind, text in given.items():
        if suffix == ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("list_attr_celeba.txt", text)
        else:
            path.write_text(text, newline="")
        if kind == "right":
            assert len(celeba.read_counted(path)) == 3
        else:
            with pytest.raises(DataError, match=f"list_attr_celeba{suffix}: not the official list of 3 pictures"):
                celeba.read_counted(path)


def test_web_faces_are_known_by_their_original_name(folder):
    faces = face_set(
        ["a/0.webp", "a/1.webp", "b/0.webp", "b/1.webp"], "webfaces",
        source=["celeba", "pins", "celeba", "celeba"], original=[NAMES[4], NAMES[0], NAMES[6], NAMES[4]],
    )  # fmt: skip
    found = celeba_attributes(faces, folder)
    male = [TRUTH[NAMES[at]][MALE] for at in (4, 6, 4)]
    np.testing.assert_array_equal(found["Male"], [male[0], np.nan, male[1], male[2]])
    np.testing.assert_array_equal(np.isnan(found["Bald"]), [False, True, True, False])


def flipped(name, column=MALE):
    other = {name: TRUTH[name].copy()}
    other[name][column] ^= 1
    return other


@pytest.mark.parametrize(
    "file, content, told",
    [
        ("attr_val_01.txt", bits(NAMES[2:4]) + bits([NAMES[0]], flipped(NAMES[0])), ("line 3", NAMES[0], "Male")),
        ("attr_val_01.txt", bits(NAMES[2:3]) + bits([NAMES[2]], flipped(NAMES[2], 4)), ("line 2", "Bald")),
        ("attractive_male_all.csv", table(NAMES[:1]).replace("2,", "2,1,", 1), ("line 2", "5 values", "4")),
        ("attractive_male_all.csv", table(NAMES[:1]) + "000002.jpg,1,0,7\n", ("line 3", "'7'")),
        ("attr_val_01.txt", bits(NAMES[2:4])[:-5], ("line 2", "41")),
        ("attr_val_01.txt", bits(NAMES[2:3]) + "\n" + bits(NAMES[3:4])[:-4], ("line 3", "40 values")),
        ("attr_val_01.txt", bits(NAMES[2:3]).replace(" 1", " -1", 1), ("line 1", "'-1'")),
        ("list_attr_first20000.txt", signs(NAMES[:2]).replace("-1", "0", 1), ("line 3", "'0'")),
        ("list_attr_first20000.txt", signs(NAMES[:2], announced=1), ("2 rows", "announces 1")),
        ("list_attr_first20000.txt", bits(NAMES[:2]), ("number of rows",)),
        ("list_attr_first20000.txt", "", ("number of rows",)),
        ("list_attr_first20000.txt", signs(NAMES[:2]).replace("Male", "Man"), ("attributes",)),
        ("list_attr_celeba.txt", signs(NAMES, announced=202599), ("8 rows", "202599")),
        ("list_attr_celeba.txt", "\xff\xfe\x00".encode("latin-1"), ("cannot be read",)),
    ],
)
def test_rows_that_are_wrong(folder, file, content, told):
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        celeba_attributes(face_set(NAMES, "celeba"), folder)
    text = str(caught.value)
    assert "\n" not in text and file in text and all(part in text for part in told), text


def test_no_labels_to_be_had(folder, tmp_path):
    web = face_set(["a/0.webp"], "webfaces", source=["pins"], original=["x.jpg"])
    for faces, place, told in (
        (face_set(NAMES, "celeba"), tmp_path / "absent", "no such folder"),
        (face_set(NAMES, "lfw"), folder, "source and original"),
        (web, folder, "none of the 1 faces"),
    ):
        with pytest.raises(DataError, match=told):
            celeba_attributes(faces, place)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "identity_CelebA.txt").write_text("000001.jpg 2880\n")
    with pytest.raises(DataError, match="list_attr_celeba"):
        celeba_attributes(face_set(NAMES, "celeba"), empty)


@pytest.mark.real
def test_real_labels():
    root = os.environ.get("DEEPID_DATA")
    if not root:
        pytest.skip("DEEPID_DATA is not set")
    index = os.path.join(root, "celeba_labels")
    names = [f"{n:06d}.jpg" for n in (1, 2, 3, 182638, 202599, 100000)]
    found = celeba_attributes(types.SimpleNamespace(source="celeba", paths=names), index)
    np.testing.assert_array_equal(found["Male"][:3], [0, 0, 1])  # as the official list has it
    assert all(np.isfinite(values[:5]).all() for values in found.values())
    assert np.isfinite(found["Male"][5])  # in the table of two attributes
