"""StyleGAN2-ADA's pickles: our model's images are those that the papers' equations give with the file's weights."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))

import ada

from gancli.architectures import Spec, stylegan2
from gancli.errors import GancliError, UsageError
from gancli.importing import stylegan2 as ours
from gancli.importing import worker
from gancli.importing.isolated import Part, Weights
from gancli.latents import LatentSpec


def weights(content: bytes) -> Weights:
    """What the process that reads files hands back."""
    found = worker.of_pickle(io.BytesIO(content), len(content))
    parts = {name: Part(kind, found.values[name]) for name, kind in found.classes.items()}
    return Weights({name: torch.tensor(value) for name, value in found.tensors.items()}, parts, "0" * 64)


def network(converted: ours.Converted) -> stylegan2.Generator:
    """Ours with the weights of the file."""
    table = converted.recipe
    data, latent = table["data"], LatentSpec(**table["latent"])
    made = stylegan2.Generator(Spec((data["channels"], *data["size"]), latent), **table["networks"]["generator"])
    made.load_state_dict(converted.tensors)
    return made.eval()


def drawn(classes: int) -> tuple[Tensor, Tensor | None]:
    z = torch.randn(4, 5, generator=torch.Generator().manual_seed(3))
    return z, torch.tensor([2, 0, 1, 2]) if classes else None


@pytest.mark.parametrize(
    "options",
    [{}, {"classes": 3}, {"rate": 0.05}, {"size": 32, "channels": 1}],
    ids=["plain", "classes", "rate", "size"],
)
def test_the_images_are_those_of_the_equations(options: dict[str, Any]) -> None:
    theirs = ada.Generator(**options).eval()
    made = network(ours.convert(weights(ada.snapshot(theirs))))
    z, y = drawn(options.get("classes", 0))
    with torch.no_grad():
        torch.testing.assert_close(made(z, y), theirs(z, y), rtol=1e-4, atol=1e-4)
        w = made.w_mean + 0.5 * (made.map(z, y) - made.w_mean)
        torch.testing.assert_close(made.synthesize(w), theirs(z, y, psi=0.5), rtol=1e-4, atol=1e-4)


def test_weights_move_as_they_are() -> None:
    """With the settings of the papers, no number changes."""
    theirs = ada.Generator().eval()
    converted = ours.convert(weights(ada.snapshot(theirs)))
    state = theirs.state_dict()
    for here, there in (
        ("mapper.layers.1.weight", "mapping.fc1.weight"),
        ("mapper.layers.0.bias", "mapping.fc0.bias"),
        ("w_mean", "mapping.w_avg"),
        ("styled.1.convolution.weight", "synthesis.b8.conv0.weight"),
        ("styled.2.convolution.style.bias", "synthesis.b8.conv1.affine.bias"),
        ("images.2.convolution.weight", "synthesis.b16.torgb.weight"),
    ):
        assert torch.equal(converted.tensors[here], state[there]), here
    assert sum(value.numel() for value in converted.tensors.values()) == sum(
        value.numel() for name, value in state.items() if "resample_filter" not in name
    )
    notes = {note for row in converted.rows for note in row.notes}
    assert notes == {"here and below, activations are not cut off at 256"}


def test_the_average_of_the_weights_is_taken_unless_another_is_named() -> None:
    theirs = ada.Generator()
    found = weights(ada.snapshot(theirs))
    assert ours.generators(found) == ["G", "G_ema"]
    assert torch.equal(ours.convert(found).tensors["w_mean"], theirs.mapping.w_avg)
    other = ours.convert(found, "G").tensors["w_mean"]
    assert torch.equal(other, ada.Generator(seed=9).mapping.w_avg)
    with pytest.raises(UsageError, match="no generator 'D': G, G_ema"):
        ours.convert(found, "D")
    alone = ours.convert(weights(ada.dumped(theirs)))
    assert alone.network == ""
    assert torch.equal(alone.tensors["w_mean"], theirs.mapping.w_avg)
    with pytest.raises(
        GancliError, match="no generator of StyleGAN2 in the file, but Discriminator, FullyConnectedLayer"
    ):
        ours.convert(weights(ada.dumped({"D": ada.Discriminator()})))


def changed(change: str) -> ada.Generator:
    theirs = ada.Generator()
    block, layer = theirs.synthesis.b8, theirs.synthesis.b8.conv1
    match change:
        case "architecture":
            block.architecture = "resnet"
        case "filter":
            layer.resample_filter = torch.eye(4) / 4
        case "activation":
            layer.activation = "relu"
        case "mapping":
            theirs.mapping.fc0.activation = "linear"
        case "noise":
            layer.use_noise = False
            del layer.noise_const, layer.noise_strength
        case "more":
            layer.more = torch.nn.Parameter(torch.zeros(3))
        case "mean":
            del theirs.mapping.w_avg
        case "size":
            theirs.synthesis.img_resolution = 24
        case "alpha":
            theirs.synthesis.img_channels = 4
        case "gain":
            del theirs.mapping.fc0.weight_gain
    return theirs


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("architecture", "block 8x8 has the architecture 'resnet'"),
        ("filter", r"another filter than \[1, 3, 3, 1\]"),
        ("activation", "has the activation 'relu'"),
        ("mapping", "mapping.fc0 has another activation"),
        ("noise", "only some of its layers have noise"),
        ("more", r"it has G_ema\.synthesis\.b8\.conv1\.more, for which ours has no place"),
        ("mean", r"it has no mapping\.w_avg"),
        ("size", "24 pixels a side"),
        ("alpha", "images have 4 channels"),
        ("gain", "mapping.fc0 has no weight_gain"),
    ],
)
def test_other_configurations_are_refused(change: str, words: str) -> None:
    with pytest.raises(GancliError, match=words):
        ours.convert(weights(ada.snapshot(changed(change))))
