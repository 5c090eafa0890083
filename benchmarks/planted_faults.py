"""Faults of growing strength that are planted into real images, and how far an extractor's FID moves.

    python -m benchmarks.planted_faults DATA --size 64 --inputs 64,96,128

Half of the images stand for generated ones and get the faults; the other half is the reference. An extractor that ranks
models rightly gives a higher FID to the stronger fault. Printed as a Markdown table: FID as a multiple of the floor,
which is the FID of images without a fault.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from gancli.data import Dataset, load
from gancli.evaluation.extractors import Extractor, find
from gancli.evaluation.features import BATCH, Reader
from gancli.metrics.moments import fid

Fault = Callable[[Tensor, float], Tensor]
"""Images float32 (N, 3, H, W) from 0 to 255 and a strength to as many images."""


def _random() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def blur(images: Tensor, share: float) -> Tensor:
    """A Gaussian with that share of the side as its deviation."""
    deviation = share * images.shape[-1]
    reach = max(1, round(3 * deviation))
    weights = (-(torch.arange(-reach, reach + 1.0) ** 2) / (2 * deviation**2)).exp()
    kernel = (weights / weights.sum()).expand(3, 1, 1, -1)
    across = F.conv2d(F.pad(images, (reach, reach, 0, 0), mode="reflect"), kernel, groups=3)
    return F.conv2d(F.pad(across, (0, 0, reach, reach), mode="reflect"), kernel.transpose(2, 3), groups=3)


def noise(images: Tensor, deviation: float) -> Tensor:
    """Independent at every pixel."""
    return images + deviation * torch.randn(images.shape, generator=_random())


def jpeg(images: Tensor, loss: float) -> Tensor:
    """At quality 100 - loss."""

    def packed(image: Tensor) -> Tensor:
        file = io.BytesIO()
        Image.fromarray(image.byte().permute(1, 2, 0).numpy()).save(file, "JPEG", quality=100 - int(loss))
        return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1).float()

    return torch.stack([packed(image) for image in images])


def shift(images: Tensor, share: float) -> Tensor:
    """Right and down by that share of the side, the border repeated."""
    size = round(share * images.shape[-1])
    return F.pad(images, (size, 0, size, 0), mode="replicate")[..., : images.shape[2], : images.shape[3]]


def cast(images: Tensor, gain: float) -> Tensor:
    """More red, less blue."""
    return images * torch.tensor([1 + gain, 1.0, 1 - gain]).view(1, 3, 1, 1)


def copies(images: Tensor, share: float) -> Tensor:
    """That share of the images are copies of the others."""
    different = max(1, round(len(images) * (1 - share)))
    return images[torch.arange(len(images)) % different]


def patches(images: Tensor, share: float) -> Tensor:
    """That share of the 8x8 patches of each image change their places."""
    count, _, height, width = images.shape
    blocks = F.unfold(images, (height // 8, width // 8), stride=(height // 8, width // 8))
    moved = max(2, round(share * 64))
    for index in range(count):
        chosen = torch.randperm(64, generator=_random().manual_seed(index))[:moved]
        blocks[index][:, chosen] = blocks[index][:, chosen.roll(1)]
    return F.fold(blocks, (height, width), (height // 8, width // 8), stride=(height // 8, width // 8))


def ghosts(images: Tensor, share: float) -> Tensor:
    """Half of that share of another image shines through each."""
    return torch.lerp(images, images.roll(1, 0), share / 2)


FAULTS: dict[str, tuple[Fault, tuple[float, float, float]]] = {
    "blur, deviation as a share of the side": (blur, (0.01, 0.02, 0.04)),
    "noise, deviation of 255": (noise, (3, 10, 30)),
    "JPEG, 100 - quality": (jpeg, (15, 50, 85)),
    "shift, share of the side": (shift, (1 / 32, 1 / 12, 1 / 4)),
    "colour cast, gain": (cast, (0.05, 0.15, 0.4)),
    "copies, share": (copies, (0.6, 0.9, 0.98)),
    "swapped patches, share": (patches, (1 / 16, 1 / 6, 1 / 2)),
    "ghosts, share": (ghosts, (0.15, 0.4, 1)),
}


def planted(images: Tensor) -> Iterator[tuple[str, float, Tensor]]:
    """Every fault in every strength: its name, the strength, uint8 (N, 3, H, W)."""
    for name, (fault, strengths) in FAULTS.items():
        for strength in strengths:
            yield name, strength, fault(images.float(), strength).round().clamp(0, 255).byte()


def missing_classes(data: Dataset, rest: Tensor, count: int) -> Iterator[tuple[str, float, Tensor]]:
    """Images of the first classes alone, where the data has classes."""
    if data.labels is None:
        return
    classes = len(data.classes)
    for missing in (0.1, 0.4, 0.8):
        some = rest[data.labels[rest] < round(classes * (1 - missing))][:count]
        yield "missing classes, share", missing, data.images[some]


def measure(data: Dataset, extractor: Extractor, count: int) -> dict[tuple[str, float], float]:
    """FID of every planted fault as a multiple of the floor, by name and strength."""
    reader = Reader.load(extractor, torch.device("cpu"))
    order = torch.randperm(len(data.images), generator=_random())
    real, made, other = (data.images[part] for part in order[: 3 * count].split(count))

    def features(images: Tensor) -> Tensor:
        return reader.read("", images.split(BATCH), len(images)).values

    reference = features(real)
    floor = (fid(reference, features(made)) + fid(reference, features(other))) / 2
    faults = [*planted(made), *missing_classes(data, order[count:], count)]
    return {(name, strength): fid(reference, features(images)) / floor for name, strength, images in faults}


def table(found: dict[str, dict[tuple[str, float], float]]) -> str:
    """Markdown: a fault a row, a column for each extractor."""
    lines = [["fault", "strength", *found], ["---"] * (2 + len(found))]
    for name in dict.fromkeys(name for name, _ in next(iter(found.values()))):
        strengths = [strength for each, strength in next(iter(found.values())) if each == name]
        figures = [" ".join(f"{values[name, strength]:.2f}" for strength in strengths) for values in found.values()]
        lines.append([name, " ".join(f"{strength:.3g}" for strength in strengths), *figures])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--size", type=int, required=True, help="of the images, in pixels")
    parser.add_argument("--inputs", default="128", help="sizes to which the extractor brings them")
    parser.add_argument("--extractor", default="imagenet")
    parser.add_argument("--images", type=int, default=300, help="in each of three parts of the data")
    options = parser.parse_args(arguments)
    data = load(options.data, size=(options.size, options.size), channels=3)
    found: dict[str, Any] = {}
    for side in map(int, options.inputs.split(",")):
        extractor = replace(find(options.extractor), size=(side, side))
        found[f"{extractor.name}, {side}x{side}"] = measure(data, extractor, options.images)
    print(f"{data.name}, {options.size}x{options.size}, {options.images} images a side\n")
    print(table(found))


if __name__ == "__main__":
    main()
