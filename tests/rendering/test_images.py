import zipfile
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from gancli.errors import GancliError, UsageError
from gancli.rendering import images as rendering


def noise(n, channels=3, height=5, width=7):
    return torch.randint(0, 256, (n, channels, height, width), generator=torch.manual_seed(n)).byte()


def pixels(source):
    with Image.open(source) as image:
        array = np.array(image)
    return torch.from_numpy(array if array.ndim == 3 else array[..., None]).permute(2, 0, 1)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    ("n", "columns", "scale", "gap"), [(6, 3, 1, 2), (5, 2, 3, 1), (1, None, 2, 0), (7, None, 1, 2)]
)
def test_every_image_lies_in_its_cell(home, channels, n, columns, scale, gap):
    images = noise(n, channels)
    picture = rendering.to_pil(rendering.arrange(images, columns=columns, scale=scale, gap=gap))
    rendering.save_picture(picture, home / "grid.png")
    picture = pixels("grid.png")
    columns = columns or {1: 1, 7: 3}[n]
    rows = -(-n // columns)
    height, width = 5 * scale + gap, 7 * scale + gap
    assert picture.shape == (channels, rows * height + gap, columns * width + gap)
    for place in range(rows * columns):
        top, left = gap + place // columns * height, gap + place % columns * width
        cell = picture[:, top : top + 5 * scale, left : left + 7 * scale]
        for down in range(scale):
            sampled = cell[:, down::scale, down::scale]
            assert torch.equal(sampled, images[place]) if place < n else _is_blank(sampled)
    lines = picture.clone()
    between = torch.tensor([255, 255, 255, 0][:channels]).view(-1, 1, 1).byte()
    for row in range(rows):
        for column in range(columns):
            top, left = gap + row * height, gap + column * width
            lines[:, top : top + 5 * scale, left : left + 7 * scale] = between
    assert _is_blank(lines)


def _is_blank(picture):
    """White, and transparent where there is alpha."""
    return bool((picture[:3] == 255).all() and (picture[3:] == 0).all())


@pytest.mark.parametrize(("side", "scale"), [(1, 64), (8, 8), (16, 4), (28, 2), (32, 2), (64, 1), (256, 1)])
def test_small_images_are_enlarged(side, scale):
    assert rendering.default_scale(side, side) == scale
    assert rendering.default_scale(1, side) == scale


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_a_png_holds_the_very_pixels(channels, mode):
    image = noise(1, channels)[0]
    assert rendering.to_pil(image).mode == mode
    assert torch.equal(pixels(BytesIO(rendering.encode_png(image))), image)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(1, 2, 4, 4, dtype=torch.uint8), "uint8 (1, 2, 4, 4)"),
        (torch.zeros(1, 5, 4, 4, dtype=torch.uint8), "uint8 (1, 5, 4, 4)"),
        (torch.zeros(0, 3, 4, 4, dtype=torch.uint8), "uint8 (0, 3, 4, 4)"),
        (torch.zeros(1, 3, 4, 4), "float32 (1, 3, 4, 4)"),
        (torch.zeros(3, 4, dtype=torch.uint8), "uint8 (3, 4)"),
    ],
)
def test_what_cannot_be_shown(home, images, message):
    for write in (lambda: rendering.save_grid(images, "a.png"), lambda: rendering.save_images([images], [0], "d")):
        with pytest.raises(GancliError) as error:
            write()
        assert (
            error.value.message
            == f"pictures are made from uint8 (N, C, H, W) with 1, 3 or 4 channels, not from {message}"
        )
    assert not (home / "a.png").exists()


def test_a_grid_with_too_many_pixels():
    with pytest.raises(UsageError) as error:
        rendering.grid_size(10_000, 256, 256)
    assert error.value.message == (
        "a grid of 100 x 100 images would have 25802 x 25802 pixels, too many for one picture"
    )


def test_one_png_a_seed_in_a_folder(home):
    images, told = noise(300, 1), []
    seeds = [*range(299), 12345678]
    written = rendering.save_images(images.split(130), seeds, home / "out", progress=told.append)
    assert written == sum(told) == 300
    assert sorted(path.name for path in (home / "out").iterdir()) == [f"seed{seed:07d}.png" for seed in seeds]
    for place in (0, 63, 64, 129, 130, 299):
        assert torch.equal(pixels(home / "out" / f"seed{seeds[place]:07d}.png"), images[place])


def test_one_png_a_seed_in_an_archive(home):
    images = noise(200)
    for name in ("a.zip", "b.zip"):
        rendering.save_images(images.split(150), range(200), name)
    assert (home / "a.zip").read_bytes() == (home / "b.zip").read_bytes()
    with zipfile.ZipFile("a.zip") as archive:
        assert archive.namelist() == [f"seed{seed:07d}.png" for seed in range(200)]
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        assert torch.equal(pixels(BytesIO(archive.read("seed0000170.png"))), images[170])


def interrupted():
    yield noise(640)
    raise KeyboardInterrupt


def test_an_interruption_leaves_whole_pictures(home):
    with pytest.raises(KeyboardInterrupt):
        rendering.save_images(interrupted(), range(10_000), "out")
    left = list((home / "out").iterdir())
    assert left
    for path in left:
        assert pixels(path).shape == (3, 5, 7)


def test_an_interruption_leaves_no_archive(home):
    with pytest.raises(KeyboardInterrupt):
        rendering.save_images(interrupted(), range(10_000), "out.zip")
    assert list(home.iterdir()) == []


def test_batches_are_taken_as_they_are_needed(home):
    taken, written = [], []

    def batches():
        for _ in range(5):
            assert sum(written) == sum(taken)
            taken.append(64)
            yield noise(64, 1, 2, 2)

    assert rendering.save_images(batches(), range(320), "out", progress=written.append) == 320
