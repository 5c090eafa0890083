"""What a figure was measured by: without it no two figures compare."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import gancli

OF_THE_SUBJECT = frozenset({"seeds", "repeats", "parts", "ema", "resize", "colour"})
"""Parts of a protocol that say what was evaluated, not how: subjects that differ in these alone compare."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Everything that a figure depends on beside the subject; it stands in reports, JSON and headers of weights.

    What does not apply to a kind of subject is None.

    Attributes:
        data: the data set.
        data_fingerprint: digest of its held-out images, or of its formula.
        split: the split that real images come from, "all" of a set that has no held-out one.
        real_images: how many of them.
        generated_images: how many images, numbers or translations were made; of cycles, how many sources.
        ema: whether the sampled network was the running average of the weights; None when the model does not say.
        method: what is measured, in words.
        source: what sources were made by, or the data set that they come from.
        baseline: the simplest repair of the sources, in words; empty where there is none.
        extractor: the network whose features or predictions were used.
        extractor_sha256: digest of that network's weights.
        floor_images: how many training images gave the floor.
        held_out_images: how many held-out images the metrics of held-out images took, where all others compare with
            training images.
        seeds: the seeds of the generated images of all sets, both ends included.
        repeats: independent sets of generated images; figures are their means.
        parts: 0 of sets of images; part of the fingerprints of earlier reports.
        truncation: the largest value that latents could have; None for no limit, and for images of a folder.
        resize: "none", or from which size to which, on which side, and how.
        colour: "none", or on which side colour was turned to grey.
        alpha: what became of transparency; None where images have none.
        gancli: version of this program.
    """

    data: str
    data_fingerprint: str
    split: str
    real_images: int
    generated_images: int
    ema: bool | None = None
    method: str | None = None
    source: str | None = None
    baseline: str | None = None
    extractor: str | None = None
    extractor_sha256: str | None = None
    floor_images: int | None = None
    held_out_images: int | None = None
    seeds: str | None = None
    repeats: int | None = None
    parts: int | None = None
    truncation: float | None = None
    resize: str | None = None
    colour: str | None = None
    alpha: str | None = None
    gancli: str = field(default_factory=lambda: gancli.__version__)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON of what applies."""
        stated = {"ema"} | ({"truncation"} if self.seeds is not None else set())
        return {name: value for name, value in vars(self).items() if value is not None or name in stated}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Protocol:
        """Read :meth:`to_dict` back, and what version 0.1 wrote."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})

    @property
    def fingerprint(self) -> str:
        """16 hex digits of the SHA-256 over all that a figure depends on: equal ones were measured alike."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]


def differences(one: Protocol, other: Protocol) -> list[tuple[str, Any, Any]]:
    """What keeps figures of two protocols from being compared, with both values; empty where they compare."""
    names = [name for name in vars(one) if name not in OF_THE_SUBJECT]
    pairs = [(name, getattr(one, name), getattr(other, name)) for name in names]
    return [(name, mine, theirs) for name, mine, theirs in pairs if mine != theirs]
