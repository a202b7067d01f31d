"""Recipes: presets, overrides and wrong entries."""

import pytest
import torch

from deepid_lite.errors import DataError
from deepid_lite.faces import regions
from deepid_lite.nets import deepid as nets
from deepid_lite.nets.recipe import Recipe, check, preset_names, read_recipe


@pytest.mark.parametrize("name", ["lite", "ablation", "reference", "paper", "celeba"])
def test_every_preset_reads(name):
    recipe = read_recipe(name)
    assert name in preset_names()
    assert recipe.region in (regions.WHOLE_FACE.name, regions.WHOLE_FACE_SQUARE.name)
    assert recipe.weight > 0 and recipe.ident > 0 and recipe.architecture == "DeepID2Plus"


def test_the_paper_preset_is_the_papers():
    paper = read_recipe("paper")
    with torch.device("meta"):
        net = nets.DeepID2Plus(**paper.net)
    assert net.config["maps"] == (128,) * 4 and net.dimension == 512 and net.heads == (1, 2, 3, 4)
    assert net.config["local"] and not net.config["batch_norm"] and net.config["dropout"] == 0.5
    assert paper.optimizer == "sgd" and paper.weight == 0.05 and paper.label_smoothing == 0
    assert paper.verification.get("margin") is None and not paper.verification.get("normalise")


def test_the_lite_net_is_small_enough_to_ship():
    lite = read_recipe("lite")
    with torch.device("meta"):
        net = nets.DeepID2Plus(**lite.net)
    assert net.heads == (1, 2, 3, 4)
    numbers = sum(p.numel() for name, p in net.named_parameters() if not name.startswith("fc.1."))
    assert 2 * numbers < 4.7e6  # bytes as fp16; Joint Bayesian needs a little room below 5 MB


def test_changes_override_fields():
    recipe = read_recipe("reference", epochs=2, lr=None, net={"maps": 8})
    assert recipe.epochs == 2 and recipe.lr == read_recipe("reference").lr and recipe.net == {"maps": 8}


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('epochs = 3\nlr = 1\n[net]\nmaps = [4, 4, 4, 4]\n[verification]\nsignal = "cosine"\n')
    assert read_recipe(path) == read_recipe(str(path))
    cosine = {"signal": "cosine"}
    assert read_recipe(path) == Recipe(epochs=3, lr=1, net={"maps": [4] * 4}, verification=cosine)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("epoch = 3", "unknown entry 'epoch'; known are architecture"),
        ('epochs = "three"', "epochs = 'three' should be of type int"),
        ("epochs = 3.5", "should be of type int"),
        ("epochs = true", "should be of type int"),
        ("net = 3", "should be of type dict"),
        ("epochs = 0", "epochs = 0"),
        ("lr = -1.0", "lr = -1.0"),
        ("lr = nan", "lr = nan"),
        ("warmup = 1.5", "warmup = 1.5"),
        ("label_smoothing = 1.0", "label_smoothing = 1.0"),
        ('optimizer = "lamb"', "adamw, sgd"),
        ('precision = "fp16"', "bf16, fp32"),
        ('architecture = "ResNet"', "DeepID, DeepID2, DeepID2Plus"),
        ("min_images = 1", "verification needs pairs"),
        ("images_per_person = 1", "verification needs pairs"),
        ("weight = 0\nident = 0", "switched off"),
        ("[net]\nwidth = 3", "unexpected keyword argument 'width'"),
        ("[net]\nmaps = [1, 2]", "four positive numbers"),
        ("[net]\ndropout = 2.0", "between 0 and 1"),
        ("[verification]\nmargin = -1.0", "positive number"),
        ("[verification]\nsignal = 'l3'", "l2, l1, cosine"),
        ("epochs = ", "not TOML"),
    ],
)
def test_wrong_entries_get_one_line(tmp_path, text, says):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=says) as error:
        read_recipe(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_files_that_are_no_recipe_get_one_line(tmp_path):
    with pytest.raises(DataError, match="no such file; presets are ablation, .*celeba, .*lite"):
        read_recipe(tmp_path / "none.toml")
    with pytest.raises(DataError, match="preset 'huge': unknown"):
        read_recipe("huge")
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not TOML"):
        read_recipe(path)


def test_check_works_on_recipes_made_in_python():
    assert check(Recipe(epochs=1)) == Recipe(epochs=1)
    with pytest.raises(DataError, match="batch_size = 0"):
        check(Recipe(batch_size=0))
