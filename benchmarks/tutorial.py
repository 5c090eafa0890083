"""The DCGAN of PyTorch's tutorial while it trains in the plain loop: for grey and colour, with and without classes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import MNIST

from benchmarks import plain
from gancli import checkpoint
from gancli.device import pick_device

BATCH, LATENTS, SIDE = 128, 100, 32


@dataclass(frozen=True)
class Images:
    """What a training is about.

    Attributes:
        dataset: torchvision's, of (image (C, H, W) in [-1, 1], class).
        channels: of an image.
        side: pixels of a side: 16, 32, 64 or 128.
        classes: that the networks are told; 0 for none.
        labels: int64 (N,), from which classes of fakes are drawn; None without classes.
    """

    dataset: Any
    channels: int = 1
    side: int = SIDE
    classes: int = 0
    labels: Tensor | None = None


def mnist() -> Images:
    """MNIST at 32x32 in [-1, 1], resized image by image as the tutorial does."""
    steps = [transforms.Resize(SIDE), transforms.ToTensor(), transforms.Normalize([0.5], [0.5])]
    return Images(MNIST(plain.mnist_root(), transform=transforms.Compose(steps)))


def dcgan(
    width: int = 64, channels: int = 1, side: int = SIDE, classes: int = 0
) -> tuple[nn.Sequential, nn.Sequential]:
    """Generator and discriminator, with a layer more for every doubling of the side.

    After Radford, Metz and Chintala 2016, section 3: strided convolutions alone, batch norm but at the image's ends,
    ReLU and tanh in the generator, leaky ReLU in the discriminator, weights N(0, 0.02).

    Args:
        width: channels next to the image.
        channels: of an image.
        side: of an image, a power of two from 16.
        classes: planes beside the image, and values of their embedding beside the latents; 0 for none.

    Returns:
        (N, 100 + classes) to images (N, channels, side, side) in [-1, 1], and images (N, channels + classes, side,
        side) to logits (N, 1).
    """
    widths = [width * side // 8 // 2**stage for stage in range((side // 8).bit_length())]
    up: list[nn.Module] = [nn.Unflatten(1, (LATENTS + classes, 1, 1))]
    up += [nn.ConvTranspose2d(LATENTS + classes, widths[0], 4, 1, 0, bias=False)]
    down: list[nn.Module] = [nn.Conv2d(channels + classes, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for wide, narrow in pairwise(widths):
        up += [nn.BatchNorm2d(wide), nn.ReLU(True), nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False)]
    for wide, narrow in reversed(list(pairwise(widths))):
        down += [nn.Conv2d(narrow, wide, 4, 2, 1, bias=False), nn.BatchNorm2d(wide), nn.LeakyReLU(0.2, True)]
    up += [nn.BatchNorm2d(width), nn.ReLU(True), nn.ConvTranspose2d(width, channels, 4, 2, 1, bias=False), nn.Tanh()]
    down += [nn.Conv2d(widths[0], 1, 4, 1, 0, bias=False), nn.Flatten()]
    generator, discriminator = nn.Sequential(*up), nn.Sequential(*down)
    for network in (generator, discriminator):
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, 0.0, 0.02)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)
                nn.init.zeros_(module.bias)
    return generator, discriminator


class Conditional(nn.Module):
    """A generator that is told classes, as tutorials do: their embedding stands beside the latents.

    Its images come with one plane of zeros or ones for each class, by which the discriminator is told too.

    Args:
        generator: of latents and embeddings.
        classes: how many.
    """

    def __init__(self, generator: nn.Module, classes: int) -> None:
        super().__init__()
        self.generator, self.embedding = generator, nn.Embedding(classes, classes)

    def images(self, z: Tensor, y: Tensor) -> Tensor:
        """Images (N, C, H, W) of classes."""
        return self.generator(torch.cat([z, self.embedding(y)], 1))

    def forward(self, drawn: tuple[Tensor, Tensor]) -> Tensor:
        """Latents and classes to images with planes."""
        z, y = drawn
        return with_planes(self.images(z, y), y, self.embedding.num_embeddings)


def with_planes(images: Tensor, y: Tensor, classes: int) -> Tensor:
    """(N, C + classes, H, W): each image with one plane for each class, ones for its own."""
    planes = F.one_hot(y, classes)[:, :, None, None].expand(-1, -1, *images.shape[2:])
    return torch.cat([images, planes.to(images.dtype)], 1)


class Tutorial:
    """The training, on the device that gancli takes by itself.

    Args:
        seed: of weights, order and noise.
        width: channels next to the image.
        workers: of the loader.
        images: what it trains on.
    """

    def __init__(self, seed: int, width: int, workers: int, images: Images) -> None:
        torch.manual_seed(seed)
        self.device, self.data = pick_device("auto"), images
        generator, discriminator = dcgan(width, images.channels, images.side, images.classes)
        self.sampled = generator if not images.classes else Conditional(generator, images.classes)
        self.generator, self.discriminator = self.sampled.to(self.device), discriminator.to(self.device)
        networks = (self.generator, self.discriminator)
        one, other = (torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999)) for network in networks)
        self.optimizers = (one, other)
        self.workers, self.seconds, self.steps = workers, 0.0, 0

    def batches(self) -> Iterator[Tensor]:
        """Images, with planes where there are classes, shuffled anew each epoch, without end."""
        classes = self.data.classes
        loader = DataLoader(self.data.dataset, batch_size=BATCH, shuffle=True, num_workers=self.workers, drop_last=True)
        while True:
            for images, labels in loader:
                yield with_planes(images, labels, classes) if classes else images

    def loop(self) -> plain.Loop:
        """Its rounds; one is done, so that loader workers have started."""
        networks = (self.generator, self.discriminator)
        found = plain.adversarial(*networks, *self.optimizers, self.batches(), self.draw, self.device, reuse=True)
        next(found)
        self.steps += 1
        return found

    def draw(self, count: int = BATCH, generator: torch.Generator | None = None) -> Any:
        """Latents N(0, 1) of a batch, and where there are classes, some as frequent as in the data."""
        z = torch.randn(count, LATENTS, generator=generator).to(self.device)
        if self.data.labels is None:
            return z
        return z, self.data.labels[torch.randint(len(self.data.labels), (count,), generator=generator)].to(self.device)

    def train(self, seconds: float, steps: float = math.inf) -> None:
        """Until its clock, which began after the first step, shows so many seconds, or it has done so many steps."""
        loop = self.loop()
        before, start = self.seconds, time.perf_counter()
        while self.seconds < seconds and self.steps < steps:
            next(loop)
            self.steps += 1
            self.seconds = before + time.perf_counter() - start
        loop.close()

    @torch.inference_mode()
    def sample(self, count: int) -> Tensor:
        """Images uint8 (count, C, side, side) of the generator in evaluation mode, the same in every call."""
        noise = torch.Generator().manual_seed(0)
        self.generator.eval()
        try:
            parts = [self.draw(min(250, count - first), noise) for first in range(0, count, 250)]
            images = torch.cat([self.generator(part)[:, : self.data.channels].cpu() for part in parts])
        finally:
            self.generator.train()
        return ((images + 1) * 127.5).round().clamp(0, 255).byte()

    def save(self, path: Path) -> None:
        """All that its next step depends on, except the position in the epoch: each part begins an epoch."""
        tree = {
            "networks": [self.generator.state_dict(), self.discriminator.state_dict()],
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "random": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state() if self.device.type == "cuda" else None,
            "seconds": self.seconds,
            "steps": self.steps,
        }
        tensors, plan = checkpoint.flatten(tree)
        checkpoint.write(path, tensors, {"tree": plan})

    def load(self, path: Path) -> None:
        """Go on from :meth:`save`."""
        tensors, header = checkpoint.read(path)
        tree = checkpoint.unflatten(header["tree"], tensors)
        for network, state in zip((self.generator, self.discriminator), tree["networks"], strict=True):
            network.load_state_dict(state)
        for optimizer, state in zip(self.optimizers, tree["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        torch.set_rng_state(tree["random"])
        if tree.get("cuda") is not None:
            torch.cuda.set_rng_state(tree["cuda"])
        self.seconds, self.steps = tree["seconds"], tree["steps"]
