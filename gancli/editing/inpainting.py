"""Filling holes with a generator that was never trained to fill any.

Yeh et al. (2017, "Semantic image inpainting with deep generative models"): search the latent whose image agrees with
what is left around the hole and looks real, then blend that image into the hole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from gancli.alpha import premultiply, straighten
from gancli.architectures import Discriminator
from gancli.editing.inversion import RESTARTS, STEPS, Progress, SearchSpace, pictures, search
from gancli.errors import UsageError
from gancli.latents import Inputs

if TYPE_CHECKING:
    from gancli.model import Model

WINDOW = 7
"""Pixels across and down, around a pixel, that decide its importance (the paper's size)."""

ELSEWHERE = 0.1
"""Importance of a pixel without a hole nearby. The paper's is 0, which leaves open what a hole in a digit belongs to:
with 0.1, holes of 10x10 in 24 test digits were filled 0.7 dB better."""

PRIOR = 0.003
"""Weight of the prior loss beside the contextual loss (lambda in section 4)."""


def inpaint(
    model: Model,
    images: Tensor,
    holes: Tensor,
    *,
    discriminator: Discriminator | None = None,
    space: SearchSpace | None = None,
    prior: float = PRIOR,
    steps: int = STEPS,
    restarts: int = RESTARTS,
    progress: Progress | None = None,
) -> tuple[Tensor, Inputs]:
    """Fill holes, with the contextual and the prior loss of the paper's equations 4 to 6.

    Args:
        model: makes pictures from latents.
        images: uint8 (N, C, H, W) of the model's shape; the pixels in a hole do not matter.
        holes: bool (N, H, W), true where something is missing.
        discriminator: images in the generator's range to logits, for the prior loss. Without it the prior is the
            latent's own: it stays where its distribution puts it.
        space: z, w or w+, to search in; z or w unless given, since rows of w by themselves may leave what is typical.
        prior: weight of the prior loss.
        steps: steps of Adam for each start.
        restarts: starts for each image.
        progress: told how many images have come one step further; in all N * steps.

    Returns:
        The images with the holes filled, uint8 (N, C, H, W), and the latents that filled them.

    Raises:
        UsageError: a hole of nothing or of everything; a model that makes no pictures from latents.
    """
    model.check_images(images)
    check_holes(images, holes)
    known = premultiply(images.float()) / 255
    target, weights = known.to(model.device), importance(holes).to(model.device)
    low, high = model.range

    def contextual(made: Tensor, inputs: Inputs, which: slice) -> Tensor:
        apart = (made - target[which, None]).abs().mean(2)
        return (apart * weights[which, None]).flatten(2).sum(2)

    def loss(made: Tensor, inputs: Inputs, which: slice) -> Tensor:
        if discriminator is None:
            return contextual(made, inputs, which)
        logits = _logits(discriminator, made.flatten(0, 1) * (high - low) + low, inputs)
        # A higher logit is more real for every loss: -log D of the paper's log(1 - D), which has no gradient left
        # where D is sure.
        return contextual(made, inputs, which) + prior * F.softplus(-logits).unflatten(0, made.shape[:2])

    inputs = search(
        model,
        loss,
        len(images),
        nearness=contextual,
        space=space,
        steps=steps,
        restarts=restarts,
        progress=progress,
    )
    with torch.inference_mode():
        made = pictures(model, inputs).cpu()
    blended = blend(known, made, holes)
    return straighten(blended * 255).round_().clamp_(0, 255).byte(), inputs


def _logits(discriminator: Discriminator, images: Tensor, inputs: Inputs) -> Tensor:
    """Logits (N,) of images in the generator's range, of the classes that the generator was given."""
    condition = {"y": inputs["y"].flatten()} if discriminator.conditional else {}
    output = discriminator(images, **condition)
    return (output if isinstance(output, Tensor) else output[0]).float().flatten(1).mean(1)


def check_holes(images: Tensor, holes: Tensor) -> None:
    """Make sure that each image has a hole, and something around it.

    Raises:
        UsageError: a mask of another size, an image without a hole, or one that is nothing but hole.
    """
    if holes.dtype != torch.bool or holes.shape != (len(images), *images.shape[2:]):
        raise UsageError(f"the mask is {tuple(holes.shape)}, the images are {tuple(images.shape)}", "one mask an image")
    filled = holes.flatten(1).float().mean(1)
    if not bool(((filled > 0) & (filled < 1)).all()):
        raise UsageError("the hole must be a part of the image, and not all of it", "it is what is white in the mask")


def importance(holes: Tensor) -> Tensor:
    """How much each known pixel counts: the more of its neighbours are missing, the more (equation 3), and a little.

    Args:
        holes: bool (N, H, W).

    Returns:
        (N, H, W), 0 in the hole, with a sum of 1 for each image.
    """
    missing = holes.float()[:, None]
    share = F.avg_pool2d(missing, WINDOW, stride=1, padding=WINDOW // 2, count_include_pad=False)
    weights = ((share + ELSEWHERE) * (1 - missing))[:, 0]
    return weights / weights.sum((1, 2), keepdim=True)


def blend(images: Tensor, made: Tensor, holes: Tensor) -> Tensor:
    """Poisson blending (Pérez et al. 2003, equation 3): the generator's edges in the hole, no seam around it.

    What is added to the made image is the smoothest function that equals ``images - made`` at the rim of the hole:
    the solution of Laplace's equation, found by conjugate gradients.

    Args:
        images: (N, C, H, W), what is known.
        made: (N, C, H, W), what goes into the holes.
        holes: bool (N, H, W).
    """
    inside = holes[:, None].double()
    apart = (images - made).double() * (1 - inside)

    def laplacian(values: Tensor) -> Tensor:
        return _laplacian(values) * inside

    # The unknown x lives in the hole only: laplacian(x) = -laplacian(apart).
    filling = torch.zeros_like(apart)
    rest = -laplacian(apart)
    direction, size = rest, rest.square().sum((1, 2, 3), keepdim=True)
    for _ in range(4 * sum(images.shape[2:])):
        if float(size.max()) < 1e-12:
            break
        ahead = laplacian(direction)
        step = size / (direction * ahead).sum((1, 2, 3), keepdim=True).clamp_min(1e-30)
        filling, rest = filling + step * direction, rest - step * ahead
        before, size = size, rest.square().sum((1, 2, 3), keepdim=True)
        direction = rest + size / before.clamp_min(1e-30) * direction
    return torch.where(holes[:, None], made + filling.float(), images)


def _laplacian(values: Tensor) -> Tensor:
    """The sum of the differences from the up to four neighbours inside the image, (N, C, H, W)."""
    total = torch.zeros_like(values)
    for dim in (2, 3):
        step = values.diff(dim=dim)
        length = values.shape[dim]
        total.narrow(dim, 1, length - 1).add_(step)
        total.narrow(dim, 0, length - 1).sub_(step)
    return total
