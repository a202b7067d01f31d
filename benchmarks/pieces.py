"""The rest of the way from pictures to answers, each piece beside the code that one writes first (or beside faiss)."""

import joint_bayesian
import lbp
import numpy as np
import search
import torch
from _timing import one_thread, take_turns

from deepid_lite.neurons import codes
from deepid_lite.verification import lbp as our_lbp
from deepid_lite.verification.features import extract
from deepid_lite.verification.joint_bayesian import JointBayesian


def fitting(quick):
    """One EM step against the loop over people: {case, dimensions, loop and ours in processor seconds a step}."""
    name, people, low, high = ("quick", 300, 2, 9) if quick else joint_bayesian.CASES[2]
    with one_thread():
        return joint_bayesian.measure(name, people, low, high, *((40, 20, 3) if quick else (180, 20, 2)))


def pair_by_pair(A, G, probes, gallery):
    """Scores (P, G) as they are usually computed, a pair at a time [Chen et al. 2012, Eq. 4]."""
    scores = np.empty((len(probes), len(gallery)))
    for i, x in enumerate(probes):
        for j, y in enumerate(gallery):
            scores[i, j] = x @ A @ x + y @ A @ y - 2 * x @ G @ y
    return scores


def gallery_scoring(quick, seconds):
    """Pairs a second by `score_gallery` and pair by pair, one thread; both must agree."""
    d, n_probes, n_gallery = (12, 20, 200) if quick else (180, 200, 13_233)
    X, labels = joint_bayesian.simulate(400, 2, 6, d)
    model = JointBayesian(max_iter=2).fit(X, labels)
    F = np.linalg.inv(model.S_eps_)
    G = -np.linalg.inv(2 * model.S_mu_ + model.S_eps_) @ model.S_mu_ @ F
    A = np.linalg.inv(model.S_mu_ + model.S_eps_) - (F + G)
    rng = np.random.default_rng(1)
    probes, gallery = rng.standard_normal((n_probes, d)), rng.standard_normal((n_gallery, d))
    few, some = probes[:4], gallery[:1000]
    theirs = pair_by_pair(A, G, few - model.mean_, some - model.mean_)
    ours = model.score_gallery(few, some)  # in nats: half of theirs and a constant
    np.testing.assert_allclose(ours - ours[0, 0], (theirs - theirs[0, 0]) / 2, rtol=1e-6, atol=1e-6)
    calls = {"ours": lambda: model.score_gallery(probes, gallery), "loop": lambda: pair_by_pair(A, G, few, some)}
    with one_thread():
        times = take_turns(calls, seconds)
    return {"ours": n_probes * n_gallery / times["ours"], "loop": len(few) * len(some) / times["loop"], "dimensions": d}


def describing(quick, seconds):
    """Faces a second by `lbp.describe` with one thread and with all, and cell by cell; the counts must be the same."""
    n_loop, n = (1, 2) if quick else (4, 48)
    faces, workers = lbp.noise(n), torch.get_num_threads()
    np.testing.assert_array_equal(our_lbp.describe(faces[:n_loop], progress=False), lbp.cell_by_cell(faces[:n_loop]))
    times = take_turns(
        {
            "ours, one thread": lambda: our_lbp.describe(faces, workers=1, progress=False),
            "ours": lambda: our_lbp.describe(faces, workers=workers, progress=False),
            "cell by cell": lambda: lbp.cell_by_cell(faces[:n_loop]),
        },
        seconds,
    )
    return {name: (n_loop if name == "cell by cell" else n) / took for name, took in times.items()}


def searching(quick, seconds):
    """Milliseconds a query in a gallery of codes, by NumPy, ours and faiss, one thread; None where faiss is missing."""
    faiss = codes.faiss()
    if faiss is None:
        return None
    faiss.omp_set_num_threads(1)
    features, queries, _ = search.simulate(2000 if quick else 200_000)
    gallery, asked = codes.pack(codes.binarise(features)), codes.pack(codes.binarise(queries))
    ways = search.methods(faiss, features, queries, gallery, asked)
    calls = {name: call for (name, _, call), _ in zip(ways, range(3), strict=False)}
    with one_thread():
        times = take_turns(calls, seconds)
    found = {name: 1000 * took / len(asked) for name, took in times.items()}
    return {"faces": len(gallery), "milliseconds": found, "version": faiss.__version__}


def extracting(net, quick, seconds):
    """Images a second of `features.extract`, picture and mirror, in bf16 and fp32, and of a plain fp32 loop."""
    n, batch = (4, 2) if quick else (384, 128)
    images = np.random.default_rng(0).integers(0, 256, (n, *net.config["input_shape"], 3), dtype=np.uint8)
    channels_last = net.eval()
    plain = type(net)(**net.config).eval()
    plain.load_state_dict(net.state_dict())

    @torch.no_grad()
    def loop():
        rows = []
        for part in torch.as_tensor(images).split(batch):
            x = part.permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1
            rows.append(torch.cat([plain(x)[4], plain(x.flip(3))[4]], 1))
        return torch.cat(rows).numpy()

    np.testing.assert_allclose(extract(channels_last, images, batch_size=batch), loop(), rtol=1e-3, atol=1e-3)
    times = take_turns(
        {
            "bf16": lambda: extract(channels_last, images, batch_size=batch, precision="bf16"),
            "fp32": lambda: extract(channels_last, images, batch_size=batch),
            "plain": loop,
        },
        seconds,
    )
    return {name: n / took for name, took in times.items()}
