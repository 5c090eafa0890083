"""Pictures of the page of ``gancli explore`` in use, by clicks and drags in Chromium.

    python -m benchmarks.tour

writes docs/pictures/explore.gif, and explore.png, its first view in a larger window.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image, ImageDraw

from benchmarks import chromium
from benchmarks.page import served

MODEL = "quick/mnist"
GANCLI = [str(Path(sys.executable).with_name("gancli"))]
"""Started so, it shows its commands as `gancli …`."""

FOLDER = Path(__file__).parents[1] / "docs/pictures"

WINDOW = {"width": 1000, "height": 660}
WIDTH = 800
"""Pixels of the GIF; its height follows from the window."""

LARGE = {"width": 1280, "height": 740}

COLOURS = 128
"""Of all frames together: a palette for each would flicker, and cost more."""

RARE = [(255, 90, 60), (190, 40, 20), (36, 86, 200)]
"""Colours of few pixels, the hole's and the accent's, which a palette of the most frequent ones would lack."""

POINTER = [(0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12)]

# The seeds that the page draws at random are the same every time.
STEADY = "let drawn = 0; Math.random = () => [0.0314, 0.0271, 0.1618][drawn++ % 3];"


class Tour:
    """Screenshots of a page, with the pointer where it was last.

    Args:
        page: of Playwright.
    """

    def __init__(self, page: Any) -> None:
        self._page = page
        self._at = 0.0, 0.0
        self.frames: list[tuple[Image.Image, int]] = []

    def shoot(self, milliseconds: int = 900) -> None:
        """Keep what is seen now for so long."""
        shot = Image.open(io.BytesIO(self._page.screenshot())).convert("RGB")
        x, y = self._at
        if x or y:
            outline = [(x + across, y + down) for across, down in POINTER]
            ImageDraw.Draw(shot).polygon(outline, fill="black", outline="white")
        self.frames.append(
            (shot.resize((WIDTH, WIDTH * shot.height // shot.width), Image.Resampling.LANCZOS), milliseconds)
        )

    def click(self, selector: str, wait: str = "") -> None:
        """Click, and wait for a selector."""
        self._move(self._page.locator(selector).first, 0.5, 0.5)
        self._page.mouse.down()
        self._page.mouse.up()
        if wait:
            self._page.wait_for_selector(wait)
        self._page.wait_for_load_state("networkidle")

    def _move(self, locator: Any, across: float, down: float) -> None:
        locator.scroll_into_view_if_needed()
        box = locator.bounding_box()
        self._at = box["x"] + across * box["width"], box["y"] + down * box["height"]
        self._page.mouse.move(*self._at)

    def drag(self, selector: str, points: list[tuple[float, float]]) -> Iterator[None]:
        """Press at the first point, in shares of an element, and go to the others, one at a time."""
        locator = self._page.locator(selector).first
        self._move(locator, *points[0])
        self._page.mouse.down()
        for point in points[1:]:
            self._move(locator, *point)
            self._page.wait_for_timeout(300)
            yield
        self._page.mouse.up()


def seven(path: Path) -> None:
    """A digit that a person could have drawn, 28 x 28."""
    large = Image.new("L", (224, 224))
    ImageDraw.Draw(large).line([(60, 58), (160, 58), (104, 176)], fill=255, width=22, joint="curve")
    large.resize((28, 28), Image.Resampling.LANCZOS).save(path)


def explore(page: Any, tour: Tour, folder: Path) -> None:
    """Seeds, a class, a dimension, a walk, and a picture whose hole is filled."""
    tour.shoot(1400)
    tour.click("[aria-label='Seed 10']")
    tour.shoot()
    tour.click("#tab-steer", "[aria-label='Dimensions'] input")
    page.get_by_role("combobox", name="Class", exact=True).select_option("3")
    page.wait_for_load_state("networkidle")
    tour.shoot(1200)
    for _ in tour.drag("[aria-label='Dimensions'] input", [(0.5, 0.5), (0.3, 0.5), (0.1, 0.5), (0.6, 0.5), (0.9, 0.5)]):
        tour.shoot(450)
    tour.click("#tab-walk", ".preview canvas[data-frame]")
    page.locator(".preview").scroll_into_view_if_needed()
    for frame in (0, 10, 20, 30):
        page.locator("[aria-label='Frame']").fill(str(frame))
        tour.shoot(450)
    page.evaluate("() => scrollTo(0, 0)")
    tour.click("#tab-picture")
    seven(folder / "seven.png")
    page.set_input_files("#picture", folder / "seven.png")
    page.get_by_label("Steps").fill("200")
    tour.click("text=Find its latent", "[data-shown^='reconstruct']")
    tour.shoot(1400)
    tour.click("text=Hold this image", ".caption:has-text('Found')")
    tour.shoot(1400)
    for _ in tour.drag("[aria-label^='Hole']", [(0.35, 0.62), (0.45, 0.66), (0.62, 0.7)]):
        tour.shoot(450)
    tour.click("text=Fill the hole", "[data-shown^='inpaint']")
    tour.shoot(2400)


def save(frames: list[tuple[Image.Image, int]], path: Path) -> None:
    """An animation with one palette, which is that of all frames below each other."""
    first = frames[0][0]
    sheet = Image.new("RGB", (first.width, first.height * (len(frames) + 1)))
    for number, (frame, _) in enumerate(frames):
        sheet.paste(frame, (0, number * first.height))
    for number, colour in enumerate(RARE):
        side = first.height // len(RARE)
        sheet.paste(colour, (0, first.height * len(frames) + number * side, first.width, sheet.height))
    palette = sheet.quantize(COLOURS, dither=Image.Dither.NONE)
    pictures = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame, _ in frames]
    durations = [milliseconds for _, milliseconds in frames]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0, optimize=True)


def main() -> None:
    """Open the page, go through it, write both pictures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tour", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER", help="where both pictures go")
    out = parser.parse_args().out
    os.environ.pop("UV_RUN_RECURSION_DEPTH", None)  # commands would be shown as `uv run gancli …`
    path = chromium.executable()
    if path is None:
        raise SystemExit("chromium is not installed, which opens the page")
    with TemporaryDirectory() as folder, served(MODEL, GANCLI) as at, chromium.started(path) as browser:
        page = browser.new_page(viewport=LARGE)
        page.set_default_timeout(120_000)
        page.add_init_script(STEADY)
        page.goto(at.address)
        page.wait_for_selector(".frame canvas[data-shown]")
        page.wait_for_selector(".grid[data-shown]")
        page.wait_for_load_state("networkidle")
        page.screenshot(path=out / "explore.png")
        page.set_viewport_size(WINDOW)
        tour = Tour(page)
        explore(page, tour, Path(folder))
    save(tour.frames, out / "explore.gif")
    print(f"{len(tour.frames)} frames, {(out / 'explore.gif').stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
