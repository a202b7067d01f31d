"""What is compared: pairs of images, and the lists of closed- and open-set identification, drawn from a seed.

A list is a set of image numbers into a FaceSet and never sees a feature. Pairs of one person are genuine, pairs of two
are impostors. The lists that LFW, CFP and YouTube Faces publish are read in benchmarks.py and youtube_faces.py.
Identification has the shape of Best-Rowden et al., TIFS 2014, whose lists are not public: `identification_lists` draws
stand-ins and writes them down.
"""

from dataclasses import dataclass, replace

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.files import read_json, write_json


@dataclass(frozen=True)
class Pairs:
    """P pairs of images, by number."""

    first: np.ndarray  # int64 (P,)
    second: np.ndarray  # int64 (P,)
    same: np.ndarray  # bool (P,), one person?
    fold: np.ndarray  # int64 (P,), 0..F-1

    def __len__(self):
        return len(self.first)

    def compact(self):
        """(used, pairs): the images that occur, int64 (U,) in rising order, and these pairs as places among them."""
        used, place = np.unique(np.concatenate([self.first, self.second]), return_inverse=True)
        return used, replace(self, first=place[: len(self)], second=place[len(self) :])


def all_pairs(labels):
    """Every pair of N pictures, each once -> Pairs, in one fold: nothing is fitted on them."""
    first, second = np.triu_indices(len(labels), 1)
    return Pairs(first, second, labels[first] == labels[second], np.zeros(len(first), np.int64))


def make_pairs(labels: np.ndarray, n_folds: int = 10, per_fold: int = 300, seed: int = 0) -> Pairs:
    """LFW-style pairs for any labels (N,): n_folds x (per_fold genuine + per_fold impostor ones), drawn from a seed.

    A person is in one fold only. Genuine pairs take one of each person, then a second of each, and so on; impostor
    pairs draw two people, then an image of each. No pair comes twice. DataError where the images do not suffice.
    """
    _, labels, count = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    if n_folds < 2 or per_fold < 1:
        raise DataError(f"n_folds={n_folds}, per_fold={per_fold}: need at least 2 folds of 1 pair")
    rng = np.random.default_rng(seed)
    people = rng.permutation(len(count))
    people = people[np.argsort(count[people] < 2, kind="stable")]  # deal those with two images out first
    images = np.split(np.argsort(labels, kind="stable"), np.cumsum(count)[:-1])
    drawn = []
    for fold in range(n_folds):
        mine = [images[p] for p in people[fold::n_folds]]
        genuine, impostor = _genuine_pairs(mine, per_fold, rng), _impostor_pairs(mine, per_fold, rng)
        for name, pairs in (("genuine", genuine), ("impostor", impostor)):
            if len(pairs) < per_fold:
                raise DataError(
                    f"fold {fold + 1} of {n_folds}: {len(mine)} people with {len(pairs)} {name} pairs,"
                    f" {per_fold} are needed: give more people or images, or ask for fewer pairs or folds"
                )
        drawn += [genuine, impostor]
    first, second = np.concatenate(drawn).T
    return Pairs(first, second, labels[first] == labels[second], np.repeat(np.arange(n_folds), 2 * per_fold))


def pairs_a_fold(labels):
    """How many pairs a fold of ten to draw with `make_pairs`: LFW's 300, or half of what a smaller set can give."""
    counts = np.bincount(labels)
    return min(300, max(1, int((counts * (counts - 1)).sum() // 40)))


def _genuine_pairs(people, wanted, rng):
    """Up to `wanted` pairs (n, 2) of one person's images, spread evenly over the people."""
    pairs, turn = [np.empty((0, 2), dtype=np.int64)], [np.empty(0)]
    for images in people:
        a, b = np.triu_indices(len(images), 1)
        order = rng.permutation(len(a))[:wanted]
        pairs.append(np.stack([images[a[order]], images[b[order]]], axis=1))
        turn.append(np.arange(len(order)) + rng.random(len(order)))  # a random order inside each round
    return np.concatenate(pairs)[np.argsort(np.concatenate(turn))[:wanted]]


def _impostor_pairs(people, wanted, rng):
    """Up to `wanted` distinct pairs (n, 2) of images of two people."""
    images = np.concatenate(people) if people else np.empty(0, dtype=np.int64)
    size = np.array([len(p) for p in people], dtype=np.int64)
    start = np.cumsum(size) - size
    wanted = min(wanted, (len(images) ** 2 - (size**2).sum()) // 2)
    pairs = np.empty((0, 2), dtype=np.int64)
    while len(pairs) < wanted:
        a = rng.integers(len(people), size=wanted)
        b = (a + rng.integers(1, len(people), size=wanted)) % len(people)
        pick = np.stack([a, b], axis=1)
        drawn = images[start[pick] + rng.integers(size[pick])]
        pairs = np.unique(np.concatenate([pairs, np.sort(drawn, axis=1)]), axis=0)
    return rng.permutation(pairs)[:wanted]


@dataclass(frozen=True)
class Identification:
    """Image numbers of a closed-set and an open-set test; `seed` drew them."""

    gallery: np.ndarray  # closed set: the first image of every person
    probes: np.ndarray  # closed set: the other images
    open_gallery: np.ndarray  # open set: one image of each enrolled person
    genuine: np.ndarray  # open set: another image of each, in the same order
    impostors: np.ndarray  # open set: images of people who are not enrolled
    seed: int

    _lists = ("gallery", "probes", "open_gallery", "genuine", "impostors")

    def write(self, path, paths):
        """As JSON: the seed and the five lists of image paths."""
        write_json(path, {"seed": self.seed} | {n: [str(paths[i]) for i in getattr(self, n)] for n in self._lists})

    @classmethod
    def read(cls, path, paths):
        """What `write` wrote, as numbers into `paths`."""
        content = read_json(path, "write it again")
        try:
            lists = {name: [str(p) for p in content[name]] for name in cls._lists}
            seed = int(content["seed"])
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{path}: not a list of images written by Identification.write: write it again") from None
        known = {str(p): i for i, p in enumerate(paths)}
        return cls(**{name: numbers_of(known, wanted, path) for name, wanted in lists.items()}, seed=seed)


def identification_lists(labels, seed=0, closed=None, enrolled=596, impostors=9494):
    """Closed- and open-set lists for labels (N,) -> Identification.

    Closed set: of the image numbers `closed` (all images unless given) each person's first is the gallery,
    the rest are probes. LFW's stand-in takes the images of pairs.txt, `closed=np.union1d(pairs.first,
    pairs.second)`: 4,281 and 3,420. Open set: `enrolled` people drawn among those with two images, one for
    the gallery and one genuine probe, and `impostors` images drawn from everybody else; some draws leave too
    few and are drawn again.
    """
    labels = np.asarray(labels)
    closed = np.arange(len(labels)) if closed is None else np.unique(closed)
    first = np.unique(labels[closed], return_index=True)[1]
    names, count = np.unique(labels, return_counts=True)
    able = names[count >= 2]
    if not 1 <= enrolled <= len(able):
        raise DataError(f"labels: {len(able)} people have two images, {enrolled} are to be enrolled: ask for fewer")
    rng = np.random.default_rng(seed)
    for _ in range(1000):
        people = rng.choice(able, size=enrolled, replace=False)
        others = np.flatnonzero(~np.isin(labels, people))
        if len(others) >= impostors:
            break
    else:
        raise DataError(
            f"labels: {len(others)} images of people who are not enrolled, too few for {impostors} impostors:"
            " ask for fewer"
        )
    drawn = np.array([rng.choice(np.flatnonzero(labels == p), size=2, replace=False) for p in people])
    others = np.sort(rng.choice(others, size=impostors, replace=False))
    return Identification(np.sort(closed[first]), np.sort(np.delete(closed, first)), *drawn.T, others, int(seed))


def numbers_of(known, wanted, where):
    """Numbers {key: number} of the keys `wanted` (P,) -> int64 (P,); DataError, with the list's name, for others."""
    missing = [key for key in dict.fromkeys(wanted) if key not in known]
    if missing:
        raise DataError(f"{where}: names {len(missing)} images that are not among the faces, the first {missing[0]}")
    return np.array([known[key] for key in wanted], dtype=np.int64)
