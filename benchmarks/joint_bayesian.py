"""Joint Bayesian: seconds for one EM step, beside the loop over people that most code on the web uses.

    python benchmarks/joint_bayesian.py [--json out.json] [--quick]

Both start from the same covariances of the same simulated images. The loop is written as it is usually
copied: group by person once; each step one inverse for every distinct number of images, then two products and
a sum over images for each person. It is spared two costs of the copied code: `inv` stands for its `pinv`, a
product for its `np.cov`. It drops the posterior variances, as the 2012 paper does; ours keeps them in the
timing, and with update="eccv2012" must arrive at the loop's covariances. One BLAS thread; processor seconds, so that a
busy machine counts less; best of several runs.
"""

import argparse

import numpy as np
from _timing import best_time, one_thread, run, write

from deepid_lite.verification.joint_bayesian import JointBayesian

# name, people, fewest and most images a person (drawn evenly)
CASES = [
    ("equal counts", 2000, 10, 10),
    ("equal counts, twice the people", 4000, 10, 10),
    ("like CelebA's held-out people", 1985, 5, 35),
    ("a hundred counts", 1000, 1, 100),
    ("a hundred counts, twice the people", 2000, 1, 100),
]


def simulate(people, low, high, d, seed=0):
    """Images (N, d) and labels; in feature k identity has 10 / k times the variance of the noise."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(low, high + 1, size=people)
    counts[: high - low + 1] = np.arange(low, high + 1)  # every count occurs
    labels = np.repeat(np.arange(people), counts)
    identity = rng.standard_normal((people, d)) * np.sqrt(10 / (1 + np.arange(d)))
    images = rng.standard_normal((len(labels), d))
    images += identity[labels]
    return images, labels


def loop_groups(X, labels):
    """What the loop needs once: each person's images, the mean removed."""
    X = X - X.mean(axis=0)
    return [X[labels == person] for person in np.unique(labels)]


def loop_step(groups, S_mu, S_eps):
    """One step of the 2012 update over the people, one after the other."""
    d = len(S_mu)
    F = np.linalg.inv(S_eps)
    to_mu, to_eps = {}, {}
    for m in {len(images) for images in groups}:
        G = -np.linalg.inv(m * S_mu + S_eps) @ S_mu @ F
        to_mu[m] = S_mu @ (F + m * G)
        to_eps[m] = S_eps @ G
    mu = np.zeros((d, len(groups)))
    eps = np.zeros((d, sum(len(images) for images in groups)))
    at = 0
    for i, images in enumerate(groups):
        m = len(images)
        mu[:, i] = np.sum(np.dot(to_mu[m], images.T), axis=1)
        eps[:, at : at + m] = images.T + np.sum(np.dot(to_eps[m], images.T), axis=1).reshape(d, 1)
        at += m
    return np.dot(mu, mu.T) / mu.shape[1], np.dot(eps, eps.T) / eps.shape[1]


def measure(name, people, low, high, d, steps, repeats):
    """One case at d dimensions: a row of the table. Call it within `one_thread()`."""
    X, labels = simulate(people, low, high, d)
    ours_setup, start = best_time(lambda: JointBayesian(max_iter=0).fit(X, labels), repeats)
    ours_fit, _ = best_time(lambda: JointBayesian(max_iter=steps, tol=0).fit(X, labels), repeats)
    loop_setup, groups = best_time(lambda: loop_groups(X, labels), 1)
    loop_repeats = repeats if d < 400 else 1  # seconds long: once will do
    loop, covariances = best_time(lambda: loop_step(groups, start.S_mu_, start.S_eps_), loop_repeats)

    paper = JointBayesian("eccv2012", max_iter=1, tol=0).fit(X, labels)
    for ours, theirs in zip((paper.S_mu_, paper.S_eps_), covariances, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)

    ours = (ours_fit - ours_setup) / steps
    return dict(
        case=name, people=people, images=len(X), dimensions=d, distinct_counts=high - low + 1,
        loop_setup_seconds=loop_setup, loop_step_seconds=loop,
        setup_seconds=ours_setup, step_seconds=ours, ratio_step=loop / ours,
        ratio_fit_20_steps=(loop_setup + 20 * loop) / (ours_setup + 20 * ours),
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="write the table and the machine there")
    parser.add_argument("--quick", action="store_true", help="the first case at 180 dimensions only")
    options = parser.parse_args()

    names = "case", "people", "images", "D", "counts", "loop s/step", "ours s/step", "ratio", "20 steps+setup"
    print("{:36}{:>7}{:>8}{:>5}{:>7}{:>13}{:>13}{:>7}{:>24}".format(*names))
    rows = []
    for d, steps, repeats in [(180, 40, 3)] if options.quick else [(180, 40, 3), (512, 20, 2)]:
        for case in CASES[:1] if options.quick else CASES:
            row = measure(*case, d, steps, repeats)
            rows.append(row)
            print(
                f"{row['case']:36}{row['people']:7}{row['images']:8}{d:5}{row['distinct_counts']:7}"
                f"{row['loop_step_seconds']:13.3f}{row['step_seconds']:13.4f}{row['ratio_step']:6.0f}x"
                f"{row['ratio_fit_20_steps']:23.0f}x",
                flush=True,
            )
    if options.json:
        write(options.json, {"blas_threads": 1, "rows": rows})


if __name__ == "__main__":
    with one_thread():
        run(main)
