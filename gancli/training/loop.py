"""The training loop: networks, players, optimizers and the EMA, one round at a time.

The loop contains no name of an algorithm: the terms, the players, their steps and what happens after an update are the
objective's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from gancli import registry
from gancli.architectures._base import Spec
from gancli.architectures._build import build, spec_of
from gancli.data import Dataset
from gancli.device import be_deterministic, float32_products, keep_memory
from gancli.errors import UsageError, nearest
from gancli.processes import ALONE, World
from gancli.recipe import Recipe
from gancli.recipe.schedules import Progress
from gancli.terms.batch import Batch, SampleRandom
from gancli.terms.objective import Objective
from gancli.terms.players import Player
from gancli.terms.step import Step
from gancli.training import optimizers
from gancli.training.batches import Batches, batches_of
from gancli.training.checks import check_groups, check_networks, frozen, rows_of_parts
from gancli.training.distributed import batch_norm, dropout
from gancli.training.distributed.player_step import distributed, play
from gancli.training.ema import Ema
from gancli.training.precision import HALF, normalise_in_float32

GRADIENT_NORM_EVERY = 8
"""Rounds between two measurements of gradient norms: often enough to see one vanish, seldom enough to cost no time."""


class Trainer:
    """One training in memory.

    Args:
        recipe: resolved: data size and channels, precision and rounds are set.
        dataset: what to train on.
        device: where to train.
        world: the processes that train it together, each on its rows of every batch.

    Raises:
        UsageError: the recipe's parts do not fit together.
    """

    def __init__(self, recipe: Recipe, dataset: Dataset, device: torch.device, world: World = ALONE) -> None:
        self.recipe, self.device, self.settings, self.world = recipe, device, recipe.training, world
        self._rows = rows_of_parts(recipe, world)
        self._dropout_rows = dropout.Rows(self.settings.batch, self._rows[0])
        if device.type == "cuda":
            torch.cuda.set_device(device)  # the default device for seeds and for the exchange between processes
        if self.settings.threads is not None:
            torch.set_num_threads(self.settings.threads)
        be_deterministic(self.settings.deterministic)
        keep_memory()
        self.spec: Spec = spec_of(recipe)
        torch.manual_seed(self.settings.seed)
        make: Any = registry.get("objective", recipe.objective.name)
        check_networks(recipe, make)
        self.networks = {name: self._prepared(build(recipe, name)) for name in recipe.networks}
        for name in frozen(recipe, self.networks):
            self.networks["discriminator"].get_parameter(name).requires_grad_(False)
        check_groups(self.networks.values(), self.settings.batch, self._rows[0].stop - self._rows[0].start)
        self.objective: Objective = make(self.networks, **recipe.objective.options)
        self.objective.to(device)
        for name in self.objective.second_order if self.settings.precision == "fp16" else ():
            normalise_in_float32(self.networks[name])
        self.players = tuple(self.objective.players)
        # Collected once: walking through modules for their parameters would be a part of a small model's time.
        self._own = {player.name: self._parameters(player.networks) for player in self.players}
        self._others = {
            player.name: self._parameters(name for name in self.networks if name not in player.networks)
            for player in self.players
        }
        self.optimizers = {player.name: self._optimizer(player) for player in self.players}
        self.scalers = {
            name: torch.amp.GradScaler(device.type, enabled=self.settings.precision == "fp16")
            for name in self.optimizers
        }
        self._scheduled = {name: optimizers.scheduled(recipe.optimizer[name]) for name in self.optimizers}
        if idle := sorted(set(recipe.optimizer) - set(self.optimizers)):
            raise UsageError(f"optimizer.{idle[0]} belongs to no player", nearest(idle[0], self.optimizers))
        self._distributed = {p.name: distributed(p, self.networks) for p in self.players} if world.size > 1 else {}
        self._draws = any(isinstance(m, dropout.DRAWING) for n in self.networks.values() for m in n.modules())
        averaged = {n: self.networks[n] for n in self.objective.exported}
        self.ema = Ema(averaged, trained=self.settings.start is not None) if self.settings.ema else None
        self.noise = torch.Generator(device).manual_seed(self.settings.seed)
        self.batches: Batches = batches_of(dataset, recipe, device, self.generator.range, world)
        for name in self.compiled:
            _compile(self.networks[name])
        self.rounds = 0
        self.steps = dict.fromkeys(self.optimizers, 0)
        self._totals: dict[tuple[str, ...], Tensor] = {}
        self._counts: Counter[str] = Counter()

    @property
    def generator(self) -> Any:
        """The network that makes images, as it is being trained."""
        return self.networks[self.objective.exported[0]]

    @property
    def exported(self) -> dict[str, nn.Module]:
        """The networks of a model file by name, averaged where the recipe has an EMA; the first is sampled."""
        if self.ema is not None:
            return self.ema.networks
        return {name: self.networks[name] for name in self.objective.exported}

    @property
    def sampled(self) -> Any:
        """The generator that is sampled and exported: its EMA, or the raw one where the recipe has none."""
        return self.exported[self.objective.exported[0]]

    @property
    def compiled(self) -> list[str]:
        """Networks that are compiled: PyTorch refuses gradients of gradients through compiled code."""
        eager = self.objective.second_order
        return [name for name in self.networks if name not in eager] if self.settings.compile else []

    def replan(self, rounds: int) -> None:
        """Train so many rounds in all, from the present round on."""
        self.recipe = self.recipe.with_values(training=self.settings.replanned(self.rounds, rounds))
        self.settings = self.recipe.training

    @property
    def progress(self) -> Progress:
        """Where the training stands."""
        return Progress(self.rounds, self.rounds * self.settings.batch, self.settings.planned(self.rounds))

    def round(self) -> None:
        """One round: the steps of every player in turn. Never synchronises with the device."""
        for _ in self.played(self.players):
            pass

    def played(self, players: Iterable[Player]) -> Iterator[Player]:
        """A round of these players, each of which is given after its steps; it is over when the iterator is."""
        if self._draws:
            self._seed_layers()
        shared: list[dict[str, Any]] = [{} for _ in self._rows]
        batch_generator = torch.Generator().manual_seed(self._number)
        with float32_products(tf32=self.settings.precision == "tf32"):
            for step in self._parts(None, shared, batch_generator):
                with self._autocast():
                    self.objective.begin(step)
            for player in players:
                optimizer, own = self.optimizers[player.name], self._own[player.name]
                scaler = self.scalers[player.name]
                with self._frozen(self._others[player.name]):
                    for _ in range(player.steps_in(self.rounds)):
                        batch = self.batches.next() if player.real else None
                        for parameter in own:
                            parameter.grad = None
                        logged = []
                        for step in self._parts(batch, shared, batch_generator):
                            with self._exchange(player, last=len(logged) + 1 == len(self._rows)):
                                with self._autocast():
                                    losses, figures = self._forward(player, step)
                                loss = torch.stack(list(losses.values())).sum()
                                scaler.scale(loss / len(self._rows) if len(self._rows) > 1 else loss).backward()
                            logged.append({f"loss/{name}": value for name, value in losses.items()} | figures)
                        self._log(logged)
                        gradients = [parameter.grad for parameter in own if parameter.grad is not None]
                        scaler.unscale_(optimizer)
                        if scaler.is_enabled() or self.rounds % GRADIENT_NORM_EVERY == 0:
                            self._log_gradients(player.name, nn.utils.get_total_norm(gradients))
                        optimizers.clip(self.recipe.optimizer[player.name], gradients)
                        self._set_schedules(player.name)
                        scaler.step(optimizer)
                        scaler.update()
                        self.steps[player.name] += 1
                        if player.after is not None:
                            player.after(step)
                yield player
        if self.ema is not None and self.settings.ema is not None:
            self.ema.update(self.settings.ema, self.progress, self.settings.batch)
        self.rounds += 1

    def _parts(
        self, batch: Batch | None, shared: list[dict[str, Any]], batch_generator: torch.Generator
    ) -> Iterator[Step]:
        """A step for each part of a batch; each draws the same random numbers for the whole and takes its rows."""
        count = len(self._rows)
        state = self._random() if count > 1 else None
        batches = batch.split(count) if batch is not None else [None] * count
        for rows, part, own in zip(self._rows, batches, shared, strict=True):
            self._dropout_rows.rows = rows
            if state is not None:
                self._set_random(state)
            random = SampleRandom(self._latents, self.noise, self.settings.batch, rows)
            yield Step(
                random, self.objective.step_options, part, self.progress, world=self.world, parts=count,
                batch_generator=batch_generator, shared=own,
            )  # fmt: skip

    def _exchange(self, player: Player, *, last: bool) -> AbstractContextManager[None]:
        """Gradients of the parts are added up; processes exchange them after the last."""
        return nullcontext() if last or not self._distributed else self._distributed[player.name].no_sync()

    def _forward(self, player: Player, step: Step) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Losses and figures of a step, by name."""
        return self._distributed[player.name](step) if self._distributed else play(player, step)

    def _autocast(self) -> torch.autocast:
        kind = HALF.get(self.settings.precision)
        return torch.autocast(self.device.type, kind or torch.bfloat16, enabled=kind is not None)

    @contextmanager
    def _frozen(self, parameters: list[nn.Parameter]) -> Generator[None]:
        """The parameters take no gradient; gradients pass through them."""
        frozen = [parameter for parameter in parameters if parameter.requires_grad]
        for parameter in frozen:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in frozen:
                parameter.requires_grad_(True)

    def _set_schedules(self, name: str) -> None:
        section = self.recipe.optimizer[name]
        progress, options = self.progress, self._scheduled[name]
        factor = optimizers.rate_factor(progress.round / progress.rounds, self.settings.rate_decay)
        optimizers.set_schedules(self.optimizers[name], section, options, progress, factor, self.steps[name])

    @property
    def _number(self) -> int:
        """Of this round, among all rounds of all seeds: seeds what is drawn anew in each."""
        return (self.settings.seed * 1_000_003 + self.rounds) % 2**63

    def _seed_layers(self) -> None:
        """What layers draw depends on the round alone, so that it is the same in every process and after a resume."""
        number = self._number * 65_537 % 2**63
        torch.default_generator.manual_seed(number)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(number)

    def _prepared(self, network: nn.Module) -> nn.Module:
        network.to(self.device).to(memory_format=torch.channels_last)
        if self.world.size > 1 and self.settings.share_norm:
            batch_norm.share(network, self.world)
        if self.world.size * len(self._rows) > 1:
            dropout.share(network, self._dropout_rows)
        return network

    def _log(self, parts: list[dict[str, Tensor]]) -> None:
        """Add scalars to the means since the last call of :meth:`means`; parts of a batch are averaged."""
        names = tuple(parts[0])
        values = [torch.stack([v.detach().to(self.device).float() for v in part.values()]) for part in parts]
        total = values[0] if len(values) == 1 else torch.stack(values).mean(0)
        if names not in self._totals:
            self._totals[names] = torch.zeros_like(total)
        self._totals[names] += total
        self._counts.update(names)

    def _log_gradients(self, player: str, norm: Tensor) -> None:
        """Log the norm of a step's gradients, and in fp16 whether they overflowed: such a step changes no weight."""
        if self.scalers[player].is_enabled():
            skipped = ~norm.isfinite()
            self._log([{f"skipped/{player}": skipped, f"gradient/{player}": torch.where(skipped, 0, norm)}])
        else:
            self._log([{f"gradient/{player}": norm}])

    def means(self) -> dict[str, float]:
        """The mean of each loss and figure since the last call; the one place that synchronises with the device."""
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
        """Outputs (N, C, H, W) of the sampled generator in its own range; the training is unaffected."""
        with self._evaluation():
            return self.sampled(**{name: value.to(self.device) for name, value in inputs.items()}).float()

    @torch.inference_mode()
    def logits(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """The discriminator's mean logit of each image (N,), without augmentation; the training is unaffected."""
        network: Any = self.networks["discriminator"]
        with self._evaluation():
            output = network(images.to(self.device), **({"y": labels} if network.conditional else {}))
        return (output[0] if isinstance(output, tuple) else output).float().flatten(1).mean(1)

    @torch.inference_mode()
    def preview(self, inputs: dict[str, Tensor], real: Callable[[], Batch]) -> Tensor:
        """The objective's own pictures, (M, C, H, W) in the generator's range; see :meth:`Objective.preview`."""
        with self._evaluation():
            there = {name: value.to(self.device) for name, value in inputs.items()}
            return self.objective.preview(self.exported, there, real).float()

    @contextmanager
    def _evaluation(self) -> Generator[None]:
        """Every network in evaluation mode, and afterwards as it was."""
        networks = [*self.exported.values(), *self.networks.values()]
        modes = [network.training for network in networks]
        for network in networks:
            network.eval()
        try:
            yield
        finally:
            for network, mode in zip(networks, modes, strict=True):
                network.train(mode)

    def _terms(self) -> dict[str, Tensor]:
        """The objective's own state, without that of the networks."""
        shared = {id(v) for network in self.networks.values() for v in network.state_dict(keep_vars=True).values()}
        own = self.objective.state_dict(keep_vars=True).items()
        return {name: value.detach() for name, value in own if id(value) not in shared}

    def _latents(self) -> dict[str, Tensor]:
        return self.spec.latent.draw(self.settings.batch, self.noise, self.device)

    def _optimizer(self, player: Player) -> torch.optim.Optimizer:
        section = self.recipe.optimizer.get(player.name)
        if section is None:
            raise UsageError(f"the recipe has no optimizer.{player.name}", f"add [optimizer.{player.name}] to it")
        return optimizers.build(section, self._own[player.name], self.device)

    def _parameters(self, names: Iterable[str]) -> list[nn.Parameter]:
        return [p for name in names for p in self.networks[name].parameters() if p.requires_grad]

    def state(self) -> dict[str, Any]:
        """Everything that the next round depends on."""
        state: dict[str, Any] = {
            "rounds": self.rounds,
            "steps": self.steps,
            "drawn": self.batches.drawn,
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "objective": self._terms(),
            "optimizer": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "random": self._random(),
        }
        if self.ema is not None:
            state["ema"] = self.ema.state_dict()
        if self.settings.precision == "fp16":
            state["scalers"] = {name: scaler.state_dict() for name, scaler in self.scalers.items()}
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state`, bit-exactly on the same device and number of threads.

        Where "random" is None, random numbers begin anew: another kind of device has another state of them.
        """
        self.rounds, self.batches.drawn, self.steps = state["rounds"], state["drawn"], dict(state["steps"])
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        terms = self._terms()
        if terms.keys() != state["objective"].keys():
            raise KeyError("the objective's terms")
        for name, value in terms.items():
            value.copy_(state["objective"][name])
        for name, optimizer in self.optimizers.items():
            optimizers.take_state(optimizer, state["optimizer"][name], self.recipe.optimizer[name])
        for name, scaler in self.scalers.items() if self.settings.precision == "fp16" else ():
            if not 0 < state["scalers"][name]["scale"] < 2.0**100:
                raise ValueError("its loss has no scale")
            scaler.load_state_dict(state["scalers"][name])
        if state["random"] is not None:
            self._set_random(state["random"])
        else:
            self.noise.manual_seed(self._number)
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])

    def _random(self) -> dict[str, Tensor]:
        """The state of every random generator of a round."""
        state = {"noise": self.noise.get_state(), "cpu": torch.get_rng_state()}
        return state | ({"cuda": torch.cuda.get_rng_state(self.device)} if self.device.type == "cuda" else {})

    def _set_random(self, state: dict[str, Tensor]) -> None:
        self.noise.set_state(state["noise"])
        torch.set_rng_state(state["cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda"], self.device)


def _compile(network: Any) -> None:
    """Compile what is called of a network; its parameters keep their names."""
    network.compile()
    if hasattr(network, "synthesize"):
        network.synthesize = torch.compile(network.synthesize)
