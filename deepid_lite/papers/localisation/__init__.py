"""Finding faces [LNet: Liu et al., ICCV 2015, section 3.1]: attributes of a whole picture -> where its face is.

Paper: a net that learned from attributes of pictures, and never saw a box, responds where the face is; the averaged
maps of its last convolution find faces as well as detectors do, and the better the more attributes it learned. Here:
one small net in place of two of AlexNet's size, drawn faces on clutter, where boxes are known. Not tested: the cascade
of two nets, pre-training on objects, detectors to compare with, photographs. Chapter 20.
"""

from deepid_lite.papers.localisation import study  # noqa: F401  (registers the study and its claims)
