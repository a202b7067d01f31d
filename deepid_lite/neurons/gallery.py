"""A face gallery on disk: packed codes, a name for each, and if wanted the real features for a second look.

A folder of plain files that only ever grow:

    codes.bin     B / 8 bytes a face, in the bit order of codes.py, mapped into memory when it is searched
    names.txt     one name a line, UTF-8
    features.bin  optional: the real features as two-byte floats, for Joint Bayesian
    header.json   how many faces, how many bytes of names, checksums, the model that made the codes

**The header decides.** An append takes the lock, cuts off what lies beyond the header's counts (a torn append of a
process that died), adds its data, forces them to disk and only then renames a new header into place. So a reader sees
all of an append or nothing of it, needs no lock, and two processes that append at once wait for each other.
"""

import fcntl
import json
import os
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.neurons import codes

FORMAT = 1
CODES, NAMES, FEATURES, HEADER = "codes.bin", "names.txt", "features.bin", "header.json"
LOCK_SECONDS = 600  # an append takes seconds; whoever holds the lock that long is stuck


@dataclass(frozen=True)
class Gallery:
    """An open gallery: the N faces that it held when it was opened or appended to.

    codes: uint8 (N, bits / 8), a memory map. names: N texts. features: fp16 (N, D), a memory map, or None.
    header: the facts of header.json; `bits`, `features` (D or 0), `model` and `model_hash` never change.
    """

    folder: Path
    header: dict
    codes: np.ndarray
    names: list[str]
    features: np.ndarray | None

    def __len__(self):
        return self.header["count"]

    @classmethod
    def create(cls, folder, bits, model, model_hash, features=0, **facts):
        """A new gallery without faces. bits: length of a code; features: D to keep the real features too, or 0.

        model, model_hash: name and hash of the net that makes the codes. facts: anything else to remember, for JSON.
        """
        folder = Path(folder)
        if bits < 8 or bits % 8:
            raise DataError(f"{bits} bits: a code has a multiple of 8")
        with _explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with _lock(folder):
                if os.listdir(folder) not in ([], [".lock"]):
                    raise DataError(f"{folder}: not empty; add to a gallery with `add`, or choose a new folder")
                for name in (CODES, NAMES, FEATURES)[: 3 if features else 2]:
                    (folder / name).touch()
                header = {"format": FORMAT, "count": 0, "bits": int(bits), "features": int(features)}
                header |= {"model": model, "model_hash": model_hash, **facts}
                header["files"] = {name: {"bytes": 0, "crc32": 0} for name in _files(header)}
                _write_header(folder, header)
        return cls.open(folder)

    @classmethod
    def open(cls, folder, verify=True):
        """The gallery in this folder. verify: read everything once and compare checksums."""
        folder = Path(folder)
        header = _read_header(folder)
        data = {name: _mapped(folder / name, facts, verify) for name, facts in header["files"].items()}
        names = data[NAMES].tobytes().decode("utf-8", "replace").split("\n")[:-1]
        if len(names) != header["count"]:
            raise DataError(f"{folder / NAMES}: {len(names)} names for {header['count']} faces; {_REBUILD}")
        features = None
        if FEATURES in data:
            features = data[FEATURES].view(np.float16).reshape(-1, header["features"])
        return cls(folder, header, data[CODES].reshape(-1, header["bits"] // 8), names, features)

    def require_model(self, model_hash):
        """Refuse a net other than the one that made these codes: bits of two nets cannot be compared."""
        made_by = self.header["model_hash"]
        if made_by != model_hash:
            raise DataError(
                f"{self.folder}: its codes are of model {self.header['model']} ({made_by[:8]}), and this is another"
                f" ({model_hash[:8]}); give the right --model or build a gallery of this one"
            )

    def append(self, new, names, features=None):
        """Add faces: codes uint8 (n, bits / 8), n names, and features (n, D) where they are kept -> the Gallery now.

        All of them are in the gallery afterwards, in this order and without others between them, or none.
        """
        new = codes.checked(new, "codes")
        names = [str(name) for name in names]
        self._check(new, names, features)
        data = {CODES: np.ascontiguousarray(new).tobytes(), NAMES: "".join(f"{n}\n" for n in names).encode("utf-8")}
        if features is not None:
            data[FEATURES] = np.asarray(features).astype("<f2").tobytes()
        with _explained(self.folder), _lock(self.folder):
            header = _read_header(self.folder)  # another process may have added faces since this one was opened
            for name, facts in header["files"].items():
                header["files"][name] = _extend(self.folder / name, facts, data[name])
            header["count"] += len(new)
            _write_header(self.folder, header)
        return Gallery.open(self.folder, verify=False)

    def search(self, queries, k, backend=None):
        """The k nearest faces of packed codes (Q, bits / 8): distances (Q, k), indices (Q, k); see codes.search."""
        if not len(self):
            raise DataError(f"{self.folder}: the gallery is empty; add faces with `deepid search add`")
        return codes.search(self.codes, queries, k, backend)

    def rerank(self, distances, indices, query_features, verifier):
        """Order candidates that `search` found by Joint Bayesian: scores, distances, indices, all (Q, C).

        query_features: (Q, D) as those that the gallery keeps. verifier: a fitted pipeline that ends in JointBayesian.
        Scores, in nats, fall along a row; of equal scores the candidate that search had first stays first.
        """
        if self.features is None:
            raise DataError(f"{self.folder}: holds codes only; build it with --keep-features to re-rank")
        wanted, place = np.unique(indices, return_inverse=True)
        z = verifier[:-1].transform(self.features[wanted].astype(np.float32))
        mine = np.repeat(verifier[:-1].transform(query_features), indices.shape[1], axis=0)
        scores = verifier[-1].score_pairs(mine, z[place.ravel()]).reshape(indices.shape)
        order = np.argsort(-scores, axis=1, kind="stable")
        return tuple(np.take_along_axis(found, order, 1) for found in (scores, distances, indices))

    def save(self, folder):
        """A copy of the faces that are open here, in a new folder -> its Gallery."""
        extra = {k: v for k, v in self.header.items() if k not in ("format", "count", "files")}
        copy = Gallery.create(folder, **extra)
        return copy.append(self.codes, self.names, self.features) if len(self) else copy

    def _check(self, new, names, features):
        if new.shape[1] * 8 != self.header["bits"]:
            raise DataError(f"{self.folder}: codes of {self.header['bits']} bits, new ones have {8 * new.shape[1]}")
        if len(names) != len(new):
            raise DataError(f"{self.folder}: {len(names)} names for {len(new)} codes")
        bad = next((name for name in names if "\n" in name or "\r" in name or _surrogate(name)), None)
        if bad is not None:
            raise DataError(f"name {bad!r}: a line break or broken text in it; rename the face")
        wanted = self.header["features"]
        if wanted and (features is None or np.shape(features) != (len(new), wanted)):
            got = "none" if features is None else np.shape(features)
            raise DataError(f"{self.folder}: keeps features ({len(new)}, {wanted}) beside the codes, got {got}")
        if not wanted and features is not None:
            raise DataError(f"{self.folder}: holds codes only; it was built without --keep-features")
        if features is not None and not (np.abs(features) <= np.finfo(np.float16).max).all():
            raise DataError("features: NaN, inf or above 65,504, which two-byte floats cannot hold; drop those faces")


# export


def export(gallery, path, form):
    """Write all codes for another program, and their names beside them: the files written.

    "npy": uint8 (N, bits / 8), as NumPy, Milvus or a loader of your own read it; "bvecs": for each code a little-endian
    int32 with its bytes, then these bytes; "faiss": an IndexBinaryFlat for faiss.read_index_binary.
    """
    writers = {"npy": _write_npy, "bvecs": _write_bvecs, "faiss": _write_faiss}
    path = Path(path)
    if form not in writers:
        raise DataError(f"format {form!r}: use one of {', '.join(writers)}")
    if not len(gallery):
        raise DataError(f"{gallery.folder}: the gallery is empty; there is nothing to export")
    names = path.with_name(path.name + ".names.txt")
    beside = path.with_name(f".{path.name}.part")
    with _explained(path):
        try:
            writers[form](beside, np.ascontiguousarray(gallery.codes))
            names.write_text("".join(f"{name}\n" for name in gallery.names), encoding="utf-8", newline="\n")
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
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


# files

_REBUILD = "the gallery is damaged; build it again"


def _files(header):
    """The data files of a gallery and the bytes that a face takes in each; None where they differ."""
    sizes = {CODES: header["bits"] // 8, NAMES: None}
    return sizes | ({FEATURES: 2 * header["features"]} if header["features"] else {})


def _read_header(folder):
    path = folder / HEADER
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
        count, files = header["count"], header["files"]
        sizes = _files(header)
        whole = header["format"] == FORMAT and count >= 0 and header["bits"] >= 8 and header["bits"] % 8 == 0
        whole &= files.keys() == sizes.keys() and isinstance(header["model_hash"], str)
        whole &= all(files[name]["bytes"] == size * count for name, size in sizes.items() if size is not None)
        whole &= all(isinstance(facts[key], int) for facts in files.values() for key in ("bytes", "crc32"))
    except FileNotFoundError:
        raise DataError(f"{folder}: no gallery ({HEADER} is not there); build one with `deepid search build`") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; check the path") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise DataError(f"{path}: not a header of this version; {_REBUILD}")
    return header


def _write_header(folder, header):
    beside = folder / f"{HEADER}.part"
    with open(beside, "w", encoding="utf-8") as file:
        file.write(json.dumps(header, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, folder / HEADER)


def _mapped(path, facts, verify):
    """The bytes of a file that the header counts, as a memory map; bytes beyond them are a torn append."""
    try:
        found = path.stat().st_size
        if found >= facts["bytes"]:
            # an empty file cannot be mapped
            data = np.memmap(path, np.uint8, "r", shape=(facts["bytes"],)) if facts["bytes"] else np.empty(0, np.uint8)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; {_REBUILD}") from None
    if found < facts["bytes"]:
        raise DataError(f"{path}: {found} bytes, and the header counts {facts['bytes']}; {_REBUILD}")
    if verify and zlib.crc32(data) != facts["crc32"]:
        raise DataError(f"{path}: its checksum does not match the header; {_REBUILD}")
    return data


def _extend(path, facts, data):
    """Write bytes after those that count, wherever the file ends now; the new size and checksum."""
    with open(path, "r+b") as file:
        if os.fstat(file.fileno()).st_size < facts["bytes"]:
            raise DataError(f"{path}: shorter than the header says; {_REBUILD}")
        file.truncate(facts["bytes"])
        file.seek(facts["bytes"])
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": facts["bytes"] + len(data), "crc32": zlib.crc32(data, facts["crc32"])}


@contextmanager
def _lock(folder):
    """Appends come one after the other, also from several processes; the system frees the lock of one that dies."""
    until = time.monotonic() + LOCK_SECONDS
    with open(folder / ".lock", "w") as file:
        while not _locked(file):
            if time.monotonic() > until:
                raise DataError(f"{folder}: another process has been appending for {LOCK_SECONDS} seconds; end it")
            time.sleep(0.01)
        yield


def _locked(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


@contextmanager
def _explained(path):
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from None


def _surrogate(text):
    return any("\ud800" <= letter <= "\udfff" for letter in text)
