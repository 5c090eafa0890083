"""PSNR by hand, and the lower bound as the training computes it."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from gancli.evaluation.reconstruction import HIGHEST, figures, lower_bound, psnr, reconstruct


def test_psnr_by_hand() -> None:
    black, grey = torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.zeros(3, 1, 2, 2, dtype=torch.uint8)
    grey[1] = 255
    grey[2, 0, 0, 0] = 51  # a quarter of the pixels is a fifth off
    assert psnr(black, grey).tolist() == pytest.approx([HIGHEST, 0.0, -10 * math.log10(0.2**2 / 4)])


class Says(nn.Module):
    """Mean: the first pixel; log variance: 0. And as generator: every pixel is sigmoid(z)."""

    range = (0.0, 1.0)

    def forward(self, images: Tensor | None = None, z: Tensor | None = None) -> Tensor:
        if images is not None:
            first = images.flatten(1)[:, :1]
            return torch.cat([first, torch.zeros_like(first)], 1)
        assert z is not None
        return z.sigmoid()[:, :, None, None].expand(-1, 1, 2, 2)


class Fake:
    """As much of a model as is asked for."""

    device = torch.device("cpu")
    recipe = SimpleNamespace(objective=SimpleNamespace(name="vae", options={"likelihood": "bernoulli"}))
    generator = Says()
    networks = {"generator": generator, "encoder": generator}  # noqa: RUF012

    def encode(self, images: Tensor) -> Tensor:
        return self.generator(images.float() / 255)[:, :1]

    def generate(self, inputs: dict[str, Tensor]) -> Tensor:
        return (self.generator(**inputs) * 255).round().byte()


def test_lower_bound_by_hand() -> None:
    white = torch.full((2, 1, 2, 2), 255, dtype=torch.uint8)
    found = lower_bound(Fake(), white, seed=3)
    z = 1 + torch.randn(2, 1, generator=torch.Generator().manual_seed(3))
    nats = -4 * z.sigmoid().log()[:, 0]
    torch.testing.assert_close(found["reconstruction"], nats)
    torch.testing.assert_close(found["kl"], torch.full((2,), 0.5))
    torch.testing.assert_close(found["elbo"], -nats - 0.5)


def test_figures_are_means_over_all_batches() -> None:
    images = torch.randint(0, 256, (600, 1, 2, 2), generator=torch.Generator().manual_seed(0)).byte()
    told = []
    found = figures(Fake(), images, lambda what, done, total: told.append((done, total)))
    assert told == [(250, 600), (500, 600), (600, 600)]
    assert set(found) == {"psnr", "elbo", "reconstruction", "kl"}
    assert found["psnr"] == pytest.approx(float(psnr(images, reconstruct(Fake(), images)).mean()))
    assert found["elbo"] == pytest.approx(-found["reconstruction"] - found["kl"], rel=1e-5)
