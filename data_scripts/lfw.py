"""Fetch, check and convert Labeled Faces in the Wild: python data_scripts/lfw.py DEST

Afterwards DEST holds lfw.tgz and lfw_protocol/, and load_faces("lfw", DEST) reads it.
Huang, Ramesh, Berg, Learned-Miller, "Labeled Faces in the Wild", UMass technical report 07-49, 2007.
"""

import hashlib
import re
import sys
import tarfile
import zlib
from pathlib import Path

from _fetch import FetchError, Remote, get_all, run, write_text
from tqdm import tqdm

# Where it comes from. scikit-learn keeps its copy on figshare. The university's host no longer serves
# downloads; "id_" asks the web archive for the bytes as they were, without a banner.
FIGSHARE = "https://ndownloader.figshare.com/files/"
UMASS = "http://vis-www.cs.umass.edu/lfw/"
ARCHIVE = "https://web.archive.org/web/2016id_/" + UMASS
FACENET = "https://raw.githubusercontent.com/davidsandberg/facenet/master/data/"
SPHEREFACE = "https://raw.githubusercontent.com/clcarwin/sphereface_pytorch/"

IMAGES = "lfw.tgz"
PAIRS = "lfw_protocol/pairs.txt"
LANDMARKS = "lfw_protocol/landmarks.txt"


def umass(name: str) -> tuple[str, str]:
    return ARCHIVE + name, UMASS + name


FILES = {
    IMAGES: Remote(
        "sha256:055f7d9c632d7370e6fb4afc7468d40f970c34a80d4c6f50ffec63f5a8d536c0",
        None,
        (FIGSHARE + "5976018", *umass("lfw.tgz")),
    ),
    PAIRS: Remote(
        "sha256:ea42330c62c92989f9d7c03237ed5d591365e89b3e649747777b70e692dc1592",
        155_335,
        (FIGSHARE + "5976006", FACENET + "pairs.txt", *umass("pairs.txt")),
    ),
    # sphereface_pytorch's data/lfw_landmark.txt; the sum is that of the list in `canonical` form
    LANDMARKS: Remote(
        "sha256:e517ec9b03232baaf10c7d5f82f0df6f500bb6cca1ead1126642cd42ff3ad039",
        1_031_679,
        (
            SPHEREFACE + "e2f11f0b0f394cf75b9f65ce8d353e4390b0948c/data/lfw_landmark.txt",
            SPHEREFACE + "master/data/lfw_landmark.txt",
        ),
    ),
    "lfw_protocol/pairsDevTrain.txt": Remote(
        "sha256:1d454dada7dfeca0e7eab6f65dc4e97a6312d44cf142207be28d688be92aabfa",
        56_579,
        (FIGSHARE + "5976012", *umass("pairsDevTrain.txt")),
        needed=False,
    ),
    "lfw_protocol/pairsDevTest.txt": Remote(
        "sha256:7cb06600ea8b2814ac26e946201cdb304296262aad67d046a16a7ec85d0ff87c",
        26_002,
        (FIGSHARE + "5976009", *umass("pairsDevTest.txt")),
        needed=False,
    ),
    "lfw_protocol/people.txt": Remote(
        "sha256:bc8fa2b7f25c895cf7efb6de4f4fc27ca8b8d1cfa63350ad8b96eae2b198d365",
        94_770,
        umass("people.txt"),
        needed=False,
    ),
    "lfw_protocol/peopleDevTrain.txt": Remote(
        "sha256:2e58df13ba4cc143189336e001cc2c195f1dfa5b29a6475c02857be353c2a2fa",
        66_403,
        umass("peopleDevTrain.txt"),
        needed=False,
    ),
    "lfw_protocol/peopleDevTest.txt": Remote(
        "sha256:c3ed1f90499473401542101a56c14c1d82396bb8218c67a356d7460601047555",
        28_334,
        umass("peopleDevTest.txt"),
        needed=False,
    ),
    "lfw_protocol/lfw-names.txt": Remote(
        "sha256:403cd39411ee297f99f69241959bd8f0496b44377711913a76ccdd8562874164",
        94_727,
        umass("lfw-names.txt"),
        needed=False,
    ),
}
EXPECTED = {"images": 13_233, "people": 5_749, "pairs": 6_000}
FRAME = 250  # width and height of an LFW image in pixels

BY_HAND = (
    "put them under these names into DEST by hand: lfw.tgz and pairs.txt from "
    f"{FIGSHARE}5976018 and {FIGSHARE}5976006, landmarks.txt from data/lfw_landmark.txt of "
    "github.com/clcarwin/sphereface_pytorch"
)
MEMBER = re.compile(r"(?:\./)?lfw/([^/]+)/(\1_\d{4}\.jpg)")


def own_copy(root: Path) -> str | None:
    """The user's repacked or unpacked images; load_faces prefers them in the same order."""
    if (root / "lfw.tar").is_file():
        return "lfw.tar"
    return "lfw" if (root / "lfw").is_dir() and not (root / IMAGES).exists() else None


def image_names(root: Path) -> tuple[str, set[str]]:
    """Which archive or folder holds the images, and their names "Name/Name_0001.jpg"."""
    source = own_copy(root) or IMAGES
    if source == "lfw":
        folder = root / source
        found = {f"{p.parent.name}/{p.name}": p for p in folder.glob("*/*.jpg")}
        for path in tqdm(found.values(), disable=None, desc="lfw", unit=" images"):
            with open(path, "rb") as file:
                check_jpeg(path, file.read(2))
        return source, set(found)
    archive = root / source
    names = set()
    try:
        with tarfile.open(archive) as tar:
            for member in tqdm(tar, disable=None, desc=archive.name, unit=" members"):
                check_member(archive, member)
                match = MEMBER.fullmatch(member.name)
                if match and member.isfile():
                    check_jpeg(f"{archive}: {member.name}", tar.extractfile(member).read(2))
                    names.add(f"{match[1]}/{match[2]}")
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise FetchError(
            f"{archive}: cannot be read ({error}; cut short, or no tar archive); delete it and run again"
        ) from None
    return source, names


def check_member(archive: Path, member: tarfile.TarInfo) -> None:
    parts = member.name.split("/")
    if member.name.startswith("/") or ".." in parts or not (member.isfile() or member.isdir()):
        raise FetchError(
            f"{archive}: member {member.name!r} is a link or points outside; "
            "this is not the official archive, delete it and run again"
        )


def check_jpeg(name, start: bytes) -> None:
    if start != b"\xff\xd8":
        raise FetchError(f"{name}: not a JPEG image (it begins with {start!r}); delete it and fetch it anew")


def check_images(root: Path, expected: dict) -> set[str]:
    source, names = image_names(root)
    people = {name.split("/")[0] for name in names}
    if len(names) != expected["images"] or len(people) != expected["people"]:
        raise FetchError(
            f"{root / source}: {len(names):,} images lfw/Name/Name_0001.jpg of {len(people):,} "
            f"people instead of {expected['images']:,} of {expected['people']:,}; take the "
            "original lfw.tgz, not a funneled or partial copy"
        )
    print(f"{source}: {len(names):,} images of {len(people):,} people")
    return names


def check_pairs(path: Path, names: set[str], expected: int) -> None:
    """Every image that pairs.txt names must be there; the file: "10 300", then Name i j or Name i Name j."""
    n_pairs = 0
    for number, line in list_lines(path)[1:]:
        words = line.split()
        if len(words) == 3:
            words = [words[0], words[1], words[0], words[2]]
        if len(words) != 4 or not (words[1].isdigit() and words[3].isdigit()):
            raise FetchError(
                f"{path}, line {number}: {line!r} is no pair (Name i j or Name i Name j); delete the file and run again"
            )
        for person, index in (words[:2], words[2:]):
            name = f"{person}/{person}_{int(index):04d}.jpg"
            if name not in names:
                raise FetchError(
                    f"{path}, line {number}: {name} is not among the images; "
                    "the images or the list are incomplete, delete the wrong one and run again"
                )
        n_pairs += 1
    if n_pairs != expected:
        raise FetchError(f"{path}: {n_pairs:,} pairs instead of {expected:,}; delete it and run again")
    print(f"{PAIRS}: {n_pairs:,} pairs, all images there")


def list_lines(path: Path) -> list[tuple[int, str]]:
    """(line number, text) of the lines that are not empty."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FetchError(f"{path}: not a text file (byte {error.start}); delete it and run again") from None
    return [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def canonical(path: Path) -> str:
    """The landmark list in the one form that the loader reads: Name/Name_0001.jpg<TAB>10 integers.

    The integers are x y of left eye, right eye, nose, left and right mouth corner in the 250 x 250 frame.
    Copies of the list differ in blanks and in a leading "lfw/"; here they become alike.
    """
    rows = []
    for number, line in list_lines(path):
        words = line.replace(",", " ").split()
        name, values = "/".join(words[0].replace("\\", "/").split("/")[-2:]), words[1:]
        good = len(values) == 10 and all(v.isdigit() and int(v) < FRAME for v in values)
        if not good or "/" not in name:
            raise FetchError(
                f"{path}, line {number}: {line.strip()!r} is not a path and 10 whole numbers "
                f"below {FRAME}; correct the line, or delete the file and run again"
            )
        rows.append("\t".join([name, *values]))
    return "\n".join(rows)


def convert_landmarks(path: Path, names: set[str], known_sum: str, check_only: bool) -> None:
    """Bring the list into canonical form and check that it has one row for every image."""
    text = canonical(path)
    seen = set()
    for number, row in enumerate(text.split("\n"), 1):
        name = row.split("\t")[0]
        if name in seen or name not in names:
            what = "comes twice" if name in seen else "is not among the images"
            raise FetchError(f"{path}, row {number}: {name} {what}; correct the row, or delete the file and run again")
        seen.add(name)
    if seen != names:
        raise FetchError(
            f"{path}: {len(names - seen):,} images have no row, first {min(names - seen)}; "
            "add them, or delete the file and run again"
        )
    if path.read_bytes() != text.encode():
        if check_only:
            raise FetchError(
                f"{path}: complete, but not yet in the form Name/Name_0001.jpg<TAB>10 integers; "
                "run without --check-only to convert it"
            )
        write_text(path, text)
        print(f"{LANDMARKS}: converted")
    known = hashlib.sha256(text.encode()).hexdigest() == known_sum.split(":")[1]
    print(f"{LANDMARKS}: {len(seen):,} rows, {'checksum right' if known else 'complete, but another list'}")


def main(argv=None, files=FILES, expected=EXPECTED) -> int:
    """Fetch, check and convert; return 0, or 2 after one line on stderr. Tests pass small sets."""

    def work(options):
        root, wanted = options.dest, dict(files)
        if own_copy(root):
            del wanted[IMAGES]  # its sum is not known; its contents are checked below
        if (root / LANDMARKS).is_file():
            del wanted[LANDMARKS]  # perhaps a variant of the list: likewise
        get_all(wanted, root, options, BY_HAND)
        names = check_images(root, expected)
        check_pairs(root / PAIRS, names, expected["pairs"])
        convert_landmarks(root / LANDMARKS, names, files[LANDMARKS].sum, options.check_only)
        print(f'ready: load_faces("lfw", "{root}")')

    return run("lfw.py", work, argv, "Fetch, check and convert Labeled Faces in the Wild (180 MB).")


if __name__ == "__main__":
    sys.exit(main())
