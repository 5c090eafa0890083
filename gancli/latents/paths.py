"""Paths between latents."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from gancli.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.latents.spec import Inputs, LatentSpec

Way = Callable[["Tensor", "Tensor", "Tensor"], "Tensor"]
"""From a to b (..., dim) at t."""

Ease = Literal["linear", "smooth"]
"""How a path passes its keyframes: at an even pace, or slowing down before each and speeding up after it."""


def path(spec: LatentSpec, keyframes: Inputs, frames: int, *, loop: bool = False, ease: Ease = "linear") -> Inputs:
    """Points along a path through keyframes, float32 on the CPU: {"z": (T, dim)} or {"w": (T, …)}.

    Normal z follow the great circle (Shoemake 1985, "Animating rotation with quaternion curves", section 3.3), which
    keeps their length. Everything else goes straight: uniform z, which stay in their cube, w, classes and codes. "y" is
    then weights (T, classes), "c" (T, codes).

    Each segment from one keyframe to the next takes ``frames`` steps, and every keyframe is there exactly once: K
    keyframes give T = (K - 1) * frames + 1, or K * frames with ``loop``, where the last segment leads back to the first
    keyframe without repeating it.

    Args:
        spec: the model's latent.
        keyframes: two or more points, as :meth:`LatentSpec.from_seeds` or :meth:`gancli.model.Model.points` makes them.
        frames: steps a segment, at least 1.
        loop: return to the first keyframe.
        ease: "smooth" replaces the time t of a segment, from 0 to 1, by 3 t^2 - 2 t^3, whose rate is 0 at both ends.

    Raises:
        UsageError: fewer than two keyframes.
    """
    import torch

    count = len(next(iter(keyframes.values())))
    if count < 2:
        raise UsageError(f"a path needs two seeds or more, not {count}", "for example: `seeds=3,14,15`")
    points = dict(keyframes)
    if "y" in points and points["y"].dim() == 1:
        points["y"] = torch.nn.functional.one_hot(points["y"], spec.classes)
    t = torch.arange(frames, dtype=torch.float64) / frames
    if ease == "smooth":
        t = t * t * (3 - 2 * t)
    return {name: _through(values.double(), t, way(spec, name), loop) for name, values in points.items()}


def way(spec: LatentSpec, name: str) -> Way:
    """How two inputs of that name are joined: normal z on the great circle, everything else straight."""
    return slerp if name == "z" and spec.distribution == "normal" else lerp


def _through(points: Tensor, t: Tensor, between: Way, loop: bool) -> Tensor:
    """From point to point, float32 (T, …)."""
    import torch

    t = t.view(-1, *[1] * (points.dim() - 1))
    following = points.roll(-1, dims=0)
    last = [] if loop else [points[-1:].float()]
    pairs = list(zip(points, following, strict=True))
    # Segment by segment, so that double precision and the formula's terms never stand for the whole path.
    return torch.cat([between(a, b, t).float() for a, b in (pairs if loop else pairs[:-1])] + last)


def lerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """(1 - t) a + t b, on the line from a to b (..., dim)."""
    return (1 - t) * a + t * b


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """sin((1 - t) w) / sin(w) a + sin(t w) / sin(w) b, with w the angle between a and b (..., dim)."""
    import torch
    from torch.nn.functional import normalize

    cosine = (normalize(a, dim=-1) * normalize(b, dim=-1)).sum(-1, keepdim=True).clamp(-1, 1)
    angle = cosine.acos()
    sine = angle.sin()
    # Latents on one line have no great circle between them, or no single one.
    aligned = sine < 1e-6
    sine = torch.where(aligned, 1.0, sine)
    arc = ((1 - t) * angle).sin() / sine * a + (t * angle).sin() / sine * b
    return torch.where(aligned, lerp(a, b, t), arc)
