"""Fetch and check CelebA, as far as its hosts allow: python data_scripts/celeba.py DEST

Afterwards DEST holds img_align_celeba.zip and four lists, and load_faces("celeba", DEST) reads them.
Liu, Luo, Wang, Tang, "Deep Learning Face Attributes in the Wild", ICCV 2015. Non-commercial research only.
"""

import os
import re
import sys
import zipfile
import zlib
from pathlib import Path

from _fetch import FetchError, Remote, get_all, run
from tqdm import tqdm

# The authors' own files on Google Drive (torchvision uses the same identifiers). Drive often refuses for a
# used-up quota; no second host is known to have the same bytes, so the script says what to fetch by hand.
DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="
PAGE = "http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"

IMAGES = "img_align_celeba.zip"
FILES = {
    "identity_CelebA.txt": Remote(
        "sha256:c6143857c3e2630ac2da9f782e9c1232e5e59be993a9d44e8a7916c78a6158c0",
        3_424_458,
        (DRIVE + "1_ee_0u7vcNLOfNLegJRHmolfH5ICW-XS",),
    ),
    "list_eval_partition.txt": Remote(
        "sha256:fc955bcb3ef8fbdf7d5640d9a8693a8431b5f2ee291a5c1449a1549e7e073fe7",
        2_836_386,
        (DRIVE + "0B7EVK8r0v71pY0NSMzRuSXJEVkk",),
    ),
    "list_landmarks_align_celeba.txt": Remote(
        "sha256:6c02a87569907f6db2ba99019085697596730e8129f67a3d61659f198c48d43b",
        12_156_055,
        (DRIVE + "0B7EVK8r0v71pd0FJY3Blby1HUTQ",),
    ),
    "list_attr_celeba.txt": Remote(
        "sha256:f0e5da289d5ccf75ffe8811132694922b60f2af59256ed362afa03fefba324d0",
        26_721_026,
        (DRIVE + "0B7EVK8r0v71pblRyaVFSWGxPY0U",),
    ),
    IMAGES: Remote(
        "sha256:46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74",
        1_443_490_838,
        (DRIVE + "0B7EVK8r0v71pZjFTYXZWM3FlRnM",),
    ),
}
EXPECTED = {"images": 202_599, "people": 10_177, "parts": (162_770, 19_867, 19_962)}

BY_HAND = (
    f"download them in a browser from the Google Drive folder that {PAGE} names, Img/, Anno/ and "
    "Eval/ (for the images also kaggle.com/datasets/jessicali9530/celeba-dataset, unpacked as "
    "DEST/img_align_celeba/000001.jpg), put them into DEST"
)
AGAIN = "delete the file, fetch it anew and run again"


def located(root: Path, name: str) -> str:
    """The name under which a file is in ROOT: straight in it, or where the authors' own folders have it."""
    places = (sub + name for sub in ("", "Img/", "Anno/", "Eval/"))
    return next((place for place in places if (root / place).exists()), name)


def image_names(root: Path) -> tuple[str, set[str]]:
    """Names "000001.jpg" of the images in img_align_celeba/ or, without that folder, in the zip."""
    folder = root / located(root, "img_align_celeba")
    if folder.is_dir():
        entries = [e for e in os.scandir(folder) if e.name.endswith(".jpg")]
        empty = [e.name for e in entries if e.stat().st_size == 0]
        if empty:
            raise FetchError(f"{folder}: {len(empty):,} empty images, first {min(empty)}; unpack it again")
        return "img_align_celeba/", {e.name for e in entries}
    path = root / located(root, IMAGES)
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [i for i in archive.infolist() if not i.is_dir()]
    except (zipfile.BadZipFile, zlib.error) as error:
        raise FetchError(f"{path}: cannot be read as a zip ({error}); {AGAIN}") from None
    for info in infos:
        if not re.fullmatch(r"img_align_celeba/\d{6}\.jpg", info.filename) or info.file_size == 0:
            raise FetchError(
                f"{path}: member {info.filename!r} of {info.file_size} bytes is no img_align_celeba/000001.jpg; {AGAIN}"
            )
    return IMAGES, {Path(i.filename).name for i in infos}


def read_list(path: Path, header_lines: int, n_values: int, allowed: set[str] | None) -> dict[str, list[str]]:
    """One list of CelebA: file name -> its n_values whole numbers, as text, after the header lines."""
    form = f"a new file name and {n_values} {'/'.join(sorted(allowed)) if allowed else 'whole numbers'}"
    rows = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(tqdm(file, disable=None, desc=path.name, unit=" lines"), 1):
            if number <= header_lines or not line.strip():
                continue
            name, *values = line.split()
            good = all(v in allowed if allowed else v.removeprefix("-").isdigit() for v in values)
            if not good or len(values) != n_values or name in rows:
                raise FetchError(f"{path}, line {number}: {line.strip()[:80]!r} is not {form}; {AGAIN}")
            rows[name] = values
    return rows


def check_contents(root: Path, expected: dict) -> None:
    """Images, identities, parts, landmarks and attributes must speak of the same, known number of files."""
    source, names = image_names(root)
    if len(names) != expected["images"]:
        raise FetchError(
            f"{root / source}: {len(names):,} images instead of {expected['images']:,}; unpack or fetch it again"
        )
    print(f"{source}: {len(names):,} images")
    lists = {
        "identity_CelebA.txt": (0, 1, None),
        "list_eval_partition.txt": (0, 1, {"0", "1", "2"}),
        "list_landmarks_align_celeba.txt": (2, 10, None),
        "list_attr_celeba.txt": (2, 40, {"-1", "1"}),
    }
    rows = {}
    for name, form in lists.items():
        path = root / located(root, name)
        rows[name] = read_list(path, *form)
        odd = names ^ rows[name].keys()
        if odd:
            raise FetchError(
                f"{path}: {len(odd):,} images are only here or only in {source}, first {min(odd)}; {AGAIN}"
            )
        print(f"{name}: {len(rows[name]):,} rows")
    people = {value[0] for value in rows["identity_CelebA.txt"].values()}
    parts = [value[0] for value in rows["list_eval_partition.txt"].values()]
    parts = tuple(parts.count(part) for part in "012")
    if len(people) != expected["people"] or parts != tuple(expected["parts"]):
        raise FetchError(
            f"{root}: {len(people):,} people in parts of {parts} images instead of "
            f"{expected['people']:,} in {tuple(expected['parts'])}; delete identity_CelebA.txt "
            "and list_eval_partition.txt and run again"
        )
    print(f"{len(people):,} people; train, val, test: {', '.join(f'{p:,}' for p in parts)} images")


def main(argv=None, files=FILES, expected=EXPECTED) -> int:
    """Fetch and check; return 0, or 2 after one line on stderr. Tests pass small sets."""

    def work(options):
        root = options.dest
        wanted = {located(root, name): remote for name, remote in files.items()}
        if (root / located(root, "img_align_celeba")).is_dir():
            del wanted[located(root, IMAGES)]  # unpacked, perhaps from a mirror with another packing
        get_all(wanted, root, options, BY_HAND)
        check_contents(root, expected)
        print(f'ready: load_faces("celeba", "{options.dest}")')

    return run("celeba.py", work, argv, "Fetch and check CelebA's aligned images and lists (1.5 GB).")


if __name__ == "__main__":
    sys.exit(main())
