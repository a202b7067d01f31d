"""The canonical view of photographs: chosen by symmetry and rank, learned from the web's people, tested on LFW's.

No angle is known. As in [arXiv 1404.3543] a person's canonical picture is the one that `frontality` likes best, and the
net learns to draw it from each of the person's pictures. Numbers alone leave this module, and no picture.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.io import loadmat

from deepid_lite.errors import DataError
from deepid_lite.faces.layouts import default_root
from deepid_lite.faces.splits import renumber
from deepid_lite.faces.synthetic.views import LEFT, PIXELS, SIDE, TOP, cut
from deepid_lite.nets.batches import fingerprint
from deepid_lite.nets.recipe import read_recipe
from deepid_lite.papers.canonical.net import canonical, features, frontality, pretrained
from deepid_lite.papers.canonical.study import trained
from deepid_lite.registry import Claim, Estimate, claims, study
from deepid_lite.verification.across_views import baselines, estimate
from deepid_lite.verification.intervals import of_nets, rightly
from deepid_lite.verification.pipeline import training_parts
from deepid_lite.verification.verifier import fit_verifier

FEWEST, MOST = 8, 20  # pictures of a person who is learned from; of more the first
RECIPE = {"epochs": 5}  # in place of the preset's: 1,275 steps, more than twice those on drawn people
SEEDS = (0, 1, 2)
START = 3000  # pictures for the start by least squares
UMIST_SQUARE = (13, 95, 5, 87)  # first and last row and column of its 112 x 92: eyes and mouth about where ours lie


@dataclass
class Photographs:
    """Grey pictures of known people, in no order."""

    images: np.ndarray  # uint8 (N, 32, 32)
    labels: np.ndarray  # int64 (N,), 0 .. n_people - 1
    landmarks: np.ndarray  # float32 (N, 5, 2), pixels (x, y)

    def __len__(self):
        return len(self.labels)


@study
def canonical_photographs(
    setup, folder="runs/canonical_photographs", seeds=SEEDS, start=START, components=120, **changes
):
    """Verification on LFW, the error of drawn pictures of held-out people, and identification across UMIST's views.

    Each kind of feature gets a verifier (square root, PCA to so many `components`, Joint Bayesian) fitted on held-out
    people. start: pictures for the start by least squares. changes: of the recipe. verification: "mean" is accuracy in
    percent with its 95 % interval. pictures: percent of the range from black to white, and whether the canonical
    picture nearest to the drawn one is the person's. umist: rank-1 from the last view, which is nearest to frontal, for
    each of the other views; None where umist.mat is not in the root.
    """
    if setup.name != "reference":
        raise DataError(f"canonical_photographs, scale {setup.name}: it is about photographs; use --scale reference")
    faces, held_out = learned_from(training_parts("webfaces", setup.root)[0]), grey(first_of_each(setup.held_out))
    used, pairs = setup.pairs.compact()
    test, views = grey(setup.test.subset(used)), umist(setup.root)
    recipe = read_recipe("canonical", **RECIPE | changes)
    right, rank1, shown = {}, {}, {}

    def add(name, of_held_out, of_test, of_views):
        verifier = fit_verifier(of_held_out, held_out.labels, components)
        right.setdefault(name, []).append(rightly(verifier.score_pairs(of_test, pairs), pairs))
        if of_views is not None:
            rank1.setdefault(name, []).append(from_the_front(verifier, of_views, views))

    def add_net(name, net, draw=features):
        add(name, *(draw(net, part.images) if part is not None else None for part in (held_out, test, views)))

    without_net = [baselines(part) if part is not None else {} for part in (held_out, test, views)]
    for name in without_net[0]:
        add(name, *(found.get(name) for found in without_net))
    add_net("net of drawn people", pretrained())
    front = faces.images[chosen(faces)]
    seen = several(held_out)
    fronts = seen.images[chosen(seen)]
    shown["the input"] = [compared(seen, seen.images / 127.5 - 1, fronts)]
    mean = np.broadcast_to(front.mean(0) / 127.5 - 1, seen.images.shape)
    shown["mean frontal face"] = [compared(seen, mean, fronts)]
    for seed in seeds:
        of_seed = dataclasses.replace(recipe, seed=seed)
        for name, net in trained(faces, front, of_seed, Path(folder) / f"seed-{seed}", start):
            add_net(name, net)
            if name == "FIP":
                add_net("its picture", net, lambda net, x: (canonical(net, x).reshape(len(x), -1).clip(-1, 1) + 1) / 2)
            if name not in ("untrained", "identification"):
                shown.setdefault(name, []).append(compared(seen, canonical(net, seen.images), fronts))
    right = {name: np.repeat(found, len(seeds) // len(found), 0) for name, found in right.items()}
    return {
        "scale": setup.name, "seeds": list(seeds), "recipe": dataclasses.asdict(recipe), "start": start,
        "fewest": FEWEST, "most": MOST,
        "people": {"learn": len(front), "held out": len(np.unique(held_out.labels)), "drawn": len(fronts)},
        "images": {"learn": len(faces), "held out": len(held_out), "drawn": len(seen)}, "pairs": len(pairs),
        "data_hash": fingerprint(faces.images, faces.labels) + fingerprint(held_out.images, held_out.labels),
        "verification": {name: {"mean": of_nets(found, pairs.fold)} for name, found in right.items()},
        "gain": {name: of_nets(right["FIP"], pairs.fold, found) for name, found in right.items() if name != "FIP"},
        "pictures": {name: {key: estimate([one[key] for one in found]) for key in ("error", "right")}
                     | {"people": np.round([one["error"] for one in found], 2).tolist()}
                     for name, found in shown.items()},
        "umist": {name: {"mean": estimate(np.mean(found, 2)), "people": np.round(np.mean(found, 2), 2).tolist(),
                         "views": np.round(np.mean(found, (0, 1)), 1).tolist()}
                  for name, found in rank1.items()} or None,
    }  # fmt: skip


def grey(faces):
    """Aligned faces in colour, 128 x 144, as `Photographs` in the frame of the drawn studio."""
    images = np.concatenate([cut(np.asarray(faces.images[k : k + 512])) for k in range(0, len(faces), 512)])
    landmarks = ((faces.landmarks - (LEFT, TOP) + 0.5) * PIXELS / SIDE - 0.5).astype(np.float32)
    return Photographs(images, renumber(faces.labels), landmarks)


def learned_from(faces):
    """The first MOST pictures of each person of whom there are FEWEST."""
    return grey(first_of_each(faces, FEWEST))


def first_of_each(faces, fewest=1):
    """The FaceSet of the first MOST pictures of each person of whom there are so many."""
    rows = [rows[:MOST] for rows in _of_each(faces.labels) if len(rows) >= fewest]
    if not rows:
        raise DataError(f"{faces.source}: nobody with {fewest} pictures; give more pictures a person")
    return faces.subset(np.concatenate(rows))


def several(faces):
    """The people of whom there are FEWEST pictures, who can have a canonical one and others."""
    rows = np.concatenate([rows for rows in _of_each(faces.labels) if len(rows) >= FEWEST])
    return Photographs(faces.images[rows], renumber(faces.labels[rows]), faces.landmarks[rows])


def _of_each(labels):
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def chosen(faces):
    """The row of each person's picture that symmetry and rank take for the most frontal (people,)."""
    score = frontality(faces.images)
    return np.array([rows[score[rows].argmin()] for rows in _of_each(faces.labels)])


def compared(faces, drawn, fronts):
    """Pictures (N, 32, 32), floats, and the canonical ones, uint8 (people, 32, 32) -> (people,) each, percent.

    The canonical pictures themselves are left out: of them the answer is in the input.
    """
    true = torch.as_tensor(fronts.reshape(len(fronts), -1) / 127.5 - 1).float()
    others = np.setdiff1d(np.arange(len(faces)), chosen(faces))
    x, own = torch.as_tensor(np.ascontiguousarray(drawn[others])).float().flatten(1), faces.labels[others]
    distance = torch.cdist(x, true).numpy()
    error = 50 * distance[np.arange(len(own)), own] / PIXELS
    hit = 100.0 * (distance.argmin(1) == own)
    return {name: np.bincount(own, values) / np.bincount(own) for name, values in (("error", error), ("right", hit))}


# views of UMIST


def umist(root=None):
    """UMIST's 20 people in 19 views from profile to frontal, as `Photographs` in that order; None: it is not there.

    Its faces are cut out of their photographs and not aligned, so the landmarks of a `Photographs` are not known.
    """
    path = Path(root or default_root("webfaces")) / "umist.mat"
    if not path.is_file():
        return None
    try:
        stored = loadmat(path)
        images, labels = stored["x"].transpose(2, 0, 1), renumber(stored["label"].ravel())
        if images.shape[1:] != (112, 92) or images.dtype != np.uint8 or np.ptp(np.bincount(labels)):
            raise ValueError(f"{images.dtype} {images.shape}")
    except (ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise DataError(f"{path}: not UMIST's x (112, 92, N) and label ({error}); fetch it again") from None
    top, bottom, left, right = UMIST_SQUARE
    small = [Image.fromarray(x[top:bottom, left:right]).resize((PIXELS, PIXELS), Image.Resampling.BOX) for x in images]
    return Photographs(np.stack(small), labels, np.full((len(labels), 5, 2), np.nan, np.float32))


def from_the_front(verifier, x, faces):
    """Rank-1 from each person's last view: (people, views - 1), percent, of the other views in their order."""
    people = faces.labels.max() + 1
    x = x.reshape(people, -1, x.shape[-1])
    scores = np.stack([verifier.score_all(x[:, view], x[:, -1]) for view in range(x.shape[1] - 1)], 1)
    return 100.0 * (scores.argmax(2) == np.arange(people)[:, None])


# the claims


def accuracy(result, name):
    """On LFW's pairs, percent."""
    return Estimate(*result["verification"][name]["mean"])


def nearer(result, other):
    """How much nearer to the canonical picture the net's drawing is than another picture, percent of the range."""
    first, second = (np.array(result["pictures"][name]["people"]) for name in ("FIP", other))
    return Estimate(*estimate(second - first))


def across(result, other):
    """How much more often the net's features than others know a person of UMIST, points."""
    first, second = (np.array(result["umist"][name]["people"]) for name in ("FIP", other))
    return Estimate(*estimate(first - second))


claims(
    Claim(
        "F6", section="other systems", study="canonical_photographs", source="section 4, LFW", paper="no number",
        statement="On photographs they verify people better than LBP of the same pictures",
        ours=lambda r: accuracy(r, "FIP"), difference=lambda r: Estimate(*r["gain"]["LBP"]), kind="baseline",
        against="LBP of the same pictures", interval="seeds", of="FIP",
    ),
    Claim(
        "F7", section="other systems", study="canonical_photographs", source="ours", paper="-",
        statement="Of photographs, too, the chosen picture is the stronger supervision than the name",
        ours=lambda r: accuracy(r, "FIP"), difference=lambda r: Estimate(*r["gain"]["identification"]),
        kind="baseline", against="the same layers trained to name the person", interval="seeds", of="this book",
    ),
    Claim(
        "F8", section="other systems", study="canonical_photographs", source="the start of the training",
        paper="no number", statement="Of photographs, too, the start by least squares makes better features",
        ours=lambda r: accuracy(r, "FIP"), difference=lambda r: Estimate(*r["gain"]["random start"]), kind="baseline",
        against="a random start and as many steps", interval="seeds", of="FIP",
    ),
    Claim(
        "F9", section="other systems", study="canonical_photographs", source="arXiv 1404.3543", paper="drawn",
        statement="The net draws the canonical picture of people whom it never saw",
        ours=lambda r: Estimate(*r["pictures"]["FIP"]["error"]),
        difference=lambda r: {name: nearer(r, name) for name in ("mean frontal face", "the input")}, kind="null",
        against="the mean canonical picture, the input itself", interval="people", smaller=True,
        unit="{:.1f} % of the range", of="FIP",
    ),
    Claim(
        "F10", section="other systems", study="canonical_photographs", source="rank-1 by view", paper="72.9 %",
        statement="Across views of real heads the features recognise people better than LBP does (UMIST)",
        ours=lambda r: Estimate(*r["umist"]["FIP"]["mean"]), difference=lambda r: across(r, "LBP"), kind="baseline",
        against="LBP of the same pictures", interval="seeds", margin=11.3, of="FIP",
    ),
)  # fmt: skip
