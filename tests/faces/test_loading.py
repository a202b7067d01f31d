"""Every layout ends as the same FaceSet, every mistake as one line. All pictures here are drawn."""

import io
import os
import signal
import subprocess
import sys
import tarfile
import textwrap
import time
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from deepid_lite.errors import DataError
from deepid_lite.faces import cache as facecache
from deepid_lite.faces import loading as faces
from deepid_lite.faces.alignment import FRAME, TEMPLATE, align, similarity, transform_points
from deepid_lite.faces.loading import load_faces
from deepid_lite.faces.synthetic import people as synthetic
from deepid_lite.verification.benchmarks import benchmark
from deepid_lite.verification.pipeline import training_parts

LFW = {"Ann_Lee": 3, "Bo": 1, "Cy_Ng": 2}
DOTS = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (0, 250, 250)]  # one colour for each landmark


def points_of(seed, size=250):
    """Five landmarks of a face somewhere in a picture: the template, turned, scaled and shifted."""
    random = np.random.default_rng(seed)
    angle, scale = random.uniform(-0.4, 0.4), size / 250 * random.uniform(0.9, 1.6)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.rint((TEMPLATE - TEMPLATE.mean(0)) @ turn.T + size / 2 + random.uniform(-10, 10, 2))


def picture(points, size=250):
    """Grey, with a coloured dot on each landmark."""
    image = Image.new("RGB", (size, size), (90, 90, 90))
    draw = ImageDraw.Draw(image)
    for (x, y), colour in zip(points, DOTS, strict=True):
        draw.ellipse([x - 5, y - 5, x + 5, y + 5], fill=colour)
    return image


def encode(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def write_files(root, files):
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def write_tar(path, files, mode="w"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            data = data if isinstance(data, bytes) else data.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def one_line(caught, *parts):
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert str(part) in text, text
    return text


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPID_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def real(monkeypatch):
    if not os.environ.get("DEEPID_DATA"):
        pytest.skip("DEEPID_DATA is not set")


def assert_dots_on_landmarks(faces):
    """Pixels and landmarks went the same way: each dot's colour stands at its landmark, on the template."""
    assert faces.images.shape[1:] == (*FRAME, 3) and faces.images.dtype == np.uint8
    assert faces.landmarks.dtype == np.float32 and np.abs(faces.landmarks - TEMPLATE).max() < 1
    for image, points in zip(faces.images, faces.landmarks, strict=True):
        for (x, y), colour in zip(np.rint(points).astype(int), DOTS, strict=True):
            assert np.abs(image[y, x].astype(int) - colour).max() < 60


# ------------------------------------------------------------------------------------------------- LFW


def lfw_files():
    names = [f"{who}/{who}_{n:04d}.jpg" for who, count in LFW.items() for n in range(1, count + 1)]
    marks = {name: points_of(seed) for seed, name in enumerate(names)}
    files = {f"lfw/{name}": encode(picture(points), "JPEG", quality=95) for name, points in marks.items()}
    rows = ["\t".join([name, *(str(int(v)) for v in points.ravel())]) for name, points in marks.items()]
    return files, "\n".join(rows) + "\n"


def lfw_as_tar(root):
    files, rows = lfw_files()
    write_tar(root / "lfw.tar", files)
    write_files(root, {"lfw_protocol/landmarks.txt": rows})
    return root


def lfw_as_archive_file(root):
    return lfw_as_tar(root) / "lfw.tar"


def lfw_as_tgz(root):
    files, rows = lfw_files()
    write_tar(root / "lfw.tgz", files, "w:gz")
    write_files(root, {"lfw_landmark.txt": rows.replace("\t", " ")})
    return root / "lfw.tgz"


def lfw_as_folder(root):
    files, rows = lfw_files()
    write_files(root, files | {"landmarks.txt": rows, "pairs.txt": "10\t300\n"})
    return root


def lfw_as_inner_folder(root):
    return lfw_as_folder(root) / "lfw"


def lfw_as_sklearn_cache(root):
    files, rows = lfw_files()
    write_files(root / "lfw_home", files | {"pairs.txt": "10\t300\n", "landmarks.txt": rows})
    write_files(root / "lfw_home" / "lfw_funneled", {"Ann_Lee/Ann_Lee_0001.jpg": b"the wrong one"})
    return root / "lfw_home"


def lfw_as_sklearn_home(root):
    lfw_as_sklearn_cache(root)
    (root / "lfw_home" / "landmarks.txt").rename(root / "landmarks.txt")
    return root


@pytest.mark.parametrize(
    "make",
    [
        lfw_as_tar,
        lfw_as_archive_file,
        lfw_as_tgz,
        lfw_as_folder,
        lfw_as_inner_folder,
        lfw_as_sklearn_cache,
        lfw_as_sklearn_home,
    ],
)
def test_lfw_layouts(make, tmp_path):
    root = make(tmp_path / "data")
    found = load_faces("lfw", root)
    assert found.source == "lfw" and found.names == sorted(LFW) and len(found) == 6
    assert found.paths[0] == "Ann_Lee/Ann_Lee_0001.jpg" and found.paths == sorted(found.paths)
    assert [found.names[label] for label in found.labels] == [path.split("/")[0] for path in found.paths]
    assert found.labels.dtype == np.int64
    assert_dots_on_landmarks(found)
    reference = load_faces("lfw", lfw_as_tar(tmp_path / "reference"), cache=False)
    assert found.data_hash == reference.data_hash  # the container does not matter


def test_lfw_from_the_environment_and_with_a_given_list(tmp_path, monkeypatch):
    root = lfw_as_tar(tmp_path / "data")
    monkeypatch.delenv("DEEPID_DATA", raising=False)
    with pytest.raises(DataError) as caught:
        load_faces("lfw")
    one_line(caught, "lfw", "DEEPID_DATA")
    monkeypatch.setenv("DEEPID_DATA", str(root))
    assert len(load_faces("lfw")) == 6
    (root / "lfw_protocol" / "landmarks.txt").rename(tmp_path / "marks.txt")
    assert len(load_faces("lfw", landmarks=tmp_path / "marks.txt")) == 6
    with pytest.raises(DataError) as caught:
        load_faces("lfw")
    one_line(caught, "landmarks.txt", "data_scripts/lfw.py")
    with pytest.raises(DataError) as caught:
        load_faces("lfw", landmarks=tmp_path / "absent.txt")
    one_line(caught, tmp_path / "absent.txt")


def test_only_the_funneled_lfw_is_refused(tmp_path):
    write_files(tmp_path / "lfw_home", {"lfw_funneled/Bo/Bo_0001.jpg": b"x", "landmarks.txt": "x"})
    with pytest.raises(DataError) as caught:
        load_faces("lfw", tmp_path / "lfw_home")
    one_line(caught, "funneled", "data_scripts/lfw.py")


ROW = "Bo/Bo_0001.jpg 100 110 150 110 125 140 105 160 145 160"


@pytest.mark.parametrize(
    "row,told",
    [
        (ROW.rsplit(" ", 1)[0], "10 values where 11"),
        (ROW + " 3", "12 values where 11"),
        (ROW.replace("125", "nose"), "nose"),
        (ROW.replace("125", "nan"), "not finite"),
        (ROW.replace("125", "inf"), "not finite"),
        ("Bo/Bo_0001.jpg" + " 100 100" * 5, "coincide"),
        ("Bo/Bo_0001.jpg 150 110 100 110 125 140 145 160 105 160", "mirrored"),
    ],
)
def test_wrong_landmark_rows_are_named_by_line_and_value(row, told, tmp_path):
    root = lfw_as_tar(tmp_path)
    file = root / "lfw_protocol" / "landmarks.txt"
    rows = file.read_text().splitlines()
    rows[3] = row
    file.write_text("\n".join(rows))
    with pytest.raises(DataError) as caught:
        load_faces("lfw", root)
    one_line(caught, file, "line 4", told)


def test_an_image_without_landmarks_and_a_row_twice(tmp_path, caplog):
    root = lfw_as_tar(tmp_path)
    file = root / "lfw_protocol" / "landmarks.txt"
    rows = file.read_text().splitlines()
    file.write_text("\n".join(rows[:2] + rows[3:]))
    with pytest.raises(DataError) as caught:
        load_faces("lfw", root)
    one_line(caught, file, "Ann_Lee_0003.jpg", "1 of 6")
    file.write_text("\n".join(rows + rows[:1]))
    with pytest.raises(DataError) as caught:
        load_faces("lfw", root)
    one_line(caught, file, "line 7", "twice")
    file.write_text("\n".join([*rows, "Di/Di_0001.jpg 100 110 150 110 125 140 105 160 145 160"]))
    assert len(load_faces("lfw", root)) == 6
    assert "1 of 7 listed images are not there" in caplog.text


def test_a_folder_without_lfw_images(tmp_path):
    write_files(tmp_path, {"notes.txt": "x", "landmarks.txt": ROW})
    with pytest.raises(DataError) as caught:
        load_faces("lfw", tmp_path)
    one_line(caught, tmp_path, "Name_0001.jpg")


# ---------------------------------------------------------------------------------------------- CelebA

PARTITION = [0, 0, 0, 1, 1, 2]
IDENTITY = [20, 3, 20, 7, 7, 100]


def celeba_files():
    names = [f"{n:06d}.jpg" for n in range(1, 7)]
    marks = {name: points_of(seed, 178) for seed, name in enumerate(names)}
    images = {name: encode(picture(points, 178), "JPEG", quality=95) for name, points in marks.items()}
    rows = [f"{name}  " + "  ".join(str(int(v)) for v in points.ravel()) for name, points in marks.items()]
    header = " ".join(
        f"{p}_{axis}" for p in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth") for axis in "xy"
    )
    lists = {
        "identity_CelebA.txt": "".join(f"{n} {i}\r\n" for n, i in zip(names, IDENTITY, strict=True)),
        "list_eval_partition.txt": "".join(f"{n} {p}\n" for n, p in zip(names, PARTITION, strict=True)),
        "list_landmarks_align_celeba.txt": "\n".join(["6", header, *rows]) + "\n",
        "list_attr_celeba.txt": "6\nMale Young \n"
        + "".join(f"{n} {'-1  1' if i % 2 else ' 1 -1'}\n" for i, n in enumerate(names)),
    }
    return images, lists


def celeba_flat(root):
    images, lists = celeba_files()
    write_files(root, {f"img_align_celeba/{name}": data for name, data in images.items()} | lists)
    return root


def celeba_zip(root):
    images, lists = celeba_files()
    write_files(root, lists)
    with zipfile.ZipFile(root / "img_align_celeba.zip", "w") as archive:
        for name, data in images.items():
            archive.writestr(f"img_align_celeba/{name}", data)
    return root


def celeba_official_folders(root):
    images, lists = celeba_files()
    place = {name: ("Eval/" if "partition" in name else "Anno/") + name for name in lists}
    write_files(root, {f"Img/img_align_celeba/{name}": data for name, data in images.items()})
    write_files(root, {place[name]: text for name, text in lists.items()})
    return root


def celeba_torchvision(root):
    celeba_flat(root / "celeba")
    return root


@pytest.mark.parametrize("make", [celeba_flat, celeba_zip, celeba_official_folders, celeba_torchvision])
def test_celeba_layouts(make, tmp_path):
    root = make(tmp_path)
    found = load_faces("celeba", root)
    assert found.paths == [f"{n:06d}.jpg" for n in range(1, 7)]
    assert found.names == ["3", "7", "20", "100"]
    assert [int(found.names[label]) for label in found.labels] == IDENTITY
    assert found.attributes["Male"].tolist() == [True, False] * 3 and found.attributes["Male"].dtype == bool
    assert found.attributes["Young"].tolist() == [False, True] * 3
    assert_dots_on_landmarks(found)
    for number, part in enumerate(("train", "val", "test")):
        chosen = load_faces("celeba", root, part=part)
        assert chosen.paths == [path for path, p in zip(found.paths, PARTITION, strict=True) if p == number]
        assert np.array_equal(chosen.images, found.images[np.array(PARTITION) == number])
        assert chosen.data_hash != found.data_hash
    both = load_faces("celeba", root, part="val+test")
    assert both.paths == [path for path, p in zip(found.paths, PARTITION, strict=True) if p > 0]


def test_celeba_trains_on_its_train_people_and_holds_out_all_others(tmp_path):
    root = celeba_flat(tmp_path)
    net, held_out = training_parts("celeba", root)
    part = dict(zip([f"{n:06d}.jpg" for n in range(1, 7)], PARTITION, strict=True))
    assert {part[path] for path in net.paths} == {0} and {part[path] for path in held_out.paths} == {1, 2}
    assert len(net) + len(held_out) == 6 and not set(net.names) & set(held_out.names)
    with pytest.raises(DataError, match="celeba: its people train nets .*; test on others, such as lfw"):
        benchmark("celeba", root)


def edit(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_celeba_lists_that_do_not_match(tmp_path):
    cases = [
        ("identity_CelebA.txt", "000003.jpg 20\n", "", ["000003.jpg", "1 of 6"]),
        ("identity_CelebA.txt", "000003.jpg 20", "000003.jpg", ["line 3", "2 are expected"]),
        ("list_eval_partition.txt", "000004.jpg 1", "000004.jpg 7", ["line 4", "'7'"]),
        ("list_eval_partition.txt", "000004.jpg 1\n", "", ["000004.jpg"]),
        ("list_attr_celeba.txt", "000002.jpg -1  1", "000002.jpg -1  0", ["line 4", "'0'"]),
        ("list_attr_celeba.txt", "000002.jpg -1  1", "000002.jpg -1", ["line 4", "2 values where 3"]),
        ("list_attr_celeba.txt", "6\nMale", "7\nMale", ["6 rows", "7"]),
        ("list_landmarks_align_celeba.txt", "6\nlefteye", "lefteye", ["line 1"]),
        ("list_landmarks_align_celeba.txt", "000005.jpg  ", "000005.jpg  x", ["line 7"]),
    ]
    for number, (name, old, new, told) in enumerate(cases):
        root = celeba_flat(tmp_path / str(number))
        edit(root / name, old, new)
        with pytest.raises(DataError) as caught:
            load_faces("celeba", root)
        one_line(caught, root / name, *told)


def test_celeba_with_a_file_missing_or_a_wrong_part(tmp_path):
    root = celeba_flat(tmp_path)
    for part in ("dev", "val+dev", "val+", "+", "all+val"):
        with pytest.raises(DataError) as caught:
            load_faces("celeba", root, part=part)
        one_line(
            caught, repr(part.split("+")[-1] if part.startswith("val") else part.split("+")[0]), "train, val, test"
        )
    (root / "list_attr_celeba.txt").unlink()
    with pytest.raises(DataError) as caught:
        load_faces("celeba", root)
    one_line(caught, "list_attr_celeba.txt", "data_scripts/celeba.py")
    write_files(tmp_path / "other", {"readme.txt": "x"})
    with pytest.raises(DataError) as caught:
        load_faces("celeba", tmp_path / "other")
    one_line(caught, "img_align_celeba", "data_scripts/celeba.py")


# ---------------------------------------------------------------------------------- folders of people

COLUMNS = (
    "path,identity,source,age,left_eye_x,left_eye_y,right_eye_x,right_eye_y,nose_x,nose_y,"
    "mouth_left_x,mouth_left_y,mouth_right_x,mouth_right_y"
)


def web_files():
    files, rows = {}, [COLUMNS]
    for seed, (who, n) in enumerate([("zed", 0), ("zed", 1), ("amy", 0), ("amy", 1), ("amy", 2)]):
        points = points_of(seed)
        files[f"web/{who}/{n:04d}.webp"] = encode(picture(points), "WEBP", lossless=True)
        age = "" if seed == 1 else str(20 + seed)
        rows.append(f"{who}/{n:04d}.webp,{who},drawn,{age}," + ",".join(f"{v:.1f}" for v in points.ravel()))
    return files | {"web/index.csv": "\n".join(rows) + "\n"}


def test_a_tar_with_an_index(tmp_path):
    write_tar(tmp_path / "web.tar", web_files())
    found = load_faces(str(tmp_path / "web.tar"))
    assert found.source == "web" and found.names == ["amy", "zed"]
    assert found.paths == ["amy/0000.webp", "amy/0001.webp", "amy/0002.webp", "zed/0000.webp", "zed/0001.webp"]
    assert found.labels.tolist() == [0, 0, 0, 1, 1]
    assert found.attributes["source"].tolist() == ["drawn"] * 5
    np.testing.assert_array_equal(found.attributes["age"], [22, 23, 24, 20, np.nan])
    assert_dots_on_landmarks(found)
    write_files(tmp_path / "folder", web_files())
    for root in (tmp_path / "folder", tmp_path / "folder" / "web"):
        assert load_faces("folder", root).data_hash == found.data_hash


def test_landmarks_and_pixels_follow_align(tmp_path):
    write_tar(tmp_path / "web.tar", web_files())
    found = load_faces(tmp_path / "web.tar")
    points = points_of(2)
    np.testing.assert_allclose(found.landmarks[0], transform_points(points, similarity(points)), atol=1e-3)


def test_webfaces_from_the_environment(tmp_path, monkeypatch):
    write_tar(tmp_path / "webfaces.tar", {f"webfaces{name[3:]}": data for name, data in web_files().items()})
    monkeypatch.setenv("DEEPID_DATA", str(tmp_path))
    found = load_faces("webfaces")
    assert found.source == "webfaces" and len(found) == 5
    assert load_faces("webfaces", tmp_path / "webfaces.tar").data_hash == found.data_hash


@pytest.mark.parametrize(
    "old,new,told",
    [
        ("amy/0001.webp,amy", "amy/0007.webp,amy", ["amy/0007.webp", "not there"]),
        ("amy/0001.webp,amy", "../amy/0001.webp,amy", ["'../amy/0001.webp'", "not there"]),
        ("amy/0001.webp,amy", "amy/0000.webp,amy", ["line 5", "twice"]),
        ("amy/0001.webp,amy", "amy/0001.webp,", ["line 5", "no identity"]),
        ("amy/0001.webp,amy,drawn,", "amy/0001.webp,amy,", ["line 5", "where 14 are"]),
        ("amy/0001.webp,amy,drawn,", "amy/0001.webp,amy,drawn,,", ["line 5", "where 14 are"]),
        ("amy/0001.webp,amy,drawn,23,", "amy/0001.webp,amy,drawn,23,x", ["line 5", "not ten numbers"]),
        ("nose_x", "nase_x", ["path, identity", "nose_x"]),
        ("path,identity", "file,identity", ["path, identity"]),
    ],
)
def test_a_wrong_index_is_named_by_line_and_value(old, new, told, tmp_path):
    files = web_files()
    assert old in files["web/index.csv"]
    files["web/index.csv"] = files["web/index.csv"].replace(old, new)
    write_tar(tmp_path / "web.tar", files)
    with pytest.raises(DataError) as caught:
        load_faces(tmp_path / "web.tar")
    one_line(caught, tmp_path / "web.tar", "index.csv", *told)


def test_an_index_that_is_no_text_or_empty(tmp_path):
    for text in (b"\xff\xfe\x00", b"", COLUMNS.encode()):
        write_tar(tmp_path / "web.tar", web_files() | {"web/index.csv": text})
        with pytest.raises(DataError) as caught:
            load_faces(tmp_path / "web.tar", cache=False)
        one_line(caught, "web/index.csv")


def test_without_an_index_pictures_fill_the_frame(tmp_path):
    left, right = Image.new("RGB", (64, 72), (200, 0, 0)), Image.new("RGB", (100, 30), (0, 0, 200))
    write_files(tmp_path / "set", {"amy/1.png": encode(left), "amy/2.jpg": encode(right, "JPEG"), "notes.txt": "x"})
    found = load_faces(tmp_path / "set")
    assert found.images.shape == (2, *FRAME, 3) and found.names == ["amy"]
    assert (found.images[0] == [200, 0, 0]).all() and np.abs(found.images[1].astype(int) - [0, 0, 200]).max() < 3
    np.testing.assert_array_equal(found.landmarks, np.repeat(TEMPLATE[None], 2, 0))


def test_a_picture_of_the_frame_is_taken_as_it_is(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (*FRAME, 3), dtype=np.uint8)
    rows = f"{COLUMNS}\nann/1.png,ann,drawn,1," + ",".join(f"{v:.1f}" for v in TEMPLATE.ravel() + 2)
    write_files(tmp_path / "plain", {"ann/1.png": encode(Image.fromarray(noise))})
    write_files(tmp_path / "indexed", {"ann/1.png": encode(Image.fromarray(noise)), "index.csv": rows})
    assert np.array_equal(load_faces(tmp_path / "plain").images[0], noise)
    held_out = load_faces(tmp_path / "indexed", aligned=True)
    assert np.array_equal(held_out.images[0], noise)
    np.testing.assert_allclose(held_out.landmarks[0], TEMPLATE + 2, atol=0.06)
    moved = load_faces(tmp_path / "indexed")
    assert not np.array_equal(moved.images[0], noise)
    np.testing.assert_allclose(moved.landmarks[0], TEMPLATE, atol=0.1)
    write_tar(tmp_path / "web.tar", web_files())
    with pytest.raises(DataError) as caught:
        load_faces(tmp_path / "web.tar", aligned=True)
    one_line(caught, "250 x 250", "144 x 128")


def test_folders_that_are_not_of_the_form(tmp_path):
    image = encode(Image.new("RGB", (8, 9)))
    cases = [
        ({"one.png": image}, "one.png"),
        ({"a/1.png": image, "a/b/2.png": image}, "a/b/2.png"),
        ({"a/notes.txt": b"x"}, "no pictures"),
        ({"a/index.csv": b"path,identity\n", "b/index.csv": b"path,identity\n"}, "more than one index.csv"),
    ]
    for number, (files, told) in enumerate(cases):
        write_files(tmp_path / str(number), files)
        with pytest.raises(DataError) as caught:
            load_faces(tmp_path / str(number))
        one_line(caught, tmp_path / str(number), told)


def test_paths_that_are_missing_empty_or_no_archive(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.tar").write_text("hello\n")
    for source in ("lfw", "celeba", "folder", "webfaces"):
        for name in ("absent", "empty"):
            with pytest.raises(DataError) as caught:
                load_faces(source, tmp_path / name)
            one_line(caught, tmp_path / name)
    for source in ("folder", "webfaces"):
        with pytest.raises(DataError) as caught:
            load_faces(source, tmp_path / "text.tar")
        one_line(caught, tmp_path / "text.tar", "neither")
    with pytest.raises(DataError) as caught:
        load_faces("lfv")
    one_line(caught, "lfv", "lfw")
    with pytest.raises(DataError) as caught:
        load_faces("folder")
    one_line(caught, "root=")
    with pytest.raises(DataError) as caught:
        load_faces("lfw", tmp_path, part="train")
    one_line(caught, "part")
    with pytest.raises(DataError) as caught:
        load_faces("lfw", tmp_path, limit=0)
    one_line(caught, "limit=0")


def test_an_archive_with_a_member_outside_is_refused(tmp_path):
    write_tar(tmp_path / "web.tar", web_files() | {"../evil.webp": b"x"})
    with pytest.raises(DataError) as caught:
        load_faces(tmp_path / "web.tar")
    one_line(caught, "'../evil.webp'", "outside")
    assert not (tmp_path.parent / "evil.webp").exists()


# ------------------------------------------------------------------------------------- broken pictures


def crowd(n=200):
    images = [encode(Image.new("RGB", (32, 36), (i, 255 - i, 99))) for i in range(n)]
    return {f"p{i % 20:02d}/{i:04d}.png": data for i, data in enumerate(images)}


def test_a_few_broken_pictures_are_named_skipped_and_counted(tmp_path, caplog):
    files = crowd()
    whole = load_faces("folder", _written(tmp_path / "whole", files))
    names = sorted(files)
    files[names[3]], files[names[120]] = files[names[3]][:60], b"no picture"
    for cache in (False, None, None):  # in memory, written, read back
        caplog.clear()
        found = load_faces("folder", _written(tmp_path / "some", files), cache=cache)
        assert len(found) == 198 and len(found.skipped) == 2
        assert found.skipped[0].startswith(names[3]) and found.skipped[1].startswith(names[120])
        keep = [row for row in range(200) if row not in (3, 120)]
        assert np.array_equal(found.images, whole.images[keep]) and found.paths == [whole.paths[r] for r in keep]
        assert np.array_equal(found.labels, whole.labels[keep])
        assert names[3] in caplog.text and names[120] in caplog.text


def test_more_than_one_percent_broken_stops_after_listing_all(tmp_path, caplog):
    files = crowd()
    broken = sorted(files)[10:200:40]
    for name in broken:
        files[name] = b"no picture"
    with pytest.raises(DataError) as caught:
        load_faces("folder", _written(tmp_path / "set", files))
    one_line(caught, "5 of 200", "1 %", broken[0])
    assert all(name in caplog.text for name in broken)
    assert list((tmp_path / "cache").iterdir()) == []


def test_odd_pictures_are_accepted(tmp_path):
    grey = np.tile(np.linspace(0, 65535, 250).astype(np.uint16), (250, 1))
    kinds = {
        "grey": encode(Image.fromarray((grey >> 8).astype(np.uint8))),
        "cmyk": encode(Image.new("CMYK", (250, 250), (0, 200, 200, 0)), "TIFF"),
        "deep": encode(Image.fromarray(grey)),
        "film": encode(
            Image.new("RGB", (250, 250), (9, 99, 199)),
            "GIF",
            save_all=True,
            append_images=[Image.new("RGB", (250, 250))],
        ),
    }
    points = ",".join(str(v) for v in points_of(0).ravel())
    index = [COLUMNS, *(f"{kind}/1.img,{kind},drawn,1,{points}" for kind in kinds)]
    write_files(
        tmp_path / "set", {f"{kind}/1.img": data for kind, data in kinds.items()} | {"index.csv": "\n".join(index)}
    )
    found = load_faces(tmp_path / "set")
    assert found.names == ["cmyk", "deep", "film", "grey"] and not found.skipped
    cmyk, deep, film, grey = found.images.astype(int)
    assert np.abs(cmyk - [255, 55, 55]).max() < 3 and np.abs(film - [9, 99, 199]).max() < 3
    assert np.abs(deep - grey).max() <= 1 and np.ptp(grey) > 80


def test_enormous_pictures_and_landmarks_outside_count_as_broken(tmp_path, monkeypatch):
    monkeypatch.setattr("deepid_lite.faces.decoding.MAX_PIXELS", 100)
    with pytest.raises(DataError) as caught:
        load_faces("folder", _written(tmp_path / "set", crowd(5)))
    one_line(caught, "5 of 5", "megapixels")
    monkeypatch.undo()
    far = ",".join(str(v) for v in points_of(0).ravel() + 400)
    write_files(
        tmp_path / "far", {"a/1.png": encode(picture(points_of(0))), "index.csv": f"{COLUMNS}\na/1.png,a,drawn,1,{far}"}
    )
    with pytest.raises(DataError) as caught:
        load_faces(tmp_path / "far", cache=False)
    one_line(caught, "a/1.png", "outside")


def _written(root, files):
    if not root.exists():
        write_files(root, files)
    return root


# ------------------------------------------------------------------------------------ synthetic faces


def test_synthetic_faces_are_aligned_and_keep_their_labels(tmp_path, monkeypatch):
    found = load_faces("synthetic", part="celebrities", limit=120)
    raw = synthetic.lite_part("celebrities")
    assert len(found) == 120 and found.source == "synthetic" and len(found.names) == 2
    assert found.labels.tolist() == [0] * 100 + [1] * 20
    assert len(found.attributes) >= 12
    for name in ("yaw", "light"):
        np.testing.assert_allclose(found.attributes[name], np.asarray(getattr(raw, name))[:120])
        assert found.attributes[name].dtype.kind == "f"
    for name, values in raw.attributes.items():
        np.testing.assert_array_equal(found.attributes[name], np.asarray(values)[:120])
    matrix = similarity(raw.landmarks[7])
    np.testing.assert_allclose(found.landmarks[7], transform_points(raw.landmarks[7], matrix), atol=1e-3)
    assert np.array_equal(found.images[7], align(raw.images[7], raw.landmarks[7]))
    monkeypatch.setattr(synthetic, "lite_part", None)  # the second time it comes from the cache
    assert load_faces("synthetic", part="celebrities", limit=120).data_hash == found.data_hash


def test_the_key_of_synthetic_faces_follows_what_is_drawn(monkeypatch):
    """A cached set must not outlive a change in what draws it, and survives every other change."""
    before, draw = synthetic.mark(), synthetic.draw
    assert synthetic.mark.__wrapped__() == before
    monkeypatch.setattr(synthetic, "draw", lambda who, how: draw(who, how | {"yaw": how["yaw"] + 1}))
    assert synthetic.mark.__wrapped__() != before


def test_an_unknown_part_of_the_synthetic_faces():
    with pytest.raises(DataError) as caught:
        load_faces("synthetic", part="validation")
    one_line(caught, "validation", "joint_bayesian")


# ------------------------------------------------------------------------------------------- the cache


def forbid_decoding(monkeypatch):
    def refuse(*_):
        raise AssertionError("decoded although it is cached")

    monkeypatch.setattr(facecache, "decode", refuse)
    monkeypatch.setattr(faces, "open_files", refuse)


def test_the_second_load_reads_only_the_cache(tmp_path, monkeypatch):
    root = _written(tmp_path / "set", crowd())
    first, memory = load_faces(root), load_faces(root, cache=False)
    forbid_decoding(monkeypatch)
    second = load_faces(root)
    assert isinstance(second.images, np.memmap) and not second.images.flags.writeable
    for other in (second, memory):
        assert first.images.tobytes() == other.images.tobytes() and first.data_hash == other.data_hash
        assert first.paths == other.paths and first.names == other.names
        assert np.array_equal(first.labels, other.labels) and np.array_equal(first.landmarks, other.landmarks)


def test_any_change_makes_a_new_set(tmp_path):
    root = _written(tmp_path / "set", crowd(20))
    first = load_faces(root)
    name = sorted(crowd(20))[4]
    (root / name).write_bytes(encode(Image.new("RGB", (32, 36), (1, 2, 3))))
    second = load_faces(root)
    assert (second.images[4] == [1, 2, 3]).all() and second.data_hash != first.data_hash
    assert len(load_faces(root, limit=7)) == 7 and len(load_faces(root)) == 20
    lfw = lfw_as_tar(tmp_path / "lfw")
    before = load_faces("lfw", lfw)
    edit(lfw / "lfw_protocol" / "landmarks.txt", "Bo/Bo_0001.jpg\t103", "Bo/Bo_0001.jpg\t99")
    assert not np.array_equal(load_faces("lfw", lfw).images, before.images)


def test_another_alignment_makes_a_new_set(tmp_path, monkeypatch):
    write_tar(tmp_path / "web.tar", web_files())
    before = load_faces(tmp_path / "web.tar")
    monkeypatch.setattr(facecache, "align", lambda image, points: np.roll(align(image, points), 3, 0))
    facecache.alignment_mark.cache_clear()
    try:
        after = load_faces(tmp_path / "web.tar")
    finally:
        facecache.alignment_mark.cache_clear()
    assert after.data_hash != before.data_hash
    assert np.array_equal(after.images, np.roll(before.images, 3, 1))


def test_a_damaged_cache_is_built_again(tmp_path):
    root = _written(tmp_path / "set", crowd(20))
    first = load_faces(root)
    pixels, side = sorted((tmp_path / "cache").iterdir())
    expected = np.array(first.images)
    for file in (pixels, side):
        data = file.read_bytes()
        file.write_bytes(data[: len(data) // 2])
        assert np.array_equal(load_faces(root).images, expected)
        file.unlink()
        assert np.array_equal(load_faces(root).images, expected)


@pytest.mark.parametrize("error", [RuntimeError("halfway"), KeyboardInterrupt()])
def test_an_interrupted_build_leaves_nothing(error, tmp_path, monkeypatch):
    root = _written(tmp_path / "set", crowd())
    calls, decode = [], facecache.decode

    def break_halfway(data, name):
        calls.append(name)
        if len(calls) > 100:
            raise error
        return decode(data, name)

    monkeypatch.setattr(facecache, "decode", break_halfway)
    with pytest.raises(type(error)):
        load_faces(root)
    assert list((tmp_path / "cache").iterdir()) == []
    monkeypatch.undo()
    monkeypatch.setenv("DEEPID_CACHE", str(tmp_path / "cache"))
    assert len(load_faces(root)) == 200


SLOW = """
    import sys, time
    from deepid_lite.faces import cache as facecache
    from deepid_lite.faces.loading import load_faces
    decode = facecache.decode
    def slow(data, name):
        time.sleep(0.05)
        return decode(data, name)
    facecache.decode = slow
    load_faces(sys.argv[1])
"""


def test_a_killed_build_leaves_nothing_under_the_final_name(tmp_path):
    root, cache = _written(tmp_path / "set", crowd()), tmp_path / "cache"
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(SLOW), str(root)])
    deadline = time.time() + 60
    while not list(cache.glob(".*.part*")) and time.time() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    left = list(cache.iterdir())
    assert left and all(file.name.startswith(".") for file in left)
    assert len(load_faces(root)) == 200
    assert sorted(file.suffix for file in cache.iterdir()) == [".npy", ".npz"]  # the old part is swept away


FULL = """
    import resource, sys
    from deepid_lite.errors import DataError
    from deepid_lite.faces.loading import load_faces
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    try:
        load_faces(sys.argv[1])
    except DataError as error:
        print(error)
"""


def test_a_disk_that_fills_up_is_one_line_and_leaves_nothing(tmp_path):
    root = _written(tmp_path / "set", crowd())
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(FULL), str(root)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("\n") == 1 and str(tmp_path / "cache") in run.stdout and "full" in run.stdout
    assert "DEEPID_CACHE" in run.stdout and "11 MB" in run.stdout
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_disk_that_is_too_small_from_the_start(tmp_path, monkeypatch):
    root = _written(tmp_path / "set", crowd(20))
    monkeypatch.setattr(facecache.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(DataError) as caught:
        load_faces(root)
    one_line(caught, tmp_path / "cache", "full", "DEEPID_CACHE")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_folder_that_is_a_file(tmp_path):
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(DataError) as caught:
        load_faces(_written(tmp_path / "set", crowd(20)))
    one_line(caught, tmp_path / "cache", "DEEPID_CACHE")


def test_progress_is_shown_only_when_asked_or_on_a_terminal(tmp_path, capfd):
    root = _written(tmp_path / "set", crowd(20))
    load_faces(root, cache=False)
    assert capfd.readouterr().err == ""
    load_faces(root, cache=False, progress=True)
    assert "20/20" in capfd.readouterr().err


def test_no_home_is_one_line(tmp_path, monkeypatch):
    monkeypatch.delenv("DEEPID_CACHE")
    monkeypatch.setattr(facecache.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    with pytest.raises(DataError) as caught:
        load_faces("synthetic", part="test", limit=8)
    one_line(caught, "DEEPID_CACHE")
    for name, value in (("source", "~nobodyhere/x"), ("DEEPID_CACHE", "~nobodyhere/x")):
        if name == "DEEPID_CACHE":
            monkeypatch.setenv(name, value)
        with pytest.raises(DataError) as caught:
            load_faces("synthetic" if name == "DEEPID_CACHE" else value)
        one_line(caught, "~nobodyhere/x", "no such home")


def test_a_cache_whose_pixels_are_no_longer_those_is_built_again(tmp_path):
    """Zeros, as a crash leaves them where nothing was synced, of the right length."""
    root = _written(tmp_path / "set", crowd())
    first = load_faces(root)
    wanted = np.array(first.images)
    pixels = next((tmp_path / "cache").glob("*.npy"))
    for start in (4096, pixels.stat().st_size - 60_000):
        with open(pixels, "r+b") as file:
            file.seek(start)
            file.write(bytes(min(500_000, pixels.stat().st_size - start)))
        again = load_faces(root)
        assert np.array_equal(again.images, wanted) and again.data_hash == first.data_hash
    side = next((tmp_path / "cache").glob("*.npz"))
    with np.load(side) as stored:
        np.savez_compressed(side.with_suffix(".new.npz"), **{k: v for k, v in stored.items() if k != "skipped"})
    side.with_suffix(".new.npz").replace(side)
    assert np.array_equal(load_faces(root).images, wanted)


def test_attributes_of_any_name_come_back_from_the_cache(tmp_path):
    files = web_files()
    files["web/index.csv"] = files["web/index.csv"].replace("source,age", "labels,attribute 0")
    write_tar(tmp_path / "web.tar", files)
    for _ in range(2):
        found = load_faces(tmp_path / "web.tar")
        assert set(found.attributes) == {"labels", "attribute 0"} and found.labels.tolist() == [0, 0, 0, 1, 1]
        np.testing.assert_array_equal(found.attributes["attribute 0"], [22, 23, 24, 20, np.nan])


# ---------------------------------------------------------------------------------- what is left out


def test_what_is_left_out_is_named_each_time(tmp_path, caplog):
    files = crowd(20) | {
        "p00/phone.heic": b"\0\0\0\x18ftypheic",
        "p01/x.jfif": encode(Image.new("RGB", (20, 20)), "JPEG"),
    }
    root = _written(tmp_path / "set", files)
    os.mkfifo(root / "p02" / "pipe.png")
    for cache in (False, None, None):
        caplog.clear()
        found = load_faces(root, cache=cache)
        assert len(found) == 21 and "p01/x.jfif" in found.paths
        assert [line.split(": ")[0] for line in found.skipped] == ["p00/phone.heic", "p02/pipe.png"]
        assert all(line in caplog.text for line in found.skipped)


def test_pictures_without_a_row_or_with_another_name_are_left_out_by_name(tmp_path):
    write_tar(tmp_path / "web.tar", web_files() | {"web/zed/new.png": encode(Image.new("RGB", (9, 9)))})
    found = load_faces(tmp_path / "web.tar")
    assert len(found) == 5 and found.skipped == ["web/zed/new.png: no row in web/index.csv; add one"]
    root = lfw_as_folder(tmp_path / "lfw")
    write_files(root, {"lfw/Bo/holiday.jpg": encode(Image.new("RGB", (9, 9)))})
    found = load_faces("lfw", root)
    assert len(found) == 6 and len(found.skipped) == 1 and found.skipped[0].startswith("Bo/holiday.jpg: not named")


# --------------------------------------------------------------------- landmarks of another size


def test_landmarks_of_smaller_pictures_are_refused_by_the_whole_set(tmp_path):
    """One face in the upper left is somebody at the border, all of them are a wrong scale."""

    def files(factors):
        marks = [points_of(n) for n in range(len(factors))]
        rows = [",".join(map(str, (p * f).ravel())) for p, f in zip(marks, factors, strict=True)]
        index = [COLUMNS, *(f"{n}/1.png,{n},drawn,1,{row}" for n, row in enumerate(rows))]
        images = {f"{n}/1.png": encode(picture(points)) for n, points in enumerate(marks)}
        return images | {"index.csv": "\n".join(index)}

    for number, factor in enumerate((0.5, 0.7, 112 / 250)):
        root = _written(tmp_path / str(number), files([factor] * 6))
        with pytest.raises(DataError) as caught:
            load_faces(root)
        one_line(caught, root, "index.csv, line 2", "0/1.png", "smaller pictures")
    assert len(load_faces(_written(tmp_path / "some", files([0.5, 1, 0.5, 0.5, 0.5, 0.5])))) == 6
    assert len(load_faces(_written(tmp_path / "right", files([1] * 6)))) == 6


# ------------------------------------------------------------------------------------- the real thing


@pytest.mark.real
def test_real_lfw(real):
    found = load_faces("lfw", limit=200)
    assert len(found) == 200 and found.paths[0] == "AJ_Cook/AJ_Cook_0001.jpg" and not found.skipped
    assert np.abs(np.median(found.landmarks, 0) - TEMPLATE).max() < 2
    assert found.images[:, 40:120, 30:100].std() > 20
    assert np.linalg.norm(found.landmarks - TEMPLATE, axis=2).mean() < 4


@pytest.mark.real
def test_real_web_faces(real):
    found = load_faces("webfaces", limit=200)
    assert len(found) == 200 and found.paths[0] == "celeba-7201/0000.webp"
    assert set(found.attributes["source"]) == {"celeba"} and found.attributes["original"][0] == "018834.jpg"
    assert np.abs(np.median(found.landmarks, 0) - TEMPLATE).max() < 2


def test_drawn_faces_lie_in_no_folder(tmp_path):
    with pytest.raises(DataError, match="drawn and lie in no folder; leave it out"):
        load_faces("synthetic", tmp_path, part="test")
