"""Directions in a latent space, with names: how they are stored in a model's header, and moves along them.

How they are found: :mod:`gancli.editing.discovery`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from gancli.errors import GancliError, UsageError
from gancli.latents import Inputs, Space
from gancli.latents.seeds import short

if TYPE_CHECKING:
    from gancli.model import Model

Method = Literal["sefa", "pca", "jacobian"]

KEY = "directions"
"""Of the header."""

MOST = 64
"""Directions of a model, at most."""

FARTHEST = 100.0
"""Standard deviations of a move, at most."""

LARGEST = 1e6
"""Absolute value of a number of a stored vector, at most."""

_NAME = re.compile(r"[\w-]{1,32}")
_NUMBER = r"[+-]?[0-9]{0,6}(?:\.(?=[0-9]))?[0-9]{1,9}"
_NAMED = re.compile(r"\s*([0-9]{1,3})\s*=\s*([\w-]{1,32})\s*")
_MOVE = re.compile(rf"\s*([\w-]{{1,32}})\s*=\s*({_NUMBER})\s*")


@dataclass(frozen=True)
class Direction:
    """One direction.

    Attributes:
        name: its number, from "0" on, until a person names it.
        space: whose vector it is.
        method: by which it was found.
        change: mean absolute difference, over pixels in [0, 1], between the images of one step back and one ahead.
        vector: one step, which is one standard deviation of the latents of seeds along it; as long as z, or as a row
            of w.
    """

    name: str
    space: Space
    method: Method
    change: float
    vector: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON with six digits a number, as it stands in a header."""
        vector = [float(f"{value:.6g}") for value in self.vector]
        change = float(f"{self.change:.6g}")
        return {"name": self.name, "space": self.space, "method": self.method, "change": change, "vector": vector}


def stored(model: Model) -> tuple[Direction, ...]:
    """The directions in a model's header; () for none.

    Raises:
        GancliError: what stands there is no list of directions of this model.
    """
    listed = model.header.get(KEY, [])
    try:
        if not isinstance(listed, list) or len(listed) > MOST:
            raise ValueError(f"they are not a list of at most {MOST}")
        found = tuple(_read(model, entry) for entry in listed)
        if _twice(direction.name for direction in found):
            raise ValueError("a name stands there twice")
    except ValueError as error:
        hint = f"find them anew: `gancli directions {model.name} --method METHOD --save FILE.safetensors`"
        raise GancliError(f"the directions in {model.path} cannot be used: {error}", hint) from None
    return found


def _read(model: Model, entry: object) -> Direction:
    if not isinstance(entry, Mapping) or set(entry) != {"name", "space", "method", "change", "vector"}:
        raise ValueError("one has not exactly name, space, method, change and vector")
    name, space, method, change, vector = (entry[key] for key in ("name", "space", "method", "change", "vector"))
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError("a name is not 1 to 32 letters, digits, - and _")
    width = {"z": model.latent.dim, "w": model.w_width}.get(space if isinstance(space, str) else "", 0)
    if not width or method not in get_args(Method):
        raise ValueError(f"'{name}' is of no space of this model, or by no method")
    if not isinstance(vector, list) or len(vector) != width:
        raise ValueError(f"'{name}' is not {width} numbers, as {space} has")
    if not all(isinstance(value, float | int) and abs(value) <= LARGEST for value in (*vector, change)):
        raise ValueError(f"'{name}' has a value that is no number from -{LARGEST:,.0f} to {LARGEST:,.0f}")
    return Direction(name, space, method, float(change), tuple(map(float, vector)))


def _twice(names: Any) -> str:
    """A name that is there more than once, whatever its case; empty if none is."""
    name, times = Counter(name.casefold() for name in names).most_common(1)[0] if (names := list(names)) else ("", 0)
    return name if times > 1 else ""


def parse_names(texts: Sequence[str]) -> dict[int, str]:
    """Read ``2=smile``: names of directions by their number.

    Raises:
        UsageError: another form, a name that is a number, or one given twice.
    """
    names: dict[int, str] = {}
    for text in texts:
        found = _NAMED.fullmatch(text)
        if not found or found[2].isdecimal():
            raise UsageError(
                f"`names` '{short(text)}' is not NUMBER=NAME",
                "as in `names=2=smile`, with 1 to 32 letters, digits, - and _, and not digits alone",
            )
        if int(found[1]) in names:
            raise UsageError(f"direction {int(found[1])} is named twice", "name it once")
        names[int(found[1])] = found[2]
    return names


def named(directions: Sequence[Direction], names: Mapping[int, str]) -> tuple[Direction, ...]:
    """Directions with other names for those of these numbers, counted from 0.

    Raises:
        UsageError: a number that there is not, or a name for two.
    """
    if names and max(names) >= len(directions):
        raise UsageError(f"there is no direction {max(names)}", f"they go from 0 to {len(directions) - 1}")
    found = tuple(
        replace(direction, name=names.get(number, direction.name)) for number, direction in enumerate(directions)
    )
    if twice := _twice(direction.name for direction in found):
        raise UsageError(f"two directions would be called '{twice}'", "give every direction a name of its own")
    return found


def parse_moves(texts: Sequence[str]) -> dict[str, float]:
    """Read ``smile=2``: steps by the direction's name.

    Raises:
        UsageError: another form, too many steps, or a direction named twice.
    """
    moves: dict[str, float] = {}
    for text in texts:
        found = _MOVE.fullmatch(text)
        if not found:
            raise UsageError(f"`moves` '{short(text)}' is not NAME=STEPS", "as in `moves=smile=2` or `moves=0=-1.5`")
        name, steps = found[1], float(found[2])
        if abs(steps) > FARTHEST:
            raise UsageError(f"`moves` '{short(text)}' leads too far", f"{FARTHEST:g} steps are the most; 3 is far")
        if name in moves:
            raise UsageError(f"the direction '{name}' is moved along twice", "name it once")
        moves[name] = steps
    return moves


def chosen(model: Model, moves: Mapping[str, float]) -> list[tuple[Direction, float]]:
    """The stored directions of moves, each with its steps.

    Raises:
        UsageError: a model without directions, or without one of that name.
        GancliError: see :func:`stored`.
    """
    known = {direction.name: direction for direction in stored(model)} if moves else {}
    for name in moves:
        if not known:
            hint = f"`gancli directions {model.name} --save FILE.safetensors` makes a copy that has some"
            raise UsageError(f"'{model.name}' has no directions to move along", hint)
        if name not in known:
            raise UsageError(f"'{model.name}' has no direction '{name}'", f"it has {', '.join(known)}")
    return [(known[name], steps) for name, steps in moves.items()]


def move(model: Model, inputs: Inputs, moves: Sequence[tuple[Direction, float]]) -> Inputs:
    """Inputs of a generator, or points of w, moved along directions; uniform z stay in their cube.

    Args:
        model: whose they are.
        inputs: N rows of z with what belongs to them, or of w.
        moves: directions, each with its steps. Those of z come before the mapping to w.

    Returns:
        What ``model.generate`` takes: points of w if a direction or the inputs are of w. The inputs are unchanged.

    Raises:
        UsageError: points of w cannot be moved in z.
    """
    import torch

    for space in get_args(Space):
        own = [(direction, steps) for direction, steps in moves if direction.space == space]
        if not own:
            continue
        if space == "z" and "z" not in inputs:
            raise UsageError(f"'{own[0][0].name}' is a direction of z, and these are points of w", "move z first")
        inputs = dict(inputs) if space in inputs else model.points(inputs, space)
        way = sum(torch.tensor(direction.vector) * steps for direction, steps in own)
        inputs = {**inputs, space: inputs[space] + way}
        if space == "z" and model.latent.distribution == "uniform":
            inputs["z"] = inputs["z"].clamp(-1, 1)
    return inputs
