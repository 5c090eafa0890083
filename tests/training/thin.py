"""Keep of complete trainings what the watch reads: ``python tests/training/thin.py RUN...`` from a checkout.

Each run becomes ``tests/training/metrics/MODEL-DATA-SEED.jsonl`` with one line for each look, a few tens of kilobytes.
"""

import json
import sys
from pathlib import Path

from gancli import recipe
from gancli.runs.health import fold, replay
from gancli.runs.metrics_log import read_metrics

DROPPED = ("images_per_second", "seconds")


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
        print(f"{written}: {len(rows)} looks, {rows[-1]['round']:,} rounds, {written.stat().st_size:,} bytes, {found}")
