"""Who trains the net, and who is held out. No person stands on both sides.

The papers keep about 2,000 people from the nets; on them Joint Bayesian is fitted and everything is chosen
[DeepID2+, section 2]. Here the same holds; the people of the test set (LFW) are in neither part.
"""

from importlib import resources

import numpy as np

from deepid_lite.errors import DataError


def flagged_people():
    """Identities of the web faces that the leakage audit removed: the same person may be in LFW. See book/results."""
    text = (resources.files("deepid_lite") / "presets" / "flagged.txt").read_text(encoding="utf-8")
    return frozenset(line.split("#")[0].strip() for line in text.splitlines() if line.split("#")[0].strip())


def hold_out(faces, fraction=0.1, seed=0, min_images=2):
    """Indices (net, held_out) of a FaceSet's images: a seeded `fraction` of the groups is held out from the net.

    People are drawn in groups: the members of a family (identities `fiw-<family>-<member>`) look alike and stay
    together, anybody else is a group of one. CelebA's people (`celeba-<number>`) are not drawn. Where the attribute
    `part` knows them (0 train, 1 validation, 2 test, nan for the web), all of its validation and test part are kept
    from the net, as DeepID2 did, and its train part is the net's; without it all of CelebA is kept, so that human
    attribute labels exist for people that the net never saw. Flagged people are in neither part, people with fewer
    than `min_images` images are not in the net's.
    """
    if not 0 < fraction < 1:
        raise DataError(f"hold-out fraction {fraction}: use a number between 0 and 1")
    names = np.array(faces.names)
    group = np.array([name.rsplit("-", 1)[0] if name.startswith("fiw-") else name for name in names])
    celeba = np.array([name.startswith("celeba-") for name in names])
    drawn = np.random.default_rng(seed).permutation(np.unique(group[~celeba]))
    theirs = celeba  # CelebA's people that are kept, whatever the draw says
    if "part" in faces.attributes:
        theirs = np.bincount(faces.labels, faces.attributes["part"] > 0, minlength=len(names)) > 0
    held_out_people = np.isin(group, [*drawn[: round(fraction * len(drawn))], *group[theirs]])
    usable = ~np.isin(names, list(flagged_people()))
    enough = np.bincount(faces.labels, minlength=len(names)) >= min_images
    net = np.flatnonzero((~held_out_people & usable & enough)[faces.labels])
    held_out = np.flatnonzero((held_out_people & usable)[faces.labels])
    if len(net) == 0 or len(held_out) == 0:
        raise DataError(
            f"{faces.source}: {len(names)} people cannot be split; give more people with {min_images} images"
        )
    return net, held_out


def split_people(labels, seed=1):
    """Mask (N,): true for the images of a random half of the people. One half fits, the other half chooses."""
    people = np.unique(labels)
    return np.isin(labels, np.random.default_rng(seed).permutation(people)[: (len(people) + 1) // 2])


def renumber(labels):
    """Labels as 0..P-1 without gaps, in the same order."""
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def place_among(labels):
    """The place of each image among its person's, from 0, in the order in which they come: int (N,)."""
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels)
    place = np.empty(len(labels), int)
    place[order] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return place
