"""Does a richer target teach more? The lecture's thread, with equal neurons and pictures.

Its systems predict more and more: whether two pictures are one person (a bit), the name, the frontal picture, the
picture in every view. They also grew, and saw other data. Here the neurons up to h2 learn from each of these targets on
the same drawn people, each for as long as it needs, three of them in other studios, too; and S samples and K random
neurons of EM are varied.
"""

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from deepid_lite.errors import DataError
from deepid_lite.faces.synthetic.views import VIEWS
from deepid_lite.nets import losses, training
from deepid_lite.nets.batches import fingerprint
from deepid_lite.nets.deepid import build, to_input
from deepid_lite.nets.recipe import Recipe, read_recipe
from deepid_lite.papers.multiview.net import Labelled, features, train, view_of
from deepid_lite.papers.multiview.study import (
    LIGHTS,
    PEOPLE,
    SEEDS,
    draw_data,
    drawn_views,
    folder_of,
    for_net,
    view_error,
)
from deepid_lite.registry import study
from deepid_lite.verification.across_views import baselines, by_view, estimate, rank1_by_view

STUDIOS = {
    "40 people": dict(people=40, lights=3),
    "six lights": dict(people=120, lights=6),
    "expressions": dict(people=120, lights=3, expression=1.0),
    "smaller steps": dict(people=120, lights=3, lr=5e-4),  # a quarter of the preset's rate: fewer neurons fall silent
    "a third of the steps": dict(people=120, lights=3, times=1 / 3),
}
TARGETS = ("pair", "name", "name and pair", "frontal picture", "all views")
# targets whose nets the study `multiview` has trained
TRAINED = {"name": "identification", "frontal picture": "frontal target", "all views": "MVP"}
IN_ALL = ("name", "frontal picture", "all views")  # those that learn in every other studio
OWN = "S = 8, K = 2"  # the preset's own
ABLATIONS = {
    "S = 1": {"samples": 1}, "S = 20": {"samples": 20}, "K = 1": {"random": 1}, "K = 8": {"random": 8},
}  # fmt: skip
DEEPID2PLUS = dict(
    architecture="DeepID2Plus", net={"maps": 8, "dimension": 80, "batch_norm": True, "dropout": 0.0}, weight=0.5,
    ramp=0.5, verification={"normalise": True}, vary=0.0, images_per_person=3,
)  # fmt: skip


class Pairs(nn.Module):
    """The verification signal on h2: are two pictures of a batch one person? With `name` identification as well.

    Batch (x, people); lambda = 0.5 as in the preset `lite`, and distances of unit vectors as there.
    """

    def __init__(self, net, n_people, name=False):
        super().__init__()
        self.net, self.verification = net, losses.Verification(normalise=True)
        self.identification = losses.Identification(net.u[1].out_features, n_people) if name else None

    def forward(self, batch, progress):
        x, people = batch
        h2 = self.net.identity(x)[1]
        parts = {"verification": self.verification(h2, people)}
        if self.identification is None:
            return parts["verification"], parts
        parts["identification"] = self.identification(h2, people)
        return parts["identification"] + 0.5 * parts["verification"], parts


def of_target(data, target, recipe, folder):
    """The net whose neurons learned from one of TARGETS.

    data: see `draw_data`. recipe: of the preset `multiview`. folder: of the training.
    """
    if target == "frontal picture":
        recipe = dataclasses.replace(recipe, net={**recipe.net, "code": "view", "views": (0,)})
    if target not in TARGETS:
        raise DataError(f"target {target!r}: use {', '.join(TARGETS)}")
    if "pair" not in target:
        return train(data.train, data.clean, recipe, folder, identify=target == "name", device="cpu")
    torch.manual_seed(recipe.seed)
    net = build({**recipe.net, "architecture": recipe.architecture})
    objective = Pairs(net, int(data.train.labels.max()) + 1, name="name" in target)
    batches = Labelled(data.train, data.clean, net.config["views"], recipe)
    return training.fit(objective, batches, recipe, folder, device="cpu")


def deepid2plus(data, recipe, folder):
    """DeepID2+ with few maps on the same pictures, enlarged to its 55 x 47: FC-4 of training and test people.

    Of a longer recipe it takes ENOUGH epochs, after which it names nearly everybody.
    """
    crops = [_enlarged(faces.images) for faces in (data.train, data.test)]
    of_net = Recipe(**DEEPID2PLUS, epochs=min(recipe.epochs, ENOUGH), **{key: getattr(recipe, key) for key in SHARED})
    net = training.train(crops[0], data.train.labels, of_net, folder, device="cpu")
    with torch.no_grad():
        return [
            torch.cat([net(to_input(x).permute(0, 3, 1, 2))[4] for x in torch.as_tensor(crop).split(500)]).numpy()
            for crop in crops
        ]


ENOUGH = 50
SHARED = ("batch_size", "lr", "weight_decay", "warmup", "precision", "seed")


def _enlarged(images):
    """Grey uint8 (N, 32, 32) -> uint8 (N, 55, 47, 3)."""
    big = F.interpolate(torch.as_tensor(images)[:, None].float(), (55, 47), mode="bilinear", align_corners=False)
    return big.round().byte()[:, 0, :, :, None].expand(-1, -1, -1, 3).contiguous().numpy()


@study
def supervision(setup, folder="runs/multiview", people=PEOPLE, seeds=SEEDS, **changes):
    """Rank-1 by view of one net taught by each target; and S and K of the multi-view perceptron.

    Data and folder are those of the study `multiview`: nets that it has trained are read from there. Numbers with
    intervals have the same form. seeds: DeepID2+, which takes longest, and the ablations are of the first of them.
    changes: of the recipe `multiview`. h2: percent of its neurons that are active on a test picture, and that never are
    on the training pictures, the mean over the seeds.
    """
    recipe, folder = _recipe(setup, "supervision", changes), Path(folder)
    data = draw_data(people)
    return _facts(setup, recipe, seeds, [data]) | {
        "people": list(people), "rank1": _rates(data, recipe, folder, seeds, TARGETS),
        "ablations": _ablations(data, recipe, folder),
    }  # fmt: skip


@study
def studios(setup, folder="runs/studios", test=PEOPLE[1], **changes):
    """The same for three of the targets where people, lights, expressions or the recipe differ; one training each.

    All nets take as many steps as those of `supervision`, whatever the number of pictures, but for the last studio's.
    test: people who test.
    """
    recipe, found, drawn = _recipe(setup, "studios", changes), {}, []
    steps = recipe.epochs * (PEOPLE[0] * len(VIEWS) * LIGHTS // recipe.batch_size)
    for name, studio in STUDIOS.items():
        drawn.append(draw_data((studio["people"], test), studio["lights"], studio.get("expression", 0.0)))
        an_epoch = len(drawn[-1].train) // recipe.batch_size
        epochs = max(1, round(studio.get("times", 1) * steps / an_epoch))
        of_studio = dataclasses.replace(recipe, epochs=epochs, lr=studio.get("lr", recipe.lr))
        place = Path(folder) / name.replace(" ", "-")
        found[name] = _rates(drawn[-1], of_studio, place, [recipe.seed], IN_ALL)
    return _facts(setup, recipe, [recipe.seed], drawn) | {"test people": test, "steps": steps, "studios": found}


def _recipe(setup, name, changes):
    if setup.name != "lite":
        raise DataError(f"{name}, scale {setup.name}: its people are drawn; use --scale lite")
    return read_recipe("multiview", **changes)


def _facts(setup, recipe, seeds, drawn):
    hashes = [fingerprint(faces.images, faces.labels) for data in drawn for faces in data]
    return {"scale": setup.name, "views": list(VIEWS), "seeds": list(seeds), "recipe": dataclasses.asdict(recipe),
            "data_hash": "".join(hashes)}  # fmt: skip


def _rates(data, recipe, folder, seeds, targets):
    """{features: rank-1 by view, and of nets {"h2": [% active, % silent]}}; with all TARGETS also two other nets."""
    rates, neurons = {}, {}

    def add(name, of_train, of_test):
        rates.setdefault(name, []).append(rank1_by_view(data.train, data.test, of_train, of_test))

    def add_net(name, net):
        of_train, of_test = (features(net, faces.images)["h2"] for faces in (data.train, data.test))
        add(name, of_train, of_test)
        neurons.setdefault(name, []).append([100 * (of_test > 0).mean(), 100 * (of_train.max(0) <= 0).mean()])

    for name, of_train, of_test in zip(baselines(data.train), *(baselines(x).values() for x in data[::2]), strict=True):
        add(name, of_train, of_test)
    for seed in seeds:
        of_seed, place = dataclasses.replace(recipe, seed=seed), folder / f"seed-{seed}"
        for target in targets:
            of_net = for_net(of_seed, TRAINED.get(target, "identification"))  # pairs learn as long as names
            add_net(target, of_target(data, target, of_net, folder_of(place, TRAINED.get(target, target))))
        if targets == TARGETS:
            torch.manual_seed(seed)
            add_net("untrained", build({**recipe.net, "architecture": recipe.architecture}).eval())
        if targets == TARGETS and seed == seeds[0]:
            add("DeepID2+", *deepid2plus(data, of_seed, place / "deepid2plus"))
    return {
        name: by_view(found)
        | {"people": np.round(np.mean(found, 2), 3).tolist()}
        | ({"h2": np.round(np.mean(neurons[name], 0), 1).tolist()} if name in neurons else {})
        for name, found in rates.items()
    }


def _ablations(data, recipe, folder):
    """Rank-1, error of drawn pictures and of the view, of nets of the first seed: {name: {measure: [mean, low, high]}}.

    The preset's own, S = 8 and K = 2, comes first.
    """
    found = {}
    for name, changes in {"MVP": {}, **ABLATIONS}.items():
        of_net = dataclasses.replace(recipe, net={**recipe.net, **changes})
        net = train(data.train, data.clean, of_net, folder_of(folder / f"seed-{recipe.seed}", name), device="cpu")
        h2 = [features(net, faces.images)["h2"] for faces in (data.train, data.test)]
        tables = {
            "rank1": rank1_by_view(data.train, data.test, *h2),
            "drawn": drawn_views(net, data)["error"],
            "view error": view_error(data.test, view_of(net, data.test.images)),
        }
        found[OWN if name == "MVP" else name] = {measure: estimate(table.mean(1)) for measure, table in tables.items()}
    return found
