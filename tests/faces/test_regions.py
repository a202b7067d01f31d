"""Regions: a crop is the average of what each output pixel covers."""

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
    difference = np.abs(wide.astype(int) - crop(FACES, region))
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3  # ties of rounding


def test_batches_do_not_matter():
    np.testing.assert_array_equal(crop(FACES, batch_size=1), crop(FACES, batch_size=256))
    assert crop(FACES[:0]).shape == (0, 55, 47, 3)


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
