"""The lab and the view of runs, used by clicks and keys in a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser
import pytest
from PIL import Image

from gancli.page import lab, runs
from gancli.runs.metrics_log import append

ROUND = "() => Number(document.querySelector('.plane').dataset.round)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with metrics and sample grids, as far as files are read here."""
    made = tmp_path_factory.mktemp("runs") / "mine"
    (made / "samples").mkdir(parents=True)
    for number in (1, 20, 30):
        grow(made, number)
    return made


def grow(folder: Path, number: int) -> None:
    outputs = {"probability/real": 0.6, "probability/fake": 0.4}
    stamp = {"round": number, "images": 64 * number, "seconds": number / 10, "images_per_second": 640.0}
    append(folder / "metrics.jsonl", {**stamp, "loss/discriminator": 1 / number, "loss/generator": 0.5, **outputs})
    Image.new("RGB", (8, 8), (number, 90, 0)).save(folder / f"samples/{number:08d}.png")


@pytest.fixture(scope="module")
def page(folder: Path) -> Iterator[Any]:
    """The page with both views; errors and requests to elsewhere are collected."""
    views = lab.view("ring"), runs.view([folder])
    options = {"viewport": {"width": 1600, "height": 900}}
    with browser.served(*views) as address, browser.opened(address, **options) as found:
        found.set_default_timeout(120_000)
        found.wait_for_selector(".plane[data-round]")
        yield found


def test_the_lab_is_run_and_stepped(page: Any) -> None:
    page.keyboard.press("Space")
    page.wait_for_function(f"() => ({ROUND})() > 2")
    assert page.inner_text(".transport .first") == "Pause"
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('.transport .first').textContent === 'Run'")
    before = page.evaluate(ROUND)
    page.click("text=Step D")
    page.wait_for_function(f"() => ({ROUND})() === {before + 1}")
    page.wait_for_function("() => document.querySelector('.stage-note').textContent.startsWith('D has just learned')")
    page.click("text=Step both")
    page.wait_for_function(f"() => ({ROUND})() === {before + 2}")
    assert "clusters found: " in page.get_attribute(".plane", "aria-label")


def test_settings_are_changed_and_logged(page: Any, tmp_path: Path) -> None:
    before = page.evaluate(ROUND)
    page.get_by_label("Loss", exact=True).select_option("hinge")
    page.wait_for_selector("text=loss: non-saturating → hinge")
    page.get_by_label("Penalty on D").select_option("none")
    page.wait_for_selector("text=penalty: r1 → none")
    assert page.get_by_label("Weight of the penalty").is_hidden()
    slider = page.get_by_label("G", exact=False).locator("visible=true").and_(page.locator("[type=range]")).first
    slider.press("ArrowRight")
    page.wait_for_selector("text=/generator lr: 0.001 → 0.0011/")
    assert page.evaluate(ROUND) == before
    with page.expect_download() as waiting:
        page.click("text=Save as recipe")
    waiting.value.save_as(tmp_path / "lab.toml")
    assert 'loss = "hinge"' in (tmp_path / "lab.toml").read_text()
    page.click("text=Mode collapse")
    page.wait_for_function(
        f"() => ({ROUND})() > 0 && document.querySelector('.transport .first').textContent === 'Pause'"
    )
    assert page.get_by_label("Loss", exact=True).input_value() == "non-saturating"
    page.click(".transport .first")


def test_data_are_drawn(page: Any) -> None:
    page.click("text=Draw your own")
    box = page.locator(".plane").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 100, steps=4)
    page.mouse.up()
    drawn = int(page.inner_text(".sketching output").split()[0])
    assert drawn >= 16
    page.focus(".plane")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    assert page.inner_text(".sketching output") == f"{drawn + 20} points"
    page.click("text=Train on these")
    page.wait_for_selector(f"text=data: {drawn + 20} points of your own")
    assert page.inner_text(".command code") == "gancli train drawn.csv --model lab.toml"
    assert page.get_by_label("Data", exact=True).input_value() == "own"
    page.click("text=Pause")


@pytest.mark.parametrize("width", [380, 1600])
def test_nothing_overflows_or_overlaps_and_all_is_named(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for view, shown in (("lab", ".plane"), ("runs", ".card .facts")):
        page.click(f"nav >> [data-view={view}]")
        page.wait_for_selector(shown)
        page.wait_for_timeout(300)
        assert page.evaluate(browser.OVERFLOW) <= 0
        assert page.evaluate(browser.OVERLAP) == []
        assert page.evaluate(browser.UNNAMED) == []


def test_a_run_is_watched(page: Any, folder: Path) -> None:
    page.click("nav >> [data-view=runs]")
    page.wait_for_selector("text=round 30, 3 of 3, the newest")
    grow(folder, 40)
    page.wait_for_selector("text=round 40, 4 of 4, the newest")
    page.get_by_label("Round", exact=True).press("ArrowLeft")
    page.wait_for_selector("text=/^round 30, 3 of 4$/")
    page.wait_for_function("() => document.querySelector('.film img').naturalWidth === 8")
    assert page.get_attribute(".film img", "src").endswith("/samples/30.png")
    label = page.locator(".plot canvas").first.get_attribute("aria-label")
    assert label == "Losses: discriminator 0.025, generator 0.5"
    page.get_by_label("Against").select_option("images")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_fault_of_accessibility(page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    for view in ("Training", "Lab"):
        page.click(f"nav >> text={view}")
        page.wait_for_selector(".plane[data-round]" if view == "Lab" else ".runs figure")
        assert browser.accessibility(page) == [], view


def test_no_error_and_no_request_to_elsewhere(page: Any) -> None:
    """Last: of all that the tests before it did."""
    # Leaving a view ends the request that waits for its next frame.
    assert [each for each in page.problems if "/api/lab/frame" not in each and "/api/runs/" not in each] == []
    assert all(asked.startswith(("http://127.0.0.1:", "data:", "blob:")) for asked in page.requests)
