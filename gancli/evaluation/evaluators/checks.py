"""What is asked of an evaluation, and what the subject and the data allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gancli.alpha import CHANNELS, has_alpha
from gancli.data import Dataset
from gancli.data.hub.fetching import is_here
from gancli.data.types import Progress, no_progress
from gancli.errors import GancliError, UsageError, nearest
from gancli.evaluation.extractors import Extractor
from gancli.evaluation.features import BACKGROUNDS, Reader
from gancli.evaluation.protocol import Protocol
from gancli.evaluation.reference import drawn_labels
from gancli.evaluation.subjects import Subject
from gancli.hub.names import is_hub
from gancli.latents import MAX_SEED
from gancli.metrics.base import SMALLEST, Metric
from gancli.metrics.intervals import MOST_SETS
from gancli.metrics.kid import KID_SUBSET_SIZE
from gancli.recipe.validation_errors import shown

IMAGES = 10_000
MOST_IMAGES = 100_000
HOLD_OUT = (
    "train with `hold_out=0.1`, or put some into a folder test/ beside a folder train/ of the others before training"
)
OVER = f"over {' and over '.join(BACKGROUNDS)}, figures are means of both"
"""What becomes of transparency, in the words of reports."""
SAMPLES_PER_FEATURE = 10
"""Below this, the covariance that FID takes is mostly noise."""


@dataclass(frozen=True)
class Options:
    """What is asked of an evaluation.

    Attributes:
        metrics: names of the figures; none for all that the subject and the data allow.
        images: how many to generate; None for what is usual.
        extractor: the extractor's name; None is the one that knows the data, or pixels where none does.
        seed_start: the first seed.
        repeats: independent sets of images.
        most: images to generate, unless a number is given.
        data_dir: where data sets are looked for first.
        progress: called with what is being done, how much of it is done, and of how much.
    """

    metrics: tuple[str, ...] = ()
    images: int | None = None
    extractor: str | None = None
    seed_start: int = 0
    repeats: int = 1
    most: int = IMAGES
    data_dir: Path | None = None
    progress: Progress = no_progress


def refuse_addresses(subject: Subject) -> None:
    """Refuse to fetch from addresses or from the Hub what only a file names, which may be a stranger's.

    Raises:
        UsageError: the model says that it was trained on such.
    """
    name = subject.data_name or ""
    what = "address" if "://" in name else "repository"
    if what == "address" or (is_hub(name) and not is_here(name)):
        raise UsageError(
            f"'{subject.name}' says that it was trained on {shown(name)}, which is not fetched at its word",
            f"name the data with `data`, if you trust that {what}",
        )


def trained_on(subject: Subject) -> str | None:
    """The fingerprint of the images that a model was trained on; None where its header has none."""
    dataset = subject.header.get("dataset")
    return dataset.get("fingerprint") if isinstance(dataset, Mapping) else None


def check_own(subject: Subject, data: str, training: Dataset) -> None:
    """Refuse a data set that only has the name of the one that the model was trained on."""
    then, how = trained_on(subject), subject.recipe("data")
    # Images that the training resized or fitted in a way of its own have another fingerprint here in any case.
    alike = tuple(training.images.shape[1:]) == tuple(subject.shape)
    alike = alike and (how.get("fit", "crop"), how.get("background", "white")) == ("crop", "white")
    if alike and then is not None and then != training.fingerprint:
        raise UsageError(
            f"'{subject.name}' was trained on other images than the data set '{data}' here",
            "`data=NAME` says what to compare with",
        )


def count(options: Options, held_out: Dataset, training: Dataset, supply: int | None) -> int:
    """How many images each set has; several sets of a supply share none."""
    images, repeats = options.images, options.repeats
    if not 1 <= repeats <= MOST_SETS:
        raise UsageError(f"`repeats={repeats}` is out of range", f"from 1 to {MOST_SETS} sets of images can be made")
    if images is not None and not SMALLEST <= images <= MOST_IMAGES:
        raise UsageError(
            f"cannot evaluate by {images:,} images", f"from {SMALLEST} to {MOST_IMAGES:,} can be generated"
        )
    for part in (held_out, training):
        if (there := len(part.images)) < SMALLEST:
            raise GancliError(f"'{part.name}' has {there} images in its {part.split} split; metrics take {SMALLEST}")
    there, needed = MOST_IMAGES if supply is None else supply // repeats, max(SMALLEST, images or 0)
    if there < needed:
        raise UsageError(
            f"there are {supply:,} images, and {repeats * needed:,} are needed", "add images, or ask for fewer"
        )
    return images or min(options.most, len(held_out.images), there)


def seeds_of(options: Options, count: int) -> range:
    """So many seeds from the first one on.

    Raises:
        UsageError: there are not so many.
    """
    start = options.seed_start
    if not 0 <= start <= MAX_SEED + 1 - count:
        raise UsageError(f"{count:,} seeds from {start} on leave the range", f"seeds go from 0 to {MAX_SEED}")
    return range(start, start + count)


def figures(options: Options, known: Sequence[str], what: str) -> list[str]:
    """The figures that are named, each once; all that are known where none is.

    Raises:
        UsageError: ``what`` has no figure of that name.
    """
    if unknown := [name for name in options.metrics if name not in known]:
        raise UsageError(f"{what} has no figure '{unknown[0]}'", nearest(unknown[0], known))
    return list(dict.fromkeys(options.metrics or known))


def over_backgrounds(reader: Reader, subject: Subject, real: Dataset) -> list[Reader]:
    """The reader as it is, or where one of both sides has alpha, one for each background.

    Raises:
        UsageError: alpha, and an extractor of grey images: digits have none.
    """
    if not (subject.shape[0] == CHANNELS or has_alpha(real.images)):
        return [reader]
    if reader.extractor.channels == 1:
        raise UsageError(
            f"the images have alpha, and {reader.extractor.name} knows grey images without", "`extractor=imagenet`"
        )
    return [replace(reader, background=background) for background in BACKGROUNDS]


def protocol(
    subject: Subject,
    data: str,
    reader: Reader,
    held_out: Dataset,
    training: Dataset,
    drawn: Sequence[range],
) -> Protocol:
    """Everything that the figures of these sets of seeds will depend on."""
    count, supply, total, extractor = len(drawn[0]), subject.supply, sum(map(len, drawn)), reader.extractor
    height, width = extractor.size
    sides = {"generated": subject.shape, "real": tuple(held_out.images.shape[1:])}
    resized = [f"{side} {h}x{w} to {height}x{width}" for side, (_, h, w) in sides.items() if (h, w) != extractor.size]
    coloured = [side for side, shape in sides.items() if min(3, shape[0]) != extractor.channels]
    how = "RGB to luma" if extractor.channels == 1 else "grey to RGB"
    return Protocol(
        extractor=extractor.name,
        extractor_sha256=reader.digest,
        data=data,
        data_fingerprint=held_out.fingerprint,
        split=held_out.split,
        real_images=min(count, len(held_out.images)),
        generated_images=count,
        floor_images=min(count, len(training.images)),
        seeds=f"{drawn[0][0]}-{drawn[-1][-1]}" if supply is None else f"none: {total:,} of {supply:,} images",
        repeats=len(drawn),
        parts=0,
        truncation=subject.model.truncation if subject.model else None,
        resize=", ".join([*resized, extractor.filter]) if resized else "none",
        colour=f"{' and '.join(coloured)} {how}" if coloured else "none",
        alpha=OVER if any(shape[0] == CHANNELS for shape in sides.values()) else None,
        ema=subject.ema,
    )


def knows_classes(dataset: Dataset, names: Sequence[str]) -> bool:
    """Whether a data set has labels for the classes that an extractor knows."""
    return dataset.labels is not None and bool(names) and tuple(dataset.classes) == tuple(names)


def applicable(
    metrics: Sequence[Metric], named: bool, extractor: Extractor, held_out: Dataset, training: Dataset, count: int
) -> tuple[Metric, ...]:
    """The metrics that extractor and data allow.

    Args:
        metrics: those wanted.
        named: whether they were asked for by name: then none is left out.
        extractor: the extractor.
        held_out: the images to compare with.
        training: the images that were trained on.
        count: how many images a side are compared.

    Raises:
        UsageError: one that was named and is not possible.
    """
    chosen = []
    names = extractor.class_names
    known = knows_classes(held_out, names) and knows_classes(training, names)
    enough = known and int(drawn_labels(held_out, count).bincount(minlength=len(names)).min()) >= SMALLEST
    for metric in metrics:
        if metric.needs_classes and extractor.classless:
            problem = f"{metric.name} needs classes, and {extractor.name} knows none"
        elif metric.within_classes and not enough:
            problem = f"{metric.name} needs {SMALLEST} held-out images of each class that the extractor knows"
        else:
            chosen.append(metric)
            continue
        if named:
            raise UsageError(problem, "fid needs no classes")
    return tuple(chosen)


def without_held_out(metrics: Sequence[Metric], named: bool, data: str) -> tuple[Metric, ...]:
    """The metrics that need no held-out images.

    Raises:
        UsageError: one that was named needs them.
    """
    if named and (needing := [metric.name for metric in metrics if metric.needs_held_out]):
        raise UsageError(f"{needing[0]} needs held-out images, and '{data}' has none", HOLD_OUT)
    return tuple(metric for metric in metrics if not metric.needs_held_out)


def of_held_out(protocol: Protocol, held_out: Dataset, training: Dataset) -> Protocol:
    """What the metrics of held-out images depend on, where the others compare with training images."""
    count = min(protocol.generated_images, len(held_out.images))
    return replace(
        protocol,
        data_fingerprint=held_out.fingerprint,
        split=held_out.split,
        real_images=count,
        generated_images=count,
        floor_images=min(count, len(training.images)),
    )


def warnings(metrics: Sequence[Metric], protocol: Protocol, extractor: Extractor) -> tuple[str, ...]:
    """What to be careful with."""
    found, names = [], {metric.name for metric in metrics}
    fewest = min(protocol.real_images, protocol.generated_images)
    if protocol.held_out_images == 0:
        found.append(
            f"no images are held out: without coverage and memorisation, copies of training images are not noticed; "
            f"{HOLD_OUT}"
        )
    if fewest < SAMPLES_PER_FEATURE * extractor.features and "fid" in names:
        found.append(
            f"{fewest} images are few for {extractor.features} features: FID is biased upwards, so compare it only "
            f"with the floor and with figures from as many images"
        )
    if fewest < KID_SUBSET_SIZE and "kid" in names:
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
