"""The latent that a generator takes, and the inputs that seeds stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from operator import index
from typing import TYPE_CHECKING, Any, Literal

from gancli.errors import GancliError, UsageError
from gancli.latents import truncation
from gancli.latents.seeds import MAX_SEED

if TYPE_CHECKING:
    import torch
    from torch import Generator, Tensor

Inputs = dict[str, "Tensor"]
Distribution = Literal["normal", "uniform"]
Space = Literal["z", "w"]
"""The latent space that is drawn from, and the one that a mapping network makes of it."""


@cache
def _edges(shares: tuple[float, ...], device: torch.device) -> Tensor:
    """Where in [0, 1) one class ends and the next begins, float64 (classes - 1,); cached, since a GPU waits for it."""
    import torch

    return torch.tensor(shares, dtype=_exact(device), device=device).cumsum(0)[:-1]


def _exact(device: torch.device) -> torch.dtype:
    import torch

    return torch.float32 if device.type == "mps" else torch.float64  # Apple's GPU has no more


@dataclass(frozen=True)
class LatentSpec:
    """The latent that a generator takes.

    Args:
        dim: the length of the vector z.
        distribution: what z is drawn from, "normal" for N(0, 1) or "uniform" for U(-1, 1).
        classes: number of classes, one of which goes in as a whole number y; 0 for none.
        codes: number of continuous codes c, each drawn from U(-1, 1); 0 for none.
        shares: how often each class is drawn, summing to 1; evenly if empty.
        truncation: the largest value that a seed's z may have, above 0; None for no limit. It is how a model is used,
            and no part of the model: it does not stand in headers.

    Raises:
        GancliError: shares that are not one for each class.
    """

    dim: int
    distribution: Distribution = "normal"
    classes: int = 0
    codes: int = 0
    shares: tuple[float, ...] = ()
    truncation: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shares", tuple(self.shares or ()))  # as recipes and headers have it
        if self.shares and not (len(self.shares) == self.classes and abs(sum(self.shares) - 1) < 1e-3):
            raise GancliError(
                f"latent shares {str(self.shares)[:80]} are not {self.classes} numbers that sum to 1",
                "give one for each class, or none",
            )

    @property
    def width(self) -> int:
        """Features of z, one-hot y and c together, which a generator's first layer takes."""
        return self.dim + self.classes + self.codes

    def join(self, z: Tensor, y: Tensor | None = None, c: Tensor | None = None) -> Tensor:
        """z (N, dim), y (N,) as one-hot and c (N, codes) side by side: (N, width)."""
        import torch
        from torch.nn.functional import one_hot

        parts = [z]
        for name, value in (("y", y), ("c", c)):
            if not self._sizes[name]:
                continue
            if value is None:
                raise UsageError(f"this generator also takes {name}", "as LatentSpec.from_seeds makes it")
            # A class may also come as weights (N, classes), for what lies between two classes.
            parts.append((one_hot(value, self.classes) if value.dim() == 1 else value).to(z.dtype))
        return torch.cat(parts, dim=1) if len(parts) > 1 else z

    def split(self, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What :meth:`join` makes, (N, width), back to z (N, dim), weights of classes (N, classes) and c (N, codes)."""
        z, y, c = w.split(list(self._sizes.values()), 1)
        return z, y, c

    def from_seeds(self, seeds: Sequence[int]) -> Inputs:
        """The inputs that seeds stand for, always drawn on the CPU.

        {"z": float32 (N, dim)}, with classes also "y": int64 (N,), with codes also "c": float32 (N, codes).

        Every row has a generator of its own, so that one seed is one latent: alone, in any batch, for any device.
        Under a truncation z is brought within it, see :func:`gancli.latents.truncation.cutoff`; y and c stay.

        Raises:
            UsageError: a seed outside [0, 2**32).
        """
        import torch

        inputs = self._empty(len(seeds), torch.device("cpu"))
        generator = torch.Generator()
        for row, seed in enumerate(seeds):
            if not 0 <= index(seed) <= MAX_SEED:
                raise UsageError(f"seed {seed} is out of range", f"seeds go from 0 to {MAX_SEED}")
            self._fill(
                {name: values[row : row + 1] for name, values in inputs.items()}, generator.manual_seed(index(seed))
            )
        if self.truncation is not None:
            inputs["z"] = truncation.cutoff(inputs["z"], self.truncation, self.distribution)
        return inputs

    def hollow(self) -> Inputs:
        """Inputs of one row by their shapes: zeros, on whatever device tensors are made on now."""
        import torch

        return {name: torch.zeros(1, size) for name, size in self._sizes.items() if size}

    @property
    def _sizes(self) -> dict[str, int]:
        """Features of each input, 0 where the generator does not take it."""
        return {"z": self.dim, "y": self.classes, "c": self.codes}

    def check(self, inputs: Inputs) -> None:
        """Hold inputs against what a generator takes.

        Raises:
            UsageError: one too many or missing, a wrong shape, or a class that there is not.
        """
        n = len(inputs["z"])
        takes: dict[str, set[tuple[int, ...]]] = {name: {(n, size)} for name, size in self._sizes.items() if size}
        if self.classes:
            takes["y"].add((n,))
        shapes = {name: tuple(values.shape) for name, values in inputs.items()}
        if shapes.keys() != takes.keys() or any(shapes[name] not in takes[name] for name in takes):
            given, wanted = (", ".join(f"{name} {each}" for name, each in all_.items()) for all_ in (shapes, takes))
            raise UsageError(f"the inputs are {given}", f"this model takes {wanted}")
        y = inputs.get("y")
        if y is not None and y.dim() == 1 and len(y) and not 0 <= int(y.min()) <= int(y.max()) < self.classes:
            raise UsageError(
                f"y goes from {int(y.min())} to {int(y.max())}", f"classes go from 0 to {self.classes - 1}"
            )

    def by_class(self, count: int) -> tuple[Inputs, int | None]:
        """Inputs for a picture of about ``count`` images, and its columns.

        With classes, every class has a row of its own, with the same seeds in each: at most 16 classes, where more
        would leave too few columns. Otherwise the first ``count`` seeds, and no number of columns.
        """
        columns = count // max(self.classes, 1)
        if not 1 < self.classes <= 16 or columns < 2:
            return self.from_seeds(range(count)), None
        row = self.from_seeds(range(columns))
        inputs = {name: values.repeat(self.classes, *[1] * (values.dim() - 1)) for name, values in row.items()}
        inputs["y"] = inputs["y"].new_tensor(range(self.classes)).repeat_interleave(columns)
        return inputs, columns

    def draw(self, n: int, generator: Generator, device: torch.device | str | None = None) -> Inputs:
        """Fresh inputs for training, named as in :meth:`from_seeds`; drawn where the generator lives, then moved."""
        inputs = self._fill(self._empty(n, generator.device), generator)
        return inputs if device is None else {name: values.to(device) for name, values in inputs.items()}

    def _empty(self, n: int, device: torch.device) -> Inputs:
        import torch

        inputs = {"z": torch.empty(n, self.dim, device=device)}
        if self.classes:
            inputs["y"] = torch.empty(n, dtype=torch.int64, device=device)
        if self.codes:
            inputs["c"] = torch.empty(n, self.codes, device=device)
        return inputs

    def _fill(self, inputs: Inputs, generator: Generator) -> Inputs:
        """Draw in place; z comes first, so that a seed's z does not depend on what follows it."""
        z = inputs["z"]
        z.uniform_(-1, 1, generator=generator) if self.distribution == "uniform" else z.normal_(generator=generator)
        if "y" in inputs and self.shares:
            self._fill_classes(inputs["y"], generator)
        elif "y" in inputs:
            inputs["y"].random_(self.classes, generator=generator)
        if "c" in inputs:
            inputs["c"].uniform_(-1, 1, generator=generator)
        return inputs

    def _fill_classes(self, y: Tensor, generator: Generator) -> None:
        import torch

        edges = _edges(self.shares, y.device)
        drawn = torch.rand(len(y), generator=generator, device=y.device, dtype=_exact(y.device))
        torch.bucketize(drawn, edges, right=True, out=y)

    def confine(self, inputs: Inputs) -> Inputs:
        """Inputs brought back to where practically all inputs of this distribution lie; y and w are left as they are.

        In d dimensions the length of z is near sqrt(d) standard deviations of one, and hardly ever two more or less:
        outside of that, z is made longer or shorter along its own direction. Uniform z and codes stay in their cube.
        """
        confined = dict(inputs)
        if "z" in inputs:
            std = 3**-0.5 if self.distribution == "uniform" else 1.0
            shortest, longest = (max(0.0, self.dim**0.5 + margin) * std for margin in (-2, 2))
            length = inputs["z"].norm(dim=-1, keepdim=True).clamp_min(1e-8)
            z = inputs["z"] * (length.clamp(shortest, longest) / length)
            confined["z"] = z.clamp(-1, 1) if self.distribution == "uniform" else z
        if "c" in inputs:
            confined["c"] = inputs["c"].clamp(-1, 1)
        return confined

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, as it stands in a model's header."""
        found = {name: value for name, value in asdict(self).items() if name not in ("truncation", "shares")}
        return found | ({"shares": list(self.shares)} if self.shares else {})


def batches(inputs: Inputs, size: int) -> Iterator[Inputs]:
    """The same inputs in pieces of at most ``size`` rows."""
    n = len(next(iter(inputs.values())))
    for start in range(0, n, size):
        yield {name: values[start : start + size] for name, values in inputs.items()}
