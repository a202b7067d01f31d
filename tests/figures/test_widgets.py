"""The interactive figures hold their numbers, and fetch nothing."""

import json
import re
from types import SimpleNamespace

import numpy as np

from deepid_lite.figures import widgets
from deepid_lite.neurons.selectiveness import neuron_thresholds, permuted_targets, split_images
from deepid_lite.papers.tracking.tracker import Found
from deepid_lite.registry import Claim, Estimate
from deepid_lite.studies.judging import Verdict, more


def data_of(html):
    assert "http" not in html.replace("http://www.w3.org/2000/svg", ""), "nothing is fetched"
    return json.loads(re.search(r'<script type="application/json" class="data">(.*?)</script>', html, re.S)[1])


def test_the_rates_of_the_nets_are_marked():
    data = data_of(widgets.hamming_widget({"paper": (0.57, 0.12), "a <b> net": (0.4, 0.2)}, 512))
    assert data["neurons"] == 512 and data["marks"][0] == {"name": "paper", "mean": 0.57, "spread": 0.12}


def test_luck_is_that_of_shuffled_labels():
    rng = np.random.default_rng(0)
    target = np.arange(80) < 30
    features, first = rng.normal(size=(80, 12)), split_images(target)
    data = data_of(widgets.luck_widget(features, target, first, draws=3, neurons=10))
    assert [len(draw["held"]) for draw in data["draws"]] == [10] * 3
    shuffled = permuted_targets(target, 1)
    expected = neuron_thresholds(features[first, :10], shuffled[first]).accuracy[0]
    np.testing.assert_allclose(np.array(data["draws"][1]["chosen"]) / 1000, expected, atol=6e-4)
    chosen, held = (np.concatenate([draw[key] for draw in data["draws"]]).mean() for key in ("chosen", "held"))
    assert chosen > held, "it was fitted to the one half and not to the other"


def test_a_larger_margin_turns_answers_one_way():
    """Bars are in margins of the rule, the answer at 1 is the rule's, and log-odds count where it asks for them."""

    def verdict(difference, **rule):
        claim = Claim("C1", "It sees.", "Fig. 1", "95 %", section="sparse", kind="null", against="LBP", **rule)
        return Verdict(claim, "reference", "no number", more(claim, difference), None, difference)

    points = Estimate(6, 3, 9)
    losses = {"points": points, "log-odds": Estimate(-1, -2, -0.5)}
    rows = data_of(widgets.margin_widget([
        verdict(points, margin=2.0), verdict(points, margin=0.0), verdict(points, margin=-1.0),
        verdict({"one": points, "two": losses}, margin=3.0, log_odds=True),
    ]))["rows"]  # fmt: skip
    plain, on_two_places = rows
    assert plain["bars"] == [[1.5, 3, 4.5]] and on_two_places["bars"] == [[1, 2, 3]] * 2
    assert plain["words"][10] == "yes" and set(on_two_places["words"]) == {"inconclusive", "no"}
    order = [("yes", "inconclusive", "no").index(word) for word in plain["words"]]
    assert order == sorted(order) and order[15] > order[14] == 0
    unknown = verdict(Estimate(3.0, -np.inf, np.inf), margin=2.0)
    assert data_of(widgets.margin_widget([unknown]))["rows"][0]["bars"] == [[-4, 1.5, 5]], (
        "no interval: all of the width"
    )


def test_a_track_has_frames_maps_and_both_boxes():
    rng = np.random.default_rng(0)
    truth = np.tile(np.array([3.0, 4, 10, 12]), (5, 1)) + np.arange(5)[:, None]
    video = SimpleNamespace(frames=rng.integers(0, 256, (5, 30, 40, 3), np.uint8), boxes=truth)
    found = [Found(truth[t] + 1, 0.5, "lower") for t in range(1, 5)]
    heats = [{"upper": rng.random((24, 24)), "lower": rng.random((24, 24))} for _ in range(5)]
    data = data_of(widgets.track_widget(video, truth + 1, found, heats, np.full(5, 0.75), every=2))
    assert [frame["number"] for frame in data["frames"]] == [0, 2, 4] and (data["width"], data["height"]) == (40, 30)
    assert [frame["by"] for frame in data["frames"]] == ["first", "lower", "lower"]
    for frame in data["frames"]:
        assert frame["box"] == [v + 1 for v in frame["truth"]] and frame["overlap"] == 75
        assert all(frame[name].startswith("data:image/webp") for name in ("image", "upper", "lower"))
