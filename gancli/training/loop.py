"""The training itself: networks, players, optimizers and the average of the generator, one round at a time.

This loop knows no algorithm. What is lost, by whom, how often and what happens afterwards is the objective's.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from gancli import registry
from gancli.architectures._build import build, spec_of
from gancli.data import Dataset
from gancli.device import be_deterministic, float32_products, keep_memory
from gancli.errors import UsageError, nearest
from gancli.objectives.base import Batch, Chance, Objective, Outcome, Player, Turn
from gancli.processes import ALONE, World
from gancli.recipe import Optimizer, Recipe
from gancli.training import optimizers
from gancli.training.batches import Feed, feed_of
from gancli.training.distributed import batch_norm, dropout
from gancli.training.playback import WARM, CudaGraphs, Do, Playback, directly

GRADIENT_EVERY = 8
"""Rounds between two looks at how long the gradients are: often enough to see one vanish, too seldom to cost time."""


class Trainer:
    """One training in memory.

    Args:
        recipe: resolved: data size and channels, precision and rounds are set.
        dataset: what to train on.
        device: where to train.
        world: the processes that train it together, each on its share of every batch.

    Attributes:
        scale: factor on every rate, below 1 after a training was set back.

    Raises:
        UsageError: the recipe's parts do not fit together.
    """

    def __init__(self, recipe: Recipe, dataset: Dataset, device: torch.device, world: World = ALONE) -> None:
        self.recipe, self.device, self.settings, self.world = recipe, device, recipe.training, world
        self._parts = _parts(recipe, world)
        self._place = dropout.Place(self.settings.batch, self._parts[0])
        if device.type == "cuda":
            torch.cuda.set_device(device)  # what is seeded and exchanged without naming one is of this one
        be_deterministic(self.settings.deterministic)
        keep_memory()
        self.spec = spec_of(recipe)
        torch.manual_seed(self.settings.seed)
        make: Any = registry.get("objective", recipe.objective.name)
        _check_networks(recipe, make)
        self.networks = {name: build(recipe, name).to(device) for name in recipe.networks}
        for network in self.networks.values():
            network.to(memory_format=torch.channels_last)
            if world.size > 1 and self.settings.share_norm:
                batch_norm.share(network, world)
            if world.size * len(self._parts) > 1:
                dropout.share(network, self._place)
        self.objective: Objective = make(self.networks, **recipe.objective.options)
        self.objective.to(device)
        self.players = tuple(self.objective.players)
        # Looked up once: a small round would spend a part of its time in going through networks for their weights.
        self._own = {player.name: self._parameters(player.networks) for player in self.players}
        self._others = {
            player.name: self._parameters(name for name in self.networks if name not in player.networks)
            for player in self.players
        }
        self.optimizers = {player.name: self._optimizer(player) for player in self.players}
        if idle := sorted(set(recipe.optimizer) - set(self.optimizers)):
            raise UsageError(f"optimizer.{idle[0]} belongs to no player", nearest(idle[0], self.optimizers))
        self._plays = {player.name: self._watched(player) for player in self.players} if world.size > 1 else {}
        self._drops = any(isinstance(m, _DropoutNd) for network in self.networks.values() for m in network.modules())
        self.average = AveragedModel(self.generator, use_buffers=True) if self.settings.ema else None
        self._followed = [*_pairs(self.average.module, self.generator)] if self.average is not None else []
        self.noise = torch.Generator(device).manual_seed(self.settings.seed)
        self.feed: Feed = feed_of(dataset, recipe, device, self.generator.range, world)
        self._playback = self._recordings()
        self.rounds, self.scale = 0, 1.0
        self.steps = dict.fromkeys(self.optimizers, 0)
        self._totals: dict[tuple[str, ...], Tensor] = {}
        self._counts: Counter[str] = Counter()

    @property
    def generator(self) -> Any:
        """The network that turns inputs into images, as it is being trained."""
        return self.networks[self.objective.published]

    @property
    def published(self) -> Any:
        """The generator that is sampled and saved: the average, or the plain one where the recipe has none."""
        return self.average.module if self.average is not None else self.generator

    def round(self) -> None:
        """One round: every player in turn. Waits for nothing on the device."""
        if self._drops:
            self._seed_dropout()
        dice = torch.Generator().manual_seed(self._number)
        turns = [Turn(self._chance(rows), round=self.rounds, world=self.world, dice=dice) for rows in self._parts]
        do = self._playback.of(self._pattern()) if self._playback is not None else directly
        with float32_products(tf32=self.settings.precision == "tf32"):
            do(lambda _: self._begin(turns), None, [])
            for player in self.players:
                with self._only(player):
                    for _ in range(player.steps_in(self.rounds)):
                        self._step(player, turns, do)
        self._follow()
        self.rounds += 1

    def _begin(self, turns: list[Turn]) -> None:
        with self._precision():
            for turn in self._alike(turns):
                self.objective.begin(turn)

    def _step(self, player: Player, turns: list[Turn], do: Do) -> None:
        optimizer = self.optimizers[player.name]
        own = self._own[player.name]
        self._note(*do(partial(self._learn, player, turns), self.feed.next() if player.real else None, own))
        gradients = [p.grad for p in own if p.grad is not None]
        if self.rounds % GRADIENT_EVERY == 0:
            self._note((f"gradient/{player.name}",), nn.utils.get_total_norm(gradients).to(self.device)[None])
        section = self.recipe.optimizer[player.name]
        if section.clip_value is not None:
            torch._foreach_clamp_min_(gradients, -section.clip_value)
            torch._foreach_clamp_max_(gradients, section.clip_value)
        self._set_rate(player.name, section)
        optimizer.step()
        self.steps[player.name] += 1
        if player.after is not None:
            player.after()

    def _learn(self, player: Player, turns: list[Turn], batch: Batch | None) -> tuple[tuple[str, ...], Tensor]:
        """Leave the gradients of a player's weights; what there is to say of the step, by name, each a mean."""
        for parameter in self._own[player.name]:
            parameter.grad = None
        batches = batch.split(len(turns)) if batch is not None else [None] * len(turns)
        said = []
        for turn, part in zip(self._alike(turns), batches, strict=True):
            turn.batch = part
            said.append(self._learn_part(player, turn, last=turn is turns[-1]))
        values = [torch.stack([*told.values()]) for told in said]
        return tuple(said[0]), torch.stack(values).mean(0) if len(values) > 1 else values[0]

    def _learn_part(self, player: Player, turn: Turn, last: bool) -> dict[str, Tensor]:
        """Gradients of one part of the batch, added to those of the parts before; the last one's go to everybody."""
        play = self._plays.get(player.name, player.play)
        together = nullcontext() if last or not isinstance(play, DistributedDataParallel) else play.no_sync()
        with together:
            with self._precision():
                outcome = play(turn)
            loss = torch.stack(list(outcome.losses.values())).sum()
            (loss / len(self._parts) if len(self._parts) > 1 else loss).backward()
        told = {f"loss/{name}": value for name, value in outcome.losses.items()} | outcome.shown
        return {name: value.detach().to(self.device).float() for name, value in told.items()}

    def _alike(self, turns: list[Turn]) -> Iterator[Turn]:
        """The parts of a batch in turn, each with the same random numbers for the whole, of which it takes its own."""
        state = self._random() if len(turns) > 1 else None
        for turn, rows in zip(turns, self._parts, strict=True):
            self._place.rows = rows
            if state is not None:
                self._set_random(state)
            yield turn

    def _chance(self, rows: slice) -> Chance:
        return Chance(self._draw, self.noise, self.settings.batch, rows)

    @property
    def warm(self) -> int:
        """Rounds after which a round takes as long as any later one."""
        return WARM + 1 if self._playback is not None else 1

    def _recordings(self) -> Playback | None:
        """What plays rounds back, where the recipe and the device want it."""
        if not self.settings.cuda_graphs:
            return None
        layers = (layer for network in self.networks.values() for layer in network.modules())
        if self.objective.pattern(0) is None or any(getattr(layer, "unrecorded", False) for layer in layers):
            raise UsageError(
                f"training.cuda_graphs = true: rounds of '{self.recipe.model}' cannot be recorded",
                "leave it out",
            )
        if self.device.type != "cuda" or self.world.size * len(self._parts) > 1:
            return None
        return Playback(CudaGraphs(self.device, self.noise))

    def _pattern(self) -> Hashable:
        return self.objective.pattern(self.rounds), *(player.steps_in(self.rounds) for player in self.players)

    @property
    def _number(self) -> int:
        """Of this round, among all rounds of all seeds: what is drawn anew in each begins with it."""
        return (self.settings.seed * 1_000_003 + self.rounds) % 2**63

    def _seed_dropout(self) -> None:
        """What falls out depends on the round alone, so that it is the same everywhere."""
        number = self._number * 65_537 % 2**63
        torch.default_generator.manual_seed(number)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(number)

    def _watched(self, player: Player) -> DistributedDataParallel:
        """A player's step, after whose backward pass every process has the mean of all gradients."""
        step = _Step(player, [self.networks[name] for name in player.networks])
        # Buffers need no telling: where layers look at the whole batch, all processes have the same.
        make: Any = DistributedDataParallel
        return make(step, **{_BUFFERS: False})

    def _note(self, names: tuple[str, ...], values: Tensor) -> None:
        if names not in self._totals:
            self._totals[names] = torch.zeros_like(values)
        self._totals[names] += values
        self._counts.update(names)

    def means(self) -> dict[str, float]:
        """The mean of each loss and shown value since the last call; the one place that waits for the device."""
        if not self._totals:
            return {}
        names = [name for together in self._totals for name in together]
        totals: Counter[str] = Counter()
        for name, total in zip(names, self.world.mean(torch.cat([*self._totals.values()])).tolist(), strict=True):
            totals[name] += total
        means = {name: total / self._counts[name] for name, total in totals.items()}
        self._totals, self._counts = {}, Counter()
        return means

    @torch.inference_mode()
    def sample(self, inputs: dict[str, Tensor]) -> Tensor:
        """Outputs (N, C, H, W) of the published generator in its own range; the training goes on untouched."""
        with self._evaluation():
            return self.published(**{name: value.to(self.device) for name, value in inputs.items()}).float()

    @torch.inference_mode()
    def preview(self, inputs: dict[str, Tensor], real: Callable[[], Batch]) -> Tensor:
        """The objective's own pictures, (M, C, H, W) in the generator's range; see :meth:`Objective.preview`."""
        with self._evaluation():
            there = {name: value.to(self.device) for name, value in inputs.items()}
            return self.objective.preview(self.published, there, real).float()

    @contextmanager
    def _evaluation(self) -> Generator[None]:
        """Every network in evaluation mode, and afterwards as it was."""
        networks = [self.published, *self.networks.values()]
        modes = [network.training for network in networks]
        for network in networks:
            network.eval()
        try:
            yield
        finally:
            for network, mode in zip(networks, modes, strict=True):
                network.train(mode)

    def _terms(self) -> dict[str, Tensor]:
        """The objective's own state, without that of the networks that it plays with."""
        shared = {id(v) for network in self.networks.values() for v in network.state_dict(keep_vars=True).values()}
        own = self.objective.state_dict(keep_vars=True).items()
        return {name: value.detach() for name, value in own if id(value) not in shared}

    def _draw(self) -> dict[str, Tensor]:
        return self.spec.latent.draw(self.settings.batch, self.noise, self.device)

    def _optimizer(self, player: Player) -> torch.optim.Optimizer:
        section = self.recipe.optimizer.get(player.name)
        if section is None:
            raise UsageError(f"the recipe has no optimizer.{player.name}", f"add [optimizer.{player.name}] to it")
        return optimizers.build(section, self._own[player.name], self.device)

    def _parameters(self, names: Iterable[str]) -> list[nn.Parameter]:
        return [p for name in names for p in self.networks[name].parameters()]

    def _set_rate(self, name: str, section: Optimizer) -> None:
        progress = self.rounds / (self.settings.rounds or 1)
        rate = section.lr * self.scale * optimizers.rate_factor(progress, self.settings.rate_decay)
        for group in self.optimizers[name].param_groups:
            group["lr"] = rate / (1 + section.decay * self.steps[name])

    def _follow(self) -> None:
        """The average after Karras et al. (2020b, appendix B): half-life in images, shorter at the start."""
        average, ema, batch = self.average, self.settings.ema, self.settings.batch
        if average is None or ema is None:
            return
        half_life = ema.kimg * 1000
        if ema.rampup:
            half_life = min(half_life, self.rounds * batch * ema.rampup)
        weight = 1 - 0.5 ** (batch / max(half_life, 1e-8))
        # PyTorch's own way of doing this waits for a GPU, to which it brings the count.
        first = not average.n_averaged
        with torch.no_grad():
            for floating, averaged, current in self._followed:
                if floating and not first:
                    torch._foreach_lerp_(averaged, current, weight)
                else:
                    torch._foreach_copy_(averaged, current)
            average.n_averaged += 1

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bf16")

    @contextmanager
    def _only(self, player: Player) -> Generator[None]:
        """Every network but the player's is frozen: its weights take no gradient, gradients pass through it."""
        frozen = [p for p in self._others[player.name] if p.requires_grad]
        for parameter in frozen:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in frozen:
                parameter.requires_grad_(True)

    def state(self) -> dict[str, Any]:
        """Everything that the next round depends on."""
        state: dict[str, Any] = {
            "rounds": self.rounds,
            "steps": self.steps,
            "scale": self.scale,
            "drawn": self.feed.drawn,
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "objective": self._terms(),
            "optimizer": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "random": self._random(),
        }
        if self.average is not None:
            state["average"] = self.average.state_dict()
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state`, to the bit on the same device and number of threads.

        Where "random" is None, random numbers begin anew: another kind of device keeps another state of them.
        """
        self.rounds, self.feed.drawn, self.steps = state["rounds"], state["drawn"], dict(state["steps"])
        self.scale = state.get("scale", 1.0)
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        terms = self._terms()
        if terms.keys() != state["objective"].keys():
            raise KeyError("the objective's terms")
        for name, value in terms.items():
            value.copy_(state["objective"][name])
        for name, optimizer in self.optimizers.items():
            optimizers.take_state(optimizer, state["optimizer"][name])
        if state["random"] is not None:
            self._set_random(state["random"])
        else:
            self.noise.manual_seed(self._number)
        if self.average is not None:
            self.average.load_state_dict(state["average"])

    def _random(self) -> dict[str, Tensor]:
        """Where all random numbers of a round stand."""
        state = {"noise": self.noise.get_state(), "cpu": torch.get_rng_state()}
        return state | ({"cuda": torch.cuda.get_rng_state(self.device)} if self.device.type == "cuda" else {})

    def _set_random(self, state: dict[str, Tensor]) -> None:
        self.noise.set_state(state["noise"])
        torch.set_rng_state(state["cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda"], self.device)


_BUFFERS = next(
    name
    for name in ("forward_sync_buffers", "broadcast_buffers")  # as it is called now, and as it was
    if name in inspect.signature(DistributedDataParallel.__init__).parameters
)


class _Step(nn.Module):
    """What PyTorch is to watch over: a player's networks and what is done with them."""

    def __init__(self, player: Player, networks: list[nn.Module]) -> None:
        super().__init__()
        self.networks, self.play = nn.ModuleList(networks), player.play

    def forward(self, turn: Turn) -> Outcome:
        return self.play(turn)


def _pairs(one: nn.Module, other: nn.Module) -> Iterator[tuple[bool, list[Tensor], list[Tensor]]]:
    """Weights and buffers of two networks of a kind, side by side: what can be averaged (True), and what counts."""
    tensors = [[*network.parameters(), *network.buffers()] for network in (one, other)]
    for floating in (True, False):
        mine, theirs = ([value for value in each if value.is_floating_point() == floating] for each in tensors)
        if mine:
            yield floating, mine, theirs


def _parts(recipe: Recipe, world: World) -> list[slice]:
    """The rows of the batch that this process works on, one part after the other.

    Raises:
        UsageError: the batch cannot be shared out evenly.
    """
    batch, parts = recipe.training.batch, recipe.training.accumulate
    rows, rest = divmod(batch, world.size * parts)
    if rest:
        shares = f"{world.size} processes" + (f" times {parts} parts" if parts > 1 else "")
        even = max(1, round(batch / (world.size * parts))) * world.size * parts
        raise UsageError(
            f"training.batch = {batch} cannot be shared evenly by {shares}", f"as in --set training.batch={even}"
        )
    first = world.share(batch).start
    return [slice(first + part * rows, first + (part + 1) * rows) for part in range(parts)]


def _check_networks(recipe: Recipe, objective: Any) -> None:
    """The recipe has the networks that the objective plays with, in their roles, and no other."""
    needed = objective.networks_needed
    if missing := sorted(set(needed) - set(recipe.networks)):
        has = ", ".join(sorted(recipe.networks))
        raise UsageError(f"objective '{recipe.objective.name}' needs networks.{missing[0]}", f"the recipe has {has}")
    if idle := sorted(set(recipe.networks) - set(needed)):
        raise UsageError(f"networks.{idle[0]} plays no part in '{recipe.objective.name}'", "leave it out")
    for name, role in needed.items():
        if (recipe.networks[name].role or name) != role:
            raise UsageError(f"networks.{name} has the role '{recipe.networks[name].role or name}'", f"it plays {role}")
