"""The layout of a folder, zip or tar of images: which files are images, their classes, splits and domains."""

import logging
import os
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gancli.data.builtin.names import TEST, TRAIN
from gancli.data.folder import kinds, tables
from gancli.data.folder.decoding import DRAWN_HERE, drawn_here, prepare
from gancli.data.folder.files import Listing, Source
from gancli.data.types import ImageSet, NoHeldOutError, Progress, View
from gancli.errors import UsageError, printable
from gancli.files import natural

log = logging.getLogger("gancli")

_PART = re.compile(
    rf"(?:seg|data|images?)?[ _-]*({'|'.join((*TRAIN, *TEST))})[ _-]*(?:set|data|images?|split)?[ _-]*(?:[0-9]{{4}})?"
    "[ _-]*([AB])?",
    re.IGNORECASE,
)
"""Names of folders that are splits, as ``train``, ``training_set``, ``seg_test``, ``val2017``; and of domains, as
``trainA``."""
_REST = re.compile(r"(?:seg|data)?[ _-]*(?:pred(?:iction)?s?|unlabell?ed)[ _-]*(?:[0-9]{4})?", re.IGNORECASE)
"""Names of folders beside splits that belong to none."""


def title(path: Path) -> str:
    """The name of the data set at a path: the folder's, or the zip's without its ending."""
    whole = path.absolute().resolve() if path.name in ("", ".", "..") else path.absolute()
    return whole.name if path.is_dir() else whole.stem


def load(source: Source, split: str, view: View, progress: Progress, domain: str = "") -> ImageSet:
    """One split of the images of a source; see :func:`listing` for what counts as classes and splits."""
    found = listing(source, split, domain)
    for kind in [each for each in kinds.PHOTOS if each in found.left_out]:
        log.warning("left out %d of '%s': %s", found.left_out[kind], source.path.name, kinds.HINTS[kind])
    return replace(prepare(source, found, view, progress), splits=found.splits, left_out=found.left_out)


def listing(source: Source, split: str, domain: str = "") -> Listing:
    """The images of a split.

    - A folder that contains all images (``photos/…``) is ignored.
    - ``train/`` with ``test/`` (or ``val/``) are the splits; else all images are "train".
    - ``trainA/``, ``trainB/``, ``testA/``, ``testB/`` are the splits of two domains.
    - ``dataset.json`` of the StyleGAN tools, or ``metadata.csv`` (or ``.jsonl``) with ``file_name`` and ``label``, has
      the labels.
    - Otherwise the top folders are the classes, unless images lie beside them or there is only one. The classes are
      those of "train"; a held-out split with other folders has none.

    Args:
        source: of the files.
        split: "train" or "test".
        domain: "A" or "B" of two; empty where there is only one.

    Raises:
        UsageError: no image at all, no such split, a faulty table of labels, or a layout that can be read in two ways.
    """
    left_out = Counter(source.left_out)
    parts = _parts(source.path, _images(source, left_out), domain, left_out)
    if split not in parts:
        raise NoHeldOutError(
            f"'{source.path}' has no held-out split",
            "put its images into two folders train/ and test/, or use the split 'train'",
        )
    labels, classes = _by_table(source, parts, _by_folder(parts), left_out)
    chosen, counts = parts[split], {each: len(names) for each, names in parts.items()}
    number = {name: index for index, name in enumerate(classes)}
    targets = [number.get(labels.get(name, ""), -1) for name in chosen]
    if not classes or -1 in targets:
        return Listing(chosen, None, (), counts, left_out)
    return Listing(chosen, targets, tuple(printable(name) for name in classes), counts, left_out)


def has_folders(source: Source) -> bool:
    """Whether the images lie in folders that are classes, splits or domains."""
    return len(_tops(_images(source, Counter()))) > 1


def has_domains(source: Source) -> bool:
    """Whether there are two domains, for a translation of one into the other."""
    return _two(_tops(_images(source, Counter())))


def _images(source: Source, left_out: Counter[str]) -> list[str]:
    """The names of the images. What gancli has drawn does not count beside folders of images.

    Raises:
        UsageError: there is none.
    """
    folders = defaultdict[str, list[str]](list)
    for name in source.names:
        if name[name.rfind("/") + 1 :] in tables.TABLES:
            continue
        if kind := kinds.left_out_as(source, name):
            left_out[kind] += 1
        else:
            folders[_folder(name)].append(name)
    if not folders:
        there = ", ".join(f"{kind} {count:,}" for kind, count in left_out.most_common())
        hints = [hint for kind, hint in kinds.HINTS.items() if kind in left_out]
        raise UsageError(
            f"'{source.path}' {'holds no image' if source.names or there else 'is empty'}"
            + f", but {there}" * bool(there),
            "; ".join(dict.fromkeys(hints)) or "name a folder or a zip with images, such as PNG, JPEG or WebP",
        )
    for above in {above for each in folders for above in _above(each) - {each}}:
        # Of many photos, the first ends this.
        if (loose := folders.get(above)) and all(drawn_here(source, name) for name in loose):
            left_out[DRAWN_HERE] += len(folders.pop(above))
    return sorted(name for names in folders.values() for name in names)


def common_folder(names: Sequence[str]) -> str:
    """The folder, with its slash, in which all of them lie; "" for the top."""
    return _folder(os.path.commonprefix([min(names), max(names)]))  # noqa: RUF071 - cut at a slash by _folder


def _folder(name: str) -> str:
    """The folder of a file, with the slash."""
    return name[: name.rfind("/") + 1]


def _above(folder: str) -> set[str]:
    """A folder and those around it, "" for the top."""
    return {folder[:cut] for cut in range(len(folder) + 1) if not cut or folder[cut - 1] == "/"}


def _tops(images: Sequence[str]) -> dict[str, re.Match[str] | None]:
    """The folders at the top, "" where images lie beside them; and what their names say of a split."""
    root = common_folder(images)
    tops = {folder[len(root) :].partition("/")[0] for folder in {_folder(name) for name in images}}
    return {top: _PART.fullmatch(top) for top in sorted(tops)}


def _two(tops: Mapping[str, re.Match[str] | None]) -> bool:
    """Whether every folder is a split of one of two domains."""
    return {(match[2] or "").upper() if match else "" for match in tops.values()} == {"A", "B"}


def _parts(path: Path, images: list[str], domain: str, left_out: Counter[str]) -> dict[str, list[str]]:
    """The images of each split.

    Raises:
        UsageError: two domains where one is wanted, or folders that can be read in two ways.
    """
    root, tops = common_folder(images), _tops(images)
    if _two(tops) and not domain:
        raise UsageError(
            f"'{path}' holds images of two domains: {', '.join(tops)}",
            f"translate one into the other, as in `gancli train {shlex.quote(path.name)} --model cyclegan`, or "
            "name one of the folders",
        )
    if domain and not _two(tops):
        raise UsageError(f"'{path}' does not hold two domains", "they are folders called trainA, trainB, testA, testB")
    words = {top: each[1].lower() for top, each in tops.items() if each and (not domain or each[2].upper() == domain)}
    train = [top for top, word in words.items() if word in TRAIN]
    held_out = sorted(words.keys() - train, key=lambda top: TEST.index(words[top]))
    if not train or not (held_out or domain):
        return {"train": images}
    rest = [] if domain else [top for top in tops if top not in words]
    if len(train) > 1 or not all(map(_REST.fullmatch, rest)):
        named = ", ".join(f"{top}/" if top else "the images beside the folders" for top in tops)
        raise UsageError(
            f"'{path}' can be read in two ways: as the splits {train[0]}/ and {held_out[0]}/ with something beside, or "
            f"as the classes {named}",
            f"for splits, leave nothing beside {train[0]}/ and {held_out[0]}/; for classes, rename these two",
        )
    inside = {top: [name for name in images if name.startswith(f"{root}{top}/")] for top in (*words, *rest)}
    # With both test/ and val/, test/ is the held-out split.
    for top in (*held_out[1:], *rest):
        left_out[f"images in {top}/"] += len(inside[top])
    return {split: inside[top] for split, top in zip(("train", "test"), (*train, *held_out), strict=False)}


Labels = tuple[dict[str, str], tuple[str, ...]]
"""The class of each image, by name; and all classes in their order, () where there are none."""


def _by_folder(parts: Mapping[str, list[str]]) -> Labels:
    """The classes by the folders at the top of each split; those of the held-out split may be fewer."""
    labels: dict[str, str] = {}
    for split, names in parts.items():
        root = common_folder(names)
        if split != "train" and any(_folder(name) == root for name in names):
            root = _folder(root[:-1])
        labels |= {name: name[len(root) : name.rfind("/") + 1].partition("/")[0] for name in names}
    classes = {labels[name] for name in parts["train"]}
    return labels, tuple(sorted(classes, key=natural)) if len(classes) > 1 and "" not in classes else ()


def _by_table(source: Source, parts: Mapping[str, list[str]], folders: Labels, left_out: Counter[str]) -> Labels:
    """The classes by tables in the folders of the splits and above them, the nearest last; else the folders'.

    Raises:
        UsageError: a faulty table, or one that contradicts the folders.
    """
    there, labels, used = set(source.names), dict[str, str](), ("", "")
    around = {folder for names in parts.values() for folder in _above(common_folder(names))}
    for folder, table in ((folder, table) for folder in sorted(around) for table in tables.TABLES):
        if folder + table in there:
            if (found := tables.read(source, folder, table)) is None:
                left_out[f"{table} without labels"] += 1
            else:
                labels, used = labels | found, (folder, table)
    folder, table = used
    if not table:
        return folders
    for split, names in parts.items():
        missing = [name for name in names if name not in labels]
        if labels and missing and (split == "train" or len(missing) < len(names)):
            name = missing[0].removeprefix(folder)
            raise UsageError(f"'{folder}{table}' of '{source.path}' has no label for '{name}'", tables.HINTS[table])
    if not labels:
        return {}, ()
    classes = tuple(sorted({labels[name] for name in parts["train"]}, key=natural))
    both = {(folders[0][name], labels[name]) for name in parts["train"]}
    # Folders of the StyleGAN tools are no classes.
    if table != tables.STYLEGAN and folders[1] and not len(both) == len(folders[1]) == len(classes):
        raise UsageError(
            f"'{source.path}' can be read in two ways: {len(classes)} classes by '{folder}{table}', such as "
            f"'{classes[0]}', or {len(folders[1])} by its folders, such as '{folders[1][0]}'",
            f"rename {table}, or put all images into one folder",
        )
    return labels, classes
