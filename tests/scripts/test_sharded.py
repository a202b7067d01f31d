"""The sharded softmax: two real processes have the loss and the gradients of one; and the sampled softmax."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing
from torch.nn import functional as F

from deepid_lite.errors import DataError
from deepid_lite.nets.losses import Identification

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from sharded import ShardedIdentification, people_of, sampled_cross_entropy, sharded_cross_entropy  # noqa: E402

# people, the first one of the second process, label smoothing, size of the scores
CASES = [(10, 5, 0.0, 1), (11, 6, 0.1, 1), (11, 1, 0.0, 1), (7, 6, 0.2, 1), (10, 5, 0.1, 300)]


def problem(n_people, scale):
    draws = torch.Generator().manual_seed(n_people)
    features = torch.randn(24, 6, generator=draws)
    labels = torch.randint(n_people, (24,), generator=draws)
    return features, labels, scale * torch.randn(n_people, 6, generator=draws), torch.randn(n_people, generator=draws)


def gradients(loss, *tensors):
    return [loss.detach(), *torch.autograd.grad(3 * loss, tensors)]


def one_process(n_people, smoothing, scale):
    features, labels, weight, bias = (t.requires_grad_(t.is_floating_point()) for t in problem(n_people, scale))
    loss = F.cross_entropy(F.linear(features, weight, bias), labels, label_smoothing=smoothing)
    return gradients(loss, features, weight, bias)


def of_two_processes(rank, folder):
    """Run by each of the two: every case, the module, and what is wrong; all of it saved for the test to look at."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    found = []
    for n_people, boundary, smoothing, scale in CASES:
        features, labels, weight, bias = problem(n_people, scale)
        mine = slice(0, boundary) if rank == 0 else slice(boundary, None)
        weight, bias = weight[mine].clone().requires_grad_(), bias[mine].clone().requires_grad_()
        features.requires_grad_()
        loss = sharded_cross_entropy(features, labels, weight, bias, mine.start, n_people, smoothing)
        found.append(gradients(loss, features, weight, bias))
    torch.manual_seed(0)
    head = ShardedIdentification(6, 11, label_smoothing=0.1)
    features, labels, *_ = problem(11, 1)
    module = {"loss": head(features, labels).detach(), "first": head.first, **head.state_dict()}
    with torch.autocast("cpu", torch.bfloat16):
        module["half"] = head(features.bfloat16(), labels).detach()
    errors = []
    for call in (lambda: head(features, labels + 1), lambda: ShardedIdentification(6, 1)):
        with pytest.raises(DataError) as caught:
            call()
        errors.append(str(caught.value))
    torch.save({"cases": found, "module": module, "errors": errors}, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    multiprocessing.spawn(of_two_processes, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_two_processes_have_the_loss_and_gradients_of_one(two, case):
    n_people, _, smoothing, scale = CASES[case]
    loss, features, weight, bias = one_process(n_people, smoothing, scale)
    first, second = (process["cases"][case] for process in two)
    for process in (first, second):
        torch.testing.assert_close(process[0], loss, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(process[1], features, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.cat([first[2], second[2]]), weight, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.cat([first[3], second[3]]), bias, rtol=1e-5, atol=1e-5)


def test_the_module_is_identification_with_its_rows_shared_out(two):
    first, second = (process["module"] for process in two)
    rows = torch.cat([first["classifier.weight"], second["classifier.weight"]])
    assert first["first"] == 0 and second["first"] == len(first["classifier.weight"]) == 6
    assert len(np.unique(rows.numpy(), axis=0)) == len(rows) == 11 and 0.005 < rows.std() < 0.02
    whole = Identification(6, 11, label_smoothing=0.1)
    whole.classifier.load_state_dict({"weight": rows, "bias": torch.zeros(11)})
    features, labels, *_ = problem(11, 1)
    for process in (first, second):
        torch.testing.assert_close(process["loss"], whole(features, labels).detach())
        torch.testing.assert_close(process["half"], process["loss"], rtol=1e-2, atol=1e-2)
        assert process["half"].dtype == torch.float32


def test_what_is_wrong_is_one_line(two):
    for process in two:
        assert "labels 1 to 11; number 11 people from 0 on" in process["errors"][0]
        assert "2 processes for 1 people" in process["errors"][1]
        assert not any("\n" in error for error in process["errors"])
    with pytest.raises(DataError, match="torch.distributed does not run; start with torchrun"):
        ShardedIdentification(6, 11)
    features, labels, weight, bias = problem(10, 1)
    with pytest.raises(DataError, match="n_sampled = 0; draw 1 person or more"):
        sampled_cross_entropy(features, labels, weight, bias, 0)


@pytest.mark.parametrize(("n_people", "n_processes"), [(10, 1), (10, 2), (11, 4), (3, 3)])
def test_everybody_is_held_once(n_people, n_processes):
    shares = [range(*people_of(n_people, rank, n_processes)) for rank in range(n_processes)]
    assert [person for share in shares for person in share] == list(range(n_people))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_sampled_softmax_of_all_people_is_exact():
    features, labels, weight, bias = problem(50, 1)
    weight.requires_grad_()
    exact = gradients(F.cross_entropy(F.linear(features, weight, bias), labels), weight)
    sampled = gradients(sampled_cross_entropy(features, labels, weight, bias, 50), weight)
    torch.testing.assert_close(sampled, exact)
    everybody = torch.arange(50)  # nobody is left to draw
    found = sampled_cross_entropy(torch.zeros(50, 6), everybody, weight, 0 * bias, 5)
    assert found.item() == pytest.approx(np.log(50))


def test_sampled_softmax_has_the_right_sum_on_average_and_touches_the_drawn_rows_only():
    features, labels, weight, bias = problem(400, 0.5)
    features, labels = features[:1], labels[:1]
    draws = torch.Generator().manual_seed(0)
    losses = torch.stack([sampled_cross_entropy(features, labels, weight, bias, 40, draws) for _ in range(2000)])
    score = F.linear(features, weight, bias)[0]
    total = (losses + score[labels]).exp()  # the sum of exponentials that each draw stands for
    standard_error = (total.std() / len(total) ** 0.5).item()
    assert total.mean().item() == pytest.approx(score.exp().sum().item(), abs=4 * standard_error)
    assert standard_error < 0.02 * score.exp().sum().item()
    weight.requires_grad_()
    sampled_cross_entropy(features, labels, weight, bias, 40, draws, sparse=True).backward()
    assert weight.grad.is_sparse and len(weight.grad.coalesce().indices()[0]) == 41
    torch.optim.SparseAdam([weight], lr=0.1).step()
