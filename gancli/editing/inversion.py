"""Image -> latent: which inputs make a frozen generator paint this? The one search by gradients outside training.

Zhu et al. (2016, "Generative visual manipulation on the natural image manifold", section 3.1) solve
``min over z of L(G(z), x)`` by gradient descent. Starts matter more than steps: the search begins at those of many
seeds whose images are nearest already, which also chooses the class of a conditional model. It works in the space
that the model names best: z, or every row of w where there is a mapping network (Abdal et al. 2019, "Image2StyleGAN",
section 3.2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gancli.errors import UsageError
from gancli.latents import Inputs, Space, batches

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
    model: Model,
    images: Tensor,
    *,
    space: Space | None = None,
    steps: int = STEPS,
    restarts: int = RESTARTS,
    progress: Progress | None = None,
) -> Inputs:
    """The inputs whose images come nearest to the given ones, by mean squared error over all pixels.

    Args:
        model: any model that makes pictures from latents.
        images: uint8 (N, C, H, W) of the model's shape.
        space: z or w; the model's best unless given.
        steps: steps of Adam for each start.
        restarts: starts for each image; the best end wins.
        progress: told how many images have come one step further; in all N * steps.

    Returns:
        what ``model.generate`` takes, N rows on the CPU. A class, where the model takes one, is that of the best start.

    Raises:
        UsageError: a model that makes no pictures from latents, images of another shape, no step or start, no such
            space.
    """
    model.check_images(images)
    target = (images.float() / 255).to(model.device)

    def loss(made: Tensor, inputs: Inputs, which: slice) -> Tensor:
        return (made - target[which, None]).square().flatten(2).mean(2)

    return search(model, loss, len(images), space=space, steps=steps, restarts=restarts, progress=progress)


def search(
    model: Model,
    loss: Loss,
    n: int,
    *,
    nearness: Loss | None = None,
    space: Space | None = None,
    steps: int = STEPS,
    restarts: int = RESTARTS,
    progress: Progress | None = None,
) -> Inputs:
    """The inputs with the smallest loss, found for each of ``n`` searches on its own.

    After every step z is brought back to where its distribution puts it, which is the prior: Yeh et al. (2017, section
    3.3) do so with uniform latents. w has no such prior.

    Args:
        model: makes pictures from latents.
        loss: of made images; see :data:`Loss`. Each search depends on its own row only.
        n: how many searches there are.
        nearness: a loss by which to choose the starts, where the other takes long; that one unless given.
        space: z or w; the model's best unless given.
        steps: steps of Adam for each start, with a rate that falls to zero.
        restarts: starts for each search, the best of :data:`SEEDS` seeds.
        progress: told how many searches have come one step further.
    """
    check_latents(model)
    if steps < 0 or not 1 <= restarts <= SEEDS:
        raise UsageError(f"a search with {steps} steps and {restarts} starts finds nothing", "300 steps and 4 starts")
    pool = model.points(model.latent.from_seeds(range(SEEDS)), model.space(space))
    if not n:
        return {name: values[:0] for name, values in pool.items()}
    together = max(1, _at_once(model) // restarts)
    found = []
    for start in range(0, n, together):
        which = slice(start, min(start + together, n))
        inputs = _starts(model, pool, nearness or loss, which, restarts)
        found.append(_descend(model, loss, which, inputs, steps, progress))
    return {name: torch.cat([part[name] for part in found]) for name in pool}


def _at_once(model: Model) -> int:
    return max(1, min(CANDIDATES, VALUES // math.prod(model.shape)))


@torch.no_grad()
def _starts(model: Model, pool: Inputs, loss: Loss, which: slice, restarts: int) -> Inputs:
    """For each search the points of the pool whose images lose least: inputs (N, restarts, ...)."""
    n, losses = which.stop - which.start, []
    for inputs in batches(pool, max(1, _at_once(model) // n)):
        made = pictures(model, inputs)
        every = {name: values.to(model.device).expand(n, *values.shape) for name, values in inputs.items()}
        losses.append(loss(made.expand(n, *made.shape), every, which).cpu())
    best = torch.cat(losses, 1).topk(restarts, dim=1, largest=False).indices
    return {name: values[best] for name, values in pool.items()}


def _descend(model: Model, loss: Loss, which: slice, inputs: Inputs, steps: int, progress: Progress | None) -> Inputs:
    """Improve every start by Adam and keep the best end of each search: inputs (N, K, ...) to (N, ...), on the CPU."""
    n, restarts = next(iter(inputs.values())).shape[:2]
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
        for values, gradient in zip(free, torch.autograd.grad(losses().sum(), free), strict=True):
            values.grad = gradient
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
    low, high = model.range
    return (model.render(inputs).float() - low) / (high - low)


def check_latents(model: Model) -> None:
    """Make sure that a model makes pictures, and makes them from latents.

    Raises:
        UsageError: it translates source images, or makes numbers.
    """
    model.latents()
    _ = model.range
