"""A face gallery in one SQLite file: packed codes, a name for each, and if wanted the float features for a second look.

Rows are only ever added, each append in one transaction that is on the disk before `append` returns. SQLite's
write-ahead log gives the rest: a process that dies leaves nothing half done, several may append, readers go on reading.
(They share memory, so keep a gallery on a disk of this machine, not on a network drive.) Every blob ends with a
checksum over it and its place, so that a changed byte is told.
"""

import json
import os
import sqlite3
import unicodedata
import zlib
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.archives import begins_with
from deepid_lite.neurons import codes

MAGIC = b"SQLite format 3\0"
LOCK_SECONDS = 600  # an append takes seconds; whoever holds the lock that long is stuck
TABLES = (
    "CREATE TABLE header (facts BLOB NOT NULL)",  # JSON
    "CREATE TABLE appends (last INTEGER PRIMARY KEY, names BLOB NOT NULL, codes BLOB NOT NULL)",  # last: faces so far
    "CREATE TABLE features (face INTEGER PRIMARY KEY, fp16 BLOB NOT NULL)",
)


@dataclass(frozen=True)
class Gallery:
    """An open gallery: the first `count` faces of the file, whatever is added to it later.

    header: `bits`, `features` (D or 0), `model`, `model_hash` and other facts, which never change. DataError where
    `codes`, `names` or features are damaged.
    """

    path: Path
    header: dict
    count: int

    def __len__(self):
        return self.count

    @classmethod
    def create(cls, path, bits, model, model_hash, features=0, faces=None, **facts):
        """A new gallery. bits: length of a code; features: D to keep float features of that width too, or 0.

        model, model_hash: name and hash of the net that makes the codes. faces: what `append` takes, to begin with; if
        they are refused there is no gallery. facts: anything else to remember, for JSON.
        """
        if bits < 8 or bits % 8:
            raise DataError(f"{bits} bits: a code has a multiple of 8")
        header = {"bits": int(bits), "features": int(features), "model": model, "model_hash": model_hash, **facts}
        new = cls(Path(path), header, 0)
        data = new._checked(*faces) if faces else None
        with _connected(path, create=True) as db:
            db.execute("PRAGMA page_size = 16384")  # seven faces' features; in pages of 4 KB every second byte is empty
            db.execute("BEGIN IMMEDIATE")
            _require_new(db, path)
            for table in TABLES:
                db.execute(table)
            db.execute("INSERT INTO header VALUES (?)", (_sealed(json.dumps(header).encode()),))
            count = _insert(db, *data) if faces else 0
            db.execute("COMMIT")
            _write_ahead(db)
        return cls(new.path, header, count)

    @staticmethod
    def check_new(path):
        """DataError where something is in the way of `create`: to know it before the features are computed."""
        if os.path.lexists(path):
            with _connected(Path(path), create=True) as db:
                _require_new(db, path)

    @classmethod
    def open(cls, path):
        """The gallery in this file, with all faces that are in it now."""
        path = Path(path)
        with _connected(path) as db:
            return cls(path, _header(db, path), _count(db))

    def append(self, new, names, features=None):
        """Add faces: codes uint8 (n, bits / 8), n names, and features (n, D) where they are kept -> the Gallery now.

        All of them are in the gallery afterwards, in this order and without others between them, or none.
        """
        data = self._checked(new, names, features)
        with _connected(self.path) as db:
            _write_ahead(db)
            db.execute("BEGIN IMMEDIATE")
            if _header(db, self.path) != self.header:
                raise DataError(f"{self.path}: was built again meanwhile; open it again")
            count = _insert(db, *data)
            db.execute("COMMIT")
        return Gallery(self.path, self.header, count)

    @cached_property
    def codes(self):
        """Packed codes, uint8 (N, bits / 8)."""
        found = np.empty((self.count, self.header["bits"] // 8), np.uint8)
        for first, last, block in self._appends("codes"):
            found[first:last] = np.frombuffer(block, np.uint8).reshape(last - first, -1)
        return found

    @cached_property
    def names(self):
        """N texts of one line each."""
        return [name for *_, block in self._appends("names") for name in str(block, "utf-8").split("\n")]

    def kept_features(self, faces):
        """The features of faces by their numbers (n,) -> float32 (n, D)."""
        if not self.header["features"]:
            raise DataError(f"{self.path}: holds codes only; build it with --keep-features to re-rank")
        found = np.empty((len(faces), self.header["features"]), np.float32)
        with _connected(self.path) as db:
            for row, face in enumerate(map(int, faces)):
                (blob,) = db.execute("SELECT fp16 FROM features WHERE face = ?", (face,)).fetchone() or (None,)
                found[row] = np.frombuffer(_unsealed(blob, self.path, face), "<f2")
        return found

    def search(self, queries, k, backend=None):
        """The k nearest faces of packed codes (Q, bits / 8): distances (Q, k), indices (Q, k); see codes.search."""
        return codes.search(self.codes, queries, k, backend)

    def rerank(self, distances, indices, query_features, verifier):
        """Order candidates that `search` found by Joint Bayesian: scores, distances, indices, all (Q, C).

        query_features: (Q, D) as those that the gallery keeps. verifier: a fitted pipeline that ends in JointBayesian.
        Scores, in nats, fall along a row; of equal scores the candidate that search had first stays first.
        """
        candidates, place = np.unique(indices, return_inverse=True)
        features = self.kept_features(candidates)
        z = verifier.project(features)
        probes = np.repeat(verifier.project(query_features), indices.shape[1], axis=0)
        scores = verifier[-1].score_pairs(probes, z[place.ravel()]).reshape(indices.shape)
        order = np.argsort(-scores, axis=1, kind="stable")
        return tuple(np.take_along_axis(values, order, 1) for values in (scores, distances, indices))

    def verify(self):
        """Read all of it once: DataError where a byte has changed."""
        if len(self.names) != len(self.codes):
            raise DataError(f"{self.path}: {len(self.names)} names for {len(self)} faces; build the gallery again")
        for start in range(0, len(self), 1024) if self.header["features"] else ():
            self.kept_features(range(start, min(start + 1024, len(self))))

    def _appends(self, column):
        """(first face, one past the last, bytes) of every append."""
        query, first = f"SELECT last, {column} FROM appends WHERE last <= ? ORDER BY last", 0
        with _connected(self.path) as db:
            for last, blob in db.execute(query, (self.count,)):
                yield first, last, _unsealed(blob, self.path, (column, first, last))
                first = last

    def _checked(self, new, names, features=None):
        """Faces that fit: n, the bytes of their names and of their codes, and their features as fp16."""
        new, n, width = codes.checked(new, "codes"), len(names), self.header["features"]
        wanted = (n, self.header["bits"] // 8), (n, width) if width else None
        got = new.shape, None if features is None else np.shape(features)
        if got != wanted:
            says = f"{n} names, codes and features {got}, and this gallery takes {wanted}"
            raise DataError(f"{self.path}: {says}; give each face one of each, features only with --keep-features")
        for name in map(str, names):
            if not name.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name):
                raise DataError(f"name {name!a}: a line break, control character or broken text in it; rename the face")
        if width and not (np.abs(features) <= np.finfo(np.float16).max).all():
            raise DataError("features: NaN, inf or above 65,504, which two-byte floats cannot hold; drop those faces")
        fp16 = np.asarray(features).astype("<f2") if width else ()
        return n, "\n".join(map(str, names)).encode(), new.tobytes(), fp16


@contextmanager
def _connected(path, create=False):
    """A connection to the file; what SQLite or the system refuses is one line. Without COMMIT nothing is changed."""
    real, fresh = Path(os.path.realpath(path)), False
    try:
        if real.is_dir():
            raise DataError(f"{path}: a folder, and a gallery is one file; build it again under a new name")
        fresh = create and not real.exists()
        if fresh:
            real.parent.mkdir(parents=True, exist_ok=True)
        elif not real.is_file() or (real.stat().st_size and not begins_with(real, MAGIC)):
            raise DataError(f"{path}: no gallery; build one with `deepid search build`, under another name")
        mode = "rwc" if create else "rw"
        if not os.access(real.parent, os.W_OK):  # no place for the log's shared memory: read what is there
            mode = "ro" if Path(f"{real}-wal").exists() else "ro&immutable=1"
        uri = f"{real.as_uri()}?mode={mode}"
        with closing(sqlite3.connect(uri, LOCK_SECONDS, isolation_level=None, uri=True)) as db:
            db.execute("PRAGMA synchronous = FULL")
            yield db
    except (OSError, sqlite3.Error) as error:
        why = f"{path}: no gallery that can be used ({getattr(error, 'strerror', None) or error})"
        raise DataError(f"{why}; check the path, its rights and the disk, or build it again") from None
    finally:
        if fresh and real.is_file() and not real.stat().st_size:  # nothing was built
            real.unlink()


def _write_ahead(db):
    """Let readers read while others write; where somebody else is at the file just now, the next writer asks again."""
    with suppress(sqlite3.OperationalError):
        db.execute("PRAGMA journal_mode = WAL")


def _require_new(db, path):
    if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise DataError(f"{path}: is there already; add to a gallery with `add`, or choose a new name")


def _header(db, path):
    (blob,) = db.execute("SELECT facts FROM header").fetchone() or (None,)
    return json.loads(str(_unsealed(blob, path), "utf-8"))


def _count(db):
    return max(db.execute("SELECT max(last) FROM appends").fetchone()[0] or 0, 0)


def _insert(db, n, names, packed, fp16):
    """Add n faces after those that are there; the number of faces then."""
    first = _count(db)
    if n:
        sealed = [_sealed(x, (column, first, first + n)) for column, x in (("names", names), ("codes", packed))]
        db.execute("INSERT INTO appends VALUES (?, ?, ?)", (first + n, *sealed))
        rows = ((face, _sealed(values.tobytes(), face)) for face, values in enumerate(fp16, first))
        db.executemany("INSERT INTO features VALUES (?, ?)", rows)
    return first + n


def _sealed(data, place=None):
    """Bytes with a checksum over them and their place."""
    return data + zlib.crc32(data, zlib.crc32(repr(place).encode())).to_bytes(4, "little")


def _unsealed(blob, path, place=None):
    data = memoryview(blob if isinstance(blob, bytes) else b"")
    if zlib.crc32(data[:-4], zlib.crc32(repr(place).encode())).to_bytes(4, "little") != data[-4:]:
        raise DataError(f"{path}: damaged, its checksums do not match; build the gallery again")
    return data[:-4]
