"""Who is who: folders first, then one plain rule for the names of files."""

import time

import pytest

from deepid_lite.faces.names import who_is_who


@pytest.mark.parametrize(
    ("paths", "people"),
    [
        (["Anna/1.jpg", "Ben/1.jpg"], ["Anna", "Ben"]),
        (["Anna/1.jpg", "Anna/2.jpg"], ["Anna"] * 2),  # one person, whose folder is not peeled off
        (["faces/Anna/1.jpg", "faces/Anna/2.jpg"], ["Anna"] * 2),
        (["top/Anna/1.jpg", "top/Ben/x/1.jpg"], ["Anna", "x"]),  # the innermost folder
        (["team/Ada/1.jpg", "team/Ben/1.jpg", "cover.jpg"], ["Ada", "Ben", "cover"]),
        (["train/Ada/1.jpg", "test/ada/2.jpg"], ["Ada"] * 2),  # capitals do not matter
        (["Ada/2020/1.jpg", "Ada/2021-05/1.jpg", "Ben/1.jpg"], ["Ada", "Ada", "Ben"]),  # dates are nobody
        (["faces/2001/1.jpg", "faces/0005/1.jpg"], ["2001", "0005"]),  # numbers are, where not all are dates
        (["2020/1.jpg", "2021/1.jpg"], ["2020", "2021"]),
        (["anna_1.jpg", "anna 02.jpg", "Anna(3).jpg", "ben.jpg"], ["anna", "anna", "anna", "ben"]),
        (["person1_1.jpg", "person1_2.jpg", "person2_1.jpg", "person2_2.jpg"], ["person1"] * 2 + ["person2"] * 2),
        (["top/anna_1.jpg", "top/anna-2.jpg", "top/ben.jpg"], ["anna", "anna", "ben"]),  # one folder around all
        (["top/anna_1.jpg", "top/anna-2.jpg"], ["top"] * 2),
        (["0001.jpg", "0002.jpg", "IMG_20240102_11.jpg"], ["0001", "0002", "IMG_20240102_11"]),
        (["P1000123.JPG", "P1000124.JPG"], ["P1000123", "P1000124"]),
        ([f"Urlaub {n}.jpg" for n in range(3)], [f"Urlaub {n}" for n in range(3)]),  # what all share tells nothing
        (["cafe\u0301_1.jpg", "caf\u00e9_2.jpg", "b.jpg"], ["cafe\u0301"] * 2 + ["b"]),
        (["Anna/1.jpg", "ben2.jpg", "Ben/3.jpg"], ["Anna", "ben", "ben"]),
    ],
)
def test_who_is_who(paths, people):
    assert list(who_is_who(paths).values()) == people


@pytest.mark.parametrize("stem", ["1{}_n", "_{}1", "1_{}", "(1){}x", "a {}"])
def test_names_are_guessed_in_linear_time(stem):
    start = time.process_time()
    long = stem.format(stem.format("") * 50_000)
    assert len(who_is_who([f"{long}.jpg", "10000001_10100000000000001_1000000000000000001_n.jpg"])) == 2
    assert time.process_time() - start < 5
