"""A picture on the page: what is found and filled is what the commands find and fill, and the search can be ended."""

import asyncio
import json
import threading
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

import gancli
from gancli.errors import UsageError
from gancli.page import pictures, points
from gancli.page.progress import Cancelled, followed
from gancli.page.worker import Worker

DIGITS, CLASSES, CODES, ENCODER, PAIRS = (
    "dcgan/digits",
    "cgan/digits",
    "infogan/digits",
    "vae-gan/digits",
    "pix2pix/mnist",
)
STEPS = 4


@pytest.fixture
def picture(home: Path) -> np.ndarray:
    """The pixels of ``picture.png``, uint8 (8, 8)."""
    pixels = gancli.load(DIGITS, device="cpu").sample([41])[0, 0].numpy()
    Image.fromarray(pixels).save(home / "picture.png")
    return pixels


def packed(values: np.ndarray) -> str:
    return b64encode(values.tobytes()).decode()


def searched(client: TestClient, model: str, picture: np.ndarray, **values: Any) -> dict[str, Any]:
    """The last line of the answer: a result, or an error."""
    asked = {"model": model, "pixels": packed(picture), "steps": STEPS, **values}
    answer = client.post("/api/images/search", json=asked)
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text.splitlines()[-1])


def made(result: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(b64decode(result["pixels"]), np.uint8).reshape(8, 8)


def held(client: TestClient, model: str, latent: dict[str, Any]) -> np.ndarray:
    """The image of a latent that was found, drawn as the page draws the held image."""
    codes = {str(code): value for code, value in enumerate(latent["codes"])}
    point = {"seed": 0, "latent": latent["values"], "label": latent["label"], "codes": codes}
    answer = client.post("/api/images/draw", json={"model": model, "points": [point]})
    assert answer.status_code == 200, answer.text
    return np.frombuffer(answer.content, np.uint8).reshape(8, 8)


@pytest.mark.parametrize("name", [DIGITS, CLASSES, CODES, ENCODER, "styled"])
def test_what_is_found_is_what_reconstruct_finds_and_is_held_unchanged(
    client: TestClient, styled: str, picture: np.ndarray, run_cli: Any, home: Path, name: str
) -> None:
    model, space = (styled, "w") if name == "styled" else (name, None)
    # What other requests set must not reach the search.
    client.post("/api/images/draw", json={"model": model, "points": [{"seed": 0}], "truncation": 0.5})
    result = searched(client, model, picture, space=space)["result"]
    options = ("--space", space) if space else ()
    told = run_cli("reconstruct", model, "picture.png", "--steps", STEPS, *options, "--out", "made/", "--device", "cpu",
                   "--json")  # fmt: skip
    with Image.open(home / "made/picture.png") as image:
        assert np.array_equal(made(result), np.asarray(image))
    command = json.loads(told.out)
    assert (result["by"], result["space"]) == (command["by"], command["space"])
    assert result["psnr"] == pytest.approx(command["psnr"])
    assert np.array_equal(held(client, model, result["latent"]), made(result))


def test_rows_of_layers_are_not_held(client: TestClient, styled: str, picture: np.ndarray) -> None:
    result = searched(client, styled, picture, steps=1)["result"]
    assert (result["space"], result["latent"]) == ("w+", None)


def test_a_found_latent_is_steered(client: TestClient, styled: str, picture: np.ndarray) -> None:
    latent = searched(client, styled, picture, space="w", steps=1)["result"]["latent"]
    model = gancli.load(styled, device="cpu")
    point = {"seed": 0, "latent": latent["values"]}
    own = client.post("/api/images/own", json={"model": styled, "points": [point]}).json()["dims"]
    answer = client.post("/api/images/draw", json={"model": styled, "points": [{**point, "dims": {"2": own[2] + 1}}]})
    w = torch.tensor([latent["values"]])[:, None].repeat(1, model.latents().layers, 1)
    std = model.points(model.latent.from_seeds(range(1000)), "w")["w"][:, 0, 2].std()
    w[..., 2] += std
    near = model.generate({"w": w})[0, 0].numpy().astype(int)
    assert np.abs(np.frombuffer(answer.content, np.uint8).reshape(8, 8).astype(int) - near).max() <= 2


def test_a_hole_is_filled_as_inpaint_fills_it(
    client: TestClient, picture: np.ndarray, run_cli: Any, home: Path
) -> None:
    mask = np.zeros((8, 8), dtype=np.uint8)
    mask[2:5, 3:6] = 255
    Image.fromarray(mask).save(home / "mask.png")
    result = searched(client, DIGITS, picture, mask=packed(mask))["result"]
    told = run_cli("inpaint", DIGITS, "picture.png", "--mask", "mask.png", "--steps", STEPS, "--out", "made/",
                   "--device", "cpu", "--json")  # fmt: skip
    with Image.open(home / "made/picture.png") as image:
        assert np.array_equal(made(result), np.asarray(image))
    assert result["by"] == json.loads(told.out)["prior"]
    assert np.array_equal(made(result)[mask == 0], picture[mask == 0])
    assert not np.array_equal(held(client, DIGITS, result["latent"]), picture)


EMPTY = packed(np.zeros((8, 8), dtype=np.uint8))


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        (DIGITS, {"pixels": "AAAA"}, "the image has 3 bytes"),
        (DIGITS, {"pixels": "no base64"}, "the image has 0 bytes"),
        (DIGITS, {"mask": "AAAA"}, "the mask has 3 bytes"),
        (DIGITS, {"mask": EMPTY}, "the hole must be a part of the image, and not all of it"),
        (DIGITS, {"space": "w"}, "'dcgan/digits' has no space w: its generator has no mapping network"),
        (PAIRS, {}, "'pix2pix/mnist' makes images from images, not from seeds"),
        ("points-gan/ring", {}, "points-gan/ring makes numbers, not pictures"),
        ("/etc/passwd", {}, "the page has no model '/etc/passwd'"),
    ],
    ids=str,
)
def test_what_cannot_be_searched_is_refused(
    client: TestClient, picture: np.ndarray, model: str, values: dict[str, Any], message: str
) -> None:
    assert searched(client, model, picture, **values)["error"] == message


@pytest.mark.parametrize("values", [{"steps": 0}, {"steps": points.MOST_STEPS + 1}, {"space": "x"}], ids=str)
def test_numbers_out_of_range_are_refused(client: TestClient, values: dict[str, Any]) -> None:
    asked = {"model": DIGITS, "pixels": EMPTY, **values}
    assert client.post("/api/images/search", json=asked).status_code == 422


def test_a_latent_of_another_size_is_refused(client: TestClient) -> None:
    asked = {"model": DIGITS, "points": [{"seed": 0, "latent": [0.0, 1.0]}]}
    answer = client.post("/api/images/draw", json=asked)
    assert (answer.status_code, answer.json()["error"]) == (400, "the latent has 2 values")


def test_progress_is_told_and_an_error_ends_it() -> None:
    async def lines() -> list[dict[str, Any]]:
        async def work(progress: Any) -> dict[str, Any]:
            for _ in range(3):
                progress(2)
                await asyncio.sleep(0.15)
            raise UsageError("no more", "try less")

        return [json.loads(line) async for line in followed(work).body_iterator]

    *before, last = asyncio.run(lines())
    counts = [line["steps"] for line in before]
    assert counts == sorted(counts)
    assert counts[-1] == 6
    assert last == {"error": "no more", "hint": "try less"}


def test_a_search_ends_when_the_browser_has_gone() -> None:
    ended = threading.Event()

    def search(progress: Any) -> dict[str, Any]:
        try:
            while True:
                progress(1)
        except Cancelled:
            ended.set()
            raise

    async def leave() -> None:
        worker = Worker()
        answer: Any = followed(lambda progress: worker.run(search, progress)).body_iterator
        await anext(answer)
        await answer.aclose()
        assert await worker.run(lambda: ended.is_set())  # the thread is free again

    asyncio.run(asyncio.wait_for(leave(), 30))


def test_others_are_answered_between_the_steps_of_a_search() -> None:
    async def both() -> str:
        worker = Worker()
        begun, answered = threading.Event(), threading.Event()

        def search() -> str:
            begun.set()
            while not answered.is_set():
                worker.next()
            return "found"

        found = asyncio.ensure_future(worker.run(search))
        await asyncio.to_thread(begun.wait)
        await worker.run(answered.set)
        return await found

    assert asyncio.run(asyncio.wait_for(both(), 30)) == "found"


def test_what_others_set_meanwhile_does_not_reach_a_search(styled: str, picture: np.ndarray) -> None:
    for name, space in ((DIGITS, None), (styled, "z")):
        model = gancli.load(name, device="cpu")
        asked = points.Search(model=name, pixels=packed(picture), space=space, steps=STEPS)
        alone = pictures.search(model, asked, lambda steps: None)

        def meanwhile(steps: int, model: gancli.Model = model) -> None:
            model.truncate(0.01)
            model.sample([3])

        assert pictures.search(model, asked, meanwhile) == alone
