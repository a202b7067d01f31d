"""Scenes for a locator: a drawn person somewhere on clutter, the true square of the face, and clutter without anybody.

A person is cut out of two drawings that differ in the background's light alone: where both agree is the person, and
where they differ most is the background (two-shot matting). The clutter has colours of skin and textures of hair, so
that neither gives a face away.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from deepid_lite.errors import DataError
from deepid_lite.faces.synthetic.brushes import banks, hue_colour
from deepid_lite.faces.synthetic.draw import draw
from deepid_lite.faces.synthetic.head import HAIR, NUISANCE, SKIN
from deepid_lite.faces.synthetic.people import ATTRIBUTES, LITE_SEED, attributes, sample_identity, sample_nuisance

SIDE = 64  # of a scene, pixels
FACE = (0.3, 0.8)  # side of the face's square, as a share of the scene's
FIRST_PERSON = {"train": 60_000, "validation": 70_000, "test": 80_000}  # nobody of the lite set
LIGHTS = 0.45, 0.15  # of the two backgrounds
SIZE = 0.72  # of a head in the drawing, so that hair and hats fit


@dataclass
class Scenes:
    """N scenes. boxes: left, top, width and height of the face in pixels; nan where there is no face."""

    images: np.ndarray  # uint8 (N, SIDE, SIDE, 3)
    boxes: np.ndarray  # float64 (N, 4)
    people: np.ndarray  # int64 (N,), 0 .. P-1
    attributes: np.ndarray  # bool (N, A), by the names of ATTRIBUTES or others

    def __len__(self):
        return len(self.images)


def face_square(landmarks):
    """The square about a face, (N, 4): in the middle between eyes and mouth, twice as wide as they are apart.

    landmarks: (N, 5, 2), pixels (x, y).
    """
    eyes, mouth = landmarks[:, :2].mean(1), landmarks[:, 3:].mean(1)
    side = 2 * np.hypot(*(eyes - mouth).T)[:, None]
    return np.concatenate([(eyes + mouth - side) / 2, side, side], 1)


def make_scenes(n_people, pictures=4, times=1, part="train", seed=LITE_SEED):
    """Draw `pictures` of each of n_people and put each on clutter `times` times -> Scenes.

    part: "train", "validation" or "test", whose people are others. DataError for numbers below 1 and another part.
    """
    if part not in FIRST_PERSON:
        raise DataError(f"part {part!r}: use {', '.join(FIRST_PERSON)}")
    for name, value in (("n_people", n_people), ("pictures", pictures), ("times", times)):
        if not isinstance(value, int | np.integer) or not 1 <= value <= 10_000:
            raise DataError(f"{name} = {value!r}: give a whole number from 1 to 10,000")
    people = np.repeat(np.arange(n_people), pictures)
    cut, landmarks, known = cut_out(FIRST_PERSON[part] + people, np.tile(np.arange(pictures), n_people), seed)
    squares = face_square(landmarks)
    rng = np.random.default_rng([4, seed, FIRST_PERSON[part]])
    rows = np.tile(np.arange(len(people)), times)
    placed = [_place(rng, cut[row], squares[row]) for row in rows]
    images = np.stack([image for image, _ in placed])
    return Scenes(images, np.stack([box for _, box in placed]), people[rows], known[rows])


def make_clutter(n, seed=LITE_SEED):
    """n scenes without a face -> Scenes, each of a person of its own."""
    rng = np.random.default_rng([5, seed])
    images = np.stack([_photograph(rng, clutter(rng)) for _ in range(n)])
    return Scenes(images, np.full((n, 4), np.nan), np.arange(n), np.zeros((n, len(ATTRIBUTES)), bool))


def cut_out(people, pictures, seed=LITE_SEED):
    """Drawn people without background: uint8 (N, 144, 128, 4), colours times coverage, and coverage.

    people, pictures: int (N,). Also landmarks (N, 5, 2) and attributes bool (N, A).
    """
    identity = np.stack([sample_identity(int(person), seed) for person in people])
    rows = [
        sample_nuisance(int(person), int(picture), seed, yaw_limit=45.0, camera=0.6)
        for person, picture in zip(people, pictures, strict=True)
    ]
    told = {name: np.array([row[name] for row in rows], np.float32) for name in NUISANCE}
    known = np.stack(list(attributes(identity, told).values()), 1)
    told |= {name: np.float32(0) for name in ("noise", "blur", "back_texture")}
    told |= {"scale": SIZE * told["scale"], "back_hue": np.float32(0.3)}
    (bright, landmarks), (dark, _) = (draw(identity, told | {"back_light": np.float32(light)}) for light in LIGHTS)
    bright, dark = bright.astype(np.float32), dark.astype(np.float32)
    step = np.quantile((bright - dark).reshape(len(bright), -1, 3), 0.95, axis=1)  # of the background's colour
    clear = np.clip((bright - dark).sum(3) / step.sum(1)[:, None, None], 0, 1)
    slope = LIGHTS[0] + 0.12 * told["azimuth"][:, None] / 90 * np.linspace(-1, 1, bright.shape[2])
    behind = slope[:, None, :, None] * (step / (LIGHTS[0] - LIGHTS[1]))[:, None, None]
    person = np.clip(bright - clear[..., None] * behind, 0, 255)
    cut = np.concatenate([person, 255 * (1 - clear[..., None])], 3)
    cut[cut[..., 3] < 10] = 0
    return np.rint(cut).astype(np.uint8), landmarks, known


def _place(rng, cut, square):
    """The person on clutter, at a place and size where the face's square is whole -> (image, box)."""
    side = rng.uniform(*FACE) * SIDE
    scale = side / square[2]
    cut = np.concatenate([cut, np.repeat(cut[-1:], int(SIDE / scale) + 1, 0)])  # the chest goes on downwards
    middle = square[:2] + square[2:] / 2 + 0.5
    if rng.random() < 0.5:
        cut, middle = cut[:, ::-1], np.array([cut.shape[1] - middle[0], middle[1]])
    at = rng.uniform(side / 2, SIDE - side / 2, 2)
    first = middle - at / scale  # the scene's corner in the drawing
    pad = int(np.ceil(SIDE / scale)) + 2
    cut = np.pad(cut, ((pad, pad), (pad, pad), (0, 0)))
    window = (*(first + pad), *(first + pad + SIDE / scale))
    planes = [
        plane.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=window) for plane in Image.fromarray(cut).split()
    ]
    person = np.stack([np.asarray(plane, np.float32) for plane in planes], 2)
    image = person[..., :3] + clutter(rng) * (1 - person[..., 3:] / 255)
    return _photograph(rng, image), np.array([*(at - side / 2), side, side])


def clutter(rng):
    """Shapes and textures in the colours of skin, hair and cloth: float (SIDE, SIDE, 3), 0 .. 255."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    picture = _colour(rng) * rng.uniform(0.6, 1) + 0.1 * _texture(rng, "clutter") * rng.random(3)
    for _ in range(rng.integers(5, 14)):
        x, y = rng.random(2) * SIDE
        wide, high = SIDE * (0.04 + 0.3 * rng.random(2) ** 1.5)
        angle = rng.uniform(0, np.pi)
        u = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
        v = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle)
        if rng.random() < 0.5:
            distance = (1 - np.sqrt((u / wide) ** 2 + (v / high) ** 2)) * min(wide, high)
        else:
            distance = np.minimum(wide - np.abs(u), high - np.abs(v))
        texture = _texture(rng, ("clutter", "strands", "curls", "stubble", "spots")[rng.integers(5)])
        shade = 1 + rng.uniform(0, 0.3) * texture + rng.uniform(-0.15, 0.15) * (u / wide)[..., None]
        picture += (_colour(rng) * shade - picture) * np.clip(distance + 0.5, 0, 1)[..., None]
    return np.clip(picture, 0, 1) * 255


def _texture(rng, name):
    bank = banks()[name]
    top, left = rng.integers(0, len(bank) - SIDE, 2)
    return bank[top : top + SIDE, left : left + SIDE, None]


def _colour(rng):
    """Of skin (three of ten), hair (a quarter), or any."""
    kind = rng.random()
    if kind < 0.3:
        return SKIN[rng.integers(len(SKIN))]
    if kind < 0.55:
        _, dark, light = list(HAIR.values())[rng.integers(len(HAIR))]
        return np.array(dark) + (np.array(light) - np.array(dark)) * rng.random()
    return hue_colour(rng.random(1), rng.uniform(0.1, 0.9, 1))[:, 0]


def _photograph(rng, picture):
    """Exposure and noise, then 8 bits."""
    picture = picture * 2 ** rng.uniform(-0.4, 0.4) + rng.normal(0, rng.uniform(0, 6), picture.shape)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)
