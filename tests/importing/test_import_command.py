"""`gancli import` as users type it."""

import json
import os
import pickle
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))

import ada

import gancli
from gancli import checkpoint
from gancli.errors import UsageError
from gancli.exporting import metadata
from gancli.importing import isolated, stylegan2
from gancli.zoo import sharing

SETTINGS = (
    "networks.generator.width=4",
    "data.size=8",
    "data.channels=1",
    "latent.dim=6",
    "latent.distribution=normal",
)
SET = [word for each in SETTINGS for word in ("--set", each)]


def netg() -> nn.Module:
    """As in PyTorch's example, for 8x8 pixels."""
    torch.manual_seed(0)
    layers = [nn.ConvTranspose2d(6, 4, 4, bias=False), nn.BatchNorm2d(4), nn.ReLU()]
    return nn.Sequential(nn.Sequential(*layers, nn.ConvTranspose2d(4, 1, 4, 2, 1, bias=False), nn.Tanh())).eval()


def test_a_state_dict_becomes_a_model(home: Path, run_cli) -> None:
    network = netg()
    torch.save(network.state_dict(), "netG.pth")
    done = run_cli("import", "netG.pth", "--as", "dcgan", *SET)
    assert done.code == 0, done.err
    assert done.out == "netG.safetensors\n"
    assert done.err.splitlines() == [
        "0.0 -> stem.0 (weight 6x4x4x4 to 64x6; a transposed convolution of 1x1 pixels as a linear layer)",
        "0.1 -> body.0 (weight 4)",
        "0.3 -> body.2.convolution (weight 4x1x4x4; its layer has no bias: zeros)",
        "by the recipe: 6 latent values of N(0, 1), output tanh",
        "note: the file names no licence",
    ]
    model = gancli.load("netG.safetensors", device="cpu")
    z = model.latent.from_seeds(range(5))["z"]
    expected = ((network(z[..., None, None]) + 1) * 127.5).round()
    assert (model.sample(range(5)).float() - expected).abs().max() <= 1
    assert run_cli("sample", "netG.safetensors", "--seeds", "0-3").code == 0
    done = run_cli("evaluate", "netG.safetensors", "--data", "digits", "-n", "24", "--metrics", "fid")
    assert done.code == 0, done.err
    assert "names a data set" not in done.err
    with pytest.raises(UsageError, match="licence of 'netG' is not known"):
        sharing.completed(model, "", None)


def test_a_pickle_of_nvidias_becomes_a_model_with_its_licence(home: Path, run_cli) -> None:
    theirs = ada.Generator(classes=3, size=8).eval()
    Path("net.pkl").write_bytes(ada.snapshot(theirs))
    done = run_cli("import", "net.pkl", "--as", "stylegan2-small", "--out", "made.safetensors", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["network"] == "G_ema"
    assert told["licence"] == stylegan2.LICENCE
    assert {"file": "G_ema.mapping", "model": "", "notes": []} in [
        {key: row[key] for key in ("file", "model", "notes")} for row in told["layers"]
    ]
    model = gancli.load("made.safetensors", device="cpu")
    inputs = model.latent.from_seeds(range(6))
    expected = ((theirs(inputs["z"], inputs["y"]) + 1) * 127.5).clamp(0, 255).round()
    assert (model.sample(range(6)).float() - expected).abs().max() <= 1
    assert model.licence == stylegan2.LICENCE
    assert model.header["imported"]["file"] == "net.pkl"
    assert metadata.describe(model)["data"]["licence"] == stylegan2.LICENCE
    assert sharing.completed(model, "", None)["dataset"]["licence"] == stylegan2.LICENCE
    with pytest.raises(UsageError, match="NVIDIA"):
        sharing.completed(model, "MIT", None)
    done = run_cli("import", "net.pkl", "--as", "dcgan")
    assert done.code == 2
    assert "--as stylegan2" in done.err
    assert not (home / "canary").exists()
    assert not (home / "net.safetensors").exists()


def test_what_is_trained_from_imported_weights_has_their_licence(home: Path, run_cli) -> None:
    torch.save(netg().state_dict(), "netG.pth")
    assert run_cli("import", "netG.pth", "--as", "dcgan", *SET).code == 0
    header = checkpoint.read_header(Path("netG.safetensors"))
    tensors, _ = checkpoint.read(Path("netG.safetensors"))
    checkpoint.write(Path("theirs.safetensors"), tensors, header | {"dataset": {"name": "", "licence": "Theirs"}})
    for source, run in (("theirs.safetensors", "one"), ("one", "two")):
        done = run_cli("train", "digits", "--from", source, "--rounds", 1, "--out", run, "-q")
        assert done.code == 0, done.err
        model = gancli.load(run, device="cpu")
        assert model.inherited_licence == "Theirs"
        both = f"Theirs; {model.licence}"
        assert model.licence
        assert metadata.describe(model)["data"]["licence"] == both
        assert sharing.completed(model, "", None)["dataset"]["licence"] == both


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch canary",)


def test_what_is_refused_leaves_no_file(home: Path, run_cli) -> None:
    Path("evil.pkl").write_bytes(pickle.dumps({"generator": Evil()}))
    done = run_cli("import", "evil.pkl", "--as", "stylegan2")
    assert done.code == 1
    assert done.err.splitlines()[0] == (
        "error: 'evil.pkl' is not read: it names posix.system, which is not on the list of what is read"
    )
    assert sorted(path.name for path in home.iterdir()) == ["evil.pkl"]


def test_bad_input_is_refused_before_the_file_is_read(home: Path, run_cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "_convert", lambda *_: pytest.fail("the file was read"))
    Path("x.safetensors").write_bytes(b"x")
    for words, message in (
        (("x.safetensors", "--as", "dcgan"), "'x.safetensors' is the file that is read"),
        (("x.safetensors", "--as", "dcgan", "--out", "x.pth"), "does not end in .safetensors"),
        (("x.safetensors", "--as", "dcgam", "--out", "y.safetensors"), "no model is called 'dcgam'"),
        (("x.safetensors", "--as", "dcgan", "--out", "y.safetensors", "--set", "latent.dims=3"), "unknown key"),
        (("absent.pth", "--as", "dcgan"), "'absent.pth' cannot be read"),
    ):
        done = run_cli("import", *words)
        assert done.code == 2, done.err
        assert message in done.err
        assert "Traceback" not in done.err


def test_numbers_that_are_none_are_refused(home: Path, run_cli, monkeypatch: pytest.MonkeyPatch) -> None:
    state = netg().state_dict()
    state["0.3.weight"][0] = float("nan")
    monkeypatch.setattr(isolated, "read", lambda _: isolated.Weights(state, {}, "0" * 64))
    Path("nan.pth").write_bytes(b"x")
    done = run_cli("import", "nan.pth", "--as", "dcgan", *SET)
    assert done.code == 2
    assert "its tensor 'generator.body.2.convolution.weight' does not fit its recipe" in done.err
    done = run_cli("import", "nan.pth", "--as", "dcgan")
    assert "the size of the images does not stand in 'nan.pth'" in done.err
    assert "--set data.size=64" in done.err
    assert not (home / "nan.safetensors").exists()
