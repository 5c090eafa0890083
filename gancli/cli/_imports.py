"""Imports that take seconds, made as fast as they can be."""

import atexit
import gc
import sys
from importlib import import_module


def import_quickly(*modules: str) -> None:
    """Import modules without searching for garbage meanwhile.

    Half a million objects come, and all of them stay: a search for those that could go finds none, hundreds of times,
    which is an eighth of the time. Afterwards they are left out of every search.

    Args:
        modules: full names; where all are there already, nothing is done.
    """
    if not gc.isenabled() or all(name in sys.modules for name in modules):
        return
    gc.disable()
    try:
        for name in modules:
            import_module(name)
    finally:
        gc.enable()
        gc.freeze()
        atexit.register(_at_the_end)


def _at_the_end() -> None:
    # What torch._dynamo imports complains about objects that are left over; without it, the last searches are spared.
    if "torch._dynamo" in sys.modules:
        gc.unfreeze()
