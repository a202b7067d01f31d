"""deepid attributes: what is said of a picture, and one line where it cannot be read."""

import json

import pytest
from PIL import Image

from deepid_lite.cli.pictures import attributes
from deepid_lite.errors import DataError
from deepid_lite.faces.synthetic.people import ATTRIBUTES, draw, neutral, sample_identity
from deepid_lite.papers.attributes.net import load_answers


def drawn(path, glasses):
    """A drawn person, in another size than the frame's."""
    images, _ = draw(sample_identity(20_003), neutral(1, glasses=glasses))
    Image.fromarray(images[0]).resize((256, 288)).save(path)
    return path


@pytest.fixture
def picture(tmp_path):
    return drawn(tmp_path / "face.png", 3.0)  # in sunglasses


def test_the_shipped_answers_name_the_generators_attributes():
    assert load_answers().names == list(ATTRIBUTES)


def test_a_picture_is_described(picture, tmp_path, capsys):
    attributes(picture, tmp_path / "found.json")
    said = capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())
    del found["digest"]
    assert set(found) == set(ATTRIBUTES)
    named = said.removeprefix(f"{picture}: ").strip().split(", ")
    assert {name.replace(" ", "_") for name in named} == {name for name in found if found[name] > 0}
    attributes(drawn(tmp_path / "bare.png", 0.0), tmp_path / "bare.json")
    assert found["sunglasses"] > json.loads((tmp_path / "bare.json").read_text())["sunglasses"]


@pytest.mark.parametrize(
    ("name", "content", "why"), [("none.png", None, "cannot be read"), ("text.png", b"text", "text.png")]
)
def test_what_is_no_picture_is_one_line_and_nothing_is_written(tmp_path, name, content, why):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=why) as error:
        attributes(path, tmp_path / "found.json")
    assert "\n" not in str(error.value) and not (tmp_path / "found.json").exists()


def test_grey_pictures_are_described_as_well(picture, capsys):
    Image.open(picture).convert("L").save(picture)
    attributes(picture)
    assert capsys.readouterr().out.startswith(f"{picture}: ")
