"""Images to images: the U-Net, and the discriminator of patches that judges it."""

import pytest
import torch
from torch import nn

from gancli.architectures._base import Spec
from gancli.architectures._build import build
from gancli.architectures._layers import halvings
from gancli.architectures.patch import Discriminator
from gancli.architectures.patch import halvings as patch_halvings
from gancli.architectures.unet import Generator
from gancli.errors import UsageError
from gancli.latents import LatentSpec
from gancli.recipe import parse

LATENT = LatentSpec(1)
SHAPES = [(1, 28, 28), (3, 32, 32), (1, 8, 8), (3, 24, 40), (1, 9, 31), (3, 17, 8)]


def images(shape, count=3, seed=0):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_any_size_comes_back_as_it_was_and_every_weight_learns(shape):
    torch.manual_seed(0)
    spec = Spec(shape, LATENT)
    generator, discriminator = Generator(spec, width=8, most=32), Discriminator(spec, width=8)
    source = images(shape)
    made = generator(source=source)
    assert made.shape == source.shape
    assert made.abs().max() <= 1
    logits = discriminator(made, source=source)
    assert logits.shape[:2] == (3, 1)
    assert logits.shape[2] >= 1
    logits.square().sum().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            if name.endswith("convolution.weight"):
                assert parameter.grad.abs().sum() > 0, name


def published(shape, **networks):
    """A network of the paper, without weights."""
    table = {
        "model": "x",
        "data": {"size": list(shape[1:]), "channels": shape[0]},
        "latent": {"dim": 1},
        "networks": {"generator": {"architecture": "unet"}, "discriminator": {"architecture": "patch"}},
        "objective": {"name": "pix2pix"},
        "optimizer": {},
    }
    return parse(table, components=False)


def test_the_defaults_are_the_papers_networks():
    """Appendix 6.1: eight halvings of 256, C64-C128-C256-C512 and on with C512; a PatchGAN of 70x70."""
    recipe = published((3, 256, 256))
    unet, patch = (build(recipe, name, blank=True) for name in ("generator", "discriminator"))
    down = [m.out_channels for m in unet.down.modules() if isinstance(m, nn.Conv2d)]
    up = [m.in_channels for m in unet.up.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert down == [64, 128, 256, 512, 512, 512, 512, 512]
    # With what the way down had at the same size: CD512, then CD1024, CD1024, C1024, C1024, C512, C256 and C128.
    assert up == [512, 1024, 1024, 1024, 1024, 512, 256]
    assert sum(isinstance(m, nn.Dropout) for m in unet.modules()) == 3
    # As many values as the discriminator that the paper's authors published has for images of three channels.
    assert sum(p.numel() for p in patch.parameters()) == 2_768_705


@pytest.mark.parametrize(("layers", "side"), [(1, 16), (2, 34), (3, 70)])
def test_a_patch_has_the_papers_size(layers, side):
    torch.manual_seed(0)
    spec = Spec((1, 128, 128), LATENT)
    judge = Discriminator(spec, width=2, layers=layers, conditional=False, norm="none", init_std=0)
    seen = torch.zeros(1, 1, 128, 128, requires_grad=True)
    logits = judge(seen)
    middle = logits.shape[2] // 2
    logits[0, 0, middle, middle].backward()
    assert seen.grad is not None
    touched = seen.grad[0, 0].abs() > 0
    assert (int(touched.any(0).sum()), int(touched.any(1).sum())) == (side, side)


def test_a_conditional_judge_looks_at_the_source():
    torch.manual_seed(0)
    spec = Spec((1, 16, 16), LATENT)
    judge, image = Discriminator(spec, width=4), images((1, 16, 16))
    with pytest.raises(ValueError, match="source"):
        judge(image)
    first, second = (judge(image, source=images((1, 16, 16), seed=seed)) for seed in (1, 2))
    assert not torch.equal(first, second)


def test_what_the_bottleneck_loses_comes_through_the_skips():
    torch.manual_seed(0)
    generator = Generator(Spec((1, 16, 16), LATENT), width=8, init_std=0).eval()
    source = images((1, 16, 16), count=1)
    other = source.clone()
    other[0, 0, 3, 3] += 1
    changed = (generator(source) - generator(other)).abs()[0, 0]
    # One pixel of the source shows most where it is.
    assert changed[1:6, 1:6].max() == changed.max()
    assert changed.max() > 0


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
def test_an_image_does_not_depend_on_its_batch(norm):
    torch.manual_seed(0)
    generator = Generator(Spec((3, 16, 16), LATENT), width=8, norm=norm).eval()
    source = images((3, 16, 16), count=6)
    with torch.inference_mode():
        torch.testing.assert_close(generator(source), torch.cat([generator(one[None]) for one in source]))


@pytest.mark.parametrize("output", ["tanh", "sigmoid"])
def test_a_residual_generator_begins_with_the_source(output):
    torch.manual_seed(0)
    generator = Generator(Spec((1, 16, 16), LATENT), width=4, residual=True, init_std=1e-4, output=output).eval()
    source = images((1, 16, 16)).clamp(*generator.range)
    torch.testing.assert_close(generator(source), source, atol=0.011, rtol=0)


def test_sizes():
    assert halvings(28, 28, 8) == [(28, 28), (14, 14), (7, 7), (4, 4), (2, 2), (1, 1)]
    assert halvings(9, 40, 2) == [(9, 40), (5, 20), (3, 10)]
    assert [patch_halvings(side, side, 3) for side in (6, 11, 12, 28, 64)] == [1, 1, 2, 3, 3]
    with pytest.raises(UsageError) as refused:
        Generator(Spec((1, 7, 20), LATENT))
    assert refused.value.message == "unet needs images of at least 8x8 pixels, these are 7x20"
    assert refused.value.hint == "choose a larger size, as in `data.size=[8,20]`"
    with pytest.raises(UsageError, match="patch needs images of at least 6x6 pixels, these are 5x9"):
        Discriminator(Spec((1, 5, 9), LATENT))


def test_flips_average_over_mirror_images_where_the_network_is_used():
    torch.manual_seed(0)
    plain, averaging = (Generator(Spec((1, 16, 12), LATENT), width=4, flips=flips) for flips in (False, True))
    averaging.load_state_dict(plain.state_dict())
    source = torch.rand(2, 1, 16, 12) * 2 - 1
    torch.manual_seed(1)
    learned = plain(source=source)
    torch.manual_seed(1)
    assert torch.equal(averaging(source=source), learned)
    plain.eval(), averaging.eval()
    mirrors = [plain(source=source.flip(axes)).flip(axes) for axes in ([], [2], [3], [2, 3])]
    torch.testing.assert_close(averaging(source=source), sum(mirrors) / 4)
    torch.testing.assert_close(averaging(source=source.flip(3)), averaging(source=source).flip(3))
