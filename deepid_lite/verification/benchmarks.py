"""What a model is tested on: LFW, CFP, YouTube Faces, or people of another set, as faces and lists of what to compare.

One function a set, whose arguments are its options, reads the official layout. LFW: Huang et al., UMass TR 07-49
(2007), view 2. CFP: Sengupta et al., WACV 2016. YouTube Faces: youtube_faces.py.
"""

import hashlib
import inspect
import os
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces import cache as facecache
from deepid_lite.faces.dataset import FaceSet
from deepid_lite.faces.images import open_files
from deepid_lite.faces.layouts import Listing, default_root
from deepid_lite.faces.loading import load_faces
from deepid_lite.faces.tables import read_text
from deepid_lite.verification import blufr, evaluation, youtube_faces
from deepid_lite.verification.model import face_features
from deepid_lite.verification.pairs import (
    Identification,
    Pairs,
    identification_lists,
    make_pairs,
    numbers_of,
    pairs_a_fold,
)


@dataclass(frozen=True)
class Benchmark:
    """Faces and what to compare among them.

    pairs: of faces, or of videos where `video` (N,) numbers the video that each face is a frame of; `pooling` says how
    their frames are joined. lists: of identification, None where the set has none. facts: what was chosen, for the
    report. seed: of all that was drawn.
    """

    name: str
    faces: FaceSet
    pairs: Pairs
    lists: Identification | None = None
    video: np.ndarray | None = None
    pooling: str = "score"
    facts: dict = field(default_factory=dict)
    seed: int = 0

    def report(self, model, features):
        """All that the set asks, in percent: a dict for JSON.

        model: anything with a fitted `verifier`; features: (N, D) of the faces.
        """
        if self.video is None:
            scores = evaluation.pair_scores(model, features, self.pairs)
        else:
            scores = youtube_faces.video_scores(model, features, self.video, self.pairs, self.pooling)
        report = evaluation.flat(evaluation.verification_report(scores, self.pairs)) | self.facts
        if self.lists is not None:
            labels = self.faces.labels
            report["identification"] = evaluation.identification_report(model, features, labels, self.lists)
        return report


def evaluate(model, test="synthetic"):
    """A model on a benchmark, in percent: a dict for JSON.

    model: FaceModel or Ensemble; or anything with scores(faces, pairs) -> (P,), of which verification alone is told.
    test: a Benchmark, or the name of one.
    """
    test = benchmark(test) if isinstance(test, str) else test
    if not hasattr(model, "scores"):
        return test.report(model, face_features(model, test.faces.images))
    if test.video is not None:
        raise DataError(f"{test.name}: it has pairs of videos, and this model scores pairs of faces; take another set")
    return evaluation.flat(evaluation.verification_report({"scores": model.scores(test.faces, test.pairs)}, test.pairs))


def benchmark_report(model, features, test, pooling="score"):
    """`Benchmark.report` as 0.1.0 had it."""
    return replace(test, pooling=pooling).report(model, features)


def benchmark(data, root=None, seed=0, **options):
    """The test set `data` -> Benchmark: "lfw", "cfp", "ytf", or what load_faces knows.

    options: those of the function of that name below; None where not given. DataError for an option of another set,
    and for what the readers refuse.
    """
    read = {"lfw": lfw, "cfp": cfp, "ytf": ytf}.get(data, partial(other_people, data))
    options = {name: value for name, value in options.items() if value is not None}
    own = inspect.signature(read).parameters.keys() - {"root", "seed"}
    if foreign := sorted(options.keys() - own):
        has = ", ".join(sorted(own)) or "none"
        raise DataError(f"{foreign[0]}: no option of the test set {data!r}, which has {has}; leave it out")
    return read(root=root, seed=seed, **options)


def other_people(data, root=None, seed=0):
    """People of a set without lists of its own, such as the synthetic test people: pairs and lists drawn by a seed."""
    if data == "celeba":
        raise DataError("celeba: its people train nets or fit Joint Bayesian; test on others, such as lfw")
    faces = load_faces("synthetic", part="test") if data == "synthetic" else load_faces(data, root)
    pairs = make_pairs(faces.labels, per_fold=pairs_a_fold(faces.labels), seed=seed)
    # LFW's proportions: a part of the people is enrolled, everybody else is an impostor
    enrolled = max(1, (np.bincount(faces.labels) >= 2).sum() // 4)
    lists = identification_lists(faces.labels, seed, enrolled=enrolled, impostors=len(faces) // 2)
    return Benchmark(data, faces, pairs, lists, seed=seed)


# Labeled Faces in the Wild


def lfw(root=None, pairs=None, errata=None, seed=0):
    """LFW, view 2. pairs: the file of pairs, by default pairs.txt beside the images; errata: see read_lfw_pairs."""
    faces = load_faces("lfw", root)
    pairs = read_lfw_pairs(pairs or lfw_file("pairs.txt", root), faces.paths, errata)
    lists = identification_lists(faces.labels, seed, closed=np.union1d(pairs.first, pairs.second))
    return Benchmark("lfw", faces, pairs, lists, seed=seed)


def lfw_file(name, root=None):
    """A list of LFW's: beside the images, or in lfw_protocol/; DataError where it is not there."""
    root = Path(root) if root else default_root("lfw")
    folder = root if root.is_dir() else root.parent
    places = [home / sub / name for home in (folder, folder.parent) for sub in ("", "lfw_protocol")]
    for path in places:
        if path.is_file():
            return path
    raise DataError(f"{folder}: no {name} beside the images; fetch it with data_scripts/lfw.py or give --pairs")


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
    index = numbers_of({_tail(p, 2): i for i, p in enumerate(paths)}, [k for pair in wanted for k in pair], path)
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


def _lfw_key(name, number):
    return f"{name}/{name}_{int(number):04d}"


# Celebrities in Frontal-Profile: Data/Images/001/frontal/01.jpg and Protocol/


def cfp(root=None, kind="FP", seed=0):
    """CFP. kind: "FP", frontal with profile, or "FF"; seed: not used, all pairs are the set's own."""
    root = _folder("cfp", root, ("Protocol", "cfp-dataset/Protocol", "cfp/Protocol")).parent
    images = root / "Data" / "Images"
    if not images.is_dir():
        raise DataError(f"{root}: no Data/Images beside Protocol; give the unpacked folder of CFP as --root")
    indexed = (images / "index.csv").is_file()  # landmarks of the user's own: its thirty points are in no printed order
    if indexed:
        faces = load_faces("folder", images)
    else:
        paths, _ = open_files(images).pictures()
        faces = load_listing("cfp", images, Listing(paths, paths, [path.split("/")[0] for path in paths], None))
    facts = {"kind": kind, "alignment": "by index.csv" if indexed else "none, pictures as they are"}
    return Benchmark("cfp", faces, read_cfp(root, faces.paths, kind), facts=facts)


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
            lines = read_text(file).split()
            if not lines:
                raise DataError(f"{file}: no pairs in it; fetch the protocol again")
            for number, line in enumerate(lines, 1):
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
    index = numbers_of(known, [_tail(path, 3) for _, path in rows], file)
    return {int(number): i for (number, _), i in zip(rows, index, strict=True)}


# YouTube Faces


def ytf(root=None, pairs=None, frames=20, sampling="even", corrected=False, pooling="score", seed=0):
    """YouTube Faces. pairs: the file of splits; frames, sampling: of a video, see youtube_faces.sample_frames;
    corrected: labels; pooling: see youtube_faces.video_scores."""
    youtube_faces.check_pooling(pooling)
    places = [f"{home}{name}" for home in ("", "YouTubeFaces/", "ytf/") for name in youtube_faces.FOLDERS]
    place = _folder("ytf", root, places)
    found = youtube_faces.find_videos(place)
    name = "splits_corrected.txt" if corrected else "splits.txt"
    if pairs is None:
        pairs = next((p / name for p in (place.parent, place.parent / "meta_data") if (p / name).is_file()), None)
    if pairs is None:
        raise DataError(f"{place.parent}: no {name} there; it comes from the set's own page, or give --pairs")
    used, trials = youtube_faces.read_splits(pairs, found.names, corrected).compact()
    chosen = [
        found.frames[v][i]
        for v in used
        for i in youtube_faces.sample_frames(len(found.frames[v]), frames, sampling, [seed, int(v)])
    ]
    points = youtube_faces.frame_landmarks(found, chosen)
    faces = load_listing("ytf", found.folder, Listing(chosen, chosen, [f.split("/")[0] for f in chosen], points))
    number = {found.names[v]: place for place, v in enumerate(used)}
    video = np.array([number[path.rsplit("/", 1)[0]] for path in faces.paths])
    youtube_faces.frames_of(video, len(used))  # refuses a video whose frames were all broken
    facts = {
        "videos": len(used),
        "frames": frames or "all",
        "sampling": sampling,
        "labels": "corrected" if corrected else "published",
        "folder": found.folder.name,
        "pooling": pooling,
    }
    return Benchmark("ytf", faces, trials, video=video, pooling=pooling, facts=facts, seed=seed)


# BLUFR, on any set of faces


def blufr_trials(test, root=None):
    """(trials, where they come from): LFW's own from blufr_lfw_config.mat beside the images, else drawn by a seed."""
    if test.video is not None:
        raise DataError(f"blufr: it compares single faces, and {test.name} has videos; leave it out")
    if test.name == "lfw":
        try:
            path = lfw_file(blufr.FILE, root)
        except DataError:
            path = None
        if path:
            return blufr.read_trials(path, test.faces.paths), blufr.FILE
    return blufr.draw_trials(test.faces.labels, seed=test.seed), f"drawn with seed {test.seed} in the shape of BLUFR's"


# shared


def _tail(path, parts):
    return os.path.splitext("/".join(str(path).replace("\\", "/").split("/")[-parts:]))[0]


def load_listing(source, folder, listing):
    """The pictures of a listing below `folder` -> FaceSet, decoded and aligned once and then kept, as load_faces does.

    The cache's key holds the names, sizes and times of these files and their landmarks.
    """
    digest = hashlib.sha256(f"{source} {facecache.alignment_mark()} {listing.identities}".encode())
    for member in listing.members:
        status = (folder / member).stat()
        digest.update(f"{member} {status.st_size} {status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    if listing.landmarks is not None:
        digest.update(np.ascontiguousarray(listing.landmarks).tobytes())
    cache, stem = facecache.cache_folder(), f"{source}-{digest.hexdigest()[:16]}"
    payloads = ((row, (folder / member).read_bytes()) for row, member in enumerate(listing.members))
    return facecache.read_set(cache, stem) or facecache.build_set(source, listing, payloads, cache, stem)


def _folder(data, root, places):
    """The first of these folders below `root`, or below the folder that DEEPID_DATA names."""
    root = Path(root).expanduser() if root else default_root(data)
    found = [root / place for place in places if (root / place).is_dir()]
    if not found:
        raise DataError(f"{root}: no folder {places[0]} there; give the unpacked folder of {data.upper()} as --root")
    return found[0]
