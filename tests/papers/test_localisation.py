"""Localisation: scenes, squares found by hand, training, the locator's file, the study and its figures."""

import dataclasses
import io
import json
import re
import tarfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image
from samples import small_setup
from torch.nn import functional as F

from deepid_lite.errors import DataError
from deepid_lite.faces.celeba import CELEBA_ATTRIBUTES
from deepid_lite.faces.pictures import overlap
from deepid_lite.faces.synthetic.people import ATTRIBUTES
from deepid_lite.faces.tables import INDEX_LANDMARKS
from deepid_lite.figures.localisation import figure_localisation, figure_where, scenes
from deepid_lite.files import as_json
from deepid_lite.nets.deepid import save_net
from deepid_lite.nets.recipe import Recipe, read_recipe
from deepid_lite.papers.localisation import study
from deepid_lite.papers.localisation.net import (
    SIDES,
    Frame,
    ImageLabels,
    LabelledScenes,
    Locator,
    LocatorNet,
    as_scene,
    best_squares,
    fit_frame,
    fit_locator,
    load_locator,
    responses,
    save_locator,
    train,
)
from deepid_lite.papers.localisation.photographs import place, read_photographs, window
from deepid_lite.papers.localisation.scenes import SIDE, clutter, cut_out, face_square, make_clutter, make_scenes

NET = {"labels": 23, "maps": [4, 4, 4, 6]}
RECIPE = Recipe("LocatorNet", net=NET, weight=0, epochs=2, batch_size=8, precision="fp32", lr=0.01, vary=0)


@pytest.fixture(scope="module")
def data():
    parts = [
        make_scenes(n, 2, times, part) for n, times, part in ((6, 2, "train"), (5, 1, "validation"), (8, 1, "test"))
    ]
    return study.Data(*parts, make_clutter(12, 1), make_clutter(12, 2))


def net_of(**changes):
    torch.manual_seed(0)
    return LocatorNet(**NET | changes).eval()


# scenes


def test_a_person_is_cut_out_of_the_background_and_nothing_of_it_is_left():
    cut, landmarks, known = cut_out(np.array([60_000, 60_001]), np.array([0, 1]))
    coverage = cut[..., 3]
    assert (coverage[:, :8, :8] == 0).all() and (cut[:, :8, :8, :3] == 0).all()
    for person, points in zip(coverage, landmarks, strict=True):
        x, y = np.rint(points).astype(int).T
        assert (person[y, x] == 255).all(), "eyes, nose and mouth are the person's"
    assert 0.1 < (coverage == 255).mean() < 0.7 and known.shape == (2, len(ATTRIBUTES))


def test_the_square_is_about_eyes_and_mouth():
    points = np.array([[[40, 50], [60, 50], [50, 60], [42, 70], [58, 70]]], np.float32)
    np.testing.assert_allclose(face_square(points), [[30, 40, 40, 40]])


def test_scenes_are_theirs_alone_and_faces_lie_whole_in_them(data):
    for part in data[:3]:
        assert part.images.shape[1:] == (SIDE, SIDE, 3) and part.images.dtype == np.uint8
        low, high = part.boxes[:, :2], part.boxes[:, :2] + part.boxes[:, 2:]
        assert (low >= 0).all() and (high <= SIDE).all() and (part.boxes[:, 2] == part.boxes[:, 3]).all()
    again = make_scenes(6, 2, 2, "train")
    assert np.array_equal(again.images, data.train.images) and np.array_equal(again.people, data.train.people)
    assert not np.array_equal(again.images[0], again.images[12]), "the same picture, elsewhere on other clutter"
    assert np.array_equal(again.attributes[0], again.attributes[12])
    assert np.isnan(data.empty.boxes).all() and not np.array_equal(data.empty.images, data.empty_test.images)


def test_a_face_is_where_the_box_says(monkeypatch):
    monkeypatch.setattr("deepid_lite.papers.localisation.scenes.clutter", lambda rng: np.zeros((SIDE, SIDE, 3)))
    scenes_ = make_scenes(12, 1, 1, "train")
    for image, (x, y, w, h) in zip(scenes_.images.astype(float), scenes_.boxes, strict=True):
        middle = image[int(y + 0.35 * h) : int(y + 0.75 * h), int(x + 0.35 * w) : int(x + 0.65 * w)]
        assert middle.mean() > 25, "on black, the middle of the box is a face"
        corners = [image[:3, :3].mean(), image[:3, -3:].mean()]
        assert min(corners) < 12


def test_clutter_has_no_two_alike():
    rng = np.random.default_rng(0)
    first, second = clutter(rng), clutter(rng)
    assert (
        first.shape == (SIDE, SIDE, 3) and 0 <= first.min() and first.max() <= 255 and np.abs(first - second).mean() > 5
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"part": "all"}, "part 'all'"), ({"n_people": 0}, "n_people = 0"), ({"times": 1.5}, "times = 1.5")],
)
def test_wrong_numbers_are_refused(wrong, said):
    with pytest.raises(DataError, match=said):
        make_scenes(**{"n_people": 2} | wrong)


# the net


def test_a_scene_that_moves_by_eight_pixels_moves_its_map_by_one():
    x = torch.rand(2, 3, 128, 128)  # wider than what a place of the last maps sees
    net = net_of()
    scores, maps = net(x)
    assert scores.shape == (2, 23) and maps.shape == (2, 6, 16, 16) and (maps >= 0).all()
    moved = net(torch.roll(x, (8, 16), (2, 3)))[1]
    torch.testing.assert_close(moved[:, :, 8:10, 9:11], maps[:, :, 7:9, 7:9], atol=1e-5, rtol=1e-4)


def test_sharpness_leads_from_the_mean_to_the_largest():
    x = torch.rand(2, 3, 64, 64)
    for sharpness, wanted in ((1e-3, lambda z: z.mean((2, 3))), (1e3, lambda z: z.amax((2, 3)))):
        net = net_of(sharpness=sharpness)
        scores, maps = net(x)
        torch.testing.assert_close(scores, net.answers(wanted(maps)), atol=0.02, rtol=0.02)


def test_the_loss_is_logistic_for_attributes_and_softmax_for_people():
    net, x = net_of(), torch.rand(3, 3, 64, 64)
    scores = net(x)[0]
    wanted = (torch.rand(3, 23) < 0.5).float()
    p = torch.sigmoid(scores)
    by_hand = -(wanted * p.log() + (1 - wanted) * (1 - p).log()).mean()
    assert ImageLabels(net)((x, wanted), 0)[0].item() == pytest.approx(by_hand.item(), rel=1e-5)
    people = torch.tensor([0, 22, 5])
    assert ImageLabels(net)((x, people), 0)[0].item() == pytest.approx(F.cross_entropy(scores, people).item())


def test_a_batch_brings_each_scene_its_own_labels(data):
    batches = LabelledScenes(data.train.images, data.train.attributes, RECIPE)
    seen = 0
    for step in range(len(batches)):
        x, told = batches(step, "cpu")
        shown = ((x + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
        for picture, row in zip(shown, told, strict=True):
            same = [(data.train.images == view).all((1, 2, 3)) for view in (picture, picture[:, ::-1])]
            number = np.flatnonzero(same[0] | same[1])[0]
            seen += same[1][number]
            assert np.array_equal(row.bool().numpy(), data.train.attributes[number])
    assert 0 < seen < len(batches) * RECIPE.batch_size, "some are mirrored"
    other = LabelledScenes(data.train.images, ~data.train.attributes, RECIPE)
    assert other.fingerprint != batches.fingerprint
    assert torch.equal(
        batches(1, "cpu")[0], LabelledScenes(data.train.images, data.train.attributes, RECIPE)(1, "cpu")[0]
    )


def test_training_goes_on_from_a_net_that_was_told_people(data, tmp_path):
    first = train(data.train.images, data.train.people, RECIPE, tmp_path / "people")
    assert first.config["labels"] == 6
    slow = Recipe(**{**RECIPE.__dict__, "lr": 1e-9, "epochs": 1})
    on = train(data.train.images, data.train.attributes, slow, tmp_path / "on", first)
    assert torch.allclose(on.body[0].weight, first.body[0].weight, atol=1e-6) and on.config["labels"] == 23
    with pytest.raises(DataError, match="batch size 8: the set has 3"):
        train(data.train.images[:3], data.train.people[:3], RECIPE, tmp_path / "few")


def test_the_response_is_the_mean_of_the_maps(data):
    net = net_of()
    x = torch.as_tensor(data.test.images).permute(0, 3, 1, 2).float() / 127.5 - 1
    wanted = net(x)[1].mean(1).detach().numpy()
    np.testing.assert_allclose(responses(net, data.test.images, batch_size=5), wanted, atol=1e-5)


# squares


def test_the_best_square_is_the_bright_one():
    maps = np.zeros((3, 32, 32), np.float32)
    maps[0, 4:17, 10:23] = 1
    maps[1, 19:32, 0:13] = 2  # in a corner: the ring beyond the border does not count
    maps[2] = 1
    squares, values = best_squares(maps)
    np.testing.assert_allclose(squares[:2] * 32, [[10, 4, 13, 13], [0, 19, 13, 13]])
    np.testing.assert_allclose(values, [1, 2, 0], atol=1e-9)


def test_its_value_is_that_of_sums_by_hand():
    rng = np.random.default_rng(0)
    maps = rng.random((1, 32, 32)).astype(np.float32)
    (square,), (value,) = best_squares(maps)
    x, y, side, _ = np.rint(square * 32).astype(int)
    ring = max(1, round(side / 4))
    wide = maps[0, max(y - ring, 0) : y + side + ring, max(x - ring, 0) : x + side + ring]
    inside = maps[0, y : y + side, x : x + side]
    assert value == pytest.approx(inside.mean() - (wide.sum() - inside.sum()) / (wide.size - inside.size), abs=1e-5)
    assert side in np.rint(SIDES * 32)


def test_a_frame_lies_to_its_square_and_is_found_again():
    np.testing.assert_allclose(Frame(2.0, 0.25)(np.array([[0.4, 0.4, 0.2, 0.2]])), [[0.3, 0.4, 0.4, 0.4]])
    rng = np.random.default_rng(0)
    squares = np.concatenate([rng.random((40, 2)) * 0.5, np.repeat(rng.uniform(0.2, 0.4, (40, 1)), 2, 1)], 1)
    found = fit_frame(squares, Frame(1.3, -0.1)(squares))
    assert (found.size, found.down) == (1.3, -0.1)


def test_a_locator_comes_back_from_its_file_and_finds_what_it_found(data, tmp_path):
    locator = fit_locator(net_of(), data.validation, data.empty)
    boxes, there = locator(data.test.images)
    save_locator(tmp_path / "locator.safetensors", locator)
    again = load_locator(tmp_path / "locator.safetensors")
    assert isinstance(again, Locator) and again.frame == locator.frame and again.threshold == locator.threshold
    np.testing.assert_allclose(again(data.test.images)[0], boxes)
    assert locator(data.empty.images)[1].mean() == pytest.approx(0.1, abs=0.1)
    save_net(tmp_path / "net.safetensors", net_of(), {})
    with pytest.raises(DataError, match="no 'size' in it") as error:
        load_locator(tmp_path / "net.safetensors")
    assert "\n" not in str(error.value)


# the study


def test_pointing_and_the_face_frame_know_where_the_light_is():
    boxes = np.array([[8.0, 16, 24, 24], [40, 8, 16, 16]])
    maps = np.zeros((2, 8, 8), np.float32)
    maps[0, 3, 2] = maps[1, 7, 0] = 1  # at 20, 28, the middle of the first box; far from the second
    assert study.pointing(maps, boxes).tolist() == [True, False]
    about = study.in_the_face(maps[:1], boxes[:1])
    assert np.unravel_index(about.argmax(), about.shape) == (12, 12)
    assert about[0, 0] == 0


def test_skin_is_what_the_boxes_are_coloured_like(data):
    painted = data.validation.images.copy()
    for image, (x, y, w, h) in zip(painted, data.validation.boxes, strict=True):
        image[:] = 10
        image[int(np.ceil(y)) : int(y + h), int(np.ceil(x)) : int(x + w)] = (200, 40, 40)
    known = study.Scenes(painted, data.validation.boxes, data.validation.people, data.validation.attributes)
    found = study.skin_maps(known, painted)
    assert found.shape == (len(painted), 8, 8)
    assert study.pointing(found, data.validation.boxes).all()


def test_the_study_has_its_nulls_and_is_drawn(data, tmp_path):
    setup = small_setup()
    found = study.localisation(setup, data, tmp_path, counts=(1, 23), net=NET, epochs=2, batch_size=8, lr=0.01)
    names = {"1 attribute", "23 attributes", "shuffled", "1 attribute, repeated", "untrained", "identities alone",
             "identities first", "skin colour", "median box", "centre box"}  # fmt: skip
    assert set(found["recall"]) == set(found["hits"]) == set(found["pointing"]) == names
    for name in names:
        assert found["recall"][name][0] <= found["hits"][name][0] + 1e-9
    assert found["recall"]["median box"][0] == pytest.approx(found["hits"]["median box"][0] / 10)
    for name, roc in found["roc"].items():
        assert roc == sorted(roc) and roc[-1] == pytest.approx(found["hits"][name][0], abs=15)
        assert roc[study.RATES.index(0.1)] == pytest.approx(found["recall"][name][0], abs=0.01)
    for claim in study.CLAIMS:
        value, low, high = claim.difference(found)
        assert low <= value <= high and len(claim.ours(found)) == 3
    for name, (a, b) in study.AGAINST.items():
        first, second = (found["recall"][part or "23 attributes"][0] for part in (a, b))
        assert found["difference"][name][0] == pytest.approx(first - second, abs=1e-6)
    assert [sorted(order) for order in found["orders"]] == [list(range(23))] * 3
    assert found["orders"][0] != found["orders"][1], "other attributes come first"
    assert json.loads(as_json(found))
    assert figure_localisation(found).axes and figure_where(found).axes
    squares = best_squares(responses(net_of(), data.test.images[:5]))[0]
    assert scenes(data.test.images[:5], np.ones((5, 8, 8)), data.test.boxes[:5], squares * SIDE).axes
    plt.close("all")


def test_the_preset_is_for_all_attributes():
    assert read_recipe("localisation").net["labels"] == len(ATTRIBUTES)


def test_the_rules_page_and_the_claims_agree():
    page = (Path(__file__).parents[2] / "book" / "rules.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (L\d) \|.*\((\w+)\) \| ([\d.]+)(?: points)? \| seeds \|$", page, re.M)
    assert [(claim.name, claim.kind, claim.margin) for claim in study.CLAIMS] == [(n, k, float(m)) for n, k, m in rows]


def test_a_short_training_on_glasses_already_points_at_faces(tmp_path):
    scenes_ = make_scenes(50, 4, 3, "train")
    test = make_scenes(40, 2, 1, "test")
    glasses = scenes_.attributes[:, [ATTRIBUTES.index("glasses")]]
    net = train(scenes_.images, glasses, read_recipe("localisation", epochs=12, batch_size=32), tmp_path)
    chance = (test.boxes[:, 2] ** 2 / SIDE**2).mean()
    assert study.pointing(responses(net, test.images), test.boxes).mean() > chance + 0.2


def test_a_picture_becomes_a_scene_and_boxes_go_back():
    picture = np.full((100, 300, 3), 200, np.uint8)
    picture[40:60, 120:180] = 0
    scene, in_pixels = as_scene(picture)
    assert scene.shape == (SIDE, SIDE, 3)
    assert (scene[:20].mean(), scene[32, 5].mean()) == (200, 200), "beside it is its border's colour"
    dark = np.argwhere(scene[..., 0] < 100)
    low, high = dark.min(0) / SIDE, (dark.max(0) + 1) / SIDE
    box = in_pixels([[low[1], low[0], high[1] - low[1], high[0] - low[0]]])[0]
    np.testing.assert_allclose(box, [120, 40, 60, 20], atol=6)


def test_the_shipped_locator_finds_most_drawn_faces_of_strangers():
    test = make_scenes(40, 2, 1, "test")
    boxes, there = load_locator()(test.images)
    hits = overlap(boxes, test.boxes / SIDE) >= 0.5
    assert (hits & there).mean() > 0.5
    assert load_locator()(make_clutter(100, 5).images)[1].mean() < 0.25


# photographs


def test_a_photograph_is_placed_with_its_face_whole():
    rng = np.random.default_rng(0)
    picture = np.full((120, 80, 3), 90, np.uint8)
    picture[50:70, 30:50] = 250  # the "face"
    for _ in range(8):
        scene, box = place(rng, picture, np.array([29.5, 49.5, 20, 20]))
        x, y, w, h = box
        assert min(x, y) >= 0 and max(x + w, y + h) <= SIDE
        rows, columns = np.nonzero(scene[..., 0] > 170)
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(found, [x, y, x + w, y + h], atol=1.6)
        clear = window(rng, picture, np.array([29.5, 49.5, 20, 20]))
        assert clear is None or (clear == 90).all()


@pytest.fixture
def wild(tmp_path):
    """A small celeba_wild.tar of blobs, one of whose boxes is wrong, with labels."""
    rng = np.random.default_rng(0)
    table, labels = ["file,identity,x,y,w,h," + ",".join(INDEX_LANDMARKS)], []
    with tarfile.open(tmp_path / "celeba_wild.tar", "w") as archive:
        for n in range(24):
            name, x, y = f"{n:06d}.jpg", *rng.integers(10, 60, 2)
            points = [x + 12, y + 16, x + 28, y + 16, x + 20, y + 24, x + 14, y + 32, x + 26, y + 32]
            box = [0, 0, 5, 5] if n == 3 else [x, y, 40, 48]
            table.append(",".join(map(str, [name, f"p{n // 2}", *box, *points])))
            labels.append(" ".join([name, *rng.choice(["1", "-1"], 40)]))
            data = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (140, 110, 3), np.uint8)).save(data, "JPEG")
            _add(archive, f"celeba_wild/images/{name}", data.getvalue())
        _add(archive, "celeba_wild/faces.csv", "\n".join(table).encode())
    (tmp_path / "celeba_labels").mkdir()
    header = f"{len(labels)}\n{' '.join(CELEBA_ATTRIBUTES)}\n"
    (tmp_path / "celeba_labels" / "list_attr_celeba.txt").write_text(header + "\n".join(labels) + "\n")
    return tmp_path


def _add(archive, name, data):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def test_photographs_are_split_by_people_and_wrong_boxes_left_out(wild):
    train_, validation, test, empty, empty_test = read_photographs(wild)
    assert len(train_) // 2 + len(validation) + len(test) == 23
    assert train_.attributes.shape[1] == 40 and np.isnan(empty.boxes).all() and len(empty_test)
    again = read_photographs(wild)
    assert all(np.array_equal(a.images, b.images) for a, b in zip(again, (train_, validation, test), strict=False))
    (wild / "celeba_labels" / "list_attr_celeba.txt").write_text(f"1\n{' '.join(CELEBA_ATTRIBUTES)}\nx.jpg" + " 1" * 40)
    with pytest.raises(DataError, match="0 pictures with all attributes; put list_attr_celeba.zip into"):
        read_photographs(wild)


def test_drawn_scenes_and_photographs_train_in_one_folder(data, wild):
    """Both scales by one command after the other, as the nets of either would be of another data to the other."""
    few = {"seeds": (0,), "counts": (1,), "epochs": 1, "batch_size": 4, "lr": 0.01}
    lite = small_setup()
    study.localisation(lite, data, wild / "runs", net=NET, **few)
    real = dataclasses.replace(lite, name="reference", root=wild)
    found = study.localisation(real, None, wild / "runs", net=NET | {"labels": 40}, **few)
    assert "40 attributes" in found["recall"]
