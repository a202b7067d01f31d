"""Finding faces: true boxes, the best square against a loop, labels, and pictures that hold no face."""

import json
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from samples import small_faces

from deepid_lite import tensors
from deepid_lite.errors import DataError
from deepid_lite.faces.synthetic.people import ATTRIBUTES, make_faces
from deepid_lite.figures.localisation import draw_responses, figure_recall
from deepid_lite.files import as_json
from deepid_lite.nets.recipe import Recipe
from deepid_lite.papers.localisation import locator, study
from deepid_lite.papers.localisation.net import (
    RING,
    SIDES,
    STEP,
    Answers,
    LNet,
    SceneBatches,
    best_squares,
    overlap,
    responses,
    train,
    zoomed,
)
from deepid_lite.papers.localisation.scenes import FACE, SCALES, SIDE, make_scenes

RECIPE = Recipe(
    "LNet", net={"outputs": 3, "maps": [3, 4, 4, 5]}, weight=0, epochs=2, batch_size=8, images_per_person=1,
    precision="fp32",
)  # fmt: skip


@pytest.fixture(scope="module")
def faces():
    return make_faces(6, 2, seed=5)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return LNet(3, (3, 4, 4, 5)).eval()


def test_boxes_lie_inside_and_frame_the_landmarks(faces):
    scenes = make_scenes(faces.images, np.arange(12), seed=1)
    x, y, w, h = scenes.boxes.T
    assert (x >= 0).all() and (y >= 0).all() and (x + w <= SIDE).all() and (w == h).all()
    assert (w >= SCALES[0] * SIDE).all() and (w <= SCALES[1] * SIDE).all()
    left, top, side = FACE
    inside = (faces.landmarks - [left, top]) / side
    assert ((inside > 0) & (inside < 1)).all(), "the face's square holds eyes, nose and mouth"


def test_the_face_is_where_the_box_says(faces):
    """One scene twice, with a face and with its negative: the pixels that differ most lie in the box."""
    rows = np.arange(6)
    a, b = (make_scenes(np.concatenate([images, faces.images]), rows, seed=2)
            for images in (faces.images, 255 - faces.images))  # fmt: skip
    c = make_scenes(np.concatenate([faces.images, faces.images]), rows, seed=2)
    assert np.array_equal(a.images, c.images) and np.array_equal(a.boxes, b.boxes)
    for one, other, (x, y, w, h) in zip(a.images, b.images, a.boxes.round().astype(int), strict=True):
        away = np.abs(one.astype(int) - other).sum(2)
        assert away[y : y + h, x : x + w].mean() > 2 * away.mean() * 0.9


def test_a_scene_without_a_face_has_no_box(faces):
    scenes = make_scenes(faces.images, [-1, 3, -1], seed=0)
    assert (
        np.isnan(scenes.boxes[[0, 2]]).all()
        and np.isfinite(scenes.boxes[1]).all()
        and scenes.rows.tolist() == [-1, 3, -1]
    )


def test_the_best_square_is_that_of_a_loop():
    maps = np.random.default_rng(0).random((3, SIDE, SIDE)).astype(np.float32)
    boxes, scores = best_squares(maps)
    for response, box, score in zip(maps, boxes, scores, strict=True):
        best = (-np.inf, None)
        for side in SIDES:
            out = round(side * (RING - 1) / 2)
            for y in range(0, SIDE - side + 1, STEP):
                for x in range(0, SIDE - side + 1, STEP):
                    around = np.zeros((SIDE, SIDE), bool)
                    around[max(y - out, 0) : y + side + out, max(x - out, 0) : x + side + out] = True
                    around[y : y + side, x : x + side] = False
                    found = response[y : y + side, x : x + side].mean() - response[around].mean()
                    best = max(best, (found, (x, y, side, side)), key=lambda pair: pair[0])
        assert score == pytest.approx(best[0], abs=1e-5) and tuple(box) == best[1]


def test_a_bright_square_is_found_where_it_is():
    maps = np.zeros((2, SIDE, SIDE), np.float32)
    maps[0, 10:30, 20:40] = 1
    maps[1, 40:64, 0:24] = 3
    boxes, _ = best_squares(maps)
    assert boxes.tolist() == [[20, 10, 20, 20], [0, 40, 24, 24]]


def test_overlap_and_zoom():
    box = np.array([[10, 10, 20, 20]])
    assert overlap(box, box) == 1 and overlap(box, [[30, 10, 5, 5]]) == 0
    assert overlap([[20, 10, 20, 20]], box) == pytest.approx(200 / 600)
    assert zoomed(box, 1.5).tolist() == [[5, 5, 30, 30]]


def test_responses_are_the_averaged_maps(net, faces):
    images = make_scenes(faces.images, [0, 1, -1], seed=3).images
    found = responses(net, images, batch_size=2)
    with torch.no_grad():
        maps = net.maps(torch.as_tensor(images).permute(0, 3, 1, 2) / 127.5 - 1).mean(1)
    assert found.shape == (3, SIDE, SIDE) and found.min() >= 0
    np.testing.assert_allclose(found[:, 2::4, 2::4].mean((1, 2)), maps.mean((1, 2)), rtol=0.2)
    with pytest.raises(DataError, match="scenes: got"):
        responses(net, images[:, :-1])


def test_labels_are_shuffled_repeated_or_people(faces):
    rows = np.arange(12)
    given = SimpleNamespace(attributes=faces.attributes, labels=faces.labels)
    all_of_them = study.labels_of(given, rows, len(ATTRIBUTES), 0)
    assert np.array_equal(study.labels_of(given, rows, 1, 0), all_of_them[:, :1])
    assert sorted(map(tuple, all_of_them.T)) == sorted(tuple(faces.attributes[name]) for name in ATTRIBUTES)
    shuffled = study.labels_of(given, rows, 23, 0, "shuffled")
    assert not np.array_equal(shuffled, all_of_them) and sorted(map(tuple, shuffled)) == sorted(map(tuple, all_of_them))
    repeated = study.labels_of(given, np.tile(rows, 200), 23, 0, "repeated")
    wrong = repeated != np.tile(all_of_them[:, :1], (200, 1))
    assert wrong.mean() == pytest.approx(study.NOISE, abs=0.01)
    assert np.abs(np.corrcoef(wrong.T) - np.eye(23)).max() < 0.1, "each copy has noise of its own"
    assert np.array_equal(study.labels_of(given, rows, 1, 0, "people"), faces.labels)


def test_batches_depend_on_seed_and_step_alone(faces):
    images = make_scenes(faces.images, np.tile(np.arange(12), 2), seed=0).images
    wanted = np.random.default_rng(0).random((24, 3)) < 0.5
    first, second = (SceneBatches(images, wanted, RECIPE) for _ in range(2))
    assert len(first) == 3
    for step in (4, 1):
        for a, b in zip(first(step, "cpu"), second(step, "cpu"), strict=True):
            assert torch.equal(a, b)
    seen = torch.cat([first(step, "cpu")[1] for step in range(3)])
    assert torch.equal(seen.sum(0), torch.as_tensor(wanted).sum(0).float()), "each scene once an epoch"


def test_training_starts_from_the_convolutions_of_another_net(faces, tmp_path):
    scenes = make_scenes(faces.images, np.tile(np.arange(12), 2), seed=0)
    people = train(scenes.images, faces.labels[scenes.rows], RECIPE, tmp_path / "people")
    assert people.answer.out_features == 6
    slow = Recipe(
        "LNet", net=RECIPE.net, weight=0, epochs=1, batch_size=8, images_per_person=1, precision="fp32", lr=1e-9
    )
    wanted = np.ones((24, 3), bool)
    on = train(scenes.images, wanted, slow, tmp_path / "on", start=people)
    assert torch.allclose(on.convolutions[0].weight, people.convolutions[0].weight, atol=1e-6)
    assert on.answer.out_features == 3
    loss, _ = Answers(on)((torch.zeros(2, 3, SIDE, SIDE), torch.ones(2, 3)), 0)
    assert loss.ndim == 0


def bright(net=None, zoom=1.0, threshold=0.05):
    """A locator whose response is the brightness of red."""
    found = locator.Locator(net, zoom, threshold)
    return found


def test_a_face_is_found_in_a_picture_of_any_shape(monkeypatch):
    monkeypatch.setattr(locator, "responses", lambda net, images: images[..., 0] / 255)
    for rows, columns, (x, y, side) in ((200, 300, (150, 60, 80)), (300, 150, (30, 180, 90))):
        picture = np.zeros((rows, columns, 3), np.uint8)
        picture[y : y + side, x : x + side] = 255
        found, score = locator.locate(bright(), picture)
        assert np.abs(np.array(found) - (x, y, side)).max() < 0.1 * side and score > 0.5


def test_no_face_is_one_line(monkeypatch):
    monkeypatch.setattr(locator, "responses", lambda net, images: images[..., 0] / 255)
    with pytest.raises(DataError, match="no face found: the response is 0.000") as error:
        locator.locate(bright(), np.full((40, 70, 3), 90, np.uint8))
    assert "\n" not in str(error.value)


def test_calibration_chooses_scale_and_threshold():
    maps = np.zeros((4, SIDE, SIDE), np.float32)
    maps[:, 20:40, 20:40] = 1
    truth = np.tile([15, 15, 30, 30], (4, 1))
    empty = np.zeros((10, SIDE, SIDE), np.float32)
    empty[0, :20, :20] = 0.5
    zoom, threshold = locator.calibrated(maps, truth, empty)
    assert overlap(zoomed([[20, 20, 20, 20]], zoom), truth[:1]) >= 0.5
    scores = best_squares(empty)[1]
    assert (scores > threshold).mean() <= 0.1


def test_a_locator_comes_back_from_its_file(net, tmp_path):
    path = tmp_path / "locator.safetensors"
    locator.save_locator(path, locator.Locator(net, 1.2, 0.3))
    again = locator.load_locator(path)
    assert (again.zoom, again.threshold) == (1.2, 0.3)
    assert torch.equal(again.net.answer.weight, net.answer.weight)
    weights, facts = tensors.load(path)
    tensors.save(path, weights, {"net": facts["net"]})
    with pytest.raises(DataError, match="no locator"):
        locator.load_locator(path)


def test_the_study_has_its_nulls_and_is_drawn(faces, monkeypatch, tmp_path):
    given = small_faces(12, 6, 0)
    given.attributes, given.labels, given.images = faces.attributes, faces.labels, faces.images
    monkeypatch.setattr(study, "load_faces", lambda *a, **k: given)
    setup = SimpleNamespace(name="lite", held_out=given, test=given)
    found = study.localisation(setup, RECIPE, tmp_path, seeds=(0, 1, 2), sizes=(16, 6, 1))
    trained = {"23 attributes", "1 attributes", "repeated", "shuffled", "people", "pre-trained"}
    assert trained | {"untrained", "skin colour", "median box", "centre box"} <= set(found["hit"])
    assert json.loads(as_json(found)) and "median box" not in found["recall"]
    for claim in study.CLAIMS:
        value, low, high = claim.difference(found)
        assert low <= value <= high and len(claim.ours(found)) == 3
    assert figure_recall(found).axes
    scenes = make_scenes(faces.images, [0, 1], seed=0)
    assert draw_responses(scenes.images, scenes.images[..., 0], scenes.boxes, scenes.boxes).axes
    plt.close("all")
    with pytest.raises(DataError, match="it needs drawn faces"):
        study.localisation(SimpleNamespace(name="reference"))
