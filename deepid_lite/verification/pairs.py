"""Lists of trials: which images a protocol compares. LFW's and CFP's own files, and lists drawn from a seed.

A list is a set of image numbers into a FaceSet and never sees a feature. LFW: Huang et al., UMass TR 07-49
(2007), view 2. CFP: Sengupta et al., WACV 2016. Identification has the shape of Best-Rowden et al., TIFS
2014, whose lists are not public: `identification_lists` draws stand-ins and writes them down.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.tables import read_text


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


def read_lfw_pairs(path, paths, errata=None):
    """LFW's pairs.txt (or pairsDev*.txt, one fold) -> Pairs.

    `paths` are the images, such as "Name/Name_0001.jpg", as in FaceSet.paths: only the last folder and the
    name without its ending count. `errata` corrects labels: rows (name1, index1, name2, index2, same), or a
    text file of them ("#" begins a comment). DataError: a wrong header or row, a wrong count, images or
    errata that do not exist.
    """
    lines = [line.split() for line in read_text(path).splitlines() if line.strip()]
    header = [int(word) for word in lines[0] if word.isdecimal()] if lines else []
    if len(header) == 1:
        header = [1, *header]
    if len(header) != 2 or min(header) < 1 or len(lines[0]) > 2:
        raise DataError(f"{path}: line 1 must be the number of folds and of pairs a fold, such as '10 300'")
    folds, size = header
    if len(lines) - 1 != 2 * folds * size:
        raise DataError(
            f"{path}: {len(lines) - 1} pairs, but line 1 promises {folds} folds of {size} + {size},"
            f" {2 * folds * size} in all: is the file cut short?"
        )
    same = np.tile(np.repeat([True, False], size), folds)
    wanted = []
    for number, (words, is_same) in enumerate(zip(lines[1:], same, strict=True), 2):
        shape = "name, number, number (same person)" if is_same else "name, number, name, number (two people)"
        if len(words) != (3 if is_same else 4) or not all(w.isdecimal() for w in (words[1], words[-1])):
            raise DataError(f"{path}: line {number}: {' '.join(words)!r} should be {shape}")
        wanted.append((_lfw_key(words[0], words[1]), _lfw_key(words[-2] if len(words) == 4 else words[0], words[-1])))
    index = _number_of({_tail(p, 2): i for i, p in enumerate(paths)}, [k for pair in wanted for k in pair], path)
    first, second = index.reshape(-1, 2).T
    if errata is not None:
        same = _corrected(same, wanted, errata)
    return Pairs(first, second, same, np.repeat(np.arange(folds), 2 * size))


def _corrected(same, wanted, errata):
    where = str(errata) if isinstance(errata, (str, os.PathLike)) else "errata"
    if isinstance(errata, (str, os.PathLike)):
        errata = [row.split() for row in (line.split("#")[0] for line in read_text(errata).splitlines()) if row.strip()]
    at = {frozenset(pair): i for i, pair in enumerate(wanted)}
    same = same.copy()
    for row in errata:
        row = list(row)
        words = [str(value) for value in row]
        if len(row) != 5 or not (words[1].isdecimal() and words[3].isdecimal()) or words[4] not in _YES_NO:
            raise DataError(f"{where}: {' '.join(words)!r} should be name1 index1 name2 index2 same, with same 0 or 1")
        pair = frozenset((_lfw_key(words[0], words[1]), _lfw_key(words[2], words[3])))
        if pair not in at:
            raise DataError(f"{where}: no pair {' '.join(words[:4])!r} in the list")
        same[at[pair]] = _YES_NO[words[4]]
    return same


_YES_NO = {"0": False, "1": True, "False": False, "True": True}


def read_cfp(folder, paths, kind="FP"):
    """Celebrities in Frontal-Profile: `folder` holds Protocol/ -> Pairs; "FP" is frontal with profile.

    Protocol/Pair_list_F.txt and Pair_list_P.txt hold "number path"; Protocol/Split/FP/01/same.txt and
    diff.txt hold "i,j", numbers in these lists. `paths` are matched by their last three parts,
    "001/frontal/01.jpg".
    """
    if kind not in ("FF", "FP"):
        raise DataError(f"kind={kind!r}: use 'FF' or 'FP'")
    root = Path(folder) / "Protocol"
    known = {_tail(p, 3): i for i, p in enumerate(paths)}
    lists = {letter: _cfp_list(root / f"Pair_list_{letter}.txt", known) for letter in set(kind)}
    folds = sorted(p for p in (root / "Split" / kind).glob("*") if p.is_dir())
    if len(folds) < 2:
        raise DataError(f"{root / 'Split' / kind}: needs folders 01 to 10 with same.txt and diff.txt")
    parts = []
    for fold, place in enumerate(folds):
        for same in (True, False):
            file = place / ("same.txt" if same else "diff.txt")
            for number, line in enumerate(read_text(file).split(), 1):
                try:
                    i, j = line.split(",")
                    parts.append((lists[kind[0]][int(i)], lists[kind[1]][int(j)], same, fold))
                except (ValueError, KeyError):
                    raise DataError(
                        f"{file}: line {number}: {line!r} should be two numbers of the pair lists"
                    ) from None
    first, second, same, fold = np.array(parts, dtype=np.int64).T
    return Pairs(first, second, same.astype(bool), fold)


def _cfp_list(file, known):
    rows = [line.split(maxsplit=1) for line in read_text(file).splitlines() if line.strip()]
    bad = [row for row in rows if len(row) != 2 or not row[0].isdecimal()]
    if bad:
        raise DataError(f"{file}: {' '.join(bad[0])!r} should be a number and a path")
    index = _number_of(known, [_tail(path, 3) for _, path in rows], file)
    return {int(number): i for (number, _), i in zip(rows, index, strict=True)}


def all_pairs(labels):
    """Every pair of N pictures, each once -> Pairs, in one fold: nothing is fitted on them."""
    first, second = np.triu_indices(len(labels), 1)
    return Pairs(first, second, labels[first] == labels[second], np.zeros(len(first), np.int64))


def make_pairs(labels, n_folds=10, per_fold=300, seed=0):
    """LFW-style pairs for any labels (N,): n_folds x (per_fold same + per_fold different), drawn from a seed.

    A person is in one fold only. "Same" pairs take one of each person, then a second of each, and so on;
    "different" pairs draw two people, then an image of each. No pair comes twice.
    DataError where the images do not suffice.
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
        same, other = _same_pairs(mine, per_fold, rng), _different_pairs(mine, per_fold, rng)
        for name, pairs in (("same", same), ("different", other)):
            if len(pairs) < per_fold:
                raise DataError(
                    f"fold {fold + 1} of {n_folds}: {len(mine)} people with {len(pairs)} {name!r} pairs,"
                    f" {per_fold} are needed: give more people or images, or ask for fewer pairs or folds"
                )
        drawn += [same, other]
    first, second = np.concatenate(drawn).T
    return Pairs(first, second, labels[first] == labels[second], np.repeat(np.arange(n_folds), 2 * per_fold))


def pairs_a_fold(labels):
    """How many pairs a fold of ten to draw with `make_pairs`: LFW's 300, or half of what a smaller set can give."""
    counts = np.bincount(labels)
    return min(300, max(1, int((counts * (counts - 1)).sum() // 40)))


def _same_pairs(people, wanted, rng):
    """Up to `wanted` pairs (n, 2) of one person's images, spread evenly over the people."""
    pairs, turn = [np.empty((0, 2), dtype=np.int64)], [np.empty(0)]
    for images in people:
        a, b = np.triu_indices(len(images), 1)
        order = rng.permutation(len(a))[:wanted]
        pairs.append(np.stack([images[a[order]], images[b[order]]], axis=1))
        turn.append(np.arange(len(order)) + rng.random(len(order)))  # a random order inside each round
    return np.concatenate(pairs)[np.argsort(np.concatenate(turn))[:wanted]]


def _different_pairs(people, wanted, rng):
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
        content = {"seed": self.seed} | {name: [str(paths[i]) for i in getattr(self, name)] for name in self._lists}
        beside = Path(f"{path}.{os.getpid()}.tmp")
        try:
            beside.write_text(json.dumps(content, indent=0) + "\n")
            os.replace(beside, path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise DataError(f"{path}: cannot be written ({error.strerror})") from None

    @classmethod
    def read(cls, path, paths):
        """What `write` wrote, as numbers into `paths`."""
        try:
            content = json.loads(read_text(path))
            lists = {name: [str(p) for p in content[name]] for name in cls._lists}
            seed = int(content["seed"])
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{path}: not a list of images written by Identification.write: write it again") from None
        known = {str(p): i for i, p in enumerate(paths)}
        return cls(**{name: _number_of(known, wanted, path) for name, wanted in lists.items()}, seed=seed)


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


def _lfw_key(name, number):
    return f"{name}/{name}_{int(number):04d}"


def _tail(path, parts):
    return os.path.splitext("/".join(str(path).replace("\\", "/").split("/")[-parts:]))[0]


def _number_of(known, wanted: Iterable[str], where):
    missing = [key for key in dict.fromkeys(wanted) if key not in known]
    if missing:
        raise DataError(f"{where}: names {len(missing)} images that are not among the faces, the first {missing[0]}")
    return np.array([known[key] for key in wanted], dtype=np.int64)
