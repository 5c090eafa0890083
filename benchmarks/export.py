"""Export every model of the zoo to ONNX and torch.export, and write the largest differences into docs/sharing.md:
``uv run python -m benchmarks.export``. It takes minutes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.marks import between
from benchmarks.timing import machine
from gancli import exporting, model
from gancli.zoo import catalogue

PAGE = Path(__file__).parents[1] / "docs/sharing.md"
START, END = "<!-- differences: written by `uv run python -m benchmarks.export` -->\n", "<!-- /differences -->"

COMPARED: tuple[exporting.Format, ...] = ("onnx", "torch")
"""Formats; a page contains the ONNX graph."""

Differences = dict[str, float]
"""The largest difference of a model by format."""


def measure(names: list[str]) -> Iterator[tuple[str, Differences]]:
    """Models by name, one after the other; both networks of a model that translates both ways."""
    for name in names:
        subject = model.load(name, device="cpu")
        for network in list(subject.networks) if subject.takes == "source" else [None]:
            label = f"{name}, {network}" if network and len(subject.networks) > 1 else name
            with TemporaryDirectory(prefix="gancli-export-") as folder:
                yield (
                    label,
                    {
                        to: exporting.export(
                            subject, Path(folder) / f"model{exporting.FORMATS[to]}", to, network
                        ).difference
                        for to in COMPARED
                    },
                )


def table(found: Mapping[str, Differences]) -> str:
    """Markdown: a line for each model."""
    here = machine()
    lines = ["| model | ONNX | torch.export |", "|---|--:|--:|"]
    lines += [f"| `{name}` | {each['onnx']:.1e} | {each['torch']:.1e} |" for name, each in found.items()]
    lines += ["", f"Measured on {here['date']}: {here['cpu']} CPU, PyTorch {here['torch']}.", ""]
    return "\n".join(lines)


def updated(text: str, found: Mapping[str, Differences]) -> str:
    """The page with a fresh table."""
    return between(text, START, table(found), END)


def main() -> None:
    """Measure and write."""
    found = {}
    for name, differences in measure([entry.name for entry in catalogue.entries() if entry.path]):
        found[name] = differences
        print(name, differences, file=sys.stderr, flush=True)
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")


if __name__ == "__main__":
    main()
