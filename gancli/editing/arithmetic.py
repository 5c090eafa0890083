"""Arithmetic with latents: seeds and means of seeds, added and subtracted.

Radford et al. (2016, section 6.3.2): the mean latent of some images with a property, minus the mean of some without,
plus the mean of others, gives those others with the property. Single latents are less steady than means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gancli.errors import UsageError
from gancli.latents import Inputs, Seeds, Space, batches, parse_seeds
from gancli.latents.seeds import short

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from gancli.model import Model

AMONG = range(1000)
"""The seeds that ``mean(label=…)`` chooses from."""

_TERM = re.compile(
    r"\s*(?P<sign>[+-]?)\s*(?:(?P<factor>[0-9]{1,4}(?:\.[0-9]{1,6})?)\s*\*\s*)?"
    r"(?:(?P<seed>[0-9]+)(?![0-9.*(])|mean\((?P<mean>[^()]*)\))\s*"
)
_EXAMPLE = "as in '3 - 14 + 0.5*15' or 'mean(label=7) - mean(label=1) + 15' or 'mean(0-9)'"


@dataclass(frozen=True)
class Operand:
    """One term of an expression.

    Attributes:
        factor: what its latent is multiplied by; negative after a minus.
        name: as it was written, without sign and factor: "14", "mean(0-9)", "mean(label=7)".
        seeds: whose mean it is; None where a label chooses them.
        label: the class whose seeds it is the mean of; None where they are named.
    """

    factor: float
    name: str
    seeds: Seeds | None = None
    label: str | None = None

    @property
    def amount(self) -> str:
        """The factor and the name, without the sign."""
        return self.name if abs(self.factor) == 1 else f"{abs(self.factor):g}*{self.name}"


def parse(text: str) -> tuple[Operand, ...]:
    """Read ``3 - 14 + 0.5*mean(label=7)``: seeds and means, with signs between and factors before them.

    Raises:
        UsageError: anything else, with the place where it stops being such an expression.
    """
    operands: list[Operand] = []
    position = 0
    if not text.strip():
        raise UsageError("there is nothing to mix", f"name seeds and means, {_EXAMPLE}")
    while position < len(text):
        found = _TERM.match(text, position)
        if not found or (operands and not found["sign"]):
            rest = text[position:].strip()
            raise UsageError(
                f"'{short(text)}' cannot be read from '{short(rest)}' on",
                f"seeds and means, with a sign between two and a factor before one, {_EXAMPLE}",
            )
        operands.append(_operand(found))
        position = found.end()
    return tuple(operands)


def _operand(found: re.Match[str]) -> Operand:
    factor = float(found["factor"] or 1) * (-1 if found["sign"] == "-" else 1)
    if found["seed"]:
        return Operand(factor, found["seed"], seeds=parse_seeds(found["seed"], what="seed"))
    inside = found["mean"].strip()
    labelled = re.fullmatch(r"label\s*=\s*(.+)", inside)
    if labelled:
        return Operand(factor, f"mean(label={labelled[1]})", label=labelled[1])
    return Operand(factor, f"mean({inside})", seeds=parse_seeds(inside, what="the mean of seeds"))


def mix(
    model: Model,
    operands: Sequence[Operand],
    *,
    space: Space | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[Inputs, tuple[int, ...]]:
    """The latents of an expression's operands and of its result.

    What is added up is each operand's difference from the mean of the space: 0 in z, the generator's mean in w. In z
    the sum of independent latents is too long for a generator, and a mean of many too short: what is shown, a mean or
    the result, is brought back along its direction to where latents of the model lie
    (:meth:`gancli.latents.LatentSpec.confine`). Means are added up as they are, so that the difference of two turns a
    seed into the other class and leaves it its style; a factor makes more of it. The class of a conditional model is
    the one whose factors add up to most.

    Args:
        model: makes pictures from latents.
        operands: of :func:`parse`.
        space: z or w; the model's best unless given.
        progress: told how many of the images of :data:`AMONG` have just been classified, to find those of a label.

    Returns:
        The inputs of each operand by itself, then of the result: K + 1 rows, on the CPU; and how many seeds stand
        behind each operand.

    Raises:
        UsageError: a label that the model has not, or that none of the seeds shows; a sum of nothing; no such space.
    """
    import torch

    space = model.space(space)
    groups = _groups(model, operands, progress)
    means = [_mean(model, group, space) for group in groups]
    rows = {name: torch.cat([mean[name] for mean in means]) for name in means[0]}
    centre = model.centre(space)
    factors = torch.tensor([operand.factor for operand in operands])
    total = {name: torch.tensordot(factors, values - centre.get(name, 0), 1)[None] for name, values in rows.items()}
    if float(total[space].norm()) < 1e-4:
        raise UsageError("the terms cancel each other out: no latent is left", "leave one of them out")
    inputs = {name: torch.cat([rows[name], total[name] + centre.get(name, 0)]) for name in rows}
    inputs = model.latent.confine(inputs)
    if "y" in inputs:
        inputs["y"] = inputs["y"].argmax(1)
    return inputs, tuple(map(len, groups))


def _mean(model: Model, seeds: Seeds, space: Space) -> Inputs:
    """One row: the mean over seeds, with a class as the share (1, classes) of each."""
    import torch

    inputs = model.points(model.latent.from_seeds(seeds), space)
    if "y" in inputs:
        inputs["y"] = torch.nn.functional.one_hot(inputs["y"], model.latent.classes)
    return {name: values.float().mean(0, keepdim=True) for name, values in inputs.items()}


def _groups(model: Model, operands: Sequence[Operand], progress: Callable[[int], None] | None) -> list[Seeds]:
    """The seeds behind every operand."""
    numbers = [None if each.label is None else _class(model, each.label) for each in operands]
    shown = _shown(model, AMONG, progress) if any(number is not None for number in numbers) else []
    groups = []
    for operand, number in zip(operands, numbers, strict=True):
        seeds = operand.seeds
        if number is not None:
            seeds = tuple(seed for seed, its in zip(AMONG, shown, strict=True) if its == number)
        if not seeds:
            raise UsageError(f"{operand.name}: none of {len(AMONG):,} seeds shows it", "name seeds, as in mean(0-9)")
        groups.append(seeds)
    return groups


def _class(model: Model, label: str) -> int:
    from gancli.data.selection import class_hint, class_number

    dataset = model.header.get("dataset")
    listed = dataset.get("classes") if isinstance(dataset, Mapping) else None
    names = [str(name) for name in listed] if isinstance(listed, list) else []
    if not names:
        raise UsageError(f"{model.name} knows no labels: its data has none", "name seeds, as in mean(0-9)")
    number = class_number(label, names)
    if number is None:
        raise UsageError(f"{model.name} knows no label '{short(label)}'", class_hint(label, names))
    return number


def _shown(model: Model, seeds: Seeds, progress: Callable[[int], None] | None) -> list[int]:
    """The class of each seed's image; -1 for one that is not clearly of any.

    As the extractor of the data classifies it; where there is none, the class that a conditional model was given.
    """
    from gancli.evaluation import extractors
    from gancli.evaluation.features import CONFIDENT, Reader

    inputs = model.latent.from_seeds(seeds)
    try:
        extractor = extractors.for_data(model.data_name or "")
    except UsageError as error:
        if "y" in inputs:
            return inputs["y"].tolist()
        raise UsageError(f"{model.name}: {error.message}, so that no label can be found", "name seeds") from None

    def made() -> Iterator[Tensor]:
        for piece in batches(inputs, 256):
            images = model.generate(piece)
            if progress:
                progress(len(images))
            yield images

    read = Reader.load(extractor, model.device).read("labels", made(), len(seeds))
    return read.classes.masked_fill(read.confidence < CONFIDENT, -1).tolist()
