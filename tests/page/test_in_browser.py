"""The page in a browser: one server, one browser, used by clicks and keys."""

import shlex
import struct
import time
import zlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import browser
import numpy as np
import pytest
import torch
import toys
from PIL import Image

import gancli
from gancli.data.pairs import degradations
from gancli.page import images, pictures
from gancli.page.worker import Worker

DIGITS, POINTS, PAIRS, COLOURS = "cgan/digits", "points-gan/ring", "pix2pix/mnist", "pictures/emoji"
TABS = ("seeds", "steer", "walk", "picture", "compare")
SHOWN = "document.querySelector('.frame canvas')?.dataset.shown"
PIXELS = """(canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return [canvas.height, canvas.width, Array.from(data)];
}"""

COLOURS_OF = """(canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size;
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of images: its first address."""
    styled = str(toys.style_file(tmp_path_factory.mktemp("styled") / "styles.safetensors"))
    with browser.served(images.view([DIGITS, styled], "cpu", Worker())) as served:
        yield served


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Any]:
    """The page with its first image."""
    with browser.opened(address, viewport={"width": 1600, "height": 900}) as opened:
        opened.set_default_timeout(90_000)
        opened.wait_for_selector(".frame canvas[data-shown]")
        yield opened


def shown(page: Any, wanted: str) -> np.ndarray:
    """The pixels of the held image, uint8 (H, W, 4), once its state is that of a JavaScript expression of `point` and
    `truncation`."""
    page.wait_for_function(f"() => {SHOWN} && (([point, truncation]) => {wanted})(JSON.parse({SHOWN}))")
    height, width, data = page.eval_on_selector(".frame canvas", PIXELS)
    return np.array(data, dtype=np.uint8).reshape(height, width, 4)


def command(page: Any, where: str = ".stage") -> str:
    return page.inner_text(f"{where} .command code")


def reset(page: Any) -> None:
    page.click("#tab-steer")
    page.click("text=Reset all")
    page.click("#tab-seeds")


def test_the_token_has_left_the_address(page: Any) -> None:
    assert "token" not in page.url
    assert page.evaluate("document.cookie") == ""


def test_a_seed_is_held_by_mouse_and_keys_and_its_command_makes_it(page: Any, run_cli: Any, home: Path) -> None:
    page.click("[aria-label='Seed 7']")
    pixels = shown(page, "point.seed === 7")
    assert page.get_attribute("[aria-label='Seed 7']", "aria-pressed") == "true"
    words = shlex.split(command(page))
    assert words == ["gancli", "sample", DIGITS, "--seeds", "7"]
    assert run_cli(*words[1:], "--device", "cpu", "--out", "one/").code == 0
    with Image.open(home / "one/seed0000007.png") as image:
        assert np.array_equal(pixels[..., 0], np.asarray(image))
    page.focus("[aria-label='Seed 9']")
    page.keyboard.press("Enter")
    shown(page, "point.seed === 9")
    page.focus("#tab-seeds")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#tab-steer", "aria-selected") == "true"
    page.keyboard.press("Home")
    assert page.is_visible("#panel-seeds")


def test_other_seeds_and_the_grid(page: Any) -> None:
    page.click("[aria-label='Seeds after']")
    page.wait_for_selector("[aria-label='Seed 24']")
    assert command(page, "#panel-seeds") == f"gancli sample {DIGITS} --seeds 24-47 --grid 6x4"
    with page.expect_download() as waiting:
        page.click("#panel-seeds >> text=Download ZIP >> nth=0")
    with ZipFile(waiting.value.path()) as archive:
        assert archive.namelist() == [f"seed{seed:07d}.png" for seed in range(24, 48)]
    page.fill("[aria-label='First seed']", "4294967290")
    page.press("[aria-label='First seed']", "Enter")
    page.wait_for_selector("[aria-label='Seed 4294967295']")
    assert page.locator("#panel-seeds .grid").first.locator("button").count() == 6
    with page.expect_download() as waiting:
        page.click("text=Download grid")
    assert waiting.value.suggested_filename == "cgan-digits-seeds4294967290.png"
    page.fill("[aria-label='First seed']", "0")
    page.press("[aria-label='First seed']", "Enter")
    page.wait_for_selector("[aria-label='Seed 0']")


def test_class_and_truncation_and_a_link_that_shows_the_same_again(
    page: Any, address: str, run_cli: Any, home: Path
) -> None:
    page.click("[aria-label='Seed 5']")
    page.click("#tab-steer")
    page.get_by_role("combobox", name="Class", exact=True).select_option("3")
    page.fill("input[aria-label='Truncation']", "1.2")
    pixels = shown(page, "point.seed === 5 && point.label === 3 && truncation === 1.2")
    model = gancli.load(DIGITS, device="cpu", truncation=1.2)
    inputs = model.latent.from_seeds([5])
    assert np.array_equal(pixels[..., 0], model.sample(z=inputs["z"], y=3)[0, 0].numpy())
    assert command(page) == f"gancli sample {DIGITS} --seeds 5 --class 3 --truncation 1.2"
    page.wait_for_function("() => location.hash.includes('truncation=1.2')")
    link = page.url
    assert f"hash={model.identity[:16]}" in link
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector(".frame canvas[data-shown]")
    assert np.array_equal(shown(page, "point.label === 3 && truncation === 1.2"), pixels)
    reset(page)


def test_a_mixture_of_classes_and_its_command(page: Any, run_cli: Any, home: Path) -> None:
    page.click("[aria-label='Seed 5']")
    page.click("#tab-steer")
    page.get_by_role("combobox", name="Class", exact=True).select_option("3")
    page.get_by_label("Mixed with").select_option("8")
    page.fill("[aria-label='Share of the second class']", "0.25")
    pixels = shown(page, "point.other === 8 && point.share === 0.25")
    words = shlex.split(command(page))
    assert run_cli(*words[1:], "--device", "cpu", "--scale", "1").code == 0
    assert page.inner_text(".stage .command .note") == "Image 5 of the strip, counted from 0."
    with Image.open(home / "strip.png") as strip:
        assert np.array_equal(pixels[..., 0], np.asarray(strip)[2:10, 2 + 5 * 10 : 10 + 5 * 10])
    reset(page)


def test_dimensions_and_directions(page: Any) -> None:
    page.click("#tab-steer")
    before = shown(page, "true")
    page.wait_for_selector("[aria-label='Dimensions'] input")
    first = page.locator("[aria-label='Dimensions'] input").first
    dim = first.get_attribute("aria-label").removeprefix("Dimension ")
    first.fill("2.5")
    assert not np.array_equal(shown(page, f"point.dims['{dim}'] === 2.5"), before)
    assert command(page) == f"gancli traverse {DIGITS} --dims {dim} --seed 5"
    page.click(f"[aria-label='Reset Dimension {dim}']")
    assert np.array_equal(shown(page, "Object.keys(point.dims).length === 0"), before)
    page.click("text=Find directions")
    page.wait_for_selector("[aria-label='Direction 0']")
    page.fill("[aria-label='Direction 0']", "3")
    assert not np.array_equal(shown(page, "point.moves['0'] === 3"), before)
    assert command(page).endswith("--move 0=3")
    reset(page)


def test_favourites_outlive_a_reload(page: Any) -> None:
    page.click("[aria-label='Seed 3']")
    shown(page, "point.seed === 3")
    page.click("[aria-label='Favourite']")
    page.wait_for_selector("#panel-seeds .grid >> nth=1 >> [aria-label='Seed 3']")
    page.wait_for_function("() => location.hash.includes('seed=3')")
    page.reload()
    page.wait_for_selector("#panel-seeds .grid >> nth=1 >> [aria-label='Seed 3']")
    with page.expect_download() as waiting:
        page.click("[aria-label='Download ZIP of favourites']")
    assert waiting.value.suggested_filename == "cgan-digits-favourites.zip"
    with ZipFile(waiting.value.path()) as archive:
        assert archive.namelist() == ["seed0000003.png"]
    assert page.inner_text("#panel-seeds .command code >> nth=1") == (
        f"gancli sample {DIGITS} --seeds 3 --out favourites/"
    )
    page.wait_for_selector("[aria-label='Favourite']:has-text('★')")
    page.click("[aria-label='Favourite']")
    page.wait_for_selector("text=keeps an image here")


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_a_walk_plays_and_its_command_makes_the_same_file(page: Any, run_cli: Any, home: Path, kind: str) -> None:
    page.click("#tab-walk")
    page.get_by_label("Frames between").fill("3")
    page.wait_for_function("() => document.querySelector('.preview [aria-label=Frame]').max === '8'")
    page.click("text=Play")
    page.wait_for_function("() => document.querySelector('.preview canvas').dataset.frame > 2")
    page.click("text=Pause")
    if kind == "webp":
        page.get_by_label("Pace", exact=True).select_option("smooth")
        page.locator("[aria-label^='Truncation of']").nth(1).fill("0.9")
        page.locator("[aria-label^='Truncation of']").nth(1).press("Tab")
        page.get_by_label("File", exact=True).select_option("webp")
    with page.expect_download() as waiting:
        page.click("#panel-walk >> text=Download")
    waiting.value.save_as(home / "page")
    words = shlex.split(command(page, "#panel-walk"))
    assert (words[-4:-1] == ["--truncation", "none,0.9,none", "--out"]) == (kind == "webp")
    assert run_cli(*words[1:], "--device", "cpu").code == 0
    assert (home / f"cgan-digits-walk.{kind}").read_bytes() == (home / "page").read_bytes()


def test_a_keyframe_is_removed(page: Any) -> None:
    page.click("#tab-walk")
    page.locator("[aria-label^='Remove']").first.click()
    page.wait_for_function("() => document.querySelectorAll('.keys li').length === 2")


@pytest.fixture
def drawn(page: Any, home: Path) -> np.ndarray:
    """A picture of a digit on the page: uint8 (8, 8)."""
    pixels = gancli.load(DIGITS, device="cpu").sample([41])[0, 0].numpy()
    Image.fromarray(pixels).save(home / "mine.png")
    page.click("#tab-picture")
    page.set_input_files("#picture", home / "mine.png")
    page.get_by_label("Steps").fill("5")
    return pixels


def result(page: Any, what: str) -> np.ndarray:
    """The pixels that a search came to, uint8 (8, 8)."""
    page.wait_for_selector(f"[aria-label='What the model makes of it'][data-shown='{what} mine.png']")
    height, width, data = page.eval_on_selector("[aria-label='What the model makes of it']", PIXELS)
    return np.array(data, dtype=np.uint8).reshape(height, width, 4)[..., 0]


def test_the_latent_of_a_picture_is_found_held_and_linked(
    page: Any, drawn: np.ndarray, run_cli: Any, home: Path
) -> None:
    page.click("text=Find its latent")
    found = result(page, "reconstruct")
    words = shlex.split(command(page, "#panel-picture"))
    assert words == ["gancli", "reconstruct", DIGITS, "mine.png", "--steps", "5"]
    assert run_cli(*words[1:], "--device", "cpu", "--out", "made/").code == 0
    with Image.open(home / "made/mine.png") as image:
        assert np.array_equal(found, np.asarray(image))
    page.click("text=Hold this image")
    assert np.array_equal(shown(page, "point.latent")[..., 0], found)
    assert page.inner_text(".caption").startswith("Found for mine.png, class ")
    assert command(page) == shlex.join(words)
    assert page.is_disabled("[aria-label='Favourite']")
    page.wait_for_function("() => location.hash.includes('found=')")
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector(".frame canvas[data-shown]")
    assert np.array_equal(shown(page, "point.latent")[..., 0], found)
    page.click("#tab-steer")
    page.wait_for_selector("[aria-label='Dimensions'] input")
    page.locator("[aria-label='Dimensions'] input").first.fill("2.5")
    assert not np.array_equal(shown(page, "Object.keys(point.dims).length")[..., 0], found)
    assert page.inner_text(".stage .command .note") == "Without what was set since."
    page.click("#tab-seeds")
    page.click("[aria-label='Seed 5']")
    shown(page, "!point.latent")


def test_a_hole_is_drawn_and_filled(page: Any, drawn: np.ndarray, run_cli: Any, home: Path) -> None:
    hole = page.locator("[aria-label^='Hole in your picture']")
    page.get_by_role("slider", name="Brush").fill("1")
    assert page.is_disabled("text=Fill the hole")
    box = hole.bounding_box()
    page.mouse.move(box["x"] + 2.5 * box["width"] / 8, box["y"] + 3.5 * box["height"] / 8)
    page.mouse.down()
    page.mouse.move(box["x"] + 5.5 * box["width"] / 8, box["y"] + 3.5 * box["height"] / 8)
    page.mouse.up()
    page.wait_for_selector("text=The hole has 4 pixels, 6 % of the picture.")
    hole.press("ArrowDown")
    hole.press("Enter")
    page.wait_for_selector("text=The hole has 5 pixels")
    page.click("text=Undo")
    page.wait_for_selector("text=The hole has 4 pixels")
    hole.press("Enter")
    page.click("text=Fill the hole")
    filled = result(page, "inpaint")
    with page.expect_download() as waiting:
        page.click("text=Download mask")
    waiting.value.save_as(home / waiting.value.suggested_filename)
    words = shlex.split(command(page, "#panel-picture"))
    assert words == ["gancli", "inpaint", DIGITS, "mine.png", "--mask", "mask.png", "--steps", "5"]
    with Image.open(home / "mask.png") as image:
        mask = np.asarray(image.convert("L"))
    assert np.argwhere(mask == 255).tolist() == [[3, 2], [3, 3], [3, 4], [3, 5], [4, 5]]
    assert run_cli(*words[1:], "--device", "cpu", "--out", "made/").code == 0
    with Image.open(home / "made/mine.png") as image:
        assert np.array_equal(filled, np.asarray(image))


def endless(*_: Any, progress: Any, **__: Any) -> None:
    """A search that ends only when it is cancelled."""
    while True:
        progress(1)
        time.sleep(0.01)


def test_a_search_is_cancelled(page: Any, drawn: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(pictures, "reconstruct", endless)
        page.click("text=Find its latent")
        page.wait_for_function("() => document.querySelector('.progress output').textContent.endsWith('of 5 steps')")
        page.click("text=Cancel")
        page.wait_for_selector("text=Cancelled.")
    page.click("text=Find its latent")  # which waits for the thread
    result(page, "reconstruct")


DROPPED = """(text) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(atob(text), (byte) => byte.charCodeAt(0))], "mine.png"));
    return transfer;
}"""


def bomb(side: int) -> bytes:
    """A PNG of a few kilobytes and side x side black pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + (side + 7) // 8) * side))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_picture_is_dropped_anywhere_and_what_is_none_is_refused(page: Any, drawn: np.ndarray, home: Path) -> None:
    (home / "text.png").write_text("hello")
    page.set_input_files("#picture", home / "text.png")
    page.wait_for_selector("text=text.png is no image that this browser can read.")
    (home / "bomb.png").write_bytes(bomb(10_000))
    page.set_input_files("#picture", home / "bomb.png")
    page.wait_for_selector("text=bomb.png has 10,000 × 10,000 pixels, which are too many. Make it smaller first.")
    page.click("#tab-seeds")
    data = page.evaluate_handle(DROPPED, b64encode((home / "mine.png").read_bytes()).decode())
    page.dispatch_event(".stage", "drop", {"dataTransfer": data})
    page.wait_for_selector("#panel-picture .drop:has-text('mine.png')")
    page.wait_for_function("() => document.querySelector('#message').textContent === ''")
    height, width, pixels = page.eval_on_selector("[aria-label='Your picture']", PIXELS)
    assert np.array_equal(np.array(pixels).reshape(height, width, 4)[..., 0], drawn)


def test_models_side_by_side(page: Any) -> None:
    page.click("#tab-compare")
    page.wait_for_selector(".column >> nth=1 >> canvas")
    page.select_option("[aria-label='Model 2']", "dcgan/digits")
    page.wait_for_selector(".column[data-shown='dcgan/digits 0']")
    assert (
        page.inner_text(".column[data-shown='dcgan/digits 0'] code")
        == "gancli sample dcgan/digits --seeds 0-23 --grid 6x4"
    )


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("width", [380, 1600])
def test_nothing_overflows_or_overlaps_and_all_is_named(page: Any, width: int, tab: str) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.click(f"#tab-{tab}")
    assert page.evaluate(browser.OVERFLOW) <= 0
    assert page.evaluate(browser.OVERLAP) == []
    assert page.evaluate(browser.UNNAMED) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_fault_of_accessibility(page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    for tab in TABS:
        page.click(f"#tab-{tab}")
        assert browser.accessibility(page) == [], tab
    page.click("#tab-seeds")


def test_layers_of_another_seed(page: Any) -> None:
    name = page.locator("[aria-label='Model'] optgroup[label='On this page'] option").nth(1).get_attribute("value")
    page.select_option("[aria-label='Model']", name)
    page.wait_for_function(f"() => {SHOWN} && location.hash.includes('styles')")
    page.click("#tab-steer")
    before = shown(page, "point.layers.length === 0")
    page.click("text=coarse")
    assert not np.array_equal(shown(page, "point.layers.length > 0"), before)
    assert "mix" in command(page)
    assert page.evaluate(browser.OVERFLOW) <= 0


def test_points_and_colours(page: Any) -> None:
    page.click("#tab-seeds")
    page.select_option("[aria-label='Model']", POINTS)
    page.wait_for_function(f"() => {SHOWN} && document.querySelector('.caption').textContent === 'Seed 0'")
    assert page.eval_on_selector(".frame canvas", COLOURS_OF) > 2  # real points and the held one on the ground
    page.select_option("[aria-label='Model']", COLOURS)
    page.wait_for_function(f"() => {SHOWN} && document.querySelector('.frame canvas').width === 64")
    model = gancli.load(COLOURS, device="cpu")
    assert np.array_equal(shown(page, "true")[..., :3], model.sample([0])[0].permute(1, 2, 0).numpy())


def test_a_picture_is_translated(page: Any, tmp_path: Path) -> None:
    page.select_option("[aria-label='Model']", PAIRS)
    page.wait_for_selector("text=This model needs a picture")
    picture = np.zeros((28, 28), dtype=np.uint8)
    picture[6:20, 8:18] = 230
    Image.fromarray(picture).save(tmp_path / "square.png")
    page.set_input_files("#picture", tmp_path / "square.png")
    page.wait_for_selector("[aria-label='What the model makes of it'][data-shown='square.png']")
    height, width, data = page.eval_on_selector("[aria-label='What the model makes of it']", PIXELS)
    made = np.array(data, dtype=int).reshape(height, width, 4)[..., 0]
    source = degradations.parse("edges").spoil(torch.tensor(picture)[None, None])
    assert np.abs(made - gancli.load(PAIRS, device="cpu").translate(source)[0, 0].numpy()).max() <= 1
    assert command(page, ".needs") == f"gancli translate {PAIRS} square.png --degrade --out translated/"
    assert page.evaluate(browser.UNNAMED) == []


def test_no_error_and_no_request_off_the_machine(page: Any, address: str) -> None:
    """Last: of all that the tests before it did."""
    assert page.problems == []
    own = address.partition("?")[0]
    assert {request for request in page.requests if not request.startswith((own, "blob:" + own))} == set()
