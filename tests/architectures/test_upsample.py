"""What Keras does and PyTorch does otherwise."""

import math

import pytest
import torch
from torch.nn import functional as F

from gancli.architectures._base import Spec
from gancli.architectures.upsample import Discriminator, Generator, SameConvolution, UpsampledConvolution
from gancli.errors import UsageError
from gancli.latents import LatentSpec


@pytest.mark.parametrize("size", [(7, 7), (3, 5), (1, 4)])
def test_an_upsampled_convolution_is_upsampling_and_then_a_transposed_convolution(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = UpsampledConvolution(3, 5, (2 * size[0], 2 * size[1])).double()
    x = torch.randn(2, 3, *size, dtype=torch.double)
    doubled = F.interpolate(x, scale_factor=2, mode="nearest")
    plain = F.conv_transpose2d(doubled, layer.weight, layer.bias, padding=2)
    torch.testing.assert_close(layer(x), plain)
    ours = torch.autograd.grad(layer(x).square().sum(), layer.weight)[0]
    theirs = torch.autograd.grad(plain.square().sum(), layer.weight)[0]
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("side", "border"), [(28, (1, 2)), (14, (1, 2)), (7, (2, 2)), (15, (2, 2))])
def test_same_padding_puts_the_odd_pixel_last(side: int, border: tuple[int, int]) -> None:
    layer = SameConvolution(1, 1, 2, (side, side))
    assert layer.border == border * 2
    assert layer(torch.zeros(1, 1, side, side)).shape[2:] == (math.ceil(side / 2), math.ceil(side / 2))


def test_weights_are_glorot_uniform_and_biases_zero() -> None:
    spec = Spec((1, 28, 28), LatentSpec(100))
    convolution = Discriminator(spec).body[3]
    bound = math.sqrt(6 / (25 * (64 + 128)))
    assert convolution.weight.abs().max() <= bound
    assert convolution.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert not convolution.bias.any()
    dense = Generator(spec).stem[0]
    assert dense.weight.abs().max() <= math.sqrt(6 / (100 + 12544))


def test_too_small_images_are_refused() -> None:
    with pytest.raises(UsageError, match="upsample needs images of at least 8x8 pixels, these are 5x9"):
        Generator(Spec((1, 5, 9), LatentSpec(4)))
