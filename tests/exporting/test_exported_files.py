"""Exported files give what the model gives, with nothing but the library that runs them."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toys import model_of

import gancli
from gancli import exporting
from gancli.alpha import straighten
from gancli.architectures import Spec, stylegan2
from gancli.errors import GancliError
from gancli.exporting import program
from gancli.latents import LatentSpec
from gancli.model import Model

SEEDS = range(9)


def bytes_of(images: np.ndarray | torch.Tensor) -> np.ndarray:
    """Images in [0, 1] as a PNG has them."""
    return np.rint(np.asarray(images) * 255).astype(int)


def styled(channels: int = 1, **header: object) -> Model:
    """An untrained StyleGAN2 of 8x8 pixels with two classes, which no file holds."""
    torch.manual_seed(0)
    latent = LatentSpec(6, classes=2)
    generator = stylegan2.Generator(Spec((channels, 8, 8), latent), width=4).eval().requires_grad_(False)
    generator.w_mean.copy_(torch.randn(6))
    recipe = SimpleNamespace(data=SimpleNamespace(name="toys"), training=SimpleNamespace(start=None))
    return model_of(generator, header={"recipe": {}, **header}, recipe=recipe)


def onnx_session(path: Path):
    import onnxruntime

    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_an_onnx_file_is_all_that_onnxruntime_needs(tmp_path: Path) -> None:
    model = gancli.load("infogan/digits", device="cpu")
    exported = exporting.export(model, tmp_path / "model.onnx", "onnx")
    session = onnx_session(exported.path)
    assert [(one.name, one.shape) for one in session.get_inputs()] == [
        ("z", ["batch", 64]),
        ("y", ["batch"]),
        ("c", ["batch", 2]),
    ]
    assert [(one.name, one.shape) for one in session.get_outputs()] == [("images", ["batch", 1, 8, 8])]
    inputs = {name: values.numpy() for name, values in model.latent.from_seeds(SEEDS).items()}
    (images,) = session.run(None, inputs)
    assert np.abs(bytes_of(images) - model.sample(SEEDS).numpy()).max() <= 1
    assert exported.difference < 1e-4
    found = json.loads(session.get_modelmeta().custom_metadata_map["gancli"])
    assert found == exported.metadata
    assert found["data"] == {"name": "digits", "licence": "CC BY 4.0"}
    assert (found["model"], found["identity"], found["gancli"]) == (model.name, model.identity, gancli.__version__)
    assert found["inputs"]["y"]["classes"] == list(model.classes)
    assert found["inputs"]["z"]["drawn_from"] == "N(0, 1)"
    assert found["outputs"]["images"]["range"] == [0, 1]
    whole = exported.path.read_bytes()
    assert str(Path(gancli.__file__).parent).encode() not in whole
    assert b".py" not in whole


def test_a_program_takes_psi_where_there_is_a_mapping_network(tmp_path: Path) -> None:
    model = styled(dataset={"licence": "CC0"})
    exported = exporting.export(model, tmp_path / "model.pt2", "torch")
    extra = {"gancli.json": ""}
    with exported.path.open("rb") as file:
        run = torch.export.load(file, extra_files=extra).module()
    assert json.loads(extra["gancli.json"])["data"]["licence"] == "CC0"
    assert str(Path(gancli.__file__).parent).encode() not in exported.path.read_bytes()
    inputs = model.latent.from_seeds(SEEDS)
    whole, near = (bytes_of(run(**inputs, psi=torch.tensor(psi))) for psi in (1.0, 0.5))
    assert np.abs(whole - model.sample(SEEDS).numpy()).max() <= 1
    model.truncate(0.5)
    assert np.abs(near - model.sample(SEEDS).numpy()).max() <= 1
    assert np.abs(near - whole).max() > 5


def test_colours_of_images_with_alpha_are_premultiplied(tmp_path: Path) -> None:
    model = styled(4)
    exported = exporting.export(model, tmp_path / "model.pt2", "torch")
    assert exported.metadata["outputs"]["images"]["channels"] == "RGB and alpha, premultiplied"
    with exported.path.open("rb") as file:
        images = torch.export.load(file).module()(**model.latent.from_seeds(SEEDS), psi=torch.tensor(1.0))
    straight = straighten(255 * images).round().clamp(0, 255)
    assert (straight - model.sample(SEEDS)).abs().max() <= 1


def test_the_second_translation_of_a_cyclegan(tmp_path: Path) -> None:
    model = gancli.load("cyclegan/mnist", device="cpu")
    sources = torch.randint(256, (3, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with exporting.export(model, tmp_path / "back.pt2", "torch", network="back").path.open("rb") as file:
        images = bytes_of(torch.export.load(file).module()(source=sources / 255))
    assert np.abs(images - model.translate(sources, network="back").numpy()).max() <= 1
    assert np.abs(images - model.translate(sources).numpy()).max() > 5


def test_a_file_that_gives_something_else_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = program.expected
    monkeypatch.setattr(program, "expected", lambda *arguments: right(*arguments) + 2e-4)
    with pytest.raises(GancliError, match=r"'sine-gan/sine' differs from the model by 0\.0002"):
        exporting.export(gancli.load("sine-gan/sine", device="cpu"), tmp_path / "model.pt2", "torch")
    assert not list(tmp_path.iterdir())


def test_code_that_no_exporter_follows_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = styled()
    monkeypatch.setattr(model.generator, "synthesize", lambda w: w * float(w.max()))
    with pytest.raises(GancliError, match="'toy/toy' cannot be exported: "):
        exporting.export(model, tmp_path / "model.pt2", "torch")
    assert not list(tmp_path.iterdir())
