"""Batches: which images stand where, and how they are augmented."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepid_lite.errors import DataError
from deepid_lite.nets.batches import FaceBatches, augment, check_images, check_labels, epoch_order, step_seed
from deepid_lite.nets.recipe import Recipe


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=12), st.integers(1, 5), st.integers(0, 99))
def test_each_image_once_in_groups_of_one_person(counts, images_per_person, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    order = epoch_order(labels, images_per_person, seed, epoch=3)
    np.testing.assert_array_equal(np.sort(order), np.arange(len(labels)))
    # a person's images fill whole groups and at most one group of the rest: count the longest way to cut them
    people, place = labels[order], 0
    seen = dict.fromkeys(range(len(counts)), 0)
    while place < len(people):
        person = people[place]
        left = counts[person] - seen[person]
        rest = counts[person] % images_per_person
        # the group here is whole, or the person's rest, which stands anywhere among the groups
        whole = (people[place : place + images_per_person] == person).sum() == images_per_person
        size = images_per_person if whole and left >= images_per_person else rest
        assert size and (people[place : place + size] == person).all()
        seen[person] += size
        place += size
    assert list(seen.values()) == counts


def test_order_is_a_function_of_seed_and_epoch():
    labels = np.repeat(np.arange(20), 5)
    order = epoch_order(labels, 4, seed=3, epoch=7)
    np.random.seed(0)  # nothing outside plays a part
    np.testing.assert_array_equal(order, epoch_order(labels, 4, seed=3, epoch=7))
    assert (order != epoch_order(labels, 4, seed=3, epoch=8)).any()
    assert (order != epoch_order(labels, 4, seed=4, epoch=7)).any()


def test_people_are_shuffled_and_so_are_their_images():
    labels = np.repeat(np.arange(50), 8)
    order = epoch_order(labels, 4, 0, 0)
    firsts = labels[order[::4]]
    assert np.abs(np.diff(firsts)).mean() > 8  # groups of one person are apart from each other
    groups = order.reshape(-1, 4) % 8
    assert len({tuple(sorted(g)) for g in groups}) > 20  # and hold other images of each


def face_batches(n=60, **changes):
    recipe = Recipe(batch_size=8, images_per_person=4, **changes)
    images = np.random.default_rng(0).integers(0, 256, (n, 17, 15, 3), dtype=np.uint8)
    return images, FaceBatches(images, np.arange(n) % 7, recipe, (11, 9))


def test_a_batch_is_a_function_of_the_step_whatever_was_asked_before():
    _, batches = face_batches()
    assert len(batches) == 7
    asked = {step: batches(step, "cpu") for step in (20, 3, 13, 0)}
    torch.manual_seed(1)  # nothing outside plays a part
    for step, (x, people) in asked.items():
        again = face_batches()[1](step, "cpu")
        assert torch.equal(x, again[0]) and torch.equal(people, again[1])
        assert x.shape == (8, 3, 11, 9) and x.is_contiguous(memory_format=torch.channels_last)
    assert not torch.equal(face_batches(seed=1)[1](0, "cpu")[0], asked[0][0])


def test_an_epoch_has_each_image_once_with_its_person():
    images, batches = face_batches(56, vary=0.0)
    seen = []
    for step in range(7, 14):  # the second epoch
        x, people = batches(step, "cpu")
        for picture, person in zip((x + 1) * 127.5, people, strict=True):
            same = np.abs(images[:, 3:14, 3:12].transpose(0, 3, 1, 2) - picture.numpy()).max((1, 2, 3)) < 0.01
            assert same.sum() == 1 and same.argmax() % 7 == person
            seen.append(int(same.argmax()))
    assert sorted(seen) == list(range(56)) and seen != sorted(seen)


def test_seeds_of_steps_and_streams_are_apart():
    seeds = {step_seed(seed, step, stream) for seed in range(5) for step in range(50) for stream in range(3)}
    assert len(seeds) == 5 * 50 * 3 and all(0 <= seed < 2**63 for seed in seeds)


def faces(n=4, margin=3, rows=11, columns=9):
    shape = (n, 3, rows + 2 * margin, columns + 2 * margin)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def test_strength_zero_is_the_crop_in_the_middle():
    images = faces()
    out = augment(images, (11, 9), 0, draws())
    torch.testing.assert_close(out, images[:, :, 3:14, 3:12].float() / 127.5 - 1)


@pytest.mark.parametrize("strength", [0.01, 0.5, 1.0, 2.0])
def test_output_has_the_shape_and_range_of_the_input(strength):
    out = augment(faces(64), (11, 9), strength, draws())
    assert out.shape == (64, 3, 11, 9) and out.dtype == torch.float32
    assert out.min() >= -1 and out.max() <= 1 and out.std() > 0.1


def test_varied_pictures_are_a_function_of_the_generator():
    state = torch.get_rng_state()
    first = augment(faces(), (11, 9), 1.0, draws(5))
    assert torch.equal(torch.get_rng_state(), state)  # the global one is left alone
    assert torch.equal(first, augment(faces(), (11, 9), 1.0, draws(5)))
    assert not torch.equal(first, augment(faces(), (11, 9), 1.0, draws(6)))


def test_weak_variation_is_the_crop_or_its_mirror_image_half_of_the_time():
    images = faces(1).expand(400, -1, -1, -1)
    plain = augment(images[:1], (11, 9), 0, draws())
    out = augment(images, (11, 9), 1e-4, draws())
    straight = (out - plain).abs().amax((1, 2, 3)) < 0.02
    mirrored = (out - plain.flip(3)).abs().amax((1, 2, 3)) < 0.02
    assert (straight ^ mirrored).all()
    assert 150 < mirrored.sum() < 250


def test_geometry_is_a_similarity():
    """Two spots keep their distance up to one scale, whatever their direction, on oblong pictures."""
    side, ratios = 60, []
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side - 20), indexing="ij")

    def picture(dx, dy):
        spots = [(20 + dx, 30 + dy), (20 - dx, 30 - dy)]
        value = [255 * torch.exp(-((x - px) ** 2 + (y - py) ** 2) / 8.0) for px, py in spots]
        return torch.stack([value[0], value[1], torch.zeros_like(value[0])]).byte()

    for dx, dy in ((8, 0), (0, 8), (6, 6), (6, -6)):
        out = augment(picture(dx, dy).expand(30, -1, -1, -1).contiguous(), (50, 30), 0.9, draws(1)) + 1
        rows, columns = torch.arange(50.0)[:, None], torch.arange(30.0)
        weight = out[:, :2].clamp(min=0.02) - 0.02
        total = weight.sum((2, 3))
        x_and_y = [(weight * places).sum((2, 3)) / total for places in (columns, rows)]
        centre = torch.stack(x_and_y, -1)
        coloured = (out[:, 0] - out[:, 1]).abs().amax((1, 2)) > 0.2  # a greyed picture has four spots' worth
        ratio = (centre[:, 0] - centre[:, 1]).norm(dim=1) / (2 * (dx**2 + dy**2) ** 0.5)
        ratios.append(torch.where(coloured, ratio, torch.nan))
    ratios = torch.stack(ratios)
    held_out = ratios[:, ~ratios.isnan().any(0)]
    assert held_out.shape[1] > 15
    assert (held_out.amax(0) - held_out.amin(0)).max() < 0.06 and 0.9 < held_out.min() < held_out.max() < 1.12
    assert held_out.mean(0).std() > 0.02  # scales differ between pictures


@pytest.mark.parametrize(
    ("labels", "per_person", "batch", "says"),
    [
        ([0, 0, 2, 2], 2, 2, "without gaps"),
        ([0, 0, -1, -1], 2, 2, "whole numbers"),
        ([0.0, 0.0, 1.0, 1.0], 2, 2, "whole numbers"),
        ([[0, 0], [1, 1]], 2, 2, "whole numbers"),
        ([0, 0, 0], 2, 2, "at least two"),
        ([], 2, 2, "at least two|whole numbers"),
        ([0, 0, 1], 2, 2, "1 people have one image"),
        ([0, 0, 1, 1], 2, 5, "smaller batch"),
    ],
)
def test_labels_that_cannot_fill_batches_get_one_line(labels, per_person, batch, says):
    with pytest.raises(DataError, match=says) as error:
        check_labels(np.array(labels), per_person, batch)
    assert "\n" not in str(error.value)


def test_good_labels_pass():
    check_labels(np.array([1, 0, 1, 0, 0]), 2, 4)
    check_labels(np.array([1, 0, 0]), 1, 3)  # no pairs wanted


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((4, 55, 47, 3)),
        np.zeros((3, 55, 47, 3), np.uint8),
        np.zeros((4, 53, 45, 3), np.uint8),
        np.zeros((4, 57, 47, 3), np.uint8),
        np.zeros((4, 56, 48, 3), np.uint8),
        np.zeros((4, 55, 47), np.uint8),
        np.zeros((4, 3, 55, 47), np.uint8),
    ],
)
def test_images_that_do_not_fit_get_one_line(images):
    with pytest.raises(DataError, match="crop the net's region"):
        check_images(images, np.array([0, 0, 1, 1]), (55, 47))
    check_images(np.zeros((4, 61, 53, 3), np.uint8), np.array([0, 0, 1, 1]), (55, 47))
