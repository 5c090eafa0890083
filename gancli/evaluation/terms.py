"""On what terms a subject is judged: which images, how many, from which seeds, and what to be careful with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import gancli
from gancli.data import describe
from gancli.errors import GancliError, UsageError
from gancli.evaluation.intervals import MOST
from gancli.evaluation.protocol import Protocol, averaged, section
from gancli.evaluation.reference import drawn_labels
from gancli.latents import MAX_SEED
from gancli.metrics import KID_SUBSET_SIZE, SAMPLES_PER_FEATURE, SMALLEST
from gancli.recipe.validation_errors import shown

if TYPE_CHECKING:
    from gancli.data import Dataset
    from gancli.evaluation.extractors import Extractor
    from gancli.evaluation.features import Reader
    from gancli.evaluation.report import Subject
    from gancli.metrics import Metric

IMAGES = 10_000
MOST_IMAGES = 100_000


def alone(only: str | None, protocol: Protocol) -> list[str]:
    """What to know about a model of one class."""
    found = f"the model knows one class, '{only}', and is compared with the images of that class in '{protocol.data}'"
    return [found] if only else []


def own_data(model: Subject) -> str:
    """What the model was trained on, as the training was told: a folder by its path, since its title is no name."""
    name = section(model.header, "data").get("name") or model.data_name
    if not isinstance(name, str):
        raise UsageError(f"'{model.name}' does not say what it was trained on", "name a data set with --data")
    return name


def check_near(model: Subject) -> None:
    """Refuse to ask addresses that only a file names, which may be a stranger's.

    Raises:
        UsageError: the model says that it was trained on such.
    """
    for name in (section(model.header, "data").get("name"), model.data_name):
        if isinstance(name, str) and "://" in name:
            raise UsageError(
                f"'{model.name}' says that it was trained on {shown(name)}, which is not fetched at its word",
                "name the data with --data, if you trust that address",
            )


def check_own(model: Subject, data: str, training: Dataset) -> None:
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


def count(images: int | None, held_out: Dataset, training: Dataset, supply: int | None) -> int:
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


def draws(start: int, count: int, repeats: int, model: Subject) -> tuple[list[range], int]:
    """The seeds of each set of images, and into how many parts a single set is taken apart, for intervals.

    Images that others made may be too few for several sets that share none. Then all that are judged are one set.
    """
    if not 1 <= repeats <= MOST:
        raise UsageError(f"--repeats {repeats} is out of range", f"from 1 to {MOST} sets of images can be made")
    total, supply = count * repeats, getattr(model, "supply", None)
    if repeats > 1 and supply is not None and total > supply:
        if count - math.ceil(count / repeats) < SMALLEST:
            raise UsageError(f"{count} images are too few for the intervals of --repeats {repeats}", "leave it out")
        return [range(count)], repeats
    if not 0 <= start <= MAX_SEED + 1 - total:
        raise UsageError(f"{total:,} seeds from {start} on leave the range", f"seeds go from 0 to {MAX_SEED}")
    return [range(first, first + count) for first in range(start, start + total, count)], 0


def protocol(
    model: Subject,
    data: str,
    reader: Reader,
    held_out: Dataset,
    training: Dataset,
    drawn: Sequence[range],
    parts: int = 0,
) -> Protocol:
    """Everything that the figures of these sets of seeds will depend on."""
    seeds, supply, total = drawn[0], getattr(model, "supply", None), sum(map(len, drawn))
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
        seeds=f"{seeds[0]}-{drawn[-1][-1]}" if supply is None else f"none: {total:,} of {supply:,} images",
        repeats=len(drawn),
        parts=parts,
        truncation=getattr(getattr(model, "latent", None), "truncation", None),
        resize=_resize(model.shape, real_shape, reader.extractor),
        colour=_colour(model.shape, real_shape, reader.extractor),
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
    return f"{', '.join(changes)}, {extractor.filter}" if changes else "none"


def _colour(fake: tuple[int, ...], real: tuple[int, ...], extractor: Extractor) -> str:
    sides = [side for side, shape in (("generated", fake), ("real", real)) if shape[0] != extractor.channels]
    how = "RGB to luma" if extractor.channels == 1 else "grey to RGB"
    return f"{' and '.join(sides)} {how}" if sides else "none"


def class_names(extractor: Extractor) -> tuple[str, ...]:
    """The classes that an extractor knows, as far as they have names."""
    facts = describe(extractor.datasets[0]) if extractor.datasets else None
    return facts.classes if facts else ()


def knows_classes(dataset: Dataset, names: Sequence[str], fewest: int = 1, drawn: int | None = None) -> bool:
    """Whether a data set has labels for the classes that an extractor knows, with so many images of each.

    Args:
        dataset: any.
        names: the classes.
        fewest: images of each.
        drawn: how many images of the set are looked at (see :func:`gancli.evaluation.reference.some`); None for all.
    """
    if dataset.labels is None or not names or tuple(dataset.classes) != tuple(names):
        return False
    labels = dataset.labels if drawn is None else drawn_labels(dataset, drawn)
    return int(labels.bincount(minlength=len(names)).min()) >= fewest


def applicable(
    metrics: Sequence[Metric], named: bool, held_out: Dataset, training: Dataset, names: Sequence[str], count: int
) -> tuple[Metric, ...]:
    """The metrics that the data allow.

    Args:
        metrics: those wanted.
        named: whether they were asked for by name: then none is left out.
        held_out: the images to compare with.
        training: the images that were trained on.
        names: the classes that the extractor knows.
        count: how many images a side are compared.

    Raises:
        UsageError: one that was named and is not possible.
    """
    if not any(metric.by_class for metric in metrics):
        return tuple(metrics)
    known = knows_classes(held_out, names) and knows_classes(training, names)
    if known and knows_classes(held_out, names, SMALLEST, count):
        return tuple(metrics)
    if not named:
        return tuple(metric for metric in metrics if not metric.by_class)
    first = next(metric.name for metric in metrics if metric.by_class)
    if known:
        raise UsageError(
            f"{first} needs {SMALLEST} held-out images of each class, and there are fewer among {count:,}",
            "leave out --images, or give more",
        )
    raise UsageError(
        f"{first} needs images with the classes that the extractor knows, and '{held_out.name}' has none",
        "fid needs no classes",
    )


def warnings(chosen: Sequence[Metric], protocol: Protocol, extractor: Extractor) -> tuple[str, ...]:
    """What to be careful with."""
    found = []
    fewest = min(protocol.real_images, protocol.generated_images)
    if fewest < SAMPLES_PER_FEATURE * extractor.features and any(metric.name == "fid" for metric in chosen):
        found.append(
            f"{fewest} images are few for {extractor.features} features: FID is biased upwards, so compare it only "
            f"with the floor and with figures from as many images"
        )
    if fewest < KID_SUBSET_SIZE and any(metric.name == "kid" for metric in chosen):
        found.append(
            f"{fewest} images are fewer than KID's subsets of {KID_SUBSET_SIZE:,}: it scatters more, so compare it "
            f"only with the floor and with figures from as many images"
        )
    if protocol.real_images != protocol.generated_images:
        found.append(
            f"{protocol.generated_images:,} generated images stand against {protocol.real_images:,} real ones: "
            f"precision, recall, density and coverage are not comparable with figures from equal numbers"
        )
    return (*found, *extractor.cautions(protocol.data))
