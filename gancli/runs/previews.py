"""Previews of a training: images from fixed seeds, how they compare with real ones, and the pictures of a run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from gancli.alpha import premultiply, straighten
from gancli.architectures import from_uint8, to_uint8
from gancli.data import Dataset
from gancli.recipe.schedules import value_at
from gancli.recipe.sections import EarlierPlan, Training
from gancli.rendering.animation import save_animation
from gancli.rendering.images import opaque, save_grid
from gancli.rendering.numbers import Plot
from gancli.rendering.plots import save_losses
from gancli.runs.folder import METRICS_FILE, SAMPLES
from gancli.runs.health import of_training
from gancli.runs.metrics_log import read_metrics
from gancli.terms.batch import Batch, SampleRandom
from gancli.training.batches import batches_of
from gancli.training.loop import Trainer

FRAMES = 60
"""Previews over a run: dense at the start, where images change fastest."""

FRAME, PICTURE = 1024, 4096
"""The longest side, in pixels, of the sample grids of a training and of its last one."""

ANIMATED, BITS = 400, 5
"""The longest side of a frame of the animation, and the bits of a channel, which bound the size of its file."""


def preview_rounds(rounds: int) -> set[int]:
    """After which of a run's rounds there is a preview."""
    return {max(1, round(rounds * (frame / FRAMES) ** 1.5)) for frame in range(1, FRAMES + 1)}


def planned_previews(training: Training) -> set[int]:
    """The same for a training whose planned rounds have changed: each plan's, as long as it was in effect."""
    found: set[int] = set()
    begin = 0
    for plan in [*training.earlier_plans, EarlierPlan(until=training.rounds or 1, rounds=training.rounds or 1)]:
        found |= {preview for preview in preview_rounds(plan.rounds) if begin < preview <= plan.until}
        begin = plan.until
    return found


class Preview:
    """What a training's networks make of fixed seeds.

    Args:
        trainer: whose networks.
        dataset: what it is trained on.

    Attributes:
        before: the samples of the last :meth:`statistics`.
    """

    def __init__(self, trainer: Trainer, dataset: Dataset) -> None:
        self.trainer, self.dataset = trainer, dataset
        self.count = trainer.settings.samples
        self.before: Tensor | None = None

    @cached_property
    def real(self) -> Batch:
        """As many real items as there are seeds (at least two), always the same ones, on the device."""
        recipe = self.trainer.recipe.with_values(training={"batch": max(2, self.count)})
        return batches_of(self.dataset, recipe, self.trainer.device, self.trainer.generator.range).next()

    @cached_property
    def _inputs(self) -> dict[str, Tensor]:
        return self.trainer.spec.latent.from_seeds(range(self.count))

    @cached_property
    def _shown(self) -> tuple[dict[str, Tensor], int | None]:
        return self.trainer.spec.latent.by_class(self.count)

    @property
    def columns(self) -> int | None:
        """Columns of the grid: the recipe's, else those that give every class a row; None for a square."""
        return self.trainer.settings.columns or self._shown[1]

    def outputs(self) -> Tensor:
        """The objective's previews, (M, C, H, W) in the generator's range."""
        return self.trainer.preview(self._shown[0], lambda: self.real)

    def images(self) -> Tensor:
        """The same as uint8 (M, C, H, W) on the CPU; of numbers, one plot."""
        limits = self.trainer.generator.range
        if limits is None:
            return self._plot.picture(self.outputs(), f"round {self.trainer.rounds:,}")[None]
        return to_uint8(self.outputs(), limits)

    @cached_property
    def _plot(self) -> Plot:
        assert self.dataset.formula is not None
        return Plot(self.dataset.formula)

    def examples(self, images: Tensor) -> Tensor:
        """Of :meth:`images`, one of each class where each has a row of the grid; else all."""
        inputs, columns = self._shown
        return images[::columns] if columns and len(images) == len(inputs["z"]) else images

    def statistics(self) -> dict[str, float]:
        """How samples of the fixed seeds compare with the data, see :func:`compare`.

        Empty where the generator translates images.
        """
        if self.trainer.objective.takes != "latent":
            return {}
        samples, before = self.trainer.sample(self._inputs).cpu(), self.before
        self.before = samples
        return compare(samples, self.real.images, before) | self._memorised(samples) | self._leaked(samples)

    def _memorised(self, samples: Tensor) -> dict[str, float]:
        """How far D's logits of held-out images are from those of training images, see :func:`overfitting`."""
        trainer, held_out = self.trainer, self.dataset.held_out
        limits = trainer.generator.range
        if held_out is None or limits is None or "discriminator" not in trainer.networks:
            return {}
        count = min(HELD_OUT, len(held_out.images), len(samples))
        logits = [trainer.logits(samples[:count], self._inputs.get("y", torch.empty(0))[:count].to(trainer.device))]
        for dataset in (self.dataset, held_out):
            chosen = torch.arange(count) * len(dataset.images) // count
            labels = None if dataset.labels is None else dataset.labels[chosen].to(trainer.device)
            logits.append(trainer.logits(from_uint8(dataset.images[chosen], limits), labels))
        return overfitting(*logits)

    def _leaked(self, samples: Tensor) -> dict[str, float]:
        """How far the samples look like augmented images, see :func:`leaked`."""
        options, limits = self.trainer.objective.step_options, self.trainer.generator.range
        if options.augmentation is None or limits is None:
            return {}
        real, count = self.real.images, len(self.real.images)
        # Random numbers of its own, the same at every preview, so that the training is unaffected.
        generator = torch.Generator(real.device).manual_seed(0)
        random = SampleRandom(dict, generator, count * AUGMENTED)
        strength = None if options.strength is None else value_at(options.strength, self.trainer.progress)
        with torch.no_grad():
            augmented = options.augmentation(real.repeat(AUGMENTED, 1, 1, 1), random, strength=strength)
        assert isinstance(augmented, Tensor)  # there is no source
        low, high = limits
        return leaked(*((2 * each.float().cpu() - low - high) / (high - low) for each in (samples, real, augmented)))


def shrunk(images: Tensor, side: int) -> Tensor:
    """Images made smaller where a square grid of them would be larger than ``side`` pixels."""
    cell = side // math.ceil(math.sqrt(len(images)))
    height, width = images.shape[2:]
    if max(height, width) <= cell:
        return images
    size = [max(1, edge * cell // max(height, width)) for edge in (height, width)]
    return straighten(F.interpolate(premultiply(images.float()), size, mode="area")).round_().clamp_(0, 255).byte()


def frames(folder: Path, side: int = ANIMATED) -> Iterator[Tensor]:
    """The sample grids of a run in order, with sides of at most ``side`` and fewer colours, uint8 (C, H, W)."""
    import numpy as np
    from PIL import Image, ImageOps

    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as image:
            small = opaque(image).reduce(math.ceil(max(image.size) / side))
        small = ImageOps.posterize(small, BITS)
        pixels = torch.from_numpy(np.array(small))
        yield pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)


def save_pictures(folder: Path, preview: Preview) -> None:
    """The pictures of a finished run: losses, animation, and the last sample grid."""
    save_losses(of_training(read_metrics(folder / METRICS_FILE)), folder / "losses.png")
    side = ANIMATED if preview.dataset.formula is None else FRAME  # the text of plots must stay legible
    save_animation(frames(folder / SAMPLES, side), folder / "training.gif", fps=10)
    save_grid(shrunk(preview.images(), PICTURE), folder / "samples.png", columns=preview.columns)


# Statistics for the health monitor.

NO_DIVERSITY = 1e-3
"""Mean distance of real items below which they have no diversity to compare with."""

NO_STRUCTURE = 0.2
"""Correlation of neighbouring pixels of real images below which noise cannot be distinguished from them."""


AUGMENTED = 4
"""How often each real image is augmented, to compare samples with."""

MOST_LEAKED = 1.5
"""Of the way from real to augmented images; beyond it, samples differ from both."""

LEAST_FILLED = 0.01
"""Of the pixels of augmented images, beyond what real images have; this must also be more than these have."""

FLAT = 0.05
"""The middle of the range, within which a pixel and its neighbours are what an augmentation fills images with; the
range is 2."""

HELD_OUT = 64
"""Held-out images that the discriminator scores at a preview, and as many training images and samples."""


def overfitting(samples: Tensor, training: Tensor, held_out: Tensor) -> dict[str, float]:
    """How far the logits of held-out images are from those of training images, over the same of samples.

    Karras et al. 2020, "Training generative adversarial networks with limited data", equation 1: r_v, 0 where D does
    not distinguish training images from held-out ones, 1 where held-out images are fakes to it. Left out while D hardly
    distinguishes samples from training images, when a ratio is noise.

    Args:
        samples: logits (N,).
        training: of training images.
        held_out: of held-out images.
    """
    gap = training.mean() - samples.mean()
    if not bool(gap > training.std(correction=0) + samples.std(correction=0)):
        return {}
    return {"overfitting": float((training.mean() - held_out.mean()) / gap)}


def leaked(samples: Tensor, real: Tensor, augmented: Tensor) -> dict[str, float]:
    """How far samples have the filled areas of augmented images: 0 where they are as real ones, 1 where as augmented.

    An augmentation leaks if the generator learns to make what it does to images (Karras et al. 2020, "Training
    generative adversarial networks with limited data", section 2.2). What shows it beyond doubt is the middle of the
    range, grey, with which shifts, rotations and cutout fill: left out are augmentations that hardly fill, data that
    are grey themselves, and samples that are grey beyond any augmentation, which fail otherwise.

    Args:
        samples: (M, C, H, W) in [-1, 1], like all of them.
        real: (N, C, H, W).
        augmented: any number of augmented real images.
    """
    of_samples, of_real, of_augmented = map(_filled, (samples, real, augmented))
    gap = of_augmented - of_real
    share = (of_samples - of_real) / max(gap, LEAST_FILLED)
    return {"leak": share} if gap > max(of_real, LEAST_FILLED) and share <= MOST_LEAKED else {}


def _filled(images: Tensor) -> float:
    """The share of pixels that are the middle of the range in all channels, and all of their neighbours, too."""
    deviation = images.abs().amax(1, keepdim=True)
    return float((F.max_pool2d(deviation, 3, 1, 1) < FLAT).float().mean())


def compare(samples: Tensor, real: Tensor, before: Tensor | None = None) -> dict[str, float]:
    """Statistics of samples relative to those of real items; what cannot be compared is left out.

    Args:
        samples: (M, C, H, W) in the range of the data, M > 1.
        real: real items, (N, C, H, W).
        before: the samples of the same latents at the preview before.

    Returns:
        ``diversity``: mean distance of two samples, about 1 when healthy, 0 when collapsed.
        ``nearest``: mean distance from a sample to its nearest neighbour; 0 also where a few images are repeated.
        ``noise``: 0 where neighbouring pixels correlate as in real images, 1 where they are uncorrelated.
        ``change``: distance from ``before``; 1 where the same latents gave images as different as two real ones.
    """
    samples, real = samples.detach().float().cpu(), real.detach().float().cpu()
    return _distances(samples, real, before) | _texture(samples, real)


def _distances(samples: Tensor, real: Tensor, before: Tensor | None) -> dict[str, float]:
    if min(len(samples), len(real)) < 2:
        return {}
    expected, nearest = _pairwise(real)
    if expected < NO_DIVERSITY:
        return {}
    found = _pairwise(samples)
    statistics = {"diversity": found[0] / expected, "nearest": found[1] / max(nearest, NO_DIVERSITY)}
    if before is not None and before.shape == samples.shape:
        statistics["change"] = float((samples - before).flatten(1).norm(dim=1).mean()) / expected
    return statistics


def _pairwise(items: Tensor) -> tuple[float, float]:
    """Mean distance of two different items, and to the nearest other one."""
    distances = torch.cdist(items.flatten(1), items.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    count = len(items)
    mean = float(distances.sum()) / (count * (count - 1))
    return mean, float(distances.fill_diagonal_(torch.inf).amin(1).mean())


def _texture(samples: Tensor, real: Tensor) -> dict[str, float]:
    if min(*real.shape[-2:], *samples.shape[-2:]) < 4:
        return {}
    expected = _correlation(real)
    return {"noise": 1 - _correlation(samples) / expected} if expected > NO_STRUCTURE else {}


def _correlation(images: Tensor) -> float:
    """Correlation of neighbouring pixels within images: 1 for a smooth image, 0 for white noise."""
    centred = images - images.mean((2, 3), keepdim=True)
    variance = centred.square().mean()
    horizontal = F.mse_loss(centred[..., 1:], centred[..., :-1])
    vertical = F.mse_loss(centred[..., 1:, :], centred[..., :-1, :])
    return float(1 - (horizontal + vertical) / (4 * variance.clamp_min(1e-12)))
