"""Data sets by name, folder, zip or tar shards, as uint8 tensors.

>>> from gancli.data import load
>>> load("digits").images.shape
torch.Size([1442, 1, 8, 8])
"""

from typing import TYPE_CHECKING, Any

from gancli.data.builtin.names import DATASETS

__all__ = ["DATASETS", "Dataset", "Skipped", "load"]

if TYPE_CHECKING:
    from gancli.data.loading import Dataset, Skipped, load


def __getattr__(name: str) -> Any:
    # Resolved on first use, so that lists of names and help do not import torch.
    if name in __all__:
        from gancli.data import loading

        return getattr(loading, name)
    raise AttributeError(f"module 'gancli.data' has no attribute {name!r}")
