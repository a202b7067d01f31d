"""Read tar and zip archives in memory. Limits hold for what comes out of them, whatever an archive says of itself.

An archive that names a file outside itself is refused whole: its other members are not to be trusted.
"""

import gzip
import io
import os
import stat
import tarfile
import zipfile
from contextlib import contextmanager
from pathlib import PurePosixPath

from deepid_lite.errors import DataError
from deepid_lite.faces.decoding import one_line, reason_of

MAX_BYTES = 256 * 2**20  # of one member
MAX_HEADER = 2**14  # of one member of a tar; a path has at most 4,096 bytes
MAX_RATIO, FREE_BYTES = 100, 2**30  # photographs hardly shrink: so much may come out of one byte, or so much in all


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
        stream = gzip.GzipFile(fileobj=file) if begins_with(root, b"\x1f\x8b") else file
        with tarfile.open(fileobj=_Limited(stream, root, most_at_once), mode="r:") as tar:
            yield tar


def open_tar(root):
    """(sorted names, read) as in images.Files."""
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
        with told(root), _tar(root, MAX_BYTES + io.DEFAULT_BUFFER_SIZE) as tar:
            for _, name in chosen:
                yield name, limited(tar.extractfile(members[name]), members[name].size, head)

    return sorted(name for name in members if not is_clutter(name)), read


def open_zip(root):
    """(sorted names, read) as in images.Files."""
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
            if not member.is_dir() and not is_clutter(name):
                members[name] = member
    _check_ratio(root, os.stat(root).st_size, sum(member.file_size for member in members.values()))

    def read(wanted, head=None):
        chosen = sorted((members[name].header_offset, name) for name in wanted)
        with told(root), zipfile.ZipFile(root) as archive:
            for _, name in chosen:
                with archive.open(members[name]) as file:
                    yield name, limited(file, members[name].file_size, head)

    return sorted(members), read


def _check_ratio(root, packed, unpacked):
    if unpacked > max(FREE_BYTES, MAX_RATIO * packed):
        raise DataError(
            f"{root}: {packed:,} bytes that unpack to {unpacked / 2**30:,.0f} GiB or more; "
            "that is no archive of photographs"
        )


def begins_with(root, magic):
    with open(root, "rb") as file:
        return file.read(len(magic)) == magic


def _safe_name(root, name):
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0][1:2]):
        raise DataError(f"{root}: member {name!r} points outside the archive; do not use this archive")
    return path.as_posix()  # also drops a leading "./"


def is_clutter(name):
    """Files that desktops leave behind, such as `._photo.jpg`, `.DS_Store` and `Thumbs.db`."""
    parts = name.split("/")
    return any(p.startswith(".") or p == "__MACOSX" for p in parts) or parts[-1].lower() in ("thumbs.db", "desktop.ini")


def limited(file, size, head):
    """What comes out of a member that says it has `size` bytes, at most those; or why not."""
    if head is None and size > MAX_BYTES:
        return f"the file is larger than {MAX_BYTES >> 20} MiB; scale the picture down"
    return file.read(size if head is None else head)


@contextmanager
def told(root):
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
