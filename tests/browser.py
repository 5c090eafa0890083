"""Pages, served and opened in Debian's Chromium, which Playwright drives."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest

from benchmarks import chromium

LONGEST = 120
"""Seconds that a page's script may take: a test that waited for ever would hold up all others."""

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

FAULTS = """(limit) => Promise.race([
    axe.run().then(({ violations }) => violations.map((one) => `${one.impact} ${one.id}: ${one.nodes[0].html}`)),
    new Promise((_, fail) => setTimeout(() => fail(new Error(`axe-core took more than ${limit} ms`)), limit)),
])"""
"""What axe-core finds, within a time in milliseconds."""


def accessibility(page: Any) -> list[str]:
    """Faults that axe-core finds: their weight, their rule, and the first element."""
    axe = Path(axe_playwright_python.__file__).with_name("axe.min.js")
    page.evaluate(axe.read_text(encoding="utf-8"))
    before = len(page.problems)
    found = page.evaluate(FAULTS, 1000 * LONGEST)
    page.wait_for_timeout(100)
    del page.problems[before:]  # axe tries inline styles, which the page forbids
    return found


@contextmanager
def served(*views: Any) -> Iterator[str]:
    """The page of some views, served by a thread that ends with the context: its address, with the token."""
    from gancli.page import server
    from gancli.page.access import Access

    with server.listen("127.0.0.1", 0) as opened:
        access = Access("127.0.0.1", opened.getsockname()[1])
        running = server.prepare(server.create(views, access))
        thread = threading.Thread(target=running.run, args=[[opened]], daemon=True)
        thread.start()
        try:
            yield access.address(access.token)
        finally:
            running.should_exit = True
            thread.join(10)


@contextmanager
def opened(address: str, *, offline: bool = False, **options: Any) -> Iterator[Any]:
    """A page of a new browser. What it complained of is in its ``problems``, and what it asked for in ``requests``.

    Args:
        address: to open.
        offline: whether it has no network.
        options: of Playwright's ``new_page``.
    """
    pytest.importorskip("playwright.sync_api")
    path = chromium.executable()
    if path is None:
        pytest.skip("chromium is not installed, which opens the page")
    with chromium.started(path) as browser:
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
