"""State dicts of other programs for networks of ours: by name, by order and shape, and never by a guess."""

import re
from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gancli.architectures import Spec, dcgan, mlp
from gancli.errors import UsageError
from gancli.importing.matching import Match, match
from gancli.latents import LatentSpec

SPEC = Spec((1, 16, 16), LatentSpec(6))


def trained(network: nn.Module) -> nn.Module:
    """All numbers drawn at random, as after a training."""
    torch.manual_seed(1)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5 if "var" in name else torch.randn_like(value) / 4)
    return network.eval()


def example(*, bias: bool = False) -> nn.Module:
    """Layers as in PyTorch's DCGAN example, for 16x16 pixels."""

    class Example(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main = nn.Sequential(
                *(nn.ConvTranspose2d(6, 8, 4, 1, 0, bias=bias), nn.BatchNorm2d(8), nn.ReLU()),
                *(nn.ConvTranspose2d(8, 4, 4, 2, 1, bias=bias), nn.BatchNorm2d(4), nn.ReLU()),
                *(nn.ConvTranspose2d(4, 1, 4, 2, 1, bias=bias), nn.Tanh()),
            )

    return trained(Example())


def ours() -> nn.Module:
    return dcgan.Generator(SPEC, width=4).eval()


def matched(state: dict[str, Any], network: nn.Module | None = None, part: str | None = None) -> Match:
    return match(state, (network or ours()).state_dict(), part)


def images(made: Match, z: Tensor) -> Tensor:
    network = ours()
    network.load_state_dict(made.tensors)
    return network(z)


Z = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("bias", [False, True])
def test_pytorchs_dcgan_example_gives_the_same_images(bias: bool) -> None:
    """With biases before batch norm too, which ours has not: their mean takes them in."""
    network = example(bias=bias)
    made = matched(network.state_dict())
    torch.testing.assert_close(images(made, Z), network.main(Z[..., None, None]), rtol=1e-5, atol=1e-5)
    assert [(row.there, row.here) for row in made.rows] == [
        ("main.0", "stem.0"),
        ("main.1", "body.0"),
        ("main.3", "body.2.convolution"),
        ("main.4", "body.3"),
        ("main.6", "body.5.convolution"),
    ]
    assert made.left == []
    notes = [note for row in made.rows for note in row.notes]
    assert ("its layer has no bias: zeros" in notes) is not bias
    assert ("its bias is subtracted from the mean of the batch norm that follows" in notes) is bias


def test_other_layouts_of_the_same_network_give_the_same_images() -> None:
    """A linear layer with a bias for each pixel, half precision, batches that nothing counted."""
    linear = nn.Linear(6, 3 * 4)
    convolution = nn.ConvTranspose2d(6, 3, 2)
    expected = {"a.weight": torch.empty(12, 6), "a.bias": torch.empty(12)}
    made = match({f"x.{name}": value for name, value in convolution.state_dict().items()}, expected)
    linear.load_state_dict({name.removeprefix("a."): value for name, value in made.tensors.items()})
    torch.testing.assert_close(linear(Z).view(3, 3, 2, 2), convolution(Z[..., None, None]))
    state = {
        name: value.half() if value.is_floating_point() else value for name, value in example().state_dict().items()
    }
    counted = {name: value for name, value in state.items() if "batches" not in name}
    first, second = matched(state), matched(counted)
    assert all(
        torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors if "batches" not in name
    )
    assert first.tensors["stem.0.weight"].dtype == torch.float32


def test_a_network_of_ours_is_matched_by_name_in_any_order() -> None:
    state = {f"module.{name}": value for name, value in reversed(trained(ours()).state_dict().items())}
    made = matched(state)
    assert list(made.tensors) == list(ours().state_dict())
    assert all(torch.equal(value, state[f"module.{name}"]) for name, value in made.tensors.items())


def test_the_network_of_a_checkpoint_is_found() -> None:
    network, other = example(), nn.Sequential(nn.Conv2d(1, 4, 4), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 4))
    checkpoint = {f"netD.{name}": value for name, value in other.state_dict().items()}
    checkpoint |= {f"netG.{name}": value for name, value in network.state_dict().items()}
    checkpoint |= {f"optimizer.state.{number}.exp_avg": value for number, value in enumerate(network.parameters())}
    made = matched(checkpoint)
    assert made.network == "netG.main"
    assert made.left == []
    torch.testing.assert_close(images(made, Z), network.main(Z[..., None, None]), rtol=1e-5, atol=1e-5)


def test_two_networks_that_fit_are_an_error_that_names_them() -> None:
    state = example().state_dict()
    both = {f"{part}.{name}": value for part in ("G", "ema") for name, value in state.items()}
    with pytest.raises(UsageError, match=r"fits 2 parts of the file: 'G\.main', 'ema\.main'") as refused:
        matched(both)
    assert "`network=G.main`" in refused.value.hint
    assert matched(both, part="ema").rows[0].there == "ema.main.0"
    with pytest.raises(UsageError, match="no part 'emma'") as refused:
        matched(both, part="emma")
    assert refused.value.hint == "did you mean 'ema'?"


def test_layers_that_could_be_others_are_an_error_that_shows_them() -> None:
    """Four linear layers of one shape for the three of ours."""
    network = mlp.Generator(Spec((1, 2, 3), LatentSpec(6)), hidden=[6, 6])
    state = OrderedDict((f"{name}.{leaf}", torch.zeros(6, 6) if leaf == "weight" else torch.zeros(6))
                        for name in "abcd" for leaf in ("weight", "bias"))  # fmt: skip
    with pytest.raises(UsageError, match=re.escape("in more than one way: 'body.0' could be a or b or c or d")):
        matched(state, network)
    del state["d.weight"], state["d.bias"]
    assert [row.there for row in matched(state, network).rows] == ["a", "b", "c"]


def test_what_is_missing_is_an_error_with_the_shapes_of_both() -> None:
    state = example().state_dict()
    wide = dcgan.Generator(SPEC, width=8)
    with pytest.raises(
        UsageError, match=re.escape("nothing in the file fits the recipe's 'stem.0' (weight 256x6)")
    ) as e:
        matched(state, wide)
    assert "the file has main.0 (weight 6x8x4x4)" in e.value.message
    assert "`networks.generator.width=64`" in e.value.hint
    cut = {name: value for name, value in state.items() if not name.startswith("main.4")}
    with pytest.raises(UsageError, match=r"nothing in the file after main\.3 fits the recipe's 'body\.3' \(weight 4,"):
        matched(cut)


def test_what_is_left_over_is_named() -> None:
    state = example().state_dict()
    state["main.9.weight"] = torch.zeros(5, 5)
    assert matched(state).left == ["main.9.weight"]


@pytest.mark.parametrize("change", ["counts", "bias", "norm"])
def test_tensors_that_do_not_belong_to_a_layer_keep_it_from_fitting(change: str) -> None:
    state = example().state_dict()
    if change == "counts":
        state["main.0.weight"] = state["main.0.weight"].long()
    elif change == "bias":  # of another length than the batch norm that follows
        state["main.0.bias"] = torch.zeros(5)
    else:
        state["main.1.weight_u"] = torch.zeros(8)
    with pytest.raises(UsageError, match="nothing in the file"):
        matched(state)
