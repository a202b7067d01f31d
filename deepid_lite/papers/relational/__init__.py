"""ConvNet-RBM [Sun, Wang, Tang, ICCV 2013; TPAMI 2016]: nets that look at two faces at once, and an RBM on them.

Paper: pairs of filters compare two faces from the first layer on; nets of many regions, each shown a pair in eight
modes, are averaged on two levels; a classification RBM joins them, and all is trained together at the end.
Here: three regions, two nets of each and a batch norm in place of twelve, five and none; drawn faces, or web faces and
LFW. Chapter 15. `net` has the parts 1 to 5 of the template for one net, `rbm` the RBM, `system` all of it together,
`trainings` who learns and who is asked at each scale, `joining` the RBM's rivals, `study` 6 and 7.
"""

from deepid_lite.papers.relational.net import PairNet, cut, modes, outputs, stack, train
from deepid_lite.papers.relational.rbm import ClassificationRBM, fit_rbm, rbm_scores
from deepid_lite.papers.relational.study import relational
from deepid_lite.papers.relational.system import ConvNetRBM, fine_tune, pretrained

__all__ = ["ClassificationRBM", "ConvNetRBM", "PairNet", "cut", "fine_tune", "fit_rbm", "modes", "outputs",
           "pretrained", "rbm_scores", "relational", "stack", "train"]  # fmt: skip
