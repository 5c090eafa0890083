"""Small networks and models for tests: a generator with a mapping network, and models without a file."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gancli import checkpoint, recipe
from gancli.architectures import Generator, MappingGenerator, Sizes, Spec, Translator, stylegan2
from gancli.latents import LatentSpec
from gancli.model import Model


class Mapped(MappingGenerator):
    """A mapping network, three modulated convolutions each with a row of w and noise of its own."""

    layers = 3
    serves = Sizes(minimum=4, square=True, power_of_two=True)

    def __init__(self, spec: Spec, *, width: int = 8) -> None:
        super().__init__(spec, "tanh", width)
        self.mapper = nn.Sequential(nn.Linear(spec.latent.width, width), nn.LeakyReLU(0.2), nn.Linear(width, width))
        self.first = nn.Parameter(torch.randn(1, width, *spec.shape[1:]))
        self.affine = nn.ModuleList(nn.Linear(width, width) for _ in range(self.layers))
        self.convolution = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(self.layers))
        self.last = nn.Conv2d(width, spec.shape[0], 1)
        self.register_buffer("noise", torch.randn(self.layers, 1, *spec.shape[1:]))

    def mapping(self, z: Tensor, y: Tensor | None = None, c: Tensor | None = None) -> Tensor:
        return self.mapper(self.latent.join(z, y, c))[:, None].repeat(1, self.layers, 1)

    def synthesize(self, w: Tensor) -> Tensor:
        x = self.first.expand(len(w), -1, -1, -1)
        for row, (affine, convolution) in enumerate(zip(self.affine, self.convolution, strict=True)):
            noise = torch.randn_like(x[:, :1]) if self.training else self.noise[row]
            x = F.leaky_relu(convolution(x * (1 + affine(w[:, row]))[..., None, None]) + 0.1 * noise, 0.2)
        return torch.tanh(self.last(x))


class Copy(Translator):
    """Gives the source back."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec, "tanh", residual=True)
        self.weight = nn.Parameter(torch.zeros(1))

    def translate(self, source: Tensor) -> Tensor:
        return self.weight * source


def mapped(seed: int = 0, latent: LatentSpec | None = None, **options: Any) -> Mapped:
    """A mapping generator of 8x8 pixels whose mean of w is known, in evaluation mode."""
    torch.manual_seed(seed)
    network = Mapped(Spec((1, 8, 8), latent or LatentSpec(6)), **options)
    with torch.no_grad():
        for _ in range(40):
            network.map(**network.latent.draw(256, torch.Generator().manual_seed(seed)))
        network.w_mean.div_(1 - (1 - network.w_momentum) ** 40)  # the part of the zeros that it began with
    return network.eval().requires_grad_(False)


def model_of(generator: Generator | Translator, latent: LatentSpec | None = None, **values: Any) -> Model:
    """A model of a generator that no file holds."""
    model = Model.__new__(Model)
    own: dict[str, Any] = {"name": "toy/toy", "header": {}, "at_once": 256, "networks": {"generator": generator}}
    own["recipe"] = SimpleNamespace(data=SimpleNamespace(name="digits"), training=SimpleNamespace(start=None))
    latent = latent or getattr(generator, "latent", LatentSpec(1))
    for name, value in {**own, "generator": generator, "shape": generator.shape, "latent": latent, **values}.items():
        setattr(model, name, value)
    return model


def style_model(**options: Any) -> Model:
    """An untrained StyleGAN2 of 8x8 grey pixels with four layers, without a file."""
    torch.manual_seed(0)
    network = stylegan2.Generator(Spec((1, 8, 8), LatentSpec(6)), **STYLES | options)
    with torch.no_grad():
        network.w_mean.copy_(network.map(**network.latent.from_seeds(range(1000)))[:, 0].mean(0))
    return model_of(network.eval().requires_grad_(False))


STYLES = {"width": 4, "most": 8, "features": 5}
"""Options of the networks of :func:`style_model`."""


def style_file(path: Path) -> Path:
    """Write :func:`style_model` as a file."""
    table = {
        "model": "styles",
        "data": {"name": "digits", "size": [8, 8], "channels": 1},
        "latent": {"dim": 6},
        "networks": {"generator": {"architecture": "stylegan2", **STYLES}},
        "objective": {"name": "adversarial"},
        "optimizer": {},
    }
    header = {"format": checkpoint.FORMAT, "kind": "model", "recipe": recipe.parse(table, components=False).to_dict()}
    tensors = {f"generator.{name}": value for name, value in style_model().generator.state_dict().items()}
    checkpoint.write(path, tensors, {**header, "networks": ["generator"], "latent": LatentSpec(6).to_dict()})
    return path
