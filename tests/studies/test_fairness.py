"""Error rates by group: equal to counts by hand, right where the truth is known, and intervals that hold it."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from deepid_lite.errors import DataError
from deepid_lite.faces.dataset import FaceSet
from deepid_lite.studies import fairness

BY_HAND = np.array([  # persons 0, 0, 1, 1, 2; the lower triangle and the diagonal must not count
    [9.0, 0.8, 0.1, 0.7, 0.2],
    [9.0, 9.0, 0.3, 0.4, 0.6],
    [9.0, 9.0, 9.0, 0.5, 0.9],
    [9.0, 9.0, 9.0, 9.0, 0.0],
    [9.0, 9.0, 9.0, 9.0, 9.0],
])  # fmt: skip
PERSONS = np.array([0, 0, 1, 1, 2])


def test_tables_and_rates_by_hand():
    tables = fairness.count(BY_HAND, PERSONS, 0.5)
    assert tables.above.tolist() == [[1, 1, 1], [0, 0, 1], [0, 0, 0]]
    assert tables.pairs.tolist() == [[1, 4, 2], [0, 1, 2], [0, 0, 0]]
    far, frr = fairness.rates(tables, np.array([[1.0, 1, 1], [1, 1, 0], [2, 1, 0], [2, 0, 0], [0, 0, 1]]))
    # weight 2: the person's pairs count twice, with others and within, but the two copies are no impostors
    np.testing.assert_allclose(far, [3 / 8, 1 / 4, 1 / 4, np.nan, np.nan])
    np.testing.assert_allclose(frr, [1 / 2, 1 / 2, 1 / 3, 0, np.nan])
    wider = fairness.count(BY_HAND, PERSONS, 0.5, n_people=5)
    assert wider.pairs.shape == (5, 5) and wider.pairs.sum() == 10


def test_the_threshold_lets_no_more_through_than_asked_for():
    rng = np.random.default_rng(0)
    scores, people = rng.integers(0, 50, (60, 60)).astype(float), np.repeat(np.arange(12), 5)
    i, j = np.triu_indices(60, 1)
    impostors = scores[i, j][people[i] != people[j]]
    for far in (0.2, 0.05, 0.001):
        threshold = fairness.threshold_at(scores, people, far)
        assert (impostors > threshold).mean() <= far < (impostors >= threshold).mean()  # the lowest that does
    with pytest.raises(DataError, match="0 impostor pairs"):
        fairness.threshold_at(scores, np.zeros(60, int), 0.1)


def test_people_are_drawn_within_their_group():
    groups = np.array([0, 1, 1, 0, 1, 1, 1])
    weights = fairness.drawn(groups, 400, seed=1)
    assert (weights[:, groups == 0].sum(1) == 2).all() and (weights[:, groups == 1].sum(1) == 5).all()
    np.testing.assert_allclose(weights.mean(0), 1, atol=0.2)
    np.testing.assert_array_equal(weights, fairness.drawn(groups, 400, seed=1))


def test_known_rates_are_found():
    """Impostors of group 0 score N(0, 1), of group 1 N(1, 1), mixed N(-1, 1); genuine pairs N(4, 1) and N(3, 1)."""
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(60), 10)
    groups = np.arange(60) % 2
    g, same = groups[people], people[:, None] == people
    mixed = g[:, None] != g
    mean = np.where(same, 4.0 - g, np.where(mixed, -1.0, g))
    tables = fairness.count(mean + rng.standard_normal(mean.shape), people, 2.0)
    found = fairness.by_group(tables, groups, draws=300)
    far, frr = norm.sf([2, 1]) * 100, norm.cdf([-2, -1]) * 100
    for k, name in enumerate(("female", "male")):
        assert found[name]["people"] == 30
        assert found[name]["genuine_pairs"] == 30 * 45 and found[name]["impostor_pairs"] == 435 * 100
        for rate, truth in (("far", far[k]), ("frr", frr[k])):
            value, low, high = found[name][rate]
            assert value == pytest.approx(truth, rel=0.25) and low < value < high and low < truth < high
    assert found["same"]["far"][0] == pytest.approx(far.mean(), rel=0.05)
    assert found["same"]["impostor_pairs"] == 87_000 and found["mixed"]["impostor_pairs"] == 90_000
    assert found["mixed"]["far"][0] == pytest.approx(100 * norm.sf(3), rel=0.2)
    assert found["all"]["impostor_pairs"] == 177_000 and found["all"]["frr"] == found["same"]["frr"]
    for rate, truth in (("far", far[1] - far[0]), ("frr", frr[1] - frr[0])):
        value, low, high = found["difference"][rate]["value"]
        assert 0 < low < truth < high and value == pytest.approx(truth, rel=0.15)
        below, above = found["difference"][rate]["shuffled"]
        assert below < 0 < above < value  # chance does not make such a difference


def test_intervals_over_people_hold_the_truth_and_those_over_pairs_do_not():
    """Who is easily taken for others is so in all pairs: P(accept a, b) = Phi(u_a + u_b - 2), u ~ N(0, 0.3^2)."""
    rng, held, held_by_pairs, n = np.random.default_rng(0), 0, 0, 80
    truth = norm.cdf(-2 / np.sqrt(1 + 2 * 0.3**2))
    for _ in range(n):
        u = 0.3 * rng.standard_normal(50)
        pairs = np.triu(np.full((50, 50), 100.0), 1)
        tables = fairness.Tables(np.triu(rng.binomial(100, norm.cdf(u[:, None] + u - 2)), 1).astype(float), pairs)
        far = fairness.rates(tables, np.concatenate([np.ones((1, 50)), fairness.drawn(np.zeros(50, int), 300)]))[0]
        low, high = np.percentile(far[1:], [2.5, 97.5])
        held += low < truth < high
        naive = binomtest(int(tables.above.sum()), int(pairs.sum())).proportion_ci(0.95, "wilson")
        held_by_pairs += naive.low < truth < naive.high
    assert held >= 0.85 * n and held_by_pairs < 0.35 * n


def test_a_persons_label_is_that_of_most_images():
    person = np.array([0, 0, 0, 1, 1, 2, 3, 3, 3])
    labels = np.array([1, 1, 0, 1, 0, np.nan, 0, 0, np.nan])
    np.testing.assert_array_equal(fairness.majority(person, labels), [1, np.nan, np.nan, 0])


@pytest.fixture
def scale(tmp_path):
    """48 CelebA people and 30 others of 6 images each, of CelebA's two are small; women (0..23) look more alike."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(78), 6)
    who = rng.standard_normal((78, 64)) + (np.arange(78) < 24)[:, None] * rng.standard_normal(64)
    x = who[person] + 0.8 * rng.standard_normal((len(person), 64))
    celeba = person < 48
    original = np.array([f"{i:06d}.jpg" if c else "" for i, c in enumerate(celeba)])
    sign = np.where(person < 24, -1, 1)
    sign[0] = 1  # one image of a woman labelled otherwise
    sign[47 * 6 : 47 * 6 + 2] = -1  # a tie: the last man is nobody's
    rows = [f"{name} {s}" for name, s in zip(original[celeba], sign[celeba], strict=True)]
    (tmp_path / "celeba_labels").mkdir()
    (tmp_path / "celeba_labels" / "list_attr_celeba.txt").write_text("\n".join([str(len(rows)), "Male", *rows]) + "\n")
    held_out = FaceSet(
        np.zeros((len(person), 1, 1, 3), np.uint8), person, [str(p) for p in range(78)],
        np.zeros((len(person), 5, 2), np.float32),
        {"source": np.select([celeba & (np.arange(len(person)) % 6 < 4), celeba], ["celeba", "celeba64"], "pins"),
         "original": original}, [""] * len(person), "webfaces", "hash",
    )  # fmt: skip
    features = np.maximum(x, 0).astype(np.float32)
    return SimpleNamespace(name="reference", held_out=held_out, root=str(tmp_path), features=lambda part: features)


def test_the_study_fits_and_chooses_on_other_people(scale, monkeypatch):
    fitted, chosen = [], []
    fit, choose = fairness.fit_verifier, fairness.threshold_at
    monkeypatch.setattr(fairness, "fit_verifier", lambda x, y: fitted.append(np.unique(y)) or fit(x, y))
    monkeypatch.setattr(fairness, "threshold_at", lambda s, p, far: chosen.append(np.unique(p)) or choose(s, p, far))
    monkeypatch.setattr(fairness, "count", _recorded(fairness.count, tested := []))
    found = fairness.error_rates_by_sex(scale, draws=200)
    assert fitted[0].tolist() == list(range(48, 78))
    assert len(chosen) == len(tested) == 8
    for first in range(0, 8, 2):
        for c, t in zip(chosen[first : first + 2], tested[first : first + 2], strict=True):
            assert len(c) + len(t) == 47 and not set(c) & set(t)
    assert found["images"] == {"female": 96, "male": 92} and found["people_left_out"] == 1
    assert found["images_labelled_otherwise"] == 1 and found["fitted_on"] == {"images": 180, "people": 30}
    assert found == fairness.error_rates_by_sex(scale, draws=200)
    for system in ("joint_bayesian", "hamming"):
        rates = found["systems"][system]["0.01"]
        assert rates["female"]["people"] == 24 and rates["male"]["people"] == 23
        assert rates["all"]["far"][0] == pytest.approx(1, abs=0.8)
        assert rates["female"]["far"][0] > rates["male"]["far"][0]
    assert found["systems"]["joint_bayesian"]["0.01"]["difference"]["far"]["value"][2] < 0


def _recorded(count, into):
    return lambda scores, people, *more: into.append(np.unique(people)) or count(scores, people, *more)


def test_what_the_study_cannot_use_is_one_line(scale):
    with pytest.raises(DataError, match="drawn faces have no sex"):
        fairness.error_rates_by_sex(SimpleNamespace(name="lite"))
    women = scale.held_out.labels < 24
    scale.held_out.attributes["source"] = np.where(women, "celeba200", "pins")
    with pytest.raises(DataError, match="fewer than 10 people of one sex"):
        fairness.error_rates_by_sex(scale)
