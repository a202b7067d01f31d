"""What the identification head costs with many people, and the two ways out: sampling, and processes that share it.

A step of a head alone: features of a batch (noise), bf16 scores, cross-entropy, gradients, fused AdamW.
"""

import time
from functools import partial

import psutil
import torch
from _timing import Contender, ContenderDied, best_time, peak_memory, take_turns
from sharded import ShardedIdentification, sampled_cross_entropy
from torch import distributed

from deepid_lite.nets.losses import Identification
from deepid_lite.nets.training import keep_freed_memory

REPEATS = 3


def batch_of(n, dimension, n_people):
    draws = torch.Generator().manual_seed(0)
    features = torch.randn(n, dimension, generator=draws).requires_grad_()
    return features, torch.randint(n_people, (n,), generator=draws)


def full_step(head, optimizer, features, labels):
    with torch.autocast("cpu", torch.bfloat16):
        loss = head(features, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def sampled_step(head, optimizers, n_sampled, features, labels):
    weight, bias = head.classifier.weight, head.classifier.bias
    with torch.autocast("cpu", torch.bfloat16):
        loss = sampled_cross_entropy(features, labels, weight, bias, n_sampled, sparse=True)
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    return loss.item()


def bytes_needed(n_people, dimension, batch, n_sampled=None):
    """About how much one head takes: to know before it is tried.

    Weights, gradient and Adam's two moments have four bytes each, the bf16 copies of weights and gradient two; an image
    and a person share some 24 bytes of scores, probabilities and their gradients.
    """
    if n_sampled:
        return n_people * dimension * 12 + (batch + n_sampled) * (24 * batch + 24 * dimension)
    return n_people * (dimension * 20 + 24 * batch)


def head_steps(turn, n_people, dimension, batch, n_sampled):
    """One turn: (seconds a step, bytes of memory that the head took at most)."""
    keep_freed_memory()
    before = peak_memory()
    head = Identification(dimension, n_people)
    features, labels = batch_of(batch, dimension, n_people)
    if n_sampled:
        weight, bias = head.classifier.weight, head.classifier.bias
        optimizers = [torch.optim.SparseAdam([weight]), torch.optim.AdamW([bias], fused=True)]
        step = partial(sampled_step, head, optimizers, n_sampled, features, labels)
    else:
        step = partial(full_step, head, torch.optim.AdamW(head.parameters(), fused=True), features, labels)
    step()  # warm-up: makes the moments
    turn(None)
    seconds, _ = best_time(step, REPEATS, time.perf_counter)
    turn((seconds, peak_memory() - before))


def head_cost(n_people, dimension, batch, n_sampled=None):
    """{seconds, bytes} of one step in a process of its own, or {not_measured: why}."""
    if n_sampled and n_sampled >= n_people:
        return {"not_measured": f"there are no more than the {n_sampled:,} that are drawn"}
    needs, free = bytes_needed(n_people, dimension, batch, n_sampled), psutil.virtual_memory().available
    if needs > 0.9 * free:
        return {"not_measured": f"needs about {needs / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free"}
    try:
        with Contender(head_steps, n_people, dimension, batch, n_sampled) as contender:
            seconds, peak = contender.turn()
    except ContenderDied as error:
        return {"not_measured": str(error)}
    return {"seconds": seconds, "bytes": peak}


def head_costs(sizes, dimension, batch, n_sampled, seconds):
    """A row {people, full, sampled} for each size; each way of the two has half of the seconds."""
    rows = [{"people": n_people} for n_people in sizes]
    for way, drawn in (("full", None), ("sampled", n_sampled)):
        left, step, before = seconds / 2, 0.0, 1
        for row in rows:
            if 8 * step * row["people"] / before > left:  # to make the weights takes as long as some steps
                row[way] = {"not_measured": f"would take longer than this row's {seconds:.0f} seconds"}
                continue
            start = time.perf_counter()
            row[way] = head_cost(row["people"], dimension, batch, drawn)
            step, before = row[way].get("seconds", 0.0), row["people"]
            left -= time.perf_counter() - start
    return rows


def shared_steps(turn, rank, n_processes, n_people, dimension, batch, threads, folder):
    """Each turn is one step of this process's share: (seconds, loss). Asked for "memory", it says the most it held."""
    keep_freed_memory()
    torch.set_num_threads(threads)
    before = peak_memory()
    if n_processes > 1:
        where = f"file://{folder}/store"
        distributed.init_process_group("gloo", init_method=where, rank=rank, world_size=n_processes)
    head = (ShardedIdentification if n_processes > 1 else Identification)(dimension, n_people)
    torch.nn.init.zeros_(head.classifier.weight)  # the same start for one process and for many
    optimizer = torch.optim.AdamW(head.parameters(), fused=True)
    features, labels = batch_of(batch, dimension, n_people)
    full_step(head, optimizer, features, labels)
    question = turn(None)
    while True:
        if question == "memory":
            question = turn(peak_memory() - before)
        else:
            seconds, loss = best_time(lambda: full_step(head, optimizer, features, labels), 1, time.perf_counter)
            question = turn((seconds, loss))


def sharing(n_people, dimension, batch, seconds, folder):
    """One process with all threads against two with half of them each: seconds a step, bytes a process, losses."""
    threads = torch.get_num_threads()
    fixed = n_people, dimension, batch
    with (
        Contender(shared_steps, 0, 1, *fixed, threads, folder) as one,
        Contender(shared_steps, 0, 2, *fixed, max(1, threads // 2), folder) as first,
        Contender(shared_steps, 1, 2, *fixed, max(1, threads // 2), folder) as second,
    ):
        losses = {"one": [], "two": []}
        for process in (one, first, second):
            process.wait()

        def both():
            first.ask()
            second.ask()
            found = first.answer(), second.answer()
            losses["two"].append(found[0][1])
            return max(took for took, _ in found)

        def alone():
            took, loss = one.turn()
            losses["one"].append(loss)
            return took

        times = take_turns({"one": alone, "two": both}, seconds)
        memory = {"one": one.turn("memory"), "two": max(process.turn("memory") for process in (first, second))}
    apart = max(abs(a - b) / abs(a) for a, b in zip(losses["one"], losses["two"], strict=True))
    return {"people": n_people, "seconds": times, "bytes_a_process": memory, "losses_apart": apart, "threads": threads}
