"""The study of tracking: the tracker, its parts, the same without what it needs, baselines, and the claims."""

import copy
import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import torch

from deepid_lite.faces.layouts import default_root
from deepid_lite.faces.pictures import load_sequence
from deepid_lite.files import read_json, write_json
from deepid_lite.nets.deepid import build
from deepid_lite.nets.recipe import read_recipe
from deepid_lite.papers.tracking.baselines import BASELINES
from deepid_lite.papers.tracking.net import feature_maps, look, region, train
from deepid_lite.papers.tracking.scores import PIXELS, precision, success
from deepid_lite.papers.tracking.tracker import LAYERS, Tracker, inside
from deepid_lite.papers.tracking.videos import Video, faces_on_clutter, make_video
from deepid_lite.registry import Claim, Estimate, claims, study
from deepid_lite.verification.intervals import of_images, of_seeds

SEQUENCES = ("girl", "jumping")  # of OTB
# the tracker's name -> (net, options); "both" is the paper's
TRACKERS = {
    "both": ("people", {}),
    "upper alone": ("people", {"use": "upper"}),
    "lower alone": ("people", {"use": "lower"}),
    "random maps": ("people", {"way": "random"}),
    "all maps": ("people", {"way": "all"}),
    "code's sign": ("people", {"way": "code"}),
    "attributes": ("attributes", {}),
    "untrained": ("untrained", {}),
}

# 6 the study


@study
def tracking(setup, recipe=None, folder="runs/tracking", seeds=(0, 1, 2), videos=8, n_frames=60, sizes=(160, 12)):
    """Success area and precision of each tracker on each video, nets of several seeds; what each layer says of others.

    On the lite scale drawn videos of people whom no net saw, on the reference scale two sequences of photographs, with
    the nets of drawn faces. sizes: people and pictures of each to train the nets on.
    """
    recipe = recipe or read_recipe("tracking")
    images, people, known = faces_on_clutter(*sizes)
    attributes = np.stack([known[name] for name in known if 0.01 < known[name].mean() < 0.99], 1)
    real = setup.name == "reference"
    given = _sequences(setup.root) if real else {f"{n}": make_video(n, n_frames=n_frames) for n in range(videos)}
    runs = []
    for seed in seeds:
        nets = _nets(images, people, attributes, dataclasses.replace(recipe, seed=seed), Path(folder) / f"{seed}")
        kept = Path(folder) / setup.name / f"{seed}"
        runs.append({name: _on_video(nets, video, seed, real, kept / f"{name}.json") for name, video in given.items()})
    answers = np.array([[run[name]["answer"] for name in given] for run in runs], float)
    area, right = (_table(runs, given, place) for place in (0, 1))
    return {
        "scale": setup.name,
        "videos": {name: len(video) for name, video in given.items()},
        "recipe": dataclasses.asdict(recipe),
        "seeds": list(seeds),
        "pixels": PIXELS,
        "scaled": not real,
        "images": len(images),
        "by_video": {"success": _listed(area), "precision": _listed(right)},
        "success": {name: _estimate(found, given, real) for name, found in area.items()},
        "precision": {name: _estimate(found, given, real) for name, found in right.items()},
        "answer": {} if real else {layer: _spread(answers[..., k]) for k, layer in enumerate(LAYERS)},
        "difference": _differences(area, given, real)
        | ({} if real else {"T6": _spread(answers[..., 1] - answers[..., 0])}),
    }


AGAINST = {
    "T1": ("both", "MOSSE"),
    "T3": ("both", "random maps"),
    "T4": ("both", "all maps"),
    "T5": ("both", "untrained"),
    "T7": ("both", "code's sign"),
    "T8": ("both", "attributes"),
}


def follow(tracker, frames):
    """Boxes (T, 4) of a tracker that was started on the first of T frames."""
    return np.stack([tracker.box.copy(), *(tracker.step(frame).box for frame in frames[1:])])


def _sequences(root):
    """{name: Video} of the photographs, with nobody else marked."""
    found = {}
    for name in SEQUENCES:
        pictures = load_sequence((default_root("tracking") if root is None else Path(root)) / "tracking.tar", name)
        frames = np.stack([pictures[row] for row in range(len(pictures))])
        found[name] = Video(frames, pictures.boxes, np.full((len(frames), 4), np.nan), np.zeros(len(frames), bool))
    return found


def _nets(images, people, attributes, recipe, folder):
    torch.manual_seed(recipe.seed)
    untrained = build(recipe.net | {"architecture": recipe.architecture})
    return {
        "people": train(images, people, recipe, folder / "people"),
        "attributes": train(images, attributes, recipe, folder / "attributes"),
        "untrained": _with_statistics(untrained, images),
    }


def _with_statistics(net, images):
    """A net with fresh weights whose batch norm knows the pictures: else its maps have no common scale."""
    x = torch.as_tensor(np.ascontiguousarray(images[::10].transpose(0, 3, 1, 2))).float() / 127.5 - 1
    for norm in net.norms:
        norm.momentum = None  # the mean over all batches
    with torch.no_grad():
        net.train()(x)
    return net.eval()


def _on_video(nets, video, seed, real, path):
    """{tracker: [success, precision]} and the "answer" on one video; kept at path: a stopped study goes on."""
    digest = hashlib.sha256(video.frames.tobytes() + video.boxes.tobytes())
    for net in nets.values():
        digest.update(b"".join(t.numpy().tobytes() for t in net.state_dict().values()))
    mark = digest.hexdigest()[:16]
    if path.is_file() and (stored := read_json(path, "delete it")).get("mark") == mark:
        return stored
    found = {name: follow(tracker, video.frames) for name, tracker in _trackers(nets, video, seed).items()}
    shape = video.frames.shape[1:3]
    marks = {n: [success(b, video.boxes), precision(b, video.boxes, shape, not real)] for n, b in found.items()}
    answer = [np.nan] * len(LAYERS) if real else _answer_to_the_other(nets["people"], video, seed).tolist()
    write_json(path, marks | {"answer": answer, "mark": mark})
    return marks | {"answer": answer}


def _trackers(nets, video, seed):
    """{name: tracker} of baselines and TRACKERS, started on the first frame."""
    first = video.frames[0], video.boxes[0]
    started = {name: make(*first) for name, make in BASELINES.items()}
    for name, (net, options) in TRACKERS.items():
        if "use" in options:  # the parts of "both" are taught alike
            started[name] = copy.deepcopy(started["both"])
            started[name].use = options["use"]
        else:
            started[name] = Tracker(nets[net], *first, seed=seed, **options)
    return started


def _answer_to_the_other(net, video, seed):
    """How much each layer's heat map answers to the other person, in parts of its answer to the target: LAYERS.

    Both nets were taught on the first frame alone. Read where both faces are in view and do not cover each other.
    """
    tracker = Tracker(net, video.frames[0], video.boxes[0], seed=seed)
    apart = np.abs(video.others[:, 0] - video.boxes[:, 0])
    rows = np.flatnonzero((apart > video.boxes[:, 2]) & (apart < 1.5 * video.boxes[:, 2]))
    ratios = []
    for row in rows:
        looked_at = region(video.boxes[row])
        heats = tracker.heats(feature_maps(net, look(video.frames[row], video.boxes[row])))
        both = np.stack([video.boxes[row], video.others[row]])
        for heat in (heats[layer] for layer in LAYERS):
            target, other = inside(np.maximum(heat, 0), both, looked_at)
            ratios.append(100 * other / (other + target + 1e-6))
    return np.reshape(ratios, (-1, len(LAYERS))).mean(0) if ratios else np.full(len(LAYERS), np.nan)


def _table(runs, given, place):
    """{tracker: (S, V)}."""
    names = (*BASELINES, *TRACKERS)
    return {name: np.array([[run[video][name][place] for video in given] for run in runs]) for name in names}


def _listed(table):
    return {name: np.round(found.mean(0), 1).tolist() for name, found in table.items()}


def _spread(values):
    """(S, V) -> Estimate, by videos and by seeds; a video without a number is left out."""
    values = np.asarray(values, np.float64)
    values = values[:, np.isfinite(values).all(0)]
    return of_images(values, np.arange(values.shape[1]))


def _estimate(values, given, real):
    """(S, V) -> Estimate; of photographs one for each sequence, over the seeds alone, for two say nothing of others."""
    if not real:
        return _spread(values)
    return {name: of_seeds(column, _point(column)) for name, column in zip(given, values.T, strict=True)}


def _point(column):
    return Estimate(*[float(np.mean(column))] * 3)


def _differences(area, given, real):
    found = {name: _estimate(area[a] - area[b], given, real) for name, (a, b) in AGAINST.items()}
    alone = {part: _estimate(area["both"] - area[f"{part} alone"], given, real) for part in ("upper", "lower")}
    if real:  # the worse part at each sequence
        found["T2"] = {f"{name}, {part}": alone[part][name] for name in given for part in alone}
    else:
        found["T2"] = alone
    return found


# 7 the claims


def _claim(name, statement, against, kind="baseline", margin=0.0, source="ours", **more):
    return Claim(
        name, statement, source, "no number", section="other systems", study="tracking", kind=kind, against=against,
        interval="seeds", margin=margin, of="FCNT", **{
            "ours": lambda r: _of_both(r, name), "difference": lambda r: r["difference"][name]} | more,
    )  # fmt: skip


def _of_both(record, name):
    """The success area of "both", for each place of the difference."""
    ours, difference = record["success"]["both"], record["difference"][name]
    if isinstance(difference, dict):
        return {place: ours[place.split(",")[0]] if isinstance(ours, dict) else ours for place in difference}
    return ours


CLAIMS = [
    _claim("T1", "Maps of a net follow a face better than a correlation filter", "MOSSE", source="section 5"),
    _claim("T2", "Two layers together are better than either alone", "one layer alone", source="section 5"),
    _claim("T3", "Maps chosen by saliency are better than maps drawn at random", "random maps", source="section 4.1"),
    _claim("T4", "They are better than all maps", "all maps", source="section 4.1"),
    _claim("T5", "It is what the net learned", "the same net, untrained", "null"),
    _claim("T6", "Upper maps say 'face', lower ones 'this face'", "the lower layer", source="section 3",
           ours=lambda r: r["answer"]["upper"]),
    _claim("T7", "The paper's saliency is better than the code's", "the code's sign"),
    _claim("T8", "Identity neurons track better than attribute neurons", "a net of attributes", source="the lecture"),
]  # fmt: skip
claims(*CLAIMS)
