"""Makes ``tiny`` importable, and leaves one thread to these very small networks."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def narrow(one_thread: None) -> None:
    """Every test of this folder."""
