"""Find and read pictures in a folder, a tar or a zip, in one way.

Nothing is ever unpacked to disk. What is a picture is told by its first bytes, and what is left out is named.
"""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from deepid_lite.errors import DataError
from deepid_lite.faces.archives import begins_with, is_clutter, limited, open_tar, open_zip, told
from deepid_lite.faces.decoding import one_line

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
# pictures that Pillow does not read
FOREIGN = tuple(".heic .heif .avif .raw .cr2 .nef .dng .svg .psd .jxl .jp2".split())
# how the pictures begin that Pillow reads
BEGINNINGS = rb"\xff\xd8\xff|\x89PNG\r\n|RIFF....WEBP|BM....\0{4}|GIF8[79]a|II\*\0|MM\0\*|P[1-6]\s"
HEAD = 32  # bytes that tell a format


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
    with told(root):
        mode = os.stat(root).st_mode
        if stat.S_ISDIR(mode):
            files = _open_folder(root)
        elif not stat.S_ISREG(mode):
            raise DataError(f"{root}: neither a folder nor a plain file; copy what comes out of it into a file")
        else:
            files = Files(root, *(open_zip if begins_with(root, b"PK") else open_tar)(root))
    if not files.names:
        raise DataError(f"{root}: holds no files{_first(files.left_out)}; check the path")
    return files


def fingerprint(root):
    """A hash that changes when the folder or archive does, found without reading it through.

    An archive goes by size, time of change, first and last 64 KiB; a folder by the names, sizes and times
    of its files.
    """
    root, digest = Path(root), hashlib.sha256()
    with told(root):
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
        subfolders[:] = [name for name in subfolders if not is_clutter(name)]
        for file in files:
            path = os.path.join(folder, file)
            if os.path.isfile(path):
                names.append(_below(root, path))
            elif not is_clutter(file):
                left_out.append(one_line(f"{_below(root, path)}: no plain file that can be opened; replace it"))
    return sorted(name for name in names if not is_clutter(name)), sorted(left_out)


def _below(root, path):
    return Path(path).relative_to(root).as_posix()


def _open_folder(root):
    names, left_out = _walk(root)

    def read(wanted, head=None):
        for name in wanted:
            try:
                with open(root / name, "rb") as file:
                    yield name, limited(file, os.fstat(file.fileno()).st_size, head)
            except OSError as error:
                yield name, f"{error.strerror}; check its permissions"

    return Files(root, names, read, left_out)


def _first(left_out):
    return f" that can be read; the first: {left_out[0]}" if left_out else ""
