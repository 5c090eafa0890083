"""What is exported: a network, and around it what gancli does before and after it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gancli.architectures import Generator, MappingGenerator, Translator
from gancli.latents import truncation

if TYPE_CHECKING:
    from gancli.model import Model

PSI = 0.7
"""Truncation by which exported files are compared with the model, beside none."""


class Sampler(nn.Module):
    """Latents to images in [0, 1], or to rows of numbers; with a mapping network also truncated.

    Args:
        generator: in evaluation mode.
        w_means: toward which psi moves w, where there is a mapping network.
    """

    w_means: Tensor

    def __init__(self, generator: Generator, w_means: Tensor | None) -> None:
        super().__init__()
        self.generator = generator
        self.register_buffer("w_means", w_means)

    def forward(self, z: Tensor, y: Tensor | None = None, c: Tensor | None = None, psi: Tensor | None = None) -> Tensor:
        """z (N, dim), y (N,) or weights of classes (N, classes), c (N, codes) and psi (), each where the generator
        takes it, to images (N, C, H, W) in [0, 1], or to numbers (N, width)."""
        w = self.generator.map(z, y, c)
        if psi is not None:
            assert isinstance(self.generator, MappingGenerator)
            w = truncation.toward_mean(w, self.w_means, y, psi, self.generator.truncated_layers)
        return to_unit(self.generator.synthesize(w), self.generator.range)


class Translation(nn.Module):
    """Source images in [0, 1] to images in [0, 1].

    Args:
        translator: in evaluation mode.
    """

    def __init__(self, translator: Translator) -> None:
        super().__init__()
        self.translator = translator

    def forward(self, source: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        assert self.translator.range is not None
        low, high = self.translator.range
        return to_unit(self.translator(source * (high - low) + low), (low, high))


def to_unit(made: Tensor, limits: tuple[float, float] | None) -> Tensor:
    """Images in [low, high] to [0, 1], where what lies outside is cut off, with premultiplied colours where they have
    alpha; numbers (N, 1, 1, width) to (N, width)."""
    if limits is None:
        return made.flatten(1)
    low, high = limits
    return ((made - low) / (high - low)).clamp(0, 1)


def program_of(model: Model, network: str | None = None) -> nn.Module:
    """The network of a model as it is exported, on the CPU.

    Args:
        model: any.
        network: of a translator, another than the first.
    """
    chosen = copy.deepcopy(model.translator(network) if network else model.generator).cpu()
    for values in (*chosen.parameters(), *chosen.buffers()):
        values.data = values.detach().clone()  # weights that were read from one file share its memory
    if isinstance(chosen, Translator):
        return Translation(chosen)
    assert isinstance(chosen, Generator)
    # A copy: the mean of a model without classes shares the memory of its generator's.
    means = model.w_means.cpu().clone() if isinstance(chosen, MappingGenerator) else None
    return Sampler(chosen, means)


def examples(model: Model, seeds: range, *, mixing: bool = False) -> dict[str, Tensor]:
    """Inputs of a program for seeds, on the CPU: those of :meth:`gancli.latents.LatentSpec.from_seeds`, without
    truncation; for a translator images of noise in [0, 1].

    Args:
        model: any.
        seeds: a row each.
        mixing: classes are weights (N, classes), of which there may be several.
    """
    if model.takes == "source":
        generator = torch.Generator()
        shapes = [torch.rand(model.shape, generator=generator.manual_seed(seed)) for seed in seeds]
        return {"source": torch.stack(shapes)}
    inputs = model.latent.from_seeds(seeds)
    if mixing and "y" in inputs:
        inputs["y"] = nn.functional.one_hot(inputs["y"], model.latent.classes).float()
    return inputs | ({"psi": torch.tensor(1.0)} if isinstance(model.generator, MappingGenerator) else {})


@torch.inference_mode()
def expected(model: Model, inputs: Mapping[str, Tensor], network: str | None = None) -> Tensor:
    """What a program is to give for inputs, by the model itself: float32 on the CPU."""
    if model.takes == "source":
        translator = model.translator(network)
        low, high = model.range
        made = translator(inputs["source"].to(model.device) * (high - low) + low)
    else:
        latents = {name: values for name, values in inputs.items() if name != "psi"}
        w = model.map(latents)
        if "psi" in inputs:
            w = model.toward_mean(w, latents.get("y"), float(inputs["psi"]))
        made = model.latents().synthesize(w)
    return to_unit(made.float(), model.generator.range).cpu()
