"""Who is in an ablation: people for the net, people held out from it, and pairs that are decided.

Choices are made on held-out people: one half of them fits Joint Bayesian, pairs of the other half are decided. The test
set is a trial like any other, and it is not read before it is asked for.
"""

from typing import NamedTuple

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.regions import by_name, crop
from deepid_lite.faces.splits import renumber, split_people
from deepid_lite.verification import pipeline
from deepid_lite.verification.benchmarks import benchmark
from deepid_lite.verification.pairs import Pairs, make_pairs, pairs_a_fold

FITTED, WATCHED = 6000, 2000  # held-out images at most that fit Joint Bayesian at the end of a training, and during it
WATCHED_PAIRS = 100  # genuine ones a fold


class Parts(NamedTuple):
    """FaceSets: people for the net, people held out from it and, once they are asked for, people to test in `pairs`."""

    net: object
    held_out: object
    test: object = None
    pairs: Pairs | None = None


def load_parts(data, root=None, min_images=2, share=1.0, seed=0):
    """The parts of a data set without the test set; share: of the people that the net may see, one seeded choice."""
    net, held_out = pipeline.training_parts(data, root, min_images)
    return Parts(net if share == 1 else net.subset(some_people(net.labels, share, seed)), held_out)


def load_test(data, root=None, test=None):
    """(faces, pairs) to test on: LFW for photographs, and else unseen people of the same set, or those of `test`."""
    test = test or ("lfw" if data in ("webfaces", "celeba") else data)
    if test not in ("lfw", "synthetic"):
        raise DataError(f"{test}: its people are trained on; name another set to test on: lfw or synthetic")
    tested = benchmark(test, root)
    used, pairs = tested.pairs.compact()
    return tested.faces.subset(used), pairs


class Trial(NamedTuple):
    """Images by number: whose features fit Joint Bayesian, with their people, and which are compared in `pairs`."""

    fit: np.ndarray  # (N,)
    people: np.ndarray  # (N,)
    compared: np.ndarray  # (M,)
    pairs: Pairs  # places among the M


def held_out_trial(labels, per_fold=None, most=None):
    """The `Trial` of held-out people `labels` (N,): one half of them fits, pairs are drawn from the other.

    per_fold: genuine pairs a fold of ten, as LFW has or as many as there are when left out. most: images to fit on, of
    as many whole people as have so few.
    """
    fits = split_people(labels)
    fit_on, scored = np.flatnonzero(fits), np.flatnonzero(~fits)
    of_scored = renumber(labels[scored])
    used, pairs = make_pairs(of_scored, per_fold=min(pairs_a_fold(of_scored), per_fold or 300)).compact()
    people, counts = np.unique(labels[fit_on], return_counts=True)
    order = np.random.default_rng(0).permutation(len(people))
    few = order[np.cumsum(counts[order]) <= most] if most else order
    fit_on = fit_on[np.isin(labels[fit_on], people[few if len(few) > 1 else order[:2]])]
    return Trial(fit_on, renumber(labels[fit_on]), scored[used], pairs)


def some_people(labels, people, seed):
    """Mask (N,) of the images of that many people, or of that share of them when below 1, or of all for None.

    They are the first of one seeded order, so that fewer are among more.
    """
    known = np.unique(labels)
    if people is None:
        return np.ones(len(labels), bool)
    wanted = round(people * len(known)) if 0 < people < 1 else people
    if not 2 <= wanted <= len(known) or wanted != int(wanted):
        raise DataError(f"people = {people}: use a number from 2 to {len(known)}, all that the net may see")
    return np.isin(labels, np.random.default_rng(seed).permutation(known)[:wanted])


def some_images(labels, share, seed):
    """Mask (N,) of that share of each person's images, rounded up and two at least; the fewer are among the more."""
    if share is None:
        return np.ones(len(labels), bool)
    if not 0 < share <= 1:
        raise DataError(f"images = {share}: use a share above 0 and up to 1")
    order = np.lexsort((np.random.default_rng(seed).random(len(labels)), labels))
    _, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    place = np.empty(len(labels), np.int64)
    place[order] = np.arange(len(labels)) - np.repeat(starts, counts)
    wanted = np.maximum(np.ceil(share * counts), 2)
    return place < wanted[np.searchsorted(np.unique(labels), labels)]


class Crops:
    """The parts as a net of one region sees them: cut once for all variants of that region."""

    def __init__(self, parts):
        self.parts, self.name, self.found = parts, None, {}
        labels = parts.held_out.labels
        self.trials = {
            "held_out": held_out_trial(labels, most=FITTED),
            "watched": held_out_trial(labels, WATCHED_PAIRS, WATCHED),
        }

    def with_test(self, faces, pairs):
        """Also the test set: Joint Bayesian is fitted on all held-out people then."""
        self.parts, self.name = self.parts._replace(test=faces, pairs=pairs), None
        labels, places = self.parts.held_out.labels, np.arange(len(faces))
        self.trials["test"] = Trial(np.arange(len(labels)), renumber(labels), places, pairs)

    def of(self, part, region):
        """uint8 crops of a part; those that a net trains on have a margin."""
        if region != self.name:
            self.name, self.found = region, {}
        if part not in self.found:
            images = getattr(self.parts, part).images
            self.found[part] = crop(images, by_name(region), pipeline.MARGIN if part == "net" else 0)
        return self.found[part]

    def to_compare(self, where, region):
        """(crops of those who fit, crops of those who are compared, `Trial`) of a trial, as `measure` takes them."""
        trial, compared = self.trials[where], self.of("test" if where == "test" else "held_out", region)
        return self.of("held_out", region)[trial.fit], compared[trial.compared], trial
