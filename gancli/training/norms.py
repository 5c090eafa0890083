"""Layers that look at a whole batch, where several processes have a part of it each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn

from gancli.architectures.base import Whitening
from gancli.processes import World


class SharedNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm by the mean and variance over the batches of all processes, which are equally large.

    PyTorch's own refuses the CPU. Gradients pass through what the others contributed.

    Args:
        norm: the batch norm whose weights and averages it takes over.
        size: processes.
    """

    def __init__(self, norm: nn.modules.batchnorm._BatchNorm, size: int) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self.size = size
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self.training = norm.training

    def _check_input_dim(self, input: Tensor) -> None:
        pass  # what it stands for was asked already

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, …) to the same."""
        if not self.training and self.running_mean is not None:
            return super().forward(input)
        x = input if input.dtype == torch.float64 else input.float()
        dims = [0, *range(2, x.dim())]
        mean = self._over_all(x.mean(dims))
        centred = x - _along(mean, x)
        # Of what is centred, in a second exchange: the difference of two large numbers would lose digits.
        variance = self._over_all(centred.square().mean(dims))
        self._follow(mean.detach(), variance.detach(), self.size * x.numel() // x.shape[1])
        scale = (variance + self.eps).rsqrt()
        if self.weight is None:
            return (centred * _along(scale, x)).to(input.dtype)
        return (centred * _along(scale * self.weight, x) + _along(self.bias, x)).to(input.dtype)

    def _over_all(self, values: Tensor) -> Tensor:
        total: Tensor = _Sum.apply(values)
        return total / self.size

    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, weight)
            self.running_var.lerp_(variance * (count / (count - 1)), weight)


class _Sum(torch.autograd.Function):
    """The sum over all processes; what one loses by it, the losses of all say."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _Sum.apply(gradients[0])  # again such a sum, since a penalty on a slope goes through it twice


def _along(values: Tensor, x: Tensor) -> Tensor:
    """(C,) as (1, C, 1, …)."""
    return values.view(1, -1, *[1] * (x.dim() - 2))


def share(network: nn.Module, world: World, device: torch.device) -> nn.Module:
    """The network with every such layer over all processes; its tensors keep their names."""
    if isinstance(network, nn.modules.batchnorm._BatchNorm):
        whole: Any = nn.SyncBatchNorm.convert_sync_batchnorm
        return whole(network) if device.type == "cuda" else SharedNorm(network, world.size)
    if isinstance(network, Whitening):
        network.over_all = world.mean
    for name, child in network.named_children():
        if (shared := share(child, world, device)) is not child:
            setattr(network, name, shared)
    return network
