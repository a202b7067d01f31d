"""`deepid regions` as a user types it: list, draw, select."""

import json

import pytest
from typer.testing import CliRunner

from deepid_lite.cli.regions import regions_app
from deepid_lite.errors import DataError
from deepid_lite.verification import ensemble


def regions(*words):
    done = CliRunner().invoke(regions_app, [str(word) for word in words])
    if isinstance(done.exception, DataError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def test_listing():
    listed = regions("list")
    assert len(listed) == 26 and listed[1].startswith("whole face ") and listed[1].endswith("55 x 47")
    assert len(regions("list", "--pool")) > 100


def test_drawing(tmp_path):
    assert regions("draw", tmp_path / "r.png", "--regions", "3") == [str(tmp_path / "r.png")]
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    regions("draw", tmp_path / "new" / "r.png", "--regions", "1")
    assert (tmp_path / "new" / "r.png").is_file()
    for name, reason in (("r.png/r.png", "cannot be written"), ("r.bmp", "ends in .png")):
        with pytest.raises(DataError, match=reason):
            regions("draw", tmp_path / name, "--regions", "1")
    with pytest.raises(DataError, match="region 'ear'"):
        regions("draw", tmp_path / "r.png", "--regions", "ear")


def test_selecting_among_trained_nets(loaded, trained, parts, tmp_path, monkeypatch):
    out = tmp_path / "steps.json"
    said = regions("select", trained, "--count", 2, "--data", "blobs", "--json", out)
    found = json.loads(out.read_text())
    assert said[-1] == f"chosen: {', '.join(found['chosen'])}" and len(found["chosen"]) <= 2
    assert list(found["alone"]) == ensemble.load_ensemble(trained).names
    assert found["steps"][0]["accuracy"] == max(found["alone"].values())
    assert found["data_hash"] == parts[1].data_hash
    said = json.loads("\n".join(regions("select", trained, "--count", 2, "--data", "blobs", "--json", "-")))
    assert said["chosen"] == found["chosen"]
    with pytest.raises(DataError, match="no <region>/model.safetensors"):
        regions("select", tmp_path)
