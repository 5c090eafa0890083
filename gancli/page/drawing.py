"""Points of a latent space as pixels: the part of the page that uses torch. It runs in the worker's thread alone."""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli import model as models
from gancli.checkpoint import count_parameters
from gancli.data.pairs import degradations
from gancli.data.pairs.styles import STYLES, restyle
from gancli.data.synthetic import FORMULAS, Curve
from gancli.editing import directions, discovery, traversal, walks
from gancli.errors import UsageError
from gancli.latents import Inputs, batches, path
from gancli.latents.conditions import folder_names
from gancli.model import Model
from gancli.page import pictures
from gancli.page.points import MOST_IMAGES, Animation, Archive, Images, Point, Search, Source, Walk
from gancli.rendering.animation import save_animation
from gancli.rendering.images import default_scale, encode_png, enlarge, file_name, grid, mark, save_images

MOST_MODELS = 4
"""Models that are held in memory."""

MOST_BYTES = 1 << 26
"""Of the pixels of an answer."""

MIXTURES = 20
"""Steps from one class to another."""

REAL = 600
"""Real points behind generated ones."""


class Shelf:
    """Models, the last ones used.

    Args:
        device: where to compute.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._held: OrderedDict[tuple[Path, int], Subject] = OrderedDict()

    def get(self, file: Path) -> Subject:
        """The model of a file, loaded again if the file has changed, as that of a run in training does.

        Raises:
            GancliError: see :func:`gancli.model.load`.
        """
        if not file.is_file():
            raise UsageError(f"the file '{file}' is gone", "choose another model")
        key = file, file.stat().st_mtime_ns
        if key not in self._held:
            self._held[key] = Subject(models.load(file, device=self._device))
            if len(self._held) > MOST_MODELS:
                self._held.popitem(last=False)
        self._held.move_to_end(key)
        return self._held[key]


class Subject:
    """A model that the page shows.

    Args:
        model: makes images or numbers, of latents or of images.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._found = False

    @cached_property
    def _w(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (width,) of w over seeds."""
        return traversal.standard(self.model, "w")

    @property
    def dims(self) -> int:
        """Dimensions of the model's best latent space."""
        return self.model.w_width if self.model.space() == "w" else self.model.latent.dim

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What the page has to know of it, as JSON."""
        model, latent = self.model, self.model.latent
        found: dict[str, Any] = {
            "name": model.name,
            "takes": model.takes,
            "numbers": model.numbers,
            "shape": model.shape,
            "classes": model.classes,
            "data": model.data_name,
            "licence": model.terms,
            "identity": model.identity[:16],
            "parameters": count_parameters(model.path),
        }
        if model.takes == "source":
            return found | {"networks": list(model.networks), "degrades": self._degradation is not None}
        generator = model.latents()
        found |= {
            "distribution": latent.distribution,
            "space": model.space(),
            "spaces": ["z", "w", "w+"][: 1 if model.space() == "z" else 2 if generator.layers == 1 else 3],
            "dims": self.dims,
            "codes": latent.codes,
            "layers": generator.layers,
            "truncation": generator.truncation,
        }
        return found | ({"formula": self._formula()} if model.numbers else {})

    def _formula(self) -> dict[str, Any] | None:
        """Where a model of numbers is drawn: limits of the axes, real data. None for unknown data."""
        formula = FORMULAS.get(self.model.data_name or "")
        if formula is None or formula.width != self.model.shape[-1]:
            return None
        if isinstance(formula, Curve):
            x = torch.linspace(-1, 1, 101)
            true = torch.stack([x, formula.at(x)], 1)
            return {"limits": formula.limits, "x": formula.x.tolist(), "real": true.tolist()}
        real = formula.draw(REAL, torch.Generator().manual_seed(0))
        return {"limits": formula.limits, "x": None, "real": real.tolist()}

    def own(self, point: Point, truncation: float | None) -> dict[str, Any]:
        """What a seed has by itself: class, codes, and the values of its latent's dimensions."""
        self.model.truncate(truncation)
        inputs = self.model.latent.from_seeds([point.seed])
        found = {"label": inputs["y"].tolist()[0] if "y" in inputs else None}
        found["codes"] = inputs["c"][0].tolist() if "c" in inputs else []
        space = self.model.space()
        inputs = self._replaced(point.latent, self._conditioned(point, inputs))
        values = (inputs if space in inputs else self.model.points(inputs, space))[space][0]
        if space == "w":
            mean, std = self._w
            values = ((values if values.dim() == 1 else values[0]) - mean) / std.clamp_min(1e-8)
        return found | {"dims": [round(value, 4) for value in values.tolist()]}

    def _conditioned(self, point: Point, inputs: Inputs) -> Inputs:
        """Inputs of one row with the point's class and codes."""
        inputs, latent = dict(inputs), self.model.latent
        for label in (point.label, point.other):
            if label is not None and label >= latent.classes:
                raise UsageError(f"'{self.model.name}' has no class {label}", f"it has {latent.classes} classes")
        if point.label is not None:
            inputs["y"] = torch.tensor([point.label])
        for code, value in point.codes.items():
            if code >= latent.codes:
                raise UsageError(f"'{self.model.name}' has no code {code}", f"it has {latent.codes} codes")
            inputs["c"][:, code] = value
        return inputs

    def _inputs(self, point: Point) -> Inputs:
        """One row of what the generator takes."""
        model, space = self.model, self.model.space()
        inputs = self._replaced(point.latent, self._conditioned(point, model.latent.from_seeds([point.seed])))
        along = directions.chosen(model, point.moves)
        moved = directions.move(model, inputs, along)
        if point.other is not None and point.share:
            # The way of `gancli interpolate` from a seed to the same seed of another class.
            second = directions.move(model, {**inputs, "y": torch.tensor([point.other])}, along)
            ends = [each if space in each else model.points(each, space) for each in (moved, second)]
            both = {name: torch.cat([end[name] for end in ends]) for name in ends[0]}
            moved = path(model.latent, both, MIXTURES)
            moved = {name: values[[round(MIXTURES * point.share)]] for name, values in moved.items()}
        if point.dims or point.style is not None:
            moved = moved if space in moved else model.points(moved, space)
            moved = {**moved, space: self._steered(point, moved[space].clone())}
        return moved

    def _replaced(self, latent: list[float] | None, inputs: Inputs) -> Inputs:
        """Inputs of one row with other values in the model's best space, where there are any."""
        model, space = self.model, self.model.space()
        if latent is None:
            return inputs
        if len(latent) != self.dims:
            raise UsageError(f"the latent has {len(latent)} values", f"{space} of '{model.name}' has {self.dims}")
        values = torch.tensor([latent])
        if space == "z":
            return {**inputs, "z": values}
        layers = model.latents().layers
        w = values if layers == 1 else values[:, None].repeat(1, layers, 1)
        return {name: value for name, value in inputs.items() if name == "y"} | {"w": w}

    def _steered(self, point: Point, values: Tensor) -> Tensor:
        """One row of the model's best space with dimensions and layers replaced, in place."""
        model, space, width = self.model, self.model.space(), values.shape[-1]
        for dim, value in point.dims.items():
            if dim >= width:
                raise UsageError(f"'{model.name}' has no dimension {dim}", f"{space} has {width}")
            mean, std = (float(each[dim]) for each in self._w) if space == "w" else (0.0, 1.0)
            values[..., dim] = mean + value * std
        if point.style is not None and point.layers:
            layers = model.latents().layers
            if layers == 1 or max(point.layers) >= layers:
                raise UsageError(f"'{model.name}' has no layer {max(point.layers)} to mix", f"it has {layers}")
            other = self._conditioned(point, model.latent.from_seeds([point.style]))
            values[:, point.layers] = model.points(other, "w")["w"][:, point.layers]
        return values

    def images(self, asked: Images) -> Tensor:
        """The images of points: uint8 (N, C, H, W); numbers float32 (N, width).

        Raises:
            UsageError: what the model does not have, or more pixels than an answer may have.
        """
        self._check(len(asked.points))
        self.model.truncate(asked.truncation)
        rows = [self._inputs(point) for point in asked.points]
        if "w" in self._spaces(rows):
            rows = [row if "w" in row else self.model.points(row, "w") for row in rows]
        if any(value.dim() == 2 for row in rows if (value := row.get("y")) is not None):
            rows = [self._weighted(row) for row in rows]
        inputs = {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
        made = self.model.generate(inputs)
        return made.flatten(1) if self.model.numbers else made

    @staticmethod
    def _spaces(rows: Sequence[Inputs]) -> set[str]:
        return {name for row in rows for name in row if name in ("z", "w")}

    def _weighted(self, row: Inputs) -> Inputs:
        """A row whose class is weights (1, classes), whatever it was."""
        if "y" not in row or row["y"].dim() == 2:
            return row
        return {**row, "y": torch.nn.functional.one_hot(row["y"], self.model.latent.classes).float()}

    def _check(self, count: int) -> None:
        """Refuse more pixels than an answer may have, and models that take no latents."""
        self.model.latents()
        channels, height, width = self.model.shape
        most = MOST_BYTES // (channels * height * width)
        if count > most:
            raise UsageError(f"{count:,} images of this size are too many for one answer", f"{most:,} are the most")

    def picture(self, asked: Images) -> bytes:
        """The PNG of `gancli sample`: of several a grid, of one its pixels, as in a folder."""
        made = self.images(asked)
        if self.model.numbers:
            return encode_png(self._plot().picture(made))
        if len(made) == 1:
            return encode_png(made[0])

        buffer = BytesIO()
        grid(made, columns=asked.columns).save(buffer, "PNG", **mark("PNG"))
        return buffer.getvalue()

    def archive(self, asked: Archive) -> bytes:
        """A ZIP with a PNG for each image, named as `gancli sample` names them: in a folder of its class where one is
        asked for. Images of several truncations are in folders of these.

        Raises:
            UsageError: a model of numbers, too many images, or what the model does not have.
        """
        if self.model.numbers:
            raise UsageError(f"'{self.model.name}' makes numbers, not pictures", "name another model")
        count = sum(len(group.points) for group in asked.groups)
        if count > MOST_IMAGES:
            raise UsageError(f"{count:,} images are too many for one answer", f"{MOST_IMAGES} are the most")
        self._check(count)
        several = len({group.truncation for group in asked.groups}) > 1
        made, names = [], []
        for group in asked.groups:
            made.append(self.images(Images(model=asked.model, points=group.points, truncation=group.truncation)))
            inside = f"truncation-{group.truncation:g}/" if several and group.truncation is not None else ""
            names += [inside + self._file(point) for point in group.points]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "images.zip"
            save_images(made, names, file)
            return file.read_bytes()

    def _file(self, point: Point) -> str:
        """The name of a point's image in an archive."""
        if point.label is None:
            return file_name(point.seed)
        return f"{folder_names(self.model.classes, [point.label])[0]}/{file_name(point.seed)}"

    def _plot(self) -> Any:
        from gancli.rendering.numbers import Plot

        formula = FORMULAS.get(self.model.data_name or "")
        if formula is None:
            raise UsageError(f"no formula is known of the data of '{self.model.name}'", "name another model")
        return Plot(formula)

    def walk(self, asked: Walk) -> Tensor:
        """The frames of a walk: uint8 (T, C, H, W); numbers float32 (T, width).

        Raises:
            UsageError: what the model does not have, or too many frames.
        """
        self._check(asked.length)
        model, classes = self.model, self.model.latent.classes
        for name, values in (("classes", asked.labels), ("truncations", asked.truncations)):
            if len(values) not in (0, len(asked.seeds)):
                raise UsageError(f"{len(values)} {name} for {len(asked.seeds)} seeds", "give one for each seed")
        if asked.labels and max(asked.labels) >= classes:
            raise UsageError(f"'{model.name}' has no class {max(asked.labels)}", f"it has {classes} classes")
        model.truncate(asked.truncation)
        frames = walks.walk(
            model, asked.seeds, asked.frames,
            labels=asked.labels, truncation=asked.truncations, loop=asked.loop, ease=asked.ease,
        )  # fmt: skip
        made = torch.cat([model.generate(part) for part in batches(frames, 256)])
        return made.flatten(1) if model.numbers else made

    def animation(self, asked: Animation) -> bytes:
        """The file that `gancli interpolate` writes."""
        frames = self.walk(asked)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"walk.{asked.kind}"
            save_animation(self._frames(frames), file, fps=asked.fps)
            return file.read_bytes()

    def _frames(self, made: Tensor) -> Iterator[Tensor]:
        """Frames uint8 (C, H, W) in the size of the file."""
        if not self.model.numbers:
            yield from enlarge(made, default_scale(*self.model.shape[1:], near=128))
            return
        plot = self._plot()
        for frame in range(len(made)):
            yield plot.picture(made[frame if plot.curve else 0 : frame + 1])

    @property
    def _degradation(self) -> Callable[[Tensor], Tensor] | None:
        """What makes sources of the images that a translator learned from; None where they were pairs or two sets."""
        source = self.model.recipe.data.source
        if degradation := degradations.parse(source):
            return degradation.spoil
        return partial(restyle, source) if source in STYLES else None

    def translate(self, asked: Source) -> Tensor:
        """What the model gets and what it makes of it: uint8 (2, C, H, W).

        Raises:
            UsageError: pixels of another number, a network or a degradation that it does not have, a model of seeds.
        """
        self.model.translator(asked.network)
        image = pictures.read(self.model, asked.pixels)
        if asked.degrade:
            if self._degradation is None or asked.network:
                raise UsageError(f"'{self.model.name}' knows no degradation here", "leave out `degrade`")
            image = self._degradation(image)
        return torch.cat([image, self.model.translate(image, network=asked.network)])

    def search(self, asked: Search, progress: Callable[[int], None]) -> dict[str, Any]:
        """What a search makes of a picture; see :func:`gancli.page.pictures.search`."""
        return pictures.search(self.model, asked, progress)

    def changes(self, dims: Sequence[int]) -> list[float]:
        """How much each of some dimensions changes images; see :func:`gancli.editing.traversal.changes`."""
        self.model.truncate(None)
        return traversal.changes(self.model, dims)

    def directions(self, find: bool) -> dict[str, Any]:
        """The model's directions, with the method by which they were found; with ``find``, some are found where it has
        none, and it has them from then on."""
        self.model.truncate(None)
        stored = directions.stored(self.model)
        if find and not stored:
            self.model.header[directions.KEY] = [each.to_dict() for each in discovery.find(self.model)]
            stored = directions.stored(self.model)
            self._found = True
        listed = [{"name": each.name, "change": each.change} for each in stored]
        return {"directions": listed, "method": stored[0].method if stored else None, "stored": not self._found}
