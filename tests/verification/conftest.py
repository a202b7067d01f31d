"""Benchmarks in their official layouts, written small."""

import numpy as np
import pytest
from PIL import Image
from ytf_splits import splits


@pytest.fixture
def cfp(tmp_path):
    """Four people with two frontal and two profile pictures, and two folds of pairs, as CFP lays them out."""
    root = tmp_path / "cfp-dataset"
    paths = [f"{p:03d}/{kind}/{i:02d}.jpg" for p in range(1, 5) for kind in ("frontal", "profile") for i in (1, 2)]
    for number, path in enumerate(paths):
        file = root / "Data/Images" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((60, 50, 3), 10 * number, np.uint8)).save(file)
    for letter, kind in (("F", "frontal"), ("P", "profile")):
        mine = [path for path in paths if kind in path]
        for fold in ("01", "02"):
            (root / f"Protocol/Split/F{letter}" / fold).mkdir(parents=True)
            (root / f"Protocol/Split/F{letter}" / fold / "same.txt").write_text("1,2\n3,4\n")
            (root / f"Protocol/Split/F{letter}" / fold / "diff.txt").write_text("1,4\n2,3\n")
        rows = [f"{i} ../Data/Images/{path}" for i, path in enumerate(mine, 1)]
        (root / "Protocol" / f"Pair_list_{letter}.txt").write_text("\n".join(rows))
    return tmp_path


@pytest.fixture
def ytf(tmp_path):
    """Five people, two videos each of 3 to 12 frames, numbers that do not sort as text; a mark shows the frame."""
    rng = np.random.default_rng(0)
    for person in range(5):
        rows = []
        for video in range(2):
            for name in ("aligned_images_DB", "frame_images_DB"):
                (tmp_path / name / f"p{person}" / str(video)).mkdir(parents=True)
            for frame in range(95, 98 + 2 * person + video):
                pixels = Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8))
                pixels.save(tmp_path / f"aligned_images_DB/p{person}/{video}/aligned_detect_{video}.{frame}.jpg")
                pixels.resize((100, 80)).save(tmp_path / f"frame_images_DB/p{person}/{video}/{video}.{frame}.jpg")
                rows.append(f"p{person}\\{video}\\{video}.{frame}.jpg,0,{40 + frame - 95},35,20,20,0.0,1")
        (tmp_path / f"frame_images_DB/p{person}.labeled_faces.txt").write_text("\n".join(rows) + "\n")
    published, corrected = splits(changed={3, 4})
    (tmp_path / "splits.txt").write_text(published)
    (tmp_path / "splits_corrected.txt").write_text(corrected)
    return tmp_path
