"""A page in one file: tables, plots and pictures inside, without scripts and requests. Never imports torch.

Text comes from runs of strangers, and is escaped wherever it is set.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

Point = tuple[float, float]

COLORS = ("#3b6fd4", "#d9662b", "#2c9c69", "#b5408f", "#8a6d1f", "#5b5bd6", "#c23b3b", "#4a8a96")
"""Of lines, on light and on dark ground."""

WIDTH, HEIGHT, LEFT, BOTTOM = 460, 220, 56, 26
"""Of a plot, and the room for its axes."""


def page(title: str, parts: Sequence[str]) -> str:
    """A whole page.

    Args:
        title: plain text.
        parts: HTML.
    """
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>\n{style}</style>\n</head>\n'
        f"<body>\n<main>\n<h1>{escape(title)}</h1>\n{chr(10).join(parts)}\n</main>\n</body>\n</html>\n"
    )


def heading(text: str, note: str = "") -> str:
    """A heading, with a sentence below it."""
    return f"<h2>{escape(text)}</h2>" + (f"\n<p>{escape(note)}</p>" if note else "")


def labelled(label: str, number: int) -> str:
    """A label with the colour of its lines."""
    return f'<span class="dot" style="background:{COLORS[number % len(COLORS)]}"></span>{escape(label)}'


def table(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], best: Sequence[int | None] = ()) -> str:
    """A table.

    Args:
        heads: HTML above the columns after the first.
        rows: plain text: of the first column, and of the others.
        best: of each row, the column that is printed bold.
    """
    bold = [*best, *[None] * (len(rows) - len(best))]
    lines = [f"<tr><td></td>{''.join(f'<th scope=col>{head}</th>' for head in heads)}</tr>"]
    for (name, cells), strong in zip(rows, bold, strict=True):
        cells_there = [(" class=best" if at == strong else "", escape(cell)) for at, cell in enumerate(cells)]
        inside = "".join(f"<td{mark}>{cell}</td>" for mark, cell in cells_there)
        lines.append(f"<tr><td>{escape(name)}</td>{inside}</tr>")
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def picture(png: bytes, caption: str) -> str:
    """A picture inside the page.

    Args:
        png: the bytes of a PNG.
        caption: HTML above it, as of :func:`labelled`.
    """
    data = base64.b64encode(png).decode()
    return f'<figure><figcaption>{caption}</figcaption><img alt="" src="data:image/png;base64,{data}"></figure>'


def grid(figures: Sequence[str]) -> str:
    """Plots or pictures beside each other."""
    return f'<div class="grid">{"".join(figures)}</div>'


def plot(title: str, curves: Sequence[Sequence[Point]], labels: Sequence[str], unit: str) -> str:
    """Curves over a common axis, each with its label for those who point at it.

    Args:
        title: plain text.
        curves: (x, y) points, finite.
        labels: of each curve.
        unit: of x.
    """
    points = [point for curve in curves for point in curve if all(map(math.isfinite, point))]
    if not points:
        return ""
    right, (low, high) = max(x for x, _ in points) or 1.0, _limits([y for _, y in points])
    place = lambda x, y: (  # noqa: E731
        LEFT + (WIDTH - LEFT - 8) * x / right,
        8 + (HEIGHT - BOTTOM - 8) * (high - y) / (high - low),
    )
    lines = []
    for value in (low, (low + high) / 2, high):
        _, y = place(0, value)
        lines.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>')
    for share, anchor in ((0.0, "start"), (1.0, "end")):
        x, _ = place(share * right, low)
        words = _short(share * right) + (f" {unit}" if share else "")
        lines.append(f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{escape(words)}</text>')
    for number, (curve, label) in enumerate(zip(curves, labels, strict=True)):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in curve if math.isfinite(point[1])))
        style = f'fill="none" stroke="{COLORS[number % len(COLORS)]}" stroke-width="1.8" stroke-linejoin="round"'
        lines.append(f'<polyline points="{path}" {style}><title>{escape(label)}</title></polyline>')
    drawn = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(lines)}</svg>'
    return f"<figure><figcaption>{escape(title)}</figcaption>{drawn}</figure>"


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """The range of an axis; outliers of a beginning do not flatten the rest."""
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    usual = ordered[int(0.98 * (len(ordered) - 1))]
    if high - low > 5 * (usual - low) > 0:
        high = usual
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _short(value: float) -> str:
    """A number on an axis."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.3g}{letter}"
    return f"{value:.3g}"
