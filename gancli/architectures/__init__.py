"""Generators, translators, discriminators and encoders, one file a family; files with ``_`` are shared by families."""

from gancli.architectures._base import (
    Discriminator,
    Encoder,
    Generator,
    MappingGenerator,
    Network,
    Sizes,
    Spec,
    Translator,
)
from gancli.architectures._ranges import from_uint8, to_255, to_uint8

__all__ = [
    "Discriminator",
    "Encoder",
    "Generator",
    "MappingGenerator",
    "Network",
    "Sizes",
    "Spec",
    "Translator",
    "from_uint8",
    "to_255",
    "to_uint8",
]
