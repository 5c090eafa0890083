"""``evaluate``: one model, one data set, figures with the floor beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any
from typing import Protocol as Interface

import torch

import gancli
from gancli.data import describe, load
from gancli.data.pixels import convert, parse_colour, parse_fit
from gancli.data.selection import class_positions, only_class
from gancli.errors import GancliError, UsageError
from gancli.evaluation import conditional, reconstruction
from gancli.evaluation.extractors import find, for_data
from gancli.evaluation.features import BATCH, Features, Progress, Reader, Readout, readout
from gancli.evaluation.intervals import MOST, prediction
from gancli.evaluation.metrics import METRICS, SAMPLES_PER_FEATURE, SHARE, SMALLEST, Sets, choose, measure
from gancli.evaluation.protocol import Protocol, averaged, fingerprint, section
from gancli.evaluation.reference import MOST_TRAINING, Reference, positions, reference, training_features
from gancli.latent import MAX_SEED
from gancli.model import Model

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.data import Dataset
    from gancli.evaluation.extractors import Extractor, Network
    from gancli.evaluation.metrics import Metric

IMAGES = 10_000
MOST_IMAGES = 100_000
SPLIT = "test"
SHOWN = 24
"""Generated images whose nearest training image is told."""


class Subject(Interface):
    """What can be judged: :class:`gancli.model.Model`, or anything with these six.

    One that has an end says with ``supply`` how many images it has, and with ``warnings`` what to be careful with.
    """

    @property
    def name(self) -> str:
        """How the report calls it."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of its images."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it computes; features are computed there too."""
        ...

    @property
    def header(self) -> Mapping[str, Any]:
        """What its file says of itself."""
        ...

    @property
    def data_name(self) -> str | None:
        """The data set that it was trained on."""
        ...

    def images(self, seeds: Sequence[int], batch: int) -> Iterable[Tensor]:
        """One image a seed, in batches of uint8 (N, C, H, W)."""
        ...


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

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "model": self.model,
            "protocol": self.protocol.to_dict(),
            "fingerprint": fingerprint(self.protocol),
            "results": [asdict(result) for result in self.results],
            "further": [asdict(figure) for figure in self.further],
            "classes": {
                "names": list(self.class_names),
                "generated": list(self.generated.classes),
                "real": list(self.real.classes),
            },
            "confident": {"generated": self.generated.confident, "real": self.real.confident},
            "closest": [asdict(pair) for pair in self.closest],
            "warnings": list(self.warnings),
        }


def evaluate(
    model: Subject,
    data: str | None = None,
    metrics: Iterable[str] = tuple(METRICS),
    images: int | None = None,
    *,
    extractor: str | None = None,
    seed_start: int = 0,
    repeats: int = 1,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Judge a model against the held-out split of a data set.

    Args:
        model: a model from :func:`gancli.load`.
        data: the data set; None is the one that the model was trained on.
        metrics: names from :data:`gancli.evaluation.metrics.METRICS`.
        images: how many to generate; None is as many as are held out, at most 10,000, or as there are. On the real
            side stand as many, or all there are.
        extractor: the extractor's name; None is the one that knows the data.
        seed_start: the first seed.
        repeats: independent sets of images; figures are their means, with intervals. What classes the images show, and
            which of them are closest to training images, is told of the first set.
        data_dir: where data sets lie.
        progress: called with what is being done, how much of it is done, and of how much.

    Raises:
        UsageError: an unknown metric, extractor or data set, no extractor for the data, a number out of range.
        GancliError: missing weights, too few held-out images.
    """
    chosen = choose(metrics)
    own, data = not data, data or _own_data(model)
    spec = find(extractor) if extractor else for_data(data)
    network, digest = spec.load()
    reader = Reader(spec, network.to(model.device), digest, progress or (lambda what, done, total: None))
    held_out, training = (load(data, split=split, data_dir=data_dir, progress=progress) for split in (SPLIT, "train"))
    whole, alone = training, section(model.header, "data").get("only_class") if own else None
    if isinstance(alone, str):
        held_out, training = only_class(held_out, alone), only_class(training, alone)
    if own:
        _check_own(model, data, training)
    supply = getattr(model, "supply", None)
    drawn = _draws(seed_start, _count(images, held_out, training, supply), repeats, model)
    protocol = _protocol(model, data, reader, held_out, training, drawn)

    real = reference(protocol, held_out, training, chosen, reader)
    trained_on = cache(partial(training_features, protocol, training, reader))
    names = _class_names(spec, network)
    asked = partial(conditional.figures, model.header, names=names, floor=_right(held_out, real.real, names))
    judged = [_judge(model, seeds, chosen, real, reader, trained_on, asked) for seeds in drawn]
    sets, searched = judged[0].sets, any(metric.name == "memorisation" for metric in chosen)
    return Report(
        model=model.name,
        protocol=protocol,
        results=tuple(_mean(same) for same in zip(*(one.results for one in judged), strict=True)),
        class_names=names,
        generated=readout(sets.generated, network.head.out_features),
        real=readout(real.real, network.head.out_features),
        warnings=(*_warnings(chosen, protocol, spec), *_alone(alone, protocol), *getattr(model, "warnings", ())),
        further=_further(model, held_out, reader.progress),
        closest=_closest(sets, drawn[0], training, whole, alone) if searched else (),
    )


@dataclass(frozen=True)
class _Judged:
    """One set of images: what was compared, and the figures."""

    sets: Sets
    results: tuple[Result, ...]


def _judge(
    model: Subject,
    seeds: range,
    chosen: Sequence[Metric],
    real: Reference,
    reader: Reader,
    trained_on: Callable[[], Tensor],
    asked: Callable[..., Iterable[tuple[str, float, float | None]]],
) -> _Judged:
    fake = reader.read("generated images", model.images(seeds, BATCH), len(seeds))
    reader.progress("metrics", 0, 1)
    sets = Sets(real.real, fake, trained_on)
    values = measure(chosen, sets)
    reader.progress("metrics", 1, 1)
    figures = [
        Result(each.name, values[each.name], real.floors[each.name], each.better, real.baselines[each.name])
        for each in chosen
    ]
    obeyed = [Result(name, value, floor, "higher") for name, value, floor in asked(seeds=seeds, read=fake.classes)]
    return _Judged(sets, (*figures, *obeyed))


def _mean(same: Sequence[Result]) -> Result:
    """One figure of several sets."""
    if len(same) == 1:
        return same[0]
    values = [result.value for result in same]
    least, most = METRICS[same[0].metric].limits if same[0].metric in METRICS else SHARE
    low, high = prediction(values)
    return replace(same[0], value=fmean(values), interval=(max(low, least), min(high, most)))


def _closest(sets: Sets, seeds: range, training: Dataset, whole: Dataset, alone: object) -> tuple[Closest, ...]:
    distances, numbers, held_out = sets.to_training
    usual = float(held_out.sqrt().median().clamp_min(1e-12))
    where = positions(len(training.images), MOST_TRAINING)
    if isinstance(alone, str):
        where = class_positions(whole, alone)[where]
    first = distances.argsort(stable=True)[:SHOWN].tolist()
    return tuple(Closest(seeds[i], int(where[numbers[i]]), float(distances[i].sqrt()) / usual) for i in first)


def neighbours(model: Subject, report: Report, *, data_dir: Path | None = None) -> Tensor:
    """The generated images of ``report.closest``, each beside its training image: uint8 (2 * N, C, H, W).

    Args:
        model: the one that was judged.
        report: what :func:`evaluate` found.
        data_dir: where data sets lie.

    Raises:
        UsageError: memorisation was not measured.
    """
    if not report.closest:
        raise UsageError("the nearest training images were not looked for", "add memorisation to --metrics")
    training = load(report.protocol.data, split="train", data_dir=data_dir)
    near = training.images[[pair.training for pair in report.closest]]
    made = torch.cat(list(model.images([pair.seed for pair in report.closest], BATCH))).cpu()
    _, channels, height, width = near.shape
    made = convert(made, (height, width), channels, parse_fit("stretch"), parse_colour("white"))
    return torch.stack([made, near], 1).flatten(0, 1)


def _further(model: Subject, held_out: Dataset, progress: Progress) -> tuple[Further, ...]:
    """What a model with an encoder makes of the held-out images."""
    if not (isinstance(model, Model) and model.has_encoder):
        return ()
    how, (channels, height, width) = model.recipe.data, model.shape
    fit, background = parse_fit(how.fit), parse_colour(how.background)
    images = convert(held_out.images[:IMAGES], (height, width), channels, fit, background)
    found = reconstruction.figures(model, images, progress)
    return tuple(Further(name, reconstruction.TITLES[name], value) for name, value in found.items())


def _right(held_out: Dataset, real: Features, names: Sequence[str]) -> float | None:
    """Share of the held-out images that are read as what they are; None where that is not known."""
    if held_out.labels is None or tuple(held_out.classes) != tuple(names):
        return None
    return conditional.class_accuracy(held_out.labels[positions(len(held_out.labels), len(real.classes))], real.classes)


def _alone(only: str | None, protocol: Protocol) -> list[str]:
    found = f"the model knows one class, '{only}', and is compared with the images of that class in '{protocol.data}'"
    return [found] if only else []


def _own_data(model: Subject) -> str:
    """What the model was trained on, as the training was told: a folder by its path, since its title is no name."""
    name = section(model.header, "data").get("name") or model.data_name
    if not isinstance(name, str):
        raise UsageError(f"'{model.name}' does not say what it was trained on", "name a data set with --data")
    return name


def _check_own(model: Subject, data: str, training: Dataset) -> None:
    """Refuse a data set that only has the name of the one that the model was trained on."""
    dataset, how = model.header.get("dataset"), section(model.header, "data")
    then = dataset.get("fingerprint") if isinstance(dataset, Mapping) else None
    # Images that the training resized or fitted in a way of its own have another fingerprint here in any case.
    alike = tuple(training.images.shape[1:]) == tuple(model.shape)
    alike = alike and (how.get("fit", "crop"), how.get("background", "white")) == ("crop", "white")
    if alike and then is not None and then != training.fingerprint:
        raise UsageError(
            f"'{model.name}' was trained on other images than the data set '{data}' here",
            "--data NAME says what to compare with",
        )


def _count(images: int | None, held_out: Dataset, training: Dataset, supply: int | None) -> int:
    """How many images to judge by."""
    if images is not None and not SMALLEST <= images <= MOST_IMAGES:
        raise UsageError(f"cannot judge by {images:,} images", f"from {SMALLEST} to {MOST_IMAGES:,} can be generated")
    for part in (held_out, training):
        if (there := len(part.images)) < SMALLEST:
            raise GancliError(f"'{part.name}' has {there} images in its {part.split} split; metrics take {SMALLEST}")
    there = MOST_IMAGES if supply is None else supply
    if there < max(SMALLEST, images or 0):
        raise UsageError(
            f"there are {there:,} images, and {max(SMALLEST, images or 0):,} are needed",
            f"leave out --images, or give more than {SMALLEST - 1} images",
        )
    return images or min(IMAGES, len(held_out.images), there)


def _draws(start: int, count: int, repeats: int, model: Subject) -> list[range]:
    """The seeds of each set of images."""
    if not 1 <= repeats <= MOST:
        raise UsageError(f"--repeats {repeats} is out of range", f"from 1 to {MOST} sets of images can be made")
    if repeats > 1 and hasattr(model, "supply"):
        raise UsageError(f"'{model.name}' has no further images for {repeats} sets", "leave out --repeats")
    total = count * repeats
    if not 0 <= start <= MAX_SEED + 1 - total:
        raise UsageError(f"{total:,} seeds from {start} on leave the range", f"seeds go from 0 to {MAX_SEED}")
    return [range(first, first + count) for first in range(start, start + total, count)]


def _protocol(
    model: Subject, data: str, reader: Reader, held_out: Dataset, training: Dataset, drawn: Sequence[range]
) -> Protocol:
    seeds, supply = drawn[0], getattr(model, "supply", None)
    real_shape = tuple(held_out.images.shape[1:])
    return Protocol(
        extractor=reader.extractor.name,
        extractor_sha256=reader.digest,
        data=data,
        data_fingerprint=held_out.fingerprint,
        split=held_out.split,
        real_images=min(len(seeds), len(held_out.images)),
        generated_images=len(seeds),
        floor_images=min(len(seeds), len(training.images)),
        seeds=f"{seeds[0]}-{drawn[-1][-1]}" if supply is None else f"none: {len(seeds):,} of {supply:,} images",
        repeats=len(drawn),
        resize=_resize(model.shape, real_shape, reader.extractor),
        colour=_colour(model.shape, real_shape),
        ema=averaged(model.header),
        gancli=gancli.__version__,
    )


def _resize(fake: tuple[int, ...], real: tuple[int, ...], extractor: Extractor) -> str:
    """Which side was resized from what; both go through the same filter."""
    height, width = extractor.size
    changes = [
        f"{side} {shape[1]}x{shape[2]} to {height}x{width}"
        for side, shape in (("generated", fake), ("real", real))
        if shape[1:] != extractor.size
    ]
    return f"{', '.join(changes)}, bicubic, antialiased" if changes else "none"


def _colour(fake: tuple[int, ...], real: tuple[int, ...]) -> str:
    sides = [side for side, shape in (("generated", fake), ("real", real)) if shape[0] == 3]
    return f"{' and '.join(sides)} RGB to luma" if sides else "none"


def _class_names(extractor: Extractor, network: Network) -> tuple[str, ...]:
    facts = describe(extractor.datasets[0])
    return facts.classes if facts else tuple(map(str, range(network.head.out_features)))


def _warnings(chosen: Sequence[Metric], protocol: Protocol, extractor: Extractor) -> tuple[str, ...]:
    found = []
    fewest = min(protocol.real_images, protocol.generated_images)
    if fewest < SAMPLES_PER_FEATURE * extractor.features and any(metric.name == "fid" for metric in chosen):
        found.append(
            f"{fewest} images are few for {extractor.features} features: FID is biased upwards, so compare it only "
            f"with the floor and with figures from as many images"
        )
    if protocol.real_images != protocol.generated_images:
        found.append(
            f"{protocol.generated_images:,} generated images stand against {protocol.real_images:,} real ones: "
            f"precision, recall, density and coverage are not comparable with figures from equal numbers"
        )
    if protocol.data not in extractor.datasets:
        found.append(f"{extractor.name} was not trained on '{protocol.data}': its features may miss what matters there")
    return tuple(found)
