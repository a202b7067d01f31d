"""`deepid search`: build a gallery of faces, add to it, ask who looks like a face, hand its codes to other programs."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from deepid_lite.errors import DataError

search_app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Find a face among many by the binary codes of its features: build a gallery, then query it.",
)

Folder = Annotated[Path, typer.Argument(metavar="GALLERY", help="folder of the gallery")]
Faces = Annotated[
    str | None,
    typer.Option(
        "--faces", help="a folder or archive of identity/image files, or the name of a data set as in `deepid data`"
    ),
]
Part = Annotated[str | None, typer.Option("--part", help="of synthetic or celeba, as in `deepid data`")]
Features = Annotated[
    Path | None,
    typer.Option(
        "--features", help=".npz with features (N, D) of picture and mirror side by side, and names (N,) if known"
    ),
]
Model = Annotated[str | None, typer.Option("--model", help="default: the model that the gallery was built with")]


@search_app.command()
def build(
    gallery: Folder,
    faces: Faces = None,
    part: Part = None,
    features: Features = None,
    model: Annotated[str, typer.Option(help="lite, webfaces, or a model.safetensors that train wrote")] = "lite",
    picture_only: Annotated[
        bool, typer.Option("--picture-only", help="codes of the picture without its mirror image: half the bytes")
    ] = False,
    keep_features: Annotated[
        bool, typer.Option("--keep-features", help="keep the real features too, for `query --rerank`")
    ] = False,
):
    """Make a new GALLERY of the faces in a folder, or of saved features."""
    from deepid_lite.neurons.gallery import Gallery

    net, digest = _model(model)
    found, names = _features(net, digest, faces=faces, part=part, file=features)
    width = found.shape[1]
    bits = width // 2 if picture_only else width
    if Path(model).suffix == ".safetensors":
        model = str(Path(model).resolve())  # so that `query` finds it from any folder
    held_out = width if keep_features else 0
    made = Gallery.create(gallery, bits, model, digest, held_out, mirror=not picture_only, neurons=width // 2)
    _report(made.append(_packed(made, found), names, found if keep_features else None))


@search_app.command()
def add(gallery: Folder, faces: Faces = None, part: Part = None, features: Features = None, model: Model = None):
    """Add faces to a GALLERY; several processes may do so at once."""
    opened, net, digest = _open(gallery, model)
    found, names = _features(net, digest, faces=faces, part=part, file=features)
    _report(opened.append(_packed(opened, found), names, found if opened.header["features"] else None))


@search_app.command()
def query(
    gallery: Folder,
    image: Annotated[
        Path | None, typer.Option("--image", help="one picture of an aligned face; it is scaled to fill the frame")
    ] = None,
    faces: Faces = None,
    part: Part = None,
    features: Features = None,
    k: Annotated[int, typer.Option("--k", help="how many names to show")] = 5,
    rerank: Annotated[
        int, typer.Option("--rerank", help="order so many of the nearest by Joint Bayesian; 0: Hamming alone")
    ] = 0,
    model: Model = None,
    backend: Annotated[
        Literal["faiss", "numpy"] | None, typer.Option(help="default: faiss where it is installed; same answers")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", help="also write the answers to this file")] = None,
):
    """The K most similar faces of a GALLERY with their names and Hamming distances, the nearest first."""
    if rerank and rerank < k:
        raise DataError(f"--rerank {rerank}: fewer than the {k} names to show; give at least --k")
    opened, net, digest = _open(gallery, model)
    found, names = _features(net, digest, image, faces, part, features)
    if len(opened) and k > len(opened):
        raise DataError(f"--k {k}: {gallery} holds {len(opened)} faces; ask for at most {len(opened)}")
    distances, indices = opened.search(_packed(opened, found), min(max(k, rerank), len(opened) or k), backend)
    scores = None
    if rerank:
        scores, distances, indices = opened.rerank(distances, indices, found, net.verifier)
    answers = [
        _answer(name, opened, indices[row, :k], distances[row, :k], None if scores is None else scores[row, :k])
        for row, name in enumerate(names)
    ]
    for answer in answers:
        _show(answer, opened.header["bits"])
    if json:
        from deepid_lite.files import write_json

        write_json(json, {"gallery": str(gallery), "bits": opened.header["bits"], "answers": answers})


@search_app.command()
def info(gallery: Folder):
    """What is in a GALLERY; also checks that nothing in it is damaged."""
    from deepid_lite.neurons.gallery import Gallery

    opened = Gallery.open(gallery)
    _report(opened)
    for key, value in opened.header.items():
        if key not in ("files", "count"):
            print(f"{key}: {value}")


@search_app.command()
def export(
    gallery: Folder,
    out: Annotated[Path, typer.Argument(help="file to write; the names go to OUT.names.txt")],
    form: Annotated[Literal["npy", "bvecs", "faiss"], typer.Option("--format", help="npy: uint8 (N, bytes)")] = "npy",
):
    """Write all codes of a GALLERY for another program, as a vector database loads them."""
    from deepid_lite.neurons.gallery import Gallery
    from deepid_lite.neurons.gallery import export as write

    for path in write(Gallery.open(gallery), out, form):
        print(path)


# what the commands share


def _model(name):
    from deepid_lite.verification.model import pretrained, weights_hash

    net = pretrained(name)
    return net, weights_hash(net)


def _open(folder, model):
    """The gallery, and the model that it was built with, or another that must be the same one."""
    from deepid_lite.neurons.gallery import Gallery

    opened = Gallery.open(folder)
    try:
        net, digest = _model(model or opened.header["model"])
    except DataError as error:
        raise DataError(f"{error}; or give the gallery's model by --model") from None
    opened.require_model(digest)
    return opened, net, digest


def _features(model, digest, image=None, faces=None, part=None, file=None):
    """Features (N, 2 D) and names (N,) of whichever source was given."""
    given = [value for value in (image, faces, file) if value is not None]
    if len(given) != 1:
        choice = "--image, --faces or --features" if image is not None or not given else "--faces or --features"
        raise DataError(f"no face to work on, or more than one source: give one of {choice}")
    if file is not None:
        return _saved(file, 2 * model.net.dimension, digest)
    from deepid_lite.verification.evaluation import face_features

    if image is not None:
        return face_features(model, _read_image(image)[None]), [image.name]
    from deepid_lite.faces.loading import load_faces

    found = load_faces(faces, part=part)
    return face_features(model, found.images, progress=True), found.paths


def _read_image(path):
    """A picture without landmarks is taken to be aligned, as load_faces does with a folder."""
    from deepid_lite.faces.cache import fill_frame
    from deepid_lite.faces.decoding import decode

    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; give the file of one picture") from None
    return fill_frame(decode(data, str(path)))


def _saved(path, width, digest):
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = stored["features"]
            names = stored["names"] if "names" in stored else [f"{path.stem}/{i}" for i in range(len(found))]
            made_by = str(stored["model_hash"]) if "model_hash" in stored else digest
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or 'no .npz file'}; check the path") from None
    except Exception:  # whatever a damaged file makes of zip and npy
        raise DataError(f"{path}: no readable .npz with an array `features` (N, {width})") from None
    if found.ndim != 2 or found.shape[1] != width or found.dtype.kind not in "fiu":
        raise DataError(f"{path}: features {found.shape}, and this model makes (N, {width}), picture and mirror")
    if not len(found) or len(names) != len(found):
        raise DataError(f"{path}: {len(names)} names for {len(found)} faces; give one each, at least one")
    if made_by != digest:
        raise DataError(f"{path}: features of another model ({made_by[:8]}, not {digest[:8]})")
    bad = np.argwhere(~np.isfinite(found))
    if len(bad):
        raise DataError(f"{path}: {len(bad)} features are NaN or inf, the first of face {bad[0][0]}; drop those faces")
    return found.astype(np.float32), [str(name) for name in names]


def _packed(gallery, features):
    """Codes of the picture's neurons alone, or of its mirror's too, as the gallery was built."""
    from deepid_lite.neurons import codes

    half = features if gallery.header.get("mirror", True) else features[:, : features.shape[1] // 2]
    return codes.pack(codes.binarise(half))


def _report(gallery):
    n, size = len(gallery), gallery.header["bits"] // 8
    print(f"{gallery.folder}: {n:,} faces, {size} bytes each ({n * size / 1e6:.2f} MB of codes)")


def _answer(name, gallery, indices, distances, scores):
    found = [
        {"name": gallery.names[i], "index": int(i), "distance": int(d)} for i, d in zip(indices, distances, strict=True)
    ]
    if scores is not None:
        for entry, score in zip(found, scores, strict=True):
            entry["score"] = round(float(score), 3)
    return {"query": name, "found": found}


def _show(answer, bits):
    print(answer["query"])
    for place, entry in enumerate(answer["found"], 1):
        score = f"  {entry['score']:8.2f} nats" if "score" in entry else ""
        print(f"{place:4}  {entry['distance']:4} of {bits} bits{score}  {entry['name']}")
