"""Claims: a verdict follows from two questions and from nothing else, and every entry reads its record."""

import dataclasses
import json
import math

import pytest

from deepid_lite.errors import DataError
from deepid_lite.results import load_result
from deepid_lite.studies import claims
from deepid_lite.studies.ablation_list import EXPERIMENTS
from deepid_lite.studies.claims import CLAIMS, as_text, judge, table, verdict_of
from deepid_lite.studies.runs import STUDIES

CLAIM = dataclasses.replace(
    CLAIMS[0],
    study="made",
    ours=lambda r: r["ours"],
    null=lambda r: r["null"],
    holds=lambda ours: ours >= 90,
    beats=lambda ours, null: ours >= null + 10,
)


@pytest.mark.parametrize(
    ("ours", "null", "verdict"),
    [
        (95, 70, "replicated"),
        (95, 94, "partly"),  # it holds, and so it does of the null
        (85, 60, "partly"),  # it beats the null and does not reach the paper
        (85, 84, "not replicated"),
        (math.nan, 50, "not tested"),
        (None, None, "not tested"),
    ],
)
def test_verdict_follows_from_two_questions(ours, null, verdict):
    assert verdict_of(CLAIM, ours, null) == verdict


def write(folder, content, scale="lite"):
    (folder / scale).mkdir(exist_ok=True)
    (folder / scale / "made.json").write_text(content)


def test_results_are_read_from_a_folder_of_reproduce(tmp_path):
    write(tmp_path, json.dumps({"ours": 95.04, "null": 70}))
    (found,) = judge("lite", tmp_path, [CLAIM])
    assert (found.ours, found.null, found.verdict, found.scale) == (95.04, 70, "replicated", "lite")
    assert "95.0 %" in table([found]) and "replicated" in table([found])
    assert as_text([found]).startswith("REPLICATED")
    (other,) = judge("reference", tmp_path, [CLAIM])
    assert other.verdict == "not tested" and other.ours is None


def test_a_part_that_a_study_left_out_is_not_tested(tmp_path):
    write(tmp_path, json.dumps({"ours": 95}))
    assert judge("lite", tmp_path, [CLAIM])[0].verdict == "not tested"


def test_a_damaged_record_is_one_line(tmp_path):
    write(tmp_path, '{"ours": ')
    with pytest.raises(DataError, match="made.json: not valid JSON.*deepid reproduce"):
        judge("lite", tmp_path, [CLAIM])


def test_entries_are_complete_and_distinct():
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)
    for claim in CLAIMS:
        assert claim.statement and claim.source and claim.paper and claim.null_is
        assert claim.study in {*STUDIES, *EXPERIMENTS} or claim.why, claim.name
        assert claim.unit.format(1.0)


@pytest.mark.parametrize("scale", ["lite", "reference"])
@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_every_entry_reads_its_record(claim, scale):
    """A record that exists is judged: a renamed key would turn a verdict into "not tested" without a word."""
    try:
        result = load_result(claim.study, scale)
    except DataError:
        pytest.skip(f"no {scale} result {claim.study!r} is recorded")
    assert result["scale"] == scale
    (found,) = judge(scale, claims=[claim])
    assert found.verdict != "not tested" and math.isfinite(found.ours) and math.isfinite(found.null)


def test_the_scorecard_shows_both_scales_and_why_something_is_not_tested(tmp_path):
    write(tmp_path, json.dumps({"ours": 95, "null": 70}))
    write(tmp_path, json.dumps({"ours": 85, "null": 60}), scale="reference")
    never = dataclasses.replace(CLAIM, study="nothing", why="the data need a key")
    first, second = claims.scorecard(tmp_path, [CLAIM, never]).splitlines()[2:]
    assert "95.0 %" in first and "85.0 %" in first and "60.0 %" in first and "**partly**" in first
    assert "**not tested**: the data need a key" in second


def test_judging_without_records_tests_nothing(tmp_path):
    assert {v.verdict for v in judge("reference", tmp_path)} == {"not tested"}
    assert len(claims.judge("reference", tmp_path)) == len(CLAIMS)
