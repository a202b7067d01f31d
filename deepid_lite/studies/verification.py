"""The study of verification and identification [DeepID2+, section 4], and claims that need data which are not here."""

from deepid_lite.registry import study
from deepid_lite.verification.pipeline import evaluate_model


@study
def verification(setup, seed=0):
    """Tables 1 and 3 and Fig. 4: everything that `deepid evaluate` says of the net, or of the ensemble, on its test."""
    data = "lfw" if setup.name == "reference" else "synthetic"
    return {"scale": setup.name, **evaluate_model(setup.ensemble or setup.model, data, setup.root, seed)}
