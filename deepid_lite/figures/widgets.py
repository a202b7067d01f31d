"""Interactive figures: a self-contained piece of HTML that needs no server, in the book's page as in Colab.

A template in `widgets/` holds the markup, style and script; the data of one figure goes into it as JSON.
"""

import base64
import io
import json
from dataclasses import replace
from importlib import resources

import numpy as np
from matplotlib import colormaps
from PIL import Image

from deepid_lite.neurons.occlusion import FRACTIONS, SIZES, occlude_block, occlude_from_below
from deepid_lite.neurons.selectiveness import balanced_accuracy, neuron_thresholds, permuted_targets
from deepid_lite.papers import multiview
from deepid_lite.registry import Estimate
from deepid_lite.studies.judging import more, on_both_scales
from deepid_lite.verification.model import face_features


def page(name, data):
    """The HTML of the widget `name` with `data` (a dict for JSON) for `@DATA@` and the lines of all for `@SHARED@`."""
    folder = resources.files("deepid_lite") / "widgets"
    template, shared = ((folder / file).read_text(encoding="utf-8") for file in (f"{name}.html", "shared.js"))
    # "</" would end the script element that the data lie in
    data = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
    return template.replace("@SHARED@\n", shared).replace("@DATA@", data)


def picture(image):
    """A uint8 (H, W, 3) or grey (H, W) picture as a data address that an <img> shows."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", quality=80)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def occlusion_widget(model, probes, partners, threshold, fractions=FRACTIONS, sizes=SIZES, names=("A", "B")):
    """A slider that covers a face and shows its code and its scores, computed beforehand for every position.

    model: FaceModel, with its verifier. probes, partners: uint8 (2, 144, 128, 3), two aligned pictures of each of two
    people; the first are covered, the second stay clean. threshold: nats, from clean pairs. Returns the HTML.
    """
    clean = face_features(model, partners)
    more = {"from below": [occlude_from_below(probes, f) for f in (0, *fractions)],
            "random block": [occlude_block(probes, n) for n in (0, *sizes)]}  # fmt: skip
    covered = np.stack([np.stack(levels) for levels in more.values()])  # (kinds, levels, 2, 144, 128, 3)
    features = face_features(model, covered.reshape(-1, *probes.shape[1:]))
    scores = model.verifier.score_all(features, clean).reshape(*covered.shape[:3], 2)
    codes = np.packbits(features[:, : model.net.dimension] > 0, axis=1).reshape(*covered.shape[:3], -1)

    def cover(kind, level, person):
        same, other = (round(float(scores[kind, level, person, who]), 2) for who in (person, 1 - person))
        return {"image": picture(covered[kind, level, person]), "code": codes[kind, level, person].tobytes().hex(),
                "same": same, "other": other}  # fmt: skip

    people = [{"name": names[p], "partner": picture(partners[p]),
               "covers": [[cover(kind, level, p) for level in range(covered.shape[1])] for kind in range(2)]}
              for p in range(2)]  # fmt: skip
    levels = [[f"{100 * f:g} %" for f in (0, *fractions)], [f"{n:g} × {n:g}" for n in (0, *sizes)]]
    kinds = [{"name": name, "levels": shown} for name, shown in zip(more, levels, strict=True)]
    data = {"people": people, "kinds": kinds, "threshold": round(float(threshold), 2), "unit": "nats"}
    return page("occlusion", data)


def codes_widget(images, features, labels, threshold, start=(0, 1)):
    """Two faces to choose, their codes bit by bit, the Hamming distance and what a threshold says of it.

    images: uint8 (N, 144, 128, 3), a few aligned faces. features: (N, D) of the pictures without their mirrors.
    labels: (N,) people. threshold: bits, from other people; up to it two faces are called one person. start: the rows
    that are shown first. Returns the HTML.
    """
    labels, seen, faces = np.asarray(labels).tolist(), {}, []
    packed = np.packbits(features > 0, axis=1)
    for image, code, label in zip(images, packed, labels, strict=True):
        seen[label] = seen.get(label, 0) + 1
        name = f"person {list(seen).index(label) + 1}, picture {seen[label]}"
        faces.append({"name": name, "person": label, "image": picture(image), "code": code.tobytes().hex()})
    return page("codes", {"faces": faces, "threshold": int(threshold), "start": list(start)})


def threshold_widget(scores, same, bins=60, unit="nats"):
    """Histograms of the scores (P,) of both kinds of pairs and a threshold to move: the two errors and the accuracy.

    same: bool (P,). A pair is accepted from the threshold on. It starts at zero, or at the edge that is nearest.
    Returns the HTML.
    """
    scores, same = np.asarray(scores, float), np.asarray(same, bool)
    edges = np.linspace(*np.quantile(scores, [0.001, 0.999]), bins + 1)
    edges -= edges[np.abs(edges).argmin()]  # one edge is at zero
    inside = np.clip(scores, edges[0], np.nextafter(edges[-1], -np.inf))
    genuine, impostor = (np.histogram(inside[kind], edges)[0].tolist() for kind in (same, ~same))
    data = {"edges": np.round(edges, 1).tolist(), "genuine": genuine, "impostor": impostor, "unit": unit}
    return page("threshold", data | {"start": int(np.abs(edges).argmin())})


def hamming_widget(marks, neurons):
    """Two sliders, mean and spread of the rates, and how far two images are then apart on average.

    marks: {name: (mean, spread)} of nets that stand in the picture, the first one to begin with. Returns the HTML.
    """
    nets = [
        {"name": name, "mean": round(mean, 4), "spread": round(spread, 4)} for name, (mean, spread) in marks.items()
    ]
    return page("hamming", {"marks": nets, "neurons": int(neurons)})


def luck_widget(features, target, first, draws=20, neurons=400):
    """A button that shuffles the labels: every neuron on the half that chose its threshold, and on the other half.

    features (N, D), of which the first `neurons` are drawn; target, first: bool (N,). Returns the HTML.
    """
    features, found = features[:, :neurons], []
    for seed in range(draws):
        shuffled = permuted_targets(target, seed)
        fit = neuron_thresholds(features[first], shuffled[first])
        held = balanced_accuracy(features[~first], shuffled[~first], fit.sign, fit.threshold)
        found.append(
            {key: np.rint(1000 * a[0]).astype(int).tolist() for key, a in (("chosen", fit.accuracy), ("held", held))}
        )
    return page("luck", {"draws": found})


def margin_widget(verdicts, low=-3, high=4):
    """A slider for the margins of all rules that have one, as a multiple of each, and what the answers then are.

    verdicts: of `studies.judging.judge`. Differences are drawn in points, in margins of their rule; where a rule asks
    for log-odds, too, the answers heed them. Returns the HTML.
    """
    factors, rows = [k / 10 for k in range(10 * high + 1)], []
    for v in verdicts:
        if v.why or not v.claim.margin or v.claim.margin < 0:
            continue
        margin = v.claim.margin
        rows.append({
            "name": v.claim.name, "statement": v.claim.statement,
            "bars": [
                [round(min(max(end / margin, low - 1), high + 1), 2) for end in (d.low, d.value, d.high)]
                for d in _in_points(v.difference)
            ],
            "words": [more(replace(v.claim, margin=factor * margin), v.difference) for factor in factors],
        })  # fmt: skip
    return page("margin", {"rows": rows, "factors": factors, "low": low, "high": high})


def _in_points(difference):
    """The Estimates of a difference, one for each place."""
    if isinstance(difference, Estimate):
        return [difference]
    parts = [difference["points"]] if on_both_scales(difference) else difference.values()
    return [estimate for part in parts for estimate in _in_points(part)]


def views_widget(net, inputs, drawn, true, views, names=("A", "B")):
    """A slider that turns two heads: what a multi-view perceptron draws, the true picture, and how alike their h2 are.

    inputs: uint8 (2, 32, 32), what the net saw of each. drawn: floats (2, V, 32, 32), -1 .. 1, see `multiview.render`;
    true: uint8 of that shape. views: V degrees. Returns the HTML.
    """
    pictures = np.rint(127.5 * (drawn.clip(-1, 1) + 1)).astype(np.uint8)
    of_drawn, of_true = (_unit(multiview.features(net, x.reshape(-1, *x.shape[2:]))["h2"]) for x in (pictures, true))
    alike = np.einsum("pvd,qvd->pqv", *(x.reshape(len(inputs), len(views), -1) for x in (of_drawn, of_true)))
    people = [{"name": names[p], "input": picture(inputs[p]),
               "frames": [{"drawn": picture(pictures[p, v]), "truth": picture(true[p, v]),
                           "same": round(float(alike[p, p, v]), 3), "other": round(float(alike[p, 1 - p, v]), 3)}
                          for v in range(len(views))]} for p in range(2)]  # fmt: skip
    return page("views", {"people": people, "views": [int(view) for view in views]})


def track_widget(video, boxes, found, heats, overlaps, every=2):
    """A drawn video to play or to step through, with the box that was found and both heat maps beside it.

    video: tracking.videos.Video of T frames. boxes: (T, 4). found: T - 1 tracker.Found. heats: T {layer: (24, 24)};
    overlaps: (T,), with the truth. every: that many frames are one step. Returns the HTML.
    """
    height, width = video.frames.shape[1:3]
    frames = []
    for t in range(0, len(boxes), every):
        who = {"by": "first"} if t == 0 else {"by": found[t - 1].by, "confidence": round(found[t - 1].confidence, 2)}
        maps = {layer: picture(_coloured(heat)) for layer, heat in heats[t].items()}
        frames.append({"number": t, "image": picture(video.frames[t]), "box": np.round(boxes[t], 1).tolist(),
                       "truth": np.round(video.boxes[t].astype(float), 1).tolist(),
                       "overlap": round(100 * float(overlaps[t])), **who, **maps})  # fmt: skip
    return page("track", {"frames": frames, "width": width, "height": height})


def _coloured(heat):
    """A heat map (R, S), 0 .. 1, as a picture in viridis."""
    return (255 * colormaps["viridis"](np.clip(heat, 0, 1))[..., :3]).astype(np.uint8)


def _unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True).clip(1e-12)
