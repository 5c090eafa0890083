"""The objective: the players of a game, as training asks for them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Literal

from torch import Tensor, nn

from gancli.terms.batch import Batch
from gancli.terms.players import Player
from gancli.terms.step import Step, StepOptions


class Objective(nn.Module):
    """A list of players. A module, so that terms with state are saved with the training.

    A subclass takes the networks by name first and its recipe options as keyword-only parameters.
    """

    networks_needed: ClassVar[Mapping[str, str]] = {}
    """Names that the recipe's ``networks`` must hold, and the role that each plays in its architecture."""

    exported: ClassVar[tuple[str, ...]] = ("generator",)
    """The networks of a model file, averaged where the recipe has an EMA; the first is the one that is sampled."""

    takes: ClassVar[Literal["latent", "source"]] = "latent"
    """What the first exported network is called with: latents, or ``source=images``."""

    labelled: ClassVar[bool] = False
    """Whether the classes that the generator is conditioned on are the labels of the data."""

    second_order: tuple[str, ...] = ()
    """Networks that gradients of gradients are taken through."""

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.step_options = StepOptions(networks, translates=self.takes == "source")

    @property
    @abstractmethod
    def players(self) -> Sequence[Player]:
        """In the order in which they play."""

    def begin(self, step: Step) -> None:
        """Called once a round, before any network is frozen."""

    def preview(
        self, exported: Mapping[str, nn.Module], inputs: dict[str, Tensor], real: Callable[[], Batch]
    ) -> Tensor:
        """Pictures for a run's sample grid, (M, C, H, W) in the generator's range.

        Called with every network in evaluation mode and without gradients.

        Args:
            exported: the exported networks by name, averaged where the recipe has an EMA.
            inputs: latents of the run's fixed seeds, on the device.
            real: the same real data at every call, as many items as there are seeds.
        """
        return exported[self.exported[0]](**inputs)
