"""What an evaluation found: figures, and what stands beside them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gancli.evaluation.protocol import fingerprint, plain

if TYPE_CHECKING:
    from gancli.evaluation.features import Readout
    from gancli.evaluation.protocol import Protocol


@dataclass(frozen=True)
class Result:
    """One figure.

    Attributes:
        metric: its name.
        value: of the generated images against the held-out ones; of several sets of them, the mean.
        floor: of real training images against the held-out ones, or of the held-out ones themselves, for how well a
            class is read: no model can be expected to do better. None where that is not known.
        better: "lower" or "higher".
        baseline: of the simplest generator, which draws each pixel from those of the training images at its place. None
            where that is not known.
        interval: where the value of a further set lies in 95 of 100 cases; None of a single set.
    """

    metric: str
    value: float
    floor: float | None
    better: str
    baseline: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Closest:
    """A generated image and the training image that it is nearest to.

    Attributes:
        seed: of the generated image; for images of a folder, its number in the order in which they are drawn.
        training: number of the training image in its data set.
        distance: between their features, as a share of the usual (median) distance of held-out images to theirs.
    """

    seed: int
    training: int
    distance: float


@dataclass(frozen=True)
class Further:
    """A figure of what a model can do beside making images; it has no floor.

    Attributes:
        name: as in JSON.
        title: what it is, with its unit.
        value: the figure.
    """

    name: str
    title: str
    value: float


@dataclass(frozen=True)
class Report:
    """What an evaluation found.

    Attributes:
        model: the model's name.
        protocol: what the figures depend on.
        results: one a metric, in the order asked for.
        class_names: the classes that the extractor knows.
        generated: what it reads in the generated images.
        real: what it reads in the held-out images.
        warnings: reasons to be careful with the figures.
        further: how well it does what else it can do.
        closest: the generated images that are nearest to training images, the nearest first; empty where memorisation
            was not asked for.
        class_fids: FID of each class, of the first set of images, None for a class that is not among the held-out ones;
            empty where it was not measured.
        identity: digest of the model's weights and recipe, or of the images of a folder.
    """

    model: str
    protocol: Protocol
    results: tuple[Result, ...]
    class_names: tuple[str, ...]
    generated: Readout
    real: Readout
    warnings: tuple[str, ...]
    further: tuple[Further, ...] = ()
    closest: tuple[Closest, ...] = ()
    class_fids: tuple[float | None, ...] = ()
    identity: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, in which what is no number is nothing."""
        return plain(
            {
                "model": self.model,
                "identity": self.identity,
                "protocol": self.protocol.to_dict(),
                "fingerprint": fingerprint(self.protocol),
                "results": [asdict(result) for result in self.results],
                "further": [asdict(figure) for figure in self.further],
                "classes": {
                    "names": list(self.class_names),
                    "generated": list(self.generated.classes),
                    "real": list(self.real.classes),
                    "fid": list(self.class_fids),
                },
                "confident": {"generated": self.generated.confident, "real": self.real.confident},
                "closest": [asdict(pair) for pair in self.closest],
                "warnings": list(self.warnings),
            }
        )
