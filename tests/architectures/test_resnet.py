"""The generator of residual blocks."""

from typing import Literal

import pytest
import torch
from torch import nn

from gancli.architectures._base import Spec
from gancli.architectures.resnet import Generator, bottleneck
from gancli.errors import UsageError
from gancli.latents import LatentSpec


def spec(*shape: int) -> Spec:
    return Spec((shape[0], shape[1], shape[2]), LatentSpec(dim=1))


@pytest.mark.parametrize(
    ("shape", "downsamplings"), [((1, 28, 28), 1), ((3, 32, 32), 2), ((1, 8, 8), 2), ((3, 9, 31), 1), ((1, 5, 4), 0)]
)
def test_an_image_becomes_one_of_the_same_shape(shape: tuple[int, ...], downsamplings: int) -> None:
    torch.manual_seed(0)
    network = Generator(spec(*shape), width=4, downsamplings=downsamplings, blocks=2)
    source = torch.rand(3, *shape) * 2 - 1
    made = network(source=source)
    assert made.shape == source.shape
    assert made.abs().max() <= 1
    (made - source).square().sum().backward()
    # A bias before instance normalisation takes none.
    weights = [p for name, p in network.named_parameters() if name.endswith("weight")]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in weights)
    with torch.inference_mode():
        torch.testing.assert_close(network.eval()(source=source[1:2]), made[1:2])


def test_at_128_it_is_the_papers() -> None:
    """Appendix 7.2: c7s1-64, d128, d256, R256 six times, u128, u64, c7s1-3."""
    with torch.device("meta"):
        network = Generator(spec(3, 128, 128))
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    first, second, third, *blocks, fourth, fifth, last = [
        (m.out_channels, m.kernel_size[0], m.stride[0]) for m in layers
    ]
    assert [first, second, third] == [(64, 7, 1), (128, 3, 2), (256, 3, 2)]
    assert blocks == [(256, 3, 1)] * 12
    assert [fourth, fifth, last] == [(128, 3, 2), (64, 3, 2), (3, 7, 1)]
    assert sum(p.numel() for p in network.parameters()) == 7_837_699


@pytest.mark.parametrize("output", ["tanh", "sigmoid"])
def test_a_residual_generator_begins_with_the_source(output: Literal["tanh", "sigmoid"]) -> None:
    network = Generator(spec(1, 16, 16), width=4, blocks=1, norm="none", residual=True, init_std=1e-4, output=output)
    low, high = network.range
    source = torch.rand(2, 1, 16, 16) * (high - low) + low
    torch.testing.assert_close(network(source=source), source, rtol=0, atol=0.03)


def test_without_a_norm_there_is_none_and_the_contrast_of_a_source_counts() -> None:
    network = Generator(spec(1, 16, 16), width=4, blocks=1, norm="none")
    assert not [module for module in network.modules() if isinstance(module, nn.InstanceNorm2d | nn.BatchNorm2d)]
    other = Generator(spec(1, 16, 16), width=4, blocks=1, norm="batch")
    assert len([module for module in other.modules() if isinstance(module, nn.BatchNorm2d)]) == 7


def test_sizes_round_up() -> None:
    assert bottleneck(9, 31, 2) == [(9, 31), (5, 16), (3, 8)]


def test_it_refuses_what_leaves_no_border_to_mirror() -> None:
    with pytest.raises(UsageError) as refused:
        bottleneck(4, 20, 2)
    assert refused.value.message == ("resnet with 2 downsamplings needs images of at least 5x5 pixels, these are 4x20")
    assert refused.value.hint == "choose a larger size, as in `data.size=[5,20]`"
