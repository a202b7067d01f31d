"""What the page "DeepID2+ in your browser" loads: the net, the verifier, drawn faces, and a still picture of it all.

Everything is made when the book is built, from the shipped lite net and the program that draws faces, and kept in
`_build/demo/` under a key of what it depends on. The people are the first of the test part, whom neither the net nor
Joint Bayesian saw; the thresholds come from people of no part, whom the page does not show.
"""

import hashlib
import itertools
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import numpy as np
import seaborn as sns
from deepid_book import execution_key
from matplotlib.figure import Figure
from PIL import Image

from deepid_lite.faces.alignment import FRAME, TEMPLATE, align
from deepid_lite.faces.synthetic.people import FIRST_PERSON, draw, make_faces, sample_identity
from deepid_lite.verification import metrics
from deepid_lite.verification.evaluation import pair_scores
from deepid_lite.verification.model import face_features, pretrained, weights_hash
from deepid_lite.verification.onnx import export_onnx, pair_arrays
from deepid_lite.verification.pairs import make_pairs

PEOPLE = range(FIRST_PERSON["test"], FIRST_PERSON["test"] + 8)
YAWS = (-45, -30, -15, 0, 15, 30, 45)
LIGHTS = (-60, -30, 0, 30, 60)
GLASSES = ("none", "thin rims", "thick rims", "dark")
CONTRAST = 0.6  # of the light: enough to see where it comes from
STRONG = 2.5  # a feature that fills its cell of the map; two in a hundred are larger
SHOWN = {"person": 2, "yaw": 30, "light": 60, "glasses": 1}  # face B at the start, as in app.js; A is drawn plain
VALIDATION = dict(n_people=100, images_per_person=10, first_person=40_000)


def folder(parent: Path) -> Path:
    """`parent`/<key> with all files, made unless it is there; older ones are removed."""
    digest = hashlib.sha256(execution_key().encode() + Path(__file__).read_bytes())
    target = parent / digest.hexdigest()[:16]
    if not target.is_dir():
        shutil.rmtree(parent, ignore_errors=True)
        beside = parent / "making"
        beside.mkdir(parents=True)
        make(beside)
        os.replace(beside, target)
    return target


def make(target: Path):
    """Write net.onnx, projection.bin, person-1.webp ..., demo.json and still.png into a folder."""
    model = pretrained("lite")
    export_onnx(model, target / "net.onnx")
    pair = pair_arrays(model)
    pair.pop("projection").astype("<f4").tofile(target / "projection.bin")
    validation, accuracy, others = thresholds(model)
    with ThreadPoolExecutor() as pool:
        sheets = list(pool.map(sheet, PEOPLE))
    for number, pixels in enumerate(sheets, 1):
        Image.fromarray(pixels).save(target / f"person-{number}.webp", quality=88, method=4)
    picture, numbers = still(model, validation, target / f"person-{SHOWN['person'] + 1}.webp")
    region = model.region
    facts = {
        "weights_hash": weights_hash(model),
        "neurons": model.net.dimension,
        "frame": {"rows": FRAME[0], "columns": FRAME[1]},
        "template": TEMPLATE.tolist(),
        "region": {"left": region.left, "top": region.top, "width": region.width, "height": region.height,
                   "rows": region.shape[0], "columns": region.shape[1]},
        "people": [{"name": f"person {number}", "sheet": f"person-{number}.webp"}
                   for number in range(1, len(PEOPLE) + 1)],
        "yaws": YAWS, "lights": LIGHTS, "glasses": GLASSES,
        "verifier": {name: values.tolist() for name, values in pair.items()},
        "thresholds": validation, "accuracy": accuracy, "others": others,
        "validation": VALIDATION | {"pairs": 6000},
        "strong": STRONG, "still": numbers,
    }  # fmt: skip
    (target / "demo.json").write_text(json.dumps(facts), encoding="utf-8")
    picture.savefig(target / "still.png", dpi=160)


def frames(person, yaw, light, glasses):
    """Aligned frames, uint8 (N, 144, 128, 3), of one person under N conditions; `glasses` counts GLASSES."""
    images, points = draw(sample_identity(person), yaw=yaw, azimuth=light, glasses=glasses, contrast=CONTRAST)
    return np.stack([align(image, place) for image, place in zip(images, points, strict=True)])


def tile(path, yaw, light, glasses):
    """One aligned frame of a sheet, compressed as the page has it."""
    row = len(LIGHTS) * glasses + LIGHTS.index(light)
    left, top = FRAME[1] * YAWS.index(yaw), FRAME[0] * row
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))[top : top + FRAME[0], left : left + FRAME[1]]


def sheet(person):
    """All conditions of a person on one picture: a column for each yaw, a row for each kind of glasses and light."""
    glasses, light, yaw = np.array(list(itertools.product(range(len(GLASSES)), LIGHTS, YAWS))).T
    rows, columns = FRAME
    tiles = frames(person, yaw, light, glasses).reshape(-1, len(YAWS), rows, columns, 3)
    return tiles.swapaxes(1, 2).reshape(-1, len(YAWS) * columns, 3)


def thresholds(model):
    """Thresholds that are right most often on other people, in how many percent, and where those people's pairs lie.

    {"ratio": nats, "hamming": bits}, and so twice more; in percent each fold is judged by the others. Codes are of the
    picture without its mirror image, as the page shows them.
    """
    faces = make_faces(**VALIDATION)
    images = np.stack([align(image, points) for image, points in zip(faces.images, faces.landmarks, strict=True)])
    features = face_features(model, images)
    pairs = make_pairs(faces.labels)
    active = features[:, : model.net.dimension] > 0
    scores = {"ratio": pair_scores(model, features, pairs)["joint_bayesian"],
              "hamming": -(active[pairs.first] ^ active[pairs.second]).sum(1).astype(float)}  # fmt: skip
    best = {name: metrics.best_threshold(values, pairs.same) for name, values in scores.items()}
    found = {"ratio": round(best["ratio"], 2), "hamming": int(np.floor(-best["hamming"]))}
    right = {name: round(100 * metrics.verify(v, pairs).accuracy, 1) for name, v in scores.items()}
    others = {"ratio": spread(scores["ratio"], pairs.same), "hamming": spread(-scores["hamming"], pairs.same)}
    return found, right, others


def spread(values, same, bins=48):
    """Histograms of pairs in percent, {"from", "to", "same", "two"}; the few beyond an end count in its bin."""
    low, high = np.quantile(values, [0.002, 0.998])
    shares = {name: 100 * np.histogram(np.clip(values[kind], low, high), bins, (low, high))[0] / kind.sum()
              for name, kind in (("same", same), ("two", ~same))}  # fmt: skip
    return {"from": float(low), "to": float(high)} | {name: v.round(2).tolist() for name, v in shares.items()}


def still(model, threshold, path):
    """The page at its start as a picture (two faces of one person, neurons, difference, numbers), and its numbers."""
    pair = np.stack([tile(path, 0, 0, 0), tile(path, SHOWN["yaw"], SHOWN["light"], SHOWN["glasses"])])
    features = face_features(model, pair)
    mine = features[:, : model.net.dimension]
    ratio = float(model.verifier.score_all(features[:1], features[1:])[0, 0])
    distance = int(((mine[0] > 0) != (mine[1] > 0)).sum())
    says = [("same person" if same else "two people")
            for same in (ratio > threshold["ratio"], distance <= threshold["hamming"])]  # fmt: skip
    with matplotlib.rc_context({"font.size": 9}):
        fig = Figure(figsize=(7.5, 3.6), layout="constrained")
        places = fig.subplot_mosaic([["face A", "A", "A - B"], ["face B", "B", "text"]], width_ratios=[1, 2, 2])
        for ax in places.values():
            ax.set(xticks=[], yticks=[])
        for name, image, values in zip("AB", pair, mine, strict=True):
            places[f"face {name}"].imshow(image)
            places[f"face {name}"].set_title(f"Face {name}")
            _map(places[name], values, f"{(values > 0).sum()} of {len(values)} neurons active")
        _map(places["A - B"], mine[0] - mine[1], "More in A blue, in B orange")
        places["text"].text(
            0, 0.5, f"Log-likelihood ratio: {ratio:.1f} nats\nthreshold {threshold['ratio']:.1f}: {says[0]}"
            f"\n\nHamming distance: {distance} bits\nup to {threshold['hamming']}: {says[1]}", va="center")  # fmt: skip
        sns.despine(ax=places["text"], left=True, bottom=True)
    return fig, {"ratio": ratio, "distance": distance, "active": [int((values > 0).sum()) for values in mine]}


def _map(ax, values, title):
    """Neurons as marks whose areas are their values, 32 in a row: squares above 0, diamonds below."""
    row, column = np.divmod(np.arange(len(values)), 32)
    blue, orange = sns.color_palette("colorblind")[:2]
    size = 11 * np.minimum(np.abs(values) / STRONG, 1)
    for these, marker, colour in ((values > 0, "s", blue), (values < 0, "D", orange)):
        ax.scatter(column[these], row[these], s=size[these], color=colour, marker=marker, linewidths=0)
    ax.set(title=title, xlim=(-1, 32), ylim=(16, -1), aspect="equal")
