"""Lists and tables: what other programs write is read, what no face can be is refused with file, line and value."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import TEMPLATE
from deepid_lite.faces.tables import INDEX_LANDMARKS, parse_landmarks, read_index, read_rows, read_table

PEOPLE = ["ann", "ann", "bo"]


def points_of(number):
    random = np.random.default_rng(number)
    angle, scale = random.uniform(-0.5, 0.5), random.uniform(0.5, 3)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (TEMPLATE @ turn.T + random.uniform(50, 90, 2) + random.normal(0, 1.5 * scale, (5, 2))).round(2)


def index(separator=",", path="{}/{}.png", end="\n", number=str, **columns):
    rows = [["path", "identity", *columns, *INDEX_LANDMARKS]]
    for n, who in enumerate(PEOPLE):
        values = [number(v) for v in points_of(n).ravel()]
        rows.append([path.format(who, n), who, *(str(column[n]) for column in columns.values()), *values])
    return end.join(separator.join(row) for row in rows) + end


@pytest.mark.parametrize(
    "text",
    [
        index(end="\r\n"),
        "\ufeff" + index(),
        index(";"),
        index(";", number=lambda v: str(v).replace(".", ",")),
        index("\t"),
        index(path="{}\\{}.png"),
        index(path=".\\{}\\{}.png"),
        index(path="./{}/./{}.png"),
        "".join(f"{n - 1 if n else ''},{line}\n" for n, line in enumerate(index().splitlines())),  # as pandas writes it
        index().replace("\n", "\n\n"),
        index().replace("ann/0.png", '"ann/0.png"'),
    ],
)
def test_an_index_of_any_program_is_the_same_index(text):
    rows, points = read_index(text.encode(), "index.csv")
    assert list(rows) == ["ann/0.png", "ann/1.png", "bo/2.png"] and [r["identity"] for r in rows.values()] == PEOPLE
    for number, found in enumerate(points.values()):
        np.testing.assert_allclose(found, points_of(number))


@pytest.mark.parametrize(
    "text, told",
    [
        (index(identity2="abc").replace("identity2", "identity"), ["line 1", "two columns 'identity'"]),
        (index().replace("bo/2.png", "bo\0/2.png"), ["cannot be read as text"]),
        (index().encode("utf-16"), ["cannot be read as text"]),
        (index().replace("bo/2.png,bo", "ann\\1.png,bo"), ["line 4", "ann/1.png", "twice"]),
        (index().replace("bo/2.png,bo,", "bo/2.png,bo"), ["line 4", "11 values where 12"]),
        (index().replace("bo/2.png,", "bo/2.png,,"), ["line 4", "13 values where 12"]),
        (index().replace("bo/2.png,bo", "bo/2.png, "), ["line 4", "no identity"]),
        (index().replace("identity", "who"), ["path, identity", "who"]),
        ("path,identity\n", ["0 rows"]),
        ("", ["0 rows"]),
    ],
)
def test_a_wrong_index_is_one_line(text, told):
    with pytest.raises(DataError) as caught:
        read_index(text if isinstance(text, bytes) else text.encode(), "set: index.csv")
    line = str(caught.value)
    assert line.startswith("set: index.csv") and "\n" not in line and all(part in line for part in told), line


LAYOUTS = {
    "all x, then all y": lambda p: p.T.reshape(5, 2),
    "y before x": lambda p: p[:, ::-1],
    "right before left": lambda p: p[[1, 0, 2, 4, 3]],
    "right eye before left": lambda p: p[[1, 0, 2, 3, 4]],
    "mouth crossed": lambda p: p[[0, 1, 2, 4, 3]],
    "nose first": lambda p: p[[2, 0, 1, 3, 4]],
    "nose last": lambda p: p[[0, 1, 3, 4, 2]],
    "nose among the mouth": lambda p: p[[0, 1, 3, 2, 4]],
    "mouth first": lambda p: p[[3, 4, 2, 0, 1]],
    "parts of the width": lambda p: p / [500, 500],
    "y from below": lambda p: [0, 500] + p * [1, -1],
    "an eye unknown": lambda p: np.vstack([[0, 0], p[1:]]),
    "a mouth corner unknown": lambda p: np.vstack([p[:4], [0, 0]]),
    "the nose unknown": lambda p: np.vstack([p[:2], [0, 0], p[3:]]),
    "all the same": lambda p: p * 0 + 7,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_landmarks_in_another_layout_are_refused_with_their_line(layout):
    rows = [LAYOUTS[layout](points_of(n)).ravel().tolist() for n in range(20)]
    with pytest.raises(DataError) as caught:
        parse_landmarks(rows, [f"list.txt, line {n}" for n in range(1, 21)])
    line = str(caught.value)
    assert line.startswith("list.txt, line ") and "landmarks '" in line and "\n" not in line


@settings(max_examples=60, deadline=None)
@given(st.floats(0.1, 50), st.floats(-3.14, 3.14), st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.integers(0, 999))
def test_a_face_of_any_size_place_and_turn_is_accepted(scale, angle, x, y, seed):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shape = TEMPLATE + np.random.default_rng(seed).normal(0, 2, (5, 2))
    points = shape @ turn.T + [x, y]
    np.testing.assert_array_equal(parse_landmarks([points.ravel().tolist()], ["here"]), points[None])


def test_a_few_odd_faces_do_not_condemn_a_long_list():
    rows = [points_of(n) for n in range(300)]
    rows[5] = LAYOUTS["nose among the mouth"](rows[5])
    assert len(parse_landmarks([row.ravel() for row in rows], ["list"] * 300)) == 300
    for n in (50, 60, 70):
        rows[n] = LAYOUTS["nose among the mouth"](rows[n])
    with pytest.raises(DataError, match="line 5: "):
        parse_landmarks([row.ravel() for row in rows], [f"line {n}" for n in range(300)])


def test_rows_of_a_list_and_what_is_no_list(tmp_path):
    file = tmp_path / "list.txt"
    file.write_bytes(b"\xef\xbb\xbfa.jpg 1\r\n\r\n  b.jpg\t2 \nNA null\n")
    assert list(read_rows(file, 2)) == [
        (f"{file}, line 1", ["a.jpg", "1"]), (f"{file}, line 3", ["b.jpg", "2"]), (f"{file}, line 4", ["NA", "null"]),
    ]  # fmt: skip
    for place, told in (
        (tmp_path, "it is a folder"),
        (tmp_path / "absent", "no such file"),
        ("/dev/null", "plain file"),
    ):
        with pytest.raises(DataError, match=told):
            list(read_rows(place, 2))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.text("ab1.-/\\_", min_size=1, max_size=4), min_size=3, max_size=3), min_size=1, max_size=9))
def test_a_table_is_read_as_it_was_written(rows):
    for separator, options in ((" ", {}), ("\t", {}), (",", {"separator": ","}), (";", {"separator": ";"})):
        table = read_table("\n".join(separator.join(row) for row in rows), "here", **options)
        assert table.values.tolist() == rows and list(table.index) == list(range(1, len(rows) + 1))
