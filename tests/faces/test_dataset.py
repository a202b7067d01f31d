"""FaceSet: subsets keep what belongs together, and what does not fit together is refused."""

import numpy as np
import pytest

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import FRAME, TEMPLATE
from deepid_lite.faces.dataset import FaceSet


def one_line(caught, *parts):
    text = str(caught.value)
    assert "\n" not in text and all(part in text for part in parts), text


def small_set(**changes):
    fields = dict(
        images=np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, *FRAME, 3), np.uint8),
        labels=np.array([0, 0, 1, 2, 2, 2]),
        names=["ann", "bo", "cy"],
        landmarks=np.repeat(TEMPLATE[None], 6, 0) + np.arange(6, dtype=np.float32)[:, None, None],
        attributes={"age": np.arange(6.0)},
        paths=[f"{n}.png" for n in range(6)],
        source="drawn",
        data_hash="h",
    )
    return FaceSet(**(fields | changes))


def test_subset_renumbers_people_and_keeps_the_order():
    chosen = small_set().subset([5, 2, 4])
    assert chosen.names == ["bo", "cy"] and chosen.labels.tolist() == [1, 0, 1]
    assert chosen.images[:, 0, 0, 0].tolist() == [5, 2, 4] and chosen.paths == ["5.png", "2.png", "4.png"]
    assert chosen.landmarks[:, 0, 0].tolist() == [49, 46, 48] and chosen.attributes["age"].tolist() == [5, 2, 4]
    masked = small_set().subset(np.array([0, 0, 1, 0, 1, 1], bool))
    assert masked.paths == ["2.png", "4.png", "5.png"] and masked.data_hash != chosen.data_hash
    assert small_set().subset([-1]).paths == ["5.png"]
    assert len(small_set().subset([])) == 0 and small_set().subset([]).names == []
    assert np.shares_memory((whole := small_set()).images, whole.subset([1, 2, 3]).images)


def test_people_by_number_or_name():
    assert small_set().people([2, 0]).paths == ["0.png", "1.png", "3.png", "4.png", "5.png"]
    assert small_set().people(["bo"]).names == ["bo"]
    for wrong in ("di", 3, -1):
        with pytest.raises(DataError) as caught:
            small_set().people([wrong])
        one_line(caught, repr(wrong))


def test_sets_that_do_not_fit_together_are_refused():
    for changes, told in [
        ({"labels": np.zeros(5, int)}, "5 labels for 6"),
        ({"labels": np.full(6, 3)}, "0..2"),
        ({"labels": np.full(6, -1)}, "0..2"),
        ({"attributes": {"age": np.ones(2)}}, "2 age"),
        ({"landmarks": np.ones((7, 5, 2))}, "7 landmarks"),
        ({"paths": []}, "0 paths"),
    ]:
        with pytest.raises(DataError) as caught:
            small_set(**changes)
        one_line(caught, "drawn", told)
    for wrong in ([6], [-7], np.ones(5, bool)):
        with pytest.raises(DataError) as caught:
            small_set().subset(wrong)
        one_line(caught, "subset")
