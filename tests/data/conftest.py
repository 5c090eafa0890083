"""Fixtures for the tests of data."""

import pytest

from gancli.data import memory


@pytest.fixture
def never_resident(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every data set counts as larger than the memory."""
    monkeypatch.setattr(memory, "resident_limit", lambda: 0)
