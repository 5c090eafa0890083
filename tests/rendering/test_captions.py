from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gancli.rendering.captions import LINE, save_captioned
from gancli.rendering.images import arrange


def pictures(n: int = 6, channels: int = 1) -> torch.Tensor:
    return torch.randint(0, 200, (n, channels, 28, 28), generator=torch.Generator().manual_seed(0)).byte()


def captioned(images: torch.Tensor, **options) -> torch.Tensor:
    save_captioned(images, Path("x.png"), columns=3, **options)
    with Image.open("x.png") as image:
        pixels = np.array(image)
    return torch.from_numpy(pixels if pixels.ndim == 3 else pixels[..., None]).permute(2, 0, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_cells_are_those_of_the_plain_grid(home, channels: int) -> None:
    images = pictures(channels=channels)
    plain = arrange(images, columns=3, scale=2)
    made = captioned(images, above=["a", "b", "c"], beside=["0", "10"])
    left = made.shape[2] - plain.shape[2]
    assert made.shape[1] == plain.shape[1] + LINE
    assert torch.equal(made[:, LINE:, left:], plain)
    assert torch.equal(captioned(images, scale=2), plain)


def test_each_caption_stands_at_its_column_and_row(home) -> None:
    images = pictures()
    bare = captioned(images, scale=2, above=["", "", ""], beside=["", "10"])
    made = captioned(images, scale=2, above=["", "MM", ""], beside=["", "10"])
    ink = (made != bare)[0].nonzero()
    left = bare.shape[2] - (3 * 58 + 2)
    assert ink[:, 0].max() < LINE
    assert abs(float(ink[:, 1].float().mean()) - (left + 58 + 29)) < 3
    rows = (bare[0, :, : left - 2] < 200).nonzero()[:, 0].float()
    assert abs(float(rows.mean()) - (LINE + 2 + 58 + 28)) < 3
