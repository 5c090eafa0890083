"""Who asks a training to stop, and how."""

import os
import signal
import sys

import pytest

from gancli.library.interrupt import Stop, graceful

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind do not exist on Windows")


class Left(Exception):
    """Raised where the program would have ended."""


@pytest.fixture(autouse=True)
def ends(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Exit codes of what would have ended at once."""
    codes: list[int] = []

    def leave(code: int) -> None:
        codes.append(code)
        raise Left

    monkeypatch.setattr(os, "_exit", leave)
    return codes


def test_sigterm_only_asks_however_often_it_comes(ends: list[int]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with graceful() as stop:
        assert not stop()
        for _ in range(3):
            signal.raise_signal(signal.SIGTERM)
        assert stop()
        assert stop.code == 143
    assert signal.getsignal(signal.SIGTERM) == before
    assert ends == []


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_at_once_if_something_asked_before(ends: list[int], first: signal.Signals) -> None:
    with graceful() as stop:
        signal.raise_signal(first)
        assert stop.code == 128 + first
        assert ends == []
        with pytest.raises(Left):
            signal.raise_signal(signal.SIGINT)
    assert ends == [130]


def test_the_exit_code_names_the_signal_also_where_another_process_got_it() -> None:
    assert [Stop(number).code for number in (signal.SIGINT, signal.SIGTERM, 0)] == [130, 143, 143]
