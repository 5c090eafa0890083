"""Train a feature extractor: ``python -m gancli.evaluation.train_extractor mnist-cnn --data-dir DIR --out FILE``.

The shipped files were made by this script and are frozen: figures measured with another file compare with nothing.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gancli import checkpoint
from gancli.data import load
from gancli.evaluation.extractors import EXTRACTORS, Extractor, Network

EPOCHS = {"mnist-cnn": 16, "mnist-mlp": 20, "digits-cnn": 150}
"""What the shipped weights were trained for."""


def augment(images: Tensor, generator: torch.Generator, size: tuple[int, int]) -> Tensor:
    """Small random rotations, scales, shears and shifts, one affine map an image; (N, 1, H, W) in [0, 1]."""
    n = len(images)
    # Images of a few pixels bear less distortion than 28x28 ones before a digit becomes another.
    strength = 1.0 if min(size) > 16 else 0.6

    def draw(spread: float) -> Tensor:
        return (torch.rand(n, generator=generator) * 2 - 1) * spread * strength

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


@torch.no_grad()
def accuracy(network: Network, images: Tensor, labels: Tensor) -> float:
    """Share of images (N, 1, H, W) in [0, 1] whose class is predicted rightly."""
    network.eval()
    right = [(network(x)[1].argmax(1) == y).sum() for x, y in zip(images.split(500), labels.split(500), strict=True)]
    return float(torch.stack(right).sum()) / len(labels)


def train(
    spec: Extractor, data_dir: Path | None, epochs: int, batch: int = 128, seed: int = 0
) -> tuple[Network, float]:
    """Train one extractor on its data's training split.

    The last epoch is what counts: picking the best one by the test split would flatter the accuracy.

    Returns:
        The network and its accuracy on the test split.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    name = spec.datasets[0]
    sets = [load(name, split=split, data_dir=data_dir) for split in ("train", "test")]
    (images, labels), (test_images, test_labels) = [(s.images.float() / 255, s.labels) for s in sets]
    assert labels is not None
    assert test_labels is not None
    network = spec.build().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.02)
    rounds = epochs * (len(images) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=rounds)
    for epoch in range(epochs):
        network.train()
        for index in torch.randperm(len(images), generator=generator).split(batch):
            if len(index) < batch:
                continue
            x = augment(images[index], generator, spec.size).contiguous(memory_format=torch.channels_last)
            loss = nn.functional.cross_entropy(network(x)[1], labels[index], label_smoothing=0.05)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        score = accuracy(network, test_images, test_labels)
        print(f"epoch {epoch + 1}/{epochs}: test accuracy {score:.4%}", flush=True)
    return network, score


def main() -> None:
    """Parse the command line, train, save with the accuracy in the header."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(EXTRACTORS))
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, help="instead of those that the shipped weights were trained for")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    spec = EXTRACTORS[args.name]
    epochs = args.epochs or EPOCHS[args.name]
    network, score = train(spec, args.data_dir, epochs, seed=args.seed)
    tensors = network.eval().state_dict()
    header = {"extractor": spec.name, "accuracy": score, "epochs": epochs, "seed": args.seed}
    checkpoint.write(args.out, tensors, header)
    print(f"{args.out}: {sum(t.numel() for t in tensors.values()):,} values, test accuracy {score:.4%}")


if __name__ == "__main__":
    main()
