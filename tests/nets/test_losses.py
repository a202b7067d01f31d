"""The two signals: values against naive loops, gradients against finite differences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from deepid_lite.errors import DataError
from deepid_lite.nets.losses import Identification, TwoSignals, Verification, all_pairs, balanced_threshold

LABELS = torch.tensor([0, 0, 1, 1, 2, 0])
CASES = [(s, b) for s in ("l2", "l1", "cosine") for b in ("both", "positive", "negative")]


def naive(features, labels, pairs, signal, branches, margin, w=5.0, b=-2.5):
    """One pair after another, in plain Python."""
    pull, push = [], []
    for i, j in pairs:
        f, g = features[i], features[j]
        same = labels[i] == labels[j]
        if signal == "cosine":
            guess = 1 / (1 + np.exp(-(w * (f @ g) / np.linalg.norm(f) / np.linalg.norm(g) + b)))
            value = 0.5 * (float(same) - guess) ** 2
        else:
            d = np.linalg.norm(f - g, ord=2 if signal == "l2" else 1)
            value = 0.5 * d**2 if same else 0.5 * max(0, margin - d) ** 2
        (pull if same else push).append(value)
    pull, push = (np.mean(x) if x else 0.0 for x in (pull, push))
    return {"both": pull + push, "positive": pull, "negative": push}[branches]


def features_of(seed, dtype=torch.double):
    return torch.randn(6, 4, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("signal", "branches"), CASES)
@pytest.mark.parametrize("given_pairs", [False, True])
def test_equals_a_loop_over_pairs(signal, branches, given_pairs):
    features = features_of(0)
    loss = Verification(signal, branches, margin=2.5)
    pairs = (torch.tensor([0, 1, 4, 2]), torch.tensor([5, 3, 2, 3])) if given_pairs else None
    listed = list(zip(*(p.tolist() for p in pairs), strict=True)) if given_pairs else [
        (i, j) for i in range(6) for j in range(i + 1, 6)
    ]  # fmt: skip
    ours = loss(features, LABELS, pairs)
    wanted = naive(features.numpy(), LABELS.numpy(), listed, signal, branches, 2.5)
    assert ours.item() == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(("signal", "branches"), CASES)
@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("given_pairs", [False, True])
def test_gradients_numerically(signal, branches, normalise, given_pairs):
    margin = (2.0 if normalise else 9.0) if signal == "l1" else (1.3 if normalise else 3.0)
    loss = Verification(signal, branches, margin, normalise=normalise).double()
    pairs = (torch.tensor([0, 1, 4, 2, 3]), torch.tensor([5, 3, 2, 3, 4])) if given_pairs else None
    features = features_of(1).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: loss(f, LABELS, pairs), (features,))
    if signal == "cosine":
        assert torch.autograd.gradcheck(lambda *wb: _cosine(wb, features.detach()), (loss.weight, loss.bias))
    loss(features, LABELS, pairs).backward()
    assert features.grad.abs().max() > 1e-3  # the check compared something


def _cosine(weight_and_bias, features):
    parameters = dict(zip(("weight", "bias"), weight_and_bias, strict=True))
    return torch.func.functional_call(Verification("cosine").double(), parameters, (features, LABELS))


@pytest.mark.parametrize(("signal", "branches"), CASES)
@pytest.mark.parametrize("given_pairs", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.double])
def test_gradient_at_distance_zero_is_zero(signal, branches, given_pairs, dtype):
    """All features equal, pairs of one person and of two: no nan, and no direction is preferred."""
    features = torch.ones(6, 4, dtype=dtype, requires_grad=True)
    pairs = all_pairs(LABELS)[:2] if given_pairs else None
    loss = Verification(signal, branches, margin=1.0).to(dtype)
    loss(features, LABELS, pairs).backward()
    torch.testing.assert_close(features.grad, torch.zeros_like(features), atol=1e-6, rtol=0)


@pytest.mark.parametrize("signal", ["l2", "l1", "cosine"])
def test_dead_features_send_no_gradient_through_their_relu(signal):
    before = torch.tensor([[-1.0, -2.0], [-3.0, -1.0], [1.0, 2.0], [2.0, 1.0]], requires_grad=True)
    loss = Verification(signal, margin=1.0, normalise=True)
    loss(torch.relu(before), torch.tensor([0, 0, 1, 0])).backward()
    assert before.grad.isfinite().all() and (before.grad[:2] == 0).all()


def test_positives_and_negatives_are_averaged_apart():
    """Many more negatives change nothing about the weight of the one positive pair."""
    f = torch.tensor([[0.0], [2.0], [10.0], [20.0], [30.0], [40.0]])
    few = Verification(margin=1.0)(f[:3], torch.tensor([0, 0, 1]))
    many = Verification(margin=1.0)(f, torch.tensor([0, 0, 1, 2, 3, 4]))
    assert few.item() == many.item() == 2.0  # 1/2 * 2^2; no negative is nearer than the margin


@pytest.mark.parametrize("labels", [[0, 1, 2, 3, 4, 5], [0] * 6])
def test_a_missing_kind_of_pair_adds_nothing(labels):
    loss = Verification(margin=2.0)(features_of(2), torch.tensor(labels))
    branch = "negative" if labels[1] else "positive"
    assert loss == Verification(branches=branch, margin=2.0)(features_of(2), torch.tensor(labels))


def test_half_precision_features_are_summed_in_fp32():
    loss = Verification(margin=2.0)(features_of(0).bfloat16(), LABELS)
    assert loss.dtype == torch.float32


def brute_force_threshold(distance, same):
    """The least class-balanced error over all thresholds between two neighbouring distances."""
    values = np.unique(distance)
    cuts = (values[1:] + values[:-1]) / 2
    return [((distance[same] > t).mean() + (distance[~same] <= t).mean()) / 2 for t in cuts], cuts


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 60), st.booleans())
def test_threshold_has_the_least_balanced_error(seed, n_same, n_different, with_ties):
    rng = np.random.default_rng(seed)
    distance = np.r_[rng.normal(2, 1, n_same), rng.normal(3, 1, n_different)]
    if with_ties:
        distance = np.round(distance * 2) / 2
    same = np.arange(n_same + n_different) < n_same
    order = rng.permutation(len(same))
    distance, same = distance[order], same[order]
    errors, cuts = brute_force_threshold(distance, same)
    found = balanced_threshold(torch.tensor(distance), torch.tensor(same)).item()
    if len(cuts) == 0:
        assert found == distance[0]
        return
    error = ((distance[same] > found).mean() + (distance[~same] <= found).mean()) / 2
    assert error == pytest.approx(min(errors))
    assert np.abs(cuts - found).min() < 1e-9


def test_threshold_is_not_fooled_by_many_negatives():
    distance = torch.cat([torch.linspace(0, 1, 10), torch.linspace(0.9, 9, 1000)])
    same = torch.arange(1010) < 10
    assert 0.8 < balanced_threshold(distance, same) < 1.1  # plain error is least at "all different"


def test_threshold_needs_both_kinds():
    for same in (torch.ones(4, dtype=torch.bool), torch.zeros(4, dtype=torch.bool)):
        with pytest.raises(DataError, match="one kind"):
            balanced_threshold(torch.rand(4), same)


def test_margin_is_set_at_once_and_reset_from_past_pairs():
    loss = Verification(every=40)  # 15 pairs a batch
    batches = [features_of(seed, torch.float32) for seed in range(4)]
    first, second, same = all_pairs(LABELS)
    distances = [(f[first] - f[second]).norm(dim=1) for f in batches]
    loss(batches[0], LABELS)
    at_first = balanced_threshold(distances[0], same)
    assert loss.margin == pytest.approx(at_first.item())
    loss(batches[1], LABELS)
    loss(batches[2], LABELS)
    assert loss.margin == pytest.approx(at_first.item())  # 30 pairs since: too few
    loss(batches[3], LABELS)
    from_past = balanced_threshold(torch.cat(distances[1:]), same.repeat(3))
    assert loss.margin == pytest.approx(from_past.item(), rel=1e-6) and from_past != at_first
    assert loss.past == []


def test_pairs_of_the_past_are_part_of_the_state():
    """A loss that goes on from another's state sets the margin that the other sets."""
    first, second = Verification(every=40), Verification(every=40)
    for seed in range(3):
        first(features_of(seed, torch.float32), LABELS)
    second.load_state_dict(first.state_dict())
    values = [loss(features_of(3, torch.float32), LABELS) for loss in (first, second)]
    assert torch.equal(*values) and torch.equal(first.margin, second.margin) and first.past == second.past == []
    second.load_state_dict(first.state_dict())  # of no pairs
    assert second.past == []


def test_margin_rests_in_evaluation_and_where_it_is_given():
    fixed = Verification(margin=1.5, every=1)
    fixed(features_of(0), LABELS)
    assert fixed.margin == 1.5 and fixed.past == []
    adaptive = Verification(every=1)
    adaptive(features_of(0), LABELS)
    before = adaptive.margin.clone()
    adaptive.eval()(features_of(1), LABELS)
    assert adaptive.margin == before


def test_no_gradient_reaches_the_margin():
    loss = Verification(every=1)
    loss(features_of(0).requires_grad_(), LABELS).backward()
    assert not loss.margin.requires_grad and list(loss.parameters()) == []


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_identification_is_cross_entropy(smoothing):
    torch.manual_seed(0)
    loss = Identification(4, 3, smoothing).double()
    torch.nn.init.normal_(loss.classifier.weight)
    features = features_of(0).requires_grad_()
    scores = features @ loss.classifier.weight.T + loss.classifier.bias
    probabilities = torch.softmax(scores, 1)
    target = F.one_hot(LABELS, 3) * (1 - smoothing) + smoothing / 3
    wanted = -(target * probabilities.log()).sum(1).mean()
    torch.testing.assert_close(loss(features, LABELS), wanted)
    assert torch.autograd.gradcheck(lambda f: loss(f, LABELS), (features,))


def test_two_signals_add_up_over_layers():
    torch.manual_seed(0)
    heads = (2, 4)
    both = TwoSignals(heads, 4, 3, weight=0.3, ident=2.0, margin=2.0).double()
    features = {head: features_of(head) for head in heads}
    dropped = {head: f * 0.5 for head, f in features.items()}
    loss, parts = both(features, dropped, LABELS, ramp=0.5)
    assert set(parts) == {"ident2", "ident4", "verif2", "verif4"}
    wanted = 0.0
    for head in heads:
        identification = F.cross_entropy(both.identification[str(head)].classifier(dropped[head]), LABELS)
        torch.testing.assert_close(parts[f"ident{head}"], identification)
        verification = Verification(margin=2.0)(features[head], LABELS)  # before dropout
        torch.testing.assert_close(parts[f"verif{head}"], verification)
        wanted += 2.0 * identification + 0.3 * 0.5 * verification
    torch.testing.assert_close(loss, wanted)


def test_a_signal_can_be_switched_off():
    features = {4: features_of(0, torch.float32)}
    only = TwoSignals((4,), 4, 3, weight=0)
    assert set(only(features, features, LABELS)[1]) == {"ident4"} and not only.verification
    only = TwoSignals((4,), 4, 3, ident=0, margin=1.0)
    assert set(only(features, features, LABELS)[1]) == {"verif4"} and list(only.parameters()) == []
    with pytest.raises(DataError, match="switched off"):
        TwoSignals((4,), 4, 3, weight=0, ident=0)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"signal": "l3"}, "l2, l1, cosine"), ({"branches": "up"}, "both, positive, negative"),
     ({"margin": 0}, "positive number"), ({"margin": float("nan")}, "positive number")],
)  # fmt: skip
def test_wrong_options_get_one_line(options, says):
    with pytest.raises(DataError, match=says):
        Verification(**options)
