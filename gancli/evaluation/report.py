"""What an evaluation found: figures, what they are compared with, and what they depend on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from gancli.data.loading import title
from gancli.evaluation.protocol import Protocol
from gancli.metrics import FIGURES
from gancli.metrics.base import Figure


@dataclass(frozen=True)
class Result:
    """One row: a figure and what it is compared with.

    Attributes:
        figure: which one.
        value: of the subject; of several sets of images, the mean.
        floor: of real data: no model can be expected to do better. None where that is not known.
        baseline: of the simplest method: a generator that draws each pixel from those of the training images at its
            position, noise of the numbers' mean and deviation, or the simplest repair of the same sources. None where
            there is none.
        interval: where the value of a further set lies in 95 of 100 cases; None where it was not measured.
        over: of images with alpha, the values over each background, of which ``value`` is the mean; None for others.
    """

    figure: Figure
    value: float
    floor: float | None = None
    baseline: float | None = None
    interval: tuple[float, float] | None = None
    over: Mapping[str, float] | None = None

    @property
    def metric(self) -> str:
        """Name of the figure."""
        return self.figure.name

    @property
    def better(self) -> str:
        """Which direction is good: "lower", "higher" or "equal"."""
        return self.figure.better

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        table = {"metric": self.metric, "value": self.value, "floor": self.floor, "better": self.better}
        further = {"baseline": self.baseline, "interval": self.interval, "unit": self.figure.unit}
        return table | further | ({"over": self.over} if self.over else {})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Result:
        """Read :meth:`to_dict` back, and what version 0.1 wrote."""
        name, value, interval = values["metric"], values["value"], values.get("interval")
        figure = FIGURES.get(name) or Figure(name, name, values["better"], None, unit=values.get("unit", ""))
        return cls(
            figure,
            math.nan if value is None else value,
            values.get("floor"),
            values.get("baseline"),
            (interval[0], interval[1]) if interval else None,
            values.get("over"),
        )


@dataclass(frozen=True)
class Further:
    """A figure of what a model can do besides making images; it has no floor.

    Attributes:
        name: as in JSON.
        title: what it is, with its unit.
        value: the figure.
    """

    name: str
    title: str
    value: float


@dataclass(frozen=True)
class Closest:
    """A generated image and the training image that it is nearest to.

    Attributes:
        seed: of the generated image; for images of a folder, its number in the order in which they are drawn.
        training: index of the training image in its data set.
        distance: between their features, as a share of the usual (median) distance of held-out images to theirs.
    """

    seed: int
    training: int
    distance: float


@dataclass(frozen=True)
class Readout:
    """What an extractor predicts of a set of images.

    Attributes:
        classes: share of the images that are taken for each class; empty where classes have no names.
        confident: share of the images whose class has a probability above 0.9; None where no classes are known.
    """

    classes: tuple[float, ...] = ()
    confident: float | None = None


@dataclass(frozen=True)
class Report:
    """What an evaluation found, of whatever kind of subject.

    Attributes:
        model: name of the subject.
        protocol: what the figures depend on.
        results: one a metric, in the order asked for, or the most informative first.
        warnings: reasons to be careful with the figures.
        class_names: the classes that the extractor knows.
        generated: what it predicts of the generated images.
        real: what it predicts of the held-out images.
        further: figures of what else the model can do.
        closest: the generated images that are nearest to training images, the nearest first; empty where memorisation
            was not measured.
        class_fids: FID of each class, of the first set of images, None for a class that is not among the held-out ones;
            empty where it was not measured.
        identity: digest of the model's weights and recipe, or of the images of a folder.
    """

    model: str
    protocol: Protocol
    results: tuple[Result, ...]
    warnings: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    generated: Readout = Readout()
    real: Readout = Readout()
    further: tuple[Further, ...] = ()
    closest: tuple[Closest, ...] = ()
    class_fids: tuple[float | None, ...] = ()
    identity: str = ""

    def without_path(self) -> Report:
        """The same for other machines: the data by its name, without the path that it has here."""
        return replace(self, protocol=replace(self.protocol, data=title(self.protocol.data)))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, in which what is not a finite number is null."""
        return _plain(
            {
                "model": self.model,
                "identity": self.identity,
                "protocol": self.protocol.to_dict(),
                "fingerprint": self.protocol.fingerprint,
                "results": [result.to_dict() for result in self.results],
                "further": [asdict(figure) for figure in self.further],
                "classes": {
                    "names": self.class_names,
                    "generated": self.generated.classes,
                    "real": self.real.classes,
                    "fid": self.class_fids,
                },
                "confident": {"generated": self.generated.confident, "real": self.real.confident},
                "closest": [asdict(pair) for pair in self.closest],
                "warnings": self.warnings,
            }
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Report:
        """Read :meth:`to_dict` back, and what version 0.1 wrote, as it stands in headers and ``--json`` documents."""
        classes, confident = values.get("classes", {}), values.get("confident", {})
        generated, real = (Readout(tuple(classes.get(side, ())), confident.get(side)) for side in ("generated", "real"))
        return cls(
            values["model"],
            Protocol.from_dict(values["protocol"]),
            tuple(map(Result.from_dict, values["results"])),
            tuple(values.get("warnings", ())),
            tuple(classes.get("names", ())),
            generated,
            real,
            tuple(Further(**each) for each in values.get("further", ())),
            tuple(Closest(**each) for each in values.get("closest", ())),
            tuple(classes.get("fid", ())),
            values.get("identity", ""),
        )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
