"""Tracking by maps of a net [FCNT: Wang, Ouyang, Wang, Lu, ICCV 2015]: a box in the first frame -> one in each frame.

Paper: maps of VGG-16, chosen by saliency, follow a target; those of an upper layer say what kind of thing it is, those
of a lower one which of its kind, and a test for distracters says when to ask which. Here: a small net of drawn faces,
drawn videos with truth, two sequences of photographs; the paper's numbers are of VGG-16 on 50 sequences. Chapter 21.
"""

from deepid_lite.papers.tracking import study  # noqa: F401  (registers the study and its claims)
