"""Training curves, as PNG."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli import files
from gancli.errors import GancliError

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

# Okabe and Ito's colours can be told apart by colour-blind readers; the style of the line repeats the difference.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLES = ("-", "--", "-.", ":")
Row = Mapping[str, Any]


def quiet_matplotlib() -> None:
    """Keep Matplotlib from warning that it has no folder for its cache, where the home folder is read-only."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


def save_losses(rows: Sequence[Row], path: Path | str, marks: Sequence[tuple[float, str]] | None = None) -> None:
    """Draw losses, and a discriminator's probabilities or a critic's distance, over images seen.

    Args:
        rows: rows of metrics.jsonl: "images", "loss/*", "probability/*" and "distance/*"; missing and infinite
            values are left out.
        path: ends in .png, .jpg or .webp; the same rows give the same bytes.
        marks: (images seen, label) of events; if not None, the statistics of the sample grids ("diversity", "noise")
            are drawn too.

    Raises:
        GancliError: no row holds a loss.
        UsageError: a path that cannot be written.
    """
    quiet_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    prefixes = {"loss": "loss/", "D output": "probability/", "distance": "distance/"}
    wanted = {label: _names(rows, prefix) for label, prefix in prefixes.items()}
    if not wanted["loss"]:
        raise GancliError("there is no loss to draw", "train for a while first")
    if marks is not None:
        wanted["relative to data"] = [name for name in ("diversity", "noise") if _names(rows, name)]
    wanted = {label: names for label, names in wanted.items() if names}
    figure = Figure(figsize=(9, 2 + 2 * len(wanted)), dpi=100 if marks is None else 80, layout="constrained")
    FigureCanvasAgg(figure)
    ratios = [3, *[2] * (len(wanted) - 1)]
    panels = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
    for panel, (label, names) in zip(panels, wanted.items(), strict=True):
        _curves(panel, rows, names, label)
        if label == "D output":
            panel.axhline(0.5, color="0.6", linewidth=1, zorder=1)
            panel.set_ylim(-0.02, 1.02)
    for images, label in marks or ():
        for panel in panels:
            panel.axvline(images / 1000, color="#D55E00", linewidth=1, linestyle=":", zorder=1)
        top = panels[0].get_xaxis_transform()
        panels[0].text(images / 1000, 0.98, f" {label}", transform=top, va="top", rotation=90, fontsize=8)
    panels[-1].set_xlabel("images seen (thousands)")
    with files.atomic(Path(path)) as temporary:
        metadata = {"Software": None, "Comment": files.DRAWN.decode()}
        figure.savefig(temporary, format=Path(path).suffix.lower().lstrip("."), metadata=metadata)


def _names(rows: Sequence[Row], prefix: str) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row if name.startswith(prefix)))


def _is_number(value: Any) -> bool:
    """Whether an axis can show it."""
    return isinstance(value, int | float) and abs(value) < 1e30


def _curves(panel: Axes, rows: Sequence[Row], names: Sequence[str], label: str) -> None:
    for name, colour, style in zip(names, cycle(_COLOURS), cycle(_STYLES), strict=False):
        known = [row for row in rows if _is_number(row.get("images")) and _is_number(row.get(name))]
        images, values = [row["images"] / 1000 for row in known], [row[name] for row in known]
        if smooth := len(values) >= 80:
            panel.plot(images, values, color=colour, linewidth=0.7, alpha=0.3)
        panel.plot(
            images,
            _running_mean(values, len(values) // 80) if smooth else values,
            color=colour,
            linestyle=style,
            linewidth=1.6,
            # A line through one point has no length.
            marker="o" if len(values) < 3 else None,
            label=name.rpartition("/")[2],
        )
    panel.set_ylabel(label)
    panel.grid(color="0.9", linewidth=0.8)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, frameon=False, borderaxespad=0.2, handlelength=3)
    panel.margins(x=0.02)


def _running_mean(values: Sequence[float], reach: int) -> np.ndarray:
    """The mean of each value and the ``reach`` values before and after it, as far as there are any."""
    import numpy as np

    window = np.ones(2 * reach + 1)
    return np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")
