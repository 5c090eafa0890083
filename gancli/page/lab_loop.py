"""The thread that trains in the lab: commands come by a queue, and the newest frame waits for the page. Imports torch
in the thread alone, so that the page is there before it."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Literal

from gancli.errors import GancliError
from gancli.page.lab_settings import Settings

if TYPE_CHECKING:
    from gancli.data.points import Points
    from gancli.page.lab_session import Session

Speed = Literal["paused", "slow", "steady", "fast"]
"""Slow: one player's steps at a time, as long as a person needs to see what they change. Steady: one round a frame.
Fast: as many rounds between two frames as there is time for."""

MOST_WAITING = 32
"""Commands that wait at most."""

FRAME, SLOW = 1 / 25, 0.8
"""Seconds from one frame to the next, and from one player's steps to the next player's in slow motion."""

AWAY = 6.0
"""Seconds without a request for a frame after which the training pauses: the page was closed."""

PATIENCE = 300.0
"""Seconds that a request waits for its command: the first one waits until torch is imported."""

MOST_LOGGED, MOST_POINTS = 200, 600
"""Changes that are remembered, and points of the curves: of twice as many, every other one is dropped."""

Command = Callable[["Session"], object]


class Loop:
    """The lab's training in a thread of its own.

    Args:
        settings: what it starts with.
        points: the user's own data, where the settings name them.

    Attributes:
        speed: how it trains at the moment.
        log: (round, what was changed), the last ones.
        curves: (round, losses and figures by name), thinned.
    """

    def __init__(self, settings: Settings, points: Callable[[], Points] | None = None) -> None:
        self._settings, self._points = settings, points
        self.speed: Speed = "paused"
        self.log: deque[tuple[int, str]] = deque(maxlen=MOST_LOGGED)
        self.curves: list[tuple[int, dict[str, float | None]]] = []
        self._commands: queue.Queue[tuple[Command, Future[Any]] | None] = queue.Queue(MOST_WAITING)
        self._ready = threading.Condition()
        self._frame: dict[str, Any] = {}
        self._number, self._asked = 0, time.monotonic()
        self._cost = 0.0  # seconds of the last frame
        self._beginning = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="lab", daemon=True)

    def stop(self) -> None:
        """End the thread, after the commands that wait."""
        if self._thread.ident is not None:
            self._commands.put(None)
            self._thread.join()

    def do(self, command: Command) -> Any:
        """What a command returns, which is called in the thread between two steps.

        Raises:
            GancliError: too many wait already, or the command's own error.
        """
        done: Future[Any] = Future()
        with self._beginning:
            if self._thread.ident is None:  # with the page's first request, so that torch is imported after it is there
                self._thread.start()
        try:
            self._commands.put_nowait((command, done))
        except queue.Full:
            raise GancliError(f"{MOST_WAITING} requests wait already", "try again in a moment") from None
        try:
            return done.result(PATIENCE)
        except TimeoutError:
            raise GancliError(f"the lab has not answered for {PATIENCE:.0f} seconds", "reload the page") from None

    def frame(self, after: int, patience: float = 1.0) -> dict[str, Any] | None:
        """The newest frame with a larger number; None where there is none within so many seconds."""
        self._asked = time.monotonic()
        with self._ready:
            self._ready.wait_for(lambda: self._number > after, patience)
            return self._frame | {"speed": self.speed} if self._number > after else None

    def run(self, speed: Speed) -> None:
        """Train in this way from now on, as long as frames are asked for."""
        self.speed, self._asked = speed, time.monotonic()

    def note(self, number: int, text: str) -> None:
        """Log a change that was made in a round."""
        self.log.append((number, text))

    def show(self, session: Session, stage: str = "") -> None:
        """Make a new frame; ``stage`` names the player whose steps were just taken."""
        made = session.frame()
        if made["losses"] and (not self.curves or self.curves[-1][0] < made["round"]):
            self.curves.append((made["round"], made["losses"] | made["figures"]))
            if len(self.curves) > 2 * MOST_POINTS:
                del self.curves[::2]
        if made["diverged"] and self.speed != "paused":
            self.speed = "paused"
            self.note(made["round"], "diverged: a value is not finite; restart with smaller learning rates")
        with self._ready:
            self._number += 1
            self._frame = made | {"number": self._number, "stage": stage}
            self._ready.notify_all()

    def _work(self) -> None:
        from gancli.page.lab_session import Session

        failure: BaseException | None = None
        session: Session | None = None
        try:
            session = Session(self._settings, self._points() if self._points else None)
            self.show(session)
        except Exception as error:  # told by whatever is asked of it
            failure = error
        wait: float | None = None
        while True:
            try:
                asked = self._commands.get(timeout=wait) if wait != 0 else self._commands.get_nowait()
            except queue.Empty:
                assert session is not None
                try:
                    wait = self._train(session)
                except Exception as error:
                    self.speed, wait = "paused", None
                    self.note(session.trainer.rounds, f"stopped: {error}")
                continue
            if asked is None:
                return
            command, done = asked
            try:
                if failure is not None or session is None:
                    raise failure or RuntimeError("no session")
                done.set_result(command(session))
            except Exception as error:
                done.set_exception(error)
            wait = None if self.speed == "paused" else 0

    def _train(self, session: Session) -> float | None:
        """What one frame shows, and the frame; seconds until the next one, None while paused."""
        begun = time.monotonic()
        if begun - self._asked > AWAY:
            self.speed = "paused"
        stage = ""
        if self.speed == "slow":
            stage = session.advance()
        elif self.speed == "steady":
            session.round()
        elif self.speed == "fast":
            until = begun + FRAME - self._cost
            session.round()
            while time.monotonic() < until:
                session.round()
        else:
            return None
        computed = time.monotonic()
        self.show(session, stage)
        now = time.monotonic()
        self._cost = now - computed
        pause = SLOW if self.speed == "slow" else FRAME
        return None if self.speed == "paused" else max(0.0, begun + pause - now)
