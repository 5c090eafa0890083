"""Optimizers by name, gradient clipping, and the schedules of rates and betas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from gancli import registry
from gancli.recipe import Optimizer
from gancli.recipe.schedules import MAY_BE_SCHEDULED, Progress, Schedule, value_at

Beta = Annotated[float, Field(ge=0, lt=1), *MAY_BE_SCHEDULED]


def adam(
    parameters: Iterable[nn.Parameter],
    lr: float,
    fused: bool,
    *,
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Annotated[float, Field(gt=0)] = 1e-8,
) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba 2015, algorithm 1)."""
    return torch.optim.Adam(parameters, lr=lr, betas=betas, eps=eps, fused=fused)


def rmsprop(
    parameters: Iterable[nn.Parameter],
    lr: float,
    fused: bool,
    *,
    alpha: Beta = 0.99,
    eps: Annotated[float, Field(gt=0)] = 1e-8,
) -> torch.optim.Optimizer:
    """RMSprop (Hinton, lecture 6e of the 2012 course)."""
    return torch.optim.RMSprop(parameters, lr=lr, alpha=alpha, eps=eps, foreach=True)


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"adam": adam, "rmsprop": rmsprop}


def build(section: Optimizer, parameters: Iterable[nn.Parameter], device: torch.device) -> torch.optim.Optimizer:
    """The optimizer of one player, with its schedules at their start."""
    make: Any = registry.get("optimizer", section.name)
    start = Progress()
    options = {name: _at(value, start) for name, value in _options(section).items()}
    return make(parameters, value_at(section.lr, start), device.type in ("cpu", "cuda"), **options)


def clip(section: Optimizer, gradients: list[Tensor]) -> None:
    """Clip every gradient value to [-clip_value, clip_value], where the recipe has one."""
    if section.clip_value is not None:
        torch._foreach_clamp_min_(gradients, -section.clip_value)
        torch._foreach_clamp_max_(gradients, section.clip_value)


def set_schedules(
    optimizer: torch.optim.Optimizer,
    section: Optimizer,
    options: Mapping[str, Any],
    progress: Progress,
    factor: float,
    steps: int,
) -> None:
    """Set the learning rate, and scheduled options such as betas, of the next step.

    Args:
        optimizer: of the player.
        section: the recipe's.
        options: those of :func:`scheduled`, collected once: this runs in every step.
        progress: where the training stands.
        factor: on the learning rate.
        steps: of this player so far.
    """
    values: dict[str, Any] = {"lr": value_at(section.lr, progress) * factor / (1 + section.decay * steps)}
    values |= {name: _at(value, progress) for name, value in options.items()}
    for group in optimizer.param_groups:
        group.update(values)


def scheduled(section: Optimizer) -> dict[str, Any]:
    """The options that change while a training goes on, parsed."""

    def changes(value: Any) -> bool:
        return isinstance(value, Schedule) or (isinstance(value, tuple) and any(map(changes, value)))

    return {name: value for name, value in _options(section).items() if changes(value)}


def _options(section: Optimizer) -> dict[str, Any]:
    """The optimizer's own options, parsed."""
    return dict(registry.validate(registry.options(registry.get("optimizer", section.name)), section.options))


def _at(value: Any, progress: Progress) -> Any:
    """An option with its schedules at a point of the training."""
    return tuple(_at(each, progress) for each in value) if isinstance(value, tuple) else value_at(value, progress)


def check_state(optimizer: torch.optim.Optimizer, saved: dict[str, Any], section: Optimizer) -> None:
    """Make sure that a saved state is one of this optimizer: kernels walk parameters and moments without asking.

    Raises:
        ValueError: other settings, or moments of another shape or type than their parameter.
    """
    for here, there in zip(optimizer.param_groups, saved["param_groups"], strict=True):
        if len(here["params"]) != len(there["params"]):
            raise ValueError("its optimizer has other weights")
        # Learning rates change during a training; another version of PyTorch may know further settings.
        if not (isinstance(there["lr"], int | float) and 0 <= there["lr"] <= 10):
            raise ValueError("its optimizer has no rate")
        for name in here.keys() & there.keys() - {"params", "lr", "fused", *scheduled(section)}:
            if _plain(here[name]) != _plain(there[name]):
                raise ValueError(f"its optimizer has another {name}")
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, moments in saved["state"].items():
        parameter = parameters[index]
        for name, value in moments.items():
            single = isinstance(value, int | float) or (isinstance(value, torch.Tensor) and value.dim() == 0)
            if not single and (value.shape != parameter.shape or value.dtype != parameter.dtype):
                raise ValueError(f"its optimizer's {str(name)[:64]} does not fit the weights")


def take_state(optimizer: torch.optim.Optimizer, saved: dict[str, Any], section: Optimizer) -> None:
    """Go on from a saved state, by the kernels of the device that is here.

    Raises:
        ValueError: it is none of this optimizer, see :func:`check_state`.
    """
    check_state(optimizer, saved, section)
    _match_layout(optimizer, saved)
    # Before PyTorch looks: by it, it decides where the numbers of steps belong.
    pairs = zip(optimizer.param_groups, saved["param_groups"], strict=True)
    groups = [{**there, "fused": here["fused"]} if "fused" in here else there for here, there in pairs]
    optimizer.load_state_dict({**saved, "param_groups": groups})


def _match_layout(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Give saved moments the memory layout of their parameters: fused kernels walk both in step."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, moments in saved["state"].items():
        for name, value in moments.items():
            if isinstance(value, torch.Tensor) and value.shape == parameters[index].shape and value.dim() > 1:
                moments[name] = torch.empty_like(parameters[index], requires_grad=False).copy_(value)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def rate_factor(progress: float, decay: float) -> float:
    """Factor on every rate: 1, then over the last ``decay`` of the budget linearly down to 0.

    Args:
        progress: share of the budget that is done, 0 to 1.
        decay: share of the budget over which the rate falls; 0 for a constant rate.
    """
    return 1.0 if decay == 0 else min(1.0, (1 - progress) / decay)
