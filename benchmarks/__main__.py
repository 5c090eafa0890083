"""Measure everything, or the sections named, and write docs/performance.md and docs/reliability.md with their figures.

    python -m benchmarks
    python -m benchmarks startup sampling
    python -m benchmarks --render

Each section is a module with ``TITLE``, ``measure(quick) -> dict`` and ``markdown(found) -> str``. A section keeps its
old figures, with their machine and date, until it is measured again. One that takes hours is
``measure(quick, before) -> Iterator[dict]``: it goes on from its stored figures, and they are stored after every part.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from benchmarks.timing import machine

DOCS = Path(__file__).parents[1] / "docs"
PERFORMANCE = """# Performance

Written by `uv run python -m benchmarks`; `uv run python -m benchmarks SECTION` measures one section again. Timings are
noisy, so two programs that are compared run in turn within one measurement, and a ratio is the median of at least five.
Seconds are those of the machine named below each section.
"""
RELIABILITY = """# Reliability

Written by `uv run python -m benchmarks`; `uv run python -m benchmarks SECTION` repeats one section's trials. Every
trial has a time limit. The tests run a few of each.
"""
PAGES = {
    "performance": (
        PERFORMANCE,
        ("quality", "colour", "throughput", "limit", "startup", "sampling", "page", "growth", "gpu", "estimate"),
    ),
    "reliability": (RELIABILITY, ("faults", "hostile", "processes")),
}
"""Pages of docs/: introduction and sections."""
SECTIONS = tuple(name for _, names in PAGES.values() for name in names)


def page(introduction: str, names: Sequence[str], found: dict[str, Any]) -> str:
    """A page of docs/."""
    parts = [introduction]
    for name in names:
        if name in found:
            section: Any = import_module(f"benchmarks.{name}")
            told = section.markdown(found[name]["found"]).strip()
            parts.append(f"## {section.TITLE}\n\n{told}\n\n{_by(name, found)}")
    return "\n".join(parts)


def _by(name: str, found: dict[str, Any]) -> str:
    there = found[name]["machine"]
    chip = there["gpu"] or f"{there['cores']} cores of an {there['cpu']} CPU, {there['threads']} threads"
    return (
        f"Measured by `uv run python -m benchmarks {name}` on {there['date']}: {chip}, PyTorch {there['torch']}, "
        f"Python {there['python']}, in {found[name]['minutes']:.0f} minutes.\n"
    )


BY_HAND = "\n## Reported by users"
"""Where the part of a page begins that is written by hand."""


def main() -> None:
    """Measure, save, render."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; all if none")
    parser.add_argument("--quick", action="store_true", help="the smallest sizes: whether it runs, not how fast")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of the pages and their figures")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the page from the figures")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.sections) - set(SECTIONS)):
        parser.error(f"no section is called '{unknown[0]}'; there are {', '.join(SECTIONS)}")
    for stem, (introduction, names) in PAGES.items():
        figures = asked.out / f"{stem}.json"
        found = json.loads(figures.read_text(encoding="utf-8")) if figures.exists() else {}
        for name in () if asked.render else [name for name in asked.sections or SECTIONS if name in names]:
            print(f"{name} …", file=sys.stderr, flush=True)
            section: Any = import_module(f"benchmarks.{name}")
            start = time.perf_counter()
            if "before" in signature(section.measure).parameters:
                parts = section.measure(asked.quick, found.get(name, {}).get("found"))
            else:
                parts = [section.measure(asked.quick)]
            for measured in parts:
                # A section that is measured in several calls returns its total time itself.
                minutes = measured.pop("minutes", (time.perf_counter() - start) / 60)
                found[name] = {"machine": machine(), "minutes": round(minutes, 2), "found": measured}
                figures.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        if found:
            path = asked.out / f"{stem}.md"
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            _, title, rest = text.partition(BY_HAND)
            path.write_text(page(introduction, names, found) + title + rest, encoding="utf-8")


if __name__ == "__main__":
    main()
