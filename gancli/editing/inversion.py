"""Image -> latent: which inputs make a frozen generator paint this? The one search by gradients outside training.

Zhu et al. (2016, "Generative visual manipulation on the natural image manifold", section 3.1) solve
``min over z of L(G(z), x)`` by gradient descent. Starts matter more than steps: the search begins at those of many
seeds whose images are nearest already, which also chooses the class of a conditional model.

With a mapping network the search is in w, one row for all layers, or in w+, a row for each (Abdal et al. 2019,
"Image2StyleGAN", section 3.2). There one start is the mean of w (Karras et al. 2020, "Analyzing and improving the image
quality of StyleGAN", appendix D), and the loss compares features of a classifier too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from gancli.alpha import premultiply
from gancli.errors import UsageError
from gancli.latents import Inputs, batches

if TYPE_CHECKING:
    from gancli.model import Model

Progress = Callable[[int], None]
Loss = Callable[[Tensor, Inputs, slice], Tensor]
"""Made images (N, K, C, H, W) in [0, 1], their inputs (N, K, …), and which of the searches the N are, to (N, K)."""

SearchSpace = Literal["z", "w", "w+"]
"""z; w with one row for all layers; w with a row for each layer."""

STEPS, RESTARTS, RATE = 300, 4, 0.1
SEEDS = 1024
"""Seeds among which the starts are found."""

FEWER = 2
"""Starts in w and w+, which are smoother than z, and where features take long: the mean and the nearest seed."""

BATCH = 50
"""Images whose features are computed at once, where no gradient is needed."""

CANDIDATES, VALUES = 256, 2**20
"""Images that are made at once, at most, and pixel values of them all."""

PERCEPTUAL = 0.05
"""Weight of the features' distance beside the mean squared error, in w and w+. With it, searches for six digits of
`dcgan/mnist` in `quick/mnist` ended at a distance of 0.047 in place of 0.065, for 0.15 dB of PSNR."""


def search_space(model: Model, asked: SearchSpace | None = None) -> SearchSpace:
    """The space to search in: the one asked for, or else the one that comes nearest to images.

    Raises:
        UsageError: w of a generator without a mapping network, or w+ of one without layers.
    """
    if asked == "z" or (asked is None and model.space() == "z"):
        return "z"
    model.space("w")
    layers = model.latents().layers
    if asked == "w+" and layers == 1:
        raise UsageError(f"'{model.name}' has one row of w for its whole generator: w+ is w", "use `space=w`")
    return asked or ("w+" if layers > 1 else "w")


def invert(
    model: Model,
    images: Tensor,
    *,
    space: SearchSpace | None = None,
    steps: int = STEPS,
    restarts: int | None = None,
    progress: Progress | None = None,
) -> Inputs:
    """The inputs whose images come nearest to the given ones.

    In z that is by mean squared error over all pixels; in w and w+ by that and, with the weight :data:`PERCEPTUAL`, by
    the squared distance of features over their squared length, for which :class:`Perception` has the classifier.

    Args:
        model: any model that makes pictures from latents.
        images: uint8 (N, C, H, W) of the model's shape.
        space: z, w or w+; see :func:`search_space`.
        steps: steps of Adam for each start.
        restarts: starts for each image, of which the best end wins; 4 in z and 2 in w and w+ unless given.
        progress: told how many images have come one step further; in all N * steps.

    Returns:
        what ``model.generate`` takes, N rows on the CPU. A class, where the model takes one, is that of the best start.

    Raises:
        UsageError: a model that makes no pictures from latents, images of another shape, no step or start, no such
            space.
    """
    model.check_images(images)
    check_latents(model)
    space = search_space(model, space)
    if restarts is None:
        restarts = RESTARTS if space == "z" else FEWER
    target = (premultiply(images.float()) / 255).to(model.device)

    def pixels(made: Tensor, inputs: Inputs, which: slice) -> Tensor:
        return (made - target[which, None]).square().flatten(2).mean(2)

    if space == "z" or not len(images):
        return search(model, pixels, len(images), space=space, steps=steps, restarts=restarts, progress=progress)
    perception = Perception(model, target)

    def loss(made: Tensor, inputs: Inputs, which: slice) -> Tensor:
        return pixels(made, inputs, which) + PERCEPTUAL * perception.distance(made, which)

    return search(
        model,
        loss,
        len(images),
        nearness=pixels,
        values=perception.values,
        space=space,
        steps=steps,
        restarts=restarts,
        progress=progress,
    )


class Perception:
    """A classifier's view of some images (Johnson et al. 2016, "Perceptual losses for real-time style transfer and
    super-resolution", section 3.2).

    The classifier is that of the model's data, or an EfficientNet trained on photographs; transparent images are put on
    white.

    Args:
        model: whose images are compared.
        target: (N, C, H, W) in [0, 1], on the model's device.

    Attributes:
        values: how many pixel values of one image the classifier takes.
    """

    def __init__(self, model: Model, target: Tensor) -> None:
        from gancli.evaluation import extractors

        self.extractor = extractors.usual(model.data_name or "")
        self.network = self.extractor.load()[0].to(model.device)
        self.values = self.extractor.channels * math.prod(self.extractor.size)
        with torch.no_grad():
            self.target = torch.cat([self._features(part) for part in target.split(BATCH)])

    def distance(self, made: Tensor, which: slice) -> Tensor:
        """Made images (N, K, C, H, W) in [0, 1] to the distance (N, K) from those images of ``which``."""
        target = self.target[which, None]
        features = self._features(made.flatten(0, 1)).unflatten(0, made.shape[:2])
        return (features - target).square().sum(2) / target.square().sum(2).clamp_min(1e-8)

    def _features(self, images: Tensor) -> Tensor:
        from gancli.evaluation.features import prepare

        if images.shape[1] == 4:
            images = images[:, :3] + 1 - images[:, 3:]  # colours are premultiplied
        return self.network(prepare(images * 255, self.extractor))[0]


def search(
    model: Model,
    loss: Loss,
    n: int,
    *,
    nearness: Loss | None = None,
    values: int = 0,
    space: SearchSpace | None = None,
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
        values: of pixels that the loss computes with for each image, where these are more than the image's.
        space: z, w or w+; z or w, whichever suits the model, unless given.
        steps: steps of Adam for each start, with a rate that falls to zero.
        restarts: starts for each search, the best of :data:`SEEDS` seeds.
        progress: told how many searches have come one step further.
    """
    check_latents(model)
    if steps < 0 or not 1 <= restarts <= SEEDS:
        raise UsageError(f"a search with {steps} steps and {restarts} starts finds nothing", "300 steps and 4 starts")
    space = search_space(model, space or model.space())
    pool = _pool(model, space)
    if not n:
        return {name: values[:0] for name, values in _whole(model, pool).items()}
    together = max(1, _at_once(model, values) // restarts)
    found = []
    for start in range(0, n, together):
        which = slice(start, min(start + together, n))
        inputs = _starts(model, pool, nearness or loss, which, restarts)
        found.append(_descend(model, loss, which, inputs, steps, progress))
    return _whole(model, {name: torch.cat([part[name] for part in found]) for name in pool})


def _pool(model: Model, space: SearchSpace) -> Inputs:
    """The points among which the starts are found; in w and w+ the mean comes first."""
    inputs = model.latent.from_seeds(range(SEEDS))
    if space == "z":
        return inputs
    pool = model.points(inputs, "w")
    if space == "w" and pool["w"].dim() == 3:
        pool["w"] = pool["w"].mean(1)
    mean = model.centre("w")["w"].expand_as(pool["w"][:1])
    return {name: torch.cat([mean if name == "w" else each[:1], each]) for name, each in pool.items()}


def _whole(model: Model, inputs: Inputs) -> Inputs:
    """Inputs with a row of w for each layer, where a search in w has one for all."""
    layers = model.latents().layers
    if "w" not in inputs or layers == 1 or inputs["w"].dim() == 3:
        return inputs
    return {**inputs, "w": inputs["w"][:, None].expand(-1, layers, -1)}


def _at_once(model: Model, values: int = 0) -> int:
    return max(1, min(CANDIDATES, VALUES // max(values, math.prod(model.shape))))


@torch.no_grad()
def _starts(model: Model, pool: Inputs, loss: Loss, which: slice, restarts: int) -> Inputs:
    """For each search the points of the pool whose images lose least, and the mean of w: inputs (N, restarts, ...)."""
    n, losses = which.stop - which.start, []
    for inputs in batches(pool, max(1, _at_once(model) // n)):
        made = pictures(model, inputs)
        alike = {name: values.to(model.device).expand(n, *values.shape) for name, values in inputs.items()}
        losses.append(loss(made.expand(n, *made.shape), alike, which).cpu())
    every = torch.cat(losses, 1)
    if "w" in pool:
        every[:, 0] = -math.inf
    best = every.topk(restarts, dim=1, largest=False).indices
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
    """Images in [0, 1], float32 (N, C, H, W) on the model's device; gradients flow to the inputs.

    With alpha, colours are premultiplied.
    """
    low, high = model.range
    return (model.render(_whole(model, inputs)).float() - low) / (high - low)


def check_latents(model: Model) -> None:
    """Make sure that a model makes pictures, and makes them from latents.

    Raises:
        UsageError: it translates source images, or makes numbers.
    """
    model.latents()
    _ = model.range
