"""Metrics of pairs of images: PSNR and SSIM."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gancli.alpha import premultiply
from gancli.errors import UsageError
from gancli.metrics.base import Figure

HIGHEST_PSNR = 60.0
"""The PSNR in dB that identical images are said to have."""
WINDOW = 11
"""Pixels on a side of SSIM's window; smaller images have no SSIM."""
PREMULTIPLIED = "PSNR and SSIM of all four channels, colours times alpha"
"""What becomes of transparency, in the words of reports."""
SIGMA = 1.5
"""Standard deviation of the window, in pixels."""
_BATCH = 250

FIGURES = (
    Figure("psnr", "PSNR, mean over images", "higher", 2, unit="dB"),
    Figure("psnr_all", "PSNR of all images", "higher", 2, unit="dB"),
    Figure("ssim", "SSIM, mean over images", "higher", 4),
)
ROUND_TRIPS = (
    Figure("psnr_round_trip", "PSNR, image round trip", "higher", 2, unit="dB"),
    Figure("psnr_source_round_trip", "PSNR, source round trip", "higher", 2, unit="dB"),
)
METHOD = (
    "PSNR of 8-bit images over all channels; psnr is the mean over images, of which each counts at most "
    f"{HIGHEST_PSNR:g} dB, psnr_all is that of the mean squared error over all images; ssim is the mean structural "
    f"similarity under a Gaussian window of {WINDOW}x{WINDOW} pixels, over channels and images"
)


def psnr(originals: Tensor, others: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB, float64 (N,), at most 60; both uint8 (N, C, H, W).

    With alpha, over all four channels of premultiplied colours: what cannot be seen does not count.
    """
    return _decibels(_errors(originals, others))


def _errors(originals: Tensor, others: Tensor) -> Tensor:
    """The mean squared error of each image."""
    return (premultiply(originals.double()) - premultiply(others.double())).square().flatten(1).mean(1)


def _decibels(error: Tensor) -> Tensor:
    return (10 * (255**2 / error).log10()).clamp_max(HIGHEST_PSNR)


def ssim(originals: Tensor, others: Tensor) -> Tensor:
    """Structural similarity of each image, float64 (N,), 1 for identical ones; both uint8 (N, C, H, W).

    The mean of (2 m m' + A)(2 c + B) / ((m^2 + m'^2 + A)(v + v' + B)) over all places of an 11x11 Gaussian window of
    sigma 1.5 that lie inside the image, with means m, variances v and covariance c under the window,
    A = (0.01 * 255)^2 and B = (0.03 * 255)^2: Wang et al. 2004, "Image quality assessment: from error visibility to
    structural similarity", equations 13 to 16. Of colour, the mean over channels, with alpha of premultiplied
    colours. Images are not downsampled to 256 pixels first, as the authors' later program does.

    Raises:
        UsageError: images smaller than the window.
    """
    check_ssim(originals.shape)
    # In pieces: there are five blurred copies of everything, in double precision.
    pieces = zip(originals.split(_BATCH), others.split(_BATCH), strict=True)
    parts = [_similarity(premultiply(one.double()), premultiply(other.double())) for one, other in pieces]
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.float64)


def has_ssim(size: tuple[int, ...]) -> bool:
    """Whether SSIM's window fits into images of (…, H, W)."""
    return min(size[-2:]) >= WINDOW


def check_ssim(size: tuple[int, ...], whose: str = "") -> None:
    """Refuse images of (…, H, W) into which SSIM's window does not fit; ``whose`` begins the message.

    Raises:
        UsageError: a side is shorter than the window.
    """
    if not has_ssim(size):
        raise UsageError(
            f"{whose}SSIM is of images of {WINDOW}x{WINDOW} pixels or more, and these are {size[-2]}x{size[-1]}",
            "psnr is of any",
        )


def _similarity(one: Tensor, other: Tensor) -> Tensor:
    """SSIM (N,) of float64 (N, C, H, W) in [0, 255]."""
    mean, mean_other = _blur(one), _blur(other)
    variance, variance_other = _blur(one.square()) - mean.square(), _blur(other.square()) - mean_other.square()
    covariance = _blur(one * other) - mean * mean_other
    a, b = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (2 * mean * mean_other + a) * (2 * covariance + b)
    norm = (mean.square() + mean_other.square() + a) * (variance + variance_other + b)
    return (similarity / norm).flatten(1).mean(1)


def _blur(values: Tensor) -> Tensor:
    """The mean under the window in every position where it fits: float64 (N, C, H - 10, W - 10)."""
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = (-offsets.square() / (2 * SIGMA**2)).exp()
    weights = (weights / weights.sum()).view(1, 1, 1, WINDOW)
    # The window is a product of two.
    blurred = F.conv2d(F.conv2d(values.flatten(0, 1)[:, None], weights), weights.mT)
    return blurred.unflatten(0, values.shape[:2]).squeeze(2)


def compare(true: Tensor, others: Tensor) -> dict[str, float]:
    """The :data:`FIGURES` of images uint8 (N, C, H, W); SSIM only where its window fits."""
    together = _decibels(_errors(true, others).mean())
    found = {"psnr": float(psnr(true, others).mean()), "psnr_all": float(together)}
    return found | ({"ssim": float(ssim(true, others).mean())} if has_ssim(true.shape) else {})
