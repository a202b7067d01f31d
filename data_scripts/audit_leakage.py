"""Who of the web faces may be in LFW? Writes contact sheets for a person to look at; see _leakage.py.

    python data_scripts/audit_leakage.py OUT --model runs/reference/model.safetensors [--root DATA]

OUT receives near-duplicate photographs, the 200 pairs of people who look most alike of those sources that name nobody
(Families in the Wild, CelebA), and the ten nearest people to each of the five most photographed of LFW, as PNG sheets
with a JSON list. They show photographs: keep them to yourself.
Identities that are found on both sides belong into deepid_lite/presets/flagged.txt, with their family.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from _leakage import joint_bayesian_space, near_duplicates, nearest_people
from PIL import Image, ImageDraw

from deepid_lite.errors import DataError
from deepid_lite.faces.loading import load_faces
from deepid_lite.faces.splits import flagged_people
from deepid_lite.verification.model import face_features, pretrained

COLUMNS, CELL = 8, (180, 116)
NAMELESS = ("fiw", "celeba")  # identities of these are numbers, so nobody could be left out by name


def sheet(pairs, web, lfw, path):
    """One PNG of up to 80 pairs (web image, LFW image, value): side by side, with their names."""
    rows = -(-len(pairs) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * CELL[0], max(rows, 1) * CELL[1]), "white")
    draw = ImageDraw.Draw(page)
    for n, (i, j, value) in enumerate(pairs):
        x, y = n % COLUMNS * CELL[0], n // COLUMNS * CELL[1]
        page.paste(Image.fromarray(np.asarray(web.images[i])).resize((86, 96)), (x, y))
        page.paste(Image.fromarray(np.asarray(lfw.images[j])).resize((86, 96)), (x + 87, y))
        draw.text((x, y + 96), f"{n} {web.names[web.labels[i]][-17:]} {value:.2f}", fill="black")
        draw.text((x, y + 105), lfw.names[lfw.labels[j]][:26], fill="black")
    page.save(path)


def closest_images(people, web, lfw, web_space, lfw_space):
    """For pairs of people (a, b, value), their two most alike images: (i, j, value)."""
    found = []
    for a, b, value in people:
        rows, columns = np.flatnonzero(web.labels == a), np.flatnonzero(lfw.labels == b)
        alike = web_space[rows] @ lfw_space[columns].T
        i, j = np.unravel_index(alike.argmax(), alike.shape)
        found.append((rows[i], columns[j], value))
    return found


def audit(out, model, root):
    out.mkdir(parents=True, exist_ok=True)
    web, lfw = load_faces("webfaces", root), load_faces("lfw", root)
    web = web.subset(~np.isin(np.array(web.names)[web.labels], list(flagged_people())))
    copies = list(zip(*near_duplicates(web.images, lfw.images), strict=True))
    spaces = [
        joint_bayesian_space(model, face_features(model, faces.images, precision="bf16", progress=True))
        for faces in (web, lfw)
    ]
    alike = list(zip(*nearest_people((spaces[0], web.labels), (spaces[1], lfw.labels), 20_000), strict=True))
    nameless = {name: [pair for pair in alike if web.names[pair[0]].startswith(f"{name}-")][:200] for name in NAMELESS}
    famous = np.argsort(-np.bincount(lfw.labels))[:5]
    around = [pair for person in famous for pair in [p for p in alike if p[1] == person][:10]]
    lists = {
        "near_duplicates": copies[:80],
        **{name: closest_images(people, web, lfw, *spaces) for name, people in nameless.items()},
        "most_photographed": closest_images(around, web, lfw, *spaces),
    }
    for name, pairs in lists.items():
        for part in range(0, len(pairs), 56):
            sheet(pairs[part : part + 56], web, lfw, out / f"{name}_{part // 56}.png")
    names = {
        name: [[web.names[web.labels[i]], lfw.paths[j], round(float(v), 3)] for i, j, v in pairs]
        for name, pairs in lists.items()
    }
    (out / "pairs.json").write_text(json.dumps({"copies": len(copies)} | names, indent=1))
    people = sum(map(len, nameless.values()))
    print(f"{out}: {len(copies)} near-duplicates, {people} pairs of people; look at the sheets one by one")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="webfaces", help="webfaces or a model.safetensors file")
    parser.add_argument("--root", type=Path, help="folder with webfaces.tar and lfw.tar; default: DEEPID_DATA")
    options = parser.parse_args(argv)
    try:
        audit(options.out, pretrained(options.model), options.root)
    except DataError as error:
        print(f"audit_leakage: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
