"""FastGAN's networks: patches as channels, skip-layer excitation, minibatch standard deviation, projection."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from gancli.architectures import Spec
from gancli.architectures._build import build
from gancli.architectures._layers import MinibatchDeviation
from gancli.architectures._norms import ClassModulation
from gancli.architectures.fastgan import Discriminator, Generator, _quarter, patch_of, stage_sizes
from gancli.errors import UsageError
from gancli.latents import LatentSpec
from gancli.recipe import parse
from gancli.zoo import catalogue

SPEC = Spec((3, 32, 32), LatentSpec(dim=8, classes=3))


def test_feature_maps_are_halved_down_to_four() -> None:
    assert stage_sizes(64, 64, 2) == [(32, 32), (16, 16), (8, 8), (4, 4)]
    assert stage_sizes(64, 64, 1)[0] == (64, 64)
    assert [patch_of(side, side, 0) for side in (15, 16, 64, 65, 128)] == [1, 2, 2, 4, 4]
    assert patch_of(128, 128, 2) == 2
    assert stage_sizes(33, 64, 2) == [(17, 32), (9, 16), (5, 8)]


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_a_patch_of_pixels_is_a_place_of_the_feature_maps(patch: int) -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(SPEC, width=4, patch=patch)
    first = discriminator.body[0]
    assert isinstance(first, nn.Conv2d)
    assert first.in_channels == 3 * patch**2
    generator = Generator(SPEC, width=4, patch=patch)
    assert generator.last.out_channels == 3 * patch**2
    made = generator(torch.randn(2, 8), torch.tensor([0, 2]))
    assert made.shape == (2, 3, 32, 32)
    assert discriminator(made).shape == (2, 1)


def test_excitation_scales_channels_by_the_first_feature_maps() -> None:
    torch.manual_seed(0)
    generator = Generator(SPEC, width=4).eval()
    w = generator.map(torch.randn(2, 8), torch.tensor([0, 1]))
    before = generator.synthesize(w)
    assert generator.excitation is not None
    gates = generator.excitation[3]
    assert isinstance(gates, nn.Conv2d)
    nn.init.zeros_(gates.weight)
    nn.init.constant_(gates.bias, -100.0)  # every channel is scaled by 0
    assert generator.last.bias is not None
    blocks = generator.last.bias.tanh().view(1, 3, 2, 2).repeat(2, 1, 16, 16)
    torch.testing.assert_close(generator.synthesize(w), blocks)
    assert not torch.allclose(before, blocks)


def test_classes_change_batch_norm_in_every_stage() -> None:
    torch.manual_seed(0)
    generator, plain = Generator(SPEC, width=4, conditional=True).eval(), Generator(SPEC, width=4).eval()
    plain.load_state_dict(generator.state_dict(), strict=False)
    w = generator.map(torch.randn(2, 8), torch.tensor([0, 1]))
    torch.testing.assert_close(generator.synthesize(w), plain.synthesize(w))  # they begin with no change
    for stage in generator.stages:
        nn.init.constant_(stage.of_class.shift[1], 1.0)
    changed = generator.synthesize(w)
    torch.testing.assert_close(changed[0], plain.synthesize(w)[0])
    assert not torch.allclose(changed[1], plain.synthesize(w)[1])


def test_class_modulation_by_hand() -> None:
    layer = ClassModulation(1, 2)
    with torch.no_grad():
        layer.scale.copy_(torch.tensor([[1.0], [-0.5]]))
        layer.shift.copy_(torch.tensor([[10.0], [20.0]]))
    x = torch.tensor([2.0, 2.0, 4.0]).view(3, 1, 1, 1)
    y = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    assert layer(x, y).flatten().tolist() == [14.0, 21.0, 4 * 1.25 + 15]


def test_modulation_needs_classes() -> None:
    with pytest.raises(UsageError, match="needs classes, and the generator takes none"):
        Generator(Spec((3, 32, 32), LatentSpec(dim=8)), conditional=True)


def test_minibatch_deviation_by_hand() -> None:
    layer = MinibatchDeviation(group=2)
    x = torch.zeros(4, 1, 1, 2)
    # Images 0 and 1 are one group, 2 and 3 another: the first differ by 6 at one of two places, the others nowhere.
    x[1, 0, 0, 0] = 6.0
    made = layer(x)
    assert made.shape == (4, 2, 1, 2)
    assert torch.equal(made[:, :1], x)
    expected = torch.tensor([1.5, 1.5, 0.0, 0.0]).view(4, 1, 1, 1).expand(4, 1, 1, 2)
    torch.testing.assert_close(made[:, 1:], expected, atol=1e-3, rtol=0)
    assert layer(x[:3]).shape == (3, 2, 1, 2)


@pytest.mark.parametrize("options", [{"norm": "batch"}, {"minibatch_std": True}])
def test_what_compares_the_images_of_a_batch_says_so(options: dict[str, object]) -> None:
    assert Discriminator(SPEC, width=4).batch_independent
    assert not Discriminator(SPEC, width=4, **options).batch_independent


def test_the_class_is_a_projection_of_the_features() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(SPEC, width=4, conditional=True)
    images, y = torch.rand(3, 3, 32, 32), torch.tensor([2, 0, 1])
    assert discriminator.classes is not None
    expected = discriminator(images) + (discriminator.features(images) * discriminator.classes.weight[y]).sum(1, True)
    torch.testing.assert_close(discriminator(images, y), expected)
    with pytest.raises(UsageError, match="there are no classes"):
        Discriminator(Spec((3, 32, 32), LatentSpec(dim=8)), width=4, conditional=True)


def test_spectral_norm_divides_every_weight() -> None:
    discriminator = Discriminator(SPEC, width=4, spectral_norm=True)
    for module in discriminator.body:
        if isinstance(module, nn.Linear):
            for _ in range(50):
                weight = module.weight.detach()
            assert float(torch.linalg.matrix_norm(weight, 2)) == pytest.approx(1, abs=1e-2)


def test_output_skips_are_the_sum_of_the_stages_images() -> None:
    torch.manual_seed(0)
    generator = Generator(SPEC, width=4, patch=2, excitation=False, output_skips=True, output="linear").eval()
    assert len(generator.images) == len(generator.stages) + 1 == 3
    for image in generator.images[1:]:
        nn.init.zeros_(image.weight)
        nn.init.constant_(image.bias, 0.25)
    nn.init.zeros_(generator.last.weight)
    assert generator.last.bias is not None
    nn.init.zeros_(generator.last.bias)
    w = generator.map(torch.randn(2, 8), torch.tensor([0, 1]))
    first = nn.functional.glu(generator.norm(generator.stem(w).view(-1, *generator.base)), 1)
    image = generator.images[0](first)
    for side in (8, 16, 32):
        image = nn.functional.interpolate(image, (side, side), mode="bilinear") + (0.25 if side < 32 else 0)
    torch.testing.assert_close(generator.synthesize(w), image)


@pytest.mark.parametrize("size", [(32, 32), (19, 24)])
def test_convolutions_over_pixels_see_beyond_a_patch(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    spec = Spec((3, *size), LatentSpec(dim=8))
    generator = Generator(spec, width=4, patch=4, fine=5)
    assert generator.last.out_channels == 5 * 16
    assert generator.fine is not None
    assert generator.fine.weight.shape == (3, 5, 3, 3)
    assert generator(torch.randn(2, 8)).shape == (2, 3, *size)
    discriminator = Discriminator(spec, width=4, patch=4, fine=6)
    images = torch.rand(1, 3, *size)
    assert discriminator(images).shape == (1, 1)
    moved = images.clone()
    moved[..., 4, 4] += 1  # the first pixel of the patch at (1, 1) changes what the convolution says of its neighbours
    changed = (discriminator.fine(images) != discriminator.fine(moved)).any(1)[0]
    assert changed.sum() == 9
    assert changed[3:6, 3:6].all()


@pytest.mark.parametrize(
    ("shape", "large", "small"),
    [
        ((3, 64, 64), (16, 16), (8, 8)),
        ((4, 32, 32), (16, 16), (8, 8)),
        ((1, 8, 8), (8, 8), (4, 4)),
        ((3, 33, 48), (17, 24), (8, 12)),
    ],
)
def test_decoders_see_the_papers_feature_maps(
    shape: tuple[int, int, int], large: tuple[int, int], small: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    plain = Discriminator(Spec(shape, LatentSpec(2)), width=4)
    torch.manual_seed(0)
    network = Discriminator(Spec(shape, LatentSpec(2)), width=4, decoders=True)
    images = torch.rand(3, *shape)
    logits, *heads = network(images)
    torch.testing.assert_close(logits, plain(images))
    assert [tuple(head.shape[2:]) for head in heads] == [shape[1:], large, small]
    assert network.decoders is not None
    half = shape[1] // 2, shape[2] // 2
    assert network.decoders.whole(heads[2]).shape == (3, shape[0], *half)
    error = network.reconstruction_error(dict(zip(network.heads, heads, strict=True)), torch.tensor([0, 3, 1]))
    error.backward()
    assert all(parameter.grad is not None for parameter in network.decoders.parameters())


def test_quarters_by_hand() -> None:
    image = torch.arange(16.0).view(1, 1, 4, 4).expand(4, -1, -1, -1)
    quarters = _quarter(image, torch.arange(4), 2, 2)
    assert quarters[:, 0].flatten(1).tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]


def test_the_published_width_by_hand() -> None:
    """At 64 pixels with ngf = ndf = 64: layer by layer, as the recipe builds them."""
    made = parse(catalogue.recipe_table("fastgan") | {"data": {"size": [64, 64], "channels": 3}})
    generator, discriminator = (build(made, name, blank=True) for name in ("generator", "discriminator"))

    def upsampling(inputs: int, outputs: int) -> int:
        return 9 * inputs * 2 * outputs + 2 * 2 * outputs

    maps = [1024, 512, 256, 128, 64]
    stem = 256 * 2048 * 16 + 2 * 2048
    stages = sum(upsampling(one, other) for one, other in pairwise(maps))
    excitation = (16 * 1024 * 64 + 64) + (64 * 64 + 64)
    last = 9 * 64 * 3 + 3
    assert sum(value.numel() for value in generator.parameters()) == stem + stages + excitation + last
    first = 9 * 3 * 64 + 64
    down = sum(16 * one * other + 2 * other for one, other in pairwise(maps[::-1]))
    end = (9 * 1024 * 1024 + 1024) + (1024 * 16 + 1)
    whole = upsampling(512, 256) + upsampling(256, 128) + (9 * 128 * 3 + 3)
    part = upsampling(256, 128) + upsampling(128, 64) + (9 * 64 * 3 + 3)
    assert sum(value.numel() for value in discriminator.parameters()) == first + down + end + whole + part
