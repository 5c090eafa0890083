"""What goes into a generator: seeds, the latents that they stand for, and paths between latents.

A generator takes named inputs: ``generator(**spec.from_seeds(range(64)))``. There is always ``z``; a model with classes
also takes ``y`` and one with codes ``c``, and callers that pass the whole dictionary on need not know.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from itertools import accumulate, pairwise
from math import erf
from operator import index
from typing import TYPE_CHECKING, Any, Literal, overload

from gancli.errors import GancliError, UsageError

if TYPE_CHECKING:
    import torch
    from torch import Generator, Tensor

Inputs = dict[str, "Tensor"]
Distribution = Literal["normal", "uniform"]
Method = Literal["auto", "slerp", "lerp"]
Way = Callable[["Tensor", "Tensor", "Tensor"], "Tensor"]
"""From a to b (..., dim) at t."""

# torch's CPU generator keeps the low 32 bits of a seed: above this limit two seeds would be one image.
MAX_SEED = 2**32 - 1
MAX_SEEDS = 10_000_000
MAX_DIM = 65536
LEAST_TRUNCATION = 1e-3
_EXAMPLE = "seeds are whole numbers and ranges, such as 7 or 0-63 or 0-9,42,100-109"


class Seeds(Sequence[int]):
    """Many seeds in little room: a sequence of integers kept as ranges, so that 0-9999999 costs nothing."""

    def __init__(self, ranges: Iterable[range]) -> None:
        joined: list[range] = []
        for part in filter(None, ranges):
            if part.step != 1:
                raise ValueError("seeds are kept as ranges of step 1")
            if joined and joined[-1].stop == part.start:
                part = range(joined.pop().start, part.stop)
            joined.append(part)
        self.ranges = tuple(joined)
        self._ends = tuple(accumulate(map(len, joined)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[int]:
        for part in self.ranges:
            yield from part

    def __contains__(self, seed: object) -> bool:
        return any(seed in part for part in self.ranges)

    @overload
    def __getitem__(self, where: int) -> int: ...
    @overload
    def __getitem__(self, where: slice) -> Seeds: ...
    def __getitem__(self, where: int | slice) -> int | Seeds:
        if isinstance(where, slice):
            positions = range(len(self))[where]
            if positions.step != 1:
                return Seeds(range(self[i], self[i] + 1) for i in positions)
            return Seeds(self._between(positions.start, positions.stop))
        position = range(len(self))[where]
        part = bisect_right(self._ends, position)
        return self.ranges[part][position - self._ends[part]]

    def _between(self, start: int, stop: int) -> Iterator[range]:
        """The ranges that hold the positions from ``start`` up to ``stop``."""
        for number in range(bisect_right(self._ends, start), len(self.ranges)):
            part = self.ranges[number]
            first = self._ends[number] - len(part)
            if first >= stop:
                return
            yield part[max(start - first, 0) : stop - first]

    def repeated(self) -> int | None:
        """A seed that occurs twice, or None."""
        parts = sorted(self.ranges, key=lambda part: part.start)
        return next((later.start for earlier, later in pairwise(parts) if later.start < earlier.stop), None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Seeds) and self.ranges == other.ranges

    def __hash__(self) -> int:
        return hash(self.ranges)

    def __str__(self) -> str:
        return ",".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in self.ranges)

    def __repr__(self) -> str:
        return f"Seeds({str(self)!r})"


def parse_seeds(text: str, *, option: str = "--seeds") -> Seeds:
    """Read ``0-63,100,7``: single seeds and ranges with both ends, in the order in which they are written.

    Args:
        text: what the user typed.
        option: the name of the option, for messages.

    Raises:
        UsageError: not a list of whole numbers in [0, 2**32), a range that runs backwards, or more than ten million.
    """
    ranges: list[range] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?", part)
        if not found:
            raise UsageError(_fault(part.strip(), text, option), _EXAMPLE)
        first, last = (_seed(digits, option) for digits in (found[1], found[2] or found[1]))
        if last < first:
            raise UsageError(f"{option} '{part.strip()}' runs backwards", f"write it as {last}-{first}")
        ranges.append(range(first, last + 1))
    total = sum(map(len, ranges))
    if total > MAX_SEEDS:
        raise UsageError(
            f"{option} '{_short(text)}' names {total:,} seeds; at most {MAX_SEEDS:,} go in one command",
            "make them in several commands, such as 0-9999999 and then 10000000-19999999",
        )
    return Seeds(ranges)


def _fault(part: str, text: str, option: str) -> str:
    if not text.strip():
        return f"{option} is empty"
    if not part:
        return f"{option} '{_short(text)}' has nothing on one side of a comma"
    if re.fullmatch(r"-[0-9]+", part):
        return f"{option} '{_short(part)}': a seed is never negative"
    return f"{option} '{_short(part)}' is not a whole number or a range of whole numbers"


def _seed(digits: str, option: str) -> int:
    if len(digits.lstrip("0")) > 10 or int(digits) > MAX_SEED:
        raise UsageError(f"{option} '{_short(digits)}' is too large", f"seeds go from 0 to {MAX_SEED}")
    return int(digits)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


@cache
def _edges(shares: tuple[float, ...], device: torch.device) -> Tensor:
    """Where in [0, 1) one class ends and the next begins, float64 (classes - 1,); kept, since a GPU waits for it."""
    import torch

    return torch.tensor(shares, dtype=_exact(device), device=device).cumsum(0)[:-1]


def _exact(device: torch.device) -> torch.dtype:
    import torch

    return torch.float32 if device.type == "mps" else torch.float64  # Apple's GPU has no more


@dataclass(frozen=True)
class LatentSpec:
    """The latent that a generator takes.

    Args:
        dim: the length of the vector z, 1 to 65536.
        distribution: what z is drawn from, "normal" for N(0, 1) or "uniform" for U(-1, 1).
        classes: number of classes, one of which goes in as a whole number y; 0 for none.
        codes: number of continuous codes c, each drawn from U(-1, 1); 0 for none.
        shares: how often each class is drawn, summing to 1; evenly if empty.
        truncation: the largest value that a seed's z may have, above 0; None for no limit. How a model is used, and no
            part of the model: it does not stand in headers.

    Raises:
        GancliError: a value outside these bounds.
    """

    dim: int
    distribution: Distribution = "normal"
    classes: int = 0
    codes: int = 0
    shares: tuple[float, ...] = ()
    truncation: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shares", tuple(self.shares or ()))  # as recipes and headers have it
        if type(self.dim) is not int or not 1 <= self.dim <= MAX_DIM:
            raise GancliError(f"latent dim {self.dim!r} is not a whole number from 1 to {MAX_DIM}")
        if self.distribution not in ("normal", "uniform"):
            raise GancliError(f"latent distribution {self.distribution!r} is unknown", "one of: normal, uniform")
        for name, value in (("classes", self.classes), ("codes", self.codes)):
            if type(value) is not int or not 0 <= value <= MAX_DIM:
                raise GancliError(f"latent {name} {value!r} is not a whole number from 0 to {MAX_DIM}")
        real = all(type(share) in (int, float) and 0 <= share <= 1 for share in self.shares)
        if self.shares and not (real and len(self.shares) == self.classes and abs(sum(self.shares) - 1) < 1e-3):
            raise GancliError(
                f"latent shares {str(self.shares)[:80]} are not {self.classes} numbers that sum to 1",
                "give one for each class, or none",
            )
        if self.truncation is not None and not self.truncation >= LEAST_TRUNCATION:
            raise UsageError(
                f"--truncation {self.truncation:g} leaves nothing to draw from",
                "2 changes little; down to about 1, images become safer and more alike",
            )

    @property
    def width(self) -> int:
        """Values of z, one-hot y and c together, which is what a generator's first layer takes."""
        return self.dim + self.classes + self.codes

    def join(self, z: Tensor, y: Tensor | None = None, c: Tensor | None = None) -> Tensor:
        """z (N, dim), y (N,) as one-hot and c (N, codes) side by side: (N, width)."""
        import torch
        from torch.nn.functional import one_hot

        parts = [z]
        for name, size, value in (("y", self.classes, y), ("c", self.codes, c)):
            if size and value is None:
                raise UsageError(f"this generator also takes {name}", "as LatentSpec.from_seeds makes it")
        if y is not None and self.classes:
            # A class may also come as weights (N, classes), for what lies between two classes.
            parts.append((one_hot(y, self.classes) if y.dim() == 1 else y).to(z.dtype))
        if c is not None and self.codes:
            parts.append(c.to(z.dtype))
        return torch.cat(parts, dim=1) if len(parts) > 1 else z

    def from_seeds(self, seeds: Sequence[int]) -> Inputs:
        """The inputs that seeds stand for, always drawn on the CPU.

        {"z": float32 (N, dim)}, with classes also "y": int64 (N,), with codes also "c": float32 (N, codes).

        Every row has a generator of its own, so that one seed is one latent: alone, in any batch, for any device.
        Under a truncation z is brought within it, see :meth:`_truncate`; y and c stay what they are.

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
        return inputs if self.truncation is None else {**inputs, "z": self._truncate(inputs["z"], self.truncation)}

    def hollow(self) -> Inputs:
        """Inputs of one row by their shapes: zeros, on whatever device tensors are made on now."""
        import torch

        sizes = {"z": self.dim, "y": self.classes, "c": self.codes}
        return {name: torch.zeros(1, size) for name, size in sizes.items() if size}

    def _truncate(self, z: Tensor, limit: float) -> Tensor:
        """z (N, dim) as if it had been drawn again and again until no value lay beyond the limit.

        That is the truncation trick (Brock et al. 2019, "Large scale GAN training for high fidelity natural image
        synthesis", section 3.1). Drawn again, a seed would become another image at each limit; here each value takes
        the place in the truncated distribution that it had in the whole one, so that images change gradually.
        """
        if self.distribution == "uniform":
            return z * min(limit, 1.0)
        # erf(z / sqrt(2)) is uniform on (-1, 1), and on (-edge, edge) under a limit.
        return ((z.double() / 2**0.5).erf() * erf(limit / 2**0.5)).erfinv().mul(2**0.5).clamp(-limit, limit).float()

    def check(self, inputs: Inputs) -> None:
        """Hold inputs against what a generator takes.

        Raises:
            UsageError: one too many or missing, a wrong shape, or a class that there is not.
        """
        n = len(inputs["z"])
        shapes = {"z": [(n, self.dim)], "y": [(n,), (n, self.classes)], "c": [(n, self.codes)]}
        for name, size in (("z", self.dim), ("y", self.classes), ("c", self.codes)):
            wanted = " or ".join(str(shape).replace(str(n), "N", 1) for shape in shapes[name])
            if not size and name in inputs:
                raise UsageError(f"this model takes no {name}", "leave it out")
            if size and name not in inputs:
                raise UsageError(f"this model also takes {name}", f"give it as {wanted}")
            if size and tuple(inputs[name].shape) not in shapes[name]:
                raise UsageError(f"{name} has shape {tuple(inputs[name].shape)}", f"this model takes {wanted}")
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
        chance = torch.rand(len(y), generator=generator, device=y.device, dtype=_exact(y.device))
        torch.bucketize(chance, edges, right=True, out=y)

    def confine(self, inputs: Inputs) -> Inputs:
        """Inputs brought back to where practically all inputs of this distribution lie; y is left as it is.

        In d dimensions the length of z is near sqrt(d) standard deviations of one, and hardly ever two more or less:
        outside of that, z is made longer or shorter along its own direction. Uniform z and codes stay in their cube.
        """
        deviation = 3**-0.5 if self.distribution == "uniform" else 1.0
        shortest, longest = (max(0.0, self.dim**0.5 + way) * deviation for way in (-2, 2))
        length = inputs["z"].norm(dim=-1, keepdim=True).clamp_min(1e-8)
        z = inputs["z"] * (length.clamp(shortest, longest) / length)
        back = {"z": z.clamp(-1, 1) if self.distribution == "uniform" else z}
        if "c" in inputs:
            back["c"] = inputs["c"].clamp(-1, 1)
        return {**inputs, **back}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, as it stands in a model's header."""
        found = {name: value for name, value in asdict(self).items() if name not in ("truncation", "shares")}
        return found | ({"shares": list(self.shares)} if self.shares else {})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LatentSpec:
        """Read :meth:`to_dict` back.

        Raises:
            GancliError: not a table, an unknown or a missing key, a wrong type, a value out of bounds.
        """
        if not isinstance(values, Mapping):
            raise GancliError(f"the latent specification is {type(values).__name__}, not a table")
        known = [field.name for field in fields(cls) if field.name != "truncation"]
        if unknown := sorted(str(key) for key in values if key not in known):
            raise GancliError(
                f"the latent specification has an unknown key {unknown[0]!r}", f"one of: {', '.join(known)}"
            )
        if "dim" not in values:
            raise GancliError("the latent specification has no 'dim'")
        return cls(**values)


def path(
    spec: LatentSpec,
    keyframes: Sequence[int],
    frames: int,
    *,
    method: Method = "auto",
    loop: bool = False,
    classes: Sequence[int] | None = None,
) -> Inputs:
    """Inputs along a path through the latents of some seeds: {"z": float32 (T, dim)} on the CPU.

    Classes and codes go straight from one keyframe's to the next: "y" is then weights (T, classes), "c" (T, codes).

    Each segment from one keyframe to the next takes ``frames`` steps, and every keyframe is there exactly once: K
    keyframes give T = (K - 1) * frames + 1, or K * frames with ``loop``, where the last segment leads back to the first
    keyframe without repeating it.

    Args:
        spec: the model's latent.
        keyframes: two or more seeds.
        frames: steps a segment, at least 1.
        method: "slerp" follows the great circle (Shoemake 1985, "Animating rotation with quaternion curves", section
            3.3), which keeps the length that normal latents have; "lerp" goes straight, which keeps uniform latents in
            their cube; "auto" chooses by the distribution.
        loop: return to the first keyframe.
        classes: the class of each keyframe, for a model with classes; every seed's own unless given.

    Raises:
        UsageError: fewer than two keyframes, no frames, or slerp on uniform latents.
    """
    import torch

    if len(keyframes) < 2:
        raise UsageError(f"a path needs two seeds or more, not {len(keyframes)}", "for example: --seeds 3,14,15")
    if frames < 1:
        raise UsageError(f"a segment needs one frame or more, not {frames}")
    if method == "slerp" and spec.distribution == "uniform":
        raise UsageError("slerp leaves the cube that this model's uniform latents fill", "use lerp, or auto")
    inputs = spec.from_seeds(keyframes)
    if "y" in inputs:
        own = inputs["y"] if classes is None else inputs["y"].new_tensor(classes)
        inputs["y"] = torch.nn.functional.one_hot(own, spec.classes)
    t = torch.arange(frames, dtype=torch.float64)[:, None] / frames
    return {name: _through(values.double(), t, way(spec, name, method), loop) for name, values in inputs.items()}


def way(spec: LatentSpec, name: str, method: Method = "auto") -> Way:
    """How two inputs of that name are joined: normal z on the great circle, everything else straight."""
    return slerp if name == "z" and method != "lerp" and spec.distribution == "normal" else lerp


def _through(points: Tensor, t: Tensor, between: Way, loop: bool) -> Tensor:
    """From point to point, float32 (T, values)."""
    import torch

    following = points.roll(-1, dims=0)
    last = [] if loop else [points[-1:].float()]
    pairs = list(zip(points, following, strict=True))
    # Segment by segment, so that double precision and the formula's terms never stand for the whole path.
    return torch.cat([between(a, b, t).float() for a, b in (pairs if loop else pairs[:-1])] + last)


def lerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """(1 - t) a + t b, on the line from a to b (..., dim)."""
    return (1 - t) * a + t * b


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """sin((1 - t) w) / sin(w) a + sin(t w) / sin(w) b, with w the angle between a and b (..., dim)."""
    import torch
    from torch.nn.functional import normalize

    cosine = (normalize(a, dim=-1) * normalize(b, dim=-1)).sum(-1, keepdim=True).clamp(-1, 1)
    angle = cosine.acos()
    sine = angle.sin()
    # Latents on one line have no great circle between them, or no single one.
    aligned = sine < 1e-6
    sine = torch.where(aligned, 1.0, sine)
    arc = ((1 - t) * angle).sin() / sine * a + (t * angle).sin() / sine * b
    return torch.where(aligned, lerp(a, b, t), arc)


def batches(inputs: Inputs, size: int) -> Iterator[Inputs]:
    """The same inputs in pieces of at most ``size`` rows."""
    n = len(next(iter(inputs.values())))
    for start in range(0, n, size):
        yield {name: values[start : start + size] for name, values in inputs.items()}
