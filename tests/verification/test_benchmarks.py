"""What a model is tested on: CFP from its folder, options that belong to a set, and everything that may be missing."""

import numpy as np
import pytest
from PIL import Image

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import TEMPLATE
from deepid_lite.faces.tables import INDEX_LANDMARKS
from deepid_lite.verification import benchmarks as testsets


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPID_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DEEPID_DATA", raising=False)


def test_cfp_is_read_from_its_folder(cfp):
    test = testsets.benchmark("cfp", cfp)
    assert test.name == "cfp" and test.lists is None and test.video is None
    assert test.facts == {"kind": "FP", "alignment": "none, pictures as they are"}
    assert len(test.faces) == 16 and test.faces.names == ["001", "002", "003", "004"]
    for number, path in enumerate(test.faces.paths):  # each picture stands at its path
        assert abs(int(test.faces.images[number].mean()) - 10 * number) <= 1, path
    assert {test.faces.paths[i].split("/")[1] for i in test.pairs.second} == {"profile"}
    frontal = testsets.benchmark("cfp", cfp / "cfp-dataset", kind="FF")
    assert {frontal.faces.paths[i].split("/")[1] for i in frontal.pairs.second} == {"frontal"}
    assert frontal.faces.data_hash == test.faces.data_hash
    first, second = (test.faces.labels[side] for side in (test.pairs.first, test.pairs.second))
    assert (first == second).tolist() == test.pairs.same.tolist()


def test_an_index_of_landmarks_aligns_cfp(cfp):
    images = cfp / "cfp-dataset/Data/Images"
    points = ",".join(map(str, (TEMPLATE / 3).ravel()))
    rows = [f"{path.relative_to(images)},{path.parts[-3]},{points}" for path in images.rglob("*.jpg")]
    (images / "index.csv").write_text("\n".join([f"path,identity,{','.join(INDEX_LANDMARKS)}", *rows]))
    test = testsets.benchmark("cfp", cfp)
    assert test.facts["alignment"] == "by index.csv" and len(test.pairs) == 8
    np.testing.assert_allclose(test.faces.landmarks[0], TEMPLATE, atol=1e-3)


def test_a_changed_picture_is_read_again(cfp):
    before = testsets.benchmark("cfp", cfp).faces.data_hash
    file = cfp / "cfp-dataset/Data/Images/001/frontal/01.jpg"
    Image.fromarray(np.full((64, 50, 3), 200, np.uint8)).save(file)
    assert testsets.benchmark("cfp", cfp).faces.data_hash != before


def test_a_cfp_folder_that_is_not_whole_is_one_line(cfp):
    (cfp / "cfp-dataset/Data/Images/002/profile/01.jpg").unlink()
    with pytest.raises(DataError, match="names 1 images that are not among the faces, the first 002/profile/01"):
        testsets.benchmark("cfp", cfp)
    with pytest.raises(DataError, match="no folder Protocol there"):
        testsets.benchmark("cfp", cfp / "cfp-dataset/Data")
    (cfp / "cfp-dataset/Data").rename(cfp / "away")
    with pytest.raises(DataError, match="no Data/Images beside Protocol"):
        testsets.benchmark("cfp", cfp)
    with pytest.raises(DataError, match="DEEPID_DATA"):
        testsets.benchmark("cfp")


@pytest.mark.parametrize(
    ("data", "option"),
    [
        ("lfw", {"kind": "FF"}),
        ("cfp", {"pairs": "pairs.txt"}),
        ("ytf", {"errata": "errata.txt"}),
        ("synthetic", {"frames": 3}),
        ("synthetic", {"corrected": True}),
    ],
)
def test_an_option_of_another_set_is_refused(data, option):
    with pytest.raises(DataError, match=f"{next(iter(option))}: no option of the test set '{data}'"):
        testsets.benchmark(data, **option)
