"""The data scripts against a web server on loopback: good, corrupt, truncated, absent, wrong files."""

import errno
import gzip
import hashlib
import http.server
import importlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

SCRIPTS = Path(__file__).parents[2] / "data_scripts"
sys.path.insert(0, str(SCRIPTS))
_fetch = importlib.import_module("_fetch")
lfw, celeba, published_roc = map(importlib.import_module, ("lfw", "celeba", "published_roc"))
lfw_codes, webfaces = map(importlib.import_module, ("lfw_codes", "webfaces"))
DATA = Path(os.environ.get("DEEPID_DATA") or "/nonexistent")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves server.files; server.faults[path] is a list of faults, one used up by each request."""

    def do_GET(self):
        server = self.server
        server.asked.append((self.path, self.headers.get("Range")))
        faults = server.faults.get(self.path, [])
        fault = faults.pop(0) if faults else ""
        body = server.files.get(self.path)
        if body is None or fault == "404":
            return self.send_error(404)
        if fault == "503":
            return self.send_error(503)
        start, status = 0, 200
        if self.headers.get("Range") and not server.forgetful:
            start, status = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")), 206
        if start >= len(body):
            return self.send_error(416)
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Type", "text/html" if fault == "html" else "application/octet-stream")
        self.send_header("Content-Length", str(len(body) - start + (fault == "hangs")))
        self.end_headers()
        if fault == "dies":  # half of what is missing, then the connection is closed
            body = body[: (start + len(body)) // 2]
        if fault == "corrupt":
            body = body[:-1] + bytes([body[-1] ^ 1])
        self.wfile.write(body[start:])
        if fault == "hangs":
            server.released.wait(20)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(_fetch.MIRROR_VARIABLE, raising=False)
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda _: None))  # retries at once
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.files, server.faults, server.asked, server.forgetful = {}, {}, [], False
        server.released = threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.released.set()
        server.shutdown()


def remote(body: bytes, *urls, size=True, needed=True):
    sha256 = "sha256:" + hashlib.sha256(body).hexdigest()
    return _fetch.Remote(sha256, len(body) if size else None, urls, needed)


def jpeg() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (250, 250), (120, 90, 60)).save(out, "JPEG")
    return out.getvalue()


# --------------------------------------------------------------------------------- a small LFW

PEOPLE = {"Ann_Axe": 2, "Bo": 1, "Cy_de_Cox": 2}
NAMES = [f"{who}/{who}_{i:04d}.jpg" for who, n in PEOPLE.items() for i in range(1, n + 1)]
SMALL = {"images": 5, "people": 3, "pairs": 3}
ROW = "104 112 145 111 124 138 107 157 142 157"


def lfw_archive(members=None) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, body in (members or {f"lfw/{n}": jpeg() for n in NAMES}).items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return gzip.compress(out.getvalue(), mtime=0)  # the same bytes at every call


def small_lfw(server, rows=None, pairs=None, archive=None):
    """Serve a small LFW; return the keyword arguments for lfw.main."""
    pairs = pairs or "1\t3\nAnn_Axe\t1\t2\nCy_de_Cox\t1\t2\nBo\t1\tCy_de_Cox\t2\n"
    bodies = {
        "lfw.tgz": archive or lfw_archive(),
        "lfw_protocol/pairs.txt": pairs.encode(),
        "lfw_protocol/landmarks.txt": "\n".join(rows or [f"lfw/{n} {ROW}" for n in NAMES]).encode(),
        "lfw_protocol/people.txt": b"1\n3\nAnn_Axe\t2\nBo\t1\nCy_de_Cox\t2\n",
    }
    server.files |= {f"/{name}": body for name, body in bodies.items()}
    files = {name: remote(body, f"{server.url}/{name}", needed="people" not in name) for name, body in bodies.items()}
    return {"files": files, "expected": SMALL}


def one_line(capsys, *words):
    """stderr holds one line that ends without a traceback and contains all the words."""
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "Traceback" not in err, err
    for word in words:
        assert str(word) in err, err
    return err


def test_lfw_is_fetched_checked_and_converted(server, tmp_path, capsys):
    dest = tmp_path / "new" / "data"
    assert lfw.main([str(dest)], **small_lfw(server)) == 0
    out, err = capsys.readouterr()
    assert err == ""  # no progress bar and no log where stderr is no terminal
    assert "5 images of 3 people" in out and f'load_faces("lfw", "{dest}")' in out
    assert sorted(p.relative_to(dest).as_posix() for p in dest.rglob("*") if p.is_file()) == [
        "lfw.tgz",
        "lfw_protocol/landmarks.txt",
        "lfw_protocol/pairs.txt",
        "lfw_protocol/people.txt",
    ]
    rows = (dest / "lfw_protocol/landmarks.txt").read_text().split("\n")
    assert rows == ["\t".join([n, *ROW.split()]) for n in NAMES]
    mask = os.umask(0)
    os.umask(mask)
    assert (dest / "lfw.tgz").stat().st_mode & 0o777 == 0o666 & ~mask  # other accounts may read it

    asked = len(server.asked)
    assert lfw.main([str(dest)], **small_lfw(server)) == 0  # all is there: nothing is asked again
    assert lfw.main([str(dest), "--check-only"], **small_lfw(server)) == 0
    assert len(server.asked) == asked


def test_load_faces_reads_what_lfw_py_leaves(server, tmp_path):
    from deepid_lite.faces.loading import load_faces

    assert lfw.main([str(tmp_path)], **small_lfw(server)) == 0
    found = load_faces("lfw", tmp_path, cache=False)
    assert found.paths == sorted(NAMES) and len(found.names) == 3


def test_load_faces_reads_what_celeba_py_leaves(server, tmp_path):
    from deepid_lite.faces.loading import load_faces

    assert celeba.main([str(tmp_path)], **small_celeba(server)) == 0
    found = load_faces("celeba", tmp_path, part="train", cache=False)
    assert found.paths == ["000001.jpg", "000002.jpg"]


def test_an_own_copy_of_the_images_is_kept(server, tmp_path):
    for name in NAMES:
        (tmp_path / "lfw" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lfw" / name).write_bytes(jpeg())
    assert lfw.main([str(tmp_path)], **small_lfw(server)) == 0
    assert "/lfw.tgz" not in [path for path, _ in server.asked]
    assert not (tmp_path / "lfw.tgz").exists()


def test_a_mirror_replaces_the_sources(server, tmp_path, monkeypatch):
    given = small_lfw(server)
    server.files = {"/mirror" + path: body for path, body in server.files.items()}
    assert lfw.main([str(tmp_path / "a"), "--base-url", server.url + "/mirror/"], **given) == 0
    monkeypatch.setenv(_fetch.MIRROR_VARIABLE, server.url + "/mirror")
    assert lfw.main([str(tmp_path / "b")], **given) == 0


def test_an_optional_list_may_be_missing(server, tmp_path, capsys):
    given = small_lfw(server)
    del server.files["/lfw_protocol/people.txt"]
    assert lfw.main([str(tmp_path)], **given) == 0
    one_line(capsys, "note", "people.txt", "HTTP 404")


# ------------------------------------------------------------------------------- bad transfers

BODY = bytes(range(256)) * 400  # 102,400 bytes


def get(server, tmp_path, *paths, size=True):
    """Fetch BODY as a.bin from the given paths of the server; return the URL that gave it."""
    spec = remote(BODY, *(server.url + path for path in paths), size=size)
    url = _fetch.fetch("a.bin", spec, tmp_path, None, set())
    assert (tmp_path / "a.bin").read_bytes() == BODY
    return url


def left_over(tmp_path):
    return sorted(p.name for p in tmp_path.rglob("*") if p.is_file())


@pytest.mark.parametrize("fault", ["404", "corrupt", "html"])
def test_the_second_source_helps(server, tmp_path, fault):
    server.files = {"/1": BODY, "/2": BODY}
    server.faults["/1"] = [fault] * 4
    assert get(server, tmp_path, "/1", "/2") == server.url + "/2"
    assert [path for path, _ in server.asked] == ["/1", "/2"]  # one answer shows that /1 is useless


def test_a_host_that_cannot_be_reached_is_asked_once(server, tmp_path, monkeypatch):
    server.files = {"/ok": BODY, "/ok2": BODY}
    closed = "http://127.0.0.1:1"
    down = set()
    asked = []
    send = _fetch.requests.get
    monkeypatch.setattr(_fetch.requests, "get", lambda url, **kw: asked.append(url) or send(url, **kw))
    for name in ("a", "b"):
        assert _fetch.fetch(name, remote(BODY, closed + "/ok", server.url + "/ok"), tmp_path, None, down)
    assert asked.count(closed + "/ok") == 1 and down == {"127.0.0.1:1"}


@pytest.mark.parametrize("size", [True, False])
def test_a_server_that_dies_is_asked_for_the_rest(server, tmp_path, size):
    server.files, server.faults = {"/1": BODY}, {"/1": ["dies", "503", "dies"]}
    get(server, tmp_path, "/1", size=size)
    whole_blocks = lambda n: n // _fetch.BLOCK * _fetch.BLOCK  # noqa: E731
    first = whole_blocks(len(BODY) // 2)
    second = first + whole_blocks((first + len(BODY)) // 2 - first)
    assert 0 < first < second < len(BODY)
    assert [r for _, r in server.asked] == [None, f"bytes={first}-", f"bytes={first}-", f"bytes={second}-"]


def test_a_server_without_ranges_starts_anew(server, tmp_path):
    server.files, server.faults, server.forgetful = {"/1": BODY}, {"/1": ["dies"]}, True
    get(server, tmp_path, "/1")


def test_a_rest_that_does_not_fit_is_thrown_away(server, tmp_path):
    server.files = {"/1": BODY}
    part = tmp_path / _fetch.UNFINISHED / "a.bin.part"
    part.parent.mkdir()
    part.write_bytes(b"another file's beginning")
    get(server, tmp_path, "/1")  # continued, wrong sum, fetched anew
    assert [r for _, r in server.asked] == ["bytes=24-", None]
    for stale in (b"x" * len(BODY), b"x" * (len(BODY) + 1)):  # complete, or longer than the file
        (tmp_path / "a.bin").unlink()
        part.write_bytes(stale)
        get(server, tmp_path, "/1")
    (tmp_path / "a.bin").unlink()
    part.write_bytes(b"x" * (len(BODY) + 1))
    get(server, tmp_path, "/1", size=False)  # the server says 416


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (["corrupt"] * 4, "wrong checksum"),
        (["dies"] * 4, "broke off 4 times"),
        (["503"] * 4, "HTTP 503"),
        (["404"], "HTTP 404"),
        (["html"], "web page instead of the file"),
    ],
)
def test_a_failure_is_one_line_and_leaves_no_file(server, tmp_path, capsys, faults, words):
    given = small_lfw(server)
    server.faults["/lfw.tgz"] = list(faults)
    assert lfw.main([str(tmp_path)], **given) == 2
    one_line(capsys, "lfw.tgz", words, "by hand", "figshare")
    assert not (tmp_path / "lfw.tgz").exists()
    assert not [name for name in left_over(tmp_path) if name.startswith("tmp")]
    server.faults.clear()
    assert lfw.main([str(tmp_path)], **given) == 0  # the trouble is over; the same command finishes
    assert not (tmp_path / _fetch.UNFINISHED).exists()


def test_a_truncated_file_on_the_server_is_refused_at_once(server, tmp_path):
    server.files = {"/1": BODY[:-7], "/2": BODY}
    assert get(server, tmp_path, "/1", "/2").endswith("/2")
    with pytest.raises(_fetch.FetchError, match="offers 102,393 bytes instead of 102,400"):
        _fetch.fetch("b", remote(BODY, server.url + "/1"), tmp_path, None, set())
    with pytest.raises(_fetch.FetchError, match="wrong checksum"):
        _fetch.fetch("b", remote(BODY, server.url + "/1", size=False), tmp_path, None, set())
    assert left_over(tmp_path) == ["a.bin"]


def test_a_short_body_is_seen_without_the_help_of_urllib3(tmp_path):
    """urllib3 1.x ends a body that is cut off as if it were complete."""
    part = tmp_path / "a.part"
    answer = SimpleNamespace(iter_content=lambda size: iter([b"half"]))
    with pytest.raises(_fetch.requests.exceptions.ConnectionError):
        _fetch.Downloader(part, 8, set()).write(answer, 0, 8)
    assert part.read_bytes() == b"half"  # kept, to go on from there


def test_an_address_that_is_none(tmp_path, capsys):
    assert published_roc.main([str(tmp_path), "--base-url", "mirror.example"]) == 2
    one_line(capsys, "not a usable address", "mirror.example")


def test_ctrl_c_keeps_what_came(server, tmp_path):
    server.files, server.faults = {"/lfw.tgz": BODY}, {"/lfw.tgz": ["hangs"]}
    command = [sys.executable, str(SCRIPTS / "lfw.py"), str(tmp_path), "--base-url", server.url]
    options = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    # a shell's background job ignores Ctrl-C, and so would its children: here it must arrive
    options["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, **options) as process:
        part = tmp_path / _fetch.UNFINISHED / "lfw.tgz.part"
        end = time.monotonic() + 15
        while not (part.exists() and part.stat().st_size) and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130 and err.count("\n") == 1 and "goes on where it stopped" in err
    assert left_over(tmp_path) == ["lfw.tgz.part"] and part.stat().st_size > 0


# ------------------------------------------------------------------------------- the disk


class FullDisk(io.FileIO):
    def write(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("when", ["writing", "known before"])
def test_a_full_disk(server, tmp_path, capsys, monkeypatch, when):
    given = small_lfw(server)
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        if when == "writing":
            patch.setattr(_fetch, "open", FullDisk, raising=False)
        else:
            patch.setattr(_fetch.shutil, "disk_usage", lambda _: usage._replace(free=10))
        assert lfw.main([str(tmp_path)], **given) == 2
    one_line(capsys, tmp_path, "disk is full", "run again")
    assert not (tmp_path / "lfw.tgz").exists()
    assert lfw.main([str(tmp_path)], **given) == 0


def test_a_folder_that_may_not_be_written(server, tmp_path, capsys, monkeypatch):
    def refuse(*_, **__):  # as root no real folder refuses, so the refusal is simulated
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path))

    monkeypatch.setattr(_fetch.Path, "mkdir", refuse)
    assert lfw.main([str(tmp_path)], **small_lfw(server)) == 2
    one_line(capsys, tmp_path, "Permission denied", "another DEST")


def test_a_destination_that_is_a_file(tmp_path, capsys):
    dest = tmp_path / "data"
    dest.write_text("mine")
    for script in (lfw, celeba, published_roc):
        assert script.main([str(dest)]) == 2
        one_line(capsys, dest, "is a file", "name a folder")
    assert dest.read_text() == "mine"


def test_a_wrong_file_of_the_user_is_named_and_kept(server, tmp_path, capsys):
    given = small_lfw(server)
    wrong = tmp_path / "lfw.tgz"
    for body, words in ((b"cut", "has 3 bytes instead of"), (bytes(len(lfw_archive())), "sha256 is")):
        given["files"]["lfw.tgz"] = remote(lfw_archive(), f"{server.url}/lfw.tgz")
        body = body if len(body) == 3 else bytes(given["files"]["lfw.tgz"].size)
        wrong.write_bytes(body)
        assert lfw.main([str(tmp_path)], **given) == 2
        one_line(capsys, wrong, words, "delete it")
        assert wrong.read_bytes() == body


# ------------------------------------------------------------------------------- wrong contents

ROWS = [f"{n} {ROW}" for n in NAMES]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([*ROWS[:2], "Bo/Bo_0001.jpg 104 112", *ROWS[3:]], "landmarks.txt, line 3: 'Bo/Bo_0001.jpg 104 112'"),
        ([*ROWS[:4], NAMES[4] + " 104 112 145 111 124 138 107 157 142 1570"], "line 5"),
        ([*ROWS[:4], NAMES[4] + " 104 112 145 111 x 138 107 157 142 157"], "line 5"),
        (ROWS[:4], f"1 images have no row, first {NAMES[4]}"),
        ([*ROWS, ROWS[0]], "comes twice"),
        ([*ROWS, ROWS[0].replace("Ann", "Eve")], "Eve_Axe/Eve_Axe_0001.jpg is not among the images"),
    ],
)
def test_wrong_landmark_rows(server, tmp_path, capsys, rows, words):
    assert lfw.main([str(tmp_path)], **small_lfw(server, rows=rows)) == 2
    one_line(capsys, words, "run again")


def test_landmarks_in_another_form_are_converted_unless_only_checked(server, tmp_path, capsys):
    given = small_lfw(server)
    mine = tmp_path / "lfw_protocol/landmarks.txt"
    mine.parent.mkdir()
    text = "".join(f"lfw/{n} {ROW}\r\n".replace("/", "\\").replace(" ", ", ") for n in reversed(NAMES))
    mine.write_bytes(text.encode())
    assert lfw.main([str(tmp_path)], **given) == 0
    assert mine.read_text().split("\n") == ["\t".join([n, *ROW.split()]) for n in reversed(NAMES)]
    assert "another list" in capsys.readouterr().out
    mine.write_bytes(text.encode())
    assert lfw.main([str(tmp_path), "--check-only"], **given) == 2
    one_line(capsys, mine, "run without --check-only")
    assert mine.read_bytes() == text.encode()


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ("1\t3\nAnn_Axe\t1\t3\n", "line 2: Ann_Axe/Ann_Axe_0003.jpg is not among the images"),
        ("1\t3\nAnn_Axe\t1\n", "line 2: 'Ann_Axe\\t1' is no pair"),
        ("1\t3\nAnn_Axe\t1\t2\n", "1 pairs instead of 3"),
    ],
)
def test_wrong_pairs(server, tmp_path, capsys, pairs, words):
    assert lfw.main([str(tmp_path)], **small_lfw(server, pairs=pairs)) == 2
    one_line(capsys, "pairs.txt", words, "run again")


def evil(**fields):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        info = tarfile.TarInfo("lfw/Bo/Bo_0001.jpg")
        for key, value in fields.items():
            setattr(info, key, value)
        tar.addfile(info)
    return out.getvalue()


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (lfw_archive()[:-60], "cut short"),
        (b"no archive at all", "no tar archive"),
        (lfw_archive({"lfw_funneled/Bo/Bo_0001.jpg": jpeg()}), "0 images"),
        (lfw_archive({"lfw/Bo/Bo_0001.jpg": b"GIF89a"}), "not a JPEG"),
        (evil(name="../Bo_0001.jpg"), "points outside"),
        (evil(name="/etc/Bo_0001.jpg"), "points outside"),
        (evil(type=tarfile.SYMTYPE, linkname="/etc/passwd"), "is a link"),
    ],
    ids=["cut", "no archive", "funneled", "no jpeg", "dots", "absolute", "link"],
)
def test_wrong_archives(server, tmp_path, capsys, archive, words):
    assert lfw.main([str(tmp_path)], **small_lfw(server, archive=archive)) == 2
    one_line(capsys, "lfw.tgz", words)


# ------------------------------------------------------------------------------- CelebA


def small_celeba(server, zipped=None, **changed):
    names = [f"{i:06d}.jpg" for i in range(1, 5)]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(f"img_align_celeba/{name}", jpeg())
    points = "69 109 106 113 77 142 73 152 108 154"
    signs = " ".join(["1", "-1"] * 20)
    header = " ".join(f"Attribute_{i}" for i in range(40))
    bodies = {
        "identity_CelebA.txt": "".join(f"{n} {i // 2}\r\n" for i, n in enumerate(names)),
        "list_eval_partition.txt": "".join(f"{n} {p}\r\n" for n, p in zip(names, "0012", strict=True)),
        "list_landmarks_align_celeba.txt": "4\nlefteye_x ...\n" + "".join(f"{n} {points}\n" for n in names),
        "list_attr_celeba.txt": f"4\n{header}\n" + "".join(f"{n}  {signs}\n" for n in names),
    }
    bodies = {n: body.encode() for n, body in (bodies | changed).items()}
    bodies[celeba.IMAGES] = zipped or out.getvalue()
    server.files |= {f"/{name}": body for name, body in bodies.items()}
    return {
        "files": {name: remote(body, f"{server.url}/{name}") for name, body in bodies.items()},
        "expected": {"images": 4, "people": 2, "parts": (2, 1, 1)},
    }


def test_celeba_is_fetched_and_checked(server, tmp_path, capsys):
    given = small_celeba(server)
    assert celeba.main([str(tmp_path)], **given) == 0
    out, err = capsys.readouterr()
    assert "2 people; train, val, test: 2, 1, 1 images" in out and err == ""
    # as the authors' Drive folder is laid out, with the images unpacked
    (tmp_path / "Anno").mkdir()
    (tmp_path / "Eval").mkdir()
    for name in sorted(celeba.FILES.keys() - {celeba.IMAGES}):
        (tmp_path / name).rename(tmp_path / ("Eval" if "eval" in name else "Anno") / name)
    with zipfile.ZipFile(tmp_path / celeba.IMAGES) as archive:
        archive.extractall(tmp_path / "Img")
    (tmp_path / celeba.IMAGES).unlink()
    assert celeba.main([str(tmp_path), "--check-only"], **given) == 0
    (tmp_path / "Img/img_align_celeba/000003.jpg").write_bytes(b"")
    assert celeba.main([str(tmp_path), "--check-only"], **given) == 2
    one_line(capsys, "1 empty images, first 000003.jpg")


def test_celeba_behind_a_login_says_what_to_fetch(server, tmp_path, capsys):
    given = small_celeba(server)
    for path in server.files:
        server.faults[path] = ["html"]
    assert celeba.main([str(tmp_path)], **given) == 2
    line = one_line(capsys, "a login or a used-up download quota", "img_align_celeba.zip (", "Google Drive")
    assert all(name in line for name in celeba.FILES)
    for path, body in server.files.items():  # the user fetched them in a browser
        (tmp_path / path[1:]).write_bytes(body)
    assert celeba.main([str(tmp_path)], **given) == 0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"list_landmarks_align_celeba.txt": "4\nh\n000001.jpg 69 109\n"}, "line 3: '000001.jpg 69 109' is not"),
        ({"list_eval_partition.txt": "000001.jpg 7\n"}, "line 1: '000001.jpg 7' is not a new file name"),
        ({"identity_CelebA.txt": "000001.jpg 1\n000001.jpg 2\n"}, "line 2: '000001.jpg 2' is not a new"),
        ({"identity_CelebA.txt": "000001.jpg 1\n000009.jpg 1\n"}, "first 000002.jpg"),
        ({"identity_CelebA.txt": "".join(f"00000{i}.jpg 1\n" for i in range(1, 5))}, "1 people in parts"),
        ({"zipped": b"PK no zip"}, "cannot be read as a zip"),
    ],
)
def test_wrong_celeba(server, tmp_path, capsys, changed, words):
    assert celeba.main([str(tmp_path)], **small_celeba(server, **changed)) == 2
    one_line(capsys, words, "run again")


# ------------------------------------------------------------------------------- ROC points


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1.0 1.0\r\n0.9 0.5\r\n0.0 0.0\r\n", None),
        ("0 0\n0.5 0.1\n1 1\n", None),
        ("0 0\n0.5 1.1\n", "line 2: '0.5 1.1' is not two rates"),
        ("0 0\n0.5 nan\n", "line 2"),
        ("0 0\n0.5\n", "line 2"),
        ("tpr fpr\n0 0\n", "line 1: 'tpr fpr'"),
        ("0 0\n0.5 0.1\n0.2 0.3\n1 1\n", "make no curve"),
        ("0 1\n1 0\n", "make no curve"),
        ("\n", "0 points"),
    ],
)
def test_roc_points(server, tmp_path, capsys, text, words):
    name = "published_roc/Some+One_2014.txt"
    server.files["/published_roc/Some%2BOne_2014.txt"] = text.encode()
    files = {name: remote(text.encode())}
    assert published_roc.main([str(tmp_path), "--base-url", server.url], files=files) == (2 if words else 0)
    if words:
        one_line(capsys, "Some+One_2014.txt", words, "run again")
    else:
        assert (tmp_path / name).read_bytes() == text.encode()


# ------------------------------------------------------------------------------- codes without names


def test_codes_are_written_without_names(tmp_path, monkeypatch, capsys):
    import numpy as np
    import torch

    from deepid_lite.faces.dataset import FaceSet
    from deepid_lite.faces.regions import WHOLE_FACE
    from deepid_lite.nets import deepid as nets
    from deepid_lite.neurons import codes
    from deepid_lite.neurons import lfw_codes as shipped_codes
    from deepid_lite.verification.benchmarks import Benchmark
    from deepid_lite.verification.model import FaceModel, face_features
    from deepid_lite.verification.pairs import make_pairs

    monkeypatch.setenv("DEEPID_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    images = np.random.default_rng(0).integers(0, 256, (12, 144, 128, 3), dtype=np.uint8)
    faces = FaceSet(
        images,
        np.repeat(np.arange(6), 2),
        [f"Ann_Axe_{i}" for i in range(6)],
        np.zeros((12, 5, 2), np.float32),
        {},
        [f"Ann_Axe/{i}.jpg" for i in range(12)],
        "lfw",
        "some hash",
    )
    torch.manual_seed(0)
    model = FaceModel(nets.DeepID2Plus(maps=4, dimension=16, heads=(4,), batch_norm=True).eval(), WHOLE_FACE, None, {})
    test = Benchmark("lfw", faces, make_pairs(faces.labels, 2, 2))
    monkeypatch.setattr(lfw_codes, "benchmark", lambda data, root: test)
    monkeypatch.setattr(lfw_codes, "pretrained", lambda name: model)
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    assert lfw_codes.main([str(first), "--model", "runs/some.safetensors", "--seed", "5"]) == 0
    assert "12 codes of 16 bits, 6 people, 8 pairs" in capsys.readouterr().out
    assert lfw_codes.main([str(second), "--model", "runs/some.safetensors", "--seed", "5"]) == 0
    assert first.read_bytes() == second.read_bytes() and b"Ann_Axe" not in first.read_bytes()
    found = shipped_codes.lfw_codes(first)
    bits = face_features(model, images)[:, :16] > 0  # the picture without its mirror
    rows = np.random.default_rng(5).permutation(12)
    assert np.array_equal(codes.unpack(found.codes), bits[rows]) and 0.1 < bits.mean() < 0.9
    assert np.array_equal(found.people[:, None] == found.people, faces.labels[rows][:, None] == faces.labels[rows])
    assert (found.card["model"], found.card["seed"], found.card["data_hash"]) == ("some", 5, "some hash")


def test_codes_without_photographs_are_one_line(tmp_path, capsys):
    assert lfw_codes.main([str(tmp_path / "c.safetensors"), "--model", "lite", "--root", str(tmp_path / "no")]) == 2
    one_line(capsys, "lfw_codes: ", tmp_path / "no")
    assert lfw_codes.main([str(tmp_path / "c.safetensors"), "--model", "none"]) == 2
    one_line(capsys, "model 'none'")
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------- as a user runs them


def run_script(name, *arguments):
    return subprocess.run(
        [sys.executable, str(SCRIPTS / name), *map(str, arguments)],
        text=True,
        timeout=60,
        capture_output=True,
        env=os.environ | {"NO_PROXY": "127.0.0.1"},
    )


def test_the_command_line(server, tmp_path):
    truncated = tmp_path / "identity_CelebA.txt"
    truncated.write_text("000001.jpg 2880\r\n")
    (tmp_path / "empty").mkdir()
    for arguments, words in {
        ("lfw.py", tmp_path / "no", "--check-only"): "no such folder; run without --check-only",
        ("lfw.py", tmp_path / "empty", "--check-only"): "missing lfw.tgz, lfw_protocol/pairs.txt (155",
        ("celeba.py", tmp_path, "--check-only"): "identity_CelebA.txt: has 17 bytes instead of 3,424,458",
        ("published_roc.py", tmp_path, "--base-url", server.url): "127.0.0.1",
        ("lfw.py",): "the following arguments are required: DEST",
        ("lfw.py", tmp_path, "--quickly"): "--quickly",
    }.items():
        done = run_script(*arguments)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and words in done.stderr, done.stderr
        assert done.stdout == ""
    assert run_script("celeba.py", "--help").returncode == 0


@pytest.mark.skipif(not (DATA / "published_roc").is_dir(), reason="DEEPID_DATA holds no published_roc/")
def test_real_roc_points_by_way_of_a_mirror(server, tmp_path):
    for name in published_roc.FILES:
        server.files["/" + name.replace("+", "%2B")] = (DATA / name).read_bytes()
    done = run_script("published_roc.py", tmp_path, "--base-url", server.url)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    for name in published_roc.FILES:
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes()


@pytest.mark.skipif(not (DATA / "lfw_protocol").is_dir(), reason="DEEPID_DATA holds no LFW")
def test_real_lfw(server, tmp_path):
    source = lfw.own_copy(DATA) or lfw.IMAGES
    (tmp_path / source).symlink_to(DATA / source)
    for name in lfw.FILES:
        if name != lfw.IMAGES and (DATA / name).is_file():
            server.files["/" + name] = (DATA / name).read_bytes()
    done = run_script("lfw.py", tmp_path, "--base-url", server.url)
    assert done.returncode == 0 and "13,233 images of 5,749 people" in done.stdout, done.stderr
    assert "13,233 rows, checksum right" in done.stdout and "6,000 pairs" in done.stdout


def test_every_file_has_a_checksum_and_a_source():
    for script in (lfw, celeba, published_roc):
        for name, spec in script.FILES.items():
            kind, value = spec.sum.split(":")
            assert len(value) == {"sha256": 64, "md5": 32}[kind] and int(value, 16), name
            assert spec.urls and all(url.startswith(("https:", "http:")) for url in spec.urls), name


# ------------------------------------------------------------------------------- web faces joined


def web_archive(path, people):
    """A tar of web faces, {identity: CelebA's file of each image, or ""}, in a folder named after the file."""
    rows, names = ["path,identity,source,original"], []
    for who, originals in people.items():
        for original in originals:
            names.append(f"{who}/{path.stem}{len(names)}.jpg")
            rows.append(f"{names[-1]},{who},{'celeba200' if original else 'web'},{original}")
    members = {f"{path.stem}/{name}": jpeg() for name in names}
    members[f"{path.stem}/index.csv"] = "\n".join(rows).encode()
    path.write_bytes(lfw_archive(members))
    return path


@pytest.fixture
def web(tmp_path):
    """Arguments of webfaces.py: two archives and CelebA's lists; two identities swallowed one of the test part's."""
    families = {"fiw-f1-mid1": ["", ""], "fiw-f1-mid2": ["", ""]}
    first = web_archive(tmp_path / "a.tar", families | {"celeba-1": ["1.jpg"], "celeba-2": ["2.jpg"] * 2})
    swallowed = {"celeba-1": ["5.jpg"], "fiw-f1-mid1": ["6.jpg"]}
    second = web_archive(tmp_path / "b.tgz", swallowed | {"celeba-3": ["3.jpg"], "name-of-4": ["4.jpg"]})
    (tmp_path / "identity_CelebA.txt").write_text("".join(f"{i}.jpg {i}\n" for i in range(1, 7)))
    (tmp_path / "list_eval_partition.txt").write_text("1.jpg 0\n2.jpg 0\n3.jpg 1\n4.jpg 2\n5.jpg 2\n6.jpg 2\n")
    return [str(tmp_path / "webfaces.tar"), str(first), str(second), "--lists", str(tmp_path)]


def test_joined_web_faces_know_celebas_parts(web, tmp_path):
    from deepid_lite.faces import load_faces
    from deepid_lite.faces.splits import hold_out

    assert webfaces.main(web) == 0
    found = load_faces("webfaces", tmp_path, cache=False)
    part = {found.names[label]: value for label, value in zip(found.labels, found.attributes["part"], strict=True)}
    assert len(found) == 11 and np.isnan(part.pop("fiw-f1-mid2"))
    assert part == {"celeba-1": 2, "celeba-2": 0, "celeba-3": 1, "celeba-4": 2, "fiw-f1-mid1": 2}
    net, kept = hold_out(found)
    assert {found.names[label] for label in found.labels[net]} == {"celeba-2"}
    assert {found.names[label] for label in found.labels[kept]} == set(found.names) - {"celeba-2"}  # and the family


def test_joining_twice_gives_the_same_bytes(web, tmp_path):
    out = tmp_path / "webfaces.tar"
    made = []
    for _ in range(2):
        assert webfaces.main(web) == 0
        made.append(out.read_bytes())
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("identity_CelebA.txt", "1.jpg 1\n2.jpg 2\n3.jpg 2\n", "line 3: 3.jpg of person 2"),
        ("identity_CelebA.txt", "1.jpg 1\n9.jpg 9\n", "line 2: 9.jpg of person 9"),
        ("list_eval_partition.txt", "1.jpg 0\n", "line 2: 2.jpg of person 2"),
    ],
)
def test_wrong_parts_of_celeba_are_refused(web, tmp_path, capsys, file, text, words):
    (tmp_path / file).write_text(text)
    assert webfaces.main(web) == 2
    one_line(capsys, "webfaces.py", words)


def test_archives_that_name_one_picture_twice_are_refused(web, capsys):
    assert webfaces.main([web[0], web[1], web[1], *web[3:]]) == 2
    one_line(capsys, "is in an earlier archive too")


def test_webfaces_takes_no_archive_for_its_output(web, capsys):
    before = Path(web[1]).read_bytes()
    assert webfaces.main([web[1], *web[1:]]) == 2
    one_line(capsys, "webfaces.py", "the command reads it")
    assert Path(web[1]).read_bytes() == before
