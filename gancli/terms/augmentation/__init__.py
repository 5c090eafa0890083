"""Differentiable augmentation of every image that a discriminator sees.

To add one: a subclass of :class:`Augmentation` in a file of its own, and a row in ``AUGMENTATIONS``. Its options in a
recipe are its keyword-only parameters.
"""

from collections.abc import Callable

from gancli.terms.augmentation.adaptive import AdaptiveAugmentation
from gancli.terms.augmentation.base import Augmentation, Random
from gancli.terms.augmentation.diffaugment import DiffAugment

__all__ = ["AUGMENTATIONS", "AdaptiveAugmentation", "Augmentation", "DiffAugment", "Random"]

AUGMENTATIONS: dict[str, Callable[..., Augmentation]] = {"diffaugment": DiffAugment, "ada": AdaptiveAugmentation}
