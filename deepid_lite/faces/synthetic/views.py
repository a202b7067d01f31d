"""Drawn people who turn their heads: each at the same yaws and under the same lights, as in a studio.

Multi-PIE has such pictures of real people and may not be handed on; this set has its layout. Everything but the person,
the view and the light is neutral. Place, size, roll, exposure and noise jitter a little, and strands of hair fall anew,
so that pixels cannot be compared one by one. A head's middle is the picture's middle whatever its yaw.
"""

from dataclasses import dataclass

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.synthetic.draw import MAX_YAW, draw
from deepid_lite.faces.synthetic.head import NUISANCE
from deepid_lite.faces.synthetic.people import LITE_SEED, sample_identity

VIEWS = tuple(range(-60, 61, 15))  # degrees of yaw
# azimuth, elevation (degrees) and contrast of each light; the first is the neutral one
LIGHTS = ((0, 25, 0.45), (-65, 15, 0.8), (65, 15, 0.8), (0, 55, 0.8),
          (-35, 40, 0.9), (35, 40, 0.9), (-75, 0, 0.6), (75, 0, 0.6))  # fmt: skip
LEFT, TOP, SIDE = 16, 24, 96  # the square that is kept of 128 x 144 drawn pixels
PIXELS = 32  # of a side, after averaging
JITTER = {"roll": (-2, 2), "scale": (-0.03, 0.03), "shift_x": (-1.5, 1.5), "shift_y": (-1.5, 1.5),
          "exposure": (-0.5, 0.5), "noise": (0, 0.06), "texture": (0, 1)}  # fmt: skip
EXPRESSION = {"smile": (-0.5, 1), "mouth_open": (0, 0.8), "brow_raise": (-1, 1), "eye_closure": (0, 0.6)}
# nobody of the lite set, of videos or of scenes; people from 50,000 on tested the first records and are retired
FIRST_PERSON = {"train": 40_000, "held_out": 45_000, "test": 90_000}


@dataclass
class ViewFaces:
    """N pictures in the order person, view, light."""

    images: np.ndarray  # uint8 (N, 32, 32), grey
    labels: np.ndarray  # int64 (N,), 0 .. n_people - 1
    views: np.ndarray  # int64 (N,), degrees of yaw, > 0: the nose moves to the image's right
    lights: np.ndarray  # int64 (N,), rows of LIGHTS
    landmarks: np.ndarray  # float32 (N, 5, 2), pixels (x, y): eyes, nose tip, mouth corners; left first

    def __len__(self):
        return len(self.labels)

    @property
    def in_gallery(self):
        """bool (N,): frontal and in neutral light, one picture a person; DataError where a person has none."""
        chosen = (self.views == 0) & (self.lights == 0)
        without = np.setdiff1d(self.labels, self.labels[chosen])
        if len(without):
            raise DataError(f"person {without[0]}: no frontal picture in neutral light; add view 0 to views")
        return chosen

    def subset(self, chosen):
        """The pictures of a mask or of indices; people keep their numbers."""
        return ViewFaces(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def make_views(n_people, views=VIEWS, lights=4, seed=LITE_SEED, part="test", jitter=1.0, expression=0.0):
    """Draw each of `n_people` people at each of the views, in whole degrees, under the first `lights` of LIGHTS.

    part: one of FIRST_PERSON, whose people are others. jitter: its strength; 0 gives clean pictures. expression: how
    far smiles, mouths, brows and eyelids move. A picture's bytes depend on seed, person, view and light alone. Returns
    `ViewFaces`; DataError for numbers out of range.
    """
    views = np.atleast_1d(views)
    if part not in FIRST_PERSON:
        raise DataError(f"part {part!r}: use {', '.join(FIRST_PERSON)}")
    for name, value, top in (("n_people", n_people, 10_000), ("lights", lights, len(LIGHTS))):
        if not isinstance(value, int | np.integer) or not 1 <= value <= top:
            raise DataError(f"{name} = {value!r}: give a whole number from 1 to {top}")
    if views.dtype.kind not in "iu" or not len(views) or np.abs(views).max() > MAX_YAW:
        raise DataError(f"views {views.tolist()}: give whole degrees from -{MAX_YAW:g} to {MAX_YAW:g}")
    for name, value in (("jitter", jitter), ("expression", expression)):
        if not 0 <= value <= 2:
            raise DataError(f"{name} = {value!r}: give a number from 0 to 2")
    of_view, of_light = (
        np.tile(column, n_people) for column in (np.repeat(views, lights), np.tile(np.arange(lights), len(views)))
    )
    labels = np.repeat(np.arange(n_people), len(views) * lights)
    images, landmarks = np.empty((len(labels), PIXELS, PIXELS), np.uint8), np.empty((len(labels), 5, 2), np.float32)
    for start in range(0, len(labels), 64):
        rows = slice(start, start + 64)
        people = [FIRST_PERSON[part] + int(label) for label in labels[rows]]
        changes = [
            _changes(seed, *which, jitter, expression)
            for which in zip(people, of_view[rows], of_light[rows], strict=True)
        ]
        drawn, points = draw(np.stack([sample_identity(person, seed) for person in people]),
                             {name: [change[name] for change in changes] for name in changes[0]})  # fmt: skip
        images[rows], landmarks[rows] = cut(drawn), (points - (LEFT, TOP) + 0.5) * PIXELS / SIDE - 0.5
    return ViewFaces(images, labels, of_view.astype(np.int64), of_light.astype(np.int64), landmarks)


def _changes(seed, person, view, light, jitter, expression):
    """What `draw` is told of one picture."""
    random = np.random.default_rng([3, seed, person, view + 90, light])
    azimuth, elevation, contrast = LIGHTS[light]
    changes = {"yaw": view, "azimuth": azimuth, "elevation": elevation, "contrast": contrast}
    for strength, ranges in ((jitter, JITTER), (expression, EXPRESSION)):
        for name, (low, high) in ranges.items():
            changes[name] = NUISANCE[name] + strength * random.uniform(low, high)
    return changes


def cut(drawn):
    """uint8 (B, 144, 128, 3) -> (B, 32, 32): the middle, in shades of grey, each pixel a mean of 3 x 3."""
    grey = drawn[:, TOP : TOP + SIDE, LEFT : LEFT + SIDE].astype(np.float32) @ np.float32([0.299, 0.587, 0.114])
    blocks = grey.reshape(len(grey), PIXELS, SIDE // PIXELS, PIXELS, SIDE // PIXELS)
    return np.rint(blocks.mean((2, 4))).astype(np.uint8)
