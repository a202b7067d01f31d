"""The threshold that a reader moves: what the page counts from is what the scores say."""

import json
import re

import numpy as np

from deepid_lite.figures.widgets import threshold_widget


def test_the_bins_hold_the_errors_at_every_edge():
    rng = np.random.default_rng(0)
    same = np.arange(500) < 200
    scores = rng.normal(np.where(same, 8, -20), 10)
    data = json.loads(re.search(r'class="data">(.*?)</script>', threshold_widget(scores, same))[1])
    assert sum(data["genuine"]) == 200 and sum(data["impostor"]) == 300
    assert data["edges"][data["start"]] == 0 and len(data["edges"]) == len(data["genuine"]) + 1
    at_zero = data["start"]
    assert sum(data["genuine"][at_zero:]) == (scores[same] >= 0).sum()
    assert sum(data["impostor"][at_zero:]) == (scores[~same] >= 0).sum()
