"""Image -> latent: which inputs make a frozen generator paint this? The one search by gradients outside training.

Zhu et al. (2016, "Generative visual manipulation on the natural image manifold", section 3.1) solve
``min over z of L(G(z), x)`` by gradient descent. Starts matter more than steps: the search begins at those of many
seeds whose images are nearest already, which also chooses the class of a conditional model.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gancli.errors import GancliError, UsageError
from gancli.latents import Inputs, batches

if TYPE_CHECKING:
    from gancli.model import Model

Progress = Callable[[int], None]
Loss = Callable[[Tensor, Inputs, slice], Tensor]
"""Made images (N, K, C, H, W) in [0, 1], their inputs (N, K, …), and which of the searches the N are, to (N, K)."""

STEPS, RESTARTS, RATE = 300, 4, 0.1
SEEDS = 1024
"""Seeds among which the starts are found."""

CANDIDATES, VALUES = 256, 2**20
"""Images that are made at once, at most, and pixel values of them all."""


def invert(
    model: Model, images: Tensor, *, steps: int = STEPS, restarts: int = RESTARTS, progress: Progress | None = None
) -> Inputs:
    """The inputs whose images come nearest to the given ones, by mean squared error over all pixels.

    Args:
        model: any model that makes pictures from latents.
        images: uint8 (N, C, H, W) of the model's shape.
        steps: steps of Adam for each start.
        restarts: starts for each image; the best end wins.
        progress: told how many images have come one step further; in all N * steps.

    Returns:
        what ``model.generate`` takes, N rows on the CPU. A class, where the model takes one, is that of the best start.

    Raises:
        UsageError: a model that makes no pictures from latents, images of another shape, no step or start.
    """
    check_images(model, images)
    wanted = (images.float() / 255).to(model.device)

    def loss(made: Tensor, inputs: Inputs, which: slice) -> Tensor:
        return (made - wanted[which, None]).square().flatten(2).mean(2)

    return search(model, loss, len(images), steps=steps, restarts=restarts, progress=progress)


def search(
    model: Model,
    loss: Loss,
    n: int,
    *,
    nearness: Loss | None = None,
    steps: int = STEPS,
    restarts: int = RESTARTS,
    progress: Progress | None = None,
) -> Inputs:
    """The inputs with the smallest loss, found for each of ``n`` searches on its own.

    After every step the latents are brought back to where their distribution puts them, which is the prior: Yeh et al.
    (2017, section 3.3) do so with uniform ones.

    Args:
        model: makes pictures from latents.
        loss: of made images; see :data:`Loss`. Each search sees its own row only.
        n: how many searches there are.
        nearness: a loss by which to choose the starts, where the other takes long; that one unless given.
        steps: steps of Adam for each start, with a rate that falls to zero.
        restarts: starts for each search, the best of :data:`SEEDS` seeds.
        progress: told how many searches have come one step further.
    """
    check_latents(model)
    if steps < 0 or not 1 <= restarts <= SEEDS:
        raise UsageError(f"a search with {steps} steps and {restarts} starts finds nothing", "300 steps and 4 starts")
    found = []
    together = max(1, _at_once(model) // restarts)
    for start in range(0, n, together):
        which = slice(start, min(start + together, n))
        inputs = _starts(model, nearness or loss, which, restarts)
        found.append(_descend(model, loss, which, inputs, steps, progress))
    return (
        {name: torch.cat([part[name] for part in found]) for name in found[0]} if found else model.latent.from_seeds([])
    )


def _at_once(model: Model) -> int:
    return max(1, min(CANDIDATES, VALUES // math.prod(model.shape)))


def _starts(model: Model, loss: Loss, which: slice, restarts: int) -> Inputs:
    """For each search the seeds whose images lose least: inputs (N, restarts, ...)."""
    pool = model.latent.from_seeds(range(SEEDS))
    n, losses = which.stop - which.start, []
    with torch.inference_mode():
        for inputs in batches(pool, max(1, _at_once(model) // n)):
            made = pictures(model, inputs)
            every = {name: values.to(model.device).expand(n, *values.shape) for name, values in inputs.items()}
            losses.append(loss(made.expand(n, *made.shape), every, which).cpu())
    best = torch.cat(losses, 1).topk(restarts, dim=1, largest=False).indices
    return {name: values[best] for name, values in pool.items()}


def _descend(model: Model, loss: Loss, which: slice, inputs: Inputs, steps: int, progress: Progress | None) -> Inputs:
    """Improve every start by Adam and keep the best end of each search: inputs (N, K, ...) to (N, ...), on the CPU."""
    n, restarts = inputs["z"].shape[:2]
    flat = {name: values.flatten(0, 1).to(model.device) for name, values in inputs.items()}
    # Classes are chosen with the start: there is no gradient towards another class.
    free = [values.requires_grad_() for name, values in flat.items() if name != "y"]

    def losses() -> Tensor:
        made = pictures(model, flat)
        inputs = {name: values.unflatten(0, (n, restarts)) for name, values in flat.items()}
        return loss(made.unflatten(0, (n, restarts)), inputs, which)

    adam = torch.optim.Adam(free, lr=RATE)
    for step in range(steps):
        adam.param_groups[0]["lr"] = RATE * (1 - step / steps)
        # Each loss depends on its own latent only, so that the sum's gradient holds them all.
        for values, slope in zip(free, torch.autograd.grad(losses().sum(), free), strict=True):
            values.grad = slope
        adam.step()
        with torch.no_grad():
            for name, values in model.latent.confine(flat).items():
                flat[name].copy_(values)
        if progress:
            progress(n)
    with torch.no_grad():
        ends = losses()
    best = torch.where(ends.isnan(), math.inf, ends).argmin(1) + torch.arange(n, device=ends.device) * restarts
    return {name: values.detach()[best].cpu() for name, values in flat.items()}


def pictures(model: Model, inputs: Inputs) -> Tensor:
    """Images in [0, 1], float32 (N, C, H, W) on the model's device; gradients flow to the inputs."""
    low, high = model.generator.range
    made = model.generator(**{name: values.to(model.device) for name, values in inputs.items()})
    return (made.float() - low) / (high - low)


def check_latents(model: Model) -> None:
    """Make sure that a model makes pictures, and makes them from latents.

    Raises:
        UsageError: it translates source images, or makes numbers.
    """
    if model.takes != "latent":
        raise UsageError(
            f"{model.name} turns images into images: it has no latent to search or walk through",
            f"gancli translate {model.name} IMAGES --out DIR",
        )
    if model.numbers:
        raise UsageError(
            f"{model.name} makes numbers, not pictures",
            "name a model of images, such as dcgan/mnist; `gancli zoo list`",
        )


def check_images(model: Model, images: Tensor) -> None:
    """Make sure that images are such as the model makes: uint8 (N, C, H, W).

    Raises:
        GancliError: another type or shape.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or tuple(images.shape[1:]) != model.shape:
        kind, shape = str(images.dtype).removeprefix("torch."), tuple(images.shape)
        raise GancliError(
            f"the images are {kind} {shape}", f"{model.name} makes uint8 (N, {', '.join(map(str, model.shape))})"
        )
