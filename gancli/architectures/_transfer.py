"""Weights of one network for another one of its family: what fits by name and shape, and what can be made to.

Other image channels, another size and another number of classes change a few tensors at the ends of a network. These
are adapted where the result computes what the network computed before, or as near to it as a rule of one line comes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gancli.alpha import CHANNELS
from gancli.architectures._base import Discriminator, Encoder, Generator, Network, Spec

OPAQUE = 2.0
"""Bias of a new alpha channel before the output function: tanh gives 0.96 there, sigmoid 0.88."""


@dataclass(frozen=True)
class Misfit:
    """A tensor that starts from noise.

    Attributes:
        name: of the tensor within its network.
        here: its shape in the network that is to be trained.
        there: its shape in the trained one; None where that has no tensor of this name.
    """

    name: str
    here: tuple[int, ...]
    there: tuple[int, ...] | None


@dataclass
class Transfer:
    """What a network takes over from another.

    Attributes:
        tensors: what fits, by name, in the shapes of the network that is to be trained.
        adapted: names of those whose shape was another one.
        misfits: all others.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    adapted: list[str] = field(default_factory=list)
    misfits: list[Misfit] = field(default_factory=list)


def transfer(here: Network, spec: Spec, there: Network, spec_there: Spec) -> Transfer:
    """What a network takes over from a trained one of the same class.

    Args:
        here: the network that is to be trained; only the shapes of its tensors matter.
        spec: what it was built for.
        there: the trained one.
        spec_there: what that was built for.
    """
    found, others = Transfer(), there.state_dict()
    for name, expected in here.state_dict().items():
        value, shape = others.get(name), tuple(expected.shape)
        if value is not None and value.shape != shape:
            value = _adapted(name, here.resized(name, value, there), shape, here, spec, spec_there)
            found.adapted += [name] if value is not None else []
        if value is None:
            there_shape = tuple(others[name].shape) if name in others else None
            found.misfits.append(Misfit(name, shape, there_shape))
        else:
            found.tensors[name] = value
    return found


def _adapted(
    name: str, value: Tensor, shape: tuple[int, ...], here: Network, spec: Spec, spec_there: Spec
) -> Tensor | None:
    """A tensor brought to another shape, where one of its dimensions alone differs for a reason that is known."""
    if value.shape == shape:
        return value
    if value.dim() != len(shape):
        return None
    differing = [dim for dim, size in enumerate(shape) if value.shape[dim] != size]
    if len(differing) != 1:
        return None
    (dim,) = differing
    front = value.movedim(dim, 0)
    made = _channels(name, front, shape[dim], here, spec, spec_there)
    if made is None:
        made = _classes(front, shape[dim], here, spec, spec_there)
    return None if made is None else made.movedim(0, dim)


def _channels(name: str, value: Tensor, size: int, here: Network, spec: Spec, there: Spec) -> Tensor | None:
    """The first dimension for other image channels: of a layer that makes images, or of one that takes them.

    Pixels of a block, or of a whole image, are ordered by channel first in every family. An image of three equal
    channels is scored as the grey one, and vice versa; a generated grey is the mean of the colours before the output
    function. A generator that begins with alpha makes opaque images, as far as its last layer has a bias. Alpha that is
    new or dropped counts for nothing to a network that takes images: premultiplied colours are those over black.
    """
    old, new = there.shape[0], spec.shape[0]
    if old == new or not isinstance(here, Generator | Discriminator | Encoder):
        return None
    more = 0
    if len(value) * new != size * old:
        # A class-conditional discriminator may have a further channel, the picture of the class.
        more = len(value) - old
        if more <= 0 or size - new != more:
            return None
    own, rest = value[: len(value) - more], value[len(value) - more :]
    own = own.unflatten(0, (old, -1))[: min(old, 3)]
    colours = min(new, 3)
    if len(own) != colours and isinstance(here, Generator):
        own = own.mean(0, keepdim=True).expand(colours, *own.shape[1:])
    elif len(own) != colours:
        own = own.sum(0, keepdim=True).expand(colours, *own.shape[1:]) / colours
    if new == CHANNELS:
        alpha = OPAQUE if isinstance(here, Generator) and name.endswith("bias") else 0.0
        own = torch.cat([own, torch.full_like(own[:1], alpha)])
    return torch.cat([own.flatten(0, 1), rest])


def _classes(value: Tensor, size: int, here: Network, spec: Spec, there: Spec) -> Tensor | None:
    """The first dimension for other classes, or another number of them: each starts as the mean of the old ones.

    It is a row for each class, or the generator's input: z, the class as one-hot, codes.
    """
    old, new = there.latent, spec.latent
    if old.classes == new.classes:
        return None
    if isinstance(here, Generator) and (len(value), size) == (old.width, new.width):
        if (old.dim, old.codes) != (new.dim, new.codes):
            return None
        z, y, c = value.split([old.dim, old.classes, old.codes])
        # Without classes before, images begin as they were, whatever the class.
        y = y.mean(0, keepdim=True) if old.classes else y.new_zeros(1, *y.shape[1:])
        return torch.cat([z, y.expand(new.classes, *y.shape[1:]), c])
    if old.classes and new.classes and (len(value), size) == (old.classes, new.classes):
        return value.mean(0, keepdim=True).expand(size, *value.shape[1:])
    return None


def repatched(value: Tensor, old: int, new: int, *, taken: bool) -> Tensor:
    """A layer whose first dimension is channels of blocks of pixels, for blocks of another side; the same where neither
    side is a multiple of the other.

    A generator then makes the same images in another size, by nearest upsampling or the mean of pixels, and a
    discriminator scores an image as it scored the one of the old size.

    Args:
        value: (C * old * old, …).
        old: side of a block.
        new: the side that is asked for.
        taken: whether the layer takes images; otherwise it makes them.
    """
    if old == new or (new % old and old % new):
        return value
    blocks = value.unflatten(0, (-1, old, old))
    if new > old:
        times = new // old
        blocks = blocks.repeat_interleave(times, 1).repeat_interleave(times, 2) / (times**2 if taken else 1)
    else:
        times = old // new
        parts = blocks.unflatten(2, (new, times)).unflatten(1, (new, times))
        blocks = parts.sum((2, 4)) / (1 if taken else times**2)
    return blocks.flatten(0, 2)


def blocks(discriminator: Discriminator) -> list[list[nn.Module]]:
    """A discriminator's layers from the image on, each with the normalisation that follows; the last makes the logits.

    What has no weights of more than one dimension belongs to the layer before it.
    """
    found: list[list[nn.Module]] = []
    for layer in discriminator.layers:
        if any(parameter.dim() > 1 for parameter in layer.parameters()):
            found.append([layer])
        elif found:
            found[-1].append(layer)
    return found
