"""README's table says what the records say, and its commands exist."""

import re
from pathlib import Path

from deepid_lite.results import load_result

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def row(start):
    line = next(line for line in README.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def numbers(record):
    found = record["identification"]
    return {
        "verification, Joint Bayesian": f"{record['accuracy']:.2f} ± {record['standard_error']:.2f} %",
        "verification, Hamming": f"{record['hamming']:.2f} ± {record['hamming_standard_error']:.2f} %",
        "closed-set rank-1": f"{found['rank1']:.1f} %",
        "open-set DIR": f"{found['dir_at_1_far']:.1f} %",
        "active neurons": f"{record['active_mean']:.0f} ± {record['active_std']:.0f}",
    }


def test_the_table_quotes_the_records():
    for column, record in ((2, load_result("lfw_view2")), (3, load_result("verification", "lite"))):
        for start, text in numbers(record).items():
            assert row(start)[column] == text, f"{start}: README has {row(start)[column]}, the record {text}"
        net = record["net"]
        assert row("images (people)")[column] == f"{net['images']:,} ({net['people']:,})"


def test_every_command_and_file_exists():
    root = Path(__file__).resolve().parents[2]
    for target in re.findall(r"^make (\w+)", README, re.M):
        assert re.search(rf"^{target}:", (root / "Makefile").read_text(), re.M), target
    for path in re.findall(r"\]\(([^)#:]+)\)|`([\w/]+\.\w+)`", README):
        name = path[0] or path[1]
        places = [root / name, root / "deepid_lite" / name]
        assert name.startswith("_build/") or any(place.exists() for place in places), name  # which `make book` makes
