"""The view "runs": trainings that are going on, or have ended, by the files of their folders. Imports no torch.

Training knows nothing of it: it writes its metrics and sample grids as it always does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi import Path as InPath
from fastapi.responses import FileResponse, JSONResponse

from gancli.errors import GancliError, UsageError
from gancli.page.server import View
from gancli.runs import comparing, listing
from gancli.runs.following import Followed

Index = Annotated[int, InPath(ge=0, lt=comparing.MOST)]
Round = Annotated[int, InPath(ge=0, lt=10**8)]


def view(folders: Sequence[Path]) -> View:
    """The view of runs.

    Args:
        folders: at most :data:`gancli.runs.comparing.MOST`; one that does not exist is waited for.

    Raises:
        UsageError: too many, or one twice.
    """
    if not 1 <= len(folders) <= comparing.MOST:
        raise UsageError(f"{len(folders)} runs cannot be shown together", f"name one to {comparing.MOST}")
    return View("runs", "Training" if len(folders) == 1 else "Trainings", Runs(folders).router())


class Runs:
    """The API of the view.

    Args:
        folders: of the runs.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._followed = [Followed(folder) for folder in folders]
        self._labels = comparing.labels([listing.read(folder) for folder in folders])
        self._lock = Lock()  # two windows of a browser read what is new together

    def router(self) -> APIRouter:
        """Its paths."""
        found = APIRouter()
        endpoints: Sequence[tuple[str, Callable[..., Any]]] = (
            ("/state", self.state),
            ("/{run}/curves", self.curves),
            ("/{run}/samples/{number}.png", self.sample),
        )
        for path, endpoint in endpoints:
            found.add_api_route(path, endpoint, methods=["GET"], response_model=None)
        return found

    # The endpoints are no coroutines: the server calls them in threads, where they may read files.

    def state(self) -> Response:
        """How far each run is, its findings, evaluations and sample grids."""
        with self._lock:
            for followed in self._followed:
                followed.update()
            found = [followed.status() for followed in self._followed]
        pairs = zip(found, self._labels, strict=True)
        return JSONResponse([{**status, "label": label} for status, label in pairs])

    def curves(self, run: Index) -> Response:
        """The metrics of a run, thinned, as columns by name."""
        with self._lock:
            followed = self._one(run)
            return JSONResponse({"version": followed.version, "columns": followed.curves.columns()})

    def sample(self, run: Index, number: Round) -> Response:
        """The sample grid of a round."""
        path = self._one(run).sample(number)
        if path.is_symlink() or not path.is_file():
            raise GancliError(f"there is no sample grid of round {number:,}", "reload the page")
        return FileResponse(path, media_type="image/png")

    def _one(self, run: int) -> Followed:
        if run >= len(self._followed):
            raise GancliError(f"there is no run {run}", "reload the page")
        return self._followed[run]
