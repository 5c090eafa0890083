"""The named data sets, from the files of torchvision's layout to arrays. No pickle is ever read.

Each parser checks what its file declares against what is there: shapes, sizes and labels.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from gancli.data import paths
from gancli.data.builtin import parsers
from gancli.data.builtin.names import Facts
from gancli.data.pixels import convert
from gancli.data.types import Prepared, Progress, View
from gancli.errors import GancliError, UsageError


def load(facts: Facts, split: str, view: View, data_dir: Path | None, progress: Progress) -> Prepared:
    """One split of a named data set in the wanted view, downloaded first where it is not on this machine.

    Raises:
        UsageError: a module of ``gancli[datasets]`` is missing, or the data folder cannot be written.
        GancliError: the files are not there and cannot be downloaded, or one that is there is damaged.
    """
    if facts.name == "digits":
        images, labels = _digits(split)
    else:
        need(facts, [module for module in facts.extra if module != "gdown"])
        root = paths.find(facts, split, data_dir)
        if root is None:
            from gancli.data.builtin.download import fetch

            root = fetch(facts, split, data_dir, progress)
        try:
            if facts.layout in parsers.COLLECTIONS:
                return parsers.COLLECTIONS[facts.layout](facts, root, split, _own(facts, view), progress)
            images, labels = parsers.ARRAYS[facts.layout](facts, root, split)
        except parsers.DamagedError as error:
            raise GancliError(
                f"the file '{error.path}' of {facts.name} is damaged: {error}", "delete it to have it downloaded again"
            ) from None
    size, channels = view.size or facts.size, view.channels or facts.channels
    return Prepared(convert(images, size, channels, view.fit, view.background), labels, facts.classes)


def need(facts: Facts, modules: list[str]) -> None:
    """UsageError when one of these modules is not installed, naming the extra that brings it."""
    from importlib.util import find_spec

    for module in modules:
        if find_spec(module) is None:
            raise UsageError(f"{facts.name} needs {module}, which is not installed", "pip install 'gancli[datasets]'")


def _own(facts: Facts, view: View) -> View:
    return View(view.size or facts.size, view.channels or facts.channels, view.fit, view.background)


def _digits(split: str) -> tuple[Tensor, Tensor]:
    """Optical Recognition of Handwritten Digits (E. Alpaydin and C. Kaynak, 1998, UCI, CC BY 4.0).

    1,797 images of 8x8, their values 0..16 scaled to 0..255; every fifth of each class is held out.
    """
    try:
        tensors = load_file(Path(__file__).with_name("digits.safetensors"))
    except (OSError, SafetensorError) as error:
        raise GancliError(f"the embedded digits cannot be read: {error}", "install gancli again") from None
    member = torch.nn.functional.one_hot(tensors["labels"].long())
    held = (member.cumsum(0) * member).sum(1) % 5 == 0
    chosen = held if split == "test" else ~held
    return tensors["images"][chosen].contiguous(), tensors["labels"][chosen].long()
