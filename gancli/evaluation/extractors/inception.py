"""Inception v3 as torch-fidelity has it, for figures that compare with those of papers.

The weights are torch-fidelity's file, which is not part of this package: it is a pickle of 95 MB. It is read only after
its SHA-256 was held against the digits in its name, and then as tensors alone (``weights_only=True``).
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from gancli.data.paths import cache_folder
from gancli.errors import GancliError

FILE = URL_INCEPTION_V3.rsplit("/", 1)[1]
PREFIX = FILE.removesuffix(".pth").rsplit("-", 1)[1]
"""How the SHA-256 of the file begins."""
VARIABLE = "GANCLI_INCEPTION"
_PART = 25
"""Images of 299x299 at a time: the first layers take 15 MB each."""


class Inception(FeatureExtractorInceptionV3):
    """torch-fidelity's network, without its weights until they are loaded, called as extractors are."""

    def __init__(self) -> None:
        # The constructor would fetch a file and run code that stands in it: what it fetches here is empty.
        with patch(f"{FeatureExtractorInceptionV3.__module__}.load_state_dict_from_url", return_value={}):
            super().__init__("inception", ["2048", "logits_unbiased"])

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **options: Any) -> Any:
        """As of every module; the constructor's empty one changes nothing."""
        return super().load_state_dict(state_dict, *args, **options) if state_dict else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, 3, H, W) in [0, 1] to features (N, 2048) and logits (N, 1008) without bias, as the Inception score
        takes them; brought to 299x299 on the way, as TensorFlow 1 did."""
        parts = [super(Inception, self).forward(part) for part in (x * 255).round().byte().split(_PART)]
        features, logits = (torch.cat(each) for each in zip(*parts, strict=True))
        return features, logits


def read(prefix: str = PREFIX) -> Mapping[str, Tensor]:
    """The weights: the file that ``$GANCLI_INCEPTION`` names, else that of the cache folder, downloaded if need be.

    Args:
        prefix: how the file's SHA-256 must begin; another one than torch-fidelity's admits another file.

    Raises:
        GancliError: no file and no network, or a file of other bytes.
    """
    named = os.environ.get(VARIABLE)
    path = Path(named).expanduser() if named else cache_folder() / "extractors" / FILE
    by_hand = f"put {URL_INCEPTION_V3} (SHA-256 {prefix}...) there, or name its place with {VARIABLE}"
    try:
        if not named and not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(URL_INCEPTION_V3, str(path), prefix, progress=False)
        content = path.read_bytes()
    except (OSError, HTTPException, RuntimeError) as error:
        raise GancliError(f"the weights of the extractor 'inception' are missing: {path} ({error})", by_hand) from None
    found = hashlib.sha256(content).hexdigest()
    if not found.startswith(prefix):
        raise GancliError(
            f"{path} is not the extractor 'inception': its SHA-256 is {found[:12]}..., not {prefix}...", by_hand
        )
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        # torch refuses with an error of the module that must not be imported here.
        raise GancliError(f"{path} holds more than tensors, or is damaged", by_hand) from error
