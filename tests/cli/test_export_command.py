import json

import pytest
import torch

import gancli


def test_numbers_as_a_program_of_torch(run_cli, home) -> None:
    result = run_cli("export", "sine-gan/sine", "--to", "torch")
    assert (result.code, result.out) == (0, "sine-gan-sine.pt2\n")
    assert result.err.startswith("sine-gan/sine exported; its numbers of 64 seeds differ by at most ")
    model = gancli.load("sine-gan/sine", device="cpu")
    with (home / "sine-gan-sine.pt2").open("rb") as file:
        numbers = torch.export.load(file).module()(z=model.latent.from_seeds(range(5))["z"])
    torch.testing.assert_close(numbers, model.sample(range(5)).flatten(1))


def test_json_tells_what_the_file_says_of_itself(run_cli) -> None:
    result = run_cli("export", "sine-gan/sine", "--to", "torch", "--out", "made/sine.pt2", "--json")
    found = json.loads(result.out)
    assert (found["out"], found["model"]) == ("made/sine.pt2", "sine-gan/sine")
    assert found["difference"] <= 1e-4
    assert found["outputs"] == {"numbers": {"type": "float32", "shape": ["batch", 15]}}


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (
            ["dcgan/mnist", "--to", "onnx", "--out", "model.pt2"],
            "--out 'model.pt2' does not end in '.onnx', as --to onnx writes",
            "for example: --out model.onnx",
        ),
        (
            ["dcgan/mnist", "--to", "torch", "--back"],
            "'dcgan/mnist' makes images from seeds, not from images",
            "`gancli sample dcgan/mnist`, or `gancli reconstruct dcgan/mnist IMAGES`",
        ),
        (
            ["pix2pix/mnist", "--to", "torch", "--back"],
            "'pix2pix/mnist' has no network 'back'",
            "it has generator",
        ),
        (
            ["dcgan/mnist", "--to", "onnx", "--runtime", "x.tgz"],
            "--runtime 'x.tgz' is for a page, and --to is onnx",
            "leave out --runtime, or use --to html",
        ),
        (
            ["sine-gan/sine", "--to", "html"],
            "a page shows images, and 'sine-gan/sine' makes numbers",
            "write it with --to onnx; dcgan/mnist is a model of images from seeds",
        ),
        (
            ["quick/digits", "--to", "html", "--runtime", "none.tgz"],
            "there is no file 'none.tgz'",
            "`npm pack onnxruntime-web@1.30.0` writes onnxruntime-web-1.30.0.tgz",
        ),
    ],
)
def test_errors(run_cli, home, arguments, message: str, hint: str) -> None:
    result = run_cli("export", *arguments)
    assert (result.code, result.out, result.err) == (2, "", f"error: {message}\n\nhint: {hint}\n")
    assert not [path for path in home.iterdir() if path.is_file()]


def test_without_the_extra_the_error_names_it(run_cli, home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gancli.exporting.writing.find_spec", lambda name: None)
    result = run_cli("export", "no/such", "--to", "onnx")
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "error: export to ONNX needs onnx, onnxscript, onnxruntime\n\n"
        "hint: pip install 'gancli[onnx]', or write a program of torch.export with --to torch\n"
    )
