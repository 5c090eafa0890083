"""Pairs of files: images of another program are compared with true images, by the names of the files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from math import log10
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from gancli.data.folder import layout
from gancli.data.folder.files import Source, open_source
from gancli.data.pairs.sources import check_partners, titles_of
from gancli.data.pixels import BadImageError, decode, parse_colour, parse_fit, probe
from gancli.errors import UsageError
from gancli.evaluation.evaluators.checks import IMAGES, Options, check_count
from gancli.evaluation.evaluators.pairs import NAMES
from gancli.evaluation.protocol import Protocol
from gancli.evaluation.reference import positions
from gancli.evaluation.report import Report, Result
from gancli.evaluation.subjects import Subject
from gancli.metrics.images import HIGHEST_PSNR, METHOD, check_ssim, compare


def evaluate(subject: Subject, data: str, options: Options) -> Report:
    """Compare a folder or zip of results with the true images in another, each with the one of its name.

    Images are not resized, and pairs may differ in size: they are read one after the other.

    Args:
        subject: read from files.
        data: folder or zip of the true images, named alike up to the ending.
        options: ``metrics`` are those of :data:`gancli.metrics.images.FIGURES`; ``images`` is how many pairs, None for
            all, at most 10,000.

    Raises:
        UsageError: no files, a file without a partner, partners of different sizes, an image that cannot be read or is
            too small for SSIM.
    """
    path, metrics = Path(data).expanduser(), options.metrics
    if subject.files is None or not path.exists():
        raise UsageError(f"{metrics[0]} is of files of the same names, and '{data}' has none", "name a folder or a zip")
    check_count(options.images)
    folders = [open_source(subject.files), open_source(path)]
    made_files, true_files = (titles_of(str(folder), "train") for folder in (subject.files, path))
    check_partners((subject.name, layout.title(path)), [made_files, true_files], "give both the same file names")
    titles = list(true_files)
    chosen = positions(len(titles), options.images or IMAGES).tolist()
    rows: list[dict[str, float]] = []
    digest, error, values = hashlib.sha256(), 0.0, 0
    for done, title in enumerate((titles[number] for number in chosen), 1):
        made, true = _pair(folders, (made_files[title], true_files[title]), title)
        digest.update(str(tuple(true.shape)).encode() + true.numpy().tobytes())
        error += float((true.double() - made.double()).square().sum())
        values += true.numel()
        rows.append(compare(true, made))
        if "ssim" in metrics:
            check_ssim(true.shape, f"'{title}': ")
        options.progress("pairs", done, len(chosen))
    overall = min(HIGHEST_PSNR, 10 * log10(255**2 * values / error)) if error else HIGHEST_PSNR
    protocol = Protocol(
        method=METHOD,
        data=layout.title(path),
        data_fingerprint=digest.hexdigest()[:16],
        split="all",
        source="files of the same names",
        baseline="",
        real_images=len(chosen),
        generated_images=len(chosen),
    )
    figures = {name: fmean(row[name] for row in rows) for name in metrics} | {"psnr_all": overall}
    results = tuple(Result(NAMES[name], figures[name]) for name in dict.fromkeys(metrics))
    return Report(subject.name, protocol, results)


def _pair(folders: Sequence[Source], files: Sequence[str], title: str) -> tuple[Tensor, Tensor]:
    """Result and true image as they are: uint8 (1, C, H, W), in colour where one of them is."""
    heads = [_read(folder, file, probe) for folder, file in zip(folders, files, strict=True)]
    sizes = [f"{size[0]}x{size[1]}" for size, _, _ in heads]
    if sizes[0] != sizes[1]:
        raise UsageError(
            f"the result of '{title}' is {sizes[0]}, and its true image {sizes[1]}", "make both of the same size"
        )
    channels = 1 if all(grey for _, grey, _ in heads) else 3
    how = {"size": heads[0][0], "channels": channels, "fit": parse_fit("crop"), "background": parse_colour("white")}
    made, true = (_read(folder, file, partial(decode, **how)) for folder, file in zip(folders, files, strict=True))
    return torch.from_numpy(made.copy())[None], torch.from_numpy(true.copy())[None]


def _read(folder: Source, file: str, how: Any) -> Any:
    try:
        with folder.open(file) as opened:
            return how(opened)
    except BadImageError as error:
        raise UsageError(f"'{file}' of '{folder.path}' cannot be read: {error}", "leave out the pair") from None
