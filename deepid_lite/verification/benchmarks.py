"""What a model is tested on: LFW, CFP, YouTube Faces, or people of another set, as faces and lists of trials.

Each set comes in its official layout; `benchmark` finds its files and refuses an option that is another set's. Lists
are read in trials.py and videos.py; here they meet the pictures.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces import cache as facecache
from deepid_lite.faces.dataset import FaceSet
from deepid_lite.faces.images import open_files
from deepid_lite.faces.layouts import Listing, default_root
from deepid_lite.faces.loading import load_faces
from deepid_lite.verification import blufr
from deepid_lite.verification import metrics as protocols
from deepid_lite.verification import youtube_faces as videos
from deepid_lite.verification.pairs import pairs_a_fold

OPTIONS = {"lfw": {"pairs", "errata"}, "cfp": {"kind"}, "ytf": {"pairs", "frames", "sampling", "corrected"}}


@dataclass(frozen=True)
class Benchmark:
    """Faces and what to compare among them.

    pairs: of faces, or of videos where `video` (N,) numbers the video that each face is a frame of. lists: of
    identification, None where the set has none. facts: what was chosen, for the report. seed: of all that was drawn.
    """

    name: str
    faces: FaceSet
    pairs: protocols.Pairs
    lists: protocols.Identification | None = None
    video: np.ndarray | None = None
    facts: dict = field(default_factory=dict)
    seed: int = 0


def benchmark(data, root=None, seed=0, **options):
    """The test set `data` -> Benchmark: "lfw", "cfp", "ytf", or what load_faces knows, with pairs drawn by `seed`.

    options, None where not given: pairs (file of LFW or YTF), errata (LFW, see read_lfw_pairs); kind ("FP" or "FF" of
    CFP); frames, sampling (see videos.sample_frames) and corrected (YTF). DataError for an option of another set, and
    for what the readers refuse.
    """
    options = {name: value for name, value in options.items() if value is not None}
    if foreign := sorted(options.keys() - OPTIONS.get(data, set())):
        own = ", ".join(sorted(OPTIONS.get(data, ()))) or "none"
        raise DataError(f"{foreign[0]}: no option of the test set {data!r}, which has {own}; leave it out")
    if data == "cfp":
        return _cfp(root, **options)
    if data == "ytf":
        return _ytf(root, seed, **options)
    return Benchmark(data, *test_set(data, root, seed=seed, **options), seed=seed)


def test_set(data, root=None, pairs=None, errata=None, seed=0):
    """(faces, pairs, identification lists) of a test: LFW's own, or drawn for the unseen people of another set."""
    faces = load_faces(data, root, **({"part": "test"} if data in ("synthetic", "celeba") else {}))
    if data == "lfw":
        pairs = protocols.read_lfw_pairs(pairs or lfw_file("pairs.txt", root), faces.paths, errata=errata)
        in_pairs = np.union1d(pairs.first, pairs.second)
        return faces, pairs, protocols.identification_lists(faces.labels, seed, closed=in_pairs)
    able = (np.bincount(faces.labels) >= 2).sum()
    pairs = protocols.make_pairs(faces.labels, per_fold=pairs_a_fold(faces.labels), seed=seed)
    # LFW's proportions: a part of the people is enrolled, everybody else is an impostor
    enrolled = max(1, able // 4)
    lists = protocols.identification_lists(faces.labels, seed, enrolled=enrolled, impostors=len(faces) // 2)
    return faces, pairs, lists


def lfw_file(name, root=None):
    """A list of LFW's: beside the images, or in lfw_protocol/; DataError where it is not there."""
    root = Path(root) if root else default_root("lfw")
    folder = root if root.is_dir() else root.parent
    places = [home / sub / name for home in (folder, folder.parent) for sub in ("", "lfw_protocol")]
    for path in places:
        if path.is_file():
            return path
    raise DataError(f"{folder}: no {name} beside the images; fetch it with data_scripts/lfw.py or give --pairs")


# CFP: Data/Images/001/frontal/01.jpg and Protocol/


def _cfp(root, kind="FP"):
    root = _folder("cfp", root, ("Protocol", "cfp-dataset/Protocol", "cfp/Protocol")).parent
    images = root / "Data" / "Images"
    if not images.is_dir():
        raise DataError(f"{root}: no Data/Images beside Protocol; give the unpacked folder of CFP as --root")
    if (images / "index.csv").is_file():  # landmarks of the user's own: its thirty points are in no printed order
        faces = load_faces("folder", images)
    else:
        paths, _ = open_files(images).pictures()
        faces = load_listing("cfp", images, Listing(paths, paths, [path.split("/")[0] for path in paths], None))
    aligned = "by index.csv" if (images / "index.csv").is_file() else "none, pictures as they are"
    pairs = protocols.read_cfp(root, faces.paths, kind)
    return Benchmark("cfp", faces, pairs, facts={"kind": kind, "alignment": aligned})


# YouTube Faces


def _ytf(root, seed, pairs=None, frames=20, sampling="even", corrected=False):
    places = [f"{home}{name}" for home in ("", "YouTubeFaces/", "ytf/") for name in videos.FOLDERS]
    place = _folder("ytf", root, places)
    found = videos.find_videos(place)
    name = "splits_corrected.txt" if corrected else "splits.txt"
    if pairs is None:
        pairs = next((p / name for p in (place.parent, place.parent / "meta_data") if (p / name).is_file()), None)
    if pairs is None:
        raise DataError(f"{place.parent}: no {name} there; it comes from the set's own page, or give --pairs")
    used, trials = videos.read_splits(pairs, found.names, corrected).compact()
    chosen = [
        found.frames[v][i]
        for v in used
        for i in videos.sample_frames(len(found.frames[v]), frames, sampling, [seed, int(v)])
    ]
    points = videos.frame_landmarks(found, chosen)
    faces = load_listing("ytf", found.folder, Listing(chosen, chosen, [f.split("/")[0] for f in chosen], points))
    number = {found.names[v]: place for place, v in enumerate(used)}
    video = np.array([number[path.rsplit("/", 1)[0]] for path in faces.paths])
    videos.frames_of(video, len(used))  # refuses a video whose frames were all broken
    facts = {
        "videos": len(used),
        "frames": frames or "all",
        "sampling": sampling,
        "labels": "corrected" if corrected else "published",
        "folder": found.folder.name,
    }
    return Benchmark("ytf", faces, trials, video=video, facts=facts, seed=seed)


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
