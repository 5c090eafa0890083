"""Pages in Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]

OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
"""Pixels by which a page is wider than its window."""

OVERLAP = """() => {
    const boxes = [...document.querySelectorAll("button, input, select, #image")]
        .filter((one) => one.checkVisibility())
        .map((one) => [one.id || one.ariaLabel || one.textContent, one.getBoundingClientRect()]);
    const meet = (p, q) => p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 1 && q.top < p.bottom - 1;
    return boxes.flatMap(([a, p], i) => boxes.slice(i + 1).filter(([, q]) => meet(p, q)).map(([b]) => `${a} | ${b}`));
}"""
"""Controls that cover each other."""

UNNAMED = """() => [...document.querySelectorAll("button, input, select")].filter((one) => one.checkVisibility()
    && !one.labels?.length && !one.textContent.trim() && !one.ariaLabel).map((one) => one.outerHTML)"""
"""Controls without a name for screen readers."""


def accessibility(page: Any) -> list[str]:
    """Faults that axe-core finds: their weight, their rule, and the first element."""
    axe = Path(axe_playwright_python.__file__).with_name("axe.min.js")
    page.evaluate(axe.read_text(encoding="utf-8"))
    faults = "async () => (await axe.run()).violations.map((one) => `${one.impact} ${one.id}: ${one.nodes[0].html}`)"
    before = len(page.problems)
    found = page.evaluate(faults)
    page.wait_for_timeout(100)
    del page.problems[before:]  # axe tries inline styles, which the page forbids
    return found


@contextmanager
def opened(address: str, *, offline: bool = False, **options: Any) -> Iterator[Any]:
    """A page of a new browser. What it complained of is in its ``problems``, and what it asked for in ``requests``.

    Args:
        address: to open.
        offline: whether it has no network.
        options: of Playwright's ``new_page``.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("chromium is not installed, which opens the page")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(**options)
        page.context.set_offline(offline)
        page.problems, page.requests = [], []
        page.on("console", lambda message: page.problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        # A request that is cancelled, as for the icon when the colour scheme changes, has not failed.
        cancelled = "net::ERR_ABORTED"
        page.on("requestfailed", lambda each: page.problems.append(each.url) if each.failure != cancelled else None)
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(address)
        yield page
        browser.close()
