"""The study of verification and identification [DeepID2+, section 4], and claims that need data which are not here."""

from deepid_lite.registry import Claim, claims, study
from deepid_lite.verification.pipeline import evaluate_model


@study
def verification(setup, seed=0):
    """Tables 1 and 3 and Fig. 4: everything that `deepid evaluate` says of the net, or of the ensemble, on its test."""
    data = "lfw" if setup.name == "reference" else "synthetic"
    return {"scale": setup.name, **evaluate_model(setup.ensemble or setup.model, data, setup.root, seed)}


claims(
    Claim(
        "corrected labels", row=7, study="errata", source="section 4", paper="99.52 %",
        statement="With the wrongly labelled pairs of LFW corrected the accuracy rises",
        kind="baseline", against="the labels as they are", at_least=99, margin=2,
        why="the authors' list of corrections is not printed; `deepid evaluate --errata FILE` reads one",
    ),
    Claim(
        "YouTube Faces", row=8, study="ytf", source="section 4, Table 2, Fig. 5", paper="93.2 %",
        statement="25 nets verify YouTube Faces' videos better than everything before",
        kind="baseline", against="high-dimensional LBP", at_least=92, margin=2,
        why="the videos need a registration; `deepid evaluate --data ytf` reads them",
    ),
)  # fmt: skip
