"""The page of ``gancli explore``: how soon it is there, how fast images follow a slider, and what many clients cost."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from benchmarks import chromium

TITLE = "The page"
RUNS, SECONDS = 5, 5.0
"""Starts of the server, and of a moving slider."""

CLIENTS, REQUESTS = 20, 10_000

MODELS = {"quick/mnist": "28x28, grey", "pictures/emoji": "64x64, colour", "": "128x128, colour, `pictures` untrained"}
"""What the slider moves; the one without a name is made."""

FRAMES = """async (seconds) => {
  const canvas = document.querySelector(".frame canvas");
  const slider = document.querySelector("section[aria-label^=Dimensions] input[type=range]");
  let frames = 0;
  const seen = new MutationObserver(() => frames++);
  seen.observe(canvas, { attributes: true, attributeFilter: ["data-shown"] });
  const start = performance.now();
  while (performance.now() - start < 1000 * seconds) {
    const way = (performance.now() - start) / 1000;
    slider.value = Number(slider.min) + (Number(slider.max) - Number(slider.min)) * (0.5 + 0.5 * Math.sin(way));
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise(requestAnimationFrame);
  }
  seen.disconnect();
  return (1000 * frames) / (performance.now() - start);
}"""
"""Move a slider in every frame of the browser, and count the images that it shows."""


@dataclass
class Page:
    """A running page.

    Attributes:
        process: the server.
        address: with its token.
        origin: scheme, host and port.
        cookie: of a client that has opened it.
        seconds: from the command to the page's answer.
    """

    process: subprocess.Popen[str]
    address: str
    origin: str
    cookie: str
    seconds: float

    def connect(self) -> HTTPConnection:
        """A connection to the server."""
        return HTTPConnection(urlsplit(self.origin).netloc, timeout=300)

    def draw(self, connection: HTTPConnection, model: str, seed: int, cookie: str | None = None) -> int:
        """Ask for the image of a seed; the status of the answer."""
        body = json.dumps({"model": model, "points": [{"seed": seed}]})
        headers = {"origin": self.origin, "cookie": cookie or self.cookie, "content-type": "application/json"}
        connection.request("POST", "/api/images/draw", body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    def memory(self) -> int:
        """Bytes of the server's memory; 0 where this system does not say."""
        path = Path(f"/proc/{self.process.pid}/status")
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


@contextmanager
def served(model: str, gancli: Sequence[str] = (sys.executable, "-m", "gancli")) -> Generator[Page]:
    """The page of a model, by the command that starts with these words."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [*gancli, "explore", model, "--no-open"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        parts = urlsplit(address)
        connection = HTTPConnection(parts.netloc, timeout=300)
        connection.request("GET", f"/?{parts.query}")
        answer = connection.getresponse()
        answer.read()
        cookie = (answer.getheader("set-cookie") or "").partition(";")[0]
        connection.request("GET", "/", headers={"cookie": cookie})
        page = connection.getresponse()
        assert page.status == 200, page.read()
        page.read()
        yield Page(process, address, f"http://{parts.netloc}", cookie, time.perf_counter() - start)
    finally:
        process.terminate()
        process.wait()


def measure(quick: bool) -> dict[str, Any]:
    """Starts, frames a second, and many requests.

    Args:
        quick: one start, half a second of a slider, a few requests.
    """
    with TemporaryDirectory() as folder:
        made = untrained(Path(folder))
        frames = {
            shape: frame_rate(name or str(made), 0.5 if quick else SECONDS)
            for name, shape in MODELS.items()
            if name or not quick
        }
    return {
        "starts": [started("quick/mnist") for _ in range(1 if quick else RUNS)],
        "frames": frames,
        "requests": requested("quick/mnist", 60 if quick else REQUESTS),
    }


def untrained(folder: Path) -> Path:
    """A run of the default model at 128x128 after one round, whose generator takes as long as a trained one."""
    (folder / "noise").mkdir()
    random = np.random.default_rng(0)
    for number in range(8):
        pixels = random.integers(0, 256, (128, 128, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "noise" / f"{number}.png")
    command = [sys.executable, "-m", "gancli", "train", str(folder / "noise"), "--model", "pictures", "--rounds", "1"]
    command += ["--set", "data.size=[128,128]", "--out", str(folder / "run"), "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder / "run"


def started(model: str) -> dict[str, float]:
    """Seconds from the command to the page, from there to its first image, and of importing torch for comparison."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    torch = time.perf_counter() - begun
    with served(model) as page:
        begun = time.perf_counter()
        assert page.draw(page.connect(), model, 0) == 200
        return {"page": page.seconds, "image": time.perf_counter() - begun, "torch": torch}


def frame_rate(model: str, seconds: float) -> float | None:
    """Images a second that a browser shows while a slider moves; None without a browser."""
    path = chromium.executable()
    if path is None:
        return None
    with served(model) as page, chromium.started(path) as browser:
        opened = browser.new_page(viewport={"width": 1280, "height": 900})
        opened.set_default_timeout(300_000)
        opened.goto(page.address)
        opened.wait_for_selector(".frame canvas[data-shown]")
        opened.click("#tab-steer")
        opened.wait_for_selector("section[aria-label^=Dimensions] input[type=range]")
        opened.wait_for_load_state("networkidle")  # dimensions have been measured
        found = opened.evaluate(FRAMES, seconds)
    return float(found)


def requested(model: str, count: int) -> dict[str, Any]:
    """Many clients at once, a tenth of whose requests have a wrong cookie."""
    statuses: Counter[str] = Counter()
    lock = threading.Lock()
    with served(model) as page:
        page.draw(page.connect(), model, 0)
        before = page.memory()

        def client(number: int) -> None:
            connection = page.connect()
            for request in range(number, count, CLIENTS):
                wrong = request // CLIENTS % 10 == 0
                try:
                    status = str(page.draw(connection, model, request, "gancli=wrong" if wrong else None))
                except OSError:
                    status, connection = "lost", page.connect()
                with lock:
                    statuses[f"{status} to a wrong cookie" if wrong else status] += 1

        begun = time.perf_counter()
        clients = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
        for one in clients:
            one.start()
        for one in clients:
            one.join()
        seconds = time.perf_counter() - begun
        return {"statuses": dict(statuses), "seconds": seconds, "before": before, "after": page.memory()}


def markdown(found: dict[str, Any]) -> str:
    """A table, and sentences on starts and clients."""
    starts = {name: median(start[name] for start in found["starts"]) for name in ("page", "image", "torch")}
    load = found["requests"]
    answers = ", ".join(f"{number:,} times {status}" for status, number in sorted(load["statuses"].items()))
    rows = [f"| {shape} | {'-' if rate is None else f'{rate:.0f}'} |" for shape, rate in found["frames"].items()]
    return "\n".join(
        [
            f"`gancli explore quick/mnist` answers with its page {starts['page']:.2f} s after the command, and with "
            f"the first image {starts['image']:.2f} s later; importing torch alone takes {starts['torch']:.2f} s "
            f"(medians of {len(found['starts'])}).",
            "",
            "Images a second that Chromium shows while one slider is moved in every frame (one run of "
            f"{SECONDS:g} s each, server and browser on the same machine):",
            "",
            "| images | a second |",
            "|---|--:|",
            *rows,
            "",
            f"{CLIENTS} clients at once, {sum(load['statuses'].values()):,} requests for an image, a tenth of them "
            f"with a wrong cookie: {answers}, in {load['seconds']:.0f} s. The server's memory went from "
            f"{load['before'] / 2**20:.0f} to {load['after'] / 2**20:.0f} MiB.",
        ]
    )
