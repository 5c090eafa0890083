"""Keep of complete trainings what a health monitor reads: ``python tests/training/thin.py RUN...`` from a checkout.

Each run becomes ``tests/training/metrics/MODEL-DATA-SEED.jsonl`` with one row for each preview.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gancli import recipe
from gancli.runs.health import DIVERGED, KEY, means, of_training, replay
from gancli.runs.metrics_log import read_metrics

DROPPED = ("images_per_second", "seconds")


def fold(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row for each preview with the means of the rows before it: all that a health monitor reads, and no more."""
    folded, waiting, last = [], [], 0
    for row in of_training(rows):
        waiting.append((max(1, row["round"] - last), row))
        last = row["round"]
        if KEY in row or DIVERGED in row:
            folded.append({**row, **{k: round(v, 5) for k, v in means(waiting).items()}, "round": row["round"]})
            waiting = []
    return folded


def thin(run: Path) -> Path:
    """Write what is kept of one run."""
    made = recipe.read(run / "recipe.toml")
    rows = [{k: v for k, v in row.items() if k not in DROPPED} for row in fold(read_metrics(run / "metrics.jsonl"))]
    data = Path(made["data"]["name"]).stem.replace("-", "_")
    path = Path(__file__).parent / "metrics" / f"{made['model']}-{data}-{made['training'].get('seed', 0)}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


if __name__ == "__main__":
    for given in sys.argv[1:]:
        written = thin(Path(given))
        rows = read_metrics(written)
        found = [(finding.name, finding.since) for finding in replay(rows).found]
        print(
            f"{written}: {len(rows)} previews, {rows[-1]['round']:,} rounds, {written.stat().st_size:,} bytes, {found}"
        )
