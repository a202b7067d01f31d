"""Embedded synthetic faces: people who do not exist, drawn under a yaw, a light, an expression and a camera.

A person is `sample_identity(person)`, an image of it adds `sample_nuisance(person, image)`; both depend on
nothing but the seed and these indices, so that any subset, in any order, has the same bytes. `draw` (of
`drawing`) turns the two into pixels and landmarks; `make_faces` does it for whole sets with ground-truth
attributes, which supervise no net.

    images, landmarks = draw(sample_identity(7), yaw=np.linspace(-60, 60, 9))     # one person turns the head
    images, landmarks = draw(sample_identity(7), neutral(4, glasses=[0, 1, 2, 3]))  # ... tries on glasses
"""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.synthetic.draw import MAX_YAW, draw, neutral
from deepid_lite.faces.synthetic.head import HAIR, HEIGHT, IDENTITY, NUISANCE, WIDTH, measures

# fmt: off
__all__ = ["ATTRIBUTES", "IDENTITY", "NUISANCE", "PARTS", "PERSON_ATTRIBUTES", "SyntheticFaces", "attributes",
           "draw", "lite_part", "make_faces", "neutral", "sample_identity", "sample_nuisance"]

# the person's own (never change between images of one person) and the image's
PERSON_ATTRIBUTES = ("black_hair", "brown_hair", "blond_hair", "red_hair", "gray_hair", "bald", "long_hair",
                     "fringe", "pale_skin", "dark_skin", "wrinkles", "freckles", "bushy_brows", "big_nose",
                     "thick_lips")
ATTRIBUTES = ("glasses", "sunglasses", "hat", "smiling", "mouth_open", "eyes_closed", "beard", "moustache",
              *PERSON_ATTRIBUTES)

# people and images of each; no person is in two parts
PARTS = {"train": (600, 20), "joint_bayesian": (200, 20), "test": (200, 20), "celebrities": (5, 100)}
FIRST_PERSON = {"train": 0, "joint_bayesian": 10_000, "test": 20_000, "celebrities": 30_000}
# fmt: on
LITE_SEED = 2015


@dataclass
class SyntheticFaces:
    """N drawn faces, not yet aligned, in the order person by person."""

    images: np.ndarray  # uint8 (N, 144, 128, 3) RGB
    labels: np.ndarray  # int64 (N,), 0 .. n_people - 1
    landmarks: np.ndarray  # float32 (N, 5, 2), pixels (x, y): eyes, nose tip, mouth corners; left first
    attributes: dict[str, np.ndarray]  # each of ATTRIBUTES -> bool (N,)
    yaw: np.ndarray  # float32 (N,), degrees, > 0: the nose moves to the image's right
    light: np.ndarray  # float32 (N, 2), azimuth (> 0: from the image's right) and elevation, degrees
    identity: np.ndarray  # float32 (N, len(IDENTITY)), each in [-1, 1]

    def __len__(self):
        return len(self.labels)


def sample_identity(person: int, seed: int = LITE_SEED) -> np.ndarray:
    """Identity numbers, float32 (len(IDENTITY),), uniform in [-1, 1], of person 0, 1, 2, ..."""
    person, seed = _index("person", person), _index("seed", seed)
    return np.random.default_rng([1, seed, person]).uniform(-1, 1, len(IDENTITY)).astype(np.float32)


def sample_nuisance(
    person: int,
    image: int,
    seed: int = LITE_SEED,
    *,
    yaw_limit: float = 60.0,
    jitter: float = 1.0,
    light_limit: float = 75.0,
    camera: float = 1.0,
) -> dict[str, float]:
    """Nuisance of one image of a person: name -> number, to hand to `draw`.

    `yaw_limit` and `light_limit` bound yaw and the light's azimuth, degrees; `jitter` scales roll, shift and
    size changes; `camera` scales exposure, colour cast, blur and noise. Small angles are more frequent than
    large ones.
    """
    person, image, seed = _index("person", person), _index("image", image), _index("seed", seed)
    for name, value, top in (
        ("yaw_limit", yaw_limit, MAX_YAW),
        ("jitter", jitter, 2),
        ("light_limit", light_limit, 90),
        ("camera", camera, 2),
    ):
        if not 0 <= value <= top:
            raise DataError(f"{name}={value!r}: give a number from 0 to {top:g}")
    rng = np.random.default_rng([2, seed, person, image])
    # one number from 0 to 1 for each nuisance and each decision, always drawn in this order
    u = dict(
        zip(
            [*NUISANCE, "smiles", "opens", "closes", "wears", "shaves", "hard"],
            rng.random(len(NUISANCE) + 6),
            strict=True,
        )
    )
    both = {name: 2 * value - 1 for name, value in u.items()}  # -1 .. 1
    habit = sample_identity(person, seed)[IDENTITY.index("glasses_habit")]
    wears = u["wears"] < (0.85 if habit > 0.45 else 0.05)
    shape = 2.0 if habit > 0.7 or u["glasses"] > 0.7 else 1.0
    return {
        "yaw": yaw_limit * np.sign(both["yaw"]) * abs(both["yaw"]) ** 1.5,
        "pitch": 10 * jitter * both["pitch"],
        "roll": 10 * jitter * both["roll"],
        "scale": 1 + 0.10 * jitter * both["scale"],
        "shift_x": 4 * jitter * both["shift_x"],
        "shift_y": 4 * jitter * both["shift_y"],
        "azimuth": light_limit * both["azimuth"],
        "elevation": 20 + 35 * both["elevation"],
        "contrast": 0.15 + 0.75 * u["contrast"],
        "smile": 0.5 + 0.5 * u["smile"] if u["smiles"] < 0.4 else -0.3 + 0.6 * u["smile"],
        "mouth_open": 0.35 + 0.65 * u["mouth_open"] if u["opens"] < 0.25 else 0.12 * u["mouth_open"],
        "brow_raise": both["brow_raise"],
        "eye_closure": 0.85 + 0.15 * u["eye_closure"] if u["closes"] < 0.05 else 0.25 * u["eye_closure"],
        "gaze": both["gaze"],
        "glasses": 3.0 if u["wears"] > 0.96 else shape * wears,
        "hat": 1.0 + (u["hat"] < 0.05) if u["hat"] < 0.10 else 0.0,
        "beard_growth": 0.0 if u["shaves"] < 0.12 else 0.7 + 0.3 * u["beard_growth"],
        "cloth_hue": u["cloth_hue"],
        "cloth_light": 0.1 + 0.7 * u["cloth_light"],
        "back_hue": u["back_hue"],
        "back_light": 0.08 + 0.85 * u["back_light"],
        "back_texture": u["back_texture"],
        "exposure": 0.5 * camera * both["exposure"],
        "warmth": camera * both["warmth"],
        "tint": camera * both["tint"],
        "blur": min(camera * max(2 * u["blur"] - 1, 0) ** 1.5, 1.0),
        "noise": 0.035 * camera * u["noise"],
        "texture": u["texture"],
    }


def attributes(identity: np.ndarray, nuisance: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Ground truth of `ATTRIBUTES`, bool (B,) each, from identity (B, K) and nuisance arrays (B,).

    Hair colour is what the head bears; a bald head has none. A hat hides hair but does not change its
    attribute.
    """
    m = measures(identity)
    n = {
        name: np.asarray(nuisance[name])
        for name in ("glasses", "hat", "smile", "mouth_open", "eye_closure", "beard_growth")
    }
    grown = n["beard_growth"] > 0.3
    hair = {f"{name}_hair": (m.hair_class == k) & ~m.bald for k, name in enumerate(HAIR)}
    found = {
        "glasses": n["glasses"] > 0.5,
        "sunglasses": n["glasses"] > 2.5,
        "hat": n["hat"] > 0.5,
        "smiling": n["smile"] > 0.4,
        "mouth_open": n["mouth_open"] > 0.3,
        "eyes_closed": n["eye_closure"] > 0.8,
        "beard": m.has_beard & grown,
        "moustache": m.has_moustache & grown,
        **hair,
        "bald": m.bald,
        "long_hair": m.long_hair,
        "fringe": m.fringe,
        "pale_skin": m.skin_tone < -0.5,
        "dark_skin": m.skin_tone > 0.4,
        "wrinkles": m.age > 0.4,
        "freckles": m.freckles > 0.55,
        "bushy_brows": m.brow_thick > 2.7,
        "big_nose": m.nose_width > 9.8,
        "thick_lips": m.lip_upper + m.lip_lower > 8.2,
    }
    return {name: np.asarray(found[name], bool) for name in ATTRIBUTES}


def make_faces(
    n_people: int,
    images_per_person: int,
    seed: int = LITE_SEED,
    first_person: int = 0,
    progress=None,
    limit: int | None = None,
    **limits,
) -> SyntheticFaces:
    """Draw `images_per_person` images of each of the people `first_person`, `first_person` + 1, ...

    Of all these only the first `limit`, where it is given; an image's bytes do not depend on how many are drawn.
    `progress(done, total)` is called as images are finished; `limits` are those of `sample_nuisance`. About
    55 kB of memory an image. Raises `DataError` on counts below 1 and limits out of range.
    """
    for name, value in (("n_people", n_people), ("images_per_person", images_per_person)):
        if _index(name, value) < 1:
            raise DataError(f"{name}={value}: give at least 1")
    first_person, total = _index("first_person", first_person), n_people * images_per_person
    total = total if limit is None else min(_index("limit", limit), total)
    people = np.arange(first_person, first_person + n_people)
    labels = np.repeat(np.arange(n_people), images_per_person)[:total]
    identity = np.stack([sample_identity(person, seed) for person in people])[labels]
    rows = [sample_nuisance(person, image, seed, **limits) for person in people for image in range(images_per_person)][
        :total
    ]
    nuisance = {name: np.array([row[name] for row in rows], np.float32) for name in NUISANCE}
    images, landmarks = np.empty((total, HEIGHT, WIDTH, 3), np.uint8), np.empty((total, 5, 2), np.float32)
    parts = [slice(start, min(start + 256, total)) for start in range(0, total, 256)]

    def fill(part):
        images[part], landmarks[part] = draw(identity[part], {name: v[part] for name, v in nuisance.items()})
        return part.stop

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # NumPy lets go of the interpreter while it computes
        for done in pool.map(fill, parts):
            if progress:
                progress(done, total)
    return SyntheticFaces(
        images,
        labels.astype(np.int64),
        landmarks,
        attributes(identity, nuisance),
        nuisance["yaw"],
        np.stack([nuisance["azimuth"], nuisance["elevation"]], axis=1),
        identity,
    )


def lite_part(part: str, limit: int | None = None, progress=None) -> SyntheticFaces:
    """One of the four parts of the lite set (`PARTS`: people and images of each), or its first `limit` images.

    No person is in two parts."""
    if part not in PARTS:
        raise DataError(f"part {part!r} of the synthetic faces is unknown: use one of {', '.join(PARTS)}")
    return make_faces(*PARTS[part], LITE_SEED, FIRST_PERSON[part], progress, limit)


@lru_cache
def mark() -> str:
    """A hash of what the generator draws of three people, for the names of cached sets.

    It changes with every change that makes other faces, and not with a comment in the code.
    """
    drawn = make_faces(3, 4, LITE_SEED)
    digest = hashlib.sha256(drawn.images.tobytes() + np.rint(100 * drawn.landmarks).astype("<i4").tobytes())
    for name in sorted(drawn.attributes):
        digest.update(name.encode() + np.ascontiguousarray(drawn.attributes[name]).tobytes())
    return digest.hexdigest()


def _index(name, value):
    """A whole number >= 0 as an int, or a DataError."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise DataError(f"{name}={value!r}: give a whole number from 0 on")
    return int(value)
