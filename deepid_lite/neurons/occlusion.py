"""Occluded faces, and what occlusion does to features [DeepID2+, section 7, Figs. 14 to 17].

Everything works on aligned faces, uint8 (N, 144, 128, 3). The paper prints neither the size of its pictures nor the
colour of its occlusions, so ours are stated here:

- The *face* is the region `FACE` that the whole-face net reads, 131 rows from the forehead's hair to below the chin.
  One from below reaches the eyes (row 60) between 50 and 60 % and leaves forehead and hair at 70 % as in Fig. 14.
- A block of n x n pixels means n / `PAPER_HEIGHT` of the face's height, with 110 rows: the net's input of 55 x 47,
  doubled. 70 x 70 then hides 47 % of the face.
- Occlusions are black unless asked otherwise.

**Chance belongs to an image, not to a batch.** What is drawn for image i depends on the seed and on i alone, so that
any split into batches, in any order, hides the same pixels.
"""

import numpy as np
from scipy.stats import rankdata

from deepid_lite.errors import DataError, checked_features
from deepid_lite.faces.alignment import FRAME
from deepid_lite.faces.regions import WHOLE_FACE

FACE = WHOLE_FACE
TOP, LEFT, HEIGHT, WIDTH = (int(v) for v in (FACE.top, FACE.left, FACE.height, FACE.width))
PAPER_HEIGHT = 110  # rows of the face on the paper's scale of block sizes
FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # of the face, from below
SIZES = (10, 20, 30, 40, 50, 60, 70)  # of blocks, in the paper's pixels
FILLS = ("black", "grey", "noise", "face")


def occlude_from_below(images, fraction, fill="black", seed=0, index=None, donors=None):
    """The lowest `fraction` (0 to 1) of the face hidden, and all that lies below it [Fig. 14, first row].

    images: uint8 (N, 144, 128, 3). fill: "black", "grey", "noise", or "face": the same place of a face from `donors`
    (M, 144, 128, 3), who should be other people. index: (N,) numbers of the images in their whole set, 0..N-1 unless
    given; noise and donors follow from it and the seed. Returns new images; raises DataError on values outside 0 to 1.
    """
    images, index = _checked(images, index)
    rows = round(_within("fraction", fraction, 1, "0.4 hides 40 % of the face") * HEIGHT)
    top = np.full(len(images), TOP + HEIGHT - rows if rows else FRAME[0])
    boxes = np.stack([top, np.full_like(top, FRAME[0]), np.zeros_like(top), np.full_like(top, FRAME[1])], axis=1)
    return _fill(images, boxes, fill, seed, index, donors)


def occlude_block(images, size, fill="black", seed=0, index=None, donors=None):
    """A square of `size` pixels on the paper's scale hidden somewhere within the face [Fig. 14, second row].

    Each image has its own place, and keeps it as the square grows; the rest as `occlude_from_below`.
    """
    images, index = _checked(images, index)
    side = block_side(size)
    place = np.array([_chance(seed, i).random(2) for i in index]).reshape(-1, 2)
    top, left = (place * [HEIGHT - side + 1, WIDTH - side + 1]).astype(int).T + [[TOP], [LEFT]]
    boxes = np.stack([top, top + side, left, left + side], axis=1)
    return _fill(images, boxes, fill, seed, index, donors)


cover_from_below, cover_block = occlude_from_below, occlude_block  # as problem sets call them that were handed out


def block_side(size):
    """Pixels of the aligned frame for a block of `size` paper pixels; the face's width is the largest."""
    most = WIDTH * PAPER_HEIGHT / HEIGHT
    return round(_within("size", size, most, f"a larger block leaves the face, of {PAPER_HEIGHT} rows") * HEIGHT
                 / PAPER_HEIGHT)  # fmt: skip


def conditions(fractions=FRACTIONS, sizes=SIZES, fill="black", seed=0, donors=None):
    """The paper's conditions by name, "clean" first: {name: (images, landmarks, index) -> images}."""
    more = {"fill": fill, "seed": seed, "donors": donors}
    return (
        {"clean": lambda images, landmarks, index: images}
        | {f"below {f:g}": lambda x, _, i, f=f: occlude_from_below(x, f, index=i, **more) for f in fractions}
        | {f"block {n:g}": lambda x, _, i, n=n: occlude_block(x, n, index=i, **more) for n in sizes}
    )


def sensitivity_map(images, measure, side=24, step=8, grey=128, batch_size=256):
    """What each place of a face is worth: the fall of a measure while a grey patch hides the place.

    measure: (images (M, 144, 128, 3), index (M,)) -> (M,) or (M, K) numbers, where index says from which of the N
    images each was made; a pair's score, or minus a code's distance to the clean one. Returns (drop (N, R, C) or
    (N, R, C, K), tops (R,), lefts (C,)): the measure of the clean image less that with a `side` x `side` patch whose
    first row is tops[r] and whose first column is lefts[c].
    """
    images, numbers = _checked(images, None)
    if not (1 <= side <= WIDTH and step >= 1):
        raise DataError(f"patch of {side} pixels in steps of {step}: use 1 to {WIDTH}, in steps of 1 or more")
    tops, lefts = np.arange(TOP, TOP + HEIGHT - side + 1, step), np.arange(LEFT, LEFT + WIDTH - side + 1, step)
    clean = np.concatenate([measure(images[i : i + batch_size], numbers[i : i + batch_size])
                            for i in range(0, len(images), batch_size)])  # fmt: skip
    which, row, column = (v.ravel() for v in np.indices((len(images), len(tops), len(lefts))))
    values = np.empty((len(which), *clean.shape[1:]))
    for i in range(0, len(which), batch_size):
        part = slice(i, i + batch_size)
        occluded = images[which[part]]
        inside = [(np.arange(n) >= at[:, None]) & (np.arange(n) < at[:, None] + side)
                  for n, at in zip(FRAME, (tops[row[part]], lefts[column[part]]), strict=True)]  # fmt: skip
        occluded[inside[0][:, :, None] & inside[1][:, None, :]] = grey
        values[part] = measure(occluded, which[part])
    values = values.reshape(len(images), len(tops), len(lefts), *clean.shape[1:])
    return clean[:, None, None] - values, tops, lefts


def spread(drop, tops, lefts, side=24):
    """A sensitivity map (..., R, C) on the pixels (..., 144, 128): the mean over the patches that hid a pixel.

    NaN where no patch came.
    """
    rows = (np.arange(FRAME[0])[:, None] >= tops) & (np.arange(FRAME[0])[:, None] < np.asarray(tops) + side)
    columns = (np.arange(FRAME[1])[:, None] >= lefts) & (np.arange(FRAME[1])[:, None] < np.asarray(lefts) + side)
    count = np.outer(rows.sum(1), columns.sum(1))
    total = rows.astype(float) @ np.asarray(drop, float) @ columns.T.astype(float)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def activation_strips(clean, occluded):
    """One person's features under growing occlusion [Fig. 17], and how far they keep their pattern.

    clean: (n, D) features of n images; occluded: list of L such arrays, of the same images occluded. Returns a dict:
    "order" (D,), the neurons from the highest mean activation on clean images to the lowest; "strips" (1 + L, D),
    mean activations in that order; "rank_correlation" (L,), Spearman's, of each occluded strip with the clean one;
    "image_rank_correlation" (L,), the mean of the single images'; "code_distance" (L,), the mean number of neurons
    that occlusion switches on or off in an image.
    """
    clean, *occluded = (checked_features(c) for c in (clean, *occluded))
    if clean.ndim != 2 or not len(clean) or any(c.shape != clean.shape for c in occluded):
        raise DataError(f"features {clean.shape} and {[c.shape for c in occluded]}: give (n, D) of the same images")
    means = np.stack([f.mean(0) for f in (clean, *occluded)])
    order = np.argsort(-means[0], kind="stable")
    return {
        "order": order,
        "strips": means[:, order],
        "rank_correlation": np.array([rank_correlation(means[:1], m[None])[0] for m in means[1:]]),
        "image_rank_correlation": np.array([rank_correlation(clean, c).mean() for c in occluded]),
        "code_distance": np.array([((clean > 0) != (c > 0)).sum(1).mean() for c in occluded]),
    }


def compare_people(found, n_below, every=None):
    """`activation_strips` of several people under `conditions`, as plain numbers, and what they compare with.

    found: for each person features (1 + n_below + n_blocks, n, D): clean, occluded from below, by blocks. every: keep
    the strips themselves, every n-th neuron of their order. Beside the numbers of each person's occlusions stand the
    code distance of two clean images of one person and of two people, and the rank correlation of two people's means.
    """
    result = {} if every is None else {"strips": {}}
    for kind, part in (("from_below", np.s_[1 : 1 + n_below]), ("block", np.s_[1 + n_below :])):
        of_people = [activation_strips(f[0], f[part]) for f in found]
        for name in ("rank_correlation", "image_rank_correlation", "code_distance"):
            start = 0.0 if name == "code_distance" else 1.0  # the clean images with themselves
            result.setdefault(name, {})[kind] = [[start, *np.round(s[name], 4).tolist()] for s in of_people]
        if every is not None:
            result["strips"][kind] = [np.round(s["strips"][:, ::every], 4).tolist() for s in of_people]
    rates, counts = np.stack([(f[0] > 0).mean(0) for f in found]), np.array([f.shape[1] for f in found])
    apart = rates @ (1 - rates).T  # expected bits that one person's image has and another's lacks
    distances = apart + apart.T
    result["same_person_distance"] = np.round(np.diag(distances) * counts / np.maximum(counts - 1, 1), 3).tolist()
    means = np.stack([f[0].mean(0) for f in found])
    alike = np.stack([rank_correlation(means, m[None]) for m in means])
    for name, values in (("other_person_distance", distances), ("other_person_rank_correlation", alike)):
        result[name] = [round(float(row[o].mean()), 4) if o.any() else None
                        for row, o in zip(values, ~np.eye(len(found), dtype=bool), strict=True)]  # fmt: skip
    return result


def rank_correlation(a, b):
    """Spearman's rank correlation of each row of a with that of b, (n, D) -> (n,); 0 where a row is constant."""
    ranks = [rankdata(x, axis=1) - (x.shape[1] + 1) / 2 for x in (a, b)]
    power = np.sqrt((ranks[0] ** 2).sum(1) * (ranks[1] ** 2).sum(1))
    return (ranks[0] * ranks[1]).sum(1) / np.where(power > 0, power, 1)


def _within(name, value, most, hint):
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value <= most:
        raise DataError(f"occlusion {name} {value!r}: give 0 to {most:.4g}; {hint}")
    return float(value)


def _checked(images, index):
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1:] != (*FRAME, 3) or images.dtype != np.uint8:
        got, wanted = f"{images.dtype} {images.shape}", f"uint8 (N, {FRAME[0]}, {FRAME[1]}, 3)"
        raise DataError(f"occlusion: got {got}, wanted {wanted}; align the faces first")
    index = np.arange(len(images)) if index is None else np.asarray(index)
    if index.shape != (len(images),) or index.dtype.kind not in "iu" or (index < 0).any():
        raise DataError(f"occlusion: index {index.dtype} {index.shape}, wanted {len(images)} whole numbers from 0 on")
    return images, index


def _chance(seed, index):
    return np.random.default_rng([int(seed), int(index)])


def _fill(images, boxes, fill, seed, index, donors):
    """Copies of the images with their boxes (N, 4), top, bottom, left, right, filled."""
    if fill not in FILLS:
        raise DataError(f"fill {fill!r}: use one of {', '.join(FILLS)}")
    if fill == "face" and (donors is None or not len(donors) or donors.shape[1:] != (*FRAME, 3)):
        raise DataError(f"fill 'face': give donors, aligned faces of others, uint8 (M, {FRAME[0]}, {FRAME[1]}, 3)")
    occluded = images.copy()
    for image, i, (top, bottom, left, right) in zip(occluded, index, boxes, strict=True):
        place = np.s_[top:bottom, left:right]
        if fill in ("black", "grey"):
            image[place] = 0 if fill == "black" else 128
            continue
        chance = _chance(seed, i)
        chance.random(2)  # the block's place
        if fill == "noise":
            image[place] = chance.integers(0, 256, image[place].shape, dtype=np.uint8)
        else:
            image[place] = donors[chance.integers(len(donors))][place]
    return occluded
