"""DeepID2+ in the small: nets, losses, Joint Bayesian and the studies of the paper, on your own faces."""

__version__ = "0.1.0"
