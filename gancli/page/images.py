"""The view "images": what a model makes of seeds, and how they are steered. No torch is imported here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import APIRouter, Response

from gancli.errors import UsageError, nearest
from gancli.page.points import Animation, Archive, Directions, Images, Named, Search, Source, Walk, newest, offered
from gancli.page.progress import followed
from gancli.page.server import View
from gancli.page.worker import Worker

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.page.drawing import Shelf, Subject

Result = TypeVar("Result")

ANIMATIONS = {"gif": "image/gif", "webp": "image/webp", "mp4": "video/mp4"}
"""Kinds of files of a walk; the last needs PyAV."""

PART = 4
"""Dimensions that are measured at a time: a slider waits no longer than that."""


class Gallery:
    """The models that the page offers, and the thread that they are used in.

    Args:
        names: of models to show first; the newest run if there are none.
        device: where to compute.
        worker: the thread.

    Raises:
        GancliError: a name that is no model.
    """

    def __init__(self, names: list[str], device: str, worker: Worker) -> None:
        self.named = names or [newest()]
        self.names = offered(self.named)
        self._device, self.worker = device, worker
        self._shelf: Shelf | None = None

    async def use(self, name: str, work: Callable[[Subject], Result]) -> Result:
        """What a function makes of a model, in the thread.

        Raises:
            GancliError: no such model is offered, or the function's own.
        """
        if name not in self.names:
            raise UsageError(f"the page has no model '{name[:40]}'", nearest(name[:40], self.names))
        return await self.worker.run(lambda: work(self._opened().get(self.names[name].path)))

    def _opened(self) -> Shelf:
        if self._shelf is None:
            from gancli.page.drawing import Shelf

            self._shelf = Shelf(self._device)
        return self._shelf


def view(names: list[str], device: str, worker: Worker) -> View:
    """The view for models of these names; see :class:`Gallery`."""
    gallery = Gallery(names, device, worker)
    return View("images", "Images", router(gallery))


def router(gallery: Gallery) -> APIRouter:
    """The view's part of the API. Pixels are sent as they are, uint8 (N, H, W, C), with their shape in a header."""
    routes = APIRouter()

    @routes.get("/models")
    async def models() -> dict[str, Any]:
        models = {name: offer.kind for name, offer in gallery.names.items()}
        animations = [kind for kind in ANIMATIONS if kind != "mp4" or find_spec("av")]
        return {"models": models, "named": gallery.named, "animations": animations}

    @routes.post("/model")
    async def model(asked: Named) -> dict[str, Any]:
        return await gallery.use(asked.model, lambda subject: subject.facts)

    @routes.post("/own")
    async def own(asked: Images) -> dict[str, Any]:
        return await gallery.use(asked.model, lambda subject: subject.own(asked.points[0], asked.truncation))

    @routes.post("/draw")
    async def draw(asked: Images) -> Response:
        return await gallery.use(asked.model, lambda subject: _pixels(subject.images(asked)))

    @routes.post("/png")
    async def png(asked: Images) -> Response:
        return await gallery.use(asked.model, lambda subject: Response(subject.picture(asked), media_type="image/png"))

    @routes.post("/zip")
    async def archive(asked: Archive) -> Response:
        return await gallery.use(
            asked.model, lambda subject: Response(subject.archive(asked), media_type="application/zip")
        )

    @routes.post("/walk")
    async def walk(asked: Walk) -> Response:
        return await gallery.use(asked.model, lambda subject: _pixels(subject.walk(asked)))

    @routes.post("/animation")
    async def animation(asked: Animation) -> Response:
        return await gallery.use(
            asked.model, lambda subject: Response(subject.animation(asked), media_type=ANIMATIONS[asked.kind])
        )

    @routes.post("/translate")
    async def translate(asked: Source) -> Response:
        """Two images: what the model gets, and what it makes of it."""
        return await gallery.use(asked.model, lambda subject: _pixels(subject.translate(asked)))

    @routes.post("/search")
    async def search(asked: Search) -> Response:
        """A picture's latent, or what fills its hole, with the search's progress; others are answered meanwhile."""

        def start(progress: Callable[[int], None]) -> Awaitable[dict[str, Any]]:
            def step(steps: int) -> None:
                progress(steps)
                gallery.worker.next()

            return gallery.use(asked.model, lambda subject: subject.search(asked, step))

        return followed(start)

    @routes.post("/order")
    async def order(asked: Named) -> dict[str, Any]:
        """Dimensions, the one that changes images most first; measured in parts, between which others are answered."""
        dims = range(await gallery.use(asked.model, lambda subject: subject.dims))
        changes: list[float] = []
        for first in range(0, len(dims), PART):
            part = dims[first : first + PART]
            changes += await gallery.use(asked.model, lambda subject, part=part: subject.changes(part))
        return {"dims": sorted(dims, key=lambda dim: -changes[dim])}

    @routes.post("/directions")
    async def directions(asked: Directions) -> dict[str, Any]:
        return await gallery.use(asked.model, lambda subject: subject.directions(asked.find))

    return routes


def _pixels(made: Tensor) -> Response:
    """Images (N, C, H, W) with channels last, or rows of numbers (N, width), as bytes."""
    if made.dim() == 4:
        made = made.permute(0, 2, 3, 1)
    shape = ",".join(map(str, made.shape))
    content = made.contiguous().numpy().tobytes()
    return Response(content, media_type="application/octet-stream", headers={"x-shape": shape})
