"""The codes of LFW's photographs, without names: the file that ships in the package.

    python data_scripts/lfw_codes.py deepid_lite/shipped/lfw-codes.safetensors --model webfaces [--root DATA]

Takes the 512 bits of FC-4 of each picture (no mirror image), shuffles images, people and pairs by a seed and writes
numbers only; see deepid_lite/shipped_codes.py. The same photographs, net and seed give the same numbers. Run it again
whenever the net of that name changes.
"""

import argparse
import sys
from pathlib import Path

from deepid_lite.errors import DataError
from deepid_lite.neurons.codes import binarise, pack
from deepid_lite.neurons.lfw_codes import ShippedCodes, save, shuffled
from deepid_lite.neurons.sparsity import picture
from deepid_lite.results import provenance
from deepid_lite.studies.setup import Setup
from deepid_lite.verification.model import pretrained, weights_hash
from deepid_lite.verification.pipeline import test_set

USE = "research and teaching only: computed from photographs of people who were not asked"


def lfw_codes(model, root=None, seed=0):
    """ShippedCodes of LFW by a model's name or file."""
    net = pretrained(model)
    faces, pairs, _ = test_set("lfw", root)
    # a scale without kept people: it finds features that a study left in the cache
    features = Setup("reference", net, faces, pairs, faces, faces, (), root).features("test", layer=4)
    codes, people, listed = shuffled(pack(binarise(picture(features))), faces.labels, pairs, seed)
    card = {
        "what": "codes of the picture without its mirror image, one bit for each neuron of FC-4 that is active",
        "data": "lfw",
        "data_hash": faces.data_hash,
        "model": Path(model).stem,
        "model_hash": weights_hash(net),
        "images": len(faces),
        "people": len(faces.names),
        "pairs": len(pairs),
        "bits": 8 * codes.shape[1],
        "seed": seed,
        "use": USE,
        **provenance(),
    }
    return ShippedCodes(codes, people, listed, card)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the file to write, .safetensors")
    parser.add_argument("--model", default="webfaces", help="webfaces or a model.safetensors file")
    parser.add_argument("--root", type=Path, help="folder with LFW; default: DEEPID_DATA")
    parser.add_argument("--seed", type=int, default=0, help="of the shuffle")
    options = parser.parse_args(argv)
    try:
        shipped = lfw_codes(options.model, options.root, options.seed)
        save(options.out, shipped)
    except DataError as error:
        print(f"lfw_codes: {error}", file=sys.stderr)
        return 2
    card = shipped.card
    print(
        f"{options.out}: {card['images']:,} codes of {card['bits']} bits, {card['people']:,} people, "
        f"{card['pairs']:,} pairs, {options.out.stat().st_size / 1e6:.2f} MB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
