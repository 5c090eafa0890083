"""Reference outputs of the zoo's models, which ``test_samples.py`` compares with what they make now.

    python tests/zoo/references.py                       # of models without references
    python tests/zoo/references.py dcgan/mnist vae/mnist # of these, again

It runs with the ``gancli`` that is installed. The references of today were made by the code of commit 906b202, before
the networks were restructured. Images are stored as one PNG for each model, numbers as an array of NumPy.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import gancli
from gancli.data import load

FOLDER = Path(__file__).parent / "references"
ZOO = Path(__file__).parents[2] / "zoo"
NAMES = [
    f"{path.parent.name}/{path.stem}"
    for path in sorted(ZOO.glob("*/*.safetensors"))
    if not path.stem.endswith("-discriminator")
]
"""Models, and translators of images, as ``gancli.load`` takes them."""
SEEDS = range(64)
COLUMNS = 8


def outputs(name: str) -> Tensor:
    """What a model makes of fixed inputs on the CPU.

    Returns:
        Of 64 seeds, or by each translator of the file of 16 digits: uint8 (N, C, H, W). Numbers: float32 (N, 1, 1, W).
    """
    model = gancli.load(ZOO / f"{name}.safetensors", device="cpu")
    if model.takes == "latent":
        return model.sample(seeds=SEEDS)
    channels, height, width = model.shape
    images = load("digits").images[:16, :1]
    rows, columns = (torch.arange(side) * 8 // side for side in (height, width))
    images = images[:, :, rows][..., columns]
    # Each image and channel has another brightness.
    factors = torch.arange(16 * channels).view(16, channels, 1, 1) * 37 % 97
    images = (images.long() * (128 + factors) // 225).to(torch.uint8)
    names = [name for name in model.networks if "discriminator" not in name]
    return torch.cat([model.translate(images, network=name) for name in names])


def path_of(name: str, numbers: bool) -> Path:
    """The file of a model's reference."""
    return FOLDER / f"{name.replace('/', '-')}.{'npy' if numbers else 'png'}"


def write(name: str, made: Tensor) -> None:
    """Store a model's outputs as its reference."""
    path = path_of(name, made.is_floating_point())
    FOLDER.mkdir(exist_ok=True)
    if made.is_floating_point():
        np.save(path, made.numpy())
        return
    count, channels, height, width = made.shape
    grid = made.view(-1, COLUMNS, channels, height, width).permute(0, 3, 1, 4, 2)
    grid = grid.reshape(count // COLUMNS * height, COLUMNS * width, channels).numpy()
    Image.fromarray(grid if channels == 3 else grid[..., 0]).save(path, optimize=True)


def read(name: str, shape: torch.Size, numbers: bool) -> Tensor:
    """A model's reference.

    Args:
        name: of the model.
        shape: (N, C, H, W) of its outputs.
        numbers: whether they are numbers.
    """
    path = path_of(name, numbers)
    if numbers:
        return torch.from_numpy(np.load(path, allow_pickle=False))
    _, channels, height, width = shape
    with Image.open(path) as image:
        grid = torch.from_numpy(np.array(image)).view(-1, height, COLUMNS, width, channels)
    return grid.permute(0, 2, 4, 1, 3).reshape(-1, channels, height, width)


if __name__ == "__main__":
    for name in sys.argv[1:] or NAMES:
        if sys.argv[1:] or not any(path_of(name, numbers).exists() for numbers in (False, True)):
            write(name, outputs(name))
