"""The multi-view perceptron [Zhu, Luo, Wang, Tang, NIPS 2014]: one picture -> who it is, and the face in any view.

Paper: from a picture in any view the net predicts the same person's picture in every other view, and that view. Neurons
of identity are deterministic, neurons of the view random, and EM infers them. The identity features h2 then recognise
people across views better than other layers and other methods, and the net draws views that it never saw.
Here: drawn people of 32 x 32 pixels in place of Multi-PIE, narrower layers, a softmax over the views, and targets in
neutral light. Not tested: targets in other lights, real people. Chapter 17. `net` has the parts 1 to 5 of the template,
`study` 6 and 7; `targets` compares what may teach such a net.
"""

from deepid_lite.papers.multiview.lengths import lengths
from deepid_lite.papers.multiview.net import MultiViewPerceptron, features, pretrained, render, train, view_of
from deepid_lite.papers.multiview.study import draw_data, multiview
from deepid_lite.papers.multiview.targets import studios, supervision

__all__ = [
    "MultiViewPerceptron",
    "draw_data",
    "features",
    "lengths",
    "multiview",
    "pretrained",
    "render",
    "studios",
    "supervision",
    "train",
    "view_of",
]
