"""Old flat names, for notebooks that were handed out: `deepid_lite.align` is `deepid_lite.faces.alignment` now."""

import importlib
import sys
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "align": "faces.alignment",
    "archives": "faces.images",
    "batches": "nets.batches",
    "blufr": "verification.blufr",
    "brushes": "faces.synthetic.brushes",
    "checkpoints": "tensors",
    "claim_list": "registry",
    "claims": "studies.claims",
    "code_tables": "studies.codes",
    "codes": "neurons.codes",
    "comparisons": "studies.comparisons",
    "curves": "figures.training nets.training_log",
    "disguises": "neurons.disguises",
    "drawing": "faces.synthetic.draw",
    "ensemble": "verification.ensemble",
    "ensemble_plots": "figures.ensemble",
    "ensemble_studies": "studies.ensemble",
    "ensemble_training": "verification.pipeline",
    "evaluation": "verification.evaluation verification.youtube_faces verification.benchmarks verification.model",
    "experiment_list": "studies.ablation_list",
    "experiment_plots": "figures.ablations",
    "experiments": "studies.ablations",
    "face_parts": "faces.synthetic.parts",
    "facecache": "faces.cache",
    "fairness": "studies.fairness",
    "features": "verification.features",
    "gallery": "neurons.gallery neurons.gallery_export",
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
    "neuron_tables": "studies.responses",
    "occlusion": "neurons.occlusion",
    "occlusion_plots": "figures.occlusion",
    "occlusion_studies": "studies.occlusion",
    "onnx_export": "verification.onnx",
    "own_faces": "faces.own_photos verification.pairs",
    "pictures": "figures.style figures.faces figures.training",
    "pipeline": "verification.pipeline cli.table",
    "plots": "figures.sparsity figures.codes figures.selectiveness figures.occlusion figures.ensemble "
    "figures.ablations figures.roc",
    "pretrained": "verification.model verification.verifier",
    "progress": "nets.training_log",
    "protocols": "verification.metrics verification.pairs verification.benchmarks",
    "records": "results files",
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
    "sparsity": "neurons.sparsity neurons.untrained",
    "splits": "faces.splits",
    "subjects": "studies.neurons",
    "sweeps": "studies.robustness",
    "synthetic": "faces.synthetic.people",
    "testsets": "verification.benchmarks",
    "training": "nets.training",
    "trials": "verification.pairs verification.benchmarks",
    "videos": "verification.youtube_faces",
    "widgets": "figures.widgets",
}

RENAMED = {
    "disguises.mask": "surgical_mask",
    "lesions.lesions": "silencing_curves",
    "scales.Scale": "Setup",
    "selectiveness.permuted": "permuted_targets",
    "sparsity.hamming": "hamming_summary",
    "sparsity.nulls": "null_models",
    "sparsity.permuted": "permuted_features",
}


class _OldNames:
    """Gives the module under its old name; where it was divided or names changed, one that knows where to look."""

    def find_spec(self, name, path=None, target=None):
        package, _, old = name.rpartition(".")
        return ModuleSpec(name, self) if package == __package__ and old in MOVED else None

    def create_module(self, spec):
        old = spec.name.rpartition(".")[2]
        parts = [f"{__package__}.{part}" for part in MOVED[old].split()]
        warnings.warn(f"{spec.name} is {' and '.join(parts)} now", DeprecationWarning, stacklevel=2)
        if len(parts) > 1 or any(name.startswith(f"{old}.") for name in RENAMED):
            self._spec = spec
            return _Divided(spec.name, parts)
        module = importlib.import_module(parts[0])
        self._spec = module.__spec__
        return module

    def exec_module(self, module):
        module.__spec__ = self._spec  # the import system has just put the old name's there


class _Divided(ModuleType):
    def __init__(self, name, parts):
        super().__init__(name)
        self._parts = parts

    def __getattr__(self, name):
        new = RENAMED.get(f"{self.__name__.rpartition('.')[2]}.{name}", name)
        for part in () if name.startswith("__") else self._parts:
            module = importlib.import_module(part)
            if hasattr(module, new):
                return getattr(module, new)
        raise AttributeError(f"{self.__name__}: no {name}; see {' and '.join(self._parts)}")


class _Package(ModuleType):
    def __setattr__(self, name, value):
        if name not in MOVED or name not in self.__all__:  # an old module never hides an exported function
            super().__setattr__(name, value)


sys.meta_path.insert(0, _OldNames())  # before the folder widgets/, which would be taken for a package
sys.modules[__package__].__class__ = _Package
