"""Sampling: images a second written as PNG, peak memory, and the time of a FID of 10,000 images."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from benchmarks import timing
from gancli import model
from gancli.rendering.images import file_name, save_images

TITLE = "Sampling and evaluation"
NAME = "dcgan/mnist"
RUNS = 5
COUNTS = (1_000, 100_000)
PLACES = {"a folder": "images", "a .zip": "images.zip"}
SIDES = {"28x28 grey": (28, 1, 4096), "128x128 RGB": (128, 3, 512)}
"""What is written: side, channels, how many."""

MOST = 1.2
"""Gate: times the memory for 1,000 images that 100,000 may take."""

COMMAND = """
import json, sys
from pathlib import Path
from gancli.cli import main
try:
    main(sys.argv[1:])
except SystemExit as leaving:
    assert not leaving.code, leaving.code
status = Path("/proc/self/status")
lines = status.read_text().splitlines() if status.exists() else []
peak = [1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
print(json.dumps(peak[0] if peak else None))
"""
"""A command, and its most resident memory: ``ru_maxrss`` would count the memory of the process that it came from."""


def measure(quick: bool) -> dict[str, Any]:
    """The three measurements.

    Args:
        quick: few images, once, into a folder, and no FID, which takes the data set.
    """
    counts = (16, 64) if quick else COUNTS
    return {
        "writing": {name: _writing(*size, quick=quick) for name, size in SIDES.items()},
        "sampling": {
            name: {str(count): _command("sample", NAME, "-n", count, "--out", place) for count in counts}
            for name, place in list(PLACES.items())[: 1 if quick else None]
        },
        "latents": _latents(100 if quick else 10_000, quick),
        "fid": None if quick else _fid(),
    }


def _writing(side: int, channels: int, count: int, *, quick: bool) -> dict[str, Any]:
    """Seconds to write ready images into a folder: as gancli does, and with Pillow, one by one."""
    count = 32 if quick else count
    made = model.load(NAME, device="cpu").sample(range(min(count, 256))).float()
    grown = torch.nn.functional.interpolate(made, side, mode="bicubic").round().clamp(0, 255).byte()
    images = grown.repeat(-(-count // len(grown)), channels, 1, 1)[:count]
    with TemporaryDirectory(prefix="gancli-sampling-") as folder:
        works: dict[str, Callable[[], object]] = {
            "gancli": lambda: save_images(images.split(256), range(count), Path(folder) / "ours"),
            "pillow": lambda: _one_by_one(images, Path(folder) / "plain"),
        }
        return {"images": count, "seconds": timing.interleaved(works, 1 if quick else RUNS, 0 if quick else 1)}


def _one_by_one(images: Tensor, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for number, image in enumerate(images.permute(0, 2, 3, 1).numpy()):
        Image.fromarray(image.squeeze()).save(folder / file_name(number))


def _latents(count: int, quick: bool) -> dict[str, Any]:
    """Seconds to draw the latents of so many seeds."""
    latent = model.load(NAME, device="cpu").latent
    taken = timing.interleaved({"drawn": lambda: latent.from_seeds(range(count))}, 1 if quick else RUNS)
    return {"seeds": count, "seconds": taken["drawn"]}


def _command(*arguments: object) -> dict[str, Any]:
    """A command in a process and a folder of its own: seconds, and bytes of memory where the system tells them."""
    with TemporaryDirectory(prefix="gancli-sampling-") as folder, chdir(folder):
        process = timing.run(COMMAND, *map(str, arguments))
    return {"seconds": process.seconds, "peak": json.loads(process.out.splitlines()[-1])}


def _fid() -> list[dict[str, Any]]:
    """A FID of 10,000 images, after one that read the real images and kept their features."""
    evaluate = ("evaluate", NAME, "--metrics", "fid", "-n", 10_000)
    return [_command(*evaluate) for _ in range(1 + RUNS)][1:]


def markdown(found: dict[str, Any]) -> str:
    """Images a second and memory, then the FID."""
    lines = [
        "Writing images in memory to a folder, one PNG each; the reference is Pillow's `save`, one after the other, at",
        f"its default compression level. Medians of {_runs(found)}, in turn.",
        "",
        "| images | gancli, images/s | Pillow, images/s | ratio |",
        "|---|---:|---:|---:|",
    ]
    for name, one in found["writing"].items():
        rates = [f"{one['images'] / median(one['seconds'][who]):,.0f}" for who in ("gancli", "pillow")]
        lines.append(f"| {name} | {' | '.join(rates)} | {timing.ratio(one['seconds'], 'pillow', 'gancli'):.2f} |")
    lines += [
        "",
        f"The whole of `gancli sample {NAME} -n N --out PATH`, once each: start, latents, generator, PNGs. The target",
        f"is at most {MOST:g} times the memory of the smaller number of images.",
        "",
        "| into | N | images/s | peak memory, MiB | relative to the smaller N |",
        "|---|---:|---:|---:|---:|",
    ]
    for place, by_count in found["sampling"].items():
        least = next(iter(by_count.values()))["peak"]
        for count, one in by_count.items():
            peak = f"{one['peak'] / 2**20:,.0f} | {one['peak'] / least:.2f}" if one["peak"] else "- | -"
            lines.append(f"| {place} | {int(count):,} | {int(count) / one['seconds']:,.0f} | {peak} |")
    latents, fid = found["latents"], found["fid"]
    lines += ["", f"The latents of {latents['seeds']:,} seeds take {1000 * median(latents['seconds']):,.0f} ms."]
    seconds = f"{median(one['seconds'] for one in fid):.1f} s" if fid else "-"
    lines[-1] += f" `gancli evaluate {NAME} --metrics fid -n 10000`, with the real side cached: {seconds}."
    return "\n".join(lines)


def _runs(found: dict[str, Any]) -> int:
    return len(next(iter(found["writing"].values()))["seconds"]["gancli"])
