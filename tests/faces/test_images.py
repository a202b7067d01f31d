"""Reading folders and archives, and turning any picture into RGB."""

import errno
import gzip
import io
import os
import re
import struct
import tarfile
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deepid_lite.errors import DataError
from deepid_lite.faces.decoding import BadImage, decode
from deepid_lite.faces.images import fingerprint, open_files

FILES = {"a/1.jpg": b"one", "a/2.jpg": b"two" * 999, "b/c/3.jpg": b"", "index.csv": b"path\n"}


def drawing(rows=60, columns=40):
    """A smooth picture whose four corners have different colours, so that a turn or a mix-up shows."""
    y, x = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    return np.rint(np.stack([40 + 180 * x, 40 + 180 * y, 220 - 150 * x * y], -1)).astype(np.uint8)


def encode(image, form="PNG", **options):
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, form, **options)
    return buffer.getvalue()


def tar_bytes(members, mode="w"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def one_line(caught, *parts):
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert str(part) in text
    return text


# ------------------------------------------------------------------------------------------ containers


def as_folder(path):
    for name, data in FILES.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def as_tar(path):
    (path / "x.tar").write_bytes(tar_bytes(FILES))
    return path / "x.tar"


def as_dotted_tar(path):
    (path / "x.tar").write_bytes(tar_bytes({f"./{name}": data for name, data in FILES.items()}))
    return path / "x.tar"


def as_tgz_without_suffix(path):
    (path / "x").write_bytes(tar_bytes(FILES, "w:gz"))
    return path / "x"


def as_zip(path):
    with zipfile.ZipFile(path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    return path / "x.zip"


@pytest.mark.parametrize("make", [as_folder, as_tar, as_dotted_tar, as_tgz_without_suffix, as_zip])
def test_every_container_gives_the_same_names_and_bytes(make, tmp_path):
    files = open_files(make(tmp_path))
    assert files.names == sorted(FILES)
    assert dict(files.read(files.names)) == FILES
    assert dict(files.read(["index.csv", "a/1.jpg"])) == {name: FILES[name] for name in ("index.csv", "a/1.jpg")}
    assert files.read_one("a/2.jpg") == FILES["a/2.jpg"]


def test_clutter_of_desktops_is_passed_over(tmp_path):
    clutter = {"a/._1.jpg": b"x", ".DS_Store": b"x", "__MACOSX/a/1.jpg": b"x"}
    (tmp_path / "x.tar").write_bytes(tar_bytes(clutter | {"a/1.jpg": b"y"}))
    assert open_files(tmp_path / "x.tar").names == ["a/1.jpg"]


def test_a_folder_that_links_to_itself_is_walked_once(tmp_path):
    as_folder(tmp_path)
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert open_files(tmp_path).names == sorted(FILES)


def test_the_later_of_two_members_with_one_name_counts(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for data in (b"old", b"newer"):
            info = tarfile.TarInfo("a/1.jpg")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert dict(open_files(tmp_path / "x.tar").read(["a/1.jpg"])) == {"a/1.jpg": b"newer"}


@pytest.mark.parametrize("name", ["/etc/passwd", "../out.jpg", "a/../../out.jpg", "..\\out.jpg", "C:\\out.jpg"])
def test_members_that_point_outside_are_refused(name, tmp_path):
    (tmp_path / "x.tar").write_bytes(tar_bytes({"a/1.jpg": b"x", name: b"x"}))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(name, b"x")
    for file in ("x.tar", "x.zip"):
        with pytest.raises(DataError) as caught:
            open_files(tmp_path / file)
        one_line(caught, tmp_path / file, "outside")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_archives_are_refused(kind, tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        info = tarfile.TarInfo("a/1.jpg")
        info.type, info.linkname = kind, "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
        tar.addfile(info)
    with pytest.raises(DataError) as caught:
        open_files(tmp_path / "x.tar")
    one_line(caught, "x.tar", "a/1.jpg", "link" if info.linkname else "device")


def test_links_and_encrypted_members_in_a_zip_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        info = zipfile.ZipInfo("a/1.jpg")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError) as caught:
        open_files(tmp_path / "x.zip")
    one_line(caught, "a/1.jpg", "link")
    data = bytearray(as_zip(tmp_path).read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag "encrypted" of the first entry in the directory
    (tmp_path / "y.zip").write_bytes(data)
    with pytest.raises(DataError) as caught:
        open_files(tmp_path / "y.zip")
    one_line(caught, "encrypted")


def test_a_hard_link_is_its_target_once_more_and_the_advice_for_other_links_helps(tmp_path):
    """`tar -h` stores a symbolic link to a file of the same tree as a hard link."""
    as_folder(tmp_path / "set")
    os.link(tmp_path / "set/a/2.jpg", tmp_path / "set/a/9.jpg")
    (tmp_path / "set/a/8.jpg").symlink_to("1.jpg")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(tmp_path / "set", "set")
    with pytest.raises(DataError) as caught:
        open_files(tmp_path / "x.tar")
    assert re.search(r"\(tar -h\)$", one_line(caught, "a/8.jpg"))
    with tarfile.open(tmp_path / "x.tar", "w", dereference=True) as tar:
        tar.add(tmp_path / "set", "set")
    found = dict((files := open_files(tmp_path / "x.tar")).read(files.names))
    links = {"a/8.jpg": FILES["a/1.jpg"], "a/9.jpg": FILES["a/2.jpg"]}
    assert found == {f"set/{name}": data for name, data in (FILES | links).items()}


def test_pictures_are_told_by_their_first_bytes_and_what_is_left_out_is_named(tmp_path):
    endings = {
        "jpg": "JPEG",
        "jfif": "JPEG",
        "JPE": "JPEG",
        "": "PNG",
        "img": "WEBP",
        "txt": "GIF",
        "x": "TIFF",
        "y": "BMP",
    }
    pictures = {f"a/{form}.{end}".rstrip("."): encode(drawing(), form) for end, form in endings.items()}
    foreign = {
        "b/1.HEIC": b"\0\0\0\x18ftypheic" + bytes(99), "b/2.avif": b"\0\0\0\x18ftypavif", "b/3": b"\0\0\0\x18ftypmif1",
        "b/4.svg": b"<svg/>", "b/5.mp4": bytes(99), "b/6": b"", "b/7.heic": b"x", "b/8.zip": b"PK\3\4\0",
    }  # fmt: skip
    silent = {"index.csv": b"path\n", "b/notes.txt": b"BMW, P5, RIFF", "Thumbs.db": bytes(9), "a/.DS_Store": bytes(9)}
    for name, data in (pictures | foreign | silent).items():
        (tmp_path / "f" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "f" / name).write_bytes(data)
    (tmp_path / "x.tgz").write_bytes(tar_bytes(pictures | foreign | silent, "w:gz"))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, data in (pictures | foreign | silent).items():
            archive.writestr(name, data)
    for root in ("f", "x.tgz", "x.zip"):
        found, left_out = open_files(tmp_path / root).pictures()
        assert found == sorted(pictures)
        assert [line.split(": ")[0] for line in left_out] == sorted(foreign) and "JPEG or PNG" in left_out[0]


def test_what_in_a_folder_cannot_be_opened_is_named(tmp_path, monkeypatch):
    as_folder(tmp_path)
    os.mkfifo(tmp_path / "a" / "pipe.jpg")
    (tmp_path / "a" / "gone.jpg").symlink_to("nowhere")
    scandir = os.scandir

    def closed(folder):  # root may open everything
        if str(folder).endswith("/b"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        return scandir(folder)

    before = fingerprint(tmp_path)
    monkeypatch.setattr(os, "scandir", closed)
    files = open_files(tmp_path)
    assert files.names == ["a/1.jpg", "a/2.jpg", "index.csv"] and fingerprint(tmp_path) != before
    assert [line.split(": ")[0] for line in files.left_out] == ["a/gone.jpg", "a/pipe.jpg", "b"]
    assert "Permission denied" in files.left_out[2]
    with pytest.raises(DataError) as caught:
        open_files(tmp_path / "b")
    one_line(caught, tmp_path / "b", "Permission denied")


def test_a_name_with_line_breaks_and_escapes_is_told_in_one_line_that_a_terminal_can_print(tmp_path):
    name = "a\x1b[2J\ndeepid: all is well\udce9.png"
    with pytest.raises(BadImage) as caught:
        decode(b"", name)
    assert (
        str(caught.value).startswith("a\\x1b[2J\\ndeepid: all is well\\udce9.png: ") and str(caught.value).isprintable()
    )
    (tmp_path / "x.tar").write_bytes(tar_bytes({"1.jpg": b"x", name.replace("png", "heic"): bytes(9)}))
    assert open_files(tmp_path / "x.tar").pictures()[1][0].isprintable()


def test_what_is_neither_a_file_nor_a_folder_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for root in (tmp_path / "pipe", "/dev/zero"):
        for read in (open_files, fingerprint):
            with pytest.raises(DataError) as caught:
                read(root)
            one_line(caught, root, "plain file")


# limits hold for what comes out, whatever an archive says


def lying_zip(path, method):
    """Two megabytes of zeros that are said to be a thousand bytes."""
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a/1.jpg", bytes(2_000_000))
    data = bytearray(path.read_bytes())
    for start, offset in ((data.find(b"PK\x01\x02"), 24), (0, 22)):
        struct.pack_into("<I", data, start + offset, 1000)
    path.write_bytes(data)
    return path


def peak(work):
    tracemalloc.start()
    try:
        work()
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return most


def test_a_zip_that_says_less_than_comes_out(tmp_path):
    files = open_files(lying_zip(tmp_path / "x.zip", zipfile.ZIP_DEFLATED))

    def read():
        with pytest.raises(DataError, match="corrupt"):
            files.read_one("a/1.jpg")

    assert peak(read) < 500_000
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with pytest.raises(DataError, match="rare way"):
            open_files(lying_zip(tmp_path / "y.zip", method))


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_whose_headers_are_huge(kind, mode, tmp_path):
    with tarfile.open(tmp_path / "x.tar", mode, format=kind) as tar:
        tar.addfile(tarfile.TarInfo("a" * 20_000_000))

    def read():
        with pytest.raises(DataError, match="header of"):
            open_files(tmp_path / "x.tar")

    assert peak(read) < 1_000_000


def test_archives_that_unpack_to_far_more_than_photographs_do(tmp_path, monkeypatch):
    monkeypatch.setattr("deepid_lite.faces.archives.FREE_BYTES", 1_000_000)
    bomb = {f"{n}.jpg": bytes(1_000_000) for n in range(9)}
    (tmp_path / "x.tgz").write_bytes(tar_bytes(bomb, "w:gz"))
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in bomb.items():
            archive.writestr(name, data)
    for name in ("x.tgz", "x.zip"):
        with pytest.raises(DataError) as caught:
            open_files(tmp_path / name)
        one_line(caught, name, "no archive of photographs")
    (tmp_path / "x.tar").write_bytes(tar_bytes(bomb))
    assert len(open_files(tmp_path / "x.tar").names) == 9  # it is as large as what is in it


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_truncated_archives(mode, keep, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, 40000, dtype=np.uint8).tobytes()
    data = tar_bytes({"a/1.jpg": noise, "a/2.jpg": noise}, mode)
    (tmp_path / "x.tar").write_bytes(data[: int(keep * len(data.rstrip(b"\0")))])
    with pytest.raises(DataError) as caught:
        open_files(tmp_path / "x.tar")
    one_line(caught, tmp_path / "x.tar", "truncated")


def test_a_tar_cut_between_two_members_is_truncated_too(tmp_path):
    data = tar_bytes({"a/1.jpg": b"x" * 512, "a/2.jpg": b"x" * 512})
    for length in (1024, 1300):  # after the first member, and within the second header
        (tmp_path / "x.tar").write_bytes(data[:length])
        with pytest.raises(DataError) as caught:
            open_files(tmp_path / "x.tar")
        one_line(caught, "truncated")


def test_damaged_archives(tmp_path):
    data = bytearray(gzip.compress(tar_bytes({"a/1.jpg": b"x" * 9999}), 0))
    data[300:320] = b"\xff" * 20
    data[5000:9000] = b"\xff" * 4000
    (tmp_path / "x.tgz").write_bytes(data)
    (tmp_path / "x.zip").write_bytes(as_zip(tmp_path).read_bytes()[:-30])
    for name in ("x.tgz", "x.zip"):
        with pytest.raises(DataError) as caught:
            open_files(tmp_path / name)
        one_line(caught, name)


def test_paths_that_are_no_archive(tmp_path):
    (tmp_path / "text.tar").write_text("not an archive\n" * 100)
    (tmp_path / "nothing.tar").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    (tmp_path / "zeros.tar").write_bytes(bytes(10240))
    for name, reason in [
        ("text.tar", "neither"),
        ("nothing.tar", "neither"),
        ("absent", "no such file"),
        ("empty", "no files"),
        ("zeros.tar", "no files"),
    ]:
        with pytest.raises(DataError) as caught:
            open_files(tmp_path / name)
        one_line(caught, tmp_path / name, reason)


def test_fingerprint_follows_the_content(tmp_path):
    (tmp_path / "f").mkdir()
    folder, archive = as_folder(tmp_path / "f"), as_tar(tmp_path)
    before = fingerprint(folder), fingerprint(archive)
    assert before == (fingerprint(folder), fingerprint(archive))
    (folder / "a" / "1.jpg").write_bytes(b"other")
    archive.write_bytes(tar_bytes(FILES | {"z/9.jpg": b"more"}))
    assert fingerprint(folder) != before[0] and fingerprint(archive) != before[1]


# -------------------------------------------------------------------------------------------- pictures


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_come_back_exactly(form):
    image = drawing()
    out = decode(encode(image, form), "x")
    assert out.dtype == np.uint8 and np.array_equal(out, image)


@pytest.mark.parametrize("form,options", [("JPEG", {"quality": 95}), ("WEBP", {"quality": 95})])
def test_lossy_formats_come_back_nearly(form, options):
    image = drawing()
    out = decode(encode(image, form, **options), "x")
    assert out.shape == image.shape and np.abs(out.astype(int) - image).max() < 12


def test_greyscale_and_bilevel():
    grey = drawing()[..., 0]
    assert np.array_equal(decode(encode(grey), "x"), np.repeat(grey[..., None], 3, 2))
    bits = Image.fromarray(grey).convert("1")
    assert np.array_equal(decode(encode(bits), "x")[..., 0], np.asarray(bits) * 255)


def test_sixteen_bit_keeps_its_range_instead_of_clipping():
    ramp = np.linspace(0, 65535, 60 * 40).reshape(60, 40).astype(np.uint16)
    dark = (ramp // 300).astype(np.uint16)  # nearly black as a 16-bit picture, though its values would do as 8-bit
    for form in ("PNG", "TIFF"):
        for values in (ramp, dark):
            out = decode(encode(Image.fromarray(values), form), "x")
            assert np.array_equal(out[..., 1], np.rint(values / 257))


def test_float_tiff():
    grey = drawing()[..., 0]
    for values in (grey.astype(np.float32), (grey / 255).astype(np.float32)):
        assert np.array_equal(decode(encode(Image.fromarray(values), "TIFF"), "x")[..., 2], grey)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1, 256, 1e30])
@pytest.mark.parametrize("share", [1, 1000])
def test_values_that_are_no_brightness_are_refused(value, share):
    values = drawing()[..., 0].astype(np.float32)
    values.flat[::share] = value
    with pytest.raises(BadImage) as caught:
        decode(encode(Image.fromarray(values), "TIFF"), "a/1.tiff")
    one_line(caught, "a/1.tiff", "values are from 0 to")


def test_cmyk():
    image = Image.fromarray(drawing())
    out = decode(encode(image.convert("CMYK"), "JPEG", quality=95), "x")
    assert np.abs(out.astype(int) - drawing()).max() < 16


def test_palette_and_transparency_on_white():
    colours = np.array([[200, 10, 20], [10, 200, 30]], dtype=np.uint8)
    index = np.tile([[0, 1]], (8, 4)).astype(np.uint8)
    palette = Image.new("P", (8, 8))
    palette.putpalette(colours.ravel().tolist())
    palette.putdata(index.ravel().tolist())
    assert np.array_equal(decode(encode(palette), "x"), colours[index])
    clear = decode(encode(palette, transparency=1), "x")
    assert np.array_equal(clear[:, 1], np.full((8, 3), 255)) and np.array_equal(clear[:, 0], colours[index][:, 0])
    rgba = np.dstack([drawing(), np.zeros((60, 40), np.uint8)])
    rgba[:30, :, 3] = 255
    out = decode(encode(rgba), "x")
    assert np.array_equal(out[:30], drawing()[:30]) and (out[30:] == 255).all()


@pytest.mark.parametrize("orientation,turn", [(1, 0), (3, 2), (6, 1), (8, 3)])
def test_camera_rotation_is_carried_out(orientation, turn):
    upright = drawing()
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(np.rot90(upright, turn))
    out = decode(encode(stored, "PNG", exif=exif), "x")
    assert np.array_equal(out, upright)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_an_animation_gives_its_first_frame(form):
    first, second = (Image.new("RGB", (20, 10), colour) for colour in ((250, 0, 0), (0, 0, 250)))
    options = {"lossless": True} if form == "WEBP" else {}
    data = encode(first, form, save_all=True, append_images=[second], duration=50, **options)
    out = decode(data, "x")
    assert out.shape == (10, 20, 3) and np.abs(out.astype(int) - [250, 0, 0]).max() < 6


def png_claiming(width, height):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("width,height", [(7072, 7072), (10000, 10000), (60000, 60000)])
def test_enormous_pictures_are_refused_by_their_header(width, height):
    with pytest.raises(BadImage) as caught:
        decode(png_claiming(width, height), "a/huge.png")
    one_line(caught, "a/huge.png", "megapixels")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_truncated_pictures_are_named(form):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encode(noise, form)
    for keep in (0.02, 0.5, 0.9):
        with pytest.raises(BadImage) as caught:
            decode(data[: int(keep * len(data))], "a/cut.jpg")
        one_line(caught, "a/cut.jpg")


def test_bytes_that_are_no_picture_are_named():
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n"  # Pillow would start Ghostscript for it
    for data in (b"", b"hello", bytes(1000), eps, "Permission denied"):
        with pytest.raises(BadImage) as caught:
            decode(data, "a/1.jpg")
        one_line(caught, "a/1.jpg", "save it as JPEG or PNG" if isinstance(data, bytes) else data)
        assert "BytesIO" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(form=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "TIFF"]), seed=st.integers(0, 2**32 - 1))
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_give_a_picture_or_a_named_error(form, seed):
    random = np.random.default_rng(seed)
    data = np.frombuffer(encode(drawing(), form), dtype=np.uint8).copy()
    data[random.integers(0, len(data), 8)] = random.integers(0, 256, 8)
    try:
        out = decode(data.tobytes(), "a/1.jpg")
    except BadImage as error:
        assert str(error).startswith("a/1.jpg: ") and "\n" not in str(error)
    else:
        assert out.dtype == np.uint8 and out.ndim == 3 and out.shape[2] == 3


def test_a_member_beyond_any_picture_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("deepid_lite.faces.archives.MAX_BYTES", 1000)
    for make in (as_folder, as_tar, as_zip):
        folder = tmp_path / make.__name__
        folder.mkdir()
        files = open_files(make(folder))
        assert "larger than" in dict(files.read(files.names))["a/2.jpg"]
        assert dict(files.read(files.names, 3))["a/2.jpg"] == b"two"
        with pytest.raises(DataError):
            files.read_one("a/2.jpg")
