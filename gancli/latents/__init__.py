"""What goes into a generator: seeds, the latents that they stand for, paths between latents, truncation.

A generator takes named inputs: ``generator(**spec.from_seeds(range(64)))``. There is always ``z``; a model with classes
also takes ``y`` and one with codes ``c``, and callers that pass the whole dictionary on need not know. A point of the
space that a mapping network makes is ``w``.
"""

from gancli.latents.paths import Ease, path, way
from gancli.latents.seeds import MAX_SEED, MAX_SEEDS, Seeds, parse_seeds, seeds_text
from gancli.latents.spec import Inputs, LatentSpec, Space, batches
from gancli.latents.truncation import Strategy

__all__ = [
    "MAX_SEED",
    "MAX_SEEDS",
    "Ease",
    "Inputs",
    "LatentSpec",
    "Seeds",
    "Space",
    "Strategy",
    "batches",
    "parse_seeds",
    "path",
    "seeds_text",
    "way",
]
