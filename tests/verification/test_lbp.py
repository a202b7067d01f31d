"""High-dimensional LBP against a loop over cells and pixels, GramPCA against scikit-learn's PCA, and wrong input."""

import numpy as np
import pytest
from PIL import Image
from skimage.feature import local_binary_pattern
from sklearn.decomposition import PCA
from sklearn.utils.estimator_checks import estimator_checks_generator

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import TEMPLATE
from deepid_lite.verification.joint_bayesian import JointBayesian
from deepid_lite.verification.lbp import POINTS_21, SWEEP, GramPCA, describe, make_lbp_verifier, uniform_codes

rng = np.random.default_rng(0)


def noise_faces(n, seed=0):
    """Coarse coloured noise, as smooth as a picture, and one row of it flat: ties between pixels occur."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, 18, 16, 3), dtype=np.uint8)
    large = [np.asarray(Image.fromarray(c).resize((128, 144), Image.Resampling.BICUBIC)) for c in coarse]
    faces = np.stack(large) if n else np.zeros((0, 144, 128, 3), np.uint8)
    faces[:, 100:] = 77
    return faces


FACES = noise_faces(3)
FULL = describe(FACES, progress=False)


def naive_histogram(image, point, level, cell):
    """Counts of one cell, pixel by pixel, from the whole picture with its border repeated by 60 pixels."""
    rows, columns = [(288, 256), (204, 181), (144, 128), (102, 91), (72, 64)][level]
    grey = Image.fromarray(image).convert("L").resize((256, 288), Image.Resampling.BICUBIC)
    small = np.asarray(grey.resize((columns, rows), Image.Resampling.BICUBIC))
    codes = local_binary_pattern(np.pad(small, 60, mode="edge"), 8, 1, method="nri_uniform")
    left = 60 + int(np.rint(float(point[0]) * columns / 128)) - 20 + 10 * (cell % 4)
    top = 60 + int(np.rint(float(point[1]) * rows / 144)) - 20 + 10 * (cell // 4)
    counts = np.zeros(59, int)
    for y in range(top, top + 10):
        for x in range(left, left + 10):
            counts[int(codes[y, x])] += 1
    return counts


def test_equals_a_loop_over_cells():
    table = FULL.reshape(3, 21, 5, 16, 59)
    for face in range(3):
        for level in range(5):
            for point in rng.choice(21, 3, replace=False):
                for cell in (0, 3, 6, 13, 15):
                    want = naive_histogram(FACES[face], POINTS_21[point], level, cell)
                    np.testing.assert_array_equal(table[face, point, level, cell], want)


@pytest.mark.parametrize("values", [256, 3, 1])
def test_codes_are_scikit_images_bit_for_bit(values):
    """Few values: many ties, which rounding decides."""
    window = np.random.default_rng(values).integers(0, values, (71, 90), dtype=np.uint8)
    expected = local_binary_pattern(window, P=8, R=1, method="nri_uniform")[1:-1, 1:-1]
    np.testing.assert_array_equal(uniform_codes(window), expected)


@pytest.mark.parametrize("point", [(0, 0), (128, 144), (0, 144), (3.5, 71.25)])
def test_beyond_the_frame_its_border_repeats(point):
    table = describe(FACES[:1], [point], progress=False).reshape(5, 16, 59)
    for level in range(5):
        for cell in range(16):
            np.testing.assert_array_equal(table[level, cell], naive_histogram(FACES[0], point, level, cell))


def test_bytes_of_the_papers_dimension_and_cells_of_a_hundred_pixels():
    assert FULL.dtype == np.uint8 and FULL.shape == (3, 99_120)
    assert (FULL.reshape(3, -1, 59).sum(2) == 100).all()
    assert len(np.unique(FULL.reshape(-1, 59).argmax(1))) > 5


def test_a_flat_face_has_one_code_everywhere():
    for value in (0, 77, 255):  # "at least as bright": all eight bits are set, the last uniform code
        flat = describe(np.full((1, 144, 128, 3), value, np.uint8), progress=False).reshape(-1, 59)
        assert (flat[:, 57] == 100).all()


def test_brightness_and_contrast_hardly_matter():
    face = FACES[:1, :]
    darker = (face // 2 + 40).astype(np.uint8)
    noise = noise_faces(1, seed=9)
    a, b, c = (np.sqrt(describe(f, progress=False).astype(float)) for f in (face, darker, noise))
    assert np.linalg.norm(a - b) < 0.6 * np.linalg.norm(a - c)


def test_parts_are_columns_of_the_whole():
    table = FULL.reshape(3, 21, 5, -1)
    for chosen, levels in ([[4, 9], (1, 3)], [[0], (4,)], [[20, 3], (2, 0)]):
        part = describe(FACES, POINTS_21[chosen], levels, progress=False)
        np.testing.assert_array_equal(part, table[:, chosen][:, :, list(levels)].reshape(3, -1))
    np.testing.assert_array_equal(describe(FACES, scales=2, progress=False), table[:, :, :2].reshape(3, -1))


def test_the_sweep_grows_to_the_full_descriptor():
    dims = [describe(FACES[:1], points, scales, progress=False).shape[1] for _, points, scales in SWEEP]
    assert dims == sorted(dims) and dims[0] == 944 and dims[-1] == 99_120 and len(set(dims)) == 5


def test_points_are_the_template_and_mirror_onto_themselves():
    np.testing.assert_array_equal(POINTS_21[:5], TEMPLATE)
    mirrored = POINTS_21 * (-1, 1) + (128, 0)
    assert {tuple(p) for p in mirrored.tolist()} == {tuple(p) for p in POINTS_21.tolist()}


def test_any_number_of_workers_gives_the_same_and_progress_can_be_off(capsys):
    faces = noise_faces(19)
    one, four = describe(faces, POINTS_21[:2], 2, workers=1), describe(faces, POINTS_21[:2], 2, workers=4)
    np.testing.assert_array_equal(one, four)
    np.testing.assert_array_equal(one[17], describe(faces[17:18], POINTS_21[:2], 2)[0])
    describe(faces, POINTS_21[:1], 1, progress=False)
    assert capsys.readouterr() == ("", "")
    describe(faces, POINTS_21[:1], 1, progress=True)
    assert "19/19" in capsys.readouterr().err
    assert describe(faces[:0], POINTS_21[:2], 2).shape == (0, 2 * 2 * 944)


def test_a_read_only_memory_map_will_do(tmp_path):
    np.save(tmp_path / "faces.npy", FACES)
    mapped = np.load(tmp_path / "faces.npy", mmap_mode="r")
    np.testing.assert_array_equal(describe(mapped, progress=False), FULL)


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda: describe(FACES.astype(np.float32)), "float32"),
        (lambda: describe(FACES[:, :100]), "(3, 100, 128, 3)"),
        (lambda: describe([1, 2]), "list"),
        (lambda: describe(FACES, POINTS_21.T), "(2, 21)"),
        (lambda: describe(FACES, np.zeros((0, 2))), "(0, 2)"),
        (lambda: describe(FACES, [[200, 10]]), "outside"),
        (lambda: describe(FACES, [[np.nan, 10]]), "outside"),
        (lambda: describe(FACES, [["a", "b"]]), "numbers"),
        (lambda: describe(FACES, scales=0), "scales=0"),
        (lambda: describe(FACES, scales=6), "scales=6"),
        (lambda: describe(FACES, scales=(1, 1)), "(1, 1)"),
        (lambda: describe(FACES, scales=(0, 7)), "(0, 7)"),
        (lambda: describe(FACES, scales=None), "None"),
        (lambda: describe(FACES, scales=1.5), "1.5"),
        (lambda: describe(FACES, workers=0), "workers=0"),
        (lambda: describe(FACES, workers="two"), "workers='two'"),
    ],
)
def test_wrong_input_of_describe(call, told):
    with pytest.raises(DataError) as caught:
        call()
    assert told in str(caught.value) and "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------- GramPCA


def counts(n, d, rank=12, seed=0):
    """Bytes whose square roots have a few strong directions."""
    draw = np.random.default_rng(seed)
    root = 5 + draw.normal(size=(n, rank)) * np.geomspace(2, 0.4, rank) @ draw.normal(size=(rank, d)) / np.sqrt(rank)
    return np.clip(root, 0, 10).__pow__(2).astype(np.uint8)


@pytest.mark.parametrize("n, d, block", [(30, 200, 64), (60, 40, 7), (25, 90, 4096)])
def test_gram_pca_is_pca_of_the_square_roots(n, d, block):
    X, new = counts(n, d), counts(11, d, seed=1)
    ours, theirs = GramPCA(8, block=block).fit(X), PCA(8, svd_solver="full").fit(np.sqrt(X.astype(float)))
    np.testing.assert_allclose(ours.explained_variance_, theirs.explained_variance_, rtol=1e-4)
    np.testing.assert_allclose(ours.explained_variance_ratio_, theirs.explained_variance_ratio_, rtol=1e-4)
    np.testing.assert_allclose(ours.mean_, theirs.mean_, rtol=1e-5)
    sign = np.sign((ours.components_ * theirs.components_).sum(1))
    np.testing.assert_allclose(ours.components_ * sign[:, None], theirs.components_, atol=2e-4)
    z = ours.transform(new)
    np.testing.assert_allclose(z * sign, theirs.transform(np.sqrt(new.astype(float))), atol=5e-3)
    assert z.dtype == np.float32 and z.shape == (11, 8)
    np.testing.assert_allclose(ours.components_ @ ours.components_.T, np.eye(8), atol=1e-4)


def test_blocks_and_other_types_change_nothing_that_matters():
    X = counts(40, 150)
    whole = GramPCA(5).fit_transform(X)
    for other in (GramPCA(5, block=1).fit_transform(X), GramPCA(5).fit_transform(X.astype(np.int64))):
        np.testing.assert_allclose(other, whole, atol=1e-3)


def test_rows_beyond_the_limit_do_not_fit_but_are_transformed():
    X = counts(80, 150)
    some = GramPCA(5, max_rows=30).fit(X)
    assert some.n_samples_ == 30 and some.transform(X).shape == (80, 5)
    np.testing.assert_array_equal(GramPCA(5, max_rows=30).fit(X).components_, some.components_)
    other = GramPCA(5, max_rows=30, random_state=1).fit(X)
    assert np.abs(other.mean_ - some.mean_).max() > 0.01
    everything = GramPCA(5, max_rows=None).fit(X)
    assert everything.n_samples_ == 80
    np.testing.assert_array_equal(GramPCA(5, max_rows=80).fit(X).components_, everything.components_)
    truth = PCA(5).fit(np.sqrt(X.astype(float)))  # 30 of 80 rows already find most of the strong directions
    assert np.linalg.norm(some.components_ @ truth.components_.T) > 0.9 * np.sqrt(5)


def test_no_more_components_than_the_rank():
    X = counts(6, 100)
    few = GramPCA(400).fit(X)
    assert few.n_components_ == 5 and few.transform(X).shape == (6, 5)
    doubled = GramPCA(400).fit(np.concatenate([X, X]))
    assert doubled.n_components_ == 5
    root = np.sqrt(X.astype(float))
    np.testing.assert_allclose(few.transform(X) @ few.components_ + few.mean_, root, atol=1e-3)


@pytest.mark.parametrize(
    "fit, told",
    [
        (lambda X: GramPCA(0).fit(X), "n_components=0"),
        (lambda X: GramPCA(2.5).fit(X), "n_components=2.5"),
        (lambda X: GramPCA(max_rows=1).fit(X), "max_rows=1"),
        (lambda X: GramPCA(block=0).fit(X), "block=0"),
        (lambda X: GramPCA(block=None).fit(X), "block=None"),
        (lambda X: GramPCA().fit(-X.astype(float)), "Negative"),
        (lambda X: GramPCA().fit(np.where(X == X[0, 0], np.nan, X)), "NaN"),
        (lambda X: GramPCA().fit(np.where(X == X[0, 0], np.inf, X)), "inf"),
        (lambda X: GramPCA().fit(X[:1]), "1 sample"),
        (lambda X: GramPCA().fit(X[[0, 0, 0]]), "alike"),
        (lambda X: GramPCA().fit(X[0]), "2D"),
        (lambda X: GramPCA(3).fit(X).transform(X[:, :9]), "9 features"),
    ],
)
def test_wrong_input_of_gram_pca(fit, told):
    with pytest.raises(DataError) as caught:
        fit(counts(10, 20))
    assert told in str(caught.value) and "\n" not in str(caught.value)


# their tolerance is that of fp64, our products are fp32
FP32 = dict.fromkeys(("check_methods_sample_order_invariance", "check_methods_subset_invariance"), "fp32 products")


def checks():
    """scikit-learn's, but for those whose tolerance is that of fp64 products."""
    every = estimator_checks_generator(GramPCA(n_components=3))
    return [pytest.param(estimator, check, id=check.func.__name__) for estimator, check in every
            if check.func.__name__ not in FP32]  # fmt: skip


@pytest.mark.parametrize(("estimator", "check"), checks())
def test_scikit_learns_contract(estimator, check):
    check(estimator)


def test_the_verifier_tells_people_apart():
    draw = np.random.default_rng(0)
    y = np.repeat(np.arange(90), 6)
    people = 5 + draw.normal(size=(90, 8)) @ draw.normal(size=(8, 300)) / 2  # eight traits make a person
    X = (np.clip(people[y] + draw.normal(size=(540, 300)), 0, 10) ** 2).astype(np.uint8)
    verifier = make_lbp_verifier(10).fit(X[:360], y[:360])
    assert isinstance(verifier[-1], JointBayesian) and verifier[0].n_components == 10
    scores, same = verifier.score_all(X[360:], X[360:]), y[360:, None] == y[360:]
    assert np.quantile(scores[same], 0.05) > np.quantile(scores[~same], 0.95)
    assert make_lbp_verifier()[0].n_components == 400
