"""What a figure was measured by: without it no two figures compare."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


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
        seeds: the seeds of the generated images, both ends included.
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
    resize: str
    colour: str
    ema: bool | None
    gancli: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)
