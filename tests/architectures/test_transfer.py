"""Weights of one network for another of its family: adapted layers compute what they computed before."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.architectures import Network, Spec, dcgan, fastgan, mlp, stylegan2
from gancli.architectures._transfer import Misfit, blocks, repatched, transfer
from gancli.latents import LatentSpec

Z = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))


def spec(channels: int = 1, side: int = 16, classes: int = 0, dim: int = 6) -> Spec:
    return Spec((channels, side, side), LatentSpec(dim=dim, classes=classes))


def moved(there: Network, before: Spec, here: Network, now: Spec) -> list[Misfit]:
    """Take over what fits; the networks are as if trained, with biases that are not 0."""
    found = transfer(here, now, there, before)
    here.load_state_dict(found.tensors, strict=False)
    assert found.tensors.keys() | {misfit.name for misfit in found.misfits} == here.state_dict().keys()
    return found.misfits


def trained(network: Network) -> Network:
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name.endswith("bias"):
                value.normal_(0, 0.1)
    return network.eval()


def images(channels: int, side: int = 16) -> Tensor:
    return torch.randn(4, channels, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("family", [fastgan, dcgan, mlp, stylegan2])
def test_a_grey_generator_makes_the_same_images_in_colour(family) -> None:
    grey, colour = spec(1), spec(3)
    there, here = trained(family.Generator(grey)), family.Generator(colour).eval()
    assert not moved(there, grey, here, colour)
    torch.testing.assert_close(here(Z), there(Z).expand(-1, 3, -1, -1))


def test_layers_over_pixels_and_images_of_every_stage_are_adapted_too() -> None:
    grey, colour = spec(1), spec(3)
    there = trained(fastgan.Generator(grey, fine=4, output_skips=True))
    here = fastgan.Generator(colour, fine=4, output_skips=True).eval()
    assert not moved(there, grey, here, colour)
    torch.testing.assert_close(here(Z), there(Z).expand(-1, 3, -1, -1))
    first, *others = blocks(fastgan.Discriminator(colour, fine=4))
    fine = first[0]
    assert isinstance(fine, nn.Sequential)
    assert len(others) == 4


def test_a_colour_generator_makes_the_mean_of_its_colours_before_the_output_function() -> None:
    grey, colour = spec(1), spec(3)
    there, here = trained(fastgan.Generator(colour)), fastgan.Generator(grey).eval()
    assert not moved(there, colour, here, grey)
    torch.testing.assert_close(here(Z).atanh(), there(Z).atanh().mean(1, keepdim=True), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", [fastgan, dcgan, mlp, stylegan2])
@pytest.mark.parametrize(("before", "now"), [(1, 3), (3, 1)])
def test_a_discriminator_scores_grey_images_in_colour_as_before(family, before: int, now: int) -> None:
    old, new = spec(before), spec(now)
    there, here = trained(family.Discriminator(old)), family.Discriminator(new).eval()
    assert not moved(there, old, here, new)
    grey = images(1)
    score = there(grey.expand(-1, before, -1, -1))
    torch.testing.assert_close(here(grey.expand(-1, now, -1, -1)), score, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", [fastgan, dcgan, mlp, stylegan2])
def test_alpha_that_is_new_is_opaque_and_counts_for_nothing(family) -> None:
    colour, rgba = spec(3), spec(4)
    there, here = trained(family.Generator(colour)), family.Generator(rgba).eval()
    assert not moved(there, colour, here, rgba)
    made = here(Z)
    torch.testing.assert_close(made[:, :3], there(Z))
    assert float(made[:, 3].detach().min()) > 0.9
    old, new = trained(family.Discriminator(colour)), family.Discriminator(rgba).eval()
    assert not moved(old, colour, new, rgba)
    torch.testing.assert_close(new(images(4)), old(images(4)[:, :3]), atol=1e-4, rtol=1e-4)
    back = family.Generator(colour).eval()
    assert not moved(here, rgba, back, colour)
    torch.testing.assert_close(back(Z), there(Z))


def test_a_grey_generator_begins_with_opaque_grey() -> None:
    grey, rgba = spec(1), spec(4)
    there, here = trained(dcgan.Generator(grey)), dcgan.Generator(rgba).eval()
    assert not moved(there, grey, here, rgba)
    made = here(Z)
    torch.testing.assert_close(made[:, :3], there(Z).expand(-1, 3, -1, -1))
    assert float(made[:, 3].detach().min()) > 0.9


def test_the_picture_of_a_class_is_no_channel_of_the_image() -> None:
    old, new = spec(1, classes=2), spec(3, classes=2)
    there = trained(dcgan.Discriminator(old, width=4, conditional=True))
    here = dcgan.Discriminator(new, width=4, conditional=True).eval()
    assert not moved(there, old, here, new)
    y, grey = torch.tensor([0, 1, 1, 0]), images(1)
    torch.testing.assert_close(here(grey.expand(-1, 3, -1, -1), y), there(grey, y), atol=1e-5, rtol=1e-4)


def test_new_classes_begin_alike() -> None:
    old, new = spec(), spec(classes=3)
    there, here = trained(fastgan.Generator(old)), fastgan.Generator(new).eval()
    assert not moved(there, old, here, new)
    for label in range(3):
        torch.testing.assert_close(here(Z, torch.full((4,), label)), there(Z))
    plain = fastgan.Generator(old).eval()
    assert not moved(here, new, plain, old)
    torch.testing.assert_close(plain(Z), there(Z))


def test_other_classes_begin_as_the_mean_of_the_old_ones() -> None:
    old, new = spec(classes=2), spec(classes=3)
    there = trained(fastgan.Discriminator(old, width=4, conditional=True))
    here = fastgan.Discriminator(new, width=4, conditional=True).eval()
    assert not moved(there, old, here, new)
    x = images(1)
    mean = (there(x, torch.zeros(4).long()) + there(x, torch.ones(4).long())) / 2
    torch.testing.assert_close(here(x, torch.tensor([0, 1, 2, 2])), mean, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_twice_the_size_with_twice_the_patch_is_the_same_image_enlarged(channels: int) -> None:
    old, new = spec(1), spec(channels, side=32)
    there, here = trained(fastgan.Generator(old, patch=2)), fastgan.Generator(new, patch=4).eval()
    assert not moved(there, old, here, new)
    enlarged = F.interpolate(there(Z), scale_factor=2).expand(-1, channels, -1, -1)
    torch.testing.assert_close(here(Z), enlarged)
    large, small = spec(1, side=32), spec(1)
    back = fastgan.Generator(small, patch=2).eval()
    assert not moved(fastgan.Generator(large, patch=4), large, back, small)


@pytest.mark.parametrize(("side", "patch"), [(32, 4), (8, 1)])
def test_a_discriminator_of_another_size_and_patch_scores_resized_images_as_before(side: int, patch: int) -> None:
    old, new = spec(), spec(side=side)
    there, here = trained(fastgan.Discriminator(old, patch=2)), fastgan.Discriminator(new, patch=patch).eval()
    assert not moved(there, old, here, new)
    small = images(1, 8).repeat_interleave(2, 2).repeat_interleave(2, 3)
    resized = F.interpolate(small, size=(side, side))
    torch.testing.assert_close(here(resized), there(small), atol=1e-5, rtol=1e-4)


def test_blocks_of_pixels_that_are_no_multiples_stay() -> None:
    value = torch.randn(9, 2)
    assert repatched(value, 3, 2, taken=True) is value


def test_what_does_not_fit_is_named_with_both_shapes() -> None:
    old, new = spec(), spec(dim=8)
    there, here = mlp.Generator(old, hidden=[5]), mlp.Generator(new, hidden=[7, 5])
    assert moved(there, old, here, new) == [
        Misfit("body.0.weight", (7, 8), (5, 6)),
        Misfit("body.0.bias", (7,), (5,)),
        Misfit("body.2.weight", (5, 7), (256, 5)),
        Misfit("body.2.bias", (5,), (256,)),
        Misfit("body.4.weight", (256, 5), None),
        Misfit("body.4.bias", (256,), None),
    ]


@pytest.mark.parametrize("options", [{}, {"norm": "batch"}, {"spectral_norm": True}, {"minibatch_std": True}])
def test_a_layer_of_a_discriminator_has_its_norm_and_the_last_one_makes_logits(options: dict) -> None:
    found = blocks(fastgan.Discriminator(spec(side=32), width=4, **options))
    assert len(found) == 5  # 16x16, 8x8, 4x4, one more convolution, the logits
    assert all(isinstance(block[0], nn.Conv2d) for block in found[:-1])
    assert isinstance(found[-1][0], nn.Linear)
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in found[1]) == ("norm" in options)
