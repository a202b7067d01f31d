"""The head behind a synthetic face: what its numbers mean, where its features lie, which colours it has.

A face is drawn from two rows of numbers. The *identity* (`IDENTITY`, each in [-1, 1]) belongs to the person;
the *nuisance* (`NUISANCE`, in the units written there) belongs to the image. This module turns them into
millimetre-like pixel measures and projects points of the head to the frame; `drawing` fills in the pixels.

Face coordinates: u to the image's right from the mid-line, v down (the row in the frame of a frontal face), z
towards the viewer, all in pixels of the 144 x 128 frame at scale 1.
"""

from types import SimpleNamespace

import numpy as np

HEIGHT, WIDTH = 144, 128
CENTRE_X, CENTRE_Y = 64.0, 82.0  # roll, scale and pitch turn about this pixel

# a person's measures: name -> (value of the average person, change when the identity number goes from 0 to 1)
MEASURES = {
    "face_width": (38.0, 3.6),  # half width at the cheekbones, px
    "face_depth": (41.0, 2.0),
    "chin": (126.0, 5.5),  # row of the chin
    "jaw": (0.45, 0.45),  # 0 oval .. 1 square
    "taper": (0.40, 0.24),  # how much narrower the jaw is than the cheeks
    "chin_forward": (9.0, 4.0),
    "skull_top": (15.0, 3.5),  # row
    "ear_size": (9.0, 2.2),
    "ear_height": (70.0, 3.5),
    "ear_out": (2.2, 2.2),
    "eye_distance": (20.0, 2.4),  # half the distance of the pupils
    "eye_height": (60.0, 1.6),
    "eye_length": (9.4, 1.6),  # half length
    "eye_open": (4.8, 1.5),
    "eye_slant": (4.0, 9.0),  # degrees, outer corner up
    "eye_socket": (0.20, 0.16),
    "eye_crease": (3.0, 1.3),
    "lashes": (1.25, 0.55),
    "iris_size": (4.2, 0.45),
    "iris_colour": (0.0, 1.0),
    "brow_height": (12.0, 2.6),  # above the pupil
    "brow_thick": (2.0, 1.25),  # half thickness
    "brow_arch": (2.2, 2.4),
    "brow_slant": (0.0, 9.0),  # degrees, outer end up
    "brow_length": (11.5, 2.2),
    "brow_dark": (0.75, 0.25),
    "nose_tip": (85.0, 3.4),  # row
    "nose_width": (8.4, 2.6),  # half width at the wings
    "nose_bridge": (3.3, 1.2),
    "nose_bulb": (4.2, 1.3),
    "nose_up": (0.5, 0.5),  # how much of the nostrils shows
    "nose_out": (11.0, 3.5),  # how far the tip stands out of the face
    "mouth_width": (16.0, 2.8),
    "mouth_height": (103.0, 2.6),
    "lip_upper": (2.9, 1.5),
    "lip_lower": (4.0, 1.8),
    "lip_red": (0.5, 0.45),
    "mouth_curve": (0.8, 1.5),
    "cupid": (0.8, 0.8),
    "skin_tone": (0.0, 1.0),  # -1 pale .. 1 dark
    "skin_red": (0.0, 1.0),
    "skin_yellow": (0.0, 1.0),
    "blush": (0.5, 0.5),
    "age": (0.0, 1.0),  # wrinkles from 0.35 on
    "freckles": (0.0, 1.0),  # from 0.5 on
    "mole_u": (0.0, 25.0),
    "mole_v": (92.0, 20.0),
    "mole_size": (0.0, 2.2),  # none below 0.5
    "hair_colour": (0.0, 1.0),  # see HAIR
    "hair_shade": (0.0, 1.0),
    "hair_style": (0.0, 1.0),  # below -0.76 bald, above 0.25 long
    "hair_length": (124.0, 26.0),  # row where long hair ends
    "hairline": (32.0, 4.0),  # row
    "hair_recede": (2.0, 9.0),  # temples
    "hair_fringe": (0.0, 1.0),  # from 0.3 on
    "hair_part": (0.0, 1.0),  # left .. right
    "hair_volume": (6.0, 4.0),
    "hair_curl": (0.5, 0.5),
    "beard": (0.0, 1.0),  # from 0.3 on (never with long hair)
    "beard_full": (0.5, 0.5),  # 0 chin only .. 1 full
    "moustache": (0.0, 1.0),  # from 0.3 on (never with long hair)
    "glasses_habit": (0.0, 1.0),  # from 0.45 on wears them mostly; their shape
}
IDENTITY = tuple(MEASURES)

# an image's nuisance: name -> neutral value
NUISANCE = {
    "yaw": 0.0,  # degrees, > 0: the nose moves to the image's right
    "pitch": 0.0,  # degrees, > 0: looks down
    "roll": 0.0,  # degrees, > 0: clockwise
    "scale": 1.0,
    "shift_x": 0.0,  # px
    "shift_y": 0.0,
    "azimuth": 0.0,  # of the light, degrees, > 0: from the image's right
    "elevation": 25.0,  # of the light, degrees above the horizon
    "contrast": 0.45,  # 0 flat light .. 1 hard light
    "smile": 0.0,  # -1 .. 1
    "mouth_open": 0.0,  # 0 .. 1
    "brow_raise": 0.0,  # -1 .. 1
    "eye_closure": 0.0,  # 0 .. 1
    "gaze": 0.0,  # -1 .. 1, to the image's left .. right
    "glasses": 0.0,  # 0 none, 1 thin, 2 thick, 3 dark
    "hat": 0.0,  # 0 none, 1 knitted, 2 cap
    "beard_growth": 1.0,  # 0 shaved today .. 1 as usual
    "cloth_hue": 0.6,  # 0 .. 1, of hat and clothes
    "cloth_light": 0.4,
    "back_hue": 0.6,  # background, 0 .. 1
    "back_light": 0.72,
    "back_texture": 0.0,  # 0 plain .. 1 cluttered
    "exposure": 0.0,  # stops
    "warmth": 0.0,  # -1 bluish .. 1 reddish
    "tint": 0.0,  # -1 green .. 1 magenta
    "blur": 0.0,  # 0 .. 1 (standard deviation of about 1.8 px at 1)
    "noise": 0.0,  # standard deviation, of full scale
    "texture": 0.0,  # any number in [0, 1): picks the windows of hair strands, clutter and noise
}

SKIN = np.array([[250, 219, 200], [238, 196, 168], [214, 163, 128], [160, 108, 78], [98, 64, 48]], np.float32) / 255
HAIR = {  # name -> (share of people, dark shade, light shade)
    "black": (0.28, (0.05, 0.045, 0.05), (0.13, 0.11, 0.11)),
    "brown": (0.30, (0.21, 0.13, 0.08), (0.42, 0.27, 0.16)),
    "blond": (0.18, (0.66, 0.49, 0.26), (0.93, 0.80, 0.55)),
    "red": (0.09, (0.45, 0.17, 0.07), (0.72, 0.34, 0.15)),
    "gray": (0.15, (0.50, 0.50, 0.52), (0.88, 0.88, 0.88)),
}
IRIS = np.array(
    [[0.17, 0.10, 0.06], [0.36, 0.22, 0.10], [0.42, 0.40, 0.20], [0.35, 0.52, 0.36], [0.36, 0.55, 0.72]], np.float32
)


def measures(identity: np.ndarray) -> SimpleNamespace:
    """The person's measures from identity numbers (B, K): one (B,) float32 array for each name of `MEASURES`,
    plus `bald`, `long_hair`, `has_beard`, `has_moustache`, `fringe` (bool), `hair_class` (index into `HAIR`)
    and the colours `skin`, `hair`, `iris`, `lips` (3, B)."""
    latent = np.asarray(identity, np.float32)
    m = SimpleNamespace(
        **{
            name: np.float32(centre) + np.float32(spread) * latent[:, k]
            for k, (name, (centre, spread)) in enumerate(MEASURES.items())
        }
    )
    m.bald = m.hair_style < -0.76
    m.long_hair = m.hair_style > 0.25
    m.fringe = (m.hair_fringe > 0.3) & ~m.bald
    m.has_beard = (m.beard > 0.3) & ~m.long_hair
    m.has_moustache = (m.moustache > 0.3) & ~m.long_hair
    m.skin = _blend(SKIN, 2 + 2 * m.skin_tone)
    m.skin[0] += 0.03 * m.skin_red
    m.skin[1] -= 0.02 * m.skin_red - 0.012 * m.skin_yellow
    m.skin[2] -= 0.035 * m.skin_yellow
    shares = np.cumsum([share for share, _, _ in HAIR.values()], dtype=np.float32)
    m.hair_class = np.minimum(np.searchsorted(shares, (m.hair_colour + 1) / 2), len(HAIR) - 1)
    dark, light = (np.array([row[k] for row in HAIR.values()], np.float32)[m.hair_class].T for k in (1, 2))
    m.hair = dark + (light - dark) * (0.5 + 0.5 * m.hair_shade)
    m.iris = _blend(IRIS, 2 + 2 * m.iris_colour)
    red = np.array([[0.70], [0.22], [0.24]], np.float32)
    strength = 0.25 + 0.45 * m.lip_red
    m.lips = m.skin * np.array([[0.86], [0.70], [0.70]], np.float32) * (1 - strength) + strength * (
        red * (0.45 + 0.6 * m.skin[:1])
    )
    return m


def _blend(colours, position):
    """Colours (3, B) at real positions 0 .. len(colours) - 1 of a palette."""
    grid = np.arange(len(colours))
    return np.stack([np.interp(position, grid, colours[:, c]) for c in range(3)]).astype(np.float32)


class Pose:
    """Projection of the head into the frame for a batch of B images.

    Yaw about the vertical axis, then pitch, then roll, scale and shift in the picture plane; orthographic.
    The face is partly re-centred when it turns, as a face detector would do.
    """

    def __init__(self, m, n):
        radians = np.float32(np.pi / 180)
        self.sin_yaw, self.cos_yaw = np.sin(n.yaw * radians), np.cos(n.yaw * radians)
        self.sin_pitch, self.cos_pitch = np.sin(n.pitch * radians), np.cos(n.pitch * radians)
        self.sin_roll, self.cos_roll = np.sin(n.roll * radians), np.cos(n.roll * radians)
        self.scale = n.scale
        self.recentre = 21 * self.sin_yaw
        self.origin_x, self.origin_y = CENTRE_X + n.shift_x, CENTRE_Y + n.shift_y
        # half width of the turned head and the angle that maps the picture plane back on it (see
        # drawing.head_map)
        a, d = m.face_width, m.face_depth
        self.half_width = np.sqrt((a * self.cos_yaw) ** 2 + (d * self.sin_yaw) ** 2)
        self.sin_beta, self.cos_beta = d * self.sin_yaw / self.half_width, a * self.cos_yaw / self.half_width

    def flat(self, u, v, z):
        """Face points (B,) -> x, y in the picture plane before roll, scale and shift (0, 0 is the turning
        point), and their depth towards the viewer."""
        x = u * self.cos_yaw + z * self.sin_yaw - self.recentre
        depth = z * self.cos_yaw - u * self.sin_yaw
        return x, (v - CENTRE_Y) * self.cos_pitch + depth * self.sin_pitch, depth

    def to_pixels(self, x, y):
        """Picture plane -> pixels of the frame."""
        return (
            self.origin_x + self.scale * (x * self.cos_roll - y * self.sin_roll),
            self.origin_y + self.scale * (x * self.sin_roll + y * self.cos_roll),
        )

    def from_pixels(self, rows, columns):
        """Pixel rows (B, h) and columns (B, w) -> picture plane x, y, each (B, h, w)."""
        across, down = (
            (columns - self.origin_x[:, None]) / self.scale[:, None],
            (rows - self.origin_y[:, None]) / self.scale[:, None],
        )
        cos, sin = self.cos_roll[:, None], self.sin_roll[:, None]
        return (
            (down * sin)[:, :, None] + (across * cos)[:, None, :],
            (down * cos)[:, :, None] - (across * sin)[:, None, :],
        )


def feature_points(m, n, pose: Pose) -> dict[str, tuple]:
    """Picture-plane (x, y, depth) of eyes, nose, mouth, ears, mole and neck; each a triple of (B,) arrays.

    The front of a face is flatter than the head's ellipse, so features have depths of their own: the far eye
    then stays just visible at 60 degrees, as it does on people.
    """
    eye_z = 0.72 * m.face_depth
    corner = m.mouth_width + 1.8 * n.smile - 1.2 * n.mouth_open
    corner_v = m.mouth_height - 2.6 * n.smile - 0.7 * m.mouth_curve + 0.6 * n.mouth_open
    nose_z = 0.80 * m.face_depth
    points = {
        "left_eye": (-m.eye_distance, m.eye_height, eye_z),
        "right_eye": (m.eye_distance, m.eye_height, eye_z),
        "nose": (0 * nose_z, m.nose_tip - 0.8 * n.smile, nose_z + m.nose_out),
        "left_mouth": (-corner, corner_v, 0.70 * m.face_depth),
        "right_mouth": (corner, corner_v, 0.70 * m.face_depth),
        "nose_root": (0 * nose_z, m.eye_height - 3, nose_z + 1.5),
        "nose_base": (0 * nose_z, m.nose_tip + 3.6, nose_z + 2),
        "left_wing": (-m.nose_width, m.nose_tip + 1.2, nose_z - 1.0),
        "right_wing": (m.nose_width, m.nose_tip + 1.2, nose_z - 1.0),
        "mouth": (0 * nose_z, m.mouth_height, 0.83 * m.face_depth),
        "left_ear": (-m.face_width - 0.3 * m.ear_out, m.ear_height, 0 * nose_z - 5),
        "right_ear": (m.face_width + 0.3 * m.ear_out, m.ear_height, 0 * nose_z - 5),
        "mole": (m.mole_u, m.mole_v, 0.90 * m.face_depth - 0.014 * m.mole_u**2),
        "neck": (0 * nose_z, 0 * nose_z + 124, 0 * nose_z - 6),
    }
    return {name: pose.flat(*place) for name, place in points.items()}


def landmarks(points, pose: Pose) -> np.ndarray:
    """Five landmarks (B, 5, 2), pixels (x, y): left eye (image left), right eye, nose tip, mouth corners."""
    names = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
    return np.stack([np.stack(pose.to_pixels(*points[name][:2]), axis=-1) for name in names], axis=1).astype(np.float32)
