"""R3GAN's networks: the paper's sizes and initial weights, its resampling, and classes."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gancli.architectures import Spec
from gancli.architectures._build import _Blank
from gancli.architectures._layers import BilinearDown, BilinearUp
from gancli.architectures.r3gan import Block, Discriminator, Generator, stages
from gancli.latents import LatentSpec


def block(width: int) -> int:
    """1x1 to twice the width with biases, 3x3 in groups of 16 channels with biases, 1x1 back (section 3.3)."""
    wide = 2 * width
    return width * wide + wide + wide * 16 * 9 + wide + wide * width


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("size", "widths"),
    [(32, [768] * 4), (64, [768] * 4 + [384]), (256, [768] * 4 + [384, 192, 96])],
)
def test_the_papers_networks(size: int, widths: list[int]) -> None:
    """The paper's tables of hyperparameters: widths from 4 pixels up, two blocks a stage, z of 64 values."""
    spec = Spec((3, size, size), LatentSpec(dim=64, classes=10))
    assert stages(spec, 768)[1] == widths
    with torch.device("meta"), _Blank():
        generator, discriminator = Generator(spec, width=768), Discriminator(spec, width=768, conditional=True)
    changed = sum(a * b for a, b in pairwise(widths) if a != b)
    body = sum(2 * block(width) for width in widths) + changed + 3 * widths[-1]
    #   embedding, linear of z and embedding, 4x4 basis
    assert count(generator) == body + 10 * 64 + (64 + 64) * 768 + 768 * 4 * 4
    #   depthwise 4x4, linear, a vector for each class
    assert count(discriminator) == body + 768 * 4 * 4 + 768 * 768 + 10 * 768
    if size == 32:
        assert count(generator) == 20_781_952
        # A block's multiplications at 32, 16, 8 and 4 pixels a side.
        assert 2 * (block(768) - 4 * 768) * sum(side**2 for side in (4, 8, 16, 32)) == pytest.approx(7.0e9, rel=0.01)


def test_initial_weights() -> None:
    """N(0, gain^2 / fan-in), gain sqrt(2 / 1.04) L^(-1/4) within blocks, L blocks; their last layers are zero."""
    torch.manual_seed(0)
    network = Generator(Spec((3, 32, 32), LatentSpec(dim=64)), width=64)
    blocks = [module for module in network.modules() if isinstance(module, Block)]
    assert len(blocks) == 8
    for one in blocks:
        for layer, fan_in in ((one.widen, 64), (one.spatial, 16 * 9)):
            expected = math.sqrt(2 / 1.04) * 8**-0.25 / math.sqrt(fan_in)
            assert float(layer.weight.detach().std()) == pytest.approx(expected, rel=0.05)
            assert layer.bias is not None
            assert not layer.bias.any()
        assert one.spatial.groups == 8
        assert not one.narrow.weight.any()
    assert float(network.stem.weight.detach().std()) == pytest.approx(1 / 8, rel=0.05)
    assert float(network.basis.detach().std()) == pytest.approx(1, rel=0.1)
    x = torch.randn(2, 64, 4, 4)
    assert torch.equal(blocks[0](x), x)


def test_a_block_by_hand() -> None:
    one = Block(1, group=16, slope=0.25, depth=1)
    with torch.no_grad():
        one.widen.weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))
        one.spatial.weight.zero_()[:, :, 1, 1] = torch.eye(2)
        one.narrow.weight.copy_(torch.tensor([2.0, 3.0]).view(1, 2, 1, 1))
    # Of 4: (4, -4), twice through the leaky ReLU (4, -0.25), so 4 + 2 * 4 - 3 * 0.25.
    assert one(torch.full((1, 1, 1, 1), 4.0)).item() == 11.25


@pytest.mark.parametrize("size", [(4, 6), (5, 7)])
def test_resampling_is_the_filter_1_2_1(size: tuple[int, int]) -> None:
    x = torch.randn(1, 1, *size, dtype=torch.float64)
    taps = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64)
    kernel = (taps[:, None] * taps).view(1, 1, 3, 3) / 16
    down = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, stride=2)
    torch.testing.assert_close(BilinearDown()(x), down)
    zeros = F.conv_transpose2d(x, x.new_ones(1, 1, 1, 1), stride=2)  # pixels with zeros between them
    up = BilinearUp((2 * size[0] - 1, 2 * size[1] - 1))(x)
    torch.testing.assert_close(up, F.conv2d(zeros, 4 * kernel, padding=1))
    torch.testing.assert_close(BilinearUp((2 * size[0], 2 * size[1]))(x)[..., -1:, -1:], x[..., -1:, -1:])


def test_the_class_is_joined_to_z_and_multiplies_the_features() -> None:
    torch.manual_seed(0)
    spec = Spec((1, 8, 8), LatentSpec(dim=5, classes=3, codes=2))
    generator, discriminator = Generator(spec, width=4), Discriminator(spec, width=4, conditional=True)
    z, y, c = torch.randn(3, 5), torch.tensor([2, 0, 2]), torch.randn(3, 2)
    assert generator.classes is not None
    features = generator.stem(torch.cat([z, generator.classes.weight[:, y].T, c], 1))
    expected = generator.body(features[:, :, None, None] * generator.basis)
    torch.testing.assert_close(generator(z, y, c), expected)
    images = torch.rand(3, 1, 8, 8)
    assert discriminator.classes is not None
    found = discriminator.body[-1](discriminator.features(images))
    products = (found * discriminator.classes.weight[:, y].T).sum(1, keepdim=True)
    torch.testing.assert_close(discriminator(images, y), products)


def test_any_size_and_channels_up_to_256() -> None:
    for shape in ((1, 8, 8), (3, 40, 24), (4, 256, 192)):
        spec = Spec(shape, LatentSpec(dim=3))
        with torch.inference_mode():
            made = Generator(spec, width=8, blocks=1)(torch.randn(2, 3))
            assert made.shape == (2, *shape)
            assert Discriminator(spec, width=8, blocks=1)(made).shape == (2, 1)
