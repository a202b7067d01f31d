"""Regions: a crop is the average of what each output pixel covers."""

import math
import os
import subprocess
import sys
import textwrap
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import FRAME
from deepid_lite.faces.regions import (
    CANDIDATES,
    RECTANGLE,
    REGIONS,
    SQUARE,
    WHOLE_FACE,
    WHOLE_FACE_SQUARE,
    Region,
    by_name,
    by_names,
    crop,
    folder_of,
)

rng = np.random.default_rng(0)
FACES = rng.integers(0, 256, (3, *FRAME, 3), dtype=np.uint8)


def naive_pixel(image, region, row, column):
    """The average colour of one output pixel, weighted by areas; beyond the frame its border repeats."""
    height, width = region.height / region.shape[0], region.width / region.shape[1]
    top, left = region.top + row * height, region.left + column * width
    total = np.zeros(3)
    for y in range(int(np.floor(top)), int(np.ceil(top + height))):
        for x in range(int(np.floor(left)), int(np.ceil(left + width))):
            area = (min(y + 1, top + height) - max(y, top)) * (min(x + 1, left + width) - max(x, left))
            inside = image[np.clip(y, 0, FRAME[0] - 1), np.clip(x, 0, FRAME[1] - 1)].astype(float)
            total += area * inside
    return total / (height * width)


@settings(max_examples=30, deadline=None)
@given(
    st.floats(0, 60), st.floats(0, 60), st.floats(10, 68), st.floats(10, 80),
    st.sampled_from([RECTANGLE, SQUARE]), st.integers(0, 4), st.data(),
)  # fmt: skip
def test_equals_naive_area_averaging(left, top, width, height, shape, margin, data):
    region = Region("any", left, top, width, height, shape)
    out = crop(FACES[:1], region, margin)
    assert out.shape == (1, shape[0] + 2 * margin, shape[1] + 2 * margin, 3) and out.dtype == np.uint8
    for _ in range(5):
        row = data.draw(st.integers(0, out.shape[1] - 1))
        column = data.draw(st.integers(0, out.shape[2] - 1))
        expected = naive_pixel(FACES[0], region, row - margin, column - margin)
        np.testing.assert_allclose(out[0, row, column], expected, atol=0.501)


@pytest.mark.parametrize("region", [WHOLE_FACE, WHOLE_FACE_SQUARE, Region("corner", 0, 0, 40, 47, RECTANGLE)])
def test_the_centre_of_a_crop_with_margin_is_the_crop(region):
    rows, columns = region.shape
    wide = crop(FACES, region, margin=5)[:, 5 : 5 + rows, 5 : 5 + columns]
    np.testing.assert_array_equal(wide, crop(FACES, region))


def test_batches_do_not_matter():
    np.testing.assert_array_equal(crop(FACES, batch_size=1), crop(FACES, batch_size=256))
    assert crop(FACES[:0]).shape == (0, 55, 47, 3)


def exact_crop(image, region):
    """The crop in whole numbers: sums of what is covered, in 110ths of a pixel, and halves rounded to the even one."""

    def lengths(start, length, n_out, n_in):
        edges = [Fraction(start).limit_denominator(1000) + i * Fraction(length).limit_denominator(1000) / n_out
                 for i in range(n_out + 1)]  # fmt: skip
        unit = math.lcm(*(edge.denominator for edge in edges))
        pieces = [[max(min(b, x + 1) - max(a, x), 0) * unit for x in range(n_in)] for a, b in pairwise(edges)]
        return np.array(pieces, dtype=np.int64)

    rows = lengths(region.top, region.height, region.shape[0], FRAME[0])
    columns = lengths(region.left, region.width, region.shape[1], FRAME[1])
    total = np.einsum("ry,yxc,sx->rsc", rows, image.astype(np.int64), columns, optimize=True)
    area = rows[0].sum() * columns[0].sum()
    whole, rest = divmod(total, area)
    return whole + (2 * rest + whole % 2 > area)


@pytest.mark.parametrize("name", ["whole face", "inner face", "left eye"])
def test_every_pixel_is_the_exact_average_and_ties_go_to_the_even_number(name):
    np.testing.assert_array_equal(crop(FACES[:1], REGIONS[name])[0], exact_crop(FACES[0], REGIONS[name]))


CROPS = """
    import hashlib, numpy as np
    from deepid_lite.faces.regions import REGIONS, Region, crop
    faces = np.random.default_rng(0).integers(0, 256, (200, 144, 128, 3), dtype=np.uint8)
    regions = [REGIONS["whole face"], REGIONS["inner face"], Region("any", 3.123456, 7.7, 80.1, 99.99)]
    print([hashlib.sha256(crop(faces, region, 3).tobytes()).hexdigest() for region in regions])
"""


@pytest.mark.parametrize(
    "machine",
    [{"threads": "1", "kernel": "Prescott"}, {"threads": "2", "kernel": "Prescott"}, {"threads": "1", "kernel": ""}],
    ids=str,
)
def test_no_kernel_and_no_number_of_threads_changes_a_byte(machine):
    def hashes(threads, kernel):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        env = os.environ | dict.fromkeys(names, threads) | ({"OPENBLAS_CORETYPE": kernel} if kernel else {})
        return subprocess.check_output([sys.executable, "-c", textwrap.dedent(CROPS)], env=env)

    assert hashes(**machine) == hashes("2", "Haswell")


def test_a_flat_face_stays_flat():
    flat = np.full((1, *FRAME, 3), 77, np.uint8)
    assert (crop(flat, WHOLE_FACE, margin=6) == 77).all()


def test_regions_outside_the_frame_are_refused():
    outside = [(-1, 0, 20, 20), (0, -1, 20, 20), (120, 0, 20, 20), (0, 140, 20, 20)]
    for box in [*outside, (5, 5, 0, 9), (5, 5, 9, -1)]:
        with pytest.raises(DataError, match="region eye"):
            Region("eye", *box)


@pytest.mark.parametrize(
    "images", [FACES[0], FACES.astype(np.float32), FACES[:, :100], np.zeros((2, 144, 128, 1), np.uint8)]
)
def test_what_is_no_aligned_face_is_refused(images):
    with pytest.raises(DataError, match="align the faces first"):
        crop(images)


def test_twenty_five_regions_and_a_larger_pool():
    assert len(REGIONS) == 25 and len({(r.left, r.top, r.width, r.height) for r in REGIONS.values()}) == 25
    assert len(CANDIDATES) > 100 and set(REGIONS) < set(CANDIDATES)
    for name, region in CANDIDATES.items():
        assert name == region.name and by_name(name) is region
        if region is not WHOLE_FACE:  # chosen in whole pixels, a hundredth off
            assert region.width / region.height == pytest.approx(region.shape[1] / region.shape[0])
    assert {r.shape for r in REGIONS.values()} == {RECTANGLE, SQUARE}
    folders = [folder_of(region) for region in CANDIDATES.values()]
    assert len(set(folders)) == len(folders) and not any(set(f) & set(" /,.") for f in folders)


def test_regions_that_a_user_asks_for():
    assert by_names("all") == list(REGIONS.values())
    assert [r.name for r in by_names("2")] == ["whole face", "eyes and nose"]
    assert [r.name for r in by_names("nose, mouth")] == ["nose", "mouth"]
    for wrong, says in (
        ("0", "use 1 to 25"), ("26", "use 1 to 25"), ("ear", "region 'ear': use one of 'whole face'"),
        ("nose,nose", "named twice"), ("", "region ''"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=says):
            by_names(wrong)
