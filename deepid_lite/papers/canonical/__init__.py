"""The canonical view [Zhu, Luo, Wang, Tang, ICCV 2013]: a face in any view and light -> the same face from the front.

Paper: a net of locally connected layers learns to draw each person's frontal picture in neutral light. Its last maps,
the face identity-preserving (FIP) features, and its pictures (RL) then recognise people across views better than LBP.
Here: drawn people of 32 x 32 pixels, fewer maps, an Adam in place of plain gradient steps, and a start by least squares
whose details are ours. On photographs: numbers alone. Not tested: Multi-PIE. Chapter 16. `net` has the parts 1 to 5 of
the template, `study` 6 and 7, `choice` how a frontal photograph is found and `photographs` what a net learns from it.
"""

from deepid_lite.papers.canonical.choice import frontal_choice
from deepid_lite.papers.canonical.net import (
    CanonicalViewNet,
    Faces,
    canonical,
    features,
    frontality,
    least_squares,
    pretrained,
    train,
)
from deepid_lite.papers.canonical.photographs import canonical_photographs
from deepid_lite.papers.canonical.study import canonical_view

__all__ = [
    "CanonicalViewNet",
    "Faces",
    "canonical",
    "canonical_photographs",
    "canonical_view",
    "features",
    "frontal_choice",
    "frontality",
    "least_squares",
    "pretrained",
    "train",
]
