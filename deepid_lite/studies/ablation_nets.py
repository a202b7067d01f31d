"""One net of an ablation: trained while its accuracy on held-out people is watched, and measured when it is done.

A `Trial` says whose features fit Joint Bayesian, and which pairs are decided; see `ablation_data`.
"""

import time

import numpy as np
import torch

from deepid_lite import tensors
from deepid_lite.files import read_json, write_json
from deepid_lite.nets import deepid as nets
from deepid_lite.nets.batches import FaceBatches, check_labels
from deepid_lite.nets.training import TwoSignalObjective, fit
from deepid_lite.neurons.sparsity import picture, rounded, summary
from deepid_lite.studies.comparisons import packed
from deepid_lite.studies.spectra import spectra
from deepid_lite.verification.evaluation import pair_scores
from deepid_lite.verification.features import extract
from deepid_lite.verification.metrics import verify
from deepid_lite.verification.model import FaceModel

POINTS = 8  # of a curve
RIGHT = ("joint_bayesian", "picture", "euclidean")  # scores of which a record holds which pairs they decide rightly


def trained(crops, labels, recipe, folder, device, data_hash, watch):
    """(net, curve): the net trained in `folder`, or read from there, with watch(net) at `POINTS` places of its way.

    The curve is {"step", "accuracy", "cpu_seconds"}, lists; seconds of all threads, of the training since the place
    before. A run that was killed goes on; if it was killed while it was watched, that one point is missing.
    """
    check_labels(labels, recipe.images_per_person if recipe.weight else 1, recipe.batch_size)
    torch.manual_seed(recipe.seed)
    objective = TwoSignalObjective(recipe, int(labels.max()) + 1)
    batches = FaceBatches(crops, labels, recipe, objective.net.config["input_shape"], data_hash)
    last, path = len(batches) * recipe.epochs, folder / "curve.json"
    curve = read_json(path, "delete its folder") if path.is_file() else {"step": [], "accuracy": [], "cpu_seconds": []}
    done = max([_steps_done(folder, last), *curve["step"]])
    net = fit(objective, batches, recipe, folder, device) if done == last else None
    for stop in sorted({max(1, round(last * k / POINTS)) for k in range(1, POINTS + 1)}):
        if stop in curve["step"] or stop <= done < last or stop < done:
            continue
        start = time.process_time()
        net = net if done == last else fit(objective, batches, recipe, folder, device, stop_after=stop)
        seconds = time.process_time() - start
        for column, value in zip(curve, (stop, watch(net), seconds), strict=True):
            curve[column].append(round(value, 3))
        write_json(path, curve)
        objective.train()
    return net.eval(), curve


def _steps_done(folder, last):
    if (folder / "weights.safetensors").is_file():
        return last
    checkpoint = folder / "checkpoint.safetensors"
    return tensors.load(checkpoint)[1].get("step", 0) if checkpoint.is_file() else 0


def watched(net, crops, trial, precision="fp32"):
    """Accuracy in percent of the last layer by Joint Bayesian, of pictures without their mirrors: quick, to compare
    one moment of a training with the next."""
    options = {"flip": False, "layer": max(net.heads), "precision": precision}
    of_fit, of_compared = (extract(net, crops[which], **options) for which in (trial.fit, trial.compared))
    scores = _joint_bayesian(net, of_fit, trial.people, of_compared, trial.pairs)["joint_bayesian"]
    return 100 * verify(scores, trial.pairs).accuracy


def measure(net, fit_on, compared, trial):
    """Of each layer FC-n: `sparsity.summary` of the pictures that fit, and accuracies on the pairs in percent.

    fit_on, compared: crops uint8 of the trial's images. Joint Bayesian is fitted for every layer; cosine and
    Euclidean distance are those of the features themselves; "picture" is Joint Bayesian without the mirror image.
    "active": the share of active neurons in percent, of those who fit and of those who are compared. The last layer
    has "right" as well, the pairs that were decided rightly by the scores of RIGHT, see `packed`, and "spectra".
    """
    layers = net.heads
    of_fit, of_compared = (extract(net, crops, layer=layers) for crops in (fit_on, compared))
    found = {}
    for layer in layers:
        ours, theirs = of_fit[layer], of_compared[layer]
        scores = _joint_bayesian(net, ours, trial.people, theirs, trial.pairs)
        scores["euclidean"] = -np.linalg.norm(theirs[trial.pairs.first] - theirs[trial.pairs.second], axis=1)
        if layer == layers[-1]:
            alone = _joint_bayesian(net, picture(ours), trial.people, picture(theirs), trial.pairs)
            scores["picture"] = alone["joint_bayesian"]
        results = {kind: verify(values, trial.pairs) for kind, values in scores.items()}
        found[f"FC-{layer}"] = {
            "sparsity": summary(picture(ours), trial.people, histograms=False),
            "active": {part: _share(picture(f)) for part, f in (("fit", ours), ("compared", theirs))},
            "accuracy": {kind: rounded(100 * r.accuracy, 3) for kind, r in results.items()},
            "standard_error": {kind: rounded(100 * r.standard_error, 3) for kind, r in results.items()},
            "fold_accuracy": [rounded(100 * a, 3) for a in results["joint_bayesian"].fold_accuracy],
        }
    last = found[f"FC-{layers[-1]}"]
    last["right"] = {kind: packed(_right(scores[kind], trial.pairs, results[kind].threshold)) for kind in RIGHT}
    last["spectra"] = spectra(picture(of_fit[layers[-1]]), trial.people)
    return found


def _share(features):
    """Active neurons in percent."""
    return round(100 * float((features > 0).mean()), 4)


def _joint_bayesian(net, of_fit, people, of_compared, pairs):
    """`pair_scores` with Joint Bayesian fitted on features (N, D); no face activates a neuron: chance."""
    alive = of_fit.any(0)  # a neuron that nobody activates has no variance to fit
    if not alive.any():
        return {kind: np.zeros(len(pairs)) for kind in ("joint_bayesian", "cosine", "hamming")}
    fitted = FaceModel(net, None, None, {}).with_verifier(of_fit[:, alive], people)
    return pair_scores(fitted, of_compared[:, alive], pairs)


def _right(scores, pairs, threshold):
    """Whether thresholds (F,), one a fold, decide the pairs rightly: bool (P,) in the order of the folds."""
    place = np.unique(pairs.fold, return_inverse=True)[1]
    return ((scores > threshold[place]) == pairs.same)[np.argsort(pairs.fold, kind="stable")]


@torch.no_grad()
def attached(net, heads, images, seed=0):
    """A trained net with the feature layers `heads` besides its own, with random weights: what its convolutions hold.

    images: uint8 (N, rows, columns, 3) crops; where the net has batch norm they give the new layers its statistics.
    Everything else stays as it was trained.
    """
    heads = tuple(sorted({*net.heads, *heads}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        whole = nets.build(net.config | {"heads": heads})
    whole.load_state_dict({**whole.state_dict(), **net.state_dict()})
    whole = whole.eval().to(next(net.parameters()).device, memory_format=torch.channels_last)
    fresh = [norm for head, norm in whole.feature_norms.items() if int(head) not in net.heads]
    for norm in fresh:
        norm.train().momentum = None  # statistics as a plain mean over the batches
    for batch in np.array_split(images, -(-len(images) // 256)):
        x = torch.as_tensor(np.ascontiguousarray(batch)).to(next(net.parameters()).device).permute(0, 3, 1, 2)
        whole(nets.to_input(x).contiguous(memory_format=torch.channels_last))
    return whole.eval()


def mean_of(found):
    """The mean of several dicts of numbers, lists and dicts of one shape; what is no number is the first one's."""
    first = found[0]
    if isinstance(first, dict):
        return {key: mean_of([one[key] for one in found]) for key in first}
    if isinstance(first, list):
        return [mean_of(values) for values in zip(*found, strict=True)]
    if all(value == first for value in found) or isinstance(first, str) or None in found:
        return first
    return round(sum(found) / len(found), 5)
