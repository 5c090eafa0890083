"""Mode collapse by loss: each loss trains on the grid of 25 Gaussians with otherwise equal settings.

    python benchmarks/grid.py
    python benchmarks/grid.py --rounds 2000 --seeds 1 --only hinge

Only the loss and the regularizer differ; all else is as in zoo/points-gan, which is the last line.
"""

from __future__ import annotations

import argparse
from statistics import median
from typing import Any

import torch

from gancli import recipe
from gancli.data import load
from gancli.data.synthetic import FORMULAS
from gancli.evaluation.evaluators.numbers import SAMPLES
from gancli.metrics.numbers import measure
from gancli.runs import planning
from gancli.training.loop import Trainer
from gancli.zoo import catalogue

DATA = "grid"
LOSSES: dict[str, dict[str, Any]] = {
    "non-saturating": {"loss": "non-saturating"},
    "minimax": {"loss": "minimax"},
    "least-squares": {"loss": "least-squares"},
    "hinge": {"loss": "hinge"},
    "wasserstein, clipped": {"loss": "wasserstein", "clip": 0.1},
    "wasserstein, gradient penalty": {"loss": "wasserstein", "penalties": {"gradient-penalty": {"weight": 0.1}}},
    "non-saturating, R1": {"loss": "non-saturating", "penalties": {"r1": {"weight": 0.02, "interval": 4}}},
}


def figures(loss: str, seed: int, rounds: int) -> dict[str, float]:
    """Modes found and share of high quality after a training."""
    table = recipe.for_data(catalogue.recipe_table("points-gan"), DATA)
    table["objective"] = {"name": "adversarial", **LOSSES[loss]}
    table["training"] |= {"seed": seed, "rounds": rounds, "budget": f"{rounds} rounds"}
    dataset, device = load(DATA), torch.device("cpu")
    trainer = Trainer(planning.resolve(recipe.parse(table), dataset, device), dataset, device)
    for _ in range(rounds):
        trainer.round()
    rows = trainer.sample(trainer.spec.latent.from_seeds(range(SAMPLES))).flatten(1)
    return measure(rows, FORMULAS[DATA])[0]


def main() -> None:
    """Print one line of a markdown table a loss."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=LOSSES, help="one loss alone")
    asked = parser.parse_args()
    print(f"| loss | modes found of 25 (median of {asked.seeds}, each) | within 3 sd (median) |")
    print("|---|---:|---:|", flush=True)
    for loss in [asked.only] if asked.only else LOSSES:
        found = [figures(loss, seed, asked.rounds) for seed in range(asked.seeds)]
        modes = [one["modes"] for one in found]
        each = ", ".join(f"{count:.0f}" for count in modes)
        quality = median(one["quality"] for one in found)
        print(f"| {loss} | {median(modes):g} ({each}) | {quality:.2f} |", flush=True)


if __name__ == "__main__":
    main()
