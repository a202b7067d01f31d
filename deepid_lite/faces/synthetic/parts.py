"""The small parts of a synthetic face, each drawn in a patch: ears, eyes with brows, mouth, nose, glasses.

Shapes are given in frontal pixels; the patch maps its pixels back through the pose. Every operation is element by
element, as in `drawing`.
"""

import numpy as np

from deepid_lite.faces.synthetic.brushes import Patch, bump, col, edge, hue_colour, texture


def ears(face):
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
            (light * col(m.skin * np.float32(0.96)), shown), (0.62, shown * inner * 0.75), (0.7, shown * rim * 0.6)
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


def eyes(face):
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
    raised = down + col(m.brow_height + 2.6 * n.brow_raise) + out * col(np.tan(m.brow_slant * np.float32(np.pi / 180)))
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


def mouth(face):
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
                line + belly * 0 + col(m.lip_upper + 6.5) - 2.2 * t2, -(line + col(0.6 * m.lip_upper)) + 2.5 * t2
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


def nose(face):
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
    rim = bump((off * col(side) - width) ** 2 / 1.8) * fade * edge(1 - gone, 2) * col(0.75 * np.abs(pose.sin_yaw))
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


def glasses(face):
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
