"""Train a feature extractor: ``python -m benchmarks.train_extractor mnist-cnn --data-dir DIR --out FILE``.

``--data`` and ``--test`` name folders or zips with a folder a class in the place of the data set that it is for.
The shipped files were made by this script and are frozen: figures measured with another file compare with nothing.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gancli import checkpoint
from gancli.data import load
from gancli.device import multiplies_bf16
from gancli.evaluation.extractors import EXTRACTORS, Extractor
from gancli.evaluation.extractors.networks import ColourClassifier

EPOCHS = {"mnist-cnn": 16, "mnist-mlp": 20, "digits-cnn": 150, "cifar": 12}
"""What the shipped weights were trained for."""
REACH = 2
"""Pixels that photographs are shifted by at most."""


def augment(images: Tensor, generator: torch.Generator, size: tuple[int, int]) -> Tensor:
    """Small random rotations, scales, shears and shifts, one affine map an image; (N, 1, H, W) in [0, 1]."""
    n = len(images)
    # Images of a few pixels bear less distortion than 28x28 ones before a digit becomes another.
    strength = 1.0 if min(size) > 16 else 0.6

    def draw(width: float) -> Tensor:
        return (torch.rand(n, generator=generator) * 2 - 1) * width * strength

    angle, shear = draw(math.radians(12)), draw(0.15)
    scale_x, scale_y = 1 + draw(0.12), 1 + draw(0.12)
    shift_x, shift_y = draw(0.14), draw(0.14)
    cos, sin = torch.cos(angle), torch.sin(angle)
    theta = torch.stack(
        [
            torch.stack([cos * scale_x, (shear - sin) * scale_x, shift_x], 1),
            torch.stack([sin * scale_y, cos * scale_y, shift_y], 1),
        ],
        1,
    )
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False, padding_mode="zeros")


def augment_colour(images: Tensor, generator: torch.Generator, size: tuple[int, int]) -> Tensor:
    """Every other image mirrored, all shifted by up to 2 pixels, mirrored at the border; (N, 3, H, W) in [0, 1]."""
    n, (height, width) = len(images), size
    padded = F.pad(images, (REACH,) * 4, mode="reflect")
    top, left = (torch.randint(2 * REACH + 1, (n, 1), generator=generator) for _ in range(2))
    rows, columns = top + torch.arange(height), left + torch.arange(width)
    columns = torch.where(torch.rand(n, 1, generator=generator) < 0.5, columns.flip(1), columns)
    return padded[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def whitening(images: Tensor, filters: int) -> Tensor:
    """Filters (filters, C, 3, 3) that whiten the patches of images (N, C, H, W) in [0, 1].

    The strongest principal components, each brought to variance 1, and each once more with its sign turned, since a
    ReLU follows.
    """
    channels = images.shape[1]
    patches = F.unfold((images - 0.5) / 0.25, 3).transpose(1, 2).flatten(0, 1)
    eigenvalues, components = torch.linalg.eigh(torch.cov(patches.T))
    half = filters // 2
    strongest = (components / (eigenvalues + 1e-2).sqrt()).T[-half:].unflatten(1, (channels, 3, 3))
    return torch.cat([strongest, -strongest])


@torch.no_grad()
def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Share of images (N, C, H, W) in [0, 1] whose class is predicted rightly."""
    network.eval()
    right = [(network(x)[1].argmax(1) == y).sum() for x, y in zip(images.split(500), labels.split(500), strict=True)]
    return float(torch.stack(right).sum()) / len(labels)


def rounded(network: nn.Module) -> None:
    """Bring the kernels of a network to what half precision holds: its file is half as large then."""
    for weight in network.parameters():
        if weight.dim() > 1:
            weight.data = weight.data.half().float()


def stored(network: nn.Module) -> Mapping[str, Tensor]:
    """What a file of the network holds: kernels in half precision where no digit is lost by it."""
    tensors = network.eval().state_dict()
    return {name: tensor.half() if _fits(tensor) else tensor for name, tensor in tensors.items()}


def _fits(tensor: Tensor) -> bool:
    return tensor.dim() > 1 and torch.equal(tensor.half().float(), tensor)


def read(name: str, split: str, data_dir: Path | None) -> tuple[Tensor, Tensor]:
    """Images (N, C, H, W) in [0, 1] and labels (N,) of a data set, a folder or a zip with one folder a class."""
    found = load(name, split=split, data_dir=data_dir)
    assert found.labels is not None
    return found.images.float() / 255, found.labels


def train(
    spec: Extractor,
    data_dir: Path | None,
    epochs: int,
    batch: int = 128,
    seed: int = 0,
    data: str | None = None,
    test: str | None = None,
) -> tuple[nn.Module, float]:
    """Train one extractor on its data's training split.

    The last epoch is what counts: picking the best one by the test split would flatter the accuracy.

    Args:
        spec: which one.
        data_dir: where data sets lie.
        epochs: how often each image is seen.
        batch: images a step.
        seed: of weights, order and augmentation.
        data: name, folder or zip; None is the data set that the extractor is for.
        test: folder or zip of the held-out images; None is the held-out split of ``data``.

    Returns:
        The network and its accuracy on the test split.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    name = data or spec.datasets[0]
    images, labels = read(name, "train", data_dir)
    test_images, test_labels = read(test, "train", data_dir) if test else read(name, "test", data_dir)
    network = spec.build().to(memory_format=torch.channels_last)
    colour = isinstance(network, ColourClassifier)
    move = augment_colour if colour else augment
    if isinstance(network, ColourClassifier):
        few = torch.randperm(len(images), generator=generator)[:5000]
        filters = network.get_parameter("early.0.weight")
        filters.copy_(whitening(images[few], len(filters)))
    half = colour and multiplies_bf16()
    optimizer = torch.optim.AdamW([w for w in network.parameters() if w.requires_grad], lr=1e-3, weight_decay=0.02)
    rounds = epochs * (len(images) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=rounds)
    for epoch in range(epochs):
        network.train()
        for index in torch.randperm(len(images), generator=generator).split(batch):
            if len(index) < batch:
                continue
            x = move(images[index], generator, spec.size).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                logits = network(x)[1]
            loss = nn.functional.cross_entropy(logits.float(), labels[index], label_smoothing=0.05)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        if colour and epoch == epochs - 1:
            rounded(network)
        score = accuracy(network, test_images, test_labels)
        print(f"epoch {epoch + 1}/{epochs}: test accuracy {score:.4%}", flush=True)
    return network, score


def main() -> None:
    """Parse the command line, train, save with the accuracy in the header."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(EPOCHS))
    parser.add_argument("--data", help="images to train by: name of a data set, or folder or zip with a folder a class")
    parser.add_argument("--test", help="folder or zip of the held-out images, where --data has none of its own")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, help="instead of those that the shipped weights were trained for")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    spec = EXTRACTORS[args.name]
    epochs = args.epochs or EPOCHS[args.name]
    network, score = train(spec, args.data_dir, epochs, seed=args.seed, data=args.data, test=args.test)
    tensors = stored(network)
    header = {"extractor": spec.name, "accuracy": score, "epochs": epochs, "seed": args.seed}
    checkpoint.write(args.out, tensors, header)
    print(f"{args.out}: {sum(t.numel() for t in tensors.values()):,} values, test accuracy {score:.4%}")


if __name__ == "__main__":
    main()
