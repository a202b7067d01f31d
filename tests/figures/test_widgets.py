"""The interactive figures hold their numbers, and fetch nothing."""

import json
import re

import numpy as np

from deepid_lite.figures import widgets
from deepid_lite.neurons.selectiveness import neuron_thresholds, permuted_targets, split_images


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
