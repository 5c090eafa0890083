import pytest
import torch
from PIL import Image

from gancli.rendering.captions import LINE, captioned, save_captioned
from gancli.rendering.images import arrange


def pictures(n: int = 6, channels: int = 1) -> torch.Tensor:
    return torch.randint(0, 200, (n, channels, 28, 28), generator=torch.Generator().manual_seed(0)).byte()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_cells_are_those_of_the_plain_grid(channels: int) -> None:
    images = pictures(channels=channels)
    plain = arrange(images, columns=3, scale=2)
    made = captioned(images, columns=3, scale=2, above=["a", "b", "c"], beside=["0", "10"])
    left = made.shape[2] - plain.shape[2]
    assert made.shape[1] == plain.shape[1] + LINE
    assert torch.equal(made[:, LINE:, left:], plain)
    assert torch.equal(captioned(images, columns=3, scale=2), plain)


def test_each_caption_stands_at_its_column_and_row() -> None:
    images = pictures()
    bare = captioned(images, columns=3, scale=2, above=["", "", ""], beside=["", "10"])
    made = captioned(images, columns=3, scale=2, above=["", "MM", ""], beside=["", "10"])
    ink = (made != bare)[0].nonzero()
    left = bare.shape[2] - 3 * 58
    assert ink[:, 0].max() < LINE
    assert abs(float(ink[:, 1].float().mean()) - (left + 58 + 29)) < 3
    rows = (bare[0, :, : left - 2] < 200).nonzero()[:, 0].float()
    assert abs(float(rows.mean()) - (LINE + 2 + 58 + 28)) < 3


def test_columns_are_as_wide_as_their_captions_and_rows_as_high_as_a_line() -> None:
    small = pictures()[:, :, :8, :8]
    made = captioned(small, columns=3, above=["mean(label=7)", "x", "y"], beside=["a", "b"])
    assert made.shape[2] > 3 * 70
    assert made.shape[1] >= 3 * LINE


def test_saved_as_a_png(tmp_path) -> None:
    save_captioned(pictures(), tmp_path / "x.png", columns=3, above=["a", "b", "c"])
    with Image.open(tmp_path / "x.png") as image:
        assert image.size == (3 * 58 + 2, 2 * 58 + 2 + LINE)
