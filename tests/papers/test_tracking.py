"""Tracking: videos with truth, maps chosen by saliency, heat maps, the tracker and its baselines, the study."""

import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from deepid_lite import tensors
from deepid_lite.errors import DataError
from deepid_lite.faces.pictures import overlap
from deepid_lite.figures.tracking import figure_tracking
from deepid_lite.files import as_json
from deepid_lite.nets.deepid import DeepIDNet, save_net
from deepid_lite.nets.recipe import read_recipe
from deepid_lite.papers.tracking import baselines, following, scores, study, videos
from deepid_lite.papers.tracking import net as nets
from deepid_lite.papers.tracking import tracker as tr
from deepid_lite.registry import CLAIMS

QUICK = {"select": 4, "first": 8, "update": 1, "distracter": 1}


@pytest.fixture(scope="module")
def video():
    return videos.make_video(0, "train", 10)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return study._with_statistics(nets.TrackingNet((4, 6, 6, 8)), videos.faces_on_clutter(2, 5)[0])


# videos


def test_a_video_depends_on_its_seed_alone_and_its_box_is_on_the_face(video):
    again = videos.make_video(0, "train", 10)
    assert np.array_equal(video.frames, again.frames) and np.array_equal(video.boxes, again.boxes)
    assert not np.array_equal(video.frames[0], videos.make_video(1, "train", 10).frames[0])
    inside = (video.boxes[:, :2] >= -5).all() and (video.boxes[:, :2] + video.boxes[:, 2:] <= (197, 149)).all()
    assert inside and np.isfinite(video.others).all(1).any() and np.isnan(video.others).all(1).any()
    assert np.allclose(video.boxes[:, 2] / video.boxes[:, 3], videos.FACE[2] / videos.FACE[3])


def test_a_person_is_cut_out_of_the_background():
    who, told = videos.sample_identity(3), videos.neutral(1, back_hue=0.3)
    colours, cover = videos._cut_out(who, told)
    assert cover.min() >= 0 and cover.max() <= 1 and cover[0, 0, 0] < 0.05 and cover[0, 75, 64] > 0.98
    background = np.full((144, 128, 3), 90.0)
    laid = colours[0] + (1 - cover[0])[..., None] * background
    assert np.abs(laid[:10, :10] - 90).max() < 8 and np.abs(laid[75, 64] - colours[0, 75, 64]).max() < 3


def test_crops_for_training_have_a_face_each_and_its_attributes():
    images, people, known = videos.faces_on_clutter(3, 4)
    assert images.shape == (12, 64, 64, 3) and np.array_equal(people, np.repeat(range(3), 4))
    assert all(len(values) == 12 for values in known.values())
    for name in ("bald", "dark_skin"):  # the person's own
        assert all(len(set(known[name][people == p])) == 1 for p in range(3))


@pytest.mark.parametrize(
    ("given", "says"),
    [({"part": "best"}, "part 'best'"), ({"n_frames": 0}, "n_frames = 0"), ({"n_frames": 2.5}, "2.5")],
)
def test_a_video_that_cannot_be_drawn_is_one_line(given, says):
    with pytest.raises(DataError, match=re.escape(says)):
        videos.make_video(0, **given)


# what is looked at


def test_the_region_is_twice_the_diagonal_around_the_box():
    left, top, side = nets.region((10, 20, 30, 40))
    assert side == 100 and (left + side / 2, top + side / 2) == (25, 40)


def test_what_is_looked_at_is_the_frame_scaled_and_grey_outside():
    frame = np.zeros((60, 80, 3), np.uint8)
    frame[20:40, 30:50] = 255
    seen = nets.look(frame, (30, 20, 20, 20), 96).astype(float)
    assert seen[48, 48, 0] == 255 and seen[48, 5, 0] == 0
    left, _, side = nets.region((30, 20, 20, 20))
    row = seen[48, :, 0]
    assert abs((row > 127).sum() - 20 * 96 / side) < 2 and abs(np.flatnonzero(row > 127).mean() - 47.5) < 1
    corner = nets.look(np.zeros((60, 80, 3), np.uint8), (0, 0, 20, 20))
    assert (corner[:20, :20] == 128).all() and not corner[80:, 80:].any()
    assert (nets.look(frame, (500, 500, 20, 20)) == 128).all()


def test_maps_move_with_the_picture(net):
    rng = np.random.default_rng(0)
    big = rng.integers(0, 256, (96 + 16, 96 + 16, 3), np.uint8)
    first, second = (nets.feature_maps(net, big[s : s + 96, s : s + 96]) for s in (0, 8))
    for layer, margin in (("lower", 4), ("upper", 9)):
        a, b = first[layer][0], second[layer][0]
        assert torch.allclose(
            a[:, 2 + margin : -margin, 2 + margin : -margin],
            b[:, margin : -margin - 2, margin : -margin - 2],
            atol=1e-4,
        )


def test_the_target_map_is_a_gaussian_inside_the_box():
    box = np.array([30.0, 26, 36, 44])
    where = nets.region(box)
    wanted = tr.target_map(box, where)
    assert wanted.max() > 0.9 and np.unravel_index(wanted.argmax(), wanted.shape)[0] in (11, 12)
    boxes = np.array([box, [0, 0, 200, 200]])
    within, everywhere = tr.inside(wanted, boxes, where)
    assert within == pytest.approx(everywhere, rel=0.1)


# choosing maps


def test_saliency_is_the_exact_change_of_the_loss_for_one_value():
    torch.manual_seed(0)
    w, maps, wanted = torch.randn(1, 2, 3, 3).double(), torch.rand(1, 2, 6, 6).double(), torch.rand(1, 1, 6, 6).double()

    def loss(m):
        return 0.5 * ((torch.nn.functional.conv2d(m, w, padding=1) - wanted) ** 2).sum()

    one = torch.zeros_like(maps)
    one[0, 1, 3, 2] = maps[0, 1, 3, 2]  # one value alone: the loss is quadratic in it
    residual = torch.nn.functional.conv2d(one, w, padding=1) - wanted
    found = tr.saliency(w, one, residual, "paper")
    assert found[1].item() == pytest.approx((loss(torch.zeros_like(maps)) - loss(one)).item(), rel=1e-9)
    assert found[0] == 0
    code = tr.saliency(w, one, residual, "code")
    g = torch.autograd.functional.jacobian(loss, one)[0, 1, 3, 2] * one[0, 1, 3, 2]
    assert (found + code)[1].item() == pytest.approx(-2 * g.item(), rel=1e-9)


def test_the_map_that_shows_the_target_is_kept():
    rng = np.random.default_rng(0)
    box = np.array([20.0, 20, 30, 30])
    wanted = tr.target_map(box, nets.region(box))
    maps = torch.as_tensor(rng.random((1, 8, 24, 24)) * 0.1, dtype=torch.float32)
    maps[0, 5] += torch.as_tensor(wanted)
    assert 5 in tr.choose_maps(maps, wanted, "paper", kept=0.25)
    for way in tr.WAYS:
        kept = tr.choose_maps(maps, wanted, way)
        assert len(kept) == (8 if way == "all" else 6) and (kept.diff() > 0).all()
    with pytest.raises(DataError, match="way 'best'"):
        tr.choose_maps(maps, wanted, "best")


def test_the_signs_agree_before_the_linear_net_has_learned_and_oppose_each_other_after():
    torch.manual_seed(0)
    weight, maps = torch.randn(1, 9, 3, 3), torch.rand(1, 9, 24, 24)
    order = {way: tr.saliency(weight, maps, torch.zeros(1, 1, 24, 24), way).argsort() for way in ("paper", "code")}
    assert torch.equal(order["paper"], order["code"].flip(0)), "no residual, no gradient"
    small = 1e-4 * weight
    order = {way: tr.saliency(small, maps, -torch.rand(1, 1, 24, 24), way).argsort() for way in ("paper", "code")}
    assert torch.equal(order["paper"], order["code"])


# heat maps and boxes


def test_sums_inside_boxes_are_those_of_a_fine_grid():
    rng = np.random.default_rng(0)
    heat, where = rng.random((24, 24)), (10.0, 20.0, 48.0)
    boxes = np.column_stack([rng.uniform(10, 40, (20, 2)), rng.uniform(2, 15, (20, 2))])
    boxes = np.concatenate([boxes, [[-50, -50, 300, 300], [200, 200, 5, 5]]])
    fine = heat.repeat(40, 0).repeat(40, 1) / 1600
    x, y = (np.arange(960) + 0.5) / 20 + 10, (np.arange(960) + 0.5) / 20 + 20
    naive = [fine[np.ix_((y > b[1]) & (y < b[1] + b[3]), (x > b[0]) & (x < b[0] + b[2]))].sum() for b in boxes]
    np.testing.assert_allclose(tr.inside(heat, boxes, where), naive, atol=0.25)
    assert tr.inside(heat, boxes, where)[-2] == pytest.approx(heat.sum())


def test_the_best_candidate_lies_over_the_blob_and_a_second_blob_is_a_distracter():
    box = np.array([40.0, 40, 20, 20])
    where = nets.region(box)
    heat = tr.target_map(box, where)
    candidates = box + np.array([[6.0, 0, 0, 0], [0, 0, 0, 0], [0, -7, 0, 0], [-12, 3, 0, 0]])
    assert np.array_equal(tr.locate(heat, candidates, where, 0.7), box)
    assert not tr.distracted(heat, box, where)
    assert tr.distracted(heat + 0.6 * np.roll(heat, 9, 1), box, where)
    assert not tr.distracted(heat + 0.1 * np.roll(heat, 9, 1), box, where), "below the foreground's threshold"


# the tracker


@pytest.mark.parametrize("use", ["both", "upper", "lower"])
def test_a_still_target_is_kept(net, video, use):
    frames = np.repeat(video.frames[:1], 5, 0)
    found = study.follow(tr.Tracker(net, frames[0], video.boxes[0], use=use), frames)
    assert overlap(found, np.repeat(video.boxes[:1], 5, 0)).min() > 0.6


def test_a_tracker_that_is_stored_and_resumed_goes_on_the_same(net, video, tmp_path):
    whole, half = (tr.Tracker(net, video.frames[0], video.boxes[0], seed=3) for _ in range(2))
    first = [whole.step(frame) for frame in video.frames[1:]]
    for frame in video.frames[1:6]:
        half.step(frame)
    tensors.save(tmp_path / "t.safetensors", *half.state())
    resumed = tr.Tracker.resumed(net, *tensors.load(tmp_path / "t.safetensors"))
    for frame, wanted in zip(video.frames[6:], first[5:], strict=True):
        found = resumed.step(frame)
        assert np.array_equal(found.box, wanted.box) and found[1:] == wanted[1:]
    again = tr.Tracker(net, video.frames[0], video.boxes[0], seed=3)
    assert np.array_equal(again.step(video.frames[1]).box, first[0].box)


def test_only_the_lower_net_goes_on_learning(net, video):
    tracker = tr.Tracker(net, video.frames[0], video.boxes[0])
    before = {layer: tracker.heat[layer][0].weight.detach().clone() for layer in tr.LAYERS}
    tracker.frames = tr.EVERY
    seen, where = tracker._maps(video.frames[0])
    tracker._learn(seen["lower"][:, tracker.chosen["lower"]], where, tracker.heats(seen)["lower"], 1.0)
    assert not torch.equal(tracker.heat["lower"][0].weight, before["lower"])
    assert torch.equal(tracker.heat["upper"][0].weight, before["upper"])


def test_a_frame_without_the_target_moves_nothing(net, video):
    tracker = tr.Tracker(net, video.frames[0], video.boxes[0])
    for layer in tr.LAYERS:
        with torch.no_grad():
            tracker.heat[layer][2].weight.zero_()
    found = tracker.step(video.frames[1])
    assert np.array_equal(found.box, video.boxes[0].astype(float)) and found.confidence < tr.MOVE


@pytest.mark.parametrize(
    ("box", "says"),
    [((500, 10, 30, 30), "outside the frame of 192 x 144"), ((-60, 5, 30, 30), "outside"), ((5, 5, 0, 9), "at least 4"),
     ((5, 5, np.nan, 9), "give left"), ((1, 2, 3), "give left"), ((0, 0, 900, 20), "outside")],
)  # fmt: skip
def test_a_wrong_box_is_one_line(net, video, box, says):
    for make in (lambda: tr.Tracker(net, video.frames[0], box), lambda: baselines.Mosse(video.frames[0], box)):
        with pytest.raises(DataError, match=says) as error:
            make()
        assert "\n" not in str(error.value)


def test_a_layer_that_is_none_is_one_line(net, video):
    with pytest.raises(DataError, match="use 'middle': use both"):
        tr.Tracker(net, video.frames[0], video.boxes[0], use="middle")


# baselines and scores


def textured(shift, seed=0):
    """A textured square on a flat frame, `shift` pixels to the right of where it was."""
    frame = np.full((100, 120, 3), 100, np.uint8)
    patch = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).repeat(4, 0).repeat(4, 1)
    frame[40:64, 40 + shift : 64 + shift] = patch
    return frame


@pytest.mark.parametrize("name", ["template", "MOSSE"])
def test_template_and_filter_follow_a_shift(name):
    truth = np.array([[40.0 + s, 40, 24, 24] for s in range(0, 15, 3)])
    found = study.follow(baselines.BASELINES[name](textured(0), truth[0]), [textured(s) for s in range(0, 15, 3)])
    assert scores.centre_error(found, truth).max() < 2.5


def test_the_null_stays():
    tracker = baselines.StaticBox(textured(0), (40, 40, 24, 24))
    assert np.array_equal(study.follow(tracker, [textured(s) for s in (0, 9)]), [[40, 40, 24, 24]] * 2)


def test_errors_by_hand():
    a = [[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]]
    b = [[0, 0, 10, 10], [5, 0, 10, 10], [20, 0, 10, 10]]
    np.testing.assert_allclose(scores.centre_error(a, b), [0, 5, 20])
    assert scores.success(a[:1], b[:1]) == pytest.approx(100 * 20 / 21)
    assert scores.success(a[2:], b[2:]) == 0
    assert scores.precision(a, b, (240, 320)) == pytest.approx(100)
    assert scores.precision(a, b, (120, 160)) == pytest.approx(200 / 3)
    assert scores.precision(a, b, (120, 160), scaled=False) == pytest.approx(100)


# the net


def test_both_kinds_of_targets_train(tmp_path):
    images, people, _ = videos.faces_on_clutter(4, 6)
    recipe = read_recipe("tracking", epochs=1, batch_size=12)
    told = np.random.default_rng(0).random((24, 3)) < 0.5
    for name, targets in (("people", people), ("attributes", told)):
        trained = nets.train(images, targets, recipe, tmp_path / name, "cpu")
        lower, upper = trained(torch.zeros(1, 3, 96, 96))
        assert lower.shape == (1, 32, 24, 24) and upper.shape == (1, 64, 12, 12)
        batch = nets.Crops(images, targets, recipe)(1, "cpu")
        head = nets.Names(trained, targets).train()
        loss, _ = head(batch, 0.0)
        assert torch.isfinite(loss) and head.head.out_features == (4 if name == "people" else 3)
    with pytest.raises(DataError, match="of another data"):
        nets.train(images, people[::-1].copy(), recipe, tmp_path / "people", "cpu")


def test_weights_of_another_net_are_one_line(tmp_path):
    path = tmp_path / "other.safetensors"
    save_net(path, DeepIDNet((55, 47), (2, 2, 2, 2), 4, (4,)), {})
    with pytest.raises(DataError, match="DeepIDNet, no TrackingNet") as error:
        nets.load_tracking_net(path)
    assert "\n" not in str(error.value)


def test_the_shipped_net_is_small_and_follows_a_drawn_face():
    shipped = nets.load_tracking_net()
    assert sum(p.numel() for p in shipped.parameters()) * 2 < 4e6
    drawn = videos.make_video(1, "held_out", 25)
    found = study.follow(tr.Tracker(shipped, drawn.frames[0], drawn.boxes[0]), drawn.frames[:10])
    still = study.follow(baselines.StaticBox(drawn.frames[0], drawn.boxes[0]), drawn.frames[:10])
    assert scores.success(found, drawn.boxes[:10]) > scores.success(still, drawn.boxes[:10]) + 10


# frames of a user


@pytest.fixture
def folder(video, tmp_path):
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(video.frames):
        Image.fromarray(frame).save(tmp_path / "frames" / f"{number + 1}.png")  # 10 comes after 9
    return tmp_path / "frames"


def test_frames_come_in_the_order_of_their_numbers(folder, net, video, tmp_path):
    names = following.frames_of(folder)[1]
    assert names == [f"{n}.png" for n in range(1, 11)]
    found = following.follow_frames(net, folder, video.boxes[0], tmp_path / "c.safetensors", progress=False)
    wanted = study.follow(tr.Tracker(net, video.frames[0], video.boxes[0]), video.frames)
    assert np.array_equal(found.boxes, wanted) and found.by[0] == "truth" and np.isnan(found.confidence[0])


def test_a_run_goes_on_from_its_checkpoint_and_not_from_anothers(folder, net, video, tmp_path, monkeypatch):
    path, box = tmp_path / "c.safetensors", video.boxes[0]
    whole = following.follow_frames(net, folder, box, tmp_path / "other.safetensors", progress=False)
    taken, step = [], tr.Tracker.step

    def stopped(self, frame):
        if len(taken) == 5:
            raise KeyboardInterrupt
        taken.append(frame)
        return step(self, frame)

    monkeypatch.setattr(tr.Tracker, "step", stopped)
    with pytest.raises(KeyboardInterrupt):
        following.follow_frames(net, folder, box, path, progress=False, every=1)
    monkeypatch.setattr(tr.Tracker, "step", step)
    monkeypatch.setattr(following, "Tracker", SimpleNamespace(resumed=tr.Tracker.resumed))  # no first frame again
    found = following.follow_frames(net, folder, box, path, progress=False)
    assert np.array_equal(found.boxes, whole.boxes) and found.by == whole.by
    for other in ({"box": box + 1}, {"seed": 4}):
        with pytest.raises(DataError, match=f"of other {next(iter(other))}; delete it"):
            following.follow_frames(net, folder, **{"box": box, "checkpoint": path, "progress": False} | other)
    state, facts = tensors.load(path)
    for edit in (lambda t, f: t.pop("best"), lambda t, f: t["box"].fill_(torch.nan), lambda t, f: f["by"].append("x")):
        found, more = {name: t.clone() for name, t in state.items()}, json.loads(json.dumps(facts))
        edit(found, more)
        tensors.save(path, found, more)
        with pytest.raises(DataError, match="damaged, edited or of another version"):
            following.follow_frames(net, folder, box, path, progress=False)


def test_frames_that_cannot_be_read_are_named_and_keep_the_box(folder, net, video, tmp_path):
    (folder / "4.png").write_bytes(b"\x89PNG\r\n broken")
    found = following.follow_frames(net, folder, video.boxes[0], tmp_path / "c.safetensors", progress=False)
    assert found.by[3] == "skipped" and np.array_equal(found.boxes[3], found.boxes[2]) and np.isnan(found.confidence[3])
    assert len(found.skipped) == 1 and "4.png" in found.skipped[0] and len(found.boxes) == 10
    (folder / "4.png").unlink()
    os.mkfifo(folder / "4.png")
    found = following.follow_frames(net, folder, video.boxes[0], tmp_path / "c.safetensors", progress=False)
    assert len(found.skipped) == 1 and "4.png" in found.skipped[0] and len(found.boxes) == 9, "it has no row"


def test_frames_of_changing_size_and_a_single_frame_are_one_line(folder, net, video, tmp_path):
    Image.fromarray(video.frames[0][:100]).save(folder / "7.png")
    with pytest.raises(DataError, match=r"7.png: 192 x 100 pixels, the first frame has 192 x 144") as error:
        following.follow_frames(net, folder, video.boxes[0], tmp_path / "c.safetensors", progress=False)
    assert "\n" not in str(error.value)
    for number in range(2, 11):
        (folder / f"{number}.png").unlink()
    with pytest.raises(DataError, match="1 frames; a video has two or more"):
        following.follow_frames(net, folder, video.boxes[0], tmp_path / "c.safetensors", progress=False)


# the study


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    recipe = read_recipe("tracking", epochs=1, batch_size=12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tr, "STEPS", QUICK)
        return study.tracking(SimpleNamespace(name="lite", root=None), recipe, tmp_path_factory.mktemp("runs"),
                              seeds=(0, 1, 2), videos=2, n_frames=12, sizes=(6, 8))  # fmt: skip


def test_the_study_has_its_baselines_its_null_and_each_part_left_out(result):
    assert {*study.TRACKERS, *baselines.BASELINES} == set(result["success"]) == set(result["precision"])
    assert json.loads(as_json(result)) and result["scaled"]
    for name, (a, b) in study.AGAINST.items():
        wanted = result["success"][a][0] - result["success"][b][0]
        assert result["difference"][name][0] == pytest.approx(wanted, abs=1e-6)
    assert result["by_video"]["success"]["both"][0] == pytest.approx(
        2 * result["success"]["both"][0] - result["by_video"]["success"]["both"][1], abs=0.2
    )
    assert figure_tracking(result).axes
    plt.close("all")


def test_photographs_stand_for_themselves(monkeypatch, tmp_path):
    drawn = {name: videos.make_video(n, "train", 4) for n, name in enumerate(study.SEQUENCES)}
    monkeypatch.setattr(study, "_sequences", lambda root: drawn)
    monkeypatch.setattr(tr, "STEPS", QUICK)
    monkeypatch.setattr(study, "TRACKERS", {name: study.TRACKERS[name] for name in study.TRACKERS})
    recipe = read_recipe("tracking", epochs=1, batch_size=12)
    found = study.tracking(SimpleNamespace(name="reference", root=None), recipe, tmp_path, (0, 1, 2), sizes=(4, 8))
    assert set(found["success"]["both"]) == set(study.SEQUENCES) and not found["scaled"]
    assert set(found["difference"]["T2"]) == {f"{s}, {p}" for s in study.SEQUENCES for p in ("upper", "lower")}
    for claim in study.CLAIMS:
        if claim.name == "T6":
            with pytest.raises(KeyError):
                claim.ours(found)
        else:
            assert claim.ours(found).keys() == claim.difference(found).keys()
    assert figure_tracking(found).axes
    plt.close("all")


def test_the_claims_read_it_and_the_rules_are_those_of_the_page(result):
    page = (Path(__file__).parents[2] / "book" / "rules.md").read_text(encoding="utf-8")
    rows = {
        row[0]: row[1:]
        for row in re.findall(r"^\| (T\d) \|.*\| ([^|]+) \| (−?[\d.]+)(?: points)? \| (\w+) \|$", page, re.M)
    }
    ours = {claim.name: claim for claim in CLAIMS.values() if claim.study == "tracking"}
    assert list(ours) == list(rows) == [claim.name for claim in study.CLAIMS]
    for name, (comparison, margin, interval) in rows.items():
        claim = ours[name]
        assert (claim.margin, claim.interval) == (float(margin.replace("−", "-")), interval)
        assert f"({claim.kind})" in comparison
        first, found = claim.ours(result), claim.difference(result)
        for number in (first, found):
            for value, low, high in number.values() if isinstance(number, dict) else [number]:
                assert low <= value <= high
