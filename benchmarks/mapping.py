"""What a mapping network is for, in figures: how even walks in z and in w are, and what truncation trades. Written into
docs/editing.md: ``uv run python -m benchmarks.mapping``. It takes minutes, and needs MNIST."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.marks import between
from benchmarks.timing import machine
from gancli.evaluation.evaluate import evaluate
from gancli.evaluation.extractors import usual
from gancli.evaluation.features import prepare
from gancli.latents import Space
from gancli.latents.paths import way
from gancli.model import Model, load

NAME = "stylegan2-small/mnist"
PAGE = Path(__file__).parents[1] / "docs/editing.md"
START, END = "<!-- mapping: written by `uv run python -m benchmarks.mapping` -->\n", "<!-- /mapping -->"

PAIRS, STEP = 4_000, 1e-2
"""Pairs of seeds, and the length of a step on the way from one to the other, which is 1 long. The step is a hundred
times the paper's: in float32, differences of a smaller one are rounding."""

IMAGES = 5_000
PSI = (None, 0.7, 0.5)


@dataclass(frozen=True)
class Length:
    """The mean squared change of features over a step, by the squared step, and half of its 95 % interval."""

    mean: float
    error: float


@torch.inference_mode()
def path_length(model: Model, space: Space, pairs: int = PAIRS, step: float = STEP) -> Length:
    """Perceptual path length (Karras et al. 2019, "A style-based generator architecture", section 4.1, equations 2 and
    3), with the features of gancli's extractors for those of VGG.

    Both ends of a pair have the class of the first.

    Args:
        model: of images.
        space: "z", on the great circle, or "w", straight.
        pairs: seeds 0, 2, 4, … to 1, 3, 5, …
        step: from a uniformly drawn point between the two.
    """
    inputs = model.latent.from_seeds(range(2 * pairs))
    if "y" in inputs:
        inputs["y"] = inputs["y"][::2].repeat_interleave(2)
    points = model.points(inputs, space)
    t = torch.rand(pairs, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    extractor = usual(model.data_name or "")
    network, _ = extractor.load()

    def features(at: Tensor, rows: slice) -> Tensor:
        ends = points[space].double()[2 * rows.start : 2 * rows.stop]
        times = at[rows].view(-1, *[1] * (ends.dim() - 1))
        point = {space: way(model.latent, space)(ends[::2], ends[1::2], times).float()}
        if "y" in points:
            point["y"] = points["y"][2 * rows.start : 2 * rows.stop : 2]
        low, high = model.range
        return network(prepare((model.render(point).float() - low) * (255 / (high - low)), extractor))[0]

    parts = [slice(start, min(start + 100, pairs)) for start in range(0, pairs, 100)]
    moved = torch.cat([(features(t + step, part) - features(t, part)).square().sum(1) for part in parts]) / step**2
    return Length(moved.mean().item(), 1.96 * moved.std().item() / pairs**0.5)


def measure(name: str = NAME, pairs: int = PAIRS, images: int = IMAGES) -> dict[str, Any]:
    """Lengths by space; precision and recall by psi, None for no truncation."""
    model = load(name, device="cpu")
    spaces: tuple[Space, ...] = ("z", "w")
    lengths = {space: path_length(model, space, pairs) for space in spaces}
    traded = {}
    for psi in PSI:
        model.truncate(psi)
        report = evaluate(model, metrics=["precision", "recall"], images=images)
        traded[psi] = {result.figure.name: result.value for result in report.results}
    return {"lengths": lengths, "traded": traded}


def section(found: Mapping[str, Any], pairs: int = PAIRS, images: int = IMAGES) -> str:
    """Markdown."""
    z, w = found["lengths"]["z"], found["lengths"]["w"]
    here = machine()
    lines = [
        f"Over {pairs:,} pairs of seeds of `{NAME}`, the perceptual path length (Karras et al. 2019, section 4.1,",
        f"with the features of the classifier of MNIST) is {w.mean:.3g} ± {w.error:.2g} in w and {z.mean:.3g} ± "
        f"{z.error:.2g} in z, a ratio of {w.mean / z.mean:.2f}",
        f"(95 % intervals of the means; both ends of a pair have one class; steps of {STEP:g}).",
        "",
        "| truncation psi | precision | recall |",
        "|---|--:|--:|",
        *(
            f"| {'none' if psi is None else psi} | {each['precision']:.3f} | {each['recall']:.3f} |"
            for psi, each in found["traded"].items()
        ),
        "",
        f"{images:,} samples against as many held-out images. Measured on {here['date']}: {here['cpu']} CPU, "
        f"PyTorch {here['torch']}.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and write."""
    text = between(PAGE.read_text(encoding="utf-8"), START, section(measure()), END)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
