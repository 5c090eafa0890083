"""The reference: training loops as tutorials write them, for the networks, losses and steps of the zoo's recipes.

Images come one by one through ToTensor, Normalize and a DataLoader. Arithmetic is float32, memory is contiguous, Adam
is PyTorch's default, the weights of the other network collect gradients too, and both losses are fetched after every
step. A loop is a generator: each ``next`` is one round, so that two trainings can run in turn.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import MNIST, ImageFolder

from gancli import recipe
from gancli.architectures._build import build
from gancli.architectures._layers import Up
from gancli.architectures.upsample import SameConvolution, UpsampledConvolution
from gancli.data import DATASETS, Dataset, paths
from gancli.data.requested import load_for
from gancli.errors import UsageError
from gancli.recipe import Optimizer, Recipe
from gancli.runs import planning
from gancli.zoo import catalogue

Losses = dict[str, float]
Loop = Generator[Losses, None, None]
Draw = Callable[[], Tensor]
"""Fresh latents (N, dim) of one batch."""

CPU = torch.device("cpu")
FILES = {"cifar": "cifar10-jpg-train.zip", "emoji": "noto-emoji-72"}
"""Colour data by what cases call them: a zip and a folder of images under ``$GANCLI_DATA``."""


@dataclass(frozen=True)
class Case:
    """What is trained on what.

    Attributes:
        model: of the zoo.
        data: "mnist", or a key of :data:`FILES`.
        size: pixels a side.
    """

    model: str
    data: str = "mnist"
    size: int = 28

    @property
    def name(self) -> str:
        """As tables call it."""
        return self.model if self.data == "mnist" else f"{self.model} {self.size}x{self.size}x3"

    @property
    def place(self) -> str | None:
        """The data's name or path for gancli; None where they are not on this machine."""
        if self.data == "mnist":
            return "mnist" if paths.find(DATASETS["mnist"], "train") else None
        found = (folder / FILES[self.data] for folder in paths.search_folders())
        return next((str(path) for path in found if path.exists()), None)

    def absent(self) -> str:
        """Which data are wanted, in words."""
        return f"{FILES.get(self.data, self.data)} is not under $GANCLI_DATA"


GREY = tuple(Case(model) for model in ("gan", "mlp-gan", "dcgan", "dcgan-upsample", "wgan", "wgan-gp", "vae"))
COLOUR = (Case("dcgan", "cifar", 32), Case("dcgan", "emoji", 64))
CONVOLUTIONAL = ("dcgan", "dcgan-upsample", "wgan", "wgan-gp")


def prepare(case: Case, device: torch.device = CPU) -> tuple[Recipe, Dataset]:
    """The zoo's recipe for a case with rates that do not fall, in bf16 where the device multiplies it, and its images.

    Args:
        case: which one.
        device: where it is to train, on which ``auto`` precision depends.

    Raises:
        UsageError: the data are not on this machine.
    """
    if case.place is None:
        raise UsageError(case.absent(), "set GANCLI_DATA to the folder that holds it")
    table = recipe.for_data(catalogue.recipe_table(case.model), case.place)
    own = {"data": {"size": [case.size, case.size]}, "training": {"rounds": 2 * planning.MIDST}}
    made = recipe.parse(recipe.merge(table, own))
    dataset = load_for(made.data)
    return planning.resolve(made, dataset, device), dataset


# From files to batches.


@contextmanager
def samples(case: Case, made: Recipe, dataset: Dataset) -> Generator[Any]:
    """The same images, as a torchvision data set that reads them one by one.

    MNIST is torchvision's own, whole; colour images are written as PNG into a temporary folder first.
    """
    generator: Any = build(made, "generator", blank=True)
    steps: list[Any] = [transforms.ToTensor()]
    if generator.range[0] < 0:
        steps.append(transforms.Normalize([0.5] * dataset.images.shape[1], [0.5] * dataset.images.shape[1]))
    transform = transforms.Compose(steps)
    if case.data == "mnist":
        yield MNIST(mnist_root(), transform=transform)
        return
    with TemporaryDirectory() as folder:
        inner = Path(folder) / "images"
        inner.mkdir()
        for number, image in enumerate(dataset.images):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(inner / f"{number:06}.png")
        yield ImageFolder(folder, transform)


def mnist_root() -> Path:
    """Where torchvision finds MNIST.

    Raises:
        UsageError: it is not on this machine.
    """
    root = paths.find(DATASETS["mnist"], "train")
    if root is None:
        raise UsageError(Case("dcgan").absent(), "set GANCLI_DATA to the folder that holds it")
    return root


def batches(dataset: Any, batch: int, workers: int) -> Iterator[Tensor]:
    """Images (batch, C, H, W), shuffled anew each epoch, without end."""
    loader = DataLoader(dataset, batch_size=batch, shuffle=True, num_workers=workers, drop_last=True)
    while True:
        for images, _ in loader:
            yield images


def latents(made: Recipe, device: torch.device) -> Draw:
    """Latents as the recipe distributes them, from the global generator."""
    shape = (made.training.batch, made.latent.dim)
    if made.latent.distribution == "uniform":
        return lambda: torch.rand(shape, device=device) * 2 - 1
    return lambda: torch.randn(shape, device=device)


# The loops.


def adversarial(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizer_g: torch.optim.Optimizer,
    optimizer_d: torch.optim.Optimizer,
    images: Iterable[Tensor],
    draw: Draw,
    device: torch.device = CPU,
    *,
    reuse: bool = False,
    joint: bool = False,
    still: bool = False,
) -> Loop:
    """The GAN of the tutorials: cross entropy, one step a side.

    Args:
        generator: latents to images.
        discriminator: images to logits (N, 1).
        optimizer_g: of the generator.
        optimizer_d: of the discriminator.
        images: real batches, on the CPU.
        draw: latents.
        device: where the networks are.
        reuse: the generator's step judges the same fakes again, as PyTorch's tutorial does; otherwise it draws anew.
        joint: the discriminator sees real and fake images as one batch, as Keras' tutorials do; otherwise one by one.
        still: the discriminator's fakes are made in evaluation mode, as Keras' ``predict`` does.
    """
    criterion = nn.BCEWithLogitsLoss()
    for batch in images:
        real = batch.to(device)
        ones, zeros = torch.ones(len(real), 1, device=device), torch.zeros(len(real), 1, device=device)

        optimizer_d.zero_grad()
        generator.train(not still)
        fake = generator(draw())
        generator.train()
        if joint:
            loss_d = criterion(discriminator(torch.cat([real, fake.detach()])), torch.cat([ones, zeros]))
            loss_d.backward()
        else:
            loss_real = criterion(discriminator(real), ones)
            loss_real.backward()
            loss_fake = criterion(discriminator(fake.detach()), zeros)
            loss_fake.backward()
            loss_d = loss_real + loss_fake
        optimizer_d.step()

        optimizer_g.zero_grad()
        loss_g = criterion(discriminator(fake if reuse else generator(draw())), ones)
        loss_g.backward()
        optimizer_g.step()
        yield {"discriminator": loss_d.item(), "generator": loss_g.item()}


def critic(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizer_g: torch.optim.Optimizer,
    optimizer_d: torch.optim.Optimizer,
    images: Iterator[Tensor],
    draw: Draw,
    device: torch.device = CPU,
    *,
    steps: int = 5,
    clip: float = 0.0,
    penalty: float = 0.0,
) -> Loop:
    """The Wasserstein GAN of the tutorials: several steps of the critic, weight clipping or gradient penalty.

    Args:
        generator: latents to images.
        discriminator: the critic, images to (N, 1).
        optimizer_g: of the generator.
        optimizer_d: of the critic.
        images: real batches, on the CPU.
        draw: latents.
        device: where the networks are.
        steps: of the critic, for each of the generator's.
        clip: the critic's weights are clipped to [-clip, clip]; 0 for not at all.
        penalty: weight of the gradient penalty; 0 for none.
    """
    said = 0.0
    while True:
        for batch in islice(images, steps):
            real = batch.to(device)
            optimizer_d.zero_grad()
            fake = generator(draw()).detach()
            loss_d = -discriminator(real).mean() + discriminator(fake).mean()
            if penalty:
                loss_d = loss_d + penalty * gradient_penalty(discriminator, real, fake)
            loss_d.backward()
            optimizer_d.step()
            if clip:
                for parameter in discriminator.parameters():
                    parameter.data.clamp_(-clip, clip)
            said = loss_d.item()

        optimizer_g.zero_grad()
        loss_g = -discriminator(generator(draw())).mean()
        loss_g.backward()
        optimizer_g.step()
        yield {"discriminator": said, "generator": loss_g.item()}


def gradient_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """E[(|grad D(x)| - 1)^2] at random points between real and fake (Gulrajani et al. 2017, equation 3)."""
    epsilon = torch.rand(len(real), 1, 1, 1, device=real.device)
    between = (epsilon * real + (1 - epsilon) * fake).requires_grad_(True)
    score = discriminator(between)
    slope = torch.autograd.grad(score, between, torch.ones_like(score), create_graph=True, retain_graph=True)[0]
    return ((slope.view(len(real), -1).norm(2, dim=1) - 1) ** 2).mean()


def variational(
    encoder: nn.Module,
    decoder: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Iterable[Tensor],
    device: torch.device = CPU,
) -> Loop:
    """The variational autoencoder of the tutorials: binary cross entropy and KL, both summed over an image.

    Args:
        encoder: images to means and log variances (N, 2 dim).
        decoder: codes (N, dim) to images in [0, 1].
        optimizer: of both.
        images: batches in [0, 1], on the CPU.
        device: where the networks are.
    """
    for batch in images:
        real = batch.to(device)
        optimizer.zero_grad()
        mean, log_variance = encoder(real).chunk(2, dim=1)
        code = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        reconstruction = F.binary_cross_entropy(decoder(code), real, reduction="sum") / len(real)
        kl = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp()) / len(real)
        loss = reconstruction + kl
        loss.backward()
        optimizer.step()
        yield {"reconstruction": reconstruction.item(), "kl": kl.item()}


# From a recipe to its loop.


def networks_of(made: Recipe, device: torch.device = CPU) -> dict[str, nn.Module]:
    """The recipe's networks, of the layers that a tutorial would write, in contiguous memory."""
    networks = {name: build(made, name).to(device) for name in made.networks}
    for network in networks.values():
        plainly(network)
        if isinstance(body := getattr(network, "body", None), nn.Module):
            # Generators choose a memory layout for their convolutions; a tutorial's would not.
            body.register_forward_pre_hook(lambda _, inputs: tuple(value.contiguous() for value in inputs))
    return networks


def plainly(network: nn.Module) -> None:
    """Have every layer computed as a tutorial writes it, by the same weights, where gancli has a faster way."""
    for module in network.modules():
        layer: Any = module
        if isinstance(layer, UpsampledConvolution):
            layer.forward = partial(_upsampled, layer)
        elif isinstance(layer, Up):
            layer.forward = partial(_up, layer)
        elif isinstance(layer, nn.Conv2d) and not isinstance(layer, SameConvolution):
            layer.forward = partial(nn.Conv2d.forward, layer)
        elif isinstance(layer, nn.Flatten | nn.Dropout):
            layer.forward = partial((nn.Flatten if isinstance(layer, nn.Flatten) else nn.Dropout).forward, layer)


def _up(layer: Any, x: Tensor) -> Tensor:
    """A transposed convolution that doubles, cut to the size wanted."""
    return layer.convolution(x)[..., : layer.size[0], : layer.size[1]]


def _upsampled(layer: Any, x: Tensor) -> Tensor:
    """Upsampling, then a transposed convolution, cut to the size wanted."""
    doubled = F.interpolate(x, scale_factor=2, mode="nearest")
    return nn.ConvTranspose2d.forward(layer, doubled)[..., : layer.size[0], : layer.size[1]]


def optimizer_of(section: Optimizer, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The recipe's optimizer with PyTorch's defaults: not fused."""
    chosen = list(parameters)
    make = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}[section.name]
    optimizer: torch.optim.Optimizer = make(chosen, lr=section.lr, **section.options)
    if section.clip_value is not None:
        limit = section.clip_value
        optimizer.register_step_pre_hook(lambda *_: nn.utils.clip_grad_value_(chosen, limit))
    if section.decay:
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + section.decay * step))
        optimizer.register_step_post_hook(lambda *_: scheduler.step())
    return optimizer


def loop_of(
    made: Recipe, networks: Mapping[str, nn.Module], images: Iterator[Tensor], draw: Draw, device: torch.device = CPU
) -> Loop:
    """The loop that trains what a recipe trains, a round a ``next``.

    Args:
        made: of one of the cases, resolved.
        networks: on the device.
        images: real batches, on the CPU.
        draw: latents, on the device.
        device: where to train.
    """
    generator, options = networks["generator"], made.objective.options
    if made.objective.name == "vae":
        both = [*generator.parameters(), *networks["encoder"].parameters()]
        optimizer = optimizer_of(made.optimizer["autoencoder"], both)
        return variational(networks["encoder"], generator, optimizer, images, device)
    sides = {side: optimizer_of(made.optimizer[side], networks[side].parameters()) for side in made.optimizer}
    players = (generator, networks["discriminator"], sides["generator"], sides["discriminator"], images, draw, device)
    if options["loss"] == "wasserstein":
        penalty = options["regularizers"].get("gradient-penalty", {}).get("weight", 0.0)
        return critic(*players, steps=options["steps"]["discriminator"], clip=options["clip"], penalty=penalty)
    return adversarial(*players, reuse=options["reuse_fake"], joint=options["joint"], still=options["still_generator"])


def fresh(made: Recipe, dataset: Any, workers: int, device: torch.device = CPU) -> Loop:
    """A loop with networks of its own, on a torchvision data set."""
    torch.manual_seed(made.training.seed)
    images = batches(dataset, made.training.batch, workers)
    return loop_of(made, networks_of(made, device), images, latents(made, device), device)


# Loader workers.


def workers_to_try(quick: bool) -> tuple[int, ...]:
    """Numbers of loader workers that the plain loop may have, of which it gets the best."""
    return (0, 1) if quick else tuple(count for count in (0, 1, 2, 4, 8, 16) if count <= (os.cpu_count() or 1))
