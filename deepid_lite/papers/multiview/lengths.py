"""How long must each target be learned? Rank-1 on held-out people after trainings of several lengths.

A net of few epochs says how fast a target is learned and not what it teaches. So the lengths of the study `multiview`
come from here: from people who neither train nor test.
"""

import dataclasses
from pathlib import Path

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.nets.batches import fingerprint
from deepid_lite.nets.recipe import read_recipe
from deepid_lite.papers.multiview.net import features, train
from deepid_lite.papers.multiview.study import NETS, PEOPLE, draw_data
from deepid_lite.registry import study
from deepid_lite.verification.across_views import by_view, rank1_by_view

EPOCHS = (50, 100, 150, 250)
TOLERANCE = 1.0  # points: so close to the best of its lengths a net is as good as the best
LEARNERS = {"identification": {}, **{name: NETS[name] for name in ("MVP", "told the view", "frontal target")}}


@study
def lengths(setup, folder="runs/lengths", people=PEOPLE, epochs=EPOCHS, **changes):
    """Rank-1 by view of h2 on held-out people, of each net after each number of epochs; one training each.

    people: who train, and who are held out. chosen: for each net the smallest number of epochs that comes within
    TOLERANCE of its best. changes: of the preset's recipe.
    """
    if setup.name != "lite":
        raise DataError(f"lengths, scale {setup.name}: its people are drawn; use --scale lite")
    data, recipe = draw_data(people, test="held_out"), read_recipe("multiview", **changes)
    found = {}
    for name in LEARNERS:
        found[name] = {}
        for n in epochs:
            net = of_length(data, recipe, name, n, folder)
            h2 = [features(net, faces.images)["h2"] for faces in (data.train, data.test)]
            found[name][str(n)] = by_view([rank1_by_view(data.train, data.test, *h2)])
    return {
        "scale": setup.name, "people": list(people), "epochs": list(epochs), "tolerance": TOLERANCE,
        "recipe": dataclasses.asdict(recipe),
        "data_hash": "".join(fingerprint(faces.images, faces.labels) for faces in data),
        "rank1": found, "chosen": {name: shortest(of_net) for name, of_net in found.items()},
    }  # fmt: skip


def of_length(data, recipe, name, epochs, folder):
    """One of LEARNERS after so many epochs."""
    of_net = dataclasses.replace(recipe, epochs=epochs, net={**recipe.net, **LEARNERS[name]})
    place = Path(folder) / f"{name.replace(' ', '-')}-{epochs}"
    return train(data.train, data.clean, of_net, place, identify=name == "identification", device="cpu")


def shortest(of_net):
    """{epochs: {"mean": [rank-1, low, high]}} -> the smallest number of epochs that is within TOLERANCE of the best."""
    means = {int(n): found["mean"][0] for n, found in of_net.items()}
    return min(n for n, mean in means.items() if mean >= np.max(list(means.values())) - TOLERANCE)
