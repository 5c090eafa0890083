"""Layers that look at a whole batch, where several processes have a part of it each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from gancli.architectures import MappingGenerator
from gancli.architectures._heads import Whitening
from gancli.processes import World


class SharedNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm by the mean and variance over the batches of all processes, which are equally large.

    PyTorch's own refuses the CPU, and has no slope of a slope. Gradients pass through what the others contributed.

    Args:
        norm: the batch norm whose weights and averages it takes over.
        world: the processes.
    """

    def __init__(self, norm: nn.modules.batchnorm._BatchNorm, world: World) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self.world = world
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
        normed, mean, variance = _Normed.apply(input, self.weight, self.bias, self.eps, self.world)
        self._follow(mean, variance, self.world.size * input.numel() // input.shape[1])
        return normed

    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, weight)
            self.running_var.lerp_(variance * (count / (count - 1)), weight)


class _Normed(torch.autograd.Function):
    """Batch norm over all processes, by the kernels that take statistics as given: one exchange each way."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, world: World
    ) -> tuple[Tensor, Tensor, Tensor]:
        kind = torch.float64 if x.dtype == torch.float64 else torch.float32
        # The kernel follows an average of ours that nobody reads, which has it compute in float32.
        unread = torch.zeros(2, x.shape[1], dtype=kind, device=x.device)
        own = torch.stack(torch.batch_norm_update_stats(x, unread[0], unread[1], 0.0))
        # Of a few numbers, in half the time in which Gloo adds them up.
        means, variances = torch.stack(world.of_all(own), dim=1)
        # Of what is centred: the difference of two large numbers would lose digits.
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        ctx.save_for_backward(x, weight, bias, mean, variance)
        ctx.eps, ctx.world = eps, world
        ctx.mark_non_differentiable(mean, variance)
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps), mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, variance = ctx.saved_tensors
        if torch.is_grad_enabled():  # a penalty on a slope goes through this one, too
            wanted = [value for value in (x, weight, bias) if value is not None and value.requires_grad]
            normed = _step_by_step(x, weight, bias, ctx.eps, ctx.world.size)
            found = iter(torch.autograd.grad(normed, wanted, gradients[0], create_graph=True))
            given = [next(found) if v is not None and v.requires_grad else None for v in (x, weight, bias)]
            return (*given, None, None)
        # With statistics that were given; what they owe to each value comes after.
        backward: Any = torch.ops.aten.native_batch_norm_backward
        direct, of_weight, of_bias = backward(
            gradients[0], x, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        sums = torch.stack(ctx.world.of_all(torch.stack([of_bias, of_weight]).to(mean.dtype))).sum(0)
        of_mean, of_scale = sums / (ctx.world.size * x.numel() // x.shape[1])
        scale = (variance + ctx.eps).rsqrt()
        weighted = scale if weight is None else scale * weight
        slope = -weighted * scale * of_scale
        shift = -weighted * of_mean - slope * mean
        of_x = direct.addcmul_(x, _along(slope, x).to(x.dtype)).add_(_along(shift, x).to(x.dtype))
        return of_x, None if weight is None else of_weight, None if bias is None else of_bias, None, None


def _step_by_step(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, size: int) -> Tensor:
    """The same by operations that can be differentiated any number of times."""
    wide = x if x.dtype == torch.float64 else x.float()
    dims = [0, *range(2, x.dim())]
    centred = wide - _along(_over_all(wide.mean(dims), size), x)
    scale = (_over_all(centred.square().mean(dims), size) + eps).rsqrt()
    if weight is None or bias is None:
        return (centred * _along(scale, x)).to(x.dtype)
    return (centred * _along(scale * weight, x) + _along(bias, x)).to(x.dtype)


def _over_all(values: Tensor, size: int) -> Tensor:
    total: Tensor = _Sum.apply(values)
    return total / size


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


def share(network: nn.Module, world: World) -> nn.Module:
    """The network with every such layer over all processes; its tensors keep their names."""
    if isinstance(network, nn.modules.batchnorm._BatchNorm):
        return SharedNorm(network, world)
    if isinstance(network, Whitening | MappingGenerator):
        network.over_all = world.mean
    for name, child in network.named_children():
        if (shared := share(child, world)) is not child:
            setattr(network, name, shared)
    return network
