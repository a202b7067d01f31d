"""The claims on ablations read seeds, pairs and held-out choices from a record as run_experiment writes it."""

import numpy as np
import pytest

from deepid_lite.results import load_result
from deepid_lite.studies import ablation_claims
from deepid_lite.studies.ablation_claims import best_lambda, contrast
from deepid_lite.studies.ablation_list import EXPERIMENTS
from deepid_lite.studies.claims import judge, more, paper_claims
from deepid_lite.studies.comparisons import packed

FOLDS, EACH = 10, 60
CLAIMS = {claim.name: claim for claim in paper_claims()}


def result(name, accuracy, held_out=None, seeds=3, spread=0.0, active=lambda variant, seed: 50.0):
    """A record of an experiment in which variants have these accuracies (percent); seeds differ by `spread` points."""
    rng = np.random.default_rng(0)
    variants = {}
    for variant, changes in EXPERIMENTS[name].variants.items():
        runs = {}
        for seed in range(max(seeds, changes.get("seeds", 0))):
            share = active(variant, seed)
            run = {}
            for where, of in (("test", accuracy), ("held_out", held_out or accuracy)):
                mean = of(variant) + spread * (seed - 1)
                right = rng.permuted(np.tile(np.arange(EACH) < round(EACH * mean / 100), (FOLDS, 1)), axis=1).ravel()
                layer = {"right": dict.fromkeys(("joint_bayesian", "picture"), packed(right))}
                layer |= {"accuracy": {"joint_bayesian": mean}, "active": {"fit": share, "compared": share + 1}}
                layer["spectra"] = {"within": {"first_ten": of(variant) - 10 + seed / 10}}
                run[where] = {"FC-4": layer}
            runs[str(seed)] = run
        variants[variant] = {"runs": runs, "people": changes.get("people", 8192)}
    sizes = {"pairs": FOLDS * EACH, "pairs_per_fold": [EACH] * FOLDS}
    return {"scale": "reference", "scored_on": "test", "variants": variants, "test": sizes, **sizes}


def of(values, rest):
    return lambda variant: values.get(variant, rest)


def test_a_contrast_is_the_difference_of_the_means_with_the_wider_interval():
    record = result("signals", of({"L2+": 90}, 80))
    found = contrast(record, {"L2+": 1, "L2-": -1})
    assert found.value == pytest.approx(10) and 0 < found.high - found.value < 5
    wide = contrast(result("signals", lambda v: 90 if v == "L2+" else 80, spread=0), {"L2+": 1, "L2-": -1})
    assert wide == found, "seeds that agree leave the interval to the pairs"
    record = result("signals", of({"L2+": 90}, 80))
    for seed, run in record["variants"]["L2+"]["runs"].items():  # one training went wrong
        if seed == "2":
            run["test"] = record["variants"]["L2-"]["runs"]["2"]["test"]
    assert contrast(record, {"L2+": 1, "L2-": -1}).low < 0 < found.low


def test_the_weight_is_chosen_on_held_out_people_and_scored_on_the_test_set():
    record = result("lambda", of({"0.05": 90, "5": 99}, 80), held_out=of({"0.05": 90}, 80))
    assert best_lambda(record) == "0.05"
    assert CLAIMS["D1"].ours(record).value == pytest.approx(10)
    assert CLAIMS["D2"].ours(record).value == pytest.approx(90)
    assert CLAIMS["D4"].difference(record).value == pytest.approx(10)


def test_a_doubling_is_the_slope_over_the_logarithm():
    rising = {name: 50 + 5 * n for n, name in enumerate(EXPERIMENTS["people"].variants)}
    found = CLAIMS["D5"].ours(result("people", of(rising, 0)))
    assert found.value == pytest.approx(5) and found.low > 0
    flat = CLAIMS["D5"].difference(result("people", of({}, 80)))
    assert more(CLAIMS["D5"], flat) == "inconclusive"


def test_regions_count_alike():
    better = {name: 90 - 5 * n for n, name in enumerate(EXPERIMENTS["regions"].variants) if name.startswith("DeepID2+")}
    found = CLAIMS["C3"].ours(result("regions", of(better, 50)))
    assert found.value == pytest.approx(np.mean(list(better.values())) - 50, abs=0.3)


def test_dropout_is_held_against_other_seeds_on_both_sets():
    def rates_matter(variant, seed):
        return 50 + 20 * (variant == "dropout 0.75, no batch norm") + (0, 1, 2, 3)[seed] * ("0.5" in variant)

    found = CLAIMS["C12"].difference(result("dropout", of({}, 80), active=rates_matter))
    assert set(found) == {"held-out", "LFW"} and found["LFW"].value == pytest.approx(3 - 20)
    assert more(CLAIMS["C12"], found) == "no"
    found = CLAIMS["C12"].difference(result("dropout", of({}, 80)))
    assert more(CLAIMS["C12"], found) == "yes" and CLAIMS["C12"].ours(result("dropout", of({}, 80)))["LFW"].value == 0


def test_fewer_than_three_trainings_are_not_judged(monkeypatch):
    with pytest.raises(KeyError, match="3 seeds of L2"):
        CLAIMS["D3"].ours(result("signals", of({}, 80), seeds=2))
    untested = result("layers", of({}, 80))
    for variant in untested["variants"].values():
        for run in variant["runs"].values():
            del run["test"]
    for name in ("V1", "V2", "V3"):
        with pytest.raises(KeyError):
            CLAIMS[name].difference(untested)
    mine = [c for c in CLAIMS.values() if c.study in EXPERIMENTS]
    assert {c.name for c in mine} == {"C3", "C12", "D1", "D2", "D3", "D4", "D5", "V1", "V2", "V3", "O3"}
    for claim, verdict in zip(mine, judge("reference", claims=mine), strict=True):  # a record of one training waits
        old = "runs" not in next(iter(load_result(claim.study)["variants"].values()))
        assert verdict.why.startswith("not recorded yet") or not old
    assert ablation_claims.LEAST_SEEDS == 3, "as book/rules.md says"
