"""Affine transforms of images by one resampling."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from gancli.alpha import has_alpha

_HALFWAY = [weight / 256 for weight in (3, -25, 150, 150, -25, 3)]
"""Interpolates halfway between two pixels from three on each side (Deslauriers and Dubuc 1989)."""


class Affine(NamedTuple):
    """Affine maps from (x, y) to (xx x + xy y + x, yx x + yy y + y), each number one for all images or (N,).

    Lengths are pixels, right and down from the image's centre.
    """

    xx: Tensor | float = 1.0
    xy: Tensor | float = 0.0
    yx: Tensor | float = 0.0
    yy: Tensor | float = 1.0
    x: Tensor | float = 0.0
    y: Tensor | float = 0.0

    def after(self, first: Affine) -> Affine:
        """The other map, then this one.

        Written out, since some GPUs round matrix products to TF32.
        """
        return Affine(
            self.xx * first.xx + self.xy * first.yx,
            self.xx * first.xy + self.xy * first.yy,
            self.yx * first.xx + self.yy * first.yx,
            self.yx * first.xy + self.yy * first.yy,
            self.xx * first.x + self.xy * first.y + self.x,
            self.yx * first.x + self.yy * first.y + self.y,
        )


def resample(images: Tensor, inverse: Affine) -> Tensor:
    """Transform each image by an affine map; beyond its edges it is reflected, or transparent where it has alpha.

    Karras et al. (2020b, appendix B) double the resolution with an orthogonal wavelet's low-pass filter, interpolate
    linearly at twice the resolution, and halve it. Here the doubled image holds the original pixels and those halfway
    between, by the interpolating filter that is the autocorrelation of such a wavelet's filter, and is sampled once a
    pixel, at a quarter of the cost. Flips, quarter turns and whole shifts therefore copy pixels unchanged, which
    wavelets without symmetry do not. Where an image shrinks, it is blurred first, since no filter follows.

    Made of products and gathers instead of ``grid_sample``, which has no deterministic gradient on CUDA, and in older
    versions of PyTorch no gradient of its gradient.

    Args:
        images: (N, C, H, W).
        inverse: from the output to the input, of tensors (N,).
    """
    height, width = images.shape[2:]
    xx, xy, yx, yy, x0, y0 = (torch.as_tensor(value).view(-1, 1, 1) for value in inverse)
    # How far apart in the input neighbours in the output lie, squared, along each axis of the input.
    images = _blur(_blur(images, xx**2 + xy**2).mT, yx**2 + yy**2).mT
    doubled = _doubling(height, images.dtype, images.device) @ images @ _doubling(width, images.dtype, images.device).mT

    x = torch.arange(width, device=images.device) - (width - 1) / 2
    y = torch.arange(height, device=images.device)[:, None] - (height - 1) / 2
    column, row = xx * x + xy * y + x0, yx * x + yy * y + y0
    (left, right_weight), (top, bottom_weight) = _locate(column, width), _locate(row, height)
    corner = top * (2 * width + 1) + left
    corners = torch.stack([corner, corner + 1, corner + 2 * width + 1, corner + 2 * width + 2], 1)
    across, down = torch.stack([1 - right_weight, right_weight], 1), torch.stack([1 - bottom_weight, bottom_weight], 1)
    weights = (down[:, :, None] * across[:, None, :]).flatten(1, 2).to(images.dtype)
    values = doubled.flatten(2).gather(2, corners.flatten(1)[:, None].expand(-1, images.shape[1], -1))
    made = (values.view(*images.shape[:2], 4, height, width) * weights[:, None]).sum(2)
    if not has_alpha(images):
        return made
    inside = (_inside(column, width) * _inside(row, height)).to(images.dtype)[:, None]
    return made * inside - (1 - inside)


def _inside(position: Tensor, size: int) -> Tensor:
    """How much of a pixel at a position from the centre of a row lies within it, from 0 to 1."""
    return ((size + 1) / 2 - position.abs()).clamp(0, 1)


def _blur(images: Tensor, stride: Tensor) -> Tensor:
    """Blur rows by (a/4, 1 - a/2, a/4), as much as sampling every ``sqrt(stride)`` pixels takes.

    Pixels count as samples of an image that was blurred with a standard deviation of 0.5 (Lowe 2004, section 3.3): to
    sample at a distance d takes 0.5 d, so a variance of (d^2 - 1) / 4 is missing, and the filter's is a/2.
    """
    amount = ((stride - 1) / 2).clamp(0, 1).to(images.dtype).view(-1, 1, 1, 1)
    before = torch.cat([images[..., :1], images[..., :-1]], -1)
    after = torch.cat([images[..., 1:], images[..., -1:]], -1)
    return torch.lerp(images, (before + after) / 2, amount / 2)


@cache
def _doubling(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(2 size + 1, size): a row of pixels to values at every half pixel from one edge to the other, edges included."""
    with torch.inference_mode(False):
        around = torch.arange(-3, size + 3).remainder(2 * size)
        pixels = F.one_hot(torch.minimum(around, 2 * size - 1 - around), size).to(dtype)
        halfway = sum(weight * pixels[first : first + size + 1] for first, weight in enumerate(_HALFWAY))
        matrix = pixels.new_empty(2 * size + 1, size)
        matrix[0::2], matrix[1::2] = halfway, pixels[3:-3]
        return matrix.to(device)


def _locate(position: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Pixels from the centre to the place in the doubled row before them, and the weight of the one after it."""
    from_edge = (position + size / 2).remainder(2 * size)
    place = 2 * (size - (from_edge - size).abs())
    before = place.floor().clamp(max=2 * size - 1)
    return before.long(), place - before
