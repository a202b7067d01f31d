"""Is it the same person? Features of a face, the verifier, the protocols of LFW and others, ensembles.

Chapters 6, 7 and 12.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "benchmarks": ["Benchmark", "benchmark", "evaluate"],
        "joint_bayesian": ["JointBayesian"],
        "metrics": ["verify"],
        "model": ["FaceModel", "face_features", "load_model", "pretrained", "save_model"],
        "pairs": ["Pairs", "make_pairs"],
        "pipeline": ["evaluate_model", "train_ensemble", "train_model"],
        "verifier": ["Verifier", "fit_verifier"],
    },
)
