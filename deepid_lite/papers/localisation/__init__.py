"""Finding faces from attributes [Liu et al., ICCV 2015]: labels of whole pictures -> the square of the face.

Paper: a net that learned objects, then attributes of pictures, and never saw a box, has last maps whose mean is bright
on the face; the more attributes, the more faces are found. The lecture says that identities come first. Here: a small
net on drawn people in clutter, labels from the program that draws them. Not tested: objects first, two nets in a row,
windows proposed by another method, photographs. Chapter 20.
"""

from deepid_lite.papers.localisation import study  # noqa: F401  (registers the study and its claims)
