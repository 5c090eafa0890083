"""``load``: open a data set by name, a folder, a zip, or tar shards."""

import logging
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from gancli.alpha import KINDS
from gancli.data import points, synthetic
from gancli.data.builtin import loading as builtin_loading
from gancli.data.builtin.names import DATASETS, LARGEST_SIDE, SPLITS
from gancli.data.folder import layout
from gancli.data.folder.files import open_source
from gancli.data.hub.fetching import locate
from gancli.data.paths import is_table, there
from gancli.data.pixels import parse_colour, parse_fit
from gancli.data.shards import names as shard_names
from gancli.data.types import Dataset, ImageSet, NoHeldOutError, Progress, Skipped, View, fingerprint_of, no_progress
from gancli.errors import UsageError, nearest
from gancli.hub.names import is_hub

log = logging.getLogger("gancli")

_DARK = 32
"""Of 255; images below are taken for values of another range, such as class numbers."""

__all__ = ["Dataset", "Skipped", "load"]


def load(
    name: str,
    *,
    split: str = "train",
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    fit: str = "crop",
    background: str = "white",
    data_dir: Path | None = None,
    progress: Progress | None = None,
    domain: str = "",
) -> Dataset:
    """A data set by name, the images of a folder, of a zip or of shards, or the points of a CSV.

    Args:
        name: a name of :data:`gancli.data.DATASETS`, a path, shards (see :mod:`gancli.data.shards.names`), or a data
            set of the Hub, as ``hf:user/repo``.
        split: "train" or "test".
        size: (height, width); None is the data's own: for a folder its most common size, at most 64 a side.
        channels: 1, 3, or 4 for transparency; None is the data's own: for a folder 1 when every image is grey, else 3.
        fit: how an image of another shape is brought to ``size``: "crop", "pad" or "stretch".
        background: the colour below transparent pixels and around padded images, but with 4 channels.
        data_dir: the first folder to search for named sets, and where they are downloaded to.
        progress: called with the task, how much of it is done, and the total (0: unknown).
        domain: "A" or "B" of a folder with trainA/ and trainB/.

    Raises:
        UsageError: an unknown name, split or option, a folder without images, an extra that is not installed.
        GancliError: a download that failed, a damaged file of a named set.
    """
    report = progress or no_progress
    if split not in SPLITS:
        raise UsageError(f"unknown split '{split}'", nearest(split, SPLITS))
    if channels not in (None, *KINDS):
        known = ", ".join(f"{number} is {kind}" for number, kind in KINDS.items())
        raise UsageError(f"images have 1, 3 or 4 channels, not {channels}", known)
    if size is not None and not all(1 <= side <= LARGEST_SIDE for side in size):
        raise UsageError(f"{size[0]}x{size[1]} is not an image size", f"each side lies from 1 to {LARGEST_SIDE}")
    view = View(size, channels, parse_fit(fit), parse_colour(background))
    if (formula := formula_of(name)) is not None:
        return _numbers(name, formula, split, size, channels)
    if name in DATASETS:
        made = _dataset(name, split, builtin_loading.load(DATASETS[name], split, view, data_dir, report))
        return replace(made, licence=DATASETS[name].licence)
    if is_hub(name):
        return _of_hub(name, split, view, report, domain)
    if shard_names.is_sharded(name):
        # Imported here, since fetching files takes modules that other data do not need.
        from gancli.data.shards import stream

        if archive := stream.archive(name):
            found = layout.load(archive, split, view, report, domain)
            return _dataset(shard_names.title(name), split, replace(found, skipped=(*archive.skipped, *found.skipped)))
        shards, examples = stream.load(name, split, view, report)
        return replace(_dataset(shard_names.title(name), split, examples), stream=shards)
    if not there(name):
        raise UsageError(f"there is no data set '{name}'", _suggestion(name))
    path = Path(name).expanduser()
    return _dataset(layout.title(path), split, layout.load(open_source(path), split, view, report, domain))


def title(name: str) -> str:
    """What a data set is called where its path means nothing: the folder's name, or the archive's without its end."""
    if name in DATASETS or is_hub(name):
        return name
    return shard_names.title(name) if shard_names.is_sharded(name) else layout.title(Path(name).expanduser())


def exists(name: str) -> bool:
    """Whether a data set is called so, or something is at that path; shards and the Hub are taken at their word."""
    return name in DATASETS or shard_names.is_sharded(name) or is_hub(name) or there(name)


def _of_hub(name: str, split: str, view: View, report: Progress, domain: str) -> Dataset:
    located = locate(name, report)
    try:
        found = layout.load(open_source(located.path), split, view, report, domain)
    except UsageError as error:  # its path in the cache says nothing to the user
        message = error.message.replace(str(located.path.absolute()), located.name)
        raise type(error)(message, error.hint) from None
    return replace(_dataset(located.name, split, found), licence=located.licence)


def formula_of(name: str) -> synthetic.Formula | None:
    """What draws numbers of that name: a formula of gancli, or the points of a CSV; None for anything else.

    Raises:
        UsageError: a CSV that is no table of points.
    """
    if name in synthetic.FORMULAS:
        return synthetic.FORMULAS[name]
    return points.read(Path(name).expanduser()) if is_table(name) else None


def _numbers(
    name: str, formula: synthetic.Formula, split: str, size: tuple[int, int] | None, channels: int | None
) -> Dataset:
    if size not in (None, (1, formula.width)) or channels not in (None, 1):
        raise UsageError(f"'{name}' is {formula.width} numbers a sample, not images", "leave out size and channels")
    if isinstance(formula, points.Points):
        if split != "train":
            raise NoHeldOutError(f"the points of '{name}' have no {split} split", "use `split=train`")
        digits = fingerprint_of(formula.rows, None)
        return Dataset(formula.name, split, synthetic.examples(formula, split), None, (), digits, formula=formula)
    digits = synthetic.fingerprint(formula, split)
    return Dataset(name, split, synthetic.examples(formula, split), None, (), digits, formula=formula)


def _suggestion(name: str) -> str:
    if "/" not in name and (close := get_close_matches(name.lower(), DATASETS, n=1, cutoff=0.6)):
        return f"did you mean '{close[0]}'?"
    return "a folder or a zip of images, or a name that `gancli data list` shows"


def _dataset(name: str, split: str, found: ImageSet) -> Dataset:
    brightest = int(found.images[:: len(found.images) // 100 + 1, :3].max())
    if brightest < _DARK:
        log.warning("the images of '%s' are nearly black: of those tried, none has a value above %d", name, brightest)
    fingerprint = found.fingerprint or fingerprint_of(found.images, found.labels)
    return Dataset(
        name, split, found.images, found.labels, found.classes, fingerprint, found.skipped,
        splits=found.splits or (DATASETS[name].images if name in DATASETS else {}), left_out=found.left_out,
    )  # fmt: skip
