"""Old flat names, for notebooks that were handed out: `deepid_lite.align` is `deepid_lite.faces.alignment` now."""

import importlib
import sys
import warnings
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "align": "faces.alignment",
    "archives": "faces.images",
    "batches": "nets.batches",
    "blufr": "verification.blufr",
    "brushes": "faces.synthetic.brushes",
    "checkpoints": "tensors",
    "claim_list": "studies.claim_list",
    "claims": "studies.claims",
    "code_tables": "studies.codes",
    "codes": "neurons.codes",
    "comparisons": "studies.comparisons",
    "curves": "figures.training",
    "disguises": "neurons.disguises",
    "drawing": "faces.synthetic.draw",
    "ensemble": "verification.ensemble",
    "ensemble_plots": "figures.ensemble",
    "ensemble_studies": "studies.ensemble",
    "ensemble_training": "verification.ensemble_training",
    "evaluation": "verification.evaluation",
    "experiment_list": "studies.ablation_list",
    "experiment_plots": "figures.ablations",
    "experiments": "studies.ablations",
    "face_parts": "faces.synthetic.parts",
    "facecache": "faces.cache",
    "fairness": "studies.fairness",
    "features": "verification.features",
    "gallery": "neurons.gallery",
    "hair": "faces.synthetic.hair",
    "head_model": "faces.synthetic.head",
    "joint_bayesian": "verification.joint_bayesian",
    "labels": "faces.celeba",
    "layers": "nets.layers",
    "lbp": "verification.lbp",
    "lesions": "neurons.silencing",
    "lists": "faces.tables",
    "losses": "nets.losses",
    "netinfo": "nets.summary",
    "neuron_tables": "studies.neurons",
    "occlusion": "neurons.occlusion",
    "occlusion_plots": "figures.occlusion",
    "occlusion_studies": "studies.occlusion",
    "onnx_export": "verification.onnx",
    "own_faces": "faces.own_photos",
    "pictures": "figures.style",
    "pipeline": "verification.pipeline",
    "plots": "figures.paper",
    "pretrained": "verification.model",
    "progress": "nets.training_log",
    "protocols": "verification.metrics",
    "records": "results",
    "recipes": "nets.recipe",
    "region_selection": "verification.region_selection",
    "regions": "faces.regions",
    "regions_app": "cli.regions",
    "reproduce": "cli.reproduce",
    "roc_plots": "figures.roc",
    "scales": "studies.setup",
    "scaling": "studies.scaling",
    "search_app": "cli.search",
    "selectiveness": "neurons.selectiveness",
    "selectiveness_plots": "figures.selectiveness",
    "shipped_codes": "neurons.lfw_codes",
    "sources": "faces.layouts",
    "sparsity": "neurons.sparsity",
    "splits": "faces.splits",
    "subjects": "studies.neuron_systems",
    "sweeps": "studies.robustness",
    "synthetic": "faces.synthetic.people",
    "testsets": "verification.benchmarks",
    "training": "nets.training",
    "trials": "verification.pairs",
    "videos": "verification.youtube_faces",
    "widgets": "figures.widgets",
}


class _OldNames(MetaPathFinder, Loader):
    """Asked last: gives the module itself under its old name."""

    def find_spec(self, name, path=None, target=None):
        package, _, old = name.rpartition(".")
        return ModuleSpec(name, self) if package == __package__ and old in MOVED else None

    def create_module(self, spec):
        new = f"{__package__}.{MOVED[spec.name.rpartition('.')[2]]}"
        warnings.warn(f"{spec.name} is {new} now", DeprecationWarning, stacklevel=2)
        module = importlib.import_module(new)
        self._spec = module.__spec__
        return module

    def exec_module(self, module):
        module.__spec__ = self._spec  # the import system has just put the old name's there


class _Package(ModuleType):
    def __setattr__(self, name, value):
        if name not in MOVED or name not in self.__all__:  # an old module never hides an exported function
            super().__setattr__(name, value)


sys.meta_path.append(_OldNames())
sys.modules[__package__].__class__ = _Package
