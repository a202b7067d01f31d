"""Draw synthetic faces: many at once, soft-edged layers from the background to the glasses, in plain NumPy.

Every layer is a *coverage* in [0, 1] (a clipped signed distance to its outline, which anti-aliases the edge)
and a colour. Large layers cover the frame; eyes, nose, mouth and ears are drawn in small patches around their
projected places. Each pixel of the head is mapped back to face coordinates (u, v, z), so that skin, beard,
hairline and wrinkles turn with the head. Every operation is element by element: a face's bytes do not depend
on its neighbours in the batch.
"""

from functools import lru_cache
from types import SimpleNamespace

import numpy as np
from scipy.ndimage import gaussian_filter

from .errors import DataError
from .head_model import CENTRE_Y, HEIGHT, IDENTITY, NUISANCE, WIDTH, Pose, feature_points, landmarks, measures

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
        raise DataError(
            f"identity has shape {identity.shape}: give (B, {len(IDENTITY)}) numbers, see IDENTITY"
        )
    values = {
        name: np.atleast_1d(np.asarray(given.get(name, neutral), np.float32))
        for name, neutral in NUISANCE.items()
    }
    lengths = {len(identity)} | {v.size for v in values.values()}
    if len(lengths - {1}) > 1 or 0 in lengths or any(v.ndim != 1 for v in values.values()):
        raise DataError(
            f"lengths of identity and nuisance differ ({sorted(lengths)}): give one value or B values"
        )
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
    for layer in (
        _background,
        head_map,
        _hair_behind,
        _neck,
        _skin,
        _beard,
        _eyes,
        _mouth,
        _nose,
        _hair,
        _ears,
        _glasses,
        _hat,
    ):
        layer(face)
    return _photograph(face), landmarks(face.points, face.pose)


# --- small tools ------------------------------------------------------------


def col(x):
    """(..., B) -> (..., B, 1, 1), to meet planes (B, h, w)."""
    return x[..., None, None]


def edge(distance, softness=1.6):
    """Coverage of a shape from the signed distance to its outline in pixels (> 0 inside)."""
    out = distance * np.float32(1 / softness)
    out += np.float32(0.5)
    return np.clip(out, 0, 1, out=out)


def bump(squared):
    """exp(-x) of a squared, scaled distance, to within 0.02, at the price of three products."""
    out = np.maximum(1 - np.float32(0.25) * squared, 0)
    out *= out
    out *= out
    return out


def over(canvas, colour, coverage):
    """Lay a colour (3, B, 1, 1 or h, w) on a canvas (3, B, h, w), in place."""
    layer = colour - canvas
    layer *= coverage
    canvas += layer


def hue_colour(hue, light, strength=0.55):
    """RGB (3, B) of a hue in [0, 1) at a lightness in [0, 1]."""
    phase = hue + np.array([[0.0], [2 / 3], [1 / 3]], np.float32)
    return (light * (1 - strength + strength * (0.5 + 0.5 * np.cos(2 * np.pi * phase)) * 1.6)).astype(
        np.float32
    )


@lru_cache(maxsize=1)
def banks():
    """Wrapped noise pictures 512 x 512 of deviation 1: white, hair strands, curls, clutter, stubble and
    spots."""
    white = np.random.default_rng(20150).standard_normal((512, 512)).astype(np.float32)
    pictures = {"white": white}
    for name, sigma in {
        "strands": (7, 0.9),
        "curls": (2.2, 2.2),
        "clutter": (11, 11),
        "stubble": (1.4, 0.7),
        "spots": (1.5, 1.5),
    }.items():
        smooth = gaussian_filter(
            np.where(white > 2.6, 1.0, 0.0) if name == "spots" else white, sigma, mode="wrap"
        )
        pictures[name] = (smooth / smooth.std()).astype(np.float32)
    return pictures


def texture(face, name, salt, rows=HEIGHT, columns=WIDTH, chosen=slice(None)):
    """A window (B, rows, columns) of a noise bank for each image, picked by its nuisance number `texture`."""
    spin = np.floor(face.n.texture[chosen].astype(np.float64) * 2**24).astype(np.int64) * 7919 + salt * 104729
    top, left = (spin // 384) % 368, spin % 384
    bank = banks()[name]
    return np.stack([bank[t : t + rows, x : x + columns] for t, x in zip(top, left, strict=True)])


class Patch:
    """A window of fixed size around a picture-plane point (x, y) in each image, moved inside the frame."""

    def __init__(self, face, x, y, height, width, image=None):
        self.face = face
        self.image = np.arange(face.canvas.shape[1]) if image is None else image
        self.pose = SimpleNamespace(**{k: v[self.image] for k, v in vars(face.pose).items()})
        px, py = Pose.to_pixels(self.pose, x, y)
        self.top = np.clip(np.rint(py - height / 2), 0, HEIGHT - height).astype(int)
        self.left = np.clip(np.rint(px - width / 2), 0, WIDTH - width).astype(int)
        self.height, self.width = height, width
        rows = self.top[:, None] + np.arange(height, dtype=np.float32)
        columns = self.left[:, None] + np.arange(width, dtype=np.float32)
        self.x, self.y = Pose.from_pixels(self.pose, rows.astype(np.float32), columns.astype(np.float32))

    def _windows(self):
        for k, (b, t, x) in enumerate(zip(self.image, self.top, self.left, strict=True)):
            yield k, (b, slice(t, t + self.height), slice(x, x + self.width))

    def take(self, plane):
        """Copy of a plane (B, H, W) in the windows."""
        out = np.empty((len(self.image), self.height, self.width), np.float32)
        for k, where in self._windows():
            out[k] = plane[where]
        return out

    def paint(self, *layers):
        """Lay (colour, coverage) layers on the face's canvas in the windows, one after another. A colour is
        (3, B) or (3, B, h, w); a number multiplies what is there."""
        part = np.stack([self.take(channel) for channel in self.face.canvas])
        for colour, coverage in layers:
            if isinstance(colour, (int, float)):
                part *= 1 - coverage * np.float32(1 - colour)
            else:
                over(part, col(colour) if colour.ndim == 2 else colour, coverage)
        for k, (b, rows, columns) in self._windows():
            self.face.canvas[:, b, rows, columns] = part[:, k]


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


def _hair_colour(face):
    m = face.m
    strands = texture(face, "strands", 2)
    face.curls = texture(face, "curls", 3)
    face.curls *= col(m.hair_curl)
    strands += face.curls
    face.strands = strands
    shade = strands * np.float32(0.10)
    shade += np.float32(0.80)
    gloss = face.down + col(30 + 10 * face.light_y)
    shade += np.float32(0.28) * bump(gloss * gloss * np.float32(1 / 90))
    shade *= face.light
    return shade * col(m.hair)


def _hair_behind(face):
    """Hair outside the head: the volume round the skull and, on long hair, what falls behind the face."""
    m = face.m
    face.hair_paint = _hair_colour(face)
    end = np.where(m.long_hair, m.hair_length - 68, 4 + m.hair_volume)
    cover = edge(face.hair_distance + 1.8 * face.curls)
    cover *= edge(col(end) - face.down + face.strands, 5)
    cover *= col(~m.bald)
    face.hair_outline = cover
    over(face.canvas, face.hair_paint * np.float32(0.88), cover)


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


def _beard(face):
    m, n = face.m, face.n
    chosen = np.flatnonzero(m.has_beard & (n.beard_growth > 0.05))
    if not len(chosen):
        return
    take = SimpleNamespace(**{k: v[chosen] for k, v in vars(m).items() if v.ndim == 1})
    start = 70
    u, v = np.abs(face.u[chosen, start:]), face.v[chosen, start:]
    line = v - col(take.mouth_height - 3) + 0.75 * np.clip(u - 13, 0, 18)
    reach = col(11 + 26 * take.beard_full) - u
    noise = texture(face, "stubble", 4, HEIGHT - start, chosen=chosen)
    cover = edge(np.minimum(line, reach) + noise, 7) * face.head[chosen, start:]
    cover *= col(n.beard_growth[chosen]) * np.clip(0.84 + 0.10 * noise, 0, 1)
    part = face.canvas[:, chosen, start:]
    over(part, face.hair_paint[:, chosen, start:] * 0.8, cover)
    face.canvas[:, chosen, start:] = part


# --- patches ------------------------------------------------------------


def _ears(face):
    m, pose = face.m, face.pose
    for name in ("left_ear", "right_ear"):
        x, y, depth = face.points[name]
        patch = Patch(face, x, y, 32, 24)
        sideways = np.abs(pose.sin_yaw)
        rx, ry = m.ear_size * (0.42 + 0.25 * sideways), m.ear_size
        dx, dy = (patch.x - col(x)) / col(rx), (patch.y - col(y)) / col(ry)
        dx += 0.25 * dy * np.sign(-1 if name == "left_ear" else 1)
        d2 = dx * dx + dy * dy
        front = col(np.clip((depth - 4) / 10, 0, 1))
        shown = edge((1 - d2) * col(0.5 * rx), 1.6) * col(~m.long_hair)
        shown *= 1 - patch.take(face.head) * (1 - front)
        light = np.clip(patch.take(face.light), 0.3, 1.1)
        inner = bump(((dx * dx + (dy + 0.1) ** 2) / 0.32) ** 2)
        rim = bump(((d2 - 0.95) / 0.35) ** 2)
        patch.paint(
            (light * col(m.skin * np.float32(0.96)), shown),
            (0.62, shown * inner * 0.75),
            (0.7, shown * rim * 0.6),
        )


def _eye_patch(face, side, height, width, rise, image):
    """Patch around the left (side -1) or right (+1) eye with local coordinates `out` (towards the temple) and
    `down` in frontal pixels: the surface's tangents are projected and inverted, which foreshortens the far
    eye."""
    x, y = (face.points["left_eye" if side < 0 else "right_eye"][k][image] for k in (0, 1))
    patch = Patch(face, x, y - rise, height, width, image)
    pose = patch.pose
    slope = -0.30 * side
    along_x = np.maximum(pose.cos_yaw + slope * pose.sin_yaw, 0.15)
    along_y = (slope * pose.cos_yaw - pose.sin_yaw) * pose.sin_pitch
    across = (patch.x - col(x)) / col(along_x)
    patch.down = (patch.y - col(y) - col(along_y) * across) / col(pose.cos_pitch)
    patch.out = across * np.float32(side)
    return patch


def _eyes(face):
    for side in (-1, 1):
        _eye(face, side)


def _eye(face, side):
    m, n = face.m, face.n
    patch = _eye_patch(face, side, 40, 44, 6, np.arange(len(n.yaw)))
    out, down = patch.out, patch.down
    light, inside = np.clip(patch.take(face.light), 0.25, 1.15), patch.take(face.head)
    tilt = down + out * col(np.tan(m.eye_slant * np.float32(np.pi / 180)))
    t = out / col(m.eye_length)
    almond = 1 - t * t
    low = m.eye_open * (0.62 - 0.12 * np.maximum(n.smile, 0))
    high = m.eye_open * (1 - n.eye_closure) - 0.8 * low * n.eye_closure
    upper = tilt + almond * (1 - 0.22 * t) * col(high)  # > 0 below the upper lid
    lower = almond * (1 + 0.22 * t) * col(low) - tilt
    opening = edge(np.minimum(np.minimum(upper, lower), 4 * almond)) * inside
    dx, dy = out - col(2.4 * n.gaze * side - 0.3), down + col(0.12 * m.eye_open)
    d2 = dx * dx + dy * dy
    d2 /= col(m.iris_size**2)
    iris = edge((1 - d2) * col(0.5 * m.iris_size)) * opening
    ring = col(m.iris) * (light * (1.1 - 0.75 * d2 * d2 + 0.25 * bump((dy - 1.5) ** 2 / 3)))
    pupil = edge((0.17 - d2) * col(1.2 * m.iris_size)) * opening
    glint = bump(((dx - col(1.3 * side * np.sign(n.azimuth + 0.1))) ** 2 + (dy + 1.4) ** 2) / 0.9)
    near = edge(1.25 - np.abs(t), 0.5) * inside
    lash = bump((upper - 0.2) ** 2 / col((0.75 * m.lashes) ** 2)) * near * edge(almond + 0.12, 0.3)
    crease = bump((upper + col(m.eye_crease)) ** 2 / 1.1) * bump(t * t * 0.8) * inside
    below = bump((lower + 0.4) ** 2 / 0.8) * edge(almond, 0.4) * inside
    socket = bump((t * 0.75) ** 2 + ((down + 4) / 8) ** 2) * col(m.eye_socket) * inside
    raised = (
        down
        + col(m.brow_height + 2.6 * n.brow_raise)
        + out * col(np.tan(m.brow_slant * np.float32(np.pi / 180)))
    )
    bt = (out - 1.0) / col(m.brow_length)
    curve = raised + col(m.brow_arch) * (0.6 - (bt - 0.25) ** 2)
    thick = col(m.brow_thick) * (1 - 0.45 * bt) * np.clip(1.6 - 1.5 * bt * bt, 0, 1)
    hairs = texture(face, "strands", 5, 40, 44)
    brow = edge(thick - np.abs(curve) + 0.35 * hairs, 2.0) * edge((1 - np.abs(bt)) * 6) * inside
    brow_colour = m.skin * 0.55 * (1 - m.brow_dark) + m.hair * 0.72 * m.brow_dark
    white = np.array([0.93, 0.91, 0.89], np.float32)[:, None, None, None] * light
    dark = m.skin * np.array([[0.30], [0.20], [0.18]], np.float32)
    patch.paint(
        (0.55, socket),
        (0.62, crease * 0.55),
        (white, opening),
        (ring, iris),
        (np.full_like(m.skin, 0.03), pupil),
        (0.55, opening * bump(upper**2 / 2.5)),
        (np.full_like(m.skin, 1.0), glint * opening * 0.9),
        (0.70, below * 0.6),
        (dark, lash * 0.95),
        (brow_colour[..., None, None] * light, brow * 0.92),
    )


def _mouth(face):
    m, n, pose, points = face.m, face.n, face.pose, face.points
    x, y, _ = points["mouth"]
    patch = Patch(face, x, y + 1, 40, 54)
    light, inside = np.clip(patch.take(face.light), 0.25, 1.15), patch.take(face.head)
    dx, my = patch.x - col(x), (patch.y - col(y)) / col(pose.cos_pitch)
    far, near = (np.maximum(np.abs(points[k][0] - x), 1.2) for k in ("left_mouth", "right_mouth"))
    t = np.where(dx < 0, dx / col(far), dx / col(near))  # -1 .. 1 from corner to corner
    t2 = np.minimum(t * t, 4)
    belly = 1 - t2
    droop = -2.6 * n.smile - 0.7 * m.mouth_curve + 0.6 * n.mouth_open
    line = my - col(droop) * t2
    gap = 9.5 * n.mouth_open + 2.2 * np.maximum(n.smile - 0.35, 0)
    thin = 1 - 0.22 * np.maximum(n.smile, 0)
    bow = 1 - col(0.32 * m.cupid) * bump(t2 / 0.03)
    top = line + belly * (col(0.30 * gap) + col(m.lip_upper * thin) * bow)
    bottom = belly * (1 + 0.35 * t2) * col(0.70 * gap + m.lip_lower * thin) - line
    lips = edge(np.minimum(top, bottom)) * inside
    hole = (
        edge(np.minimum(line + belly * col(0.30 * gap), belly * col(0.70 * gap) - line))
        * inside
        * col(np.minimum(gap, 1))
    )
    teeth = hole * edge(col(0.30 * gap + 0.5) * 0 + col(0.12 * gap + 2.2) - line, 1.4)
    seam = bump(line**2 / 0.8) * edge(belly + 0.06, 0.15) * inside * col(1 - np.minimum(gap, 1))
    shine = bump((line - col(0.7 * gap + 0.5 * m.lip_lower)) ** 2 / 2 + t2 * 5) * inside
    under = bump((line - col(0.7 * gap + m.lip_lower + 2.8)) ** 2 / 5 + t2 * 3) * inside
    ends = bump((np.abs(t) - 1) ** 2 * 60 + line**2 / 5 - 0.0) * inside
    groove = bump(t2 * 45 + (line + col(m.lip_upper + 4)) ** 2 / 9) * inside
    upper_lip = col(m.lips) * (light * np.where(line < 0, np.float32(0.86), np.float32(1.0)))
    layers = [(0.72, under * 0.6), (0.8, groove * 0.5)]
    grown = m.has_moustache * n.beard_growth
    if grown.any():
        hair = edge(
            np.minimum(
                line + belly * 0 + col(m.lip_upper + 6.5) - 2.2 * t2,
                -(line + col(0.6 * m.lip_upper)) + 2.5 * t2,
            )
            + 0.5 * texture(face, "stubble", 6, 40, 54),
            2.4,
        ) * edge((1.12 - np.abs(t)) * 9, 3)
        moustache = (col(m.hair * np.float32(0.75)) * light, hair * inside * col(0.92 * grown))
        layers.append(moustache)
    bright = np.array([0.95, 0.93, 0.88], np.float32)[:, None, None, None] * light
    patch.paint(
        *layers,
        (upper_lip, lips * 0.92),
        (np.array([[0.22], [0.07], [0.07]], np.float32) + 0 * m.lips, hole),
        (bright, teeth),
        (0.45, seam * 0.9),
        (np.minimum(m.lips + 0.3, 1), shine * 0.35),
        (0.68, ends * 0.8),
    )


def _nose(face):
    m, n, pose, points = face.m, face.n, face.pose, face.points
    (rx, ry, _), (tx, ty, _), (bx, by, _) = points["nose_root"], points["nose"], points["nose_base"]
    patch = Patch(face, 0.5 * (rx + tx), 0.5 * (ry + ty) + 4, 52, 46)
    light = np.clip(patch.take(face.light), 0.25, 1.15)
    ax, ay = tx - rx, ty - ry
    length = np.sqrt(ax * ax + ay * ay)
    px, py = patch.x - col(rx), patch.y - col(ry)
    t = np.clip((px * col(ax) + py * col(ay)) / col(length * length), 0, 1)
    off = px - t * col(ax)  # across the ridge, > 0 to the image's right
    gone = py - t * col(ay)
    side = np.sign(pose.sin_yaw)
    width = col(m.nose_bridge) + t * t * col(m.nose_bulb - m.nose_bridge + 0.8)
    d = np.sqrt(off * off + gone * gone)
    fade = np.clip(2.2 * t - 0.25, 0, 1)
    body = edge(width - d) * fade * col(np.minimum(3 * np.abs(pose.sin_yaw), 1))
    turn = off / width
    slope = turn * bump(turn * turn * 0.5) * fade * edge(2.5 - gone, 3)
    flank = bump((turn * turn - 1.3) ** 2 / 0.9) * fade * edge(1 - gone, 2)
    relief = slope * col(0.55 * face.light_x * (0.4 + n.contrast)) + 0.10 * bump(off * off / 5) * fade * edge(
        1 - gone, 2
    )
    rim = (
        bump((off * col(side) - width) ** 2 / 1.8)
        * fade
        * edge(1 - gone, 2)
        * col(0.75 * np.abs(pose.sin_yaw))
    )
    ball = bump(((patch.x - col(tx - 0.8 * side)) ** 2 + (patch.y - col(ty - 1)) ** 2) / 7)
    layers = [(0.82, flank * 0.6)]
    for name, sign in (("left_wing", -1), ("right_wing", 1)):
        wx, wy, _ = points[name]
        hidden = np.clip(1 - 1.5 * pose.sin_yaw * sign, 0, 1)
        dx, dy = (patch.x - col(wx)) / 3.4, (patch.y - col(wy)) / 4.0
        arc = (
            bump((dx * dx + dy * dy - 1) ** 2 / 0.18)
            * np.clip(dx * sign + 0.3, 0, 1)
            * np.clip(dy + 1, 0, 1)
            * col(hidden)
        )
        hx = patch.x - col(bx + 0.52 * (wx - bx) + 0.3 * sign)
        hole = bump(hx * hx / 4.5 + (patch.y - col(by - 1.4)) ** 2 / col(0.7 + 1.2 * m.nose_up)) * col(
            hidden * (0.35 + 0.65 * m.nose_up)
        )
        layers += [(0.70, arc * 0.8), (0.25, hole * 0.9)]
    under = bump((patch.x - col(bx)) ** 2 / col(0.8 * m.nose_width**2) + (patch.y - col(by + 0.6)) ** 2 / 6)
    skin = col(m.skin * np.float32(1.02)) * light
    patch.paint(
        (skin, body),
        (0.74, under * 0.65),
        *layers,
        (0.5, rim * 0.7),
        (0.0, np.maximum(-relief, 0)),
        (np.minimum(m.skin * 1.25 + 0.05, 1), np.maximum(relief, 0) * 0.9),
        (np.minimum(m.skin * 1.2 + 0.16, 1), ball * col(0.30 + 0.15 * n.contrast)),
    )
    mole = np.flatnonzero(m.mole_size > 0.5)
    if len(mole):
        x, y = points["mole"][0][mole], points["mole"][1][mole]
        patch = Patch(face, x, y, 12, 12, mole)
        d2 = ((patch.x - col(x)) ** 2 + (patch.y - col(y)) ** 2) / col(m.mole_size[mole] ** 2)
        patch.paint((m.skin[:, mole] * 0.35, edge((1 - d2) * 1.0) * patch.take(face.head) * 0.9))


# --- in front of the face ------------------------------------------------------------


def _hair(face):
    """Hair on the head: above the hairline, behind the temples, and the curtains of long hair."""
    m, u, v = face.m, face.u, face.v
    # the hairline's row: low and parted with a fringe, else receding at the temples
    above = u - col(9 * m.hair_part * m.fringe)
    above *= above
    np.minimum(above, col(np.where(m.fringe, 2000.0, 600.0).astype(np.float32)), out=above)
    above *= col(np.where(m.fringe, -0.012, np.maximum(m.hair_recede, -2) * -0.002).astype(np.float32))
    above += col(np.where(m.fringe, 44, m.hairline - 1))
    above -= v
    beside = v - 56
    np.maximum(beside, 0, out=beside)
    beside *= col(np.float32(0.55) * ~m.long_hair)
    beside += face.z
    np.subtract(col(np.where(m.long_hair, 0.42, 0.30).astype(np.float32) * m.face_depth), beside, out=beside)
    plane = np.abs(u)
    plane -= col(0.66 * m.face_width)
    np.minimum(beside, plane, out=beside)
    np.subtract(-4, face.z, out=plane)
    np.maximum(beside, plane, out=beside)
    np.subtract(col(np.where(m.long_hair, m.hair_length, m.ear_height + 0.5 * m.ear_size)), v, out=plane)
    np.minimum(beside, plane, out=beside)
    np.maximum(above, beside, out=above)
    above += np.multiply(face.strands, np.float32(0.85), out=plane)
    cover = edge(above, 2.6)
    above += np.float32(3.5)
    shadow = edge(above, 7)
    shadow *= np.float32(0.22)
    np.maximum(cover, shadow, out=cover)
    cover *= np.maximum(face.head * col(~m.bald), face.hair_outline)
    over(face.canvas, face.hair_paint, cover)


def _glasses(face):
    chosen = np.flatnonzero(face.n.glasses > 0.5)
    if not len(chosen):
        return
    for side in (-1, 1):
        _glass(face, side, chosen)


def _glass(face, side, chosen):
    patch = _eye_patch(face, side, 40, 62, 0, chosen)
    kind, habit = face.n.glasses[chosen], face.m.glasses_habit[chosen]
    reach = face.m.eye_distance[chosen]
    wide, high = 13.5 + 1.5 * habit, 9.5 - 1.2 * habit
    rim = np.where(kind > 2.5, 1.1, np.where(kind > 1.5, 1.7, 0.75)).astype(np.float32)
    dx, dy = np.abs(patch.out - 0.5) / col(wide), np.abs(patch.down - 1.5) / col(high)
    p4 = np.sqrt(np.sqrt(dx**4 + dy**4 + 0.6 * dx * dx * dy * dy))  # between an ellipse and a rectangle
    distance = (1 - p4) * col(high)
    ring = edge(col(rim) - np.abs(distance))
    bridge = (
        edge(col(rim) - np.abs(patch.down + 1.5))
        * edge(-patch.out - col(wide) + 0.5)
        * edge(patch.out + col(reach) + 0.8)
    )
    arm = edge(col(rim) - np.abs(patch.down + 2)) * edge(patch.out - col(wide)) * patch.take(face.head)
    frame = np.maximum(np.maximum(ring, bridge), arm)
    shade = np.where(kind > 2.5, 0.88, 0.06)
    glare = bump((patch.out + patch.down * 0.8 + 3) ** 2 / 5) * edge(distance) * 0.16
    colour = hue_colour(face.n.cloth_hue[chosen], 0.10 + 0.08 * np.maximum(habit, 0))
    patch.paint(
        (np.full_like(colour, 0.07), edge(distance) * col(shade)),
        (np.full_like(colour, 0.95), glare),
        (colour, frame * 0.95),
    )


def _hat(face):
    chosen = np.flatnonzero(face.n.hat > 0.5)
    if not len(chosen):
        return
    m = SimpleNamespace(**{k: v[..., chosen] for k, v in vars(face.m).items()})
    sin_yaw, stop = face.pose.sin_yaw[chosen], 84
    x, y = face.x[chosen, :stop], face.down[chosen, :stop]
    cap = face.n.hat[chosen] > 1.5
    half = col(face.pose.half_width[chosen] + 0.6 * m.hair_volume + 3)
    shape = (x + col(6 * sin_yaw)) / half
    tall = np.minimum(y + 14, 0) / col(54 - m.skull_top + 0.7 * m.hair_volume + 4)
    rim = y + col(np.where(cap, 26, 22)) - 5 * shape * shape * col(np.where(cap, -0.6, -0.8))
    inside = edge((1 - shape * shape - tall * tall) * half * 0.5) * edge(-rim)
    cloth = hue_colour(face.n.cloth_hue[chosen], face.n.cloth_light[chosen] + 0.08, 0.7)
    knit = 0.92 + 0.08 * np.sin(x * np.float32(1.7)) * col(~cap)
    fold = 1 - 0.16 * edge(rim + 11) * col(~cap)
    light = np.clip(face.light[chosen, :stop], 0.3, 1.1) * knit * fold
    part = face.canvas[:, chosen, :stop]
    over(part, light * col(cloth), inside)
    bx = (x - col(face.pose.recentre[chosen] + 14 * sin_yaw)) / col(
        half[:, 0, 0] * (0.86 - 0.1 * np.abs(sin_yaw))
    )
    by = (y + 25 - 4 * bx * bx) / 5.5
    brim = edge((1 - bx * bx - by * by) * 3.0) * col(cap)
    over(part, light * col(cloth * np.float32(0.62)), brim)
    face.canvas[:, chosen, :stop] = part


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
