"""Parsers of the file formats in which the named data sets are distributed.

Each checks what its file declares against what it contains: shapes, sizes and labels.
"""

import bz2
import gzip
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gancli.data.builtin.classes import DIGITS
from gancli.data.builtin.names import Facts
from gancli.data.folder.files import Listing, Source, open_source

# No file of these sets comes near: a damaged or forged one must not take the memory.
_LARGEST = 8 * 2**30
_IDX_TYPES = {8: "u1", 12: ">i4"}

Arrays = tuple[Tensor, Tensor]
"""Images uint8 (N, C, H, W) and labels int64 (N,)."""


class DamagedError(Exception):
    """A file that is not what its format says; the text is the reason."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(reason)
        self.path = path


def _labelled(facts: Facts, path: Path, images: Tensor, labels: np.ndarray, first: int = 0) -> Arrays:
    """Check the labels of a file, which count from ``first``."""
    labels, classes = labels.astype(np.int64) - first, len(facts.classes)
    if len(labels) != len(images):
        raise DamagedError(path, f"{len(labels):,} labels for {len(images):,} images")
    if len(labels) == 0:
        raise DamagedError(path, "no image in it")
    if labels.min() < 0 or labels.max() >= classes:
        raise DamagedError(path, f"labels from {labels.min()} to {labels.max()} for {classes} classes")
    return images, torch.from_numpy(labels)


def _read(path: Path) -> bytes:
    """The whole file, decompressed when it ends in .gz or .bz2."""
    opener: Any = {".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix, open)
    try:
        with opener(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except (EOFError, zlib.error, OSError) as error:
        # Decompressors raise OSError as well, but without a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DamagedError(path, f"it cannot be decompressed ({error})") from None
    if len(data) > _LARGEST:
        raise DamagedError(path, f"larger than {_LARGEST // 2**30} GiB")
    return data


def _records(path: Path, size: int, what: str) -> np.ndarray:
    """A file of records of the same size: uint8 (N, size)."""
    data = np.frombuffer(_read(path), np.uint8)
    if not len(data) or len(data) % size:
        raise DamagedError(path, f"{len(data):,} bytes are not whole {what}")
    return data.reshape(-1, size)


def _idx(path: Path) -> np.ndarray:
    """An idx file: two zero bytes, a type, a number of dimensions, each as 4 bytes big-endian, then the values."""
    data = _read(path)
    with suppress(ValueError, KeyError, IndexError):
        kind, shape = np.dtype(_IDX_TYPES[data[2]]), np.frombuffer(data, ">u4", data[3], 4).tolist()
        # The copy makes it writable, as torch expects.
        return np.frombuffer(data, kind, offset=4 + 4 * data[3]).reshape(shape).copy()
    raise DamagedError(path, "it is not an idx file, or cut off")


def _idx_images(path: Path) -> Tensor:
    """Images uint8 (N, 1, H, W)."""
    images = _idx(path)
    if images.ndim != 3 or images.dtype != np.uint8:
        raise DamagedError(path, f"images should be three-dimensional bytes, not {images.ndim}-dimensional")
    return torch.from_numpy(images)[:, None]


def idx(facts: Facts, paths: list[Path]) -> Arrays:
    """MNIST and its relatives; QMNIST's labels are a table whose first column is the class."""
    images, labels = _idx_images(paths[0]), _idx(paths[1])
    return _labelled(facts, paths[1], images, labels[:, 0] if labels.ndim == 2 else labels.reshape(-1))


def stacked(facts: Facts, paths: list[Path]) -> Arrays:
    """Stacked MNIST (Metz et al. 2017, "Unrolled generative adversarial networks", section 3.3.1): as many images as
    MNIST has, always the same ones; the class 427 is a red 4, a green 2 and a blue 7."""
    images, labels = idx(replace(facts, classes=DIGITS), paths)
    chosen = torch.randint(len(images), (len(images), 3), generator=torch.Generator().manual_seed(0))
    return images[chosen, 0], labels[chosen] @ torch.tensor([100, 10, 1])


def emnist(facts: Facts, paths: list[Path]) -> Arrays:
    """EMNIST: images stored with rows and columns exchanged; the labels of letters begin at 1."""
    images = _idx_images(paths[0]).transpose(2, 3).contiguous()
    first = 1 if facts.name == "emnist/letters" else 0
    return _labelled(facts, paths[1], images, _idx(paths[1]).reshape(-1), first)


def cifar(facts: Facts, paths: list[Path]) -> Arrays:
    """CIFAR's binary version: a record is the label (CIFAR-100: coarse, then fine) and 3 x 32 x 32 bytes."""
    head = 2 if facts.name == "cifar100" else 1
    table = np.concatenate([_records(path, head + 3072, f"records of {head + 3072}") for path in paths])
    images = torch.from_numpy(np.ascontiguousarray(table[:, head:])).view(-1, 3, 32, 32)
    return _labelled(facts, paths[-1], images, table[:, head - 1])


def usps(facts: Facts, paths: list[Path]) -> Arrays:
    """USPS in libsvm's text: ``label 1:value … 256:value`` with labels 1..10 and values -1..1."""
    path = paths[0]
    with suppress(ValueError):
        text = _read(path).decode("ascii").replace(":", " ")
        table = np.array(text.split(), np.float32).reshape(-1, 513)
        if (table[:, 1::2] == np.arange(1, 257)).all() and np.isfinite(table).all():
            pixels = np.clip((table[:, 2::2] + 1) / 2 * 255, 0, 255).astype(np.uint8)
            return _labelled(facts, path, torch.from_numpy(pixels).view(-1, 1, 16, 16), table[:, 0], 1)
    raise DamagedError(path, "it is not libsvm text (a line is a label and the pixels 1 to 256)")


def stl10(facts: Facts, paths: list[Path]) -> Arrays:
    """STL-10: bytes of 3 x 96 x 96 with rows and columns exchanged, labels 1..10 in a file of their own."""
    data = _records(paths[0], 3 * 96 * 96, "images of 3x96x96")
    images = np.ascontiguousarray(data.reshape(-1, 3, 96, 96).transpose(0, 1, 3, 2))
    return _labelled(facts, paths[1], torch.from_numpy(images), np.frombuffer(_read(paths[1]), np.uint8), 1)


def _mat(path: Path, *keys: str) -> list[np.ndarray]:
    """Numeric arrays of a MATLAB file, by scipy (which reads no Python objects)."""
    from scipy.io import loadmat

    try:
        table = loadmat(path)
        arrays = [np.asarray(table[key]) for key in keys]
        if any(array.dtype.kind not in "iuf" or not array.size for array in arrays):
            raise ValueError("no numbers")
    # scipy may raise anything on a damaged file.
    except Exception as error:
        raise DamagedError(path, f"it is not a MATLAB file with {' and '.join(keys)} ({error})") from None
    return arrays


def svhn(facts: Facts, paths: list[Path]) -> Arrays:
    """SVHN, cropped digits: X is (32, 32, 3, N), y is (N, 1) with 10 for the digit 0."""
    path = paths[0]
    pixels, labels = _mat(path, "X", "y")
    if pixels.ndim != 4 or pixels.shape[:3] != (32, 32, 3) or pixels.dtype != np.uint8:
        raise DamagedError(path, f"X is {pixels.dtype} {pixels.shape}, not uint8 (32, 32, 3, N)")
    images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(3, 2, 0, 1)))
    labels = labels.reshape(-1)
    return _labelled(facts, path, images, np.where(labels == 10, 0, labels))


def _listed_images(folder: Path, table: Path, names: list[str]) -> tuple[Source, list[str]]:
    """A folder or zip of images, and the paths inside it of the files that a table lists.

    Raises:
        DamagedError: a file is missing.
    """
    source = open_source(folder)
    found = {name.rpartition("/")[2]: name for name in source.names}
    if missing := next((name for name in names if name not in found), None):
        raise DamagedError(table, f"it names '{missing}', which is not among the images")
    return source, [found[name] for name in names]


def celeba(facts: Facts, paths: list[Path], split: str) -> tuple[Source, Listing]:
    """CelebA, aligned and cropped; list_eval_partition.txt says 0 train, 1 validation (left out), 2 test."""
    folder, path = paths
    rows = [line.split() for line in _read(path).decode("ascii", "replace").splitlines() if line.strip()]
    if bad := next((row for row in rows if len(row) != 2 or row[1] not in ("0", "1", "2")), None):
        raise DamagedError(path, f"a line reads '{' '.join(bad)[:60]}'")
    part = "0" if split == "train" else "2"
    source, names = _listed_images(folder, path, [name for name, own in rows if own == part])
    return source, Listing(names, None, ())


def flowers102(facts: Facts, paths: list[Path], split: str) -> tuple[Source, Listing]:
    """Oxford Flowers: setid.mat numbers the images of a split, imagelabels.mat their class.

    The published splits train and valid together are the training split.
    """
    folder, label_path, path = paths
    keys = ("tstid",) if split == "test" else ("trnid", "valid")
    numbers = np.concatenate([ids.reshape(-1) for ids in _mat(path, *keys)]).astype(np.int64)
    classes = _mat(label_path, "labels")[0].reshape(-1).astype(np.int64) - 1
    if numbers.min() < 1 or numbers.max() > len(classes) or classes.min() < 0 or classes.max() >= len(facts.classes):
        raise DamagedError(label_path, "its labels do not fit the numbers of the images")
    source, names = _listed_images(folder, path, [f"image_{number:05d}.jpg" for number in numbers])
    return source, Listing(names, classes[numbers - 1].tolist(), facts.classes)


ARRAYS: Mapping[str, Callable[[Facts, list[Path]], Arrays]] = {
    "idx": idx,
    "stacked": stacked,
    "emnist": emnist,
    "cifar": cifar,
    "usps": usps,
    "stl10": stl10,
    "svhn": svhn,
}
"""Parsers of sets that are arrays, from the paths of a split's files."""
COLLECTIONS: Mapping[str, Callable[[Facts, list[Path], str], tuple[Source, Listing]]] = {
    "celeba": celeba,
    "flowers102": flowers102,
}
"""Parsers of sets that are image files."""
