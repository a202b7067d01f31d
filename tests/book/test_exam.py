"""The numbers in the exam's answers are computed."""

import math
from pathlib import Path

import pytest

from deepid_lite.nets.deepid import map_sizes

BOOK = Path(__file__).resolve().parents[2] / "book"
TEXT = " ".join((BOOK / "exam.md").read_text(encoding="utf-8").replace("{,}", ",").split())


def logit(accuracy):
    return math.log(accuracy / (1 - accuracy))


def test_there_are_ten_questions_with_an_answer_each():
    asked = [number for number in range(1, 20) if f"```{{admonition}} Question {number}: " in TEXT]
    assert len(asked) == TEXT.count("```{admonition} Answer :class: solution dropdown") == 10


def test_the_alarm():
    for far, tar, found in ((1e-3, 0.95, "3.7$ %"), (1e-4, 0.8, "24$ %")):
        right, false = 2 * tar, 49_998 * far
        assert f"{100 * right / (right + false):.2g}$ %" == found and found in TEXT
        assert f"{right:.1f}" in TEXT


def test_the_net():
    assert map_sizes((47, 47))[1][-1] == (3, 3)
    weights = 3 * 3 * 128 * 128
    for value in (3 * 3 * 128, weights, 16 * weights):
        assert f"{value:,}" in TEXT


def test_the_batch():
    pairs = 192 * 191 // 2
    assert f"{pairs:,} / 3000 \\approx {pairs / 3000:.0f}$" in TEXT and f"{48 * 6}$" in TEXT
    assert (pairs - 288) / 288 > 60


def test_joint_bayesian():
    rho, t = 3 / 4, 4
    for x, said in ((0, "0.41"), (4, "2.13")):
        genuine = -math.log(2 * math.pi * t * math.sqrt(1 - rho**2)) - 2 * x**2 * (1 - rho) / (2 * t * (1 - rho**2))
        impostor = -math.log(2 * math.pi * t) - 2 * x**2 / (2 * t)
        assert f"{genuine - impostor:.2f}" == said and said in TEXT


def test_two_nets_and_the_best_of_many():
    deviation = math.sqrt(210) / 2
    assert f"105 ± {deviation:.1f}" in TEXT and f"= {25 / deviation:.1f}$" in TEXT
    assert f"= {100 * math.sqrt(0.25 / 100):.0f}$ points" in TEXT and "About 65 %" in TEXT


def test_rates():
    assert f"= {512 / 2:.0f}$" in TEXT and f"\\approx {512 * 2 * 0.1 * 0.9:.0f}$" in TEXT


def test_robust():
    lost = [logit(0.987) - logit(0.892), logit(0.9517) - logit(0.7)]
    assert "9.5 and 25.2" in TEXT and f"{lost[0]:.2f} and {lost[1]:.2f}" in TEXT
    assert 95.17 - 70 == pytest.approx(25.2, abs=0.05)
