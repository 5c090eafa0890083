"""PSNR by hand, and the lower bound as the training computes it."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor, nn

from gancli.errors import UsageError
from gancli.evaluation.evaluators.reconstruction import figures, lower_bound, reconstruct
from gancli.metrics.images import HIGHEST_PSNR, psnr, ssim


def test_psnr_by_hand() -> None:
    black, grey = torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.zeros(3, 1, 2, 2, dtype=torch.uint8)
    grey[1] = 255
    grey[2, 0, 0, 0] = 51  # a quarter of the pixels is a fifth off
    assert psnr(black, grey).tolist() == pytest.approx([HIGHEST_PSNR, 0.0, -10 * math.log10(0.2**2 / 4)])


def ssim_oracle(one: np.ndarray, other: np.ndarray) -> float:
    """Window by window and pixel by pixel, of one channel."""
    weights = [[math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / (2 * 1.5**2)) for j in range(11)] for i in range(11)]
    total = sum(map(sum, weights))
    places, a, b = [], (0.01 * 255) ** 2, (0.03 * 255) ** 2
    for top in range(one.shape[0] - 10):
        for left in range(one.shape[1] - 10):
            seen = [
                (weights[i][j] / total, one[top + i, left + j], other[top + i, left + j])
                for i in range(11)
                for j in range(11)
            ]
            m, n = sum(w * x for w, x, _ in seen), sum(w * y for w, _, y in seen)
            v, u = sum(w * (x - m) ** 2 for w, x, _ in seen), sum(w * (y - n) ** 2 for w, _, y in seen)
            c = sum(w * (x - m) * (y - n) for w, x, y in seen)
            places.append((2 * m * n + a) * (2 * c + b) / ((m * m + n * n + a) * (v + u + b)))
    return sum(places) / len(places)


@pytest.mark.parametrize("size", [(1, 11, 11), (1, 14, 17), (3, 13, 12)])
def test_ssim_is_the_papers_window_by_window(size: tuple[int, int, int]) -> None:
    generator = torch.Generator().manual_seed(sum(size))
    true = torch.randint(0, 256, (2, *size), dtype=torch.uint8, generator=generator)
    made = (true.float() * 0.7 + 40 * torch.randn(true.shape, generator=generator)).clamp(0, 255).byte()
    expected = [
        np.mean([ssim_oracle(*(image.double().numpy() for image in pair)) for pair in zip(one, other, strict=True)])
        for one, other in zip(true, made, strict=True)
    ]
    assert ssim(true, made).tolist() == pytest.approx(expected, rel=1e-9)


def test_ssim_under_scipys_gaussian_filter() -> None:
    generator = torch.Generator().manual_seed(0)
    true = torch.randint(0, 256, (300, 1, 28, 28), dtype=torch.uint8, generator=generator)
    made = (true.float() + 60 * torch.randn(true.shape, generator=generator)).clamp(0, 255).byte()

    def under(values: np.ndarray) -> np.ndarray:
        return scipy.ndimage.gaussian_filter(values, 1.5, radius=5, axes=(1, 2))[:, 5:-5, 5:-5]

    x, y = true[:, 0].double().numpy(), made[:, 0].double().numpy()
    m, n = under(x), under(y)
    v, u, c = under(x * x) - m * m, under(y * y) - n * n, under(x * y) - m * n
    a, b = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = ((2 * m * n + a) * (2 * c + b) / ((m * m + n * n + a) * (v + u + b))).mean((1, 2))
    assert ssim(true, made).numpy() == pytest.approx(expected, rel=1e-9)


def test_ssim_of_images_without_a_difference_and_without_room() -> None:
    flat = torch.full((2, 1, 20, 20), 7, dtype=torch.uint8)
    assert ssim(flat, flat).tolist() == [1, 1]
    with pytest.raises(UsageError) as raised:
        ssim(flat[..., :10], flat[..., :10])
    assert raised.value.message == "SSIM is of images of 11x11 pixels or more, and these are 20x10"


def test_reconstructions_have_an_ssim_where_it_fits() -> None:
    fake = Fake()
    fake.generator = Wide()
    images = torch.randint(0, 256, (5, 1, 12, 12), generator=torch.Generator().manual_seed(0)).byte()
    found = figures(fake, images)
    assert found["ssim"] == pytest.approx(float(ssim(images, reconstruct(fake, images)).mean()))


class Says(nn.Module):
    """Mean: the first pixel; log variance: 0. And as generator: every pixel is sigmoid(z)."""

    range = (0.0, 1.0)

    def forward(self, images: Tensor | None = None, z: Tensor | None = None) -> Tensor:
        if images is not None:
            first = images.flatten(1)[:, :1]
            return torch.cat([first, torch.zeros_like(first)], 1)
        assert z is not None
        return z.sigmoid()[:, :, None, None].expand(-1, 1, 2, 2)


class Wide(Says):
    """As large as the window of SSIM."""

    def forward(self, images: Tensor | None = None, z: Tensor | None = None) -> Tensor:
        made = super().forward(images, z)
        return made if images is not None else made[:, :, :1, :1].expand(-1, 1, 12, 12)


class Fake:
    """As much of a model as is asked for."""

    device = torch.device("cpu")
    range = (0.0, 1.0)
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
