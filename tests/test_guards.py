"""What keeps start-up and sampling fast, held by counts: of modules, of searches for garbage, of rounds, of bytes."""

import io
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageFile
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import gancli
from benchmarks.startup import first_step
from gancli.data import load, pixels
from gancli.latents import LatentSpec
from gancli.recipe import read
from gancli.rendering import images
from gancli.training.loop import Trainer

TELL = """
import gc, json, sys
def tell():
    found = {"modules": list(sys.modules), "searches": sum(each["collections"] for each in gc.get_stats())}
    print(json.dumps(found), flush=True)
"""
FLOOR = """
import torch
tell()
torch.optim.Adam([torch.zeros(1, requires_grad=True)])
tell()
"""
COMMAND = """
from gancli.cli import main
for words in " ".join(sys.argv[1:]).split(" ; "):
    try:
        main(words.split())
    except SystemExit as leaving:
        assert not leaving.code, leaving.code
    tell()
"""

UNWANTED = {"matplotlib", "pandas", "requests", "scipy", "skimage", "sklearn", "tensorboard", "torch_fidelity"}
UNWANTED |= {"torchmetrics", "torchvision"}


def told(code: str, *arguments: str) -> list[tuple[set[str], int]]:
    """The modules loaded and the searches for garbage made in a process of its own, whenever it tells."""
    # Found without being installed as well, as when the tests run in a checkout.
    environment = os.environ | {"PYTHONPATH": str(Path(gancli.__file__).parents[1])}
    command = [sys.executable, "-c", TELL + code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    assert "leaked" not in done.stderr  # as compiled modules say of objects that are kept from being collected
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"modules"')]
    return [(set(line["modules"]), line["searches"]) for line in lines]


@pytest.fixture(scope="module")
def floors() -> list[tuple[set[str], int]]:
    """Of importing torch, and of building an optimizer then."""
    return told(FLOOR)


@pytest.mark.parametrize(("command", "most"), [("--help", 256), ("zoo list", 351)])
def test_light_commands_import_little(command: str, most: int) -> None:
    ((loaded, _),) = told(COMMAND, *command.split())
    assert sorted(loaded & {*UNWANTED, "torch", "numpy", "PIL", "safetensors"}) == []
    assert len(loaded) <= most


def test_sampling_imports_little_beyond_torch(home: Path, floors: list[tuple[set[str], int]]) -> None:
    commands = (
        "sample dcgan/mnist -n 4 --out x.png",
        "sample dcgan/mnist -n 3 --out folder",
        "interpolate dcgan/mnist --seeds 1,2 --frames 2 --out x.gif",
    )
    (loaded, searches), _, (in_the_end, _) = told(COMMAND, " ; ".join(commands))
    torch_alone, its_searches = floors[0]
    assert all((home / name).exists() for name in ("x.png", "folder", "x.gif"))
    unwanted = {*UNWANTED, "torch._dynamo", "sympy", "gancli.training.loop", "gancli.evaluation"}
    assert sorted(in_the_end & unwanted) == []
    assert len(loaded - torch_alone) <= 262
    assert searches < its_searches / 3


def test_a_training_imports_little_up_to_its_first_step(home: Path, floors: list[tuple[set[str], int]]) -> None:
    command = "train digits --model quick --rounds 1 --precision fp32 --out r"
    ((loaded, searches),) = told(first_step("tell()"), *command.split())
    with_optimizer, its_searches = floors[1]
    assert (home / "r" / "state.safetensors").exists()
    assert sorted(loaded & {*UNWANTED, "gancli.evaluation", "gancli.zoo.publishing"}) == []
    assert len(loaded - with_optimizer) <= 345
    assert searches < its_searches / 3


@pytest.mark.parametrize("budget", [("--rounds", "2"), ("--kimg", "0.01"), ("--epochs", "0.01")])
def test_only_a_budget_in_minutes_is_worth_a_trial(run_cli, home: Path, monkeypatch, budget: tuple[str, str]) -> None:
    real, done = Trainer.round, []
    monkeypatch.setattr(Trainer, "round", lambda self: (real(self), done.append(self.rounds)))
    small = [
        "--precision",
        "fp32",
        "--set",
        "training.batch=4",
        "--set",
        "networks.generator.width=2",
        "--set",
        "networks.discriminator.width=2",
    ]
    result = run_cli("train", "digits", "--model", "quick", *budget, *small, "--out", "r")
    assert result.code == 0, result.err
    assert "measuring" not in result.err
    rounds = read(home / "r" / "recipe.toml")["training"]["rounds"]
    assert done == list(range(1, rounds + 1))
    shown = {"--rounds": 8, "--kimg": 10, "--epochs": 0.01 * len(load("digits").images)}[budget[0]]
    assert rounds == max(1, round(shown / 4))


class Counted(TorchDispatchMode):
    """Counts the operations that reach the tensors."""

    calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls += 1
        return func(*args, **(kwargs or {}))


def test_a_seed_takes_two_operations_an_input_and_no_generator_of_its_own(monkeypatch) -> None:
    made, real = [], torch.Generator
    monkeypatch.setattr(torch, "Generator", lambda: made.append(1) or real())
    with Counted() as counted:
        LatentSpec(100, classes=10, codes=2).from_seeds(range(64))
    assert counted.calls <= 2 * 3 * 64 + 3
    assert len(made) == 1


def peak(path: Path, count: int) -> int:
    """The most bytes that Python held while so many pictures were written."""
    pictures = torch.randint(0, 256, (64, 1, 8, 8), dtype=torch.uint8)

    def batches() -> Iterator[Tensor]:
        for _ in range(count // 64):
            yield pictures.clone()

    tracemalloc.start()
    try:
        assert images.save_images(batches(), range(count), path) == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("name", "a_picture"), [("folder", 0), ("archive.zip", 600)])
def test_memory_does_not_grow_with_the_pictures(home: Path, monkeypatch, name: str, a_picture: int) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    few, many = 512, 4096
    # What is loaded on the way, once, is no growth; so the least of two.
    peaks = {count: min(peak(home / f"{turn}-{count}-{name}", count) for turn in (1, 2)) for count in (many, few)}
    # An archive ends with the list of what it holds, a few hundred bytes each.
    assert peaks[many] <= 2 * peaks[few] + a_picture * (many - few)


@pytest.mark.parametrize("kind", ["AVIF", "BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP"])
def test_the_header_of_an_image_is_read_without_its_pixels(monkeypatch, kind: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (40, 30)).save(file, kind)
    file.seek(0)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    assert pixels.probe(file)[0] == (30, 40)
