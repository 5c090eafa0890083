"""gancli: train, sample and evaluate generative adversarial networks.

>>> import gancli
>>> images = gancli.load("dcgan/mnist").sample(seeds=range(64))  # uint8, (64, 1, 28, 28)
>>> run = gancli.train("digits", minutes=1, progress=print)
>>> report = gancli.evaluate(run)
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"
__all__ = ["GancliError", "Model", "Progress", "Trained", "__version__", "evaluate", "load", "train"]

if TYPE_CHECKING:
    from gancli.errors import GancliError
    from gancli.library.evaluate import evaluate
    from gancli.library.progress import Progress
    from gancli.library.train import train
    from gancli.library.trained import Trained
    from gancli.model import Model, load


def __getattr__(name: str) -> Any:
    # Resolved on first use, so that `gancli --help` does not pay for torch.
    if name in ("Model", "load"):
        from gancli import model as module
    elif name == "train":
        from gancli.library import train as module
    elif name == "evaluate":
        from gancli.library import evaluate as module
    elif name == "Trained":
        from gancli.library import trained as module
    elif name == "Progress":
        from gancli.library import progress as module
    elif name == "GancliError":
        from gancli import errors as module
    else:
        raise AttributeError(f"module 'gancli' has no attribute {name!r}")
    return getattr(module, name)
