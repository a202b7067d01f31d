"""Occlusion: how much it hides, where, and that chance belongs to an image; maps and strips against naive loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import TEMPLATE
from deepid_lite.neurons import disguises
from deepid_lite.neurons import occlusion as occ

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(1, 255, (6, 144, 128, 3), dtype=np.uint8)  # no pixel is black: a black one is hidden
DONORS = RNG.integers(1, 255, (5, 144, 128, 3), dtype=np.uint8)
FACE = np.s_[:, occ.TOP : occ.TOP + occ.HEIGHT, occ.LEFT : occ.LEFT + occ.WIDTH]


def hidden(covered, images=IMAGES):
    return (covered != images).any(-1)


# --- from below ---


@pytest.mark.parametrize("fraction", [0, *occ.FRACTIONS, 1])
def test_the_fraction_of_the_face_is_hidden_from_below(fraction):
    before = IMAGES.copy()
    where = hidden(occ.occlude_from_below(IMAGES, fraction))
    assert abs(where[FACE].mean() - fraction) <= 0.5 / occ.HEIGHT
    assert (IMAGES == before).all(), "the given images were changed"
    rows = where.all(2)
    assert (rows == where.any(2)).all(), "whole rows"
    assert (np.diff(rows.astype(int), axis=1) >= 0).all(), "from some row on all that follow"


def test_eyes_are_hidden_beyond_half_and_seventy_percent_leaves_what_is_above_them():
    eyes = round(float(TEMPLATE[0, 1]))
    assert not hidden(occ.occlude_from_below(IMAGES, 0.5))[:, eyes + 10].any()
    assert hidden(occ.occlude_from_below(IMAGES, 0.6))[:, eyes + 3].all()
    most = hidden(occ.occlude_from_below(IMAGES, 0.7))
    assert most[:, eyes - 8 :].all() and not most[:, : eyes - 12].any()


# --- blocks ---


@pytest.mark.parametrize("size", [0, *occ.SIZES])
def test_a_block_is_a_square_within_the_face(size):
    where = hidden(occ.occlude_block(IMAGES, size))
    side = round(size / 110 * 131)
    assert (where.sum((1, 2)) == side**2).all()
    assert (where[FACE].sum((1, 2)) == side**2).all()
    if side:
        assert (where.any(1).sum(1) == side).all() and (where.any(2).sum(1) == side).all()


def test_each_image_has_its_own_place_and_keeps_it():
    corner = [np.argwhere(w)[0] for w in hidden(occ.occlude_block(IMAGES, 30))]
    assert len({tuple(c) for c in corner}) == len(IMAGES)
    again = [np.argwhere(w)[0] for w in hidden(occ.occlude_block(IMAGES, 30, seed=1))]
    assert (np.array(corner) != np.array(again)).any(1).all(), "another seed, other places"
    for small, large in zip(hidden(occ.occlude_block(IMAGES, 30)), hidden(occ.occlude_block(IMAGES, 60)), strict=True):
        assert (small & large).any(), "a growing block stays about where it was"


def test_blocks_reach_every_part_of_the_face():
    image = np.ones((1, 144, 128, 3), np.uint8)
    reached = sum(hidden(occ.occlude_block(image, 40, index=[i]), image)[0].astype(int) for i in range(600))
    face = reached[FACE[1:]]
    assert (face[10:-10, 10:-10] > 0).all()
    assert all(edge.any() for edge in (face[0], face[-1], face[:, 0], face[:, -1]))


# --- fills and chance ---


@pytest.mark.parametrize("fill", occ.FILLS)
@pytest.mark.parametrize("occlude, amount", [(occ.occlude_from_below, 0.4), (occ.occlude_block, 40)])
@settings(max_examples=8, deadline=None)
@given(order=st.permutations(range(6)), cut=st.integers(1, 5))
def test_any_split_in_any_order_hides_the_same(occlude, amount, fill, order, cut):
    more = {"fill": fill, "seed": 3, "donors": DONORS}
    whole = occlude(IMAGES, amount, **more)
    order = np.array(order)
    parts = [occlude(IMAGES[part], amount, index=part, **more) for part in (order[:cut], order[cut:])]
    np.testing.assert_array_equal(np.concatenate(parts), whole[order])


def test_what_the_fills_are():
    where = hidden(occ.occlude_block(IMAGES, 50, "black"))
    assert (occ.occlude_block(IMAGES, 50, "black")[where] == 0).all()
    assert (occ.occlude_block(IMAGES, 50, "grey")[where] == 128).all()
    noise = occ.occlude_block(IMAGES, 50, "noise")
    assert 120 < noise[where].mean() < 135 and noise[where].std() > 65
    assert (noise[~where] == IMAGES[~where]).all()
    for image, place in zip(occ.occlude_block(IMAGES, 50, "face", donors=DONORS), where, strict=True):
        assert any((image[place] == donor[place]).all() for donor in DONORS), "one donor's same place"


def test_no_images():
    assert occ.occlude_block(IMAGES[:0], 40).shape == (0, 144, 128, 3)
    assert occ.occlude_from_below(IMAGES[:0], 0.4).shape == (0, 144, 128, 3)


@pytest.mark.parametrize("value", [-0.1, 1.01, 40, np.nan, np.inf, "half", None, True])
def test_a_fraction_outside_0_to_1_is_one_line(value):
    with pytest.raises(DataError, match=r"fraction .*: give 0 to 1; 0.4 hides 40 %") as error:
        occ.occlude_from_below(IMAGES, value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [-1, 95, 1000, np.nan, "40"])
def test_a_block_larger_than_the_face_is_one_line(value):
    with pytest.raises(DataError, match="size .*: give 0 to 94.05; a larger block leaves the face"):
        occ.occlude_block(IMAGES, value)


@pytest.mark.parametrize("call, message", [
    (lambda: occ.occlude_block(IMAGES, 10, "white"), "fill 'white': use one of black, grey, noise, face"),
    (lambda: occ.occlude_block(IMAGES, 10, "face"), "give donors"),
    (lambda: occ.occlude_block(IMAGES, 10, "face", donors=DONORS[:0]), "give donors"),
    (lambda: occ.occlude_block(IMAGES[:, :100], 10), "align the faces first"),
    (lambda: occ.occlude_block(IMAGES.astype(float), 10), "align the faces first"),
    (lambda: occ.occlude_block(IMAGES, 10, index=[1, 2]), "6 whole numbers"),
    (lambda: occ.occlude_block(IMAGES, 10, index=np.arange(6) - 1), "6 whole numbers"),
    (lambda: occ.occlude_block(IMAGES, 10, index=np.arange(6) + 0.5), "6 whole numbers"),
])  # fmt: skip
def test_other_wrong_input_is_one_line(call, message):
    with pytest.raises(DataError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_conditions_are_the_papers_fourteen_and_the_clean_one():
    conditions = occ.conditions()
    assert len(conditions) == 15 and next(iter(conditions)) == "clean"
    index = np.arange(6)
    for name, occlude in conditions.items():
        word, _, amount = name.partition(" ")
        expected = {"clean": lambda _: IMAGES, "below": lambda a: occ.occlude_from_below(IMAGES, float(a)),
                    "block": lambda a: occ.occlude_block(IMAGES, float(a))}[word](amount)  # fmt: skip
        np.testing.assert_array_equal(occlude(IMAGES, None, index), expected)


# --- sensitivity ---


def weighted(weights):
    return lambda images, index: (images.astype(float).mean(3) * weights[index]).sum((1, 2))


def test_sensitivity_equals_a_loop():
    weights = RNG.normal(size=(6, 144, 128))
    measure = weighted(weights)
    drop, tops, lefts = occ.sensitivity_map(IMAGES, measure, side=40, step=33, batch_size=7)
    assert drop.shape == (6, len(tops), len(lefts))
    for i, image in enumerate(IMAGES):
        for r, top in enumerate(tops):
            for c, left in enumerate(lefts):
                covered = image.copy()
                covered[top : top + 40, left : left + 40] = 128
                both = measure(np.stack([image, covered]), np.array([i, i]))
                np.testing.assert_allclose(drop[i, r, c], both[0] - both[1])


def test_sensitivity_of_several_measures():
    weights = RNG.normal(size=(6, 144, 128))
    one = weighted(weights)
    both, *_ = occ.sensitivity_map(IMAGES, lambda x, i: np.stack([one(x, i), 2 * one(x, i)], 1), side=60, step=30)
    single, *_ = occ.sensitivity_map(IMAGES, one, side=60, step=30)
    np.testing.assert_allclose(both, np.stack([single, 2 * single], -1))


def test_patches_stay_in_the_face_and_spread_is_the_mean_of_those_that_hid_a_pixel():
    drop, tops, lefts = occ.sensitivity_map(IMAGES[:1], weighted(np.ones((1, 144, 128))), side=24, step=8)
    assert tops[0] == occ.TOP and tops[-1] + 24 <= occ.TOP + occ.HEIGHT
    assert lefts[0] == occ.LEFT and lefts[-1] + 24 <= occ.LEFT + occ.WIDTH
    heat = occ.spread(drop[0], tops, lefts, 24)
    total, count = np.zeros((144, 128)), np.zeros((144, 128))
    for r, top in enumerate(tops):
        for c, left in enumerate(lefts):
            total[top : top + 24, left : left + 24] += drop[0, r, c]
            count[top : top + 24, left : left + 24] += 1
    np.testing.assert_allclose(heat[count > 0], (total / np.maximum(count, 1))[count > 0])
    assert np.isnan(heat[count == 0]).all() and (count == 0).any()


@pytest.mark.parametrize("side, step", [(0, 8), (113, 8), (24, 0)])
def test_impossible_patches_are_one_line(side, step):
    with pytest.raises(DataError, match="patch of"):
        occ.sensitivity_map(IMAGES, weighted(np.ones((6, 144, 128))), side, step)


# --- strips ---

CLEAN = np.maximum(RNG.normal(size=(9, 40)), 0)
COVERED = [np.maximum(CLEAN + s * RNG.normal(size=CLEAN.shape), 0) for s in (0.1, 1.0)]


def test_strips_equal_a_loop():
    strips = occ.activation_strips(CLEAN, COVERED)
    order = sorted(range(40), key=lambda d: -CLEAN[:, d].mean())
    np.testing.assert_array_equal(strips["order"], order)
    for level, features in enumerate([CLEAN, *COVERED]):
        np.testing.assert_allclose(strips["strips"][level], features.mean(0)[order])
    for level, features in enumerate(COVERED):
        expected = spearmanr(CLEAN.mean(0), features.mean(0)).statistic
        np.testing.assert_allclose(strips["rank_correlation"][level], expected)
        each = [spearmanr(a, b).statistic for a, b in zip(CLEAN, features, strict=True)]
        np.testing.assert_allclose(strips["image_rank_correlation"][level], np.mean(each))
        bits = [sum((a > 0) != (b > 0) for a, b in zip(*rows, strict=True))
                for rows in zip(CLEAN, features, strict=True)]  # fmt: skip
        np.testing.assert_allclose(strips["code_distance"][level], np.mean(bits))


def test_unchanged_and_dead_features():
    strips = occ.activation_strips(CLEAN, [CLEAN, np.zeros_like(CLEAN)])
    np.testing.assert_allclose(strips["rank_correlation"], [1, 0])
    assert strips["code_distance"][0] == 0 and strips["code_distance"][1] == (CLEAN > 0).sum(1).mean()


def test_wrong_features_are_one_line():
    for clean, covered in ((CLEAN, [CLEAN[:5]]), (CLEAN[0], []), (CLEAN[:0], []), (CLEAN * np.nan, [CLEAN])):
        with pytest.raises(DataError, match="features") as error:
            occ.activation_strips(clean, covered)
        assert "\n" not in str(error.value)


def test_people_compared_equal_a_loop():
    found = [np.maximum(RNG.normal(size=(4, n, 30)), 0) for n in (5, 7, 3)]
    result = occ.compare_people(found, n_below=2, every=3)
    assert np.array(result["rank_correlation"]["from_below"]).shape == (3, 3)
    assert np.array(result["strips"]["block"]).shape == (3, 2, 10)
    assert [row[0] for row in result["rank_correlation"]["block"]] == [1, 1, 1]
    codes = [f[0] > 0 for f in found]
    for p in range(3):
        own = [(a != b).sum() for i, a in enumerate(codes[p]) for j, b in enumerate(codes[p]) if i != j]
        np.testing.assert_allclose(result["same_person_distance"][p], np.mean(own), atol=1e-3)
        others = [np.mean([(a != b).sum() for a in codes[p] for b in codes[q]]) for q in range(3) if q != p]
        np.testing.assert_allclose(result["other_person_distance"][p], np.mean(others), atol=1e-4)
        alike = [spearmanr(found[p][0].mean(0), found[q][0].mean(0)).statistic for q in range(3) if q != p]
        np.testing.assert_allclose(result["other_person_rank_correlation"][p], np.mean(alike), atol=1e-4)


# --- disguises ---

LANDMARKS = np.repeat(TEMPLATE[None], 6, 0)


@pytest.mark.parametrize("wear, on, off", [
    (disguises.sunglasses, (0, 1), (2, 3, 4)), (disguises.surgical_mask, (2, 3, 4), (0, 1))
])  # fmt: skip
def test_disguises_hide_what_they_should(wear, on, off):
    where = hidden(wear(IMAGES, LANDMARKS))
    x, y = np.rint(TEMPLATE).astype(int).T
    assert where[:, y[list(on)], x[list(on)]].all() and not where[:, y[list(off)], x[list(off)]].any()
    assert 0.05 < where.mean() < 0.5 and (wear(IMAGES[:2], LANDMARKS[:2]) == wear(IMAGES, LANDMARKS)[:2]).all()


@pytest.mark.parametrize("wear", [disguises.sunglasses, disguises.surgical_mask])
def test_disguises_follow_the_landmarks(wear):
    grey = np.full((1, 144, 128, 3), 200, np.uint8)
    there = hidden(wear(grey, LANDMARKS[:1] - [0, 12]), grey)
    here = hidden(wear(grey, LANDMARKS[:1]), grey)
    np.testing.assert_array_equal(there[0, :100], here[0, 12:112])


@pytest.mark.parametrize("wear", [disguises.sunglasses, disguises.surgical_mask])
def test_disguises_have_smooth_edges_and_refuse_wrong_input(wear):
    white = np.full((1, 144, 128, 3), 255, np.uint8)
    values = np.unique(wear(white, LANDMARKS[:1])[..., 0])
    assert len(values) > 8, "only flat colours: no anti-aliasing"
    assert wear(IMAGES[:0], LANDMARKS[:0]).shape == (0, 144, 128, 3)
    for images, points, message in ((IMAGES, LANDMARKS[:3], "wanted uint8"), (IMAGES / 2, LANDMARKS, "wanted uint8"),
                                    (IMAGES, LANDMARKS * np.nan, "not finite")):  # fmt: skip
        with pytest.raises(DataError, match=message):
            wear(images, points)
