"""DeepID2+ in the small: nets, losses, Joint Bayesian and the studies of the paper, on your own faces."""

import warnings

# Accelerate loads tqdm's bar for notebooks, which complains where ipywidgets is missing; our own bars are plain text.
warnings.filterwarnings("ignore", message="IProgress not found")

__version__ = "0.1.0"
