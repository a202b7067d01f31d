"""Pictures of people in one shape: read, aligned to one frame, cut into regions, split into held-out people.

Chapters 1 and 2. `synthetic/` draws the people of the book, who do not exist.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "alignment": ["FRAME", "LANDMARKS", "TEMPLATE", "align", "similarity", "transform_points"],
        "dataset": ["FaceSet"],
        "loading": ["load_faces"],
        "own_photos": ["read_own_faces"],
        "pictures": ["PictureSet", "load_pictures", "load_sequence"],
        "regions": ["CANDIDATES", "REGIONS", "Region", "crop"],
        "splits": ["hold_out"],
        "synthetic.people": ["make_faces"],
    },
)
