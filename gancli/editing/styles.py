"""Style mixing: some layers of an image follow one latent, the others another.

Karras et al. (2019, "A style-based generator architecture", section 3.1 and figure 3): the rows of w that the coarse
layers take decide pose and shape, those of the fine layers colours and texture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gancli.errors import UsageError
from gancli.latents import Inputs, Seeds, parse_seeds

if TYPE_CHECKING:
    from gancli.model import Model

THIRDS = ("coarse", "middle", "fine")
"""Names of the layers' thirds, from the first; the paper's are of 4 to 8, 16 to 32 and more pixels."""


def parse_layers(text: str, layers: int) -> tuple[int, ...]:
    """Read ``coarse``, ``middle``, ``fine`` (a third of the layers each), or numbers such as ``0-3,6``.

    Args:
        text: what the user typed.
        layers: how many there are.

    Returns:
        Rows of w, counted from 0, in their order.

    Raises:
        UsageError: anything else, or a layer that there is not.
    """
    name = text.strip().casefold()
    if name in THIRDS:
        first, last = (round(layers * third / 3) for third in (THIRDS.index(name), THIRDS.index(name) + 1))
        if first == last:
            raise UsageError(f"of {layers} layers, none are called {name}", "name them by number, as in `layers=0`")
        return tuple(range(first, last))
    try:
        chosen = parse_seeds(text, what="`layers`")
    except UsageError as error:
        raise UsageError(error.message, f"{', '.join(THIRDS)}, or numbers such as 0-3") from None
    if max(chosen) >= layers:
        raise UsageError(f"the model has no layer {max(chosen)}", f"it has {layers} layers, counted from 0")
    return tuple(sorted(set(chosen)))


def check_layers(model: Model) -> int:
    """How many rows of w a model's generator has.

    Raises:
        UsageError: one, which cannot be mixed, or none.
    """
    layers = model.latents().layers
    if layers == 1:
        raise UsageError(
            f"'{model.name}' has no layers to mix: its generator takes its latent as a whole",
            f'`gancli mix {model.name} "3 - 14 + 15"` mixes whole latents',
        )
    return layers


def mix_styles(model: Model, rows: Seeds, columns: Seeds, layers: tuple[int, ...]) -> Inputs:
    """The points of a grid, row by row: each is its row's w, but for some layers, which are its column's.

    Args:
        model: makes pictures from latents, by a generator with layers.
        rows: seeds.
        columns: seeds.
        layers: the rows of w that are the column's, from 0.

    Returns:
        {"w": (rows * columns, layers, width)} on the CPU.

    Raises:
        UsageError: a model without layers.
    """
    check_layers(model)
    below, above = (model.points(model.latent.from_seeds(seeds), "w")["w"] for seeds in (rows, columns))
    mixed = below[:, None].repeat(1, len(columns), 1, 1)
    mixed[:, :, list(layers)] = above[None][:, :, list(layers)]
    return {"w": mixed.flatten(0, 1)}
