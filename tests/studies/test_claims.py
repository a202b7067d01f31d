"""Claims: a verdict follows from two questions and from nothing else, and every entry reads its record."""

import dataclasses
import json
import math

import pytest

from deepid_lite.errors import DataError
from deepid_lite.results import load_result, recorded, sealed
from deepid_lite.studies import claims
from deepid_lite.studies.ablation_list import EXPERIMENTS
from deepid_lite.studies.claims import as_text, judge, paper_claims, verdict_of

CLAIMS = paper_claims()
CLAIM = dataclasses.replace(
    CLAIMS[0], study="made", ours=lambda r: r["ours"], comparison=lambda r: r["other"], at_least=90, margin=10
)
RECORDED = [(c, scale) for c in CLAIMS for scale in ("lite", "reference") if recorded(c.study, scale).is_file()]


@pytest.mark.parametrize(
    ("ours", "other", "verdict"),
    [
        (95, 70, "replicated"),
        (95, 94, "partly"),  # it holds, and so it does of the null
        (85, 60, "partly"),  # it beats the null and does not reach the paper
        (85, 84, "not replicated"),
    ],
)
def test_verdict_follows_from_two_questions(ours, other, verdict):
    assert verdict_of(CLAIM, ours, other) == verdict


def write(folder, content, scale="lite", place="made.json"):
    path = folder / scale / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(sealed({"scale": scale} | content)))


def test_results_are_read_from_a_folder_of_reproduce(tmp_path):
    write(tmp_path, {"ours": 95.04, "other": 70})
    (found,) = judge("lite", tmp_path, [CLAIM])
    assert (found.ours, found.comparison, found.verdict, found.scale) == (95.04, 70, "replicated", "lite")
    text = as_text([found])
    assert text.startswith("REPLICATED") and f"rule: {CLAIM.rule()}" in text
    assert "lite 95.0 %; baseline 70.0 %" in text


def test_results_of_an_ablation_are_read_where_reproduce_puts_them(tmp_path):
    write(tmp_path, {"ours": 85, "other": 70}, place="made/result.json")
    assert judge("lite", tmp_path, [CLAIM])[0].verdict == "partly"


def test_a_study_that_nobody_ran_is_not_tested_and_the_reason_is_told(tmp_path):
    write(tmp_path, {"ours": 95, "other": 70})
    never = dataclasses.replace(CLAIM, study="nothing", why="the data need a key")
    first, second, third = judge("lite", tmp_path, [CLAIM, never, dataclasses.replace(never, why="")])
    assert first.verdict == "replicated" and second.verdict == third.verdict == "not tested"
    assert (second.ours, second.comparison) == (None, None)
    assert "the data need a key" in as_text([second]) and "no lite result 'nothing'" in as_text([third])


@pytest.mark.parametrize("make", [None, "folder", "file", "other scale"])
def test_a_folder_without_results_is_one_line(tmp_path, make):
    place = tmp_path / "there"
    if make == "file":
        place.write_text("")
    elif make == "other scale":
        write(place, {"ours": 95, "other": 70}, scale="reference")
    elif make:
        (place / "lite").mkdir(parents=True)
    with pytest.raises(DataError, match="there.lite: no results there; give the --out"):
        judge("lite", place, [CLAIM])
    with pytest.raises(DataError, match="no results there"):
        judge("lite", place)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"ours": ', "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"ours": ' + "1" * 5000 + "}", "not valid JSON"),
        ("[]", "holds a list"),
        ({"ours": 95}, "KeyError: 'other'"),
        ({"ours": "95", "other": 70}, "TypeError"),
        ({"ours": True, "other": 70}, "True is no number"),
        ({"ours": None, "other": 70}, "TypeError"),
        ({"ours": [95], "other": 70}, "TypeError"),
        ('{"scale": "lite", "ours": NaN, "other": 70}', "not as it was recorded"),
        ({"ours": 95, "other": 70, "scale": "reference"}, "its scale is 'reference'"),
    ],
)
def test_a_record_that_cannot_be_judged_is_one_line_and_never_not_tested(tmp_path, content, says):
    write(tmp_path, content)
    with pytest.raises(DataError, match="made.json: ") as caught:
        judge("lite", tmp_path, [CLAIM])
    assert says in str(caught.value) and "deepid reproduce" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("claim, scale", RECORDED, ids=lambda v: getattr(v, "name", v))
def test_records_of_which_a_part_is_gone_are_one_line(tmp_path, claim, scale):
    """Every list is emptied and every number is a text: what is read then is no number."""

    def emptied(value):
        if isinstance(value, dict):
            return {key: emptied(entry) for key, entry in value.items()}
        return [] if isinstance(value, list) else value if isinstance(value, str) else "no number"

    record = load_result(claim.study, scale)
    for broken in (emptied(record), dict.fromkeys(record), {}):
        write(tmp_path, broken | {"scale": scale}, scale, f"{claim.study}.json")
        with pytest.raises(DataError, match=f"{claim.study}.json: .*cannot be read from it"):
            judge(scale, tmp_path, [claim])


def test_entries_are_complete_and_distinct():
    assert [claim.row for claim in CLAIMS] == list(range(1, len(CLAIMS) + 1))
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS) == len({claim.statement for claim in CLAIMS})
    from deepid_lite.registry import STUDIES

    for claim in CLAIMS:
        assert claim.statement and claim.source and claim.paper and claim.against
        assert claim.kind in ("null", "baseline", "chance")
        assert sum(bar is not None for bar in (claim.at_least, claim.at_most, claim.between)) == 1, claim.name
        assert claim.study in {*STUDIES, *EXPERIMENTS} or claim.why, claim.name
        assert claim.unit.format(1.0) and claim.against in claim.rule()


@pytest.mark.parametrize("claim, scale", RECORDED, ids=lambda v: getattr(v, "name", v))
def test_every_entry_reads_its_record(claim, scale):
    assert load_result(claim.study, scale)["scale"] == scale
    (found,) = judge(scale, claims=[claim])
    assert found.verdict != "not tested" and math.isfinite(found.ours) and math.isfinite(found.comparison)


def test_the_scorecard_shows_both_scales_and_why_something_is_not_tested(tmp_path):
    write(tmp_path, {"ours": 95, "other": 70})
    write(tmp_path, {"ours": 85, "other": 60}, scale="reference")
    never = dataclasses.replace(CLAIM, study="nothing", why="the data need a key")
    first, second = claims.scorecard(tmp_path, [CLAIM, never]).splitlines()[2:]
    assert "95.0 %" in first and "85.0 %" in first and "60.0 %" in first and "**partly**" in first
    assert "**not tested**: the data need a key" in second
