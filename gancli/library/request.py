"""What is asked of a training, in Python or on the command line, and the way from there to its run.

Request.run_folder()    the run that is resumed
Request.check()         recipe, weights, device: what can be refused before any long work
Checked.load()          the data
Checked.fitted()        the recipe for their shape and classes
Checked.plan()          threads, precision and rounds
Checked.run()           the run, which trains
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.errors import GancliError, UsageError
from gancli.library import recipes
from gancli.processes import ALONE, World, first_alone

if TYPE_CHECKING:
    import torch

    from gancli.data import Dataset
    from gancli.data.types import Progress
    from gancli.recipe import Assignment, Recipe
    from gancli.runs.periodic_evaluation import Settings
    from gancli.runs.planning import Plan
    from gancli.runs.run import Run
    from gancli.runs.start import Source, Weights

LIMITS = {
    "freeze_d": (1, None),
    "save_every": (0, None),
    "keep": (0, None),
    "evaluate_every": (0, None),
    "evaluate_images": (6, 100_000),
}
"""(lowest, highest) of the numbers that are no part of a recipe; None for no limit."""


@dataclass(frozen=True)
class Request:
    """What is asked of a training; None for what is not.

    Attributes:
        data: a data set's name, a path, shards, or ``hf:user/repo``; of a run that is resumed, its new path.
        model: a zoo model, a recipe's file, or a run folder or ``hf:user/repo`` whose recipe is used.
        weights: the model whose weights a new training starts from.
        freeze_d: layers of the discriminator that keep these.
        out: the run folder.
        resume: the run to resume by folder, tag or part of its name; empty for the newest unfinished one.
        budget: as in "10 minutes"; with ``resume``, for how much longer.
        training: further values of the recipe's section ``training``.
        assignments: ``section.key=value``, or pairs of a key and its value, for any value of the recipe.
        save_every: seconds between saves.
        keep: how many previews' models are kept.
        evaluate_every: thousands of training images between evaluations.
        best_by: the metric that decides which model is best.
        evaluate_images: generated for each evaluation.
        log: names of loggers.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        data_dir: where data sets are looked for first.
    """

    data: str | None = None
    model: str | None = None
    weights: str | None = None
    freeze_d: int | None = None
    out: Path | None = None
    resume: str | None = None
    budget: str | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    assignments: Sequence[Assignment] = ()
    save_every: float = 30.0
    keep: int | None = None
    evaluate_every: float | None = None
    best_by: str | None = None
    evaluate_images: int | None = None
    log: Sequence[str] = ()
    device: str = "auto"
    data_dir: Path | None = None

    @property
    def longer(self) -> str | None:
        """The budget for which a run that is resumed trains on; None for that of its recipe.

        A process that was started again after another one died has planned it already.
        """
        return None if self.resume is None or recipes.restarted() else self.budget

    @property
    def training_table(self) -> dict[str, Any]:
        """The recipe's section ``training``, as far as it is asked for."""
        budget = self.budget if self.resume is None else None
        return {**self.training, **({"budget": budget} if budget else {})}

    def check_values(self) -> None:
        """Refuse what needs something else, what excludes each other, and numbers out of range.

        Raises:
            UsageError: naming it.
        """
        if self.weights is not None and self.resume is not None:
            raise UsageError(
                f"`weights={self.weights}` and `resume` exclude each other: a run that is resumed has weights of its "
                "own",
                "leave out `weights`, or start a new run without `resume`",
            )
        if self.freeze_d is not None and self.weights is None and self.resume is None:
            raise UsageError(
                f"`freeze_d={self.freeze_d}` keeps layers of trained weights, and there are none",
                "add `weights=MODEL`",
            )
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= (value if high is None else high):
                between = f"from {low} on" if high is None else f"from {low} to {high:,}"
                raise UsageError(f"`{name}={value}` is out of range", f"give a number {between}")
        if self.log:
            from gancli.runs import loggers

            loggers.check(self.log)

    def run_folder(self, *, write: bool = True) -> Path | None:
        """The run that is resumed; None for a new one. Imports no torch.

        Args:
            write: whether a run will be made.

        Raises:
            UsageError: there is no such run, or a new one has no data or no place to be in.
        """
        from gancli.zoo import catalogue

        self.check_values()
        folder = recipes.folder_to_resume(self.resume, self.out)
        if folder is None and self.data is None:
            raise UsageError("no data was named", "as in `gancli train digits`; `gancli data list` shows more")
        if folder is None and self.out is not None and write:
            catalogue.check_new(self.out)
        return folder

    def check(self, folder: Path | None) -> Checked:
        """The recipe, the weights and the device; no data are loaded.

        Args:
            folder: see :meth:`run_folder`.

        Raises:
            UsageError: what was asked for is not possible.
            GancliError: a file that is damaged, or that cannot be had.
        """
        from gancli.device import pick_device
        from gancli.runs import start

        weights = None
        if folder is not None:
            recipe = recipes.stored(folder, self.data, self.model, self.training_table, self.assignments)
            self._check_start(folder, recipe)
        else:
            weights = start.read(self.weights) if self.weights is not None else None
            recipe = self.new_recipe(weights)
        settings = recipes.evaluation_settings(
            folder, self.evaluate_every, self.best_by, self.evaluate_images, self.data_dir
        )
        device = pick_device(self.device)
        if folder is None and recipe.training.precision == "tf32" and device.type != "cuda":
            raise UsageError(f"tf32 needs an NVIDIA GPU, and this device is {device.type}", "`precision=fp32`, or auto")
        return Checked(self, folder, recipe, device, settings, weights)

    def new_recipe(self, weights: Weights | None, shape: Sequence[int] = (), parts: Collection[str] = ()) -> Recipe:
        """A new recipe, unresolved.

        Args:
            weights: to start from, whose own recipe is the default.
            shape: (C, H, W) of the images; empty where it is not known yet.
            parts: those of :data:`gancli.recipe.PARTS` that hold for the data.
        """
        from gancli.runs import start

        assert self.data is not None
        training = self.training_table
        model: str | Mapping[str, Any] = self.model or recipes.default_model(self.data, shape)
        if weights is not None:
            training["start"] = weights.start(self.freeze_d or 0)
            if self.model is None:
                model = start.recipe_table(weights, self.data, "labelled" in parts)
        return recipes.new(self.data, training, self.assignments, model, parts)

    def _check_start(self, folder: Path, recipe: Recipe) -> None:
        """Refuse to resume a run that started otherwise; it needs the weights that it started from no more."""
        from gancli.zoo import catalogue

        start = recipe.training.start
        then, frozen = (start.model, start.freeze_d) if start else ("noise", 0)
        new = "leave that out to resume the run, or start a new run with another `out`"
        name = self.weights
        with suppress(GancliError):  # it may be gone by now, or the Hub out of reach
            name = catalogue.label(catalogue.find(name)) if name is not None else None
        if name is not None and name != then:
            raise UsageError(f"{folder} started from {then}, not from {name}", new)
        if self.freeze_d is not None and self.freeze_d != frozen:
            raise UsageError(
                f"{folder} was trained with {frozen} frozen layers of the discriminator, not {self.freeze_d}", new
            )


@dataclass(frozen=True)
class Checked:
    """A training that can be started, as far as that is known.

    Attributes:
        request: what was asked for.
        folder: the run that is resumed; None for a new one.
        recipe: of the training; see :meth:`fitted`.
        device: where it computes.
        settings: how it is evaluated; None: not at all.
        weights: that a new training starts from.
        sources: where the weights of each network come from, once that is known.
    """

    request: Request
    folder: Path | None
    recipe: Recipe
    device: torch.device
    settings: Settings | None
    weights: Weights | None
    sources: Sequence[Source] = ()

    def load(self, world: World = ALONE, progress: Progress | None = None) -> Dataset:
        """The data; the first process loads them before the others.

        Raises:
            UsageError: an unknown name or class.
            GancliError: a download that failed, a damaged file.
        """
        from gancli.data.requested import load_for
        from gancli.runs.state import split_of

        divided, seed = split_of(self.folder) if self.folder else None, self.recipe.training.seed
        with first_alone(world):
            return load_for(
                self.recipe.data, data_dir=self.request.data_dir, progress=progress, seed=seed, divided=divided
            )

    def fitted(self, dataset: Dataset) -> Checked:
        """With the recipe for the shape and the classes of the data.

        Raises:
            UsageError: the model does not fit the data, or the weights do not fit the model.
        """
        from gancli.recipe import parts_for
        from gancli.runs import planning, start

        recipe = self.recipe
        if self.folder is None:
            shape, count = dataset.images.shape[1:], len(dataset.images)
            parts = parts_for(len(dataset.classes) > 1, shape, count)
            recipe = self.request.new_recipe(self.weights, shape, parts)
            if "labelled" in parts and not recipe.latent.classes:
                # A command that sets latent.classes to 0 gets an unconditional model.
                recipe = self.request.new_recipe(self.weights, shape, parts_for(False, shape, count))
        self._check_kind(recipe, dataset)
        if self.folder is not None:
            return self
        sources = start.check(planning.resolve(recipe, dataset, self.device), self.weights)
        return replace(self, recipe=recipe, sources=sources)

    def _check_kind(self, recipe: Recipe, dataset: Dataset) -> None:
        """Refuse to train a model of images on numbers, before an architecture calls their shape too small an image."""
        outputs = {network.options["output"] for network in recipe.networks.values() if "output" in network.options}
        if dataset.formula is not None and outputs and "linear" not in outputs:
            name = "weights" if recipe.training.start else "model"
            raise UsageError(
                f"'{recipe.model}' makes images, and {recipe.data.name} holds numbers",
                f"leave out `{name}`, or give a perceptron a linear output: `model=gan` "
                "`networks.generator.output=linear`",
            )

    def try_out(self, dataset: Dataset, world: World = ALONE) -> None:
        """Build the networks of a new training once, so that all that does not fit together is refused.

        Raises:
            UsageError: the recipe's parts do not fit together, or the processes cannot share a batch.
        """
        from gancli.runs import planning
        from gancli.training.checks import rows_of_parts

        rows_of_parts(self.recipe, world)
        if self.folder is None:
            planning.halfway(planning.resolve(self.recipe, dataset, self.device), dataset, self.device)

    @property
    def measured(self) -> bool:
        """Whether planning takes seconds, because the budget of a new training is in minutes."""
        from gancli.runs import planning

        return self.folder is None and planning.in_minutes(self.recipe)

    def plan(self, dataset: Dataset, world: World = ALONE, measured: bool = False) -> Plan:
        """Threads, precision and rounds.

        Args:
            dataset: that the recipe was fitted to.
            world: the processes that are to train.
            measured: whether to measure the speed in any case.

        Raises:
            GancliError: too little memory.
        """
        from gancli.runs import planning
        from gancli.runs.memory import explain_out_of_memory

        resumed = self.folder is not None
        with explain_out_of_memory(self.recipe, self.device, world):
            return planning.make(self.recipe, dataset, self.device, measured or self.measured, world, resumed)

    def out(self, plan: Plan, world: World = ALONE) -> Path:
        """The run folder: that of the run that is resumed, the one asked for, or a new one under ``runs/``."""
        name = str(recipes.new_folder(plan.recipe.model, plan.recipe.data.name))
        return self.folder or self.request.out or Path(world.broadcast(name))

    def run(self, out: Path, plan: Plan, dataset: Dataset, world: World = ALONE) -> Run:
        """The run, see :class:`gancli.runs.run.Run`."""
        from gancli.runs.run import Run

        asked = self.request
        return Run(
            out,
            plan.recipe,
            dataset,
            self.device,
            asked.save_every,
            self.settings,
            asked.keep,
            world,
            plan.minutes,
            asked.longer,
            self.weights,
        )
