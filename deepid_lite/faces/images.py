"""Read pictures from a folder, a tar or a zip in one way, and turn any of them into RGB.

Nothing is ever unpacked to disk: members are read in memory. An archive that names a file outside itself is
refused whole, because whoever made it meant harm or made a mistake, and either way its other members are
not to be trusted.
"""

import hashlib
import io
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps

from deepid_lite.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
MAX_PIXELS = 50_000_000  # by the header, before a pixel is decoded
MAX_BYTES = 256 * 2**20  # of one member
# only plain raster formats: PIL would hand an EPS file, for instance, to Ghostscript
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError)


class BadImage(DataError):
    """One picture that cannot be used; its text names the file."""


@dataclass(frozen=True)
class Files:
    """The regular files of a folder or an archive.

    names: sorted, with forward slashes, relative to the root. read(names) yields (name, bytes) in the order
    that is quickest for the archive, which need not be the order of `names`; None stands for a file above
    256 MiB.
    """

    root: Path
    names: list[str]
    read: Callable[[Iterable[str]], Iterator[tuple[str, bytes | None]]]

    def read_one(self, name):
        data = next(iter(self.read([name])))[1]
        if data is None:
            raise DataError(f"{self.root}: {name} is larger than {MAX_BYTES >> 20} MiB; it cannot be right")
        return data


def open_files(root):
    """List a folder, `.tar`, `.tar.gz`, `.tgz` or `.zip` (told by content, not by name) without unpacking it.

    Returns Files. Raises DataError for a path that is missing, empty, no archive or cut short, and for an
    archive with a member that has an absolute name, goes up by `..` or is a link or a device.
    """
    root = Path(root)
    try:
        if root.is_dir():
            files = _open_folder(root)
        elif not root.exists():
            raise DataError(f"{root}: no such file or folder; check the path")
        else:
            files = (_open_zip if _begins_with(root, b"PK") else _open_tar)(root)
    except BROKEN as error:
        raise DataError(_broken(root, error)) from error
    if not files.names:
        raise DataError(f"{root}: holds no files; check the path")
    return files


def fingerprint(root):
    """A hash that changes when the folder or archive does, found without reading it through.

    An archive goes by size, time of change, first and last 64 KiB; a folder by the names, sizes and times
    of its files.
    """
    root, digest = Path(root), hashlib.sha256()
    try:
        if root.is_dir():
            for name in _walk(root):
                status = (root / name).stat()
                digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
        else:
            status = root.stat()
            digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
            with open(root, "rb") as file:
                digest.update(file.read(65536))
                file.seek(max(status.st_size - 65536, 0))
                digest.update(file.read())
    except OSError as error:
        raise DataError(_broken(root, error)) from error
    return digest.hexdigest()


def decode(data, name):
    """The bytes of one picture as uint8 (H, W, 3) RGB.

    Greyscale, palette, CMYK and 16-bit pictures are converted, transparency is laid on white, a rotation
    noted by the camera is carried out, and of an animation the first frame is taken. Raises BadImage,
    naming the file, for bytes that are no picture or cut short, and for more than 50 megapixels or 256 MiB.
    """
    if data is None:
        raise BadImage(f"{name}: the file is larger than {MAX_BYTES >> 20} MiB; scale the picture down")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise BadImage(
                    f"{name}: {width} x {height} pixels are more than {MAX_PIXELS // 10**6} megapixels; scale it down"
                )
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except (BadImage, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(f"{name}: more than {MAX_PIXELS // 10**6} megapixels; scale it down") from error
    except Exception as error:  # decoders raise almost anything when bytes are broken
        reason = "no picture that Pillow can read" if isinstance(error, Image.UnidentifiedImageError) else error
        raise BadImage(f"{name}: corrupt or truncated image ({_one_line(reason)})") from error


def _to_rgb(image):
    if image.mode.startswith(("I", "F")):  # 16-bit grey or more; PIL's own conversion would clip it at 255
        values = np.nan_to_num(np.asarray(image).astype(np.float64))
        top = 65535 if image.mode[0] == "I" else 1 if values.max() <= 1 else 255
        grey = np.clip(np.rint(values * (255 / top)), 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def is_image(name):
    return name.lower().endswith(IMAGE_SUFFIXES)


def _walk(root):
    """Names of the files under a folder, sorted. Links are followed: students keep data on another disk."""
    names, seen = [], set()
    for folder, subfolders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back up
            subfolders.clear()
            continue
        seen.add(real)
        prefix = Path(folder).relative_to(root).as_posix()
        names += [file if prefix == "." else f"{prefix}/{file}" for file in files]
    return sorted(name for name in names if not _is_clutter(name))


def _open_folder(root):
    names = _walk(root)

    def read(wanted):
        for name in wanted:
            path = root / name
            try:
                yield name, None if path.stat().st_size > MAX_BYTES else path.read_bytes()
            except OSError as error:
                raise DataError(_broken(path, error)) from error

    return Files(root, names, read)


def _open_tar(root):
    members, mode = {}, "r:gz" if _begins_with(root, b"\x1f\x8b") else "r:"
    with tarfile.open(root, mode) as tar:
        for member in tar:
            name = _safe_name(root, member.name)
            if member.issym() or member.islnk():
                raise DataError(f"{root}: member {member.name!r} is a link; pack the files themselves (tar -h)")
            if not (member.isreg() or member.isdir()):
                raise DataError(f"{root}: member {member.name!r} is a device or pipe; pack plain files only")
            if member.isreg() and not _is_clutter(name):
                members[name] = member  # a later member of the same name replaces the earlier, as when unpacking
        # tarfile takes a broken or missing header for the end: the real end is a block of zeros
        tar.fileobj.seek(tar.offset)
        if tar.fileobj.read(512) != bytes(512):
            raise DataError(f"{root}: truncated or corrupt archive (no end mark); fetch or pack it again")

    def read(wanted):
        chosen = sorted((members[name].offset_data, name) for name in wanted)
        try:
            with tarfile.open(root, mode) as tar:
                for _, name in chosen:
                    large = members[name].size > MAX_BYTES
                    yield name, None if large else tar.extractfile(members[name]).read()
        except BROKEN as error:
            raise DataError(_broken(root, error)) from error

    return Files(root, sorted(members), read)


def _open_zip(root):
    members = {}
    with zipfile.ZipFile(root) as archive:
        for member in archive.infolist():
            name = _safe_name(root, member.filename)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise DataError(f"{root}: member {member.filename!r} is a link; pack the files themselves")
            if member.flag_bits & 1:
                raise DataError(f"{root}: member {member.filename!r} is encrypted; unpack it by hand first")
            if not member.is_dir() and not _is_clutter(name):
                members[name] = member

    def read(wanted):
        chosen = sorted((members[name].header_offset, name) for name in wanted)
        try:
            with zipfile.ZipFile(root) as archive:
                for _, name in chosen:
                    large = members[name].file_size > MAX_BYTES
                    yield name, None if large else archive.read(members[name])
        except BROKEN as error:
            raise DataError(_broken(root, error)) from error

    return Files(root, sorted(members), read)


def _begins_with(root, magic):
    with open(root, "rb") as file:
        return file.read(len(magic)) == magic


def _safe_name(root, name):
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0][1:2]):
        raise DataError(f"{root}: member {name!r} points outside the archive; do not use this archive")
    return path.as_posix()  # also drops a leading "./"


def _is_clutter(name):
    """Files that desktops leave behind, such as `._photo.jpg` and `.DS_Store`."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _broken(root, error):
    if isinstance(error, EOFError) or "unexpected end" in str(error):
        return f"{root}: truncated archive; fetch or pack it again"
    if isinstance(error, OSError) and error.strerror and not isinstance(error, tarfile.TarError):
        return f"{root}: {error.strerror}; check the path and its permissions"
    if isinstance(error, tarfile.ReadError):
        return f"{root}: neither a folder nor a readable tar, tgz or zip archive; check the path"
    return f"{root}: corrupt archive ({_one_line(error)}); fetch or pack it again"


def _one_line(error):
    return " ".join(str(error).split()) or type(error).__name__
