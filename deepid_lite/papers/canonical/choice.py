"""A person's frontal picture among photographs [arXiv 1404.3543, section 2]: numbers alone, no picture.

The angle of a photograph is not known. Seen from the front the tip of the nose lies below the middle of the eyes, and a
turned head carries it to one side: the offset stands in for the yaw, as a share of the eyes' distance.
"""

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.synthetic.views import cut
from deepid_lite.papers.canonical.net import frontality
from deepid_lite.papers.canonical.study import WEIGHTS
from deepid_lite.registry import Claim, Estimate, claims, study
from deepid_lite.verification.across_views import estimate

FEWEST, MOST = 10, 100  # pictures of a person; of more the first


@study
def frontal_choice(setup):
    """The nose's offset of the picture that each rule without labels takes for a person's most frontal.

    Of all test people with FEWEST pictures or more, in percent of the eyes' distance; the mean over people with its
    95 % interval. "any picture" is the mean over a person's pictures, "best" the smallest offset among them.
    """
    if setup.name != "reference":
        raise DataError(f"frontal_choice, scale {setup.name}: it is about photographs; use --scale reference")
    faces = setup.test
    found = {name: [] for name in ("any picture", *WEIGHTS, "best")}
    for person in np.flatnonzero(np.bincount(faces.labels) >= FEWEST):
        rows = np.flatnonzero(faces.labels == person)[:MOST]
        offset, pictures = nose_offset(faces.landmarks[rows]), cut(faces.images[rows])
        found["any picture"].append(offset.mean())
        found["best"].append(offset.min())
        for name, weight in WEIGHTS.items():
            found[name].append(offset[frontality(pictures, weight).argmin()])
    return {
        "scale": setup.name, "data": faces.source, "people": len(found["best"]), "fewest": FEWEST,
        "chosen": {name: {"mean": estimate(values), "people": np.round(values, 2).tolist()}
                   for name, values in found.items()},
    }  # fmt: skip


def nose_offset(landmarks):
    """How far the nose lies from the middle of the eyes, along the line of the eyes: percent of their distance (N,).

    landmarks: (N, 5, 2), eyes, nose tip, mouth corners.
    """
    left, right, nose = (landmarks[:, place].astype(float) for place in range(3))
    along = right - left
    length = np.linalg.norm(along, axis=1)
    if not length.all():
        raise DataError(f"landmarks: both eyes of face {int(length.argmin())} are one point; mend or drop that row")
    return 100 * np.abs(((nose - (left + right) / 2) * along).sum(1)) / length**2


PAIR = ("any picture", "symmetry and rank")

claims(
    Claim(
        "F5", section="other systems", study="frontal_choice", source="arXiv 1404.3543", paper="no number",
        statement="They find it among photographs, too",
        ours=lambda r: Estimate(*r["chosen"]["symmetry and rank"]["mean"]),
        difference=lambda r: Estimate(*estimate(np.subtract(*(r["chosen"][name]["people"] for name in PAIR)))),
        kind="chance", against="any picture of the person", interval="people", smaller=True,
        unit="{:.1f} % of the eyes' distance", of="FIP",
    ),
)  # fmt: skip
