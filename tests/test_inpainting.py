"""Inpainting: what is known stays, what is missing is better than a guess, and blending solves its equation."""

import pytest
import torch
from torch import Tensor

import gancli
from gancli.architectures import Discriminator, Spec
from gancli.data import load
from gancli.editing.inpainting import ELSEWHERE, _logits, blend, importance, inpaint
from gancli.errors import UsageError
from gancli.latents import LatentSpec
from gancli.metrics.images import psnr


def holes(n: int, height: int, width: int, box: tuple[int, int, int, int]) -> Tensor:
    left, top, across, down = box
    found = torch.zeros(n, height, width, dtype=torch.bool)
    found[:, top : top + down, left : left + across] = True
    return found


def test_holes_in_digits_are_filled_better_than_by_a_mean() -> None:
    images = load("digits", split="test").images[:12]
    missing = holes(12, 8, 8, (3, 3, 3, 3))
    model = gancli.load("dcgan/digits", device="cpu")
    told: list[int] = []
    filled, inputs = inpaint(model, images, missing, steps=60, progress=told.append)
    known = ~missing[:, None]
    assert torch.equal(filled.masked_select(known), images.masked_select(known))
    assert inputs["z"].shape == (12, 100)
    assert sum(told) == 12 * 60
    means = images.float().where(known, torch.nan).flatten(1).nanmean(1).byte()
    plain = images.where(known, means[:, None, None, None])
    assert psnr(images, filled).mean() > psnr(images, plain).mean() + 2
    # The pixels in the hole do not matter.
    again, _ = inpaint(model, images.masked_fill(missing[:, None], 77), missing, steps=60)
    assert torch.equal(again, filled)


SPEC = Spec((1, 2, 2), LatentSpec(1, classes=4))


class Bright(Discriminator):
    """Holds bright images for real."""

    def forward(self, images: Tensor, y: Tensor | None = None, source: Tensor | None = None) -> Tensor:
        return 50 * images.flatten(1).mean(1, keepdim=True)


def test_the_discriminator_has_its_say() -> None:
    images = load("digits", split="test").images[:2]
    missing = holes(2, 8, 8, (0, 4, 8, 4))
    model = gancli.load("quick/digits", device="cpu")
    shades = []
    for prior in (0.0, 10.0):
        _, inputs = inpaint(model, images, missing, discriminator=Bright(SPEC), prior=prior, steps=30)
        shades.append(model.generate(inputs).float().mean())
    assert shades[1] > shades[0] + 20


class Conditional(Discriminator):
    """Takes the class, and has another head."""

    conditional = True

    def forward(self, images: Tensor, y: Tensor | None = None, source: Tensor | None = None) -> tuple[Tensor, Tensor]:
        assert y is not None
        return y[:, None] + images.flatten(1).sum(1, keepdim=True), images


def test_a_conditional_discriminator_gets_the_classes() -> None:
    said = _logits(Conditional(SPEC), torch.ones(4, 1, 2, 2), {"y": torch.tensor([[0, 1], [2, 3]])})
    assert said.tolist() == [4, 5, 6, 7]


def test_importance_is_the_share_of_missing_neighbours() -> None:
    missing = holes(1, 20, 20, (10, 10, 2, 2))
    found = importance(missing)
    assert found.sum() == pytest.approx(1)
    assert found[missing].tolist() == [0] * 4
    near, corner, far = found[0, 9, 10], found[0, 7, 7], found[0, 0, 0]
    assert float(near / far) == pytest.approx((4 / 49 + ELSEWHERE) / ELSEWHERE, rel=1e-5)
    assert float(corner / far) == pytest.approx((1 / 49 + ELSEWHERE) / ELSEWHERE, rel=1e-5)


def test_blending_carries_a_slope_of_shade_across_the_hole() -> None:
    """A linear function is harmonic: where image and made image differ by one, the result is the image itself."""
    rows, columns = torch.meshgrid(torch.arange(12.0), torch.arange(10.0), indexing="ij")
    made = torch.rand(2, 3, 12, 10, generator=torch.Generator().manual_seed(0))
    images = made + 0.02 * rows - 0.03 * columns + 0.1
    missing = holes(2, 12, 10, (2, 3, 6, 5))
    missing[1, 4, 4] = False
    assert torch.allclose(blend(images, made, missing), images, atol=1e-5)


def test_a_hole_at_the_edge_has_a_rim_on_one_side() -> None:
    made, images = torch.zeros(1, 1, 6, 6), torch.full((1, 1, 6, 6), 0.5)
    assert torch.allclose(blend(images, made, holes(1, 6, 6, (0, 0, 3, 6))), images, atol=1e-6)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((0, 0, 0, 0), "the hole must be a part of the image, and not all of it"),
        ((0, 0, 8, 8), "the hole must be a part of the image, and not all of it"),
    ],
)
def test_a_hole_is_part_of_an_image(box, message: str) -> None:
    model = gancli.load("quick/digits", device="cpu")
    with pytest.raises(UsageError) as raised:
        inpaint(model, load("digits").images[:1], holes(1, 8, 8, box))
    assert raised.value.message == message
