"""The view "lab": a GAN of points in the plane, trained before one's eyes. Imports no torch."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from gancli.data.paths import is_table
from gancli.errors import UsageError
from gancli.page.lab_loop import Loop, Speed
from gancli.page.lab_settings import OWN, Settings, recipe_of
from gancli.page.server import View

if TYPE_CHECKING:
    from gancli.data.points import Points
    from gancli.page.lab_session import Session

FORMULAS = ("ring", "grid", "swissroll")
"""The data sets of points that come with gancli."""

DRAWN = "drawn.csv"
"""The file of drawn points, as it is downloaded."""

Coordinate = Annotated[float, Field(ge=-1000, le=1000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Run(_Body):
    """How to train from now on."""

    speed: Speed


class Steps(_Body):
    """Whose steps to take."""

    player: Literal["generator", "discriminator", "both"]


class Drawn(_Body):
    """Points that were drawn."""

    points: Annotated[list[tuple[Coordinate, Coordinate]], Field(min_length=10, max_length=5000)]


def is_lab(data: str) -> bool:
    """Whether a name is that of data which the lab trains on."""
    return data in FORMULAS or is_table(data)


def view(data: str) -> View:
    """The lab for a data set: its name, or the path of a CSV of points.

    Raises:
        UsageError: data that is neither.
    """
    if not is_lab(data):
        raise UsageError(f"'{data}' is no data set of points", f"{', '.join(FORMULAS)}, or a CSV of points")
    return View("lab", "Lab", Lab(data).router())


class Lab:
    """The API of a lab.

    Args:
        data: the data set that it starts with, see :func:`is_lab`.

    Attributes:
        loop: the thread that trains, from the first request on.
        table: the CSV that the user's own data come from; None where they are drawn.
    """

    def __init__(self, data: str) -> None:
        own = data not in FORMULAS
        self.table = str(Path(data).expanduser().resolve()) if own else None
        settings = Settings.model_validate({"data": OWN if own else data})
        self.loop = Loop(settings, self._points if own else None)

    def router(self) -> APIRouter:
        """Its paths."""
        found = APIRouter()
        endpoints: Sequence[tuple[str, str, Callable[..., Any]]] = (
            ("GET", "state", self.state),
            ("GET", "frame", self.frame),
            ("POST", "settings", self.change),
            ("POST", "run", self.run),
            ("POST", "step", self.step),
            ("POST", "restart", self.restart),
            ("POST", "points", self.draw),
            ("GET", "lab.toml", self.recipe),
            ("GET", DRAWN, self.drawn),
        )
        for method, path, endpoint in endpoints:
            found.add_api_route(f"/{path}", endpoint, methods=[method], response_model=None)
        return found

    # The endpoints are no coroutines: the server calls them in threads, where they may wait for that of the lab.

    def state(self) -> dict[str, Any]:
        """What a page begins with: settings, real points, curves and log."""
        return self.loop.do(self._state)

    def frame(self, after: int = 0) -> Response:
        """The next frame; null where there is none yet."""
        return JSONResponse(self.loop.frame(after))

    def change(self, settings: Settings) -> dict[str, Any]:
        """Train with other settings from now on."""

        def work(session: Session) -> list[str]:
            if settings.data == OWN and session.points is None:
                raise UsageError("there are no points of your own yet", "draw some first")
            changes = settings.changes(session.settings)
            session.change(settings)
            return changes

        return self._changed(work)

    def run(self, asked: Run) -> dict[str, Any]:
        """Train, or pause."""

        def work(session: Session) -> dict[str, Any]:
            self.loop.run("paused" if session.diverged else asked.speed)
            if self.loop.speed == "paused":
                session.finish_round()
                self.loop.show(session)
            return {"speed": self.loop.speed}

        return self.loop.do(work)

    def step(self, asked: Steps) -> dict[str, Any]:
        """One round, or a round in which one side alone is trained."""

        def work(session: Session) -> dict[str, Any]:
            self.loop.speed = "paused"
            if asked.player == "both":
                session.round()
            else:
                session.step(asked.player)
            self.loop.show(session, "" if asked.player == "both" else asked.player)
            return {"round": session.trainer.rounds}

        return self.loop.do(work)

    def restart(self) -> dict[str, Any]:
        """Start again from the weights of the seed."""

        def work(session: Session) -> list[str]:
            session.restart()
            return ["started again"]

        return self._changed(work)

    def draw(self, asked: Drawn) -> dict[str, Any]:
        """Train on points that were drawn."""

        def work(session: Session) -> list[str]:
            import torch

            from gancli.data.points import Points

            session.bring(Points("drawn", torch.tensor(asked.points, dtype=torch.float32)))
            self.table = None
            return [f"data: {len(asked.points):,} points of your own"]

        return self._changed(work)

    def recipe(self) -> Response:
        """The recipe that trains with these settings, with the command and the log in its comments."""

        def work(session: Session) -> str:
            data = self._data(session)
            lines = [
                f"# `gancli train {shlex.quote(data)} --model lab.toml` trains with these settings.",
                f"# They are those of the lab in round {session.trainer.rounds:,}. Changes there, by round:",
                *(f"#   {number:,}: {json.dumps(text, ensure_ascii=False)[1:-1]}" for number, text in self.loop.log),
            ]
            return "\n".join(lines) + "\n\n" + recipe_of(session.settings, data).to_toml()

        return Response(self.loop.do(work), media_type="application/toml")

    def drawn(self) -> Response:
        """The points that were drawn, as a CSV."""

        def work(session: Session) -> str:
            if session.points is None:
                raise UsageError("there are no points of your own yet", "draw some first")
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(session.points.columns)
            writer.writerows([[f"{value:.9g}" for value in row] for row in session.points.rows.tolist()])
            return text.getvalue()

        return Response(self.loop.do(work), media_type="text/csv")

    def _points(self) -> Points:
        from gancli.data.points import read

        return read(Path(self.table or ""))

    def _changed(self, work: Callable[[Session], list[str]]) -> dict[str, Any]:
        """Change something, log what was changed, and give the new state."""

        def whole(session: Session) -> dict[str, Any]:
            at = session.trainer.rounds
            for text in work(session):
                self.loop.note(at, text)
            if session.trainer.rounds == 0:
                self.loop.curves.clear()
            self.loop.show(session)
            return self._state(session)

        return self.loop.do(whole)

    def _data(self, session: Session) -> str:
        """The data as `gancli train` takes them."""
        return session.settings.data if session.settings.data != OWN else self.table or DRAWN

    def _state(self, session: Session) -> dict[str, Any]:
        return {
            "settings": session.settings.model_dump(),
            "data": self._data(session),
            "own": None if session.points is None else self.table or DRAWN,
            "real": session.real(),
            "speed": self.loop.speed,
            "log": list(self.loop.log),
            "curves": list(self.loop.curves),
        }
