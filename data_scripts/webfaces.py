"""Join archives of aligned web faces into one training set that knows CelebA's own parts.

    python data_scripts/webfaces.py DATA/webfaces.tar ARCHIVE... --lists FOLDER

Each ARCHIVE is a tar or folder with an index.csv (path, identity, source, ...). FOLDER holds CelebA's
identity_CelebA.txt and list_eval_partition.txt, which name the people `celeba-<number>` and, as `original`, the images
whose `source` begins with celeba. The joined index has one column more, `part`: 0, 1, 2 for people of CelebA's train,
validation and test part, empty for all others; deepid_lite.faces.splits.hold_out goes by it.
"""

import argparse
import csv
import io
import sys
import tarfile
from pathlib import Path

from deepid_lite.cli.checks import check_output
from deepid_lite.errors import DataError
from deepid_lite.faces.images import open_files
from deepid_lite.faces.tables import read_index, read_rows
from deepid_lite.files import replacing

PREFIX = "celeba-"  # of an identity: celeba-2880 is person 2880 of CelebA


def celeba_parts(folder):
    """({image: part}, {image: person}, {person: part}) from CelebA's lists; a person in two parts is refused."""
    part_of = {image: part for _, (image, part) in read_rows(folder / "list_eval_partition.txt", columns=2)}
    person_of, people = {}, {}
    for where, (image, person) in read_rows(folder / "identity_CelebA.txt", columns=2):
        part, person_of[image] = part_of.get(image), person
        if part not in ("0", "1", "2") or people.setdefault(person, part) != part:
            raise DataError(f"{where}: {image} of person {person} is in no part or in a second; fetch the lists again")
    return part_of, person_of, people


def add_parts(rows, folder):
    """Give each row its `part`: the last of all parts that its person has to do with.

    An identity may stand for two of CelebA's, or for one and somebody from the web, merged because they share a
    photograph. Then every image and both numbers count: whoever is in the validation or test part by any is held out.
    A person of whom all images are CelebA's gets CelebA's number.
    """
    part_of, person_of, people = celeba_parts(folder)
    ours = {row["identity"] for row in rows if not _of_celeba(row)}
    last = {}
    for row in rows:
        try:
            if _of_celeba(row) and row["identity"] not in ours and not row["identity"].startswith(PREFIX):
                row["identity"] = PREFIX + person_of[row["original"]]
            person, known = row["identity"], []
            if person.startswith(PREFIX):
                known.append(people[person.removeprefix(PREFIX)])
            if _of_celeba(row):
                known.append(part_of[row["original"]])
        except KeyError as error:
            raise DataError(f"{row['path']}: CelebA's lists do not know {error}; mend the row") from None
        last[person] = max([*known, last.get(person, "")])
    return [row | {"part": last[row["identity"]]} for row in rows]


def _of_celeba(row):
    return row.get("source", "").startswith("celeba")


def join(out, archives, lists):
    """Write the tar `out`; returns its rows. The same input gives the same bytes."""
    sets, rows = [open_files(archive) for archive in archives], {}
    for files in sets:
        index = next((name for name in files.names if name.rsplit("/", 1)[-1] == "index.csv"), None)
        if index is None:
            raise DataError(f"{files.root}: no index.csv; give archives of web faces")
        found, _ = read_index(files.read_one(index), f"{files.root}: {index}")
        if twice := found.keys() & rows.keys():
            raise DataError(f"{files.root}: {min(twice)} is in an earlier archive too; rename one of them")
        prefix = index.removesuffix("index.csv")
        rows |= {path: row | {"member": prefix + path, "archive": files} for path, row in found.items()}
    listed = add_parts(list(rows.values()), Path(lists))
    columns = [name for name in listed[0] if name not in ("member", "archive")]
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    check_output(out, *archives)
    with replacing(out) as part, tarfile.open(part, "w") as tar:
        _add(tar, "webfaces/index.csv", table.getvalue().encode())
        for files in sets:
            wanted = {row["member"]: path for path, row in rows.items() if row["archive"] is files}
            for member, data in files.read(wanted):
                if isinstance(data, str):  # why it cannot be had
                    raise DataError(f"{files.root}: {member}: {data}")
                _add(tar, f"webfaces/{wanted[member]}", data)
    return listed


def _add(tar, name, data):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def main(argv=None):
    parser = argparse.ArgumentParser(prog="webfaces.py", description="Join archives of web faces.")
    parser.add_argument("out", metavar="DATA/webfaces.tar", type=Path)
    parser.add_argument("archives", metavar="ARCHIVE", nargs="+", type=Path)
    parser.add_argument("--lists", required=True, type=Path, help="folder of CelebA's identity and partition lists")
    options = parser.parse_args(argv)
    try:
        rows = join(options.out, options.archives, options.lists)
    except (DataError, OSError) as error:
        print(f"webfaces.py: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    for part, name in {"": "no part", "0": "train", "1": "validation", "2": "test"}.items():
        people = [row["identity"] for row in rows if row["part"] == part]
        print(f"{name}: {len(people):,} images of {len(set(people)):,} people")
    return 0


if __name__ == "__main__":
    sys.exit(main())
