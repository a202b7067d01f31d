"""`deepid search`: build a gallery of faces, add to it, ask who looks like a face, hand its codes to other programs."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from deepid_lite.cli.checks import check_output
from deepid_lite.cli.output import printable, report, say
from deepid_lite.cli.pictures import read
from deepid_lite.errors import DataError, checked_features
from deepid_lite.files import reading

search_app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Find a face among many by the binary codes of its features: build a gallery, then query it.",
)

GalleryFile = Annotated[Path, typer.Argument(metavar="GALLERY", help="file of the gallery")]
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
        "--features", help=".npz with features (N, D) of picture and flip side by side, and names (N,) if known"
    ),
]
Model = Annotated[str | None, typer.Option("--model", help="default: the model that the gallery was built with")]


@search_app.command()
def build(
    gallery: GalleryFile,
    faces: Faces = None,
    part: Part = None,
    features: Features = None,
    model: Annotated[str, typer.Option(help="lite, webfaces, or a model.safetensors that train wrote")] = "lite",
    picture_only: Annotated[
        bool, typer.Option("--picture-only", help="codes of the picture without its flip: half the bytes")
    ] = False,
    keep_features: Annotated[
        bool, typer.Option("--keep-features", help="keep the float features too, for `query --rerank`")
    ] = False,
):
    """Make a new GALLERY of the faces in a folder, or of saved features."""
    from deepid_lite.neurons.gallery import Gallery

    check_output(gallery, faces, features)
    Gallery.check_new(gallery)
    net, digest = _model(model)
    found, names = _features(net, digest, faces=faces, part=part, file=features)
    width = found.shape[1]
    if Path(model).suffix == ".safetensors":
        model = str(Path(model).resolve())  # so that `query` finds it from any folder
    facts = {"mirror": not picture_only, "neurons": width // 2}
    bits, kept = width // 2 if picture_only else width, width if keep_features else 0
    first = _packed(found, facts), names, found if keep_features else None
    _describe(Gallery.create(gallery, bits, model, digest, kept, first, **facts))


@search_app.command()
def add(gallery: GalleryFile, faces: Faces = None, part: Part = None, features: Features = None, model: Model = None):
    """Add faces to a GALLERY; several processes may do so at once."""
    opened, net, digest = _open(gallery, model)
    found, names = _features(net, digest, faces=faces, part=part, file=features)
    kept = found if opened.header["features"] else None
    _describe(opened.append(_packed(found, opened.header), names, kept))


@search_app.command()
def query(
    gallery: GalleryFile,
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
    json: Annotated[
        Path | None, typer.Option("--json", help="also write the answers to this file; -: them alone, to the terminal")
    ] = None,
):
    """The K most similar faces of a GALLERY with their names and Hamming distances, the nearest first."""
    if rerank and rerank < k:
        raise DataError(f"--rerank {rerank}: fewer than the {k} names to show; give at least --k")
    check_output(json, gallery, image, faces, features)
    opened, net, digest = _open(gallery, model)
    if not 1 <= k <= len(opened):
        raise DataError(f"--k {k}: {gallery} holds {len(opened)} faces; ask for 1 to {len(opened)}, or add some")
    found, names = _features(net, digest, image, faces, part, features)
    distances, indices = opened.search(_packed(found, opened.header), min(max(k, rerank), len(opened)), backend)
    scores = [None] * len(names)
    if rerank:
        scores, distances, indices = opened.rerank(distances, indices, found, net.verifier)
    answers = [_answer(opened, k, *row) for row in zip(names, indices, distances, scores, strict=True)]
    bits = opened.header["bits"]
    text = "\n".join(_shown(answer, bits) for answer in answers)
    report(text, {"gallery": str(gallery), "bits": bits, "answers": answers}, json)


@search_app.command()
def info(gallery: GalleryFile):
    """What is in a GALLERY; also checks that nothing in it is damaged."""
    from deepid_lite.neurons.gallery import Gallery

    opened = Gallery.open(gallery)
    opened.verify()
    _describe(opened)
    for key, value in opened.header.items():
        say(f"{printable(key)}: {printable(value)}")


@search_app.command()
def export(
    gallery: GalleryFile,
    out: Annotated[Path, typer.Argument(help="file to write; the names go to OUT.names.txt")],
    form: Annotated[Literal["npy", "bvecs", "faiss"], typer.Option("--format", help="npy: uint8 (N, bytes)")] = "npy",
):
    """Write all codes of a GALLERY for another program, as a vector database loads them."""
    from deepid_lite.neurons.gallery import Gallery
    from deepid_lite.neurons.gallery_export import export as write

    for path in write(Gallery.open(gallery), out, form):
        say(printable(path))


# what the commands share


def _model(name):
    from deepid_lite.verification.model import pretrained, weights_hash

    net = pretrained(name)
    return net, weights_hash(net)


def _open(path, name):
    """The gallery, and the model that it was built with: bits of two nets cannot be compared."""
    from deepid_lite.neurons.gallery import Gallery

    opened = Gallery.open(path)
    made_by = opened.header["model_hash"]
    try:
        net, digest = _model(name or opened.header["model"])
    except DataError as error:
        raise DataError(f"{error}; or give the gallery's model by --model") from None
    if digest != made_by:
        said = f"{path}: its codes are of model {opened.header['model']} ({made_by[:8]}), and this is another"
        raise DataError(f"{said} ({digest[:8]}); give the right --model or build a gallery of this one")
    return opened, net, digest


def _features(model, digest, image=None, faces=None, part=None, file=None):
    """Features (N, 2 D) and names (N,) of whichever source was given."""
    given = [value for value in (image, faces, file) if value is not None]
    if len(given) != 1:
        choice = "--image, --faces or --features" if image is not None or not given else "--faces or --features"
        raise DataError(f"no face to work on, or more than one source: give one of {choice}")
    if file is not None:
        return _saved(file, 2 * model.net.dimension, digest)
    from deepid_lite.verification.model import face_features

    if image is not None:
        return face_features(model, _read_image(image)[None]), [image.name]
    from deepid_lite.faces.loading import load_faces

    found = load_faces(faces, part=part)
    return face_features(model, found.images, progress=True), found.paths


def _read_image(path):
    """A picture without landmarks is taken to be aligned, as load_faces does with a folder."""
    from deepid_lite.faces.cache import fill_frame

    return fill_frame(read(path), path)


def _saved(path, width, digest):
    try:
        with reading(path) as file, np.load(file, allow_pickle=False) as stored:
            found = stored["features"]
            names = stored["names"] if "names" in stored else [f"{path.stem}/{i}" for i in range(len(found))]
            made_by = str(stored["model_hash"]) if "model_hash" in stored else digest
            n_names = len(names)
    except DataError:
        raise
    except Exception:  # whatever a damaged file makes of zip and npy
        raise DataError(f"{path}: no .npz with an array `features` (N, {width}); write one with numpy.savez") from None
    found = checked_features(found, f"{path}: features")
    if found.ndim != 2 or found.shape[1] != width or not len(found):
        raise DataError(f"{path}: features {found.shape}; give (N, {width}), picture and flip as the model makes them")
    if n_names != len(found) or np.ndim(names) != 1:
        raise DataError(f"{path}: {n_names} names, {np.shape(names)}, for {len(found)} faces; give one each")
    if made_by != digest:
        raise DataError(f"{path}: features of another model ({made_by[:8]}, not {digest[:8]})")
    return found.astype(np.float32), [str(name) for name in names]


def _packed(features, header):
    """Codes of the picture's neurons alone, or of its flip's too, as the gallery was built."""
    from deepid_lite.neurons import codes

    half = features if header.get("mirror", True) else features[:, : features.shape[1] // 2]
    return codes.pack(codes.binarise(half))


def _describe(gallery):
    n, size = len(gallery), gallery.header["bits"] // 8
    say(f"{printable(gallery.path)}: {n:,} faces, {size} bytes each ({n * size / 1e6:.2f} MB of codes)")


def _answer(gallery, k, name, indices, distances, scores):
    rows = zip(indices[:k].tolist(), distances[:k].tolist(), strict=True)
    found = [{"name": gallery.names[index], "index": index, "distance": distance} for index, distance in rows]
    if scores is not None:
        found = [entry | {"score": round(float(s), 3)} for entry, s in zip(found, scores[:k], strict=True)]
    return {"query": name, "found": found}


def _shown(answer, bits):
    lines = [printable(answer["query"])]
    for place, entry in enumerate(answer["found"], 1):
        score = f"  {entry['score']:8.2f} nats" if "score" in entry else ""
        lines.append(f"{place:4}  {entry['distance']:4} of {bits} bits{score}  {printable(entry['name'])}")
    return "\n".join(lines)
