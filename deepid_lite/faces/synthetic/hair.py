"""Hair, beard and hat of the synthetic faces: layers that drawing.py puts behind, on and over the head."""

from types import SimpleNamespace

import numpy as np

from deepid_lite.faces.synthetic.brushes import bump, col, edge, hue_colour, over, texture
from deepid_lite.faces.synthetic.head import HEIGHT


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


def hair_behind(face):
    """Hair outside the head: the volume round the skull and, on long hair, what falls behind the face."""
    m = face.m
    face.hair_paint = _hair_colour(face)
    end = np.where(m.long_hair, m.hair_length - 68, 4 + m.hair_volume)
    cover = edge(face.hair_distance + 1.8 * face.curls)
    cover *= edge(col(end) - face.down + face.strands, 5)
    cover *= col(~m.bald)
    face.hair_outline = cover
    over(face.canvas, face.hair_paint * np.float32(0.88), cover)


def beard(face):
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


def hair(face):
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


def hat(face):
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
    bx = (x - col(face.pose.recentre[chosen] + 14 * sin_yaw)) / col(half[:, 0, 0] * (0.86 - 0.1 * np.abs(sin_yaw)))
    by = (y + 25 - 4 * bx * bx) / 5.5
    brim = edge((1 - bx * bx - by * by) * 3.0) * col(cap)
    over(part, light * col(cloth * np.float32(0.62)), brim)
    face.canvas[:, chosen, :stop] = part
