"""The named data sets, from files in torchvision's layout to arrays. No pickle is ever read."""

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from gancli.data import paths
from gancli.data.builtin import parsers
from gancli.data.builtin.names import Facts, check_installed
from gancli.data.folder.decoding import prepare
from gancli.data.pixels import convert
from gancli.data.types import ImageSet, Progress, View
from gancli.errors import GancliError


def load(facts: Facts, split: str, view: View, data_dir: Path | None, progress: Progress) -> ImageSet:
    """One split of a named data set, downloaded first if it is not on this machine.

    Raises:
        UsageError: a module of ``gancli[datasets]`` is missing, or the data folder cannot be written.
        GancliError: the files are missing and cannot be downloaded, or one of them is damaged.
    """
    size, channels = view.size or facts.size, view.channels or facts.channels
    if facts.name == "digits":
        images, labels = _digits(split)
    else:
        check_installed(facts, [module for module in facts.extra if module != "gdown"])
        root = paths.find(facts, split, data_dir)
        if root is None:
            from gancli.data.builtin.download import fetch

            root = fetch(facts, split, data_dir, progress)
        try:
            files = [paths.stored(root, file) or root / file for file in facts.files[split]]
            if facts.layout in parsers.COLLECTIONS:
                source, listing = parsers.COLLECTIONS[facts.layout](facts, files, split)
                return prepare(source, listing, replace(view, size=size, channels=channels), progress)
            images, labels = parsers.ARRAYS[facts.layout](facts, files)
        except parsers.DamagedError as error:
            raise GancliError(
                f"the file '{error.path}' of {facts.name} is damaged: {error}", "delete it to have it downloaded again"
            ) from None
    return ImageSet(convert(images, size, channels, view.fit, view.background), labels, facts.classes)


def _digits(split: str) -> tuple[Tensor, Tensor]:
    """Optical Recognition of Handwritten Digits (E. Alpaydin and C. Kaynak, 1998, UCI, CC BY 4.0).

    1,797 images of 8x8, their values 0..16 scaled to 0..255; every fifth of each class is held out.
    """
    tensors = load_file(Path(__file__).with_name("digits.safetensors"))
    member = torch.nn.functional.one_hot(tensors["labels"].long())
    held_out = (member.cumsum(0) * member).sum(1) % 5 == 0
    chosen = held_out if split == "test" else ~held_out
    return tensors["images"][chosen].contiguous(), tensors["labels"][chosen].long()
