"""Directions of latent spaces: that those are found which are known, how they are stored, named and moved along."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toys import Mapped, mapped, model_of, style_model

from gancli.architectures import Generator, MappingGenerator, Spec
from gancli.architectures.stylegan2 import ModulatedConv
from gancli.editing import directions, discovery
from gancli.editing.directions import Direction
from gancli.editing.inversion import pictures
from gancli.errors import GancliError, UsageError
from gancli.latents import LatentSpec
from gancli.model import Model

SINGULAR = torch.tensor([0.2, 0.1, 0.05, 0.02])


def orthogonal(rows: int, columns: int, seed: int) -> Tensor:
    made = torch.linalg.qr(torch.randn(rows, rows, generator=torch.Generator().manual_seed(seed))).Q
    return made[:, :columns]


LEFT, RIGHT = orthogonal(6, 4, 0), orthogonal(4, 4, 1)


class Linear(Generator):
    """Pixels in [-1, 1] that are U S V^T z, with known factors."""

    def __init__(self, *, known: bool, latent: LatentSpec) -> None:
        super().__init__(Spec((1, 2, 3), latent), "identity")
        self.known = known
        self.weight = nn.Parameter((LEFT * SINGULAR) @ RIGHT.T)

    def synthesize(self, w: Tensor) -> Tensor:
        return (w[:, :4] @ self.weight.T + 0.1).view(-1, 1, 2, 3)

    def first_layer(self, w: Tensor) -> Tensor | None:
        return w[:, :4] @ self.weight.T + 0.1 if self.known else None


def linear(*, known: bool = True, distribution: Any = "normal", **latent: Any) -> Model:
    return model_of(Linear(known=known, latent=LatentSpec(4, distribution, **latent)).requires_grad_(False))


@pytest.mark.parametrize("known", [True, False], ids=["sefa", "jacobian"])
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_the_singular_vectors_of_a_linear_generator_are_found(known: bool, distribution: str) -> None:
    model = linear(known=known, distribution=distribution, classes=2)
    assert discovery.usual(model) == ("sefa" if known else "jacobian")
    found = discovery.find(model)
    assert [each.name for each in found] == ["0", "1", "2", "3"]
    step = 1.0 if distribution == "normal" else 3**-0.5
    for each, left, right, singular in zip(found, LEFT.T, RIGHT.T, SINGULAR, strict=True):
        sign = right[right.abs().argmax()].sign()
        torch.testing.assert_close(torch.tensor(each.vector), step * right * sign, atol=1e-4, rtol=1e-4)
        # One step back and one ahead, of pixels that are stored as half of what the generator gives, in 255 levels.
        assert each.change == pytest.approx(float(step * singular * left.abs().mean()), abs=1 / 255)


def test_the_jacobians_of_all_seeds_count_alike() -> None:
    model = model_of(mapped())
    told: list[int] = []
    found = discovery.find(model, 3, method="jacobian", progress=told.append)
    assert sum(told) == discovery.work(model, 3, "jacobian")
    w = model.points(model.latent.from_seeds(range(discovery.POINTS)), "w")["w"]

    def images(offset: Tensor) -> Tensor:
        return pictures(model, {"w": w + offset[:, None]}).flatten(1)

    whole = torch.autograd.functional.jacobian(images, torch.zeros(len(w), 8))
    own = torch.stack([whole[n, :, n] for n in range(len(w))]).double()
    values, vectors = torch.linalg.eigh((own.mT @ own).mean(0))
    best = vectors.flip(1)[:, :3]
    units = torch.nn.functional.normalize(torch.tensor([each.vector for each in found]).double(), dim=1)
    overlap = (units @ best).abs()
    assert sorted(overlap.argmax(1).tolist()) == [0, 1, 2]
    assert (overlap.amax(1) > 0.99).all()
    assert values[-1] > values[-2]


DEVIATIONS, AXES = torch.tensor([3.0, 1.0, 0.3]), orthogonal(3, 3, 2)


class Gaussian(MappingGenerator):
    """w is normal, with known axes and standard deviations; the image is w."""

    def __init__(self) -> None:
        super().__init__(Spec((1, 1, 3), LatentSpec(3)), "tanh", 3)
        self.weight = nn.Parameter(torch.ones(1))

    def mapping(self, z: Tensor, y: Tensor | None = None, c: Tensor | None = None) -> Tensor:
        return (z * DEVIATIONS) @ AXES.T + 5

    def synthesize(self, w: Tensor) -> Tensor:
        return (self.weight * 0.1 * w).view(-1, 1, 1, 3)


def test_principal_components_are_the_axes_of_a_known_gaussian() -> None:
    model = model_of(Gaussian().eval().requires_grad_(False))
    assert discovery.usual(model) == "pca"
    found = discovery.find(model)
    assert {each.space for each in found} == {"w"}
    for each, axis, deviation in zip(found, AXES.T, DEVIATIONS, strict=True):
        vector = torch.tensor(each.vector)
        assert float(vector.norm()) == pytest.approx(float(deviation), rel=0.05)
        assert float(vector @ axis) == pytest.approx(math.copysign(float(deviation), float(vector @ axis)), rel=0.05)


def test_sefa_takes_the_styles_of_every_convolution() -> None:
    model = style_model()
    layers = [each.style for each in model.latents().modules() if isinstance(each, ModulatedConv)]
    assert len(layers) == 5
    stacked = torch.cat([layer.weight / 5**0.5 for layer in layers]).double()
    first = torch.linalg.svd(stacked).Vh
    found = discovery.find(model)
    assert {(each.method, each.space) for each in found} == {("sefa", "w")}
    units = torch.nn.functional.normalize(torch.tensor([each.vector for each in found]).double(), dim=1)
    overlap = (units @ first.T).abs()
    assert sorted(overlap.argmax(1).tolist()) == [0, 1, 2, 3, 4]
    assert (overlap.amax(1) > 0.999).all()
    assert [each.change for each in found] == sorted((each.change for each in found), reverse=True)
    torch.testing.assert_close(discovery.weights(model), stacked.T, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("model", "count", "method", "message"),
    [
        (linear(), None, "pca", "'toy/toy' has no w, whose principal components `method=pca` takes"),
        (
            linear(known=False),
            None,
            "sefa",
            "'toy/toy' names no linear layers that its latent meets first, which `method=sefa` factorizes",
        ),
        (linear(), 5, None, "there are no 5 directions in a space of 4 dimensions"),
    ],
)
def test_what_a_model_does_not_have(model: Model, count: Any, method: Any, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        discovery.find(model, count, method=method)
    assert raised.value.message == message


def entry(**values: Any) -> dict[str, Any]:
    return {"name": "smile", "space": "z", "method": "sefa", "change": 0.1, "vector": [1.0, 0, 0, 0], **values}


def holding(*entries: Any, **latent: Any) -> Model:
    model = linear(**latent)
    model.header, model.path = {"directions": list(entries)}, Path("x.safetensors")
    return model


def test_what_is_stored_is_read_again() -> None:
    found = discovery.find(linear())
    again = directions.stored(holding(*(each.to_dict() for each in found)))
    for each, stored in zip(found, again, strict=True):
        assert (stored.name, stored.space, stored.method) == (each.name, each.space, each.method)
        assert stored.vector == pytest.approx(each.vector, rel=1e-5)
    assert directions.stored(linear()) == ()


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ("many", "they are not a list of at most 64"),
        ([entry(name=f"n{number}") for number in range(65)], "they are not a list of at most 64"),
        (["smile"], "one has not exactly name, space, method, change and vector"),
        ([entry(more=1)], "one has not exactly name, space, method, change and vector"),
        ([entry(name="a/b")], "a name is not 1 to 32 letters, digits, - and _"),
        ([entry(name="a" * 33)], "a name is not 1 to 32 letters, digits, - and _"),
        ([entry(name=7)], "a name is not 1 to 32 letters, digits, - and _"),
        ([entry(), entry(name="SMILE")], "a name stands there twice"),
        ([entry(space="w")], "'smile' is of no space of this model, or by no method"),
        ([entry(space=[])], "'smile' is of no space of this model, or by no method"),
        ([entry(method="magic")], "'smile' is of no space of this model, or by no method"),
        ([entry(method={})], "'smile' is of no space of this model, or by no method"),
        ([entry(vector=[1.0, 2.0])], "'smile' is not 4 numbers, as z has"),
        ([entry(vector="1234")], "'smile' is not 4 numbers, as z has"),
        ([entry(vector=[0, 0, 0, math.nan])], "'smile' has a value that is no number from -1,000,000 to 1,000,000"),
        ([entry(vector=[0, 0, 0, 1e7])], "'smile' has a value that is no number from -1,000,000 to 1,000,000"),
        ([entry(vector=[0, 0, 0, "1"])], "'smile' has a value that is no number from -1,000,000 to 1,000,000"),
        ([entry(change=math.inf)], "'smile' has a value that is no number from -1,000,000 to 1,000,000"),
    ],
)
def test_a_header_that_is_none(listed: Any, message: str) -> None:
    model = holding()
    model.header["directions"] = listed
    with pytest.raises(GancliError) as raised:
        directions.stored(model)
    assert raised.value.message == f"the directions in x.safetensors cannot be used: {message}"


def test_moves_add_up_and_uniform_latents_stay_in_their_cube() -> None:
    model = holding(entry(), entry(name="tilt", vector=[0, 2.0, 0, 0]), classes=3)
    inputs = model.latent.from_seeds(range(5))
    chosen = directions.chosen(model, directions.parse_moves(["smile=-1.5", "tilt=2"]))
    moved = directions.move(model, inputs, chosen)
    torch.testing.assert_close(moved["z"] - inputs["z"], torch.tensor([-1.5, 4.0, 0, 0]).expand(5, -1))
    assert torch.equal(moved["y"], inputs["y"])
    assert directions.move(model, inputs, []) is inputs
    model = holding(entry(), distribution="uniform")
    inputs = model.latent.from_seeds(range(5))
    moved = directions.move(model, inputs, directions.chosen(model, {"smile": 9}))
    assert moved["z"][:, 0].tolist() == [1.0] * 5
    assert torch.equal(moved["z"][:, 1:], inputs["z"][:, 1:])


def test_directions_of_both_spaces_move_first_z_then_all_rows_of_w() -> None:
    model = model_of(mapped())
    z, w = (0.5,) * 6, (0.25,) * 8
    both = [(Direction("a", "w", "pca", 0.0, w), 2.0), (Direction("b", "z", "sefa", 0.0, z), -1.0)]
    inputs = model.latent.from_seeds([3, 4])
    moved = directions.move(model, inputs, both)
    expected = model.points({"z": inputs["z"] - 0.5}, "w")["w"] + 0.5
    assert moved["w"].shape == (2, Mapped.layers, 8)
    torch.testing.assert_close(moved["w"], expected)
    with pytest.raises(UsageError, match="'b' is a direction of z, and these are points of w"):
        directions.move(model, moved, both)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["2"], "`names` '2' is not NUMBER=NAME"),
        (["2=7"], "`names` '2=7' is not NUMBER=NAME"),
        (["2=a b"], "`names` '2=a b' is not NUMBER=NAME"),
        (["2=../a"], "`names` '2=../a' is not NUMBER=NAME"),
        (["2=a", "2=b"], "direction 2 is named twice"),
    ],
)
def test_what_is_no_name(texts: list[str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        directions.parse_names(texts)
    assert raised.value.message == message


def test_names() -> None:
    found = discovery.find(linear())
    names = directions.parse_names(["2=smile", " 0 = größer "])
    assert [each.name for each in directions.named(found, names)] == ["größer", "1", "smile", "3"]
    with pytest.raises(UsageError, match="there is no direction 4"):
        directions.named(found, {4: "far"})
    with pytest.raises(UsageError, match="two directions would be called 'smile'"):
        directions.named(found, {0: "Smile", 1: "smile"})


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["smile"], "`moves` 'smile' is not NAME=STEPS"),
        (["smile=nan"], "`moves` 'smile=nan' is not NAME=STEPS"),
        (["smile=101"], "`moves` 'smile=101' leads too far"),
        (["smile=1", "smile=2"], "the direction 'smile' is moved along twice"),
    ],
)
def test_what_is_no_move(texts: list[str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        directions.parse_moves(texts)
    assert raised.value.message == message
