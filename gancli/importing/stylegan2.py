"""Generators in the pickles of StyleGAN2-ADA (Karras et al. 2020b, "Training generative adversarial networks with
limited data"), as weights of our family ``stylegan2``.

Both compute the same, so that weights move as they are, with three exceptions. A layer's weights are scaled when it is
used, by factors that stand in the file; where these are not ours, the weights are multiplied by their ratio. The bias
of the embedding of classes, which ours lacks, is added to each class's weights: the same for one-hot classes, and for
weights of classes that sum to 1. And activations are not cut off at a bound (256 in their settings), which is there for
half precision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gancli.architectures._layers import FILTER
from gancli.architectures.stylegan2 import MAPPING_RATE
from gancli.errors import GancliError, UsageError
from gancli.importing.isolated import Part, Weights
from gancli.importing.matching import Row

LICENCE = "NVIDIA Source Code License (non-commercial)"
"""The terms of NVIDIA's code, which its pickles contain, and of the networks that NVIDIA trained by it."""

FIRST = ("G_ema", "ema", "G")
"""Networks of a file that are taken unless another is named, the first that is there: the average of the weights."""

MOST_BLOCKS = 10
"""Sizes of feature maps: from 4x4 to 2048x2048."""


@dataclass
class Converted:
    """A generator of a pickle as one of ours.

    Attributes:
        network: its name in the file.
        tensors: by the names of ours.
        rows: where each layer goes.
        recipe: values of the recipe that follow from the file, as tables.
    """

    network: str
    tensors: dict[str, Tensor] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    recipe: dict[str, Any] = field(default_factory=dict)


def generators(weights: Weights) -> list[str]:
    """The names of the generators in a file, those with a mapping network and a synthesis network."""
    return [
        name for name in weights.parts if {_joined(name, "mapping"), _joined(name, "synthesis")} <= weights.parts.keys()
    ]


def convert(weights: Weights, network: str | None = None) -> Converted:
    """A generator of a file for our family.

    Args:
        weights: of the file.
        network: the name of the generator; None for the average of the weights, where the file has one.

    Raises:
        UsageError: no generator of that name, or several of which none is the first choice.
        GancliError: a generator that is not StyleGAN2, or in a configuration that ours has not.
    """
    found = generators(weights)
    if not found:
        kinds = ", ".join(sorted({part.kind for part in weights.parts.values()})[:6])
        raise GancliError(f"there is no generator of StyleGAN2 in the file, but {kinds}", "import a state dict instead")
    chosen = network if network is not None else next((name for name in FIRST if name in found), None)
    if chosen is None and len(found) == 1:
        (chosen,) = found
    if chosen not in found:
        asked = f"no generator '{network}'" if network is not None else "several generators"
        raise UsageError(f"the file has {asked}: {', '.join(found)}", f"`network={found[0]}`")
    return _Generator(weights, chosen).converted()


class _Generator:
    """One generator, whose tensors are taken one after the other until none is left."""

    def __init__(self, weights: Weights, name: str) -> None:
        self._name, self._parts = name, weights.parts
        prefix = f"{name}." if name else ""
        self._left = {key: value for key, value in weights.tensors.items() if key.startswith(prefix)}
        self._made = Converted(name)
        self._bounded = False

    def converted(self) -> Converted:
        """The generator as ours.

        Raises:
            GancliError: see :func:`convert`.
        """
        mapping, synthesis = self._part("mapping"), self._part("synthesis")
        blocks = self._blocks(int(_number(synthesis, "img_resolution", "synthesis")))
        layers, classes = int(_number(mapping, "num_layers", "mapping")), int(_number(mapping, "c_dim", "mapping"))
        self._mapping(layers, classes)
        widths, noise = self._synthesis(blocks)
        if self._left:
            raise self._unlike(f"it has {', '.join(list(self._left)[:3])}, for which ours has no place")
        width = self._made.tensors["w_mean"].numel()
        channels = int(_number(synthesis, "img_channels", "synthesis"))
        if channels not in (1, 3):
            raise self._unlike(f"its images have {channels} channels, and 1 or 3 are read")
        shared = {"width": widths[-1], "most": max(widths)}
        self._made.recipe = {
            "data": {"size": [blocks[-1], blocks[-1]], "channels": channels},
            "latent": {
                "dim": int(_number(mapping, "z_dim", "mapping")),
                "distribution": "normal",
                "classes": classes,
                "codes": 0,
            },
            "networks": {
                "generator": {
                    **shared,
                    "features": width,
                    "mapping_layers": layers,
                    "noise": noise,
                    "output": "identity",
                },
            },
        }
        return self._made

    def _blocks(self, size: int) -> list[int]:
        """The sides of the feature maps."""
        count = size.bit_length() - 2
        if size != 2 ** (count + 1) or not 2 <= count <= MOST_BLOCKS:
            raise self._unlike(f"its images have {size} pixels a side, and powers of two from 8 are read")
        return [2 ** (number + 2) for number in range(count)]

    def _mapping(self, layers: int, classes: int) -> None:
        if not 1 <= layers <= 64 or not 0 <= classes <= 65536:
            raise self._unlike(f"it has {layers} mapping layers and {classes} classes")
        if classes:
            self._embedding()
        for number in range(layers):
            self._linear(f"mapping.fc{number}", f"mapper.layers.{number}", MAPPING_RATE, "lrelu")
        mean = self._take("mapping.w_avg", None)
        if mean.dim() != 1:
            raise self._unlike("its mean of w is no vector")
        self._give("mapping", "", "w_mean", "w_avg", mean)

    def _embedding(self) -> None:
        name, part = "mapping.embed", self._part("mapping.embed")
        weight, bias = self._take(f"{name}.weight", None), self._take(f"{name}.bias", None)
        if weight.dim() != 2 or bias.shape != weight.shape[:1] or part.values.get("activation") != "linear":
            raise self._unlike("its embedding of classes is none that ours has")
        gain = weight.shape[1] ** 0.5
        made = weight * (_number(part, "weight_gain", name) * gain)
        made = made + (bias * (_number(part, "bias_gain", name) * gain))[:, None]
        self._give(name, "mapper.embedding", "weight", "weight", made, "its bias is added to the weights of each class")

    def _linear(self, name: str, here: str, rate: float, activation: str) -> None:
        """A linear layer, whose weights are scaled by their gain in the file, and in ours by rate / sqrt(fan-in)."""
        part, weight = self._part(name), self._take(f"{name}.weight", None)
        if part.values.get("activation") != activation or weight.dim() != 2:
            raise self._unlike(f"its layer {name} has another activation or shape than ours")
        gains = {
            "weight": _number(part, "weight_gain", name) * weight.shape[1] ** 0.5 / rate,
            "bias": _number(part, "bias_gain", name) / rate,
        }
        for leaf, value in (("weight", weight), ("bias", self._take(f"{name}.bias", (weight.shape[0],)))):
            gain = gains[leaf]
            scaled = not math.isclose(gain, 1, rel_tol=1e-6)
            note = f"{leaf} times {gain:.4g}: another learning rate factor" if scaled else ""
            self._give(name, here, leaf, leaf, value * gain if scaled else value, note)

    def _synthesis(self, blocks: Sequence[int]) -> tuple[list[int], bool]:
        """The blocks; returns their channels, and whether there is noise."""
        self._give("synthesis.b4", "", "constant", "const", self._take("synthesis.b4.const", None)[None])
        widths, noises, number = [], [], 0
        for index, side in enumerate(blocks):
            name = f"synthesis.b{side}"
            if (architecture := self._part(name).values.get("architecture")) != "skip":
                raise self._unlike(
                    f"its block {side}x{side} has the architecture {architecture!r}, and ours has 'skip'"
                )
            self._filter(name)
            for layer in ("conv0", "conv1") if index else ("conv1",):
                noises.append(self._styled(f"{name}.{layer}", f"styled.{number}", side))
                number += 1
            weight = self._made.tensors[f"styled.{number - 1}.convolution.weight"]
            widths.append(weight.shape[0])
            self._image(f"{name}.torgb", f"images.{index}")
        if any(noises) != all(noises):
            raise self._unlike("only some of its layers have noise inputs")
        return widths, all(noises)

    def _styled(self, name: str, here: str, side: int) -> bool:
        """A modulated convolution with noise and bias; returns whether it has noise."""
        part = self._part(name)
        if part.values.get("activation") != "lrelu":
            raise self._unlike(f"its layer {name} has the activation {part.values.get('activation')!r}")
        self._filter(name)
        self._linear(f"{name}.affine", f"{here}.convolution.style", 1.0, "linear")
        self._give(name, here, "convolution.weight", "weight", self._take(f"{name}.weight", None))
        self._give(name, here, "bias", "bias", self._take(f"{name}.bias", None))
        if not part.values.get("use_noise"):
            return False
        constant = self._take(f"{name}.noise_const", (side, side))
        self._give(name, here, "noise.constant", "noise_const", constant[None, None])
        self._give(name, here, "noise.strength", "noise_strength", self._take(f"{name}.noise_strength", ())[None])
        bound = part.values.get("conv_clamp")
        if isinstance(bound, int | float) and not self._bounded:
            self._bounded = True
            self._made.rows[-1].notes.append(f"here and below, activations are not cut off at {bound:g}")
        return True

    def _image(self, name: str, here: str) -> None:
        self._linear(f"{name}.affine", f"{here}.convolution.style", 1.0, "linear")
        self._give(name, here, "convolution.weight", "weight", self._take(f"{name}.weight", None))
        self._give(name, here, "bias", "bias", self._take(f"{name}.bias", None))

    def _filter(self, name: str) -> None:
        """Take the filter of a layer, which must be ours."""
        row = torch.tensor(FILTER) / sum(FILTER)
        if not torch.allclose(self._take(f"{name}.resample_filter", (4, 4)), row[:, None] * row, atol=1e-6):
            raise self._unlike(f"its layer {name} has another filter than [1, 3, 3, 1]")

    def _part(self, name: str) -> Part:
        found = self._parts.get(_joined(self._name, name))
        if found is None:
            raise self._unlike(f"it has no {name}")
        return found

    def _take(self, name: str, shape: tuple[int, ...] | None) -> Tensor:
        """A tensor of the file, of a shape where it is known."""
        found = self._left.pop(_joined(self._name, name), None)
        if found is None or not found.is_floating_point() or shape not in (None, tuple(found.shape)):
            raise self._unlike(f"it has no {name}" if found is None else f"its {name} is {tuple(found.shape)}")
        return found.float()

    def _give(self, there: str, here: str, leaf: str, own: str, value: Tensor, note: str = "") -> None:
        """A tensor to ours, under the row of its layer."""
        layer = _joined(self._name, there)
        if not self._made.rows or self._made.rows[-1].there != layer:
            self._made.rows.append(Row(layer, here))
        row, shape = self._made.rows[-1], tuple(value.shape)
        row.shapes.append((own, shape, shape))
        row.notes += [note] if note else []
        self._made.tensors[_joined(here, leaf)] = value.contiguous()

    def _unlike(self, what: str) -> GancliError:
        return GancliError(
            f"'{self._name or 'the generator'}' is not a StyleGAN2 that gancli has: {what}",
            "generators of StyleGAN2-ADA with skip connections and the filter [1, 3, 3, 1] are imported",
        )


def _joined(*names: str) -> str:
    return ".".join(filter(None, names))


def _number(part: Part, key: str, name: str) -> float:
    value: Any = part.values.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise GancliError(f"its part {name} has no {key}", "import a state dict instead")
    return value
