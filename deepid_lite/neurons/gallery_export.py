"""Codes of a gallery for other programs: NumPy, vector databases, faiss."""

from pathlib import Path

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.files import replacing
from deepid_lite.neurons import codes


def export(gallery, path, form):
    """Write all codes for another program, and their names beside them: the files written.

    "npy": uint8 (N, bits / 8), as NumPy, Milvus or a loader of your own read it; "bvecs": for each code a little-endian
    int32 with its bytes, then these bytes; "faiss": an IndexBinaryFlat for faiss.read_index_binary.
    """
    writers = {"npy": _write_npy, "bvecs": _write_bvecs, "faiss": _write_faiss}
    path = Path(path)
    names = path.with_name(path.name + ".names.txt")
    if form not in writers:
        raise DataError(f"format {form!r}: use one of {', '.join(writers)}")
    if not len(gallery):
        raise DataError(f"{gallery.path}: the gallery is empty; there is nothing to export")
    for out in (path, names):
        if out.exists() and (not out.is_file() or out.samefile(gallery.path)):
            raise DataError(f"{out}: is the gallery itself, or no plain file; choose another place")
    with replacing(path) as part, replacing(names) as names_part:
        writers[form](part, gallery.codes)
        names_part.write_text("".join(f"{name}\n" for name in gallery.names), encoding="utf-8", newline="\n")
    return [path, names]


def _write_npy(path, packed):
    with open(path, "wb") as file:
        np.save(file, packed)


def _write_bvecs(path, packed):
    width = np.full((len(packed), 1), packed.shape[1], "<i4").view(np.uint8)
    np.concatenate([width, packed], axis=1).tofile(path)


def _write_faiss(path, packed):
    faiss = codes.faiss()
    if faiss is None:
        raise DataError("format 'faiss': faiss is not installed; pip install faiss-cpu, or export as npy")
    index = faiss.IndexBinaryFlat(8 * packed.shape[1])
    index.add(packed)
    faiss.write_index_binary(index, str(path))
