"""A page from a file, in a browser without a network, makes gancli's images."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import browser
import numpy as np
import pytest
from javascript import needed

import gancli
from gancli import exporting
from gancli.errors import GancliError
from gancli.exporting import html, runtime
from gancli.latents import LatentSpec

MODEL = "infogan/digits"
PIXELS = """() => {
    const canvas = document.getElementById("image");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return { width: canvas.width, data: Array.from(data).filter((_, i) => i % 4 === 0) };
}"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported page; npm downloads the runtime."""
    folder = tmp_path_factory.mktemp("page")
    needed("npm")
    try:
        runtime.download(folder)
    except GancliError as error:
        pytest.skip(error.message)
    model = gancli.load(MODEL, device="cpu")
    return exporting.export(model, folder / "page.html", "html", runtime=folder / runtime.TGZ).path


@pytest.fixture(scope="module")
def page(file: Path) -> Iterator[Any]:
    """The page, opened from its file offline; errors and requests are collected."""
    with browser.opened(file.as_uri(), offline=True, viewport={"width": 380, "height": 800}) as page:
        page.wait_for_selector("#image[data-shown]", timeout=120_000)
        yield page


def shown(page: Any, *state: Any) -> np.ndarray:
    """The pixels of the image (H, W), once it is that of [seed, target, position, class, truncation]."""
    page.wait_for_function(
        "state => document.getElementById('image').dataset.shown === state",
        arg=json.dumps(state, separators=(",", ":")),
    )
    found = page.evaluate(PIXELS)
    return np.array(found["data"]).reshape(-1, found["width"])


def expected(truncation: float | None = None, **inputs: Any) -> np.ndarray:
    return gancli.load(MODEL, device="cpu", truncation=truncation).sample(**inputs)[0, 0].numpy().astype(int)


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
def test_the_image_of_a_seed_is_gancli_s(page: Any, seed: int) -> None:
    page.fill("#seed", str(seed))
    assert np.abs(shown(page, seed, 1, 0, "", None) - expected(seeds=[seed])).max() <= 1
    assert page.get_attribute("#image", "aria-label").startswith(f"Generated image: Seed {seed}, class ")


def test_class_and_truncation(page: Any) -> None:
    page.fill("#seed", "5")
    page.select_option("#class", "3")
    latent = gancli.load(MODEL, device="cpu").latent
    codes = latent.from_seeds([5])["c"]
    z = latent.from_seeds([5])["z"]
    assert np.abs(shown(page, 5, 1, 0, "3", None) - expected(z=z, y=3, c=codes)).max() <= 1
    page.fill("#truncation", "1.2")
    cut = gancli.load(MODEL, device="cpu", truncation=1.2).latent.from_seeds([5])
    assert np.abs(shown(page, 5, 1, 0, "3", 1.2) - expected(z=cut["z"], y=3, c=codes)).max() <= 1
    page.fill("#truncation", "3")
    page.select_option("#class", "")


def test_a_walk_and_its_end(page: Any) -> None:
    page.fill("#seed", "2")
    page.fill("#target", "9")
    page.fill("#position", "1")
    assert np.abs(shown(page, 2, 9, 1, "", None) - expected(seeds=[9])).max() <= 1
    page.click("#play")
    assert page.inner_text("#play") == "Pause"
    page.wait_for_function("() => { const p = document.getElementById('position').value; return p > 0.1 && p < 0.9; }")
    page.click("#play")
    page.fill("#target", "1")


def test_seeds_by_keyboard_and_download(page: Any, tmp_path: Path) -> None:
    page.fill("#seed", "0")
    page.focus("[aria-label='Seed 4']")
    page.keyboard.press("Enter")
    shown(page, 4, 1, 0, "", None)
    assert page.get_attribute("[aria-label='Seed 4']", "aria-pressed") == "true"
    with page.expect_download() as waiting:
        page.click("#download")
    assert waiting.value.suggested_filename == "infogan-digits-seed4.png"
    waiting.value.save_as(tmp_path / "seed.png")
    from PIL import Image

    with Image.open(tmp_path / "seed.png") as image:
        pixels = np.asarray(image.convert("L"), dtype=int)
    assert np.abs(pixels - expected(seeds=[4])).max() <= 1


@pytest.mark.parametrize("width", [380, 1600])
def test_nothing_overflows_or_overlaps_and_all_is_named(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate(browser.OVERFLOW) <= 0
    assert page.evaluate(browser.OVERLAP) == []
    assert page.evaluate(browser.UNNAMED) == []


def test_no_error_and_no_request(page: Any) -> None:
    """Last: of all that the tests before it did."""
    assert page.problems == []


def test_a_page_is_small_enough_to_send(file: Path) -> None:
    assert file.stat().st_size < 10_000_000


def test_what_a_page_cannot_show_is_refused(tmp_path: Path) -> None:
    for name, message in (("sine-gan/sine", "makes numbers"), ("pix2pix/mnist", "makes them from images")):
        with pytest.raises(GancliError, match=message):
            exporting.export(gancli.load(name, device="cpu"), tmp_path / "x.html", "html")


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b not the package"])
def test_another_file_than_the_pinned_package_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.tgz").write_bytes(content)
    with pytest.raises(GancliError, match=r"is not npm's onnxruntime-web-1\.30\.0\.tgz: its SHA-512 is another"):
        runtime.read(tmp_path / "other.tgz")
    with pytest.raises(GancliError, match="there is no file"):
        runtime.read(tmp_path / "none.tgz")


def test_without_a_network_npm_s_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed("npm")
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(GancliError, match=r"npm cannot download onnxruntime-web 1\.30\.0: ECONNREFUSED") as error:
        runtime.read()
    assert "check the network connection" in error.value.hint


def test_without_npm_the_error_names_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(GancliError, match=r"npm, which downloads .* is not installed") as error:
        runtime.read()
    assert "`runtime=onnxruntime-web-1.30.0.tgz`" in error.value.hint


def test_what_a_model_s_header_says_stays_text() -> None:
    ends = "</script></title><script>alert(1)</script>"
    generator = SimpleNamespace(truncation="z-cutoff")
    latent = LatentSpec(2, classes=1)
    strange: Any = SimpleNamespace(
        name=ends, shape=(1, 8, 8), classes=(ends,), latent=latent, latents=lambda: generator
    )
    metadata = {"data": {"name": "{{wasm}}", "licence": None}, "identity": "", "recipe_sha256": "", "gancli": ""}
    made = html.page(strange, metadata, b"graph", runtime.Runtime(b"module", b"wasm")).decode()
    assert "<script>alert" not in made
    assert "{{wasm}}" in made
