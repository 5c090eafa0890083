"""The lab's training: a trainer in memory whose steps are taken one by one, and pictures of where it stands.

It is the trainer of `gancli train`, in fp32 on one thread. Settings that change while it trains make a new trainer that
continues from the state of the old one, as a run that is resumed does.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from gancli.data import Dataset, load
from gancli.data.points import Points
from gancli.data.synthetic import examples
from gancli.data.types import fingerprint_of
from gancli.metrics import numbers
from gancli.page.lab_settings import OWN, Settings, recipe_of
from gancli.recipe import Recipe
from gancli.terms.batch import Batch, SampleRandom
from gancli.terms.players import Player
from gancli.terms.step import Step
from gancli.training.loop import Trainer

CELLS = 36
"""Of D's heat map on each side."""

LINES = 15
"""Of the generator's grid in each direction."""

FAKES, REAL = 200, 600
"""Points that are drawn."""

ENDLESS = 2**31
"""Rounds: the lab has no budget, by which schedules could go."""


class Session:
    """One training of the lab.

    Args:
        settings: what it starts with.
        points: the user's own data; needed where the settings name them.

    Attributes:
        settings: as they are now.
        trainer: the training.
        diverged: whether a loss or a weight is no finite number any more.
    """

    def __init__(self, settings: Settings, points: Points | None = None) -> None:
        self.settings, self.points = settings, points
        self._begin()

    def _begin(self) -> None:
        """Start with the weights of the seed."""
        self.dataset = self._dataset()
        self.trainer = Trainer(self._recipe(), self.dataset, torch.device("cpu"))
        self.diverged, self._round = False, iter(())

    def _dataset(self) -> Dataset:
        if self.settings.data != OWN:
            return load(self.settings.data)
        assert self.points is not None
        digits = fingerprint_of(self.points.rows, None)
        return Dataset(self.points.name, "train", examples(self.points, "train"), None, (), digits, formula=self.points)

    def _recipe(self) -> Recipe:
        """The recipe of the settings without a budget, and so without the decay of learning rates at its end."""
        training = {"rounds": ENDLESS, "rate_decay": 0.0, "threads": 1}
        recipe = recipe_of(self.settings, self.dataset.name)
        return recipe.with_values(data={"size": [1, 2], "channels": 1}, training=training)

    def restart(self) -> None:
        """Start again from the weights of the seed."""
        self._begin()

    def bring(self, points: Points) -> None:
        """Train on the user's own points from now on, from the start."""
        self.points = points
        self.settings = self.settings.model_copy(update={"data": OWN})
        self._begin()

    def change(self, settings: Settings) -> None:
        """Continue with other settings; start again where the networks or the data are others."""
        self.finish_round()
        restarts, self.settings = settings.restarts(self.settings), settings
        if restarts:
            self._begin()
            return
        trainer = Trainer(self._recipe(), self.dataset, torch.device("cpu"))
        # Terms without state, as all that the lab offers are: those of the old objective need not be carried over.
        trainer.load_state(self.trainer.state() | {"objective": trainer.state()["objective"]})
        self.trainer = trainer

    def round(self) -> None:
        """One round of the training."""
        self.finish_round()
        self.trainer.round()

    def step(self, side: str) -> None:
        """A round in which one side alone is trained, as in the rest periods of a recipe."""
        self.finish_round()
        for _ in self.trainer.played([self._player(side)]):
            pass

    def advance(self) -> str:
        """The steps of the next player of a round; its name."""
        player = next(self._round, None)
        if player is None:
            self._round = self.trainer.played(self.trainer.players)
            player = next(self._round)
        return player.name

    def finish_round(self) -> None:
        """Take the rest of a round that :meth:`advance` has begun."""
        rest: Iterator[Player] = self._round
        self._round = iter(())
        for _ in rest:
            pass

    def _player(self, side: str) -> Player:
        return next(player for player in self.trainer.players if player.name == side)

    # Pictures.

    def frame(self) -> dict[str, Any]:
        """Where the training stands, as plain JSON; arrays are base64 of little-endian numbers.

        ``opinion``: D's output on the plane, uint8 (CELLS, CELLS), from the top left; ``absolute``: whether 0 to 255
        is a probability of 0 to 1, or only the order of a critic's outputs. ``manifold``: where G maps a grid of
        latents, float32 (LINES, LINES, 2). ``fakes``: float32 (FAKES, 2), and ``arrows``: minus the gradient of G's
        loss with respect to them. ``losses`` and ``figures`` by name, None where a number is not finite.
        """
        opinion, absolute = self._opinion()
        fakes = self._generated(self.trainer.spec.latent.from_seeds(range(FAKES))["z"])
        arrows = self._arrows(fakes)
        losses = {name: _finite(value) for name, value in self.trainer.means().items()}
        self.diverged = None in losses.values() or not bool(fakes.isfinite().all())
        return {
            "round": self.trainer.rounds,
            "steps": dict(self.trainer.steps),
            "absolute": absolute,
            "opinion": _packed(opinion),
            "manifold": _packed(self._generated(self._grid()).flatten(1)),
            "fakes": _packed(fakes.flatten(1)),
            "arrows": _packed(arrows.flatten(1)),
            "force": _finite(float(arrows.flatten(1).norm(dim=1).mean())),
            "losses": losses,
            "figures": self._figures(fakes.flatten(1)),
            "diverged": self.diverged,
        }

    def real(self) -> dict[str, Any]:
        """The data: ``points`` as base64 of float32 (REAL, 2), and ``limits``, the lowest and highest coordinate."""
        formula = self.dataset.formula
        assert formula is not None
        rows = formula.draw(REAL, torch.Generator().manual_seed(0))
        return {"points": _packed(rows), "limits": list(formula.limits), "name": self.dataset.name}

    def _opinion(self) -> tuple[Tensor, bool]:
        """D's output at the centres of cells, uint8 (CELLS, CELLS), and whether it is a probability."""
        assert self.dataset.formula is not None
        low, high = self.dataset.formula.limits
        centres = low + (torch.arange(CELLS) + 0.5) * (high - low) / CELLS
        y, x = torch.meshgrid(centres.flip(0), centres, indexing="ij")
        logits = self.trainer.logits(torch.stack([x, y], -1).view(-1, 1, 1, 2), None)
        objective: Any = self.trainer.objective
        probability = objective.loss.probability(logits)
        absolute = probability is not None
        if probability is None:
            centred = logits - logits.mean()
            probability = 0.5 + 0.5 * centred / centred.abs().max().clamp_min(1e-8)
        return (255 * probability.nan_to_num(0.5)).round().clamp(0, 255).byte().view(CELLS, CELLS), absolute

    def _grid(self) -> Tensor:
        """Latents of a grid over the first two of their values, the others 0: float32 (LINES * LINES, dim)."""
        dim, line = self.settings.dim, torch.linspace(-1, 1, LINES)
        z = torch.zeros(LINES * LINES, dim)
        first, second = torch.meshgrid(line, line, indexing="ij")
        z[:, 0] = first.flatten()
        if dim > 1:
            z[:, 1] = second.flatten()
        return z

    @torch.no_grad()
    def _generated(self, z: Tensor) -> Tensor:
        """G(z), (N, 1, 1, 2), by the weights that are being trained and not by their average."""
        return self.trainer.networks["generator"](z=z)

    def _arrows(self, fakes: Tensor) -> Tensor:
        """Minus the gradient of the generator's loss with respect to each fake, (N, 1, 1, 2): where G is led to.

        Terms give means over the batch; the gradient is multiplied by N, so that it does not depend on N.
        """
        count, trainer = len(fakes), self.trainer
        fakes = fakes.clone().requires_grad_()
        formula = self.dataset.formula
        assert formula is not None
        real = formula.draw(count, torch.Generator().manual_seed(1))[:, None, None]
        random = SampleRandom(dict, torch.Generator().manual_seed(0), count)
        step = Step(random, trainer.objective.step_options, Batch(real), trainer.progress)
        losses = self._player("generator").play(step.side("discriminator", real, fakes))
        (gradient,) = torch.autograd.grad(torch.stack(list(losses.values())).sum(), fakes)
        return -count * gradient

    def _figures(self, fakes: Tensor) -> dict[str, float | None]:
        """Modes found and the like, where the data has a formula."""
        formula = self.dataset.formula
        if formula is None or isinstance(formula, Points) or not bool(fakes.isfinite().all()):
            return {}
        values, _ = numbers.measure(fakes, formula)
        total = {"of": float(len(centres))} if (centres := getattr(formula, "centres", ())) else {}
        return {name: _finite(value) for name, value in (values | total).items()}


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _packed(values: Tensor) -> str:
    values = values.nan_to_num(0.0, 0.0, 0.0) if values.is_floating_point() else values
    return base64.b64encode(values.detach().contiguous().numpy().tobytes()).decode()
