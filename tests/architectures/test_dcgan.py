"""The kernels that dcgan chooses give what PyTorch's own give."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gancli.architectures import _layers, dcgan, mlp, patch, upsample
from gancli.architectures._base import Spec
from gancli.latents import LatentSpec

SIZES = [(8, 8), (9, 8), (28, 28), (13, 10)]


def random(*shape: int) -> torch.Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return values.contiguous(memory_format=torch.channels_last).requires_grad_(True)


def slopes(y: torch.Tensor, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """First derivatives, and those of their squared length."""
    weights = torch.linspace(0.5, 2, y.numel(), dtype=y.dtype).view(y.shape)
    first = torch.autograd.grad((weights * y.square()).sum(), inputs, create_graph=True)
    return [*first, *torch.autograd.grad(sum(slope.square().sum() for slope in first), inputs)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_halving_is_the_strided_convolution(size: tuple[int, int], channels: int) -> None:
    layer = _layers.Down(channels, 6, bias=True).double()
    x = random(2, channels, *size)
    inputs = [x, *layer.parameters()]
    fast, plain = layer(x), F.conv2d(x, layer.weight, layer.bias, stride=2, padding=1)
    torch.testing.assert_close([fast, *slopes(fast, inputs)], [plain, *slopes(plain, inputs)])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("bias", [True, False])
def test_doubling_is_the_transposed_convolution(size: tuple[int, int], channels: int, bias: bool) -> None:
    layer = _layers.Up(6, channels, size, bias).double()
    x = random(2, 6, *((side + 1) // 2 for side in size))
    inputs = [x, *layer.parameters()]
    fast, plain = layer(x), layer.convolution(x)[..., : size[0], : size[1]]
    assert fast.shape == (2, channels, *size)
    torch.testing.assert_close([fast, *slopes(fast, inputs)], [plain, *slopes(plain, inputs)])


def test_the_gradient_of_a_flattened_image_lies_as_the_image_does() -> None:
    x = random(4, 6, 7, 7)
    seen: list[torch.Tensor] = []
    x.register_hook(seen.append)
    _layers.Flat()(x * 1).square().sum().backward()
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(x.grad, 2 * x.detach())


SPEC = Spec((1, 28, 28), LatentSpec(dim=4, classes=3))


@pytest.mark.parametrize(
    ("judge", "alone"),
    [
        (dcgan.Discriminator(SPEC, width=4), False),
        (dcgan.Discriminator(SPEC, width=4, norm="none"), True),
        (dcgan.Discriminator(SPEC, width=4, norm="none", heads=["class"], head_width=8), False),
        (mlp.Discriminator(SPEC, hidden=[8], dropout=0), True),
        (mlp.Discriminator(SPEC, hidden=[8], dropout=0, heads=["class"], head_width=8), False),
        (patch.Discriminator(SPEC, width=4, layers=1, conditional=False), False),
        (patch.Discriminator(SPEC, width=4, layers=1, conditional=False, norm="instance"), True),
        (upsample.Discriminator(SPEC, depths=[4, 8], dropout=0), True),
    ],
)
def test_who_judges_each_image_by_itself_says_so(judge: nn.Module, alone: bool) -> None:
    judge = judge.double()
    x = random(6, 1, 28, 28).detach()

    def said(images: torch.Tensor) -> torch.Tensor:
        found = judge(images)
        return torch.cat([part.flatten(1) for part in (found if isinstance(found, tuple) else (found,))], 1)

    whole, parts = said(x), torch.cat([said(x[:2]), said(x[2:])])
    assert judge.batch_independent is alone
    assert torch.allclose(whole, parts, rtol=1e-9, atol=1e-12) is alone
