"""SNGAN's residual networks: the papers' sizes, spectral norm, conditional batch norm, projection, self-attention."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gancli.architectures import Spec
from gancli.architectures._build import _Blank
from gancli.architectures._layers import SelfAttention, pooled_convolution, upsampled_convolution
from gancli.architectures._norms import ConditionalBatchNorm
from gancli.architectures.sngan import Discriminator, Generator
from gancli.errors import UsageError
from gancli.latents import LatentSpec

LARGE = {"width": 64, "most": 1024}


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def conv(inputs: int, outputs: int, side: int = 3) -> int:
    return inputs * outputs * side**2 + outputs


def up(inputs: int, outputs: int, classes: int = 1) -> int:
    """Two norms, two 3x3, and the 1x1 of the shortcut (Miyato et al. 2018, figure 8)."""
    return 2 * classes * (inputs + outputs) + conv(inputs, outputs) + conv(outputs, outputs) + conv(inputs, outputs, 1)


def down(inputs: int, outputs: int, hidden: int, shortcut: bool = True) -> int:
    return conv(inputs, hidden) + conv(hidden, outputs) + (conv(inputs, outputs, 1) if shortcut else 0)


@pytest.mark.parametrize("classes", [0, 10])
def test_the_papers_networks_for_cifar(classes: int) -> None:
    """Table 4: dense to 4x4x256, three up-blocks of 256; two down-blocks and two blocks of 128. Miyato and Koyama 2018
    add scales and shifts of each class, and its vector."""
    spec, told = Spec((3, 32, 32), LatentSpec(dim=128, classes=classes)), bool(classes)
    with torch.device("meta"), _Blank():
        generator = Generator(spec, width=256, most=256, conditional=told)
        discriminator = Discriminator(
            spec, width=128, most=128, base=8, blocks=2, spectral_norm=False, conditional=told
        )
    first = 128 * 256 * 16 + 256 * 16
    assert count(generator) == first + 3 * up(256, 256, classes or 1) + 2 * 256 + conv(256, 3)
    body = down(3, 128, 128) + down(128, 128, 128) + 2 * down(128, 128, 128, shortcut=False)
    assert count(discriminator) == body + 128 + 1 + classes * 128


@pytest.mark.parametrize("attention", [0, 16])
def test_biggan_for_cifar(attention: int) -> None:
    """256 channels everywhere, hidden ones as many as come out (Brock et al. 2019); with attention f, g, h and v of an
    eighth of them, and gamma (Zhang et al. 2019, equations 1 to 3)."""
    spec = Spec((3, 32, 32), LatentSpec(dim=128, classes=10))
    options = {"conditional": True, "init": "normal", "attention": attention, "width": 256, "most": 256}
    with torch.device("meta"), _Blank():
        generator = Generator(spec, **options)
        discriminator = Discriminator(spec, base=8, blocks=2, wide=True, spectral_norm=False, **options)
    attended = 4 * 256 * 32 + 1 if attention else 0
    assert count(generator) == 129 * 256 * 16 + 3 * up(256, 256, 10) + 2 * 256 + conv(256, 3) + attended
    body = down(3, 256, 256) + down(256, 256, 256) + 2 * down(256, 256, 256, shortcut=False)
    assert count(discriminator) == body + 256 + 1 + 10 * 256 + attended
    wide = Discriminator(spec, width=4, wide=True).body[1].get_submodule("first")
    assert (wide.in_channels, wide.out_channels) == (4, 8)
    made = Generator(spec, width=4, spectral_norm=True)
    assert all("parametrizations" in name for name in made.state_dict() if name.startswith("blocks.0.first.weight"))


@pytest.mark.parametrize("size", [64, 128])
def test_the_papers_networks_for_larger_images(size: int) -> None:
    """Table 6 for 128 pixels: G 1024, then 1024, 512, 256, 128, 64; D mirrored and one more block of 1024 channels that
    keeps the size. For 64 pixels there is one stage of 1024 less."""
    widths = [1024, 1024, 512, 256, 128, 64][-5 if size == 64 else 0 :]
    spec = Spec((3, size, size), LatentSpec(dim=128))
    with torch.device("meta"), _Blank():
        generator, discriminator = Generator(spec, **LARGE), Discriminator(spec, spectral_norm=False, **LARGE)
    blocks = sum(up(a, b) for a, b in pairwise(widths))
    assert count(generator) == (128 + 1) * 1024 * 16 + blocks + 2 * 64 + conv(64, 3)
    others = [64, 128, 256, 512, 1024][: 4 if size == 64 else 5]
    body = down(3, 64, 64) + sum(down(a, b, a) for a, b in pairwise(others))
    body += down(others[-1], 1024, others[-1], shortcut=others[-1] != 1024)
    assert count(discriminator) == body + 1024 + 1


def test_two_layers_computed_as_one() -> None:
    x, weight, bias = (torch.randn(*shape, dtype=torch.float64) for shape in ((2, 3, 6, 4), (5, 3, 3, 3), (5,)))
    doubled = F.interpolate(x, scale_factor=2)
    torch.testing.assert_close(upsampled_convolution(x, weight, bias), F.conv2d(doubled, weight, bias, padding=1))
    for part in (x, x[..., :5, :3]):
        pooled = F.avg_pool2d(F.conv2d(part, weight, bias, padding=1), 2, ceil_mode=True)
        torch.testing.assert_close(pooled_convolution(part, weight, bias), pooled)


def test_spectral_norm_is_the_largest_singular_value() -> None:
    torch.manual_seed(0)
    spec = Spec((3, 16, 16), LatentSpec(dim=4, classes=3))
    plain, normal = (
        Discriminator(spec, width=4, conditional=True, attention=8, spectral_norm=on) for on in (False, True)
    )
    images, y = torch.rand(3, 3, 16, 16), torch.tensor([0, 2, 1])
    with torch.no_grad():
        for name, parameter in plain.named_parameters():
            module, _, kind = name.rpartition(".")
            if kind == "weight":
                normal.get_parameter(f"{module}.parametrizations.weight.original").copy_(parameter)
            else:
                normal.get_parameter(name).copy_(parameter)
        for _ in range(80):
            normal(images, y)
        normal.eval()
        layers = {name: module for name, module in plain.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)}
        for name, layer in layers.items():
            largest = torch.linalg.svdvals(layer.weight.flatten(1))[0]
            weight = normal.get_submodule(name).weight
            torch.testing.assert_close(weight, layer.weight / largest, rtol=0.01, atol=1e-3)
    assert len(layers) == 3 * 3 + 4 + 2


def test_conditional_batch_norm_by_hand() -> None:
    norm = ConditionalBatchNorm(1, 2)
    with torch.no_grad():
        norm.scale.copy_(torch.tensor([[1.0], [3.0]]))
        norm.shift.copy_(torch.tensor([[0.0], [5.0]]))
    x = torch.tensor([2.0, 4.0, 2.0, 4.0]).view(4, 1, 1, 1)  # mean 3, standard deviation 1
    y = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    expected = torch.tensor([-1.0, 1.0, 5 - 3.0, 2.5 + 2.0])
    torch.testing.assert_close(norm(x, y).flatten(), expected, rtol=0, atol=1e-4)


def test_the_class_of_a_generator_only_enters_by_batch_norm() -> None:
    torch.manual_seed(0)
    spec = Spec((1, 8, 8), LatentSpec(dim=5, classes=3, codes=1))
    generator = Generator(spec, width=4, conditional=True).eval()
    assert generator.stem.in_features == 6
    z, c = torch.randn(1, 5).expand(3, 5), torch.zeros(3, 1)
    before = generator(z, torch.tensor([0, 1, 2]), c)
    torch.testing.assert_close(before[0], before[1])
    norm = generator.blocks[0].get_submodule("first_norm")
    assert isinstance(norm, ConditionalBatchNorm)
    nn.init.constant_(norm.shift[1], 2.0)
    after = generator(z, torch.tensor([0, 1, 2]), c)
    torch.testing.assert_close(after[[0, 2]], before[[0, 2]])
    assert not torch.allclose(after[1], before[1])
    with pytest.raises(UsageError, match="conditional batch norm needs classes"):
        Generator(Spec((1, 8, 8), LatentSpec(dim=5)), conditional=True)


def test_self_attention_begins_as_the_identity_and_mixes_places() -> None:
    torch.manual_seed(0)
    layer, x = SelfAttention(16).double(), torch.randn(1, 16, 2, 3, dtype=torch.float64)
    assert torch.equal(layer(x), x)
    nn.init.constant_(layer.gamma, 0.5)
    f, g, h = (each(x)[0].flatten(1) for each in (layer.f, layer.g, layer.h))
    made = torch.zeros_like(f)
    for j in range(6):
        scores = torch.stack([f[:, i] @ g[:, j] for i in range(6)])
        made[:, j] = sum((b * h[:, i] for i, b in enumerate(scores.softmax(0))), torch.zeros_like(h[:, 0]))
    torch.testing.assert_close(layer(x), x + 0.5 * layer.v(made.view(1, -1, 2, 3)))


def test_initial_weights() -> None:
    """Glorot and Bengio 2010, equation 16: variance 2 / (fan-in + fan-out), times 2 in front of a ReLU."""
    torch.manual_seed(0)
    spec = Spec((3, 16, 16), LatentSpec(dim=64))
    block = Generator(spec, width=64, most=64).blocks[0]
    std = math.sqrt(2 * 2 / (9 * (64 + 64)))
    assert float(block.get_parameter("first.weight").detach().std()) == pytest.approx(std, rel=0.03)
    assert float(block.get_parameter("shortcut.weight").detach().std()) == pytest.approx(math.sqrt(2 / 128), rel=0.05)
    block = Generator(spec, width=64, most=64, init="normal").blocks[0]
    assert float(block.get_parameter("first.weight").detach().std()) == pytest.approx(0.02, rel=0.03)
    weight = (
        Generator(spec, width=64, most=64, init="orthogonal")
        .blocks[0]
        .get_parameter("first.weight")
        .detach()
        .flatten(1)
    )
    torch.testing.assert_close(weight @ weight.T, torch.eye(64), rtol=0, atol=1e-4)
