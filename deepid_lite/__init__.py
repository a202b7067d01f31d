"""DeepID2+ in the small: nets, losses, Joint Bayesian and the studies of the paper, on your own faces.

    import deepid_lite as dl

    model = dl.pretrained("lite")
    faces = dl.load_faces("synthetic", part="test")
    features, pairs = dl.face_features(model, faces.images), dl.make_pairs(faces.labels)
    print(dl.verify(model.verifier.score_pairs(features, pairs), pairs).accuracy)

Nothing is loaded before it is used. The rooms: faces, nets, verification, neurons, papers, studies, figures, cli.
"""

import lazy_loader

__version__ = "0.2.0"
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["faces", "nets", "verification", "neurons", "papers", "studies", "figures"],
    submod_attrs={
        "errors": ["DataError"],
        "faces.dataset": ["FaceSet"],
        "faces.loading": ["load_faces"],
        "faces.regions": ["REGIONS", "crop"],
        "faces.synthetic.people": ["make_faces"],
        "nets.deepid": ["DeepID2Plus"],
        "nets.recipe": ["read_recipe"],
        "nets.training": ["train"],
        "results": ["load_result"],
        "verification.benchmarks": ["evaluate"],
        "verification.joint_bayesian": ["JointBayesian"],
        "verification.metrics": ["verify"],
        "verification.model": ["FaceModel", "face_features", "pretrained"],
        "verification.pairs": ["Pairs", "make_pairs"],
        "verification.verifier": ["Verifier"],
    },
)

from deepid_lite import _moved  # noqa: E402, F401  (old names of modules go on working)
