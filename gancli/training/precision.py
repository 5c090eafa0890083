"""Precisions of 16 bits."""

from __future__ import annotations

import torch
from torch import nn

from gancli.training.distributed.batch_norm import SharedNorm

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""Types of autocast, by the recipe's precision.

Gradients in fp16, whose smallest number is 6e-8, are those of a loss that is multiplied by a scale, each player's own,
which halves whenever they overflow (Micikevicius et al. 2018, "Mixed precision training", section 3.2). Gradients
within a term, as R1's, are those of logits without scale.
"""


def normalise_in_float32(network: nn.Module) -> None:
    """Have batch norm work in float32: the gradient of its gradient overflows in fp16, whatever the scale."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm | SharedNorm):
            module.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
