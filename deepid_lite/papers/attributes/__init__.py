"""Attributes from identity features [Liu et al., ICCV 2015]: a net that knows people -> glasses, beard, hair colour.

Paper: features that learned identities tell attributes by a linear SVM better than a net that learned the attributes
from scratch; fine-tuned on attributes they are best; both beat HOG and colours with an SVM. The lecture adds that
attributes learned beside identity do not help recognition. Here: small nets on drawn faces, always answering with the
more frequent label as null, balanced accuracy beside. Not tested: several crops, photographs. Chapter 19.
"""

from deepid_lite.papers.attributes import study  # noqa: F401  (registers the study and its claims)
