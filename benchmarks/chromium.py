"""The system's Chromium, driven by Playwright: started alike for figures, for pictures and for tests."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

FLAGS = [
    "--no-sandbox",  # which containers, where most of this runs, do not allow
    "--disable-gpu",
    "--disable-dev-shm-usage",  # /dev/shm of a container is too small for a large page
    # Nothing but the page itself may use the network or write to disk.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]


def executable() -> str | None:
    """The path of Chromium; None where it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def started(path: str) -> Generator[Any]:
    """A browser that ends with the context.

    Args:
        path: of its executable.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
