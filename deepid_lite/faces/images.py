"""Find and read pictures in a folder, a tar or a zip, in one way.

Nothing is ever unpacked to disk: members are read in memory, and limits hold for what comes out of them, whatever an
archive says. An archive that names a file outside itself is refused whole: its other members are not to be trusted.
"""

import gzip
import hashlib
import io
import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from deepid_lite.errors import DataError
from deepid_lite.faces.decoding import one_line, reason_of

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
# pictures that Pillow does not read
FOREIGN = tuple(".heic .heif .avif .raw .cr2 .nef .dng .svg .psd .jxl .jp2".split())
# how the pictures begin that Pillow reads
BEGINNINGS = rb"\xff\xd8\xff|\x89PNG\r\n|RIFF....WEBP|BM....\0{4}|GIF8[79]a|II\*\0|MM\0\*|P[1-6]\s"
HEAD = 32  # bytes that tell a format
MAX_BYTES = 256 * 2**20  # of one member
MAX_HEADER = 2**14  # of one member of a tar; a path has at most 4,096 bytes
MAX_RATIO, FREE_BYTES = 100, 2**30  # photographs hardly shrink: so much may come out of one byte, or so much in all


@dataclass(frozen=True)
class Files:
    """The regular files of a folder or an archive.

    names: sorted, with forward slashes, relative to the root. read(names, head=None) yields (name, bytes), or the
    first `head` bytes, in the order that is quickest for the archive, which need not be that of `names`; a text
    stands for a file that cannot be had, and says why. left_out: what is there and is no such file, with reasons.
    """

    root: Path
    names: list[str]
    read: Callable[..., Iterator[tuple[str, bytes | str]]]
    left_out: list[str] = field(default_factory=list)

    def read_one(self, name):
        data = next(iter(self.read([name])))[1]
        if isinstance(data, str):
            raise DataError(f"{self.root}: {name}: {data}")
        return data

    def pictures(self, names=None):
        """(names of the pictures, what is left out with reasons), told by their first bytes where the name is silent.

        Plain text, such as a list, is neither: it is passed over without a word.
        """
        names = self.names if names is None else names
        found, left_out = [name for name in names if is_image(name)], list(self.left_out)
        for name, head in self.read([name for name in names if not is_image(name)], HEAD):
            if isinstance(head, str):
                left_out.append(one_line(f"{name}: {head}"))
            elif re.match(BEGINNINGS, head, re.DOTALL):
                found.append(name)
            elif not head or b"\0" in head or head[4:8] == b"ftyp" or name.lower().endswith(FOREIGN):
                left_out.append(one_line(f"{name}: this format cannot be read; save it as JPEG or PNG"))
        return sorted(found), sorted(left_out)


def user_path(path):
    """A path that a user wrote, with the home folder in place of `~`."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise DataError(f"{path}: there is no such home folder; write the whole path") from None


def open_files(root):
    """List a folder, `.tar`, `.tar.gz`, `.tgz` or `.zip` (told by content, not by name) without unpacking it.

    Returns Files. Raises DataError for a path that is missing, empty, no archive or cut short, and for an
    archive with a member that has an absolute name, goes up by `..`, is a link or a device, or with far more in it
    than its size allows. A hard link to an earlier member of a tar is that picture once more.
    """
    root = Path(root)
    with _told(root):
        mode = os.stat(root).st_mode
        if stat.S_ISDIR(mode):
            files = _open_folder(root)
        elif not stat.S_ISREG(mode):
            raise DataError(f"{root}: neither a folder nor a plain file; copy what comes out of it into a file")
        else:
            files = (_open_zip if _begins_with(root, b"PK") else _open_tar)(root)
    if not files.names:
        raise DataError(f"{root}: holds no files{_first(files.left_out)}; check the path")
    return files


def fingerprint(root):
    """A hash that changes when the folder or archive does, found without reading it through.

    An archive goes by size, time of change, first and last 64 KiB; a folder by the names, sizes and times
    of its files.
    """
    root, digest = Path(root), hashlib.sha256()
    with _told(root):
        if root.is_dir():
            names, left_out = _walk(root)
            digest.update("\n".join(left_out).encode("utf-8", "surrogateescape"))
            for name in names:
                status = (root / name).stat()
                digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
        elif not root.is_file():
            raise DataError(f"{root}: neither a folder nor a plain file; copy what comes out of it into a file")
        else:
            status = root.stat()
            digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
            with open(root, "rb") as file:
                digest.update(file.read(65536))
                file.seek(max(status.st_size - 65536, 0))
                digest.update(file.read())
    return digest.hexdigest()


def is_image(name):
    return name.lower().endswith(IMAGE_SUFFIXES)


def match_paths(rows, names):
    """{row of a list: name of the file that it means}; outer folders may be missing on either side, as long as it is
    clear which file is meant."""
    by_end = {}
    for name in names:
        parts = PurePosixPath(name).parts
        for start in range(len(parts)):
            by_end.setdefault("/".join(parts[start:]), []).append(name)
    matched = {}
    for row in rows:
        parts = PurePosixPath(row.replace("\\", "/")).parts
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        found = next((by_end[end] for end in ends if end in by_end), [])
        if len(found) == 1:
            matched[row] = found[0]
    return matched


# folders


def _walk(root):
    """(names of the files under a folder, what cannot be opened with reasons), both sorted. Links are followed:
    students keep data on another disk."""
    names, left_out, seen = [], [], set()

    def closed(error):
        if error.filename == str(root):
            raise error
        left_out.append(one_line(f"{_below(root, error.filename)}: {error.strerror}; open the folder, or remove it"))

    for folder, subfolders, files in os.walk(root, followlinks=True, onerror=closed):
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back up
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = [name for name in subfolders if not _is_clutter(name)]
        for file in files:
            path = os.path.join(folder, file)
            if os.path.isfile(path):
                names.append(_below(root, path))
            elif not _is_clutter(file):
                left_out.append(one_line(f"{_below(root, path)}: no plain file that can be opened; replace it"))
    return sorted(name for name in names if not _is_clutter(name)), sorted(left_out)


def _below(root, path):
    return Path(path).relative_to(root).as_posix()


def _open_folder(root):
    names, left_out = _walk(root)

    def read(wanted, head=None):
        for name in wanted:
            try:
                with open(root / name, "rb") as file:
                    yield name, _limited(file, os.fstat(file.fileno()).st_size, head)
            except OSError as error:
                yield name, f"{error.strerror}; check its permissions"

    return Files(root, names, read, left_out)


def _limited(file, size, head):
    """What comes out of a member that says it has `size` bytes, at most those; or why not."""
    if head is None and size > MAX_BYTES:
        return f"the file is larger than {MAX_BYTES >> 20} MiB; scale the picture down"
    return file.read(size if head is None else head)


# archives


class _Limited:
    """What tarfile reads from; neither a header nor all that comes out may be larger than photographs make it."""

    def __init__(self, file, root, most_at_once):
        self.file, self.root, self.most_at_once = file, root, most_at_once
        self.size = os.stat(root).st_size
        self.seekable, self.tell, self.close = file.seekable, file.tell, file.close

    def seek(self, place, whence=0):
        _check_ratio(self.root, self.size, place)
        return self.file.seek(place, whence)

    def read(self, size=-1):
        if not 0 <= size <= self.most_at_once:
            raise DataError(f"{self.root}: a header of {size:,} bytes; that is no archive of photographs")
        return self.file.read(size)


@contextmanager
def _tar(root, most_at_once):
    with open(root, "rb") as file:
        stream = gzip.GzipFile(fileobj=file) if _begins_with(root, b"\x1f\x8b") else file
        with tarfile.open(fileobj=_Limited(stream, root, most_at_once), mode="r:") as tar:
            yield tar


def _open_tar(root):
    members = {}
    with _tar(root, MAX_HEADER) as tar:
        for member in tar:
            name = _safe_name(root, member.name)
            if member.islnk() and (target := PurePosixPath(member.linkname).as_posix()) in members:
                member = members[target]
            if member.issym() or member.islnk():
                raise DataError(f"{root}: member {member.name!r} is a link; pack the files themselves (tar -h)")
            if not (member.isreg() or member.isdir()):
                raise DataError(f"{root}: member {member.name!r} is a device or pipe; pack plain files only")
            if member.isreg():
                members[name] = member  # a later member of the same name replaces the earlier, as when unpacking
        # tarfile takes a broken or missing header for the end: the real end is a block of zeros
        tar.fileobj.seek(tar.offset)
        if tar.fileobj.read(512) != bytes(512):
            raise DataError(f"{root}: truncated or corrupt archive (no end mark); fetch or pack it again")

    def read(wanted, head=None):
        chosen = sorted((members[name].offset_data, name) for name in wanted)
        with _told(root), _tar(root, MAX_BYTES + io.DEFAULT_BUFFER_SIZE) as tar:
            for _, name in chosen:
                yield name, _limited(tar.extractfile(members[name]), members[name].size, head)

    return Files(root, sorted(name for name in members if not _is_clutter(name)), read)


def _open_zip(root):
    members = {}
    with zipfile.ZipFile(root) as archive:
        for member in archive.infolist():
            name = _safe_name(root, member.filename)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise DataError(f"{root}: member {member.filename!r} is a link; pack the files themselves")
            if member.flag_bits & 1:
                raise DataError(f"{root}: member {member.filename!r} is encrypted; unpack it by hand first")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others cannot be limited
                raise DataError(f"{root}: member {member.filename!r} is packed in a rare way; pack a plain zip again")
            if not member.is_dir() and not _is_clutter(name):
                members[name] = member
    _check_ratio(root, os.stat(root).st_size, sum(member.file_size for member in members.values()))

    def read(wanted, head=None):
        chosen = sorted((members[name].header_offset, name) for name in wanted)
        with _told(root), zipfile.ZipFile(root) as archive:
            for _, name in chosen:
                with archive.open(members[name]) as file:
                    yield name, _limited(file, members[name].file_size, head)

    return Files(root, sorted(members), read)


def _check_ratio(root, packed, unpacked):
    if unpacked > max(FREE_BYTES, MAX_RATIO * packed):
        raise DataError(
            f"{root}: {packed:,} bytes that unpack to {unpacked / 2**30:,.0f} GiB or more; "
            "that is no archive of photographs"
        )


def _begins_with(root, magic):
    with open(root, "rb") as file:
        return file.read(len(magic)) == magic


def _safe_name(root, name):
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0][1:2]):
        raise DataError(f"{root}: member {name!r} points outside the archive; do not use this archive")
    return path.as_posix()  # also drops a leading "./"


def _is_clutter(name):
    """Files that desktops leave behind, such as `._photo.jpg`, `.DS_Store` and `Thumbs.db`."""
    parts = name.split("/")
    return any(p.startswith(".") or p == "__MACOSX" for p in parts) or parts[-1].lower() in ("thumbs.db", "desktop.ini")


# what is said


@contextmanager
def _told(root):
    """Turn whatever the system or a broken archive raises into one line."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except FileNotFoundError:
        raise DataError(f"{root}: no such file or folder; check the path") from None
    except Exception as error:
        raise DataError(one_line(_broken(root, error))) from error


def _broken(root, error):
    if isinstance(error, EOFError) or "unexpected end" in str(error):
        return f"{root}: truncated archive; fetch or pack it again"
    if isinstance(error, OSError) and error.strerror and not isinstance(error, tarfile.TarError):
        return f"{root}: {error.strerror}; check the path and its permissions"
    if isinstance(error, tarfile.ReadError):
        return f"{root}: neither a folder nor a readable tar, tgz or zip archive; check the path"
    return f"{root}: corrupt archive ({reason_of(error)}); fetch or pack it again"


def _first(left_out):
    return f" that can be read; the first: {left_out[0]}" if left_out else ""
