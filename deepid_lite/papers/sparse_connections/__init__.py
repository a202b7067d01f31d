"""Sparse connections [Sun et al., arXiv 1512.01891]: a trained net -> the same net with an eighth of its weights.

Paper: neurons that correlate need their connection; drop the others layer by layer from the top, each time train on.
A moderately sparse net is better than the dense one, 12 % of the weights keep its accuracy, and the same sparse net
from scratch is worse. Here: a smaller net on drawn faces, and the upper layers of the net of web faces; beside the
paper's controls today's rule (the largest weights) and the dense net that trains on as long. Not tested: sparse
convolutions. Chapter 18.
"""

from deepid_lite.papers.sparse_connections import study  # noqa: F401  (registers the study and its claims)
