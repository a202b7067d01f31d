"""deepid attributes, deepid locate: what is said of a picture, and one line where it cannot be read."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from deepid_lite.cli.pictures import attributes, locate
from deepid_lite.errors import DataError
from deepid_lite.faces.pictures import overlap
from deepid_lite.faces.synthetic.people import ATTRIBUTES, draw, neutral, sample_identity
from deepid_lite.papers.attributes.net import load_answers
from deepid_lite.papers.localisation.net import load_locator
from deepid_lite.papers.localisation.scenes import SIDE, make_clutter, make_scenes


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


@pytest.mark.parametrize("command", [attributes, locate])
@pytest.mark.parametrize(
    ("name", "content", "why"), [("none.png", None, "no such file"), ("text.png", b"text", "text.png")]
)
def test_what_is_no_picture_is_one_line_and_nothing_is_written(tmp_path, name, content, why, command):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=why) as error:
        command(path, tmp_path / "found.json")
    assert "\n" not in str(error.value) and not (tmp_path / "found.json").exists()


@pytest.mark.parametrize(("command", "size"), [(attributes, (8, 9)), (attributes, (600, 100)), (locate, (900, 100))])
def test_what_cannot_show_a_face_is_one_line(tmp_path, command, size):
    path = tmp_path / "strip.png"
    Image.new("RGB", size).save(path)
    with pytest.raises(DataError, match=f"strip.png: {size[0]} x {size[1]} pixels") as error:
        command(path, tmp_path / "found.json")
    assert "\n" not in str(error.value) and not (tmp_path / "found.json").exists()


def test_grey_pictures_are_described_as_well(picture, capsys):
    Image.open(picture).convert("L").save(picture)
    attributes(picture)
    assert capsys.readouterr().out.startswith(f"{picture}: ")


@pytest.fixture(scope="module")
def scenes():
    """Enlarged scenes with a face that the shipped net finds, and true boxes in their pixels."""
    found = make_scenes(12, 1, 1, "test")
    there = load_locator()(found.images)[1]
    return found.images[there].repeat(4, 1).repeat(4, 2), 4 * found.boxes[there]


def test_a_face_is_located_in_pixels(scenes, tmp_path, capsys):
    found = []
    for n, image in enumerate(scenes[0]):
        path = tmp_path / f"{n}.png"
        Image.fromarray(image).save(path)
        locate(path, tmp_path / "found.json")
        box = json.loads((tmp_path / "found.json").read_text())
        said = capsys.readouterr().out
        assert said.startswith(f"{path}: a face {box['x']} from the left, {box['y']} from the top")
        found.append([box[name] for name in "xywh"])
    found = np.array(found)
    assert (found[:, :2] >= 0).all() and (found[:, :2] + found[:, 2:] <= 4 * SIDE).all() and (found[:, 2:] > 0).all()
    assert (overlap(found, scenes[1]) >= 0.5).mean() > 0.5


def test_a_picture_without_a_face_is_one_line_and_nothing_is_written(tmp_path):
    empty = make_clutter(20, 3).images
    image = empty[np.flatnonzero(~load_locator()(empty)[1])[0]]
    Image.fromarray(image).save(tmp_path / "empty.png")
    with pytest.raises(DataError, match="empty.png: no face found") as error:
        locate(tmp_path / "empty.png", tmp_path / "found.json")
    assert "\n" not in str(error.value) and not (tmp_path / "found.json").exists()


def test_the_command_line_knows_locate(scenes, tmp_path):
    """As a user runs it, in a process of its own."""
    Image.fromarray(scenes[0][0]).save(tmp_path / "face.png")
    done = subprocess.run(
        [sys.executable, "-m", "deepid_lite", "locate", str(tmp_path / "face.png"), "--json", "-"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(json.loads(done.stdout)) == {"x", "y", "w", "h", "digest"}
    failed = subprocess.run(
        [sys.executable, "-m", "deepid_lite", "locate", str(tmp_path / "none.png")], capture_output=True, text=True
    )
    assert failed.returncode == 2 and failed.stderr.count("\n") == 1 and "no such file" in failed.stderr
