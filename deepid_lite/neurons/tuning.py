"""Tuning curves: how a neuron answers while the renderer turns one thing about a drawn face and keeps the rest.

Physiology measures a cell so: show one stimulus in many steps, and draw the answer over the steps. A photograph cannot
be turned, a drawn face can. The answer is taken *before* the ReLU: where it is negative the neuron is silent, and only
there one can see how far it is from speaking.
"""

import numpy as np
import torch

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import align
from deepid_lite.faces.regions import crop
from deepid_lite.faces.synthetic.people import IDENTITY, draw, sample_identity
from deepid_lite.verification.features import extract

# what is turned -> (label, steps); "age" belongs to the person, the others to the picture
FACTORS = {
    "yaw": ("head turned (degrees)", np.linspace(-45, 45, 9)),
    "azimuth": ("light from (degrees)", np.linspace(-75, 75, 9)),
    "smile": ("smile", np.linspace(-1, 1, 9)),
    "age": ("age", np.linspace(-1, 1, 9)),
    "glasses": ("no, thin, thick, dark glasses", np.arange(4.0)),
}


def turn(factor, people, steps=None):
    """Aligned faces of drawn people (their numbers) at each step of a factor, else neutral: (P, S, 144, 128, 3)."""
    if factor not in FACTORS:
        raise DataError(f"factor {factor!r}: use one of {', '.join(FACTORS)}")
    steps = FACTORS[factor][1] if steps is None else np.asarray(steps, float)
    faces = []
    for person in people:
        identity = np.repeat(sample_identity(person)[None], len(steps), axis=0)
        if factor == "age":
            identity[:, IDENTITY.index("age")] = steps
        images, landmarks = draw(identity, {} if factor == "age" else {factor: steps})
        faces.append(np.stack([align(*pair) for pair in zip(images, landmarks, strict=True)]))
    return np.stack(faces)


def before_relu(model, images, layer=4, flip=False):
    """What a feature layer hands to its ReLU for the pictures (N, 144, 128, 3): (N, D), or (N, 2 D) with their flips.

    Its positive part is the feature, as `extract` gives it.
    """
    caught = []
    last = model.net.feature_norms[str(layer)]
    hook = last.register_forward_hook(lambda _, __, out: caught.append(out.float().cpu()))
    try:
        extract(model.net, crop(images, model.region), flip=flip, layer=layer)
    finally:
        hook.remove()
    views = [torch.cat(caught[view :: 1 + flip]) for view in range(1 + flip)]
    return torch.cat(views, dim=1).numpy()


def tuning_curves(model, factor, people, layer=4):
    """Answers (P, S, D) before the ReLU of each neuron, for P people at the S steps of a factor."""
    faces = turn(factor, people)
    return before_relu(model, faces.reshape(-1, *faces.shape[2:]), layer).reshape(*faces.shape[:2], -1)


def shared(curves):
    """Share (D,) of what the steps change, people and steps (P, S, D), that they change for everybody alike, 0 to 1.

    Each person's curve is taken about its own mean. 1: all curves run parallel, however far apart. Near 1 / P: each
    person has a shape of their own, or the neuron does not answer to the steps.
    """
    about = curves - curves.mean(1, keepdims=True)
    total = about.var(axis=(0, 1))
    return np.divide(about.mean(0).var(0), total, out=np.zeros_like(total), where=total > 1e-12)
