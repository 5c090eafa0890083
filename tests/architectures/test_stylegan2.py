"""StyleGAN2's networks: published numbers of parameters, modulated convolutions, the filter, mapping and noise."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.architectures import Spec
from gancli.architectures._build import _Blank
from gancli.architectures._layers import EqualizedConv, NoiseInput, filtered, upsampled
from gancli.architectures.stylegan2 import Discriminator, Generator, ModulatedConv
from gancli.latents import LatentSpec
from gancli.training.distributed.dropout import Rows, share

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64)
FILTER = TAPS[:, None] * TAPS / 64


def generator(**options: int) -> Generator:
    torch.manual_seed(0)
    return Generator(Spec((3, 16, 16), LatentSpec(dim=6, classes=3, codes=2)), width=4, **options)


def parameters(make: type[nn.Module], classes: int, **options: object) -> int:
    """Of a network for CIFAR-10, without computing initial weights."""
    with torch.device("meta"), _Blank():
        network = make(Spec((3, 32, 32), LatentSpec(512, classes=classes)), width=512, most=512, **options)
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("classes", [0, 10])
def test_the_generator_has_the_published_parameters(classes: int) -> None:
    """Karras et al. 2020b, appendix D (CIFAR-10: 512 features everywhere, 2 layers of mapping), layer by layer."""
    affine = 512 * 512 + 512
    # With classes, their embedding stands beside z before the first layer.
    mapping = 2 * affine + (10 * 512 + 512 * 512 if classes else 0)
    constant = 512 * 4 * 4
    # One convolution at 4x4, two each at 8x8, 16x16 and 32x32: style, weight, bias, strength of the noise.
    convolutions = 7 * (affine + 512 * 512 * 3 * 3 + 512 + 1)
    images = 4 * (affine + 512 * 3 + 3)
    assert parameters(Generator, classes) == mapping + constant + convolutions + images


@pytest.mark.parametrize("residual", [False, True])
def test_the_discriminator_has_the_published_parameters(residual: bool) -> None:
    """Karras et al. 2020b, appendix D, layer by layer; CIFAR-10 takes the plain one."""
    convolution = 512 * 512 * 3 * 3 + 512
    blocks = 3 * (2 * convolution + (512 * 512 if residual else 0))
    first = 3 * 512 + 512
    last = (512 + 1) * 512 * 3 * 3 + 512 + (512 * 4 * 4) * 512 + 512 + 512 + 1
    assert parameters(Discriminator, 0, residual=residual, group=32) == first + blocks + last
    assert parameters(Discriminator, 10, residual=residual, group=32, conditional=True) == first + blocks + last + 5120


def naive(layer: ModulatedConv, x: Tensor, w: Tensor) -> Tensor:
    """Equations 1 and 3 for one image after the other, each with weights of its own."""
    made = []
    for image, style in zip(x, layer.style(w), strict=True):
        weight = layer.weight / layer.weight[0].numel() ** 0.5 * style[None, :, None, None]
        if layer.demodulate:
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if layer.up:
            wide = F.conv_transpose2d(image[None], weight.transpose(0, 1), stride=2)
            made.append(F.conv2d(wide.transpose(0, 1), 4 * FILTER[None, None], padding=1).transpose(0, 1))
        else:
            made.append(F.conv2d(image[None], weight, padding=weight.shape[-1] // 2))
    return torch.cat(made)


@pytest.mark.parametrize(("kernel", "demodulate", "up"), [(3, True, False), (3, True, True), (1, False, False)])
def test_a_modulated_convolution_is_one_of_each_images_own_weights(kernel: int, demodulate: bool, up: bool) -> None:
    torch.manual_seed(0)
    layer = ModulatedConv(3, 5, 4, kernel, demodulate=demodulate, up=up).double()
    x, w = torch.randn(3, 3, 6, 4).double().requires_grad_(), torch.randn(3, 4).double().requires_grad_()
    made, scale = layer(x, w)
    made, expected = made if scale is None else made * scale, naive(layer, x, w)
    torch.testing.assert_close(made, expected, rtol=1e-12, atol=1e-12)
    inputs = [x, w, *layer.parameters()]
    weights = torch.randn_like(made)
    ours, theirs = (torch.autograd.grad((one * weights).sum(), inputs) for one in (made, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_demodulation_keeps_the_standard_deviation() -> None:
    """Section 2.2: of independent inputs of standard deviation 1, whatever the style."""
    torch.manual_seed(0)
    layer = ModulatedConv(32, 32, 8, 3)
    made, scale = layer(torch.randn(8, 32, 16, 16), 20 * torch.randn(8, 8))
    assert scale is not None
    inner = (made * scale).detach()[..., 1:-1, 1:-1]
    assert float(inner.std((1, 2, 3)).sub(1).abs().max()) < 0.1


def test_the_filter_by_hand() -> None:
    point = torch.zeros(1, 2, 5, 5, dtype=torch.float64)
    point[0, 0, 2, 2] = 1
    assert torch.equal(filtered(point, padding=2)[0, 0, 1:5, 1:5], FILTER)
    assert torch.equal(upsampled(point)[0, 0, 3:7, 3:7], 4 * FILTER)
    for made in (filtered(point, padding=2), upsampled(point)):
        assert not made[0, 1].any()
    even = torch.ones(1, 1, 8, 6)
    assert filtered(even, padding=1, stride=2).shape == (1, 1, 4, 3)
    torch.testing.assert_close(upsampled(even)[..., 1:-1, 1:-1], torch.ones(1, 1, 14, 10))
    halved = EqualizedConv(2, 5, 3, down=True)(torch.randn(1, 2, 7, 8))
    assert halved.shape == (1, 5, 3, 4)


def test_initial_weights_are_those_of_an_equalized_learning_rate() -> None:
    network = generator()
    for name, value in network.named_parameters():
        expected = 100.0 if name.startswith("mapper.layers") else 1.0
        if name.endswith(".weight") and value.numel() > 100:
            assert float(value.detach().std()) == pytest.approx(expected, rel=0.2), name
        elif name.endswith("bias"):
            assert torch.equal(value, torch.full_like(value, float(".style." in name))), name
        elif name.endswith("strength"):
            assert not value.any(), name


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 24, 17), (4, 16, 40)])
def test_any_channels_and_sides(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    spec = Spec(shape, LatentSpec(dim=5))
    made = Generator(spec, width=4)(torch.randn(2, 5))
    assert made.shape == (2, *shape)
    assert Discriminator(spec, width=4)(made).shape == (2, 1)


def test_w_has_a_row_for_every_convolution_and_one_for_the_last_image() -> None:
    network = generator(features=7)
    inputs = network.latent.from_seeds(range(2))
    w = network.map(**inputs)
    assert w.shape == (2, network.layers, 7) == (2, 6, 7)  # 4x4: one; 8x8 and 16x16: two each
    for row in range(network.layers):
        moved = w.clone()
        moved[:, row] += 1
        assert not torch.equal(network.eval().synthesize(w), network.synthesize(moved))


def test_z_and_the_class_are_normalised_before_the_mapping() -> None:
    network = generator().eval()
    inputs = network.latent.from_seeds(range(4))
    w = network.map(**inputs)
    torch.testing.assert_close(network.map(**inputs | {"z": 3 * inputs["z"]}), w)
    assert not torch.allclose(network.map(**inputs | {"y": (inputs["y"] + 1) % 3}), w)
    assert not torch.allclose(network.map(**inputs | {"c": -inputs["c"]}), w)
    weights = F.one_hot(inputs["y"], 3).float()  # a class may come as weights
    torch.testing.assert_close(network.map(**inputs | {"y": weights}), w)


def test_noise_is_drawn_in_training_and_constant_otherwise() -> None:
    network = generator()
    w = network.map(**network.latent.from_seeds(range(2)))
    assert torch.equal(network.synthesize(w), network.synthesize(w))  # strengths begin at 0
    for name, value in network.named_parameters():
        if name.endswith("strength"):
            nn.init.ones_(value)
    assert not torch.equal(network.synthesize(w), network.synthesize(w))
    still = network.eval().synthesize(w)
    assert torch.equal(still, network.synthesize(w))
    assert not any("noise" in name for name, _ in generator(noise=False).named_parameters())


def test_parts_of_a_batch_take_their_rows_of_its_noise() -> None:
    def drawn(count: int) -> Tensor:
        torch.manual_seed(3)
        return layer(count)

    layer = NoiseInput((2, 3))
    nn.init.ones_(layer.strength)
    whole = drawn(12)
    rows = Rows(12, slice(0, 4))
    share(layer, rows)
    for rows.rows in (slice(0, 4), slice(4, 8), slice(8, 12)):
        assert torch.equal(drawn(4), whole[rows.rows])
    assert drawn(3).shape == (3, 1, 2, 3)


def test_the_class_is_a_projection_of_the_features() -> None:
    torch.manual_seed(0)
    network = Discriminator(Spec((3, 16, 16), LatentSpec(dim=2, classes=3)), width=4, conditional=True)
    images, y = torch.rand(3, 3, 16, 16), torch.tensor([2, 0, 1])
    assert network.classes is not None
    row = network.classes.weight[y] / network.classes.weight.shape[1] ** 0.5
    expected = network(images) + (network.features(images) * row).sum(1, keepdim=True)
    torch.testing.assert_close(network(images, y), expected)
    assert not network.batch_independent
    assert Discriminator(Spec((3, 16, 16), LatentSpec(dim=2)), width=4, group=0).batch_independent
