"""gancli: train, sample and evaluate generative adversarial networks.

>>> import gancli
>>> images = gancli.load("dcgan/mnist").sample(seeds=range(64))  # uint8, (64, 1, 28, 28)
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"
__all__ = ["GancliError", "Model", "__version__", "load"]

if TYPE_CHECKING:
    from gancli.errors import GancliError
    from gancli.model import Model, load


def __getattr__(name: str) -> Any:
    # Resolved on first use, so that `gancli --help` does not pay for torch.
    if name in ("Model", "load"):
        from gancli import model

        return getattr(model, name)
    if name == "GancliError":
        from gancli.errors import GancliError

        return GancliError
    raise AttributeError(f"module 'gancli' has no attribute {name!r}")
