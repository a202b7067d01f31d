"""`FaceSet`: aligned faces of people as plain arrays, whatever data set they come from (loading.py reads them)."""

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np

from deepid_lite.errors import DataError


@dataclass
class FaceSet:
    """Aligned faces of P people.

    images: uint8 (N, 144, 128, 3) RGB, an array or a read-only memory map.
    labels: int64 (N,), indices into names; names: P people.
    landmarks: float32 (N, 5, 2), pixels (x, y) of the aligned picture, in the order of alignment.LANDMARKS.
    attributes: name -> (N,); unknown numbers are nan.
    paths: N names of files; skipped: pictures that were left out, with the reason.
    data_hash: SHA-256 over labels, paths and pixels.
    """

    images: np.ndarray
    labels: np.ndarray
    names: list[str]
    landmarks: np.ndarray
    attributes: dict[str, np.ndarray]
    paths: list[str]
    source: str = ""
    data_hash: str = ""
    skipped: list[str] = field(default_factory=list)

    def __post_init__(self):
        columns = {"labels": self.labels, "landmarks": self.landmarks, "paths": self.paths, **self.attributes}
        for name, values in columns.items():
            if len(values) != len(self.images):
                raise DataError(f"{self.source or 'FaceSet'}: {len(values)} {name} for {len(self.images)} images")
        if len(self.labels) and not 0 <= np.min(self.labels) <= np.max(self.labels) < len(self.names):
            raise DataError(
                f"{self.source or 'FaceSet'}: labels must lie in 0..{len(self.names) - 1}, found "
                f"{np.min(self.labels)}..{np.max(self.labels)}"
            )

    def __len__(self):
        return len(self.images)

    def subset(self, which):
        """The images at these indices, in this order, or where a (N,) mask is true.

        People are renumbered 0.. in their former order and those without an image are dropped. A slice of
        consecutive images stays a view; other choices are copied into memory (55 kB an image).
        """
        which = np.asarray(which)
        if which.dtype == bool:
            if which.shape != (len(self),):
                raise DataError(f"subset: a mask of shape {which.shape} for {len(self)} images")
            which = np.flatnonzero(which)
        which = which.astype(np.int64, casting="same_kind") if which.size else np.zeros(0, np.int64)
        if which.size and not -len(self) <= which.min() <= which.max() < len(self):
            raise DataError(f"subset: index {which.min()}..{which.max()} outside 0..{len(self) - 1}")
        which = which % max(len(self), 1)
        used, labels = np.unique(self.labels[which], return_inverse=True)
        run = which.size and np.array_equal(which, np.arange(which[0], which[0] + which.size))
        return replace(
            self,
            images=self.images[which[0] : which[0] + which.size] if run else self.images[which],
            labels=labels.astype(np.int64),
            names=[self.names[person] for person in used],
            landmarks=self.landmarks[which],
            attributes={name: values[which] for name, values in self.attributes.items()},
            paths=[self.paths[row] for row in which],
            data_hash=hashlib.sha256(self.data_hash.encode() + which.astype("<i8").tobytes()).hexdigest(),
            skipped=[],
        )

    def people(self, which):
        """All images of these people, given as indices into names or as the names themselves."""
        known = {name: number for number, name in enumerate(self.names)}
        numbers = []
        for person in which:
            number = known.get(person, -1) if isinstance(person, str) else int(person)
            if not 0 <= number < len(self.names):
                raise DataError(f"people: {person!r} is not among the {len(self.names)} people of this set")
            numbers.append(number)
        return self.subset(np.isin(self.labels, numbers))
