"""Facts about the named data sets, without opening them. Imports no torch, so that lists and help are instant."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from gancli.data.builtin import classes
from gancli.errors import UsageError

T = TypeVar("T")

SPLITS = ("train", "test")
TRAIN = ("train", "training")
"""Names of folders and shards of the training split."""
TEST = ("test", "testing", "val", "valid", "validation", "dev")
"""Names of those of the held-out split; where there are several, the first of this list is used."""
LARGEST_SIDE = 4096


@dataclass(frozen=True)
class Facts:
    """A named data set as it comes.

    Args:
        name: what the user types.
        size: (height, width) of the images, after the default resize where the originals vary.
        channels: 1 grey, 3 colour.
        classes: names of the classes in the order of the labels; empty when unlabelled.
        images: number of images of each split.
        layout: the file format, a key of :data:`gancli.data.builtin.parsers.ARRAYS` or ``COLLECTIONS``.
        files: the files a split needs, relative to the data folder, in torchvision's layout.
        extra: the modules beyond the core that reading or downloading takes, all in ``gancli[datasets]``.
        licence: the terms of the data, as its makers state them.
        model: the zoo's model that learns it unless another is named; empty for that of its size and channels.
    """

    name: str
    size: tuple[int, int]
    channels: int
    classes: tuple[str, ...]
    images: Mapping[str, int]
    layout: str
    files: Mapping[str, tuple[str, ...]]
    extra: tuple[str, ...] = ()
    licence: str = ""
    model: str = ""

    @property
    def formula(self) -> bool:
        """Whether it is numbers drawn by a formula for every batch, and not images."""
        return self.layout == "formula"


def parse_size(text: str) -> tuple[int, int]:
    """``"28"`` is (28, 28); ``"28x32"`` is height 28, width 32."""
    match = re.fullmatch(r"\s*(\d{1,6})\s*(?:[x×X]\s*(\d{1,6})\s*)?", text, re.ASCII)
    size = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not all(1 <= side <= LARGEST_SIDE for side in size):
        raise UsageError(
            f"'{text}' is not an image size",
            f"give one side, as in 32, or height x width, as in 32x48; each from 1 to {LARGEST_SIDE}",
        )
    return size


def _splits(train: T, test: T) -> dict[str, T]:
    return {"train": train, "test": test}


def _idx(folder: str, start: str, labels: str = "labels-idx1-ubyte") -> tuple[str, ...]:
    return tuple(f"{folder}/raw/{start}-{end}" for end in ("images-idx3-ubyte", labels))


def _mnist_like(name: str, folder: str, labels: tuple[str, ...], licence: str) -> Facts:
    files = _splits(_idx(folder, "train"), _idx(folder, "t10k"))
    return Facts(name, (28, 28), 1, labels, _splits(60_000, 10_000), "idx", files, (), licence)


def _emnist(name: str, part: str, labels: tuple[str, ...], train: int, test: int) -> Facts:
    files = {split: _idx("EMNIST", f"emnist-{part}-{split}") for split in SPLITS}
    return Facts(name, (28, 28), 1, labels, _splits(train, test), "emnist", files)


def _formula(name: str, width: int, model: str) -> Facts:
    """A formula of ``width`` numbers a sample; the counts are those of its fixed examples."""
    counts = dict.fromkeys(SPLITS, 10_000)
    return Facts(name, (1, width), 1, (), counts, "formula", {}, model=model)


_FACTS = (
    # The UCI optical recognition of handwritten digits, embedded; every fifth image of each class is held out.
    Facts("digits", (8, 8), 1, classes.DIGITS, _splits(1_442, 355), "digits", {}, (), "CC BY 4.0"),
    _mnist_like("mnist", "MNIST", classes.DIGITS, "CC BY-SA 3.0"),
    # Three digits of MNIST at random, one in each colour: a thousand modes that can be counted.
    replace(_mnist_like("stacked-mnist", "MNIST", classes.TRIPLES, "CC BY-SA 3.0"), channels=3, layout="stacked"),
    _mnist_like("fashion-mnist", "FashionMNIST", classes.FASHION, "MIT"),
    _mnist_like("kmnist", "KMNIST", classes.KMNIST, "CC BY-SA 4.0"),
    _emnist("emnist", "balanced", classes.EMNIST_MERGED, 112_800, 18_800),
    _emnist("emnist/balanced", "balanced", classes.EMNIST_MERGED, 112_800, 18_800),
    _emnist("emnist/byclass", "byclass", classes.EMNIST_ALL, 697_932, 116_323),
    _emnist("emnist/bymerge", "bymerge", classes.EMNIST_MERGED, 697_932, 116_323),
    _emnist("emnist/letters", "letters", classes.EMNIST_LETTERS, 124_800, 20_800),
    _emnist("emnist/digits", "digits", classes.DIGITS, 240_000, 40_000),
    _emnist("emnist/mnist", "mnist", classes.DIGITS, 60_000, 10_000),
    Facts(
        "qmnist",
        (28, 28),
        1,
        classes.DIGITS,
        _splits(60_000, 60_000),
        "idx",
        {split: _idx("QMNIST", f"qmnist-{split}", "labels-idx2-int") for split in SPLITS},
        (),
        "BSD 3-clause",
    ),
    Facts(
        "usps",
        (16, 16),
        1,
        classes.DIGITS,
        _splits(7_291, 2_007),
        "usps",
        _splits(("usps.bz2",), ("usps.t.bz2",)),
    ),
    Facts(
        "cifar10",
        (32, 32),
        3,
        classes.CIFAR10,
        _splits(50_000, 10_000),
        "cifar",
        _splits(
            tuple(f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)),
            ("cifar-10-batches-bin/test_batch.bin",),
        ),
    ),
    Facts(
        "cifar100",
        (32, 32),
        3,
        classes.CIFAR100,
        _splits(50_000, 10_000),
        "cifar",
        {split: (f"cifar-100-binary/{split}.bin",) for split in SPLITS},
    ),
    Facts(
        "svhn",
        (32, 32),
        3,
        classes.DIGITS,
        _splits(73_257, 26_032),
        "svhn",
        {split: (f"{split}_32x32.mat",) for split in SPLITS},
        ("scipy",),
        "non-commercial use",
    ),
    Facts(
        "stl10",
        (96, 96),
        3,
        classes.STL10,
        _splits(5_000, 8_000),
        "stl10",
        {split: (f"stl10_binary/{split}_X.bin", f"stl10_binary/{split}_y.bin") for split in SPLITS},
    ),
    Facts(
        "celeba",
        (64, 64),
        3,
        (),
        _splits(162_770, 19_962),
        "celeba",
        dict.fromkeys(SPLITS, ("celeba/img_align_celeba", "celeba/list_eval_partition.txt")),
        ("gdown",),
        "non-commercial research",
    ),
    Facts(
        "flowers102",
        (64, 64),
        3,
        classes.FLOWERS102,
        _splits(2_040, 6_149),
        "flowers102",
        dict.fromkeys(SPLITS, ("flowers-102/jpg", "flowers-102/imagelabels.mat", "flowers-102/setid.mat")),
        ("scipy",),
    ),
    _formula("sine", 15, "sine-gan"),
    _formula("ring", 2, "points-gan"),
    _formula("grid", 2, "points-gan"),
    _formula("swissroll", 2, "points-gan"),
)

DATASETS: Mapping[str, Facts] = MappingProxyType({facts.name: facts for facts in _FACTS})


def check_installed(facts: Facts, modules: Iterable[str]) -> None:
    """Make sure that modules beyond the core are installed.

    Raises:
        UsageError: one is not, naming the extra that brings it.
    """
    from importlib.util import find_spec

    for module in modules:
        if find_spec(module) is None:
            raise UsageError(f"{facts.name} needs {module}, which is not installed", "pip install 'gancli[datasets]'")
