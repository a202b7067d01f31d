"""Protocols against plain loops, hand-made lists, invariances, LFW's real lists, and wrong input."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepid_lite.errors import DataError
from deepid_lite.verification import metrics as protocols
from deepid_lite.verification.metrics import (
    Identification,
    Pairs,
    identification_lists,
    make_pairs,
    read_cfp,
    read_lfw_pairs,
)


def some_pairs(seed=0, n_folds=5, per_fold=20, distance=2.0, digits=1):
    """Pairs of no real images, and scores for them with ties."""
    rng = np.random.default_rng(seed)
    same = np.tile(np.repeat([True, False], per_fold), n_folds)
    fold = np.repeat(np.arange(n_folds), 2 * per_fold)
    scores = np.round(rng.normal(size=len(same)) + distance * same, digits)
    return scores, Pairs(np.arange(len(same)), np.arange(len(same)), same, fold)


# verification


def test_folds_equal_a_plain_loop():
    scores, pairs = some_pairs()
    result = protocols.verify(scores, pairs)
    accuracies = []
    for fold in range(5):
        train, test = pairs.fold != fold, pairs.fold == fold
        values = sorted(set(scores[train]))
        middles = [(a + b) / 2 for a, b in zip(values, values[1:], strict=False)]
        best, chosen = -1, None
        for threshold in [-np.inf, *middles, np.inf]:
            right = np.mean((scores[train] > threshold) == pairs.same[train])
            if right > best:
                best, chosen = right, threshold
        assert result.threshold[fold] == pytest.approx(chosen)
        accuracies.append(np.mean((scores[test] > chosen) == pairs.same[test]))
    np.testing.assert_allclose(result.fold_accuracy, accuracies)
    assert result.accuracy == pytest.approx(np.mean(accuracies))
    assert result.standard_error == pytest.approx(np.std(accuracies, ddof=1) / np.sqrt(5))


def test_threshold_of_a_fold_does_not_see_its_scores():
    scores, pairs = some_pairs()
    changed = np.where(pairs.fold == 2, 100 - scores, scores)
    before, after = protocols.verify(scores, pairs), protocols.verify(changed, pairs)
    assert before.threshold[2] == after.threshold[2]
    assert (before.threshold != after.threshold).any()


def test_constant_scores_are_a_coin():
    _, pairs = some_pairs()
    result = protocols.verify(np.ones(len(pairs)), pairs)
    assert result.accuracy == 0.5 and result.standard_error == 0
    assert protocols.auc(np.ones(len(pairs)), pairs.same) == 0.5
    assert protocols.equal_error_rate(np.ones(len(pairs)), pairs.same) == 0.5


def test_separated_scores_are_all_right():
    _, pairs = some_pairs()
    result = protocols.verify(pairs.same * 2.0 - 1, pairs)
    assert result.accuracy == 1 and (result.threshold == 0).all()
    assert protocols.equal_error_rate(pairs.same * 1.0, pairs.same) == 0
    assert protocols.tar_at_far(pairs.same * 1.0, pairs.same, 0) == 1


def test_neighbouring_floats_are_told_apart():
    low = 1.0
    for high in (np.nextafter(low, 2), np.nextafter(np.nextafter(low, 2), 2)):
        threshold = protocols.best_threshold([low, high], [False, True])
        assert low <= threshold < high
    assert protocols.best_threshold([1, 2], [True, False]) == -np.inf
    assert protocols.best_threshold([2, 3], [False, False]) == np.inf


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), shift=st.floats(-100, 100), scale=st.floats(0.01, 100))
def test_affine_scores_have_the_same_accuracies(seed, shift, scale):
    scores, pairs = some_pairs(seed, digits=9)
    before, after = protocols.verify(scores, pairs), protocols.verify(scores * scale + shift, pairs)
    np.testing.assert_array_equal(before.fold_accuracy, after.fold_accuracy)
    finite = np.isfinite(before.threshold)
    np.testing.assert_allclose(after.threshold[finite], before.threshold[finite] * scale + shift, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), distance=st.floats(0, 4))
def test_roc_equals_counts_and_survives_any_monotone_map(seed, distance):
    scores, pairs = some_pairs(seed, distance=distance)
    far, tar, thresholds = protocols.roc(scores, pairs.same)
    assert (far[0], tar[0]) == (0, 0) and (far[-1], tar[-1]) == (1, 1)
    assert (np.diff(far) >= 0).all() and (np.diff(tar) >= 0).all() and (np.diff(thresholds) < 0).all()
    assert len(thresholds) == len(set(scores)) + 1
    for f, t, threshold in zip(far, tar, thresholds, strict=True):
        assert f == pytest.approx(np.mean(scores[~pairs.same] >= threshold))
        assert t == pytest.approx(np.mean(scores[pairs.same] >= threshold))
    other = np.exp(scores) + scores**3
    mapped = protocols.roc(other, pairs.same)
    np.testing.assert_array_equal([far, tar], mapped[:2])
    for measure in (protocols.auc, protocols.equal_error_rate, protocols.tar_at_far):
        assert measure(scores, pairs.same) == measure(other, pairs.same)
    a, b = scores[pairs.same][:, None], scores[~pairs.same]
    assert protocols.auc(scores, pairs.same) == pytest.approx(np.mean((a > b) + 0.5 * (a == b)))


def test_rates_on_a_hand_made_roc():
    scores, same = [5, 4, 3, 2, 1, 0], [1, 1, 0, 1, 0, 0]
    assert protocols.equal_error_rate(scores, same) == pytest.approx(1 / 3)
    assert protocols.tar_at_far(scores, same, 0.0) == pytest.approx(2 / 3)
    assert protocols.tar_at_far(scores, same, 0.33) == pytest.approx(2 / 3)
    assert protocols.tar_at_far(scores, same, 0.34) == 1
    assert protocols.auc(scores, same) == pytest.approx(8 / 9)


# identification


def test_identification_equals_a_plain_loop():
    rng = np.random.default_rng(0)
    gallery_labels, probe_labels = rng.permutation(12), rng.integers(12, size=40)
    genuine = np.round(rng.normal(size=(40, 12)) + 2 * (probe_labels[:, None] == gallery_labels), 1)
    impostors = np.round(rng.normal(size=(250, 12)), 1)
    rank1 = []
    for row, label in zip(genuine, probe_labels, strict=True):
        others = [s for s, g in zip(row, gallery_labels, strict=True) if g != label]
        rank1.append(row[list(gallery_labels).index(label)] > max(others))
    assert protocols.closed_set_rank1(genuine, probe_labels, gallery_labels) == pytest.approx(np.mean(rank1))

    for far in (0.0, 0.01, 0.1, 0.29, 1.0):
        result = protocols.open_set_dir(genuine, probe_labels, impostors, gallery_labels, far)
        accepted = [max(row) >= result.threshold for row in impostors]
        detected = [found and max(row) >= result.threshold for found, row in zip(rank1, genuine, strict=True)]
        assert result.far == np.mean(accepted) <= far and result.rate == np.mean(detected)
        # and no smaller threshold would do: with any, the next impostors come in
        if far < 1:
            lower = np.nextafter(result.threshold, -np.inf)
            assert np.mean(impostors.max(axis=1) >= lower) > far


def test_one_per_cent_of_the_papers_impostors_is_94():
    impostors = np.random.default_rng(0).permutation(9494).astype(float)[:, None]
    result = protocols.open_set_dir(np.array([[9400.0]]), [1], impostors, [1])
    assert result.far == 94 / 9494 and result.threshold == np.nextafter(9399.0, np.inf) and result.rate == 1
    assert protocols.open_set_dir(np.array([[9399.0]]), [1], impostors, [1]).rate == 0


def test_ties_in_the_gallery_count_as_wrong():
    assert protocols.closed_set_rank1(np.ones((3, 4)), [0, 1, 2], [0, 1, 2, 3]) == 0
    assert protocols.closed_set_rank1(np.ones((3, 4)), [0, 0, 0], [0, 0, 0, 0]) == 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_identification_survives_monotone_maps_and_order(seed):
    rng = np.random.default_rng(seed)
    labels, gallery = np.arange(8), np.arange(8)
    genuine, impostors = rng.normal(size=(8, 8)) + 2 * np.eye(8), rng.normal(size=(100, 8))
    rank1 = protocols.closed_set_rank1(genuine, labels, gallery)
    rate = protocols.open_set_dir(genuine, labels, impostors, gallery, 0.05).rate
    order = rng.permutation(8)
    assert protocols.closed_set_rank1(np.exp(genuine)[:, order], labels, gallery[order]) == rank1
    shuffled = np.exp(genuine)[:, order], labels, np.exp(impostors)[:, order], gallery[order]
    assert protocols.open_set_dir(*shuffled, 0.05).rate == rate


# lists


def people(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    return labels, [f"P{a}/P{a}_{i + 1:04d}.jpg" for a, n in enumerate(counts) for i in range(n)]


def tiny_lfw(tmp_path, text="2\t2\nP0\t1\t2\nP1 2 1\nP0\t1\tP1\t2\nP1\t1\tP2\t1\n"
             "P3\t1\t3\nP3\t2\t3\nP3\t1\tP4\t1\nP4\t2\tP3\t3\n"):  # fmt: skip
    (tmp_path / "pairs.txt").write_text(text)
    return tmp_path / "pairs.txt", people([2, 2, 1, 3, 2])[1]


def test_lfw_pairs_by_hand(tmp_path):
    file, paths = tiny_lfw(tmp_path)
    pairs = read_lfw_pairs(file, paths)
    names = [(paths[i][:10], paths[j][:10]) for i, j in zip(pairs.first, pairs.second, strict=True)]
    expected = "P0/P0_0001 P0/P0_0002 P1/P1_0002 P1/P1_0001 P0/P0_0001 P1/P1_0002"
    assert " ".join(" ".join(pair) for pair in names[:3]) == expected
    assert pairs.same.tolist() == [True, True, False, False] * 2
    assert pairs.fold.tolist() == [0] * 4 + [1] * 4 and len(pairs) == 8
    # other roots, endings and orders of the images find the same ones
    other = [f"/data/lfw/{Path(p).with_suffix('.png')}" for p in reversed(paths)]
    np.testing.assert_array_equal(read_lfw_pairs(file, other).first, len(paths) - 1 - pairs.first)


def test_view_1_is_one_fold(tmp_path):
    file, paths = tiny_lfw(tmp_path, "1\nP0 1 2\nP0 1 P1 2\n")
    assert read_lfw_pairs(file, paths).fold.tolist() == [0, 0]


def test_errata_flip_labels(tmp_path):
    file, paths = tiny_lfw(tmp_path)
    (tmp_path / "errata.txt").write_text("# wrong in the list\nP0 2 P0 1 0\nP0 1 P1 2 1  # one person after all\n")
    flipped = read_lfw_pairs(file, paths, errata=tmp_path / "errata.txt").same
    assert flipped.tolist() == [False, True, True, False, True, True, False, False]
    given_rows = [("P0", 2, "P0", 1, False), ("P0", 1, "P1", 2, 1)]
    np.testing.assert_array_equal(read_lfw_pairs(file, paths, errata=given_rows).same, flipped)
    for row, words in [(("P0", 1, "P2", 1, 1), "no pair"), (("P0", 1, "P1", 2), "same 0 or 1"),
                       (("P0", 1, "P1", 2, "maybe"), "maybe")]:  # fmt: skip
        with pytest.raises(DataError, match=words):
            read_lfw_pairs(file, paths, errata=[row])


@pytest.mark.parametrize("change, words", [
    (lambda t: t.replace("P2\t1", "Nobody\t7"), "names 1 images .* Nobody/Nobody_0007"),
    (lambda t: t[: t.rindex("P4")], "7 pairs, .* 8 in all"),
    (lambda t: t + "P0 1 2\n", "9 pairs"),
    (lambda t: t.replace("2\t2", "ten folds", 1), "line 1"),
    (lambda t: "", "line 1"),
    (lambda t: t.replace("P1 2 1\n", "P1 2 P1 1\n"), "line 3: .* should be name, number, number"),
    (lambda t: t.replace("P1 2 1\n", "P1 two 1\n"), "line 3"),
])  # fmt: skip
def test_wrong_pair_files(tmp_path, change, words):
    file, paths = tiny_lfw(tmp_path)
    file.write_text(change(file.read_text()))
    with pytest.raises(DataError, match=words) as caught:
        read_lfw_pairs(file, paths)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_pair_file(tmp_path):
    with pytest.raises(DataError, match="nowhere.txt"):
        read_lfw_pairs(tmp_path / "nowhere.txt", [])


@pytest.fixture
def cfp(tmp_path):
    protocol = tmp_path / "Protocol"
    paths = [f"{p:03d}/{kind}/{i:02d}.jpg" for p in (1, 2) for kind in ("frontal", "profile") for i in (1, 2)]
    for letter, kind in (("F", "frontal"), ("P", "profile")):
        mine = [p for p in paths if kind in p]
        (protocol / "Split" / f"F{letter}").mkdir(parents=True)
        rows = [f"{i} ../Data/Images/{p}" for i, p in enumerate(mine, 1)]
        (protocol / f"Pair_list_{letter}.txt").write_text("\n".join(rows) + "\n")
        for fold in ("01", "02"):
            (protocol / "Split" / f"F{letter}" / fold).mkdir()
            (protocol / "Split" / f"F{letter}" / fold / "same.txt").write_text("1,2\n3,4\n")
            (protocol / "Split" / f"F{letter}" / fold / "diff.txt").write_text("1,4\n")
    return tmp_path, paths


def test_cfp_folds(cfp):
    folder, paths = cfp
    pairs = read_cfp(folder, paths)
    assert pairs.same.tolist() == [True, True, False] * 2 and pairs.fold.tolist() == [0] * 3 + [1] * 3
    assert [paths[i] for i in pairs.first[:3]] == ["001/frontal/01.jpg", "002/frontal/01.jpg", "001/frontal/01.jpg"]
    assert [paths[i] for i in pairs.second[:3]] == ["001/profile/02.jpg", "002/profile/02.jpg", "002/profile/02.jpg"]
    assert all("frontal" in paths[i] for i in read_cfp(folder, paths, "FF").second)


def test_wrong_cfp_folders(cfp, tmp_path):
    folder, paths = cfp
    with pytest.raises(DataError, match="'FF' or 'FP'"):
        read_cfp(folder, paths, "PP")
    with pytest.raises(DataError, match="001/frontal/01"):
        read_cfp(folder, paths[1:])
    with pytest.raises(DataError, match="Pair_list"):
        read_cfp(folder / "Protocol", paths)
    (folder / "Protocol/Split/FP/02/diff.txt").write_text("1,4\n1;9\n")
    with pytest.raises(DataError, match="line 2: '1;9'"):
        read_cfp(folder, paths)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), counts=st.lists(st.integers(1, 8), min_size=20, max_size=60))
def test_made_pairs_are_what_they_say(seed, counts):
    labels = np.random.default_rng(seed).permutation(people([4] * 8 + counts)[0])
    pairs = make_pairs(labels, n_folds=4, per_fold=6, seed=seed)
    np.testing.assert_array_equal(pairs.same, labels[pairs.first] == labels[pairs.second])
    for fold in range(4):
        assert np.sum(pairs.same & (pairs.fold == fold)) == np.sum(~pairs.same & (pairs.fold == fold)) == 6
    assert (pairs.first != pairs.second).all()
    assert len({frozenset(p) for p in zip(pairs.first, pairs.second, strict=True)}) == len(pairs)
    assert_disjoint(pairs, labels)
    again, other = make_pairs(labels, 4, 6, seed), make_pairs(labels, 4, 6, seed + 1)
    np.testing.assert_array_equal(pairs.first, again.first)
    assert (pairs.first != other.first).any()


def assert_disjoint(pairs, labels):
    inside = [set(labels[pairs.first[pairs.fold == f]]) | set(labels[pairs.second[pairs.fold == f]])
              for f in range(pairs.fold.max() + 1)]  # fmt: skip
    assert sum(map(len, inside)) == len(set.union(*inside))


def test_made_pairs_use_all_that_there_is():
    """As many different pairs as exist, and each person before any a second time."""
    pairs = make_pairs(np.repeat(np.arange(6), 2), n_folds=2, per_fold=3)
    assert sorted(np.repeat(np.arange(6), 2)[pairs.first[pairs.same]]) == list(range(6))
    make_pairs(np.array([0, 0, 1, 1, 2, 2, 3, 3]), n_folds=2, per_fold=2)


@pytest.mark.parametrize("labels, options, words", [
    (np.arange(50), dict(n_folds=2, per_fold=3), "0 'same' pairs, 3 are needed"),
    (np.repeat(np.arange(4), 9), dict(n_folds=4, per_fold=3), "0 'different' pairs"),
    (np.repeat(np.arange(3), 9), dict(n_folds=4, per_fold=3), "fold 1 of 4: 1 people"),
    (np.repeat(np.arange(30), 2), dict(), "ask for fewer"),
    (np.repeat(np.arange(30), 2), dict(n_folds=1), "at least 2 folds"),
])  # fmt: skip
def test_too_few_people_for_pairs(labels, options, words):
    with pytest.raises(DataError, match=words):
        make_pairs(labels, **options)


def test_identification_lists_and_their_file(tmp_path):
    labels, paths = people([3] * 30 + [1] * 40)
    lists = identification_lists(labels, seed=3, enrolled=10, impostors=80)
    assert len(lists.gallery) == 70 and len(lists.probes) == 60
    assert (labels[lists.gallery] == np.arange(70)).all() and set(np.diff(lists.gallery)[:29]) == {3}
    assert not set(lists.gallery) & set(lists.probes)
    np.testing.assert_array_equal(labels[lists.open_gallery], labels[lists.genuine])
    assert (lists.open_gallery != lists.genuine).all() and len(set(labels[lists.genuine])) == 10
    assert not set(labels[lists.impostors]) & set(labels[lists.genuine])
    assert len(set(lists.impostors)) == 80

    lists.write(tmp_path / "lists.json", paths)
    assert json.loads((tmp_path / "lists.json").read_text())["genuine"][0] == paths[lists.genuine[0]]
    back = Identification.read(tmp_path / "lists.json", paths[::-1])
    for name in ("gallery", "probes", "open_gallery", "genuine", "impostors"):
        np.testing.assert_array_equal(len(paths) - 1 - getattr(back, name), getattr(lists, name))
    assert back.seed == 3 and os.listdir(tmp_path) == ["lists.json"]

    some = identification_lists(labels, closed=[0, 2, 5, 3], enrolled=2, impostors=4)
    assert some.gallery.tolist() == [0, 3] and some.probes.tolist() == [2, 5]


def test_impostors_are_drawn_again_until_there_are_enough():
    labels, _ = people([2] * 10 + [30])
    for seed in range(20):  # the crowd of 30 is enrolled in a quarter of the draws
        lists = identification_lists(labels, seed=seed, enrolled=3, impostors=40)
        assert 10 not in labels[lists.genuine] and len(lists.impostors) == 40


def test_wrong_identification_input(tmp_path):
    labels, paths = people([2] * 5)
    with pytest.raises(DataError, match="5 people have two images, 596"):
        identification_lists(labels)
    with pytest.raises(DataError, match="too few for 9 impostors"):
        identification_lists(labels, enrolled=2, impostors=9)
    lists = identification_lists(labels, enrolled=2, impostors=4)
    with pytest.raises(DataError, match="cannot be written"):
        lists.write(tmp_path / "no" / "lists.json", paths)
    lists.write(tmp_path / "lists.json", paths)
    with pytest.raises(DataError, match="names 1 images .* P0/P0_0001"):
        Identification.read(tmp_path / "lists.json", paths[1:])
    for text in ("{", "[]", '{"seed": 1}'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(DataError, match="write it again"):
            Identification.read(tmp_path / "bad.json", paths)


def test_wrong_scores():
    scores, pairs = some_pairs()
    spoiled = np.where(np.arange(len(pairs)) == 17, np.nan, scores)
    for call, words in [
        (lambda: protocols.verify(spoiled, pairs), "1 of 200 are NaN or inf, the first for pair 17"),
        (lambda: protocols.roc(spoiled, pairs.same), "pair 17"),
        (lambda: protocols.verify(scores[1:], pairs), "expected"),
        (lambda: protocols.roc(scores, np.ones(len(pairs), bool)), "both same and different"),
        (lambda: protocols.verify(scores[:4], Pairs(*np.zeros((4, 4), dtype=int))), "one fold"),
        (lambda: protocols.closed_set_rank1(np.ones((2, 3)), [0, 7], [0, 1, 2]), "1 of 2 have nobody"),
        (lambda: protocols.closed_set_rank1(np.ones((2, 3)), [0, 1, 2], [0, 1, 2]), "each probe"),
        (lambda: protocols.open_set_dir(np.ones((1, 2)), [0], np.full((1, 2), np.nan), [0, 1]), "impostor 0"),
        (lambda: protocols.open_set_dir(np.ones((1, 2)), [0], np.ones((1, 2)), [0, 1], far=2), "far=2"),
        (lambda: protocols.open_set_dir(np.ones((1, 2)), [0], np.ones((0, 2)), [0, 1]), "0 impostors"),
    ]:  # fmt: skip
        with pytest.raises(DataError, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)


# LFW itself


@pytest.mark.real
def test_lfw_lists():
    root = Path(os.environ.get("DEEPID_DATA", "/nowhere"))
    if not (root / "lfw_protocol" / "pairs.txt").exists():
        pytest.skip("DEEPID_DATA names no folder with lfw_protocol/pairs.txt")
    counts = [line.split() for line in (root / "lfw_protocol" / "lfw-names.txt").read_text().splitlines()]
    labels = np.repeat(np.arange(len(counts)), [int(n) for _, n in counts])
    paths = [f"{name}/{name}_{i + 1:04d}.jpg" for name, n in counts for i in range(int(n))]
    assert (len(paths), len(counts)) == (13233, 5749)

    pairs = read_lfw_pairs(root / "lfw_protocol" / "pairs.txt", paths)
    assert len(pairs) == 6000 and pairs.fold.max() == 9
    np.testing.assert_array_equal(pairs.same, labels[pairs.first] == labels[pairs.second])
    assert_disjoint(pairs, labels)
    for name, size in (("pairsDevTrain", 2200), ("pairsDevTest", 1000)):
        assert len(read_lfw_pairs(root / "lfw_protocol" / f"{name}.txt", paths)) == size

    lists = identification_lists(labels, closed=np.union1d(pairs.first, pairs.second))
    assert (len(lists.gallery), len(lists.probes)) == (4281, 3420)
    assert (len(lists.open_gallery), len(lists.genuine), len(lists.impostors)) == (596, 596, 9494)
    assert not set(labels[lists.impostors]) & set(labels[lists.open_gallery])
    made = make_pairs(labels, seed=1)
    assert len(made) == 6000
    assert_disjoint(made, labels)
