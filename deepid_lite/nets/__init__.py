"""The three nets of the DeepID papers, their two losses, and how they are trained.

Chapters 3 to 5.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "deepid": ["DeepID", "DeepID2", "DeepID2Plus", "DeepIDNet", "KERNELS", "build", "map_sizes", "to_input"],
        "layers": ["LocallyConnected2d"],
        "losses": ["TwoSignals"],
        "recipe": ["Recipe", "preset_names", "read_recipe"],
        "training": ["fit", "train"],
    },
)
