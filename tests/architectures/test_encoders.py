"""Encoders: what they say of images, and codes that are distributed as latents are."""

import pytest
import torch

from gancli import registry
from gancli.architectures._base import Spec
from gancli.architectures._heads import Whitening
from gancli.latents import LatentSpec

FAMILIES = [family for family in registry.names("architecture") if "encoder" in registry.get("architecture", family)]


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 31), (1, 8, 8)], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_shapes_and_gradients(family: str, shape: tuple[int, int, int]) -> None:
    for code, size in (("plain", 5), ("whitened", 5), ("gaussian", 10)):
        encoder = registry.get("architecture", family)["encoder"](Spec(shape, LatentSpec(5)), code=code)
        said = encoder(torch.rand(8, *shape))
        assert said.shape == (8, size)
        said.square().sum().backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in encoder.parameters())


def test_both_families_have_one() -> None:
    assert {"mlp", "dcgan"} <= set(FAMILIES)


def test_whitened_codes_have_mean_0_and_covariance_1() -> None:
    torch.manual_seed(0)
    mix = torch.randn(4, 4)
    whitening = Whitening(4, momentum=0.02)
    for _ in range(400):
        whitening(torch.randn(64, 4) @ mix + torch.tensor([5.0, 0, -3, 1]))
    whitening.eval()
    codes = whitening(torch.randn(5000, 4) @ mix + torch.tensor([5.0, 0, -3, 1]))
    torch.testing.assert_close(codes.mean(0), torch.zeros(4), atol=0.3, rtol=0)
    torch.testing.assert_close(codes.T.cov(), torch.eye(4), atol=0.3, rtol=0)


def test_whitening_follows_in_training_only_and_takes_no_gradient() -> None:
    whitening = Whitening(3)
    codes = (10 * torch.randn(16, 3)).requires_grad_()
    whitening.eval()
    torch.testing.assert_close(whitening(codes), codes, rtol=1e-3, atol=1e-3)
    assert torch.equal(whitening.mean, torch.zeros(3))
    whitening.train()
    whitening(codes).sum().backward()
    assert whitening.mean.abs().sum() > 0
    assert not whitening.mean.requires_grad


def test_a_code_that_never_varies_stays_finite() -> None:
    whitening = Whitening(3)
    for _ in range(3000):
        found = whitening(torch.cat([torch.randn(8, 2), torch.ones(8, 1)], 1))
    assert torch.isfinite(found).all()
    assert found[:, 2].abs().max() < 10
