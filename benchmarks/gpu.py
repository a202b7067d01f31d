"""The rows that need a GPU: the training loop, the same step compiled, and extraction, beside the GPU's own roof.

Images lie on the device as bytes, are augmented there, and go through the net channels-last in bf16.
"""

import loops
import numpy as np
import torch
from _timing import take_turns
from torch import nn

from deepid_lite.nets.batches import FaceBatches
from deepid_lite.nets.training import TwoSignalObjective, make_optimizer
from deepid_lite.verification.features import extract


def compiled_steps(recipe, n_people, steps, device, compiled=True):
    """A function that takes `steps` training steps and waits for them: the loop's step, with the net compiled.

    Only the net goes through torch.compile: the margin of the losses follows the data and would break the graph.
    """
    images, labels = loops.noise(n_people, loops.shape_of(recipe))
    batches = FaceBatches(images, labels, recipe, loops.shape_of(recipe))
    torch.manual_seed(0)
    objective = TwoSignalObjective(recipe, n_people).to(device, memory_format=torch.channels_last).train()
    optimizer = make_optimizer(objective, recipe, torch.device(device))
    net = torch.compile(objective.net) if compiled else objective.net

    def run():
        for step in range(steps):
            x, people = batches(step, device)
            with torch.autocast(torch.device(device).type, torch.bfloat16):
                features = net(x)
                dropped = {head: nn.functional.dropout(f, objective.net.dropout.p) for head, f in features.items()}
                loss, _ = objective.losses(features, dropped, people)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        loops.wait(device)

    run()  # warm-up, and compilation
    return run


def rates(recipes, n_people, steps, seconds, device="cuda", compiled=True, size=8192):
    """For each recipe of {name: recipe}: images a second of our loop, of the compiled step and of the plain loop.

    Beside them operations a second, the roof in bf16, and images a second of extraction.
    """
    found = {"roof_bf16": 2 * size**3 / take_turns({"roof": loops.roof(size, torch.bfloat16, device)}, 5)["roof"]}
    for name, recipe in recipes.items():
        run = compiled_steps(recipe, n_people, steps, device, compiled)
        loop = loops.seconds_a_step(recipe, n_people, seconds / 3, steps, device)
        plain = loops.seconds_a_step(recipe, n_people, seconds / 3, steps, device, loops.plain)
        step = take_turns({"step": run}, seconds / 3)["step"] / steps
        rate = {way: recipe.batch_size / t for way, t in (("loop", loop), ("compiled", step), ("plain", plain))}
        share = rate["compiled"] * loops.operations(recipe, n_people) / found["roof_bf16"]
        found[name] = rate | {"batch": recipe.batch_size, "share_of_roof": share}
    net = TwoSignalObjective(recipe, n_people).net.to(device, memory_format=torch.channels_last)
    shape = (4 * recipe.batch_size, *net.config["input_shape"], 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    call = {"extract": lambda: extract(net, images, batch_size=recipe.batch_size, precision="bf16")}
    found["extraction"] = len(images) / take_turns(call, seconds / 3)["extract"]
    if torch.device(device).type == "cuda":
        found |= {"device": torch.cuda.get_device_name(), "memory": torch.cuda.max_memory_allocated()}
    return found
