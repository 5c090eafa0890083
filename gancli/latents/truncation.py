"""Truncation: images of seeds drawn toward the typical, which makes them better and more alike.

Which way a model does it, its generator declares: by limiting z, or by moving w toward its mean.
"""

from __future__ import annotations

from math import erf
from typing import TYPE_CHECKING, Literal

from gancli.errors import UsageError
from gancli.latents.seeds import short

if TYPE_CHECKING:
    from torch import Tensor

Strategy = Literal["z-cutoff", "w-psi"]

LEAST_CUTOFF = 1e-3
MOST_PSI = 2.0


def check(strategy: Strategy, value: float) -> None:
    """Hold the value of a truncation against a model's strategy.

    Args:
        strategy: "z-cutoff": the value is the largest that z may have. "w-psi": it is psi, what remains of w's distance
            from its mean.
        value: what the user gave.

    Raises:
        UsageError: out of range.
    """
    if strategy == "z-cutoff" and not value >= LEAST_CUTOFF:
        raise UsageError(
            f"`truncation` {value:g} leaves nothing to draw from",
            "2 changes little; down to about 1, images become safer and more alike",
        )
    if strategy == "w-psi" and not -MOST_PSI <= value <= MOST_PSI:
        raise UsageError(
            f"`truncation` {value:g} is out of range: this model moves w toward its mean by a factor",
            f"from -{MOST_PSI:g} to {MOST_PSI:g}; 1 changes nothing, 0.7 is usual, at 0 all images are the mean's",
        )


def parse(text: str) -> tuple[float | None, ...]:
    """Read ``0.7`` or ``1,0.5,none``: values separated by commas.

    Raises:
        UsageError: another form.
    """
    try:
        return tuple(None if part.strip() == "none" else float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"`truncation` '{short(text)}' is neither a number nor several", "as in 0.7, or 1,0.5,none for three seeds"
        ) from None


def cutoff(z: Tensor, limit: float, distribution: str) -> Tensor:
    """z (N, dim) as if it had been drawn again and again until no value lay beyond the limit.

    That is the truncation trick (Brock et al. 2019, "Large scale GAN training for high fidelity natural image
    synthesis", section 3.1). Drawn again, a seed would become another image at each limit; here each value takes
    the place in the truncated distribution that it had in the whole one, so that images change gradually.
    """
    if distribution == "uniform":
        return z * min(limit, 1.0)
    # erf(z / sqrt(2)) is uniform on (-1, 1), and on (-edge, edge) under a limit.
    return ((z.double() / 2**0.5).erf() * erf(limit / 2**0.5)).erfinv().mul(2**0.5).clamp(-limit, limit).float()


def toward_mean(w: Tensor, means: Tensor, y: Tensor | None, psi: float | Tensor, layers: int | None = None) -> Tensor:
    """mean + psi (w - mean): Karras et al. 2019, "A style-based generator architecture", appendix B.

    Args:
        w: (N, width) or (N, rows, width).
        means: of w over many z: (1, width), or of each class, (classes, width).
        y: classes (N,), or weights of them (N, classes), where there are any.
        psi: 1 leaves w as it is; a number, or a tensor ().
        layers: only the first of the rows; None for all.
    """
    mean = means if y is None else means[y] if y.dim() == 1 else y.to(means.dtype) @ means
    if w.dim() == 3:
        mean = mean[:, None]
    moved = mean + psi * (w - mean)
    if layers is None or w.dim() == 2:
        return moved
    import torch

    return torch.cat([moved[:, :layers], w[:, layers:]], 1)
