"""What a figure was measured by: without it no two figures compare."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


def averaged(header: Mapping[str, Any]) -> bool | None:
    """Whether the weights are a running average, as the recipe in the header says it; None when it does not."""
    training = section(header, "training")
    return training.get("ema") is not None if training else None


def section(header: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A section of the recipe in a header; empty where there is none."""
    recipe = header.get("recipe")
    found = recipe.get(name) if isinstance(recipe, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def fingerprint(protocol: Any) -> str:
    """16 hex digits of the SHA-256 over all that a figure depends on: figures of one fingerprint were found alike.

    Args:
        protocol: a data class.
    """
    return hashlib.sha256(json.dumps(asdict(protocol), sort_keys=True).encode()).hexdigest()[:16]


def plain(value: Any) -> Any:
    """Plain JSON, in which what is no number is nothing."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


OF_THE_SUBJECT = frozenset({"seeds", "repeats", "parts", "ema", "resize", "colour"})
"""Parts of a protocol that say what was judged, not how: subjects that differ in these alone compare."""


def differences(one: Any, other: Any) -> list[tuple[str, Any, Any]]:
    """What keeps figures of two protocols from being compared, with both values; empty where they compare.

    Args:
        one: a data class.
        other: another, not always of the same type.
    """
    mine, theirs = asdict(one), asdict(other)
    parts = [part for part in {**mine, **theirs} if part not in OF_THE_SUBJECT]
    return [(part, mine.get(part), theirs.get(part)) for part in parts if mine.get(part) != theirs.get(part)]


@dataclass(frozen=True)
class PlainReport:
    """What an evaluation found whose figures need nothing beside them; subclasses say of what.

    Attributes:
        model: the model's name.
        protocol: what the figures depend on, a data class.
        results: figures, data classes, the most telling first.
        warnings: reasons to be careful with the figures.
    """

    model: str
    protocol: Any
    results: tuple[Any, ...]
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return plain(
            {
                "model": self.model,
                "protocol": asdict(self.protocol),
                "fingerprint": fingerprint(self.protocol),
                "results": [asdict(result) for result in self.results],
                "warnings": list(self.warnings),
            }
        )


@dataclass(frozen=True)
class Protocol:
    """Everything that a figure depends on beside the model's weights; it stands in reports, JSON and weights.

    Attributes:
        extractor: the network whose features were compared.
        extractor_sha256: digest of that network's weights.
        data: the data set.
        data_fingerprint: digest of its held-out images.
        split: the split that real images come from.
        real_images: how many of them.
        generated_images: how many the model made.
        floor_images: how many training images gave the floor.
        seeds: the seeds of the generated images of all sets, both ends included.
        repeats: independent sets of generated images; figures are their means.
        parts: of a single set that were left out in turn for the intervals; 0 where none were.
        truncation: the largest value that latents could have; None for no limit, and for images that others made.
        resize: "none", or from which size to which, on which side, and how.
        colour: "none", or on which side colour was turned to grey.
        ema: whether the running average of the weights was judged; None when the model does not say.
        gancli: version of this program.
    """

    extractor: str
    extractor_sha256: str
    data: str
    data_fingerprint: str
    split: str
    real_images: int
    generated_images: int
    floor_images: int
    seeds: str
    repeats: int
    parts: int
    truncation: float | None
    resize: str
    colour: str
    ema: bool | None
    gancli: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)
