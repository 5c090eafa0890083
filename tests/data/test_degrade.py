import pytest
import torch

from gancli.data import load
from gancli.data.pairs.degradations import KINDS, parse
from gancli.errors import UsageError


def pictures(count=6, channels=3, height=12, width=16):
    """Smooth pictures with some detail, uint8."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(count, channels, 4, 4, generator=generator)
    return (torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear") * 255).byte()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("size", [(12, 16), (9, 31)])
def test_every_degradation_keeps_the_shape_and_is_the_same_in_any_batch(name, size):
    images = pictures(height=size[0], width=size[1])
    before = images.clone()
    spoiled = parse(name).spoil(images)
    assert (spoiled.shape, spoiled.dtype) == (images.shape, torch.uint8)
    assert torch.equal(images, before)
    assert not torch.equal(spoiled, images)
    assert torch.equal(parse(name).spoil(images[4:], first=4), spoiled[4:])


def test_a_mosaic_shows_the_mean_of_each_block_also_at_the_edges():
    image = torch.tensor([[0, 20, 7, 7, 50], [40, 60, 7, 7, 70], [1, 3, 9, 9, 100]], dtype=torch.uint8)[None, None]
    spoiled = parse("mosaic:2").spoil(image)
    assert spoiled[0, 0].tolist() == [[30, 30, 7, 7, 60], [30, 30, 7, 7, 60], [2, 2, 9, 9, 100]]


def test_a_hole_has_its_size_and_the_mean_colour_of_what_is_left():
    images = pictures(count=40, height=8, width=12)
    spoiled = parse("mask:0.5").spoil(images)
    corners = set()
    for image, result in zip(images, spoiled, strict=True):
        # The hole is the 4x6 pixels of one colour; where it is can be seen by comparing.
        changed = (image != result).any(0)
        rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
        assert rows[-1] - rows[0] < 4
        assert columns[-1] - columns[0] < 6
        corners.add((int(rows[0]), int(columns[0])))
        colour = result[:, rows[0], columns[0]]
        hole = (result == colour[:, None, None]).all(0)
        assert hole.sum() >= 24
        outside = torch.ones(8, 12, dtype=torch.bool)
        outside[rows[0] : rows[0] + 4, columns[0] : columns[0] + 6] = False
        if rows[-1] - rows[0] == 3 and columns[-1] - columns[0] == 5:
            wanted = (image.float() * outside).sum((1, 2)) / outside.sum()
            torch.testing.assert_close(colour.float(), wanted, atol=0.51, rtol=0)
    assert len(corners) > 10


def test_grey_is_luma():
    red_green_blue = torch.eye(3, dtype=torch.uint8)[None, :, :, None] * 255
    spoiled = parse("gray").spoil(red_green_blue)
    assert spoiled[0, :, :, 0].tolist() == [[76, 150, 29]] * 3
    with pytest.raises(UsageError, match="grey already"):
        parse("gray").spoil(pictures(channels=1))


def test_noise_has_its_spread():
    middle = torch.full((4, 3, 64, 64), 128, dtype=torch.uint8)
    spoiled = parse("noise:10").spoil(middle).float()
    assert abs(float(spoiled.std()) - 10) < 0.2
    assert abs(float(spoiled.mean()) - 128) < 0.3
    assert not torch.equal(spoiled[0], spoiled[1])


def test_edges_are_bright_where_the_luma_steps():
    image = torch.zeros(1, 3, 6, 6, dtype=torch.uint8)
    image[..., 3:] = 255
    spoiled = parse("edges").spoil(image)
    assert spoiled[0, 0, 3].tolist() == [0, 0, 255, 255, 0, 0]
    assert torch.equal(spoiled[:, 0], spoiled[:, 2])


def test_baselines_are_the_simplest_repair():
    images = pictures(height=16)
    for name in ("mask", "gray", "downscale", "noise"):
        spoiled = parse(name).spoil(images)
        assert torch.equal(parse(name).baseline(spoiled), spoiled)
    mosaic = parse("mosaic").spoil(images)
    smooth = parse("mosaic").baseline(mosaic)
    distance = [float((made.float() - images.float()).square().mean()) for made in (mosaic, smooth)]
    assert distance[1] < 0.8 * distance[0]
    # Bicubic from the blocks is what shrinking by area and enlarging gives: another way to the same picture.
    near = (smooth.float() - parse("downscale").spoil(images).float()).abs()
    assert near.max() <= 1
    assert parse("edges").baseline(mosaic) is None


def test_a_name_says_how_strong():
    assert str(parse("mosaic")) == "mosaic 4"
    assert str(parse("mask:0.25")) == "mask 0.25"
    assert str(parse("gray")) == "gray"
    assert parse("photos") is None
    assert parse("") is None


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("mosaic:1", "data.source = 'mosaic:1': pixels a block is a whole number from 2 to 64", "mosaic:4"),
        ("mosaic:2.5", "data.source = 'mosaic:2.5': pixels a block is a whole number from 2 to 64", "mosaic:4"),
        ("mask:x", "data.source = 'mask:x': the hole's share of each side is a number from 0.05 to 0.9", "mask:0.5"),
        ("noise:nan", "data.source = 'noise:nan': standard deviation in levels of 255 is a number", "noise:25"),
        ("gray:1", "data.source = 'gray:1': gray takes no number", "write 'gray' alone"),
    ],
)
def test_a_strength_that_cannot_be_is_told(source, message, hint):
    with pytest.raises(UsageError) as raised:
        parse(source)
    assert raised.value.message.startswith(message)
    assert hint in raised.value.hint


def test_a_seed_does_not_depend_on_the_block_size():
    many = load("digits").images[:1100]
    assert torch.equal(parse("noise").spoil(many)[1050:], parse("noise").spoil(many[1050:], first=1050))
