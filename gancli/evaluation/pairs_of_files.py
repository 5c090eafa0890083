"""Judging pairs of images that another program made: its results beside the true images, by the names of the files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from math import log10
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, BinaryIO

import torch
from torch import Tensor

import gancli
from gancli.data.folder import layout
from gancli.data.folder.files import open_source
from gancli.data.pairs.sources import check_partners, titles_of
from gancli.data.pixels import BadImageError, decode, parse_colour, parse_fit, probe
from gancli.errors import UsageError
from gancli.evaluation.pairs import IMAGES, METHOD, PairReport, Protocol, Result
from gancli.evaluation.reconstruction import HIGHEST, psnr, ssim
from gancli.evaluation.reference import positions

if TYPE_CHECKING:
    from gancli.data.folder.files import Source
    from gancli.evaluation.features import Progress
    from gancli.evaluation.subjects import Pictures


def evaluate(
    results: Pictures, data: str, images: int | None, metrics: Sequence[str], *, progress: Progress | None = None
) -> PairReport:
    """Judge a folder or zip of results by the true images in another, each by the one of its name.

    Images are taken as they are: not resized, whatever their size.

    Args:
        results: what was made.
        data: folder or zip of the true images, named alike up to the ending.
        images: how many pairs; None for all, at most 10,000.
        metrics: names of :data:`gancli.evaluation.pairs.TITLES`.
        progress: called with what is being done, how much of it is done, and of how much.

    Raises:
        UsageError: no files, a file without a partner, partners of different sizes, an image that cannot be read or is
            too small for SSIM.
    """
    place, report = Path(data).expanduser(), progress or (lambda what, done, total: None)
    if results.place is None or not place.exists():
        raise UsageError(f"{metrics[0]} is of files of the same names, and '{data}' has none", "name a folder or a zip")
    if images is not None and images < 1:
        raise UsageError(f"cannot judge by {images} images", "one at least is needed")
    sources = open_source(results.place), open_source(place)
    names = [titles_of(str(where), "train") for where in (results.place, place)]
    check_partners((results.name, layout.title(place)), names, "give both the same file names")
    titles = list(names[1])
    chosen = positions(len(titles), images or IMAGES).tolist()
    each: dict[str, list[float]] = {name: [] for name in metrics}
    digest, error, values = hashlib.sha256(), 0.0, 0
    for done, number in enumerate(chosen, 1):
        made, true = _pair(sources, (names[0][titles[number]], names[1][titles[number]]), titles[number])
        digest.update(str(tuple(true.shape)).encode() + true.numpy().tobytes())
        error += float((true.double() - made.double()).square().sum())
        values += true.numel()
        if "psnr" in each:
            each["psnr"].append(float(psnr(true, made)))
        if "ssim" in each:
            each["ssim"].append(_ssim(true, made, titles[number]))
        report("pairs", done, len(chosen))
    together = min(HIGHEST, 10 * log10(255**2 * values / error)) if error else HIGHEST
    protocol = Protocol(
        method=METHOD,
        data=layout.title(place),
        data_fingerprint=digest.hexdigest()[:16],
        split="all",
        source="files of the same names",
        baseline="",
        real_images=len(chosen),
        generated_images=len(chosen),
        ema=None,
        gancli=gancli.__version__,
    )
    figures = {name: together if name == "psnr_all" else fmean(found) for name, found in each.items()}
    return PairReport(results.name, protocol, tuple(Result(name, value, None) for name, value in figures.items()))


def _pair(sources: Sequence[Source], files: Sequence[str], title: str) -> tuple[Tensor, Tensor]:
    """Result and true image as they are: uint8 (1, C, H, W), in colour where one of them is."""
    heads = [_read(source, file, probe) for source, file in zip(sources, files, strict=True)]
    sizes = [f"{size[0]}x{size[1]}" for size, _, _ in heads]
    if sizes[0] != sizes[1]:
        raise UsageError(
            f"the result of '{title}' is {sizes[0]}, and its true image {sizes[1]}", "make both of the same size"
        )
    channels = 1 if all(grey for _, grey, _ in heads) else 3
    how = {"size": heads[0][0], "channels": channels, "fit": parse_fit("crop"), "background": parse_colour("white")}
    made, true = (_read(source, file, partial(decode, **how)) for source, file in zip(sources, files, strict=True))
    return torch.from_numpy(made.copy())[None], torch.from_numpy(true.copy())[None]


def _read(source: Source, file: str, how: Callable[[BinaryIO], Any]) -> Any:
    try:
        with source.open(file) as opened:
            return how(opened)
    except BadImageError as error:
        raise UsageError(f"'{file}' of '{source.path}' cannot be read: {error}", "leave out the pair") from None


def _ssim(true: Tensor, made: Tensor, title: str) -> float:
    try:
        return float(ssim(true, made))
    except UsageError as error:
        raise UsageError(f"'{title}': {error.message}", error.hint) from None
