"""Draw synthetic faces: many at once, soft-edged layers from the background to the glasses, in plain NumPy.

Every layer is a *coverage* in [0, 1] (a clipped signed distance to its outline, which anti-aliases the edge)
and a colour. Large layers cover the frame; eyes, nose, mouth and ears are drawn in small patches around their
projected places. Each pixel of the head is mapped back to face coordinates (u, v, z), so that skin, beard,
hairline and wrinkles turn with the head. Every operation is element by element: a face's bytes do not depend
on its neighbours in the batch.
"""

from types import SimpleNamespace

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.synthetic.brushes import banks, bump, col, edge, hue_colour, over, texture
from deepid_lite.faces.synthetic.hair import beard, hair, hair_behind, hat
from deepid_lite.faces.synthetic.head import (
    CENTRE_Y,
    HEIGHT,
    IDENTITY,
    NUISANCE,
    WIDTH,
    Pose,
    feature_points,
    landmarks,
    measures,
)
from deepid_lite.faces.synthetic.parts import ears, eyes, glasses, mouth, nose

CHUNK = 8  # faces drawn together: their planes stay in the processor's cache
MAX_YAW = 75.0


def draw(identity, nuisance=None, **overrides) -> tuple[np.ndarray, np.ndarray]:
    """Draw B faces: one person under B conditions, or B people.

    `identity` is (K,) or (B, K), the columns of `head_model.IDENTITY`, each in [-1, 1]. `nuisance` is a dict
    of numbers or (B,) arrays by the names of `head_model.NUISANCE`; keyword arguments override it; what is
    not given is neutral.

        draw(sample_identity(3), yaw=np.linspace(-60, 60, 9))

    Returns images, uint8 (B, 144, 128, 3) RGB, and landmarks, float32 (B, 5, 2), pixels (x, y): left eye,
    right eye, nose tip, left and right mouth corner. Raises `DataError` on unknown names, unequal lengths and
    NaN.
    """
    identity = np.atleast_2d(np.asarray(identity, np.float32))
    given = {**(nuisance or {}), **overrides}
    unknown = sorted(set(given) - set(NUISANCE))
    if unknown:
        raise DataError(f"nuisance {unknown[0]!r} is unknown: use one of {', '.join(NUISANCE)}")
    if identity.ndim != 2 or identity.shape[1] != len(IDENTITY):
        raise DataError(f"identity has shape {identity.shape}: give (B, {len(IDENTITY)}) numbers, see IDENTITY")
    values = {
        name: np.atleast_1d(np.asarray(given.get(name, neutral), np.float32)) for name, neutral in NUISANCE.items()
    }
    lengths = {len(identity)} | {v.size for v in values.values()}
    if len(lengths - {1}) > 1 or 0 in lengths or any(v.ndim != 1 for v in values.values()):
        raise DataError(f"lengths of identity and nuisance differ ({sorted(lengths)}): give one value or B values")
    if not np.isfinite(identity).all() or not all(np.isfinite(v).all() for v in values.values()):
        raise DataError("identity or nuisance holds NaN or infinity: give finite numbers")
    if np.abs(values["yaw"]).max() > MAX_YAW:
        raise DataError(f"yaw beyond +-{MAX_YAW:g} degrees cannot be drawn: the far eye is hidden there")
    count = max(lengths)
    identity = np.broadcast_to(identity, (count, len(IDENTITY)))
    values = {name: np.broadcast_to(v, (count,)) for name, v in values.items()}
    images, points = np.empty((count, HEIGHT, WIDTH, 3), np.uint8), np.empty((count, 5, 2), np.float32)
    # glibc returns freed memory to the system only beyond twice the largest block it has seen freed: one
    # large block keeps the planes' memory between chunks, which saves a quarter of the time
    np.empty(30 << 20, np.uint8)
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        images[part], points[part] = _draw_chunk(identity[part], {k: v[part] for k, v in values.items()})
    return images, points


def neutral(count: int = 1, **overrides) -> dict[str, np.ndarray]:
    """A frontal, softly lit, clean photograph: every nuisance as a float32 array (count,), with overrides."""
    unknown = sorted(set(overrides) - set(NUISANCE))
    if unknown:
        raise DataError(f"nuisance {unknown[0]!r} is unknown: use one of {', '.join(NUISANCE)}")
    return {
        name: np.array(np.broadcast_to(np.asarray(overrides.get(name, value), np.float32), (count,)))
        for name, value in NUISANCE.items()
    }


def _draw_chunk(identity, nuisance):
    face = SimpleNamespace(m=measures(identity), n=SimpleNamespace(**nuisance))
    face.pose = Pose(face.m, face.n)
    face.points = feature_points(face.m, face.n, face.pose)
    face.canvas = np.empty((3, len(identity), HEIGHT, WIDTH), np.float32)
    for layer in (_background, head_map, hair_behind, _neck, _skin, beard, eyes, mouth, nose, hair, ears, glasses, hat):
        layer(face)
    return _photograph(face), landmarks(face.points, face.pose)


# --- large layers ------------------------------------------------------------


def _background(face):
    n = face.n
    clutter = texture(face, "clutter", 1)
    light = col(0.25 * n.back_texture) * clutter
    light += col(n.back_light)
    light += col(0.12 * n.azimuth / 90) * np.linspace(-1, 1, WIDTH, dtype=np.float32)
    face.canvas[:] = light
    face.canvas *= col(hue_colour(n.back_hue, np.ones_like(n.back_hue), 0.35))


def head_map(face):
    """Map every pixel to the head and light it.

    The head is a stack of ellipses, half width a r(v) across and half depth d r(v) along the view, with one
    profile r for both. Turned by the yaw, a row's picture-plane x is r w sin(gamma), w the turned half width,
    so the face coordinate u follows with one square root. Sets planes (B, H, W): `head` coverage, `u`, `v`,
    `z`, `light`.
    """
    m, n, pose = face.m, face.n, face.pose
    rows = np.broadcast_to(np.arange(HEIGHT, dtype=np.float32), (len(n.yaw), HEIGHT))
    columns = np.broadcast_to(np.arange(WIDTH, dtype=np.float32), (len(n.yaw), WIDTH))
    x, y = pose.from_pixels(rows, columns)
    x += col(pose.recentre)
    middle = 68.0  # the widest row
    y += np.float32(CENTRE_Y - middle)
    face.x, face.down = x, y  # picture plane: from the head's axis to the right, from the widest row down
    below = np.maximum(y, 0)
    below *= col(1 / ((m.chin - middle) * pose.cos_pitch + 6 * pose.sin_pitch))
    below *= below
    above = np.minimum(y, 0)
    above *= col(1 / (middle - m.skull_top))
    above *= above
    r2 = 1 - _rounded(above, np.float32(0.4))
    r2 -= _rounded(below, col(m.jaw))
    below = np.minimum(below, 1)
    r2 *= 1 - col(m.taper) * below
    s = x - below * col(m.chin_forward * pose.sin_yaw)
    s *= col(1 / pose.half_width)
    q = s * s
    np.subtract(r2, q, out=q)
    face.head = edge(q * col(0.5 * pose.half_width * pose.scale))
    np.maximum(q, 0, out=q)
    np.sqrt(q, out=q)
    face.u = _mix(s, m.face_width * pose.cos_beta, q, -m.face_width * pose.sin_beta)
    face.z = _mix(s, m.face_depth * pose.sin_beta, q, m.face_depth * pose.cos_beta)
    # v: the row of a frontal face, which a pitch shifts by the depth z cos(yaw) - u sin(yaw)
    to_s = m.face_depth * pose.sin_beta * pose.cos_yaw - m.face_width * pose.cos_beta * pose.sin_yaw
    to_q = m.face_depth * pose.cos_beta * pose.cos_yaw + m.face_width * pose.sin_beta * pose.sin_yaw
    face.v = y - _mix(s, to_s * pose.sin_pitch, q, to_q * pose.sin_pitch)
    face.v += col(middle + 20 * pose.sin_pitch)
    radians = np.float32(np.pi / 180)
    face.light_x = np.sin(n.azimuth * radians) * np.cos(n.elevation * radians)
    face.light_y = -np.sin(n.elevation * radians)
    face.light_z = np.cos(n.azimuth * radians) * np.cos(n.elevation * radians)
    lit = _mix(np.clip(s, -1.2, 1.2), 0.85 * face.light_x, q, 0.85 * face.light_z)
    lit += y * col(face.light_y * np.float32(0.013))
    lit += np.float32(0.15)
    np.maximum(lit, 0, out=lit)
    lit *= col(1.35 * n.contrast)
    lit += col(1.02 - 0.75 * n.contrast)
    q *= np.float32(0.2)
    q += np.float32(0.8)  # skin seen at a grazing angle is darker
    face.light = lit
    face.light *= q
    # the outline of the hair, wider than the head and set back when it turns
    volume = m.hair_volume * ~m.bald
    wide = pose.half_width + 0.8 * volume + 1
    hair_s = x + col((4 + 0.8 * m.hair_volume) * pose.sin_yaw)
    hair_s *= col(1 / (wide + 3 * np.abs(pose.sin_yaw)))
    hair_s *= hair_s
    above *= col(((middle - m.skull_top) / (middle - m.skull_top + volume + 1)) ** 2)
    hair_s += _rounded(above, np.float32(0.4))
    np.subtract(1, hair_s, out=hair_s)
    hair_s *= col(0.5 * wide * pose.scale)
    face.hair_distance = hair_s


def _rounded(squared, square):
    """(1 - k) t^2 + k t^4 from t^2: how fast a profile closes, round (k = 0) to square (k = 1)."""
    out = squared * square
    out += 1 - square
    out *= squared
    return out


def _mix(s, a, q, b):
    """a s + b q, with planes s, q (B, H, W) and numbers a, b (B,)."""
    out = s * col(a)
    out += q * col(b)
    return out


def _neck(face):
    m, n, start = face.m, face.n, 92
    x, y, canvas = face.x[:, start:], face.down[:, start:], face.canvas[:, :, start:]
    middle = col(face.points["neck"][0] + face.pose.recentre)
    across = np.abs(x - middle) / col(0.52 * m.face_width)
    light = 0.70 * face.light[:, start:] + np.float32(0.18)
    light -= col(0.25 * (1 - np.abs(n.azimuth) / 180)) * bump((y - col(m.chin - 68)) ** 2 / 160)
    over(canvas, light * col(m.skin), edge((1 - across) * 18) * edge(y - 20))
    shoulder = y - 60 - 5 * bump(across * across) - 2.5 * across * np.float32(0.6)
    cloth = hue_colour(n.cloth_hue, n.cloth_light)
    over(canvas, col(cloth) * (0.75 + 0.25 * face.light[:, start:]), edge(shoulder + across * 0.5))


def _skin(face):
    m, n = face.m, face.n
    u, v, tone = face.u, face.v, face.light.copy()
    age = np.clip((m.age - 0.35) / 0.65, 0, 1)
    au = np.abs(u)
    for b in np.flatnonzero((age > 0) | (n.smile > 0.2) | (m.freckles > 0.5)):
        tone[b, 14:124] *= _lines(face, b, age[b], np.abs(u[b, 14:124]), v[b, 14:124])
    rows = slice(50, 118)
    cheek = bump((au[:, rows] - 21) ** 2 / 90 + (v[:, rows] - 86) ** 2 / 80)
    cheek *= col(0.16 * m.blush)
    np.subtract(1, cheek, out=cheek)
    colour = tone * col(m.skin)
    colour[1:, :, rows] *= cheek
    over(face.canvas, colour, face.head)


def _lines(face, b, age, u, v):
    """Factor on image b's skin at |u|, v: wrinkles, the folds of a smile, freckles."""
    m, n = SimpleNamespace(**{k: x[..., b] for k, x in vars(face.m).items()}), face.n
    below_nose = v - m.nose_tip
    fold = bump(((u - m.nose_width - 2 - 0.42 * below_nose) / 1.3) ** 2) * bump(((below_nose - 9) / 6.5) ** 2)
    factor = 1 - (0.16 * max(n.smile[b], 0) + (0.2 + 0.2 * age) * (age > 0)) * fold
    if age > 0:  # lines across the forehead and under the eyes
        wave = 1 - np.abs(np.mod(v + 0.006 * u * u - 1, 6.0) - 3) / 0.9
        lines = np.maximum(wave, 0) * bump((u / 13) ** 2 + ((v - 42 + 2 * n.brow_raise[b]) / 6) ** 2) * 0.7
        bag = v - m.eye_height - 9 + 0.03 * (u - m.eye_distance) ** 2
        lines += 0.8 * bump((bag / 1.1) ** 2 + ((u - m.eye_distance) / 6) ** 2)
        factor *= 1 - (0.22 + 0.2 * age) * np.minimum(lines, 1)
    if m.freckles > 0.5:
        spots = banks()["spots"][(v * 2.2).astype(int) % 512, (u * 2.2).astype(int) % 512]
        factor *= 1 - 0.34 * bump(((u - 15) / 11) ** 2 + ((v - 80) / 10) ** 2) * edge(spots - 1.2, 2)
    return factor


def _photograph(face):
    """What the camera adds: exposure, colour cast, blur, noise; then 8 bits."""
    n, canvas = face.n, face.canvas
    gain = np.exp2(n.exposure) * np.stack(
        [1 + 0.14 * n.warmth + 0.05 * n.tint, 1 - 0.06 * n.tint, 1 - 0.14 * n.warmth + 0.05 * n.tint]
    )
    canvas *= col(gain.astype(np.float32))
    np.clip(canvas, 0, 1.3, out=canvas)
    soft = np.flatnonzero(n.blur > 0.02)
    for step in (1, 2):
        for axis in (2, 3):
            if len(soft):
                _smooth(canvas, soft, (0.33 * n.blur[soft]).astype(np.float32), step, axis)
    for c in range(3):
        canvas[c] += col(n.noise) * texture(face, "white", 7 + c)
    canvas *= 255
    canvas += np.float32(0.5)
    np.clip(canvas, 0, 255, out=canvas)
    out = np.empty((*canvas.shape[1:], 3), np.uint8)
    for c in range(3):
        np.copyto(out[..., c], canvas[c], casting="unsafe")
    return out


def _smooth(canvas, chosen, weight, step, axis):
    """In place: w, 1 - 2w, w along one axis with the neighbours `step` pixels away (edges keep their
    value)."""
    part = canvas[:, chosen]
    middle = [slice(None)] * 4
    left, right = list(middle), list(middle)
    middle[axis], left[axis], right[axis] = slice(step, -step), slice(None, -2 * step), slice(2 * step, None)
    around = part[tuple(left)] + part[tuple(right)]
    around -= 2 * part[tuple(middle)]
    around *= col(weight)
    part[tuple(middle)] += around
    canvas[:, chosen] = part
