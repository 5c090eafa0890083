"""Augmentations: each operation by hand, gradients of both orders, and the controller."""

import pytest
import torch
from pydantic import ValidationError

from gancli import registry
from gancli.terms.augmentation import AUGMENTATIONS, AdaptiveAugmentation, DiffAugment

OPEN, SHUT = 0.0, 0.999
"""A uniform number that is below any probability but 0, and one that is above any but 1."""
EVERYTHING = ["blit", "geometry", "color", "cutout"]


class Chosen:
    """The numbers that a test names, in order; once those are used up, such as change nothing."""

    def __init__(self, uniform=(), normal=()):
        self._uniform, self._normal = list(uniform), list(normal)

    def uniform(self, shape):
        return self._take(self._uniform, shape, SHUT)

    def normal(self, shape):
        return self._take(self._normal, shape, 0.0)

    def _take(self, numbers, shape, otherwise):
        count = torch.Size(shape).numel()
        taken = [numbers.pop(0) if numbers else otherwise for _ in range(count)]
        return torch.tensor(taken).view(shape)


class Drawn:
    """Random numbers for the rows of a batch of ``batch`` images."""

    def __init__(self, seed=0, batch=None, rows=slice(None), device="cpu"):
        self._generator = torch.Generator().manual_seed(seed)
        self._batch, self._rows, self._device = batch, rows, device

    def uniform(self, shape):
        return self._draw(torch.rand, shape)

    def normal(self, shape):
        return self._draw(torch.randn, shape)

    def _draw(self, draw, shape):
        drawn = draw(self._batch or shape[0], *shape[1:], generator=self._generator)[self._rows]
        assert drawn.shape == torch.Size(shape)
        return drawn.to(self._device)


def images(count=4, channels=3, height=6, width=9, dtype=torch.float32):
    generator = torch.Generator().manual_seed(7)
    return torch.rand(count, channels, height, width, generator=generator, dtype=dtype) * 2 - 1


def color(*channels):
    """One pixel."""
    return torch.tensor(channels).view(1, -1, 1, 1)


def grid(height, width):
    """0, 1, 2, … row by row."""
    return torch.arange(float(height * width)).view(1, 1, height, width)


def everything(name, **options):
    """An augmentation that does all it can to most images."""
    if name == "ada":
        options = {"probability": 0.9, "pipeline": EVERYTHING} | options
    return AUGMENTATIONS[name](**options)


every_augmentation = pytest.mark.parametrize("name", AUGMENTATIONS)


# DiffAugment.


def test_brightness_and_contrast():
    augment = DiffAugment(policy=["color"])
    image = torch.tensor([[0.0, 0.2], [0.4, 0.6]])[None, None]
    # + 0.2, then 0.75 of the distance from the mean 0.5; saturation does nothing to one channel.
    expected = torch.tensor([[0.275, 0.425], [0.575, 0.725]])
    torch.testing.assert_close(augment(image, Chosen([0.7, 0.1, 0.25]))[0, 0], expected)


def test_saturation_is_about_each_pixels_mean():
    augment = DiffAugment(policy=["color"])
    changed = augment(color(0.3, 0.6, 0.0), Chosen([0.5, 0.25, 0.5]))
    # Contrast is 1, so that only half of each channel's distance from 0.3 is left.
    torch.testing.assert_close(changed, color(0.3, 0.45, 0.15))


def test_translation_brings_in_zeros():
    augment = DiffAugment(policy=["translation"])
    image = grid(8, 16) + 1
    moved = augment(image, Chosen([0.9, 0.1]))  # right by 2 of 16, up by 1 of 8
    expected = torch.zeros_like(image)
    expected[..., :7, 2:] = image[..., 1:, :14]
    assert torch.equal(moved, expected)


@pytest.mark.parametrize(("uniform", "shift"), [(0.0, -1), (0.33, -1), (0.34, 0), (0.66, 0), (0.67, 1), (0.9999, 1)])
def test_translations_are_equally_likely(uniform, shift):
    image = torch.zeros(1, 1, 1, 8)
    image[..., 4] = 1
    assert DiffAugment(policy=["translation"])(image, Chosen([uniform, 0.5])).argmax() == 4 + shift


def test_cutout_covers_half_of_each_side():
    augment = DiffAugment(policy=["cutout"])
    in_the_middle = torch.ones(4, 4)
    in_the_middle[1:3, 1:3] = 0
    assert torch.equal(augment(torch.ones(1, 1, 4, 4), Chosen([0.5, 0.5]))[0, 0], in_the_middle)
    in_a_corner = torch.ones(4, 4)
    in_a_corner[0, 3] = 0
    assert torch.equal(augment(torch.ones(1, 1, 4, 4), Chosen([0.999, 0.0]))[0, 0], in_a_corner)


def test_the_policy_is_applied_in_its_order():
    image = torch.full((1, 1, 2, 2), 0.25)
    brighter = [0.75, 0.5, 0.5]
    first = DiffAugment(policy=["color", "cutout"])(image, Chosen([*brighter, 0.25, 0.25]))
    last = DiffAugment(policy=["cutout", "color"])(image, Chosen([0.25, 0.25, *brighter]))
    assert first[0, 0].tolist() == [[0, 0.5], [0.5, 0.5]]
    assert last[0, 0].tolist() == [[0.25, 0.5], [0.5, 0.5]]


def test_the_policy_is_everything_unless_told_otherwise():
    assert DiffAugment().policy == DiffAugment(policy=["color", "translation", "cutout"]).policy


# ADA, operation by operation. Each gate's number comes after the operation's own, except for shifts.


def ada(group, image, uniform=(), normal=(), p=0.5, **options):
    return AdaptiveAugmentation(probability=p, pipeline=[group], **options)(image, Chosen(uniform, normal))


def test_flip():
    image = grid(2, 3)
    assert torch.equal(ada("blit", image, [0.5, OPEN]), image.flip(3))
    assert torch.equal(ada("blit", image, [0.4, OPEN]), image)


@pytest.mark.parametrize("turns", range(4))
def test_quarter_turns_are_exact(turns):
    image = images(1, 3, 5, 5)
    turned = ada("blit", image, [0, SHUT, turns / 4, OPEN])
    assert torch.equal(turned, image.rot90(-turns, (2, 3)))


def test_a_quarter_turn_of_an_oblong_image_is_continued_by_reflection():
    turned = ada("blit", grid(2, 4), [0, SHUT, 0.25, OPEN])
    assert turned[0, 0].tolist() == [[5, 5, 1, 1], [6, 6, 2, 2]]


def test_shift_by_whole_pixels():
    image = grid(8, 8)
    moved = ada("blit", image, [0, SHUT, 0, SHUT, OPEN, 0.9, 0.1])  # right by round(0.8), up by as much
    expected = torch.cat([image[..., :1], image[..., :-1]], 3)
    expected = torch.cat([expected[..., 1:, :], expected[..., -1:, :]], 2)
    assert torch.equal(moved, expected)


def ramp():
    """The distance from the centre, to the right."""
    return (torch.arange(24.0) - 11.5).expand(1, 1, 24, 24)


INNER = (slice(None), slice(None), slice(9, 15), slice(9, 15))
"""Away from the edges, where reflection bends a ramp."""


def test_scaling():
    # 2^(0.2 * 5) = 2: at twice the size a ramp is half as steep. Interpolation is exact for it.
    torch.testing.assert_close(ada("geometry", ramp(), [OPEN], [5.0])[INNER], ramp()[INNER] / 2)
    torch.testing.assert_close(ada("geometry", ramp(), [OPEN], [-2.5])[INNER], ramp()[INNER] * 2**0.5)


@pytest.mark.parametrize("uniform", [[SHUT, 0.75, OPEN], [SHUT, 0, SHUT, SHUT, 0.75, OPEN]])
def test_rotation_before_and_after(uniform):
    image = images(1, 3, 8, 8)
    turned = ada("geometry", image, uniform)  # by pi (2 * 0.75 - 1), a quarter turn
    torch.testing.assert_close(turned, image.rot90(-1, (2, 3)), atol=1e-5, rtol=0)


def test_rotation_by_an_eighth():
    # The gradient of a ramp to the right points right and down once that is turned clockwise.
    turned = ada("geometry", ramp(), [SHUT, 0.625, OPEN])
    expected = (ramp() + ramp().mT) * 0.5**0.5
    torch.testing.assert_close(turned[INNER], expected[INNER])


def test_scaling_of_one_side_against_the_other():
    uniform, normal = [SHUT, 0, SHUT, OPEN], [0.0, 2.5]
    torch.testing.assert_close(ada("geometry", ramp(), uniform, normal)[INNER], ramp()[INNER] / 2**0.5)
    torch.testing.assert_close(ada("geometry", ramp().mT, uniform, normal)[INNER], ramp().mT[INNER] * 2**0.5)


def test_shift_by_half_a_pixel():
    image = torch.zeros(1, 1, 1, 16)
    image[..., 8] = 256
    moved = ada("geometry", image, [SHUT, 0, SHUT, SHUT, 0, SHUT, OPEN], [0.0, 0.0, 0.25])
    assert moved[..., 5:12].flatten().tolist() == [0, 3, -25, 150, 150, -25, 3]


def test_what_shrinks_does_not_alias():
    stripes = (torch.arange(24.0) % 2 * 2 - 1).expand(1, 1, 24, 24)
    shrunk = ada("geometry", stripes, [OPEN], [-5.0])  # to half its size
    assert shrunk[INNER].abs().max() < 1e-6


def test_two_rotations_share_the_probability():
    image = images(1, 3, 8, 8)
    # 1 - sqrt(1 - 0.75) = 0.5.
    assert not torch.equal(ada("geometry", image, [SHUT, 0.7, 0.49], p=0.75), image)
    assert torch.equal(ada("geometry", image, [SHUT, 0.7, 0.51], p=0.75), image)


def test_brightness():
    torch.testing.assert_close(ada("color", color(0.3, 0.6, 0.0), [OPEN], [1.0]), color(0.5, 0.8, 0.2))
    torch.testing.assert_close(ada("color", color(0.3), [OPEN], [1.0]), color(0.5))


def test_contrast_of_what_was_brightened():
    for image, expected in (((0.3, 0.6, 0.0), (1.0, 1.6, 0.4)), ((0.3,), (1.0,))):
        changed = ada("color", color(*image), [OPEN, OPEN], [1.0, 2.0])
        torch.testing.assert_close(changed, color(*expected))


def test_inverted_luminance():
    inverted = [SHUT, SHUT, 0.5, OPEN]
    # Minus twice the mean, which leaves the distances from it.
    torch.testing.assert_close(ada("color", color(0.3, 0.6, 0.0), inverted), color(-0.3, 0.0, -0.6))
    torch.testing.assert_close(ada("color", color(0.3), inverted), color(-0.3))


def test_hue():
    # By a third of a circle, red becomes green, green blue, and blue red.
    hue = [SHUT, SHUT, 0, SHUT, 5 / 6, OPEN]
    torch.testing.assert_close(ada("color", color(0.3, 0.6, 0.0), hue), color(0.0, 0.3, 0.6))
    assert torch.equal(ada("color", color(0.3), hue), color(0.3))


def test_ada_saturation():
    saturation = [SHUT, SHUT, 0, SHUT, 0, SHUT, OPEN]
    changed = ada("color", color(0.3, 0.6, 0.0), saturation, [0.0, 0.0, 1.0])
    torch.testing.assert_close(changed, color(0.3, 0.9, -0.3))


def test_ada_cutout():
    expected = torch.ones(4, 4)
    expected[1:3, 2:] = 0
    assert torch.equal(ada("cutout", torch.ones(1, 1, 4, 4), [OPEN, 0.75, 0.5])[0, 0], expected)
    assert torch.equal(ada("cutout", torch.ones(1, 1, 4, 4), [SHUT, 0.75, 0.5]), torch.ones(1, 1, 4, 4))


def test_colors_may_be_less_probable():
    for factor, changes in ((1.0, True), (0.5, False)):
        changed = ada("color", color(0.3), [0.3], [1.0], color_factor=factor)
        assert bool(changed != color(0.3)) is changes


@pytest.mark.parametrize("strength", [0.4, torch.tensor(0.4)])
def test_a_strength_replaces_the_probability(strength):
    augment = AdaptiveAugmentation(pipeline=["blit"], probability=0.0)
    image = grid(2, 3)
    assert torch.equal(augment(image, Chosen([0.5, 0.3]), strength=strength), image.flip(3))
    assert torch.equal(augment(image, Chosen([0.5, 0.5]), strength=strength), image)


@pytest.mark.parametrize("limits", [(-1.0, 1.0), (0.0, 1.0)])
def test_nothing_happens_with_probability_0(limits):
    image = images(16).clamp(*limits)
    same = AdaptiveAugmentation(limits, pipeline=EVERYTHING)(image, Drawn())
    if limits == (-1, 1):
        assert torch.equal(same, image)
    torch.testing.assert_close(same, image)


# All of them.


@every_augmentation
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_gradients_and_their_gradients(name, channels):
    augment = everything(name)
    image = images(3, channels, 5, 4, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: augment(x, Drawn()), image, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda x: augment(x, Drawn()).pow(3), image, fast_mode=True)


@every_augmentation
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 15), (7, 4), (8, 8)])
def test_any_channels_and_sizes(name, channels, size):
    image = images(8, channels, *size)
    augmented = everything(name)(image, Drawn())
    assert augmented.shape == image.shape
    assert augmented.dtype == image.dtype
    assert augmented.isfinite().all()
    assert not torch.equal(augmented, image)


@pytest.mark.parametrize("augment", [DiffAugment(policy=["color"]), everything("ada", pipeline=["color"])])
def test_colors_leave_opacity_alone(augment):
    """Premultiplied colours change as straight ones do, whatever their alpha."""
    image, alpha = images(8, 3, dtype=torch.float64), torch.rand(8, 1, 1, 1, dtype=torch.float64) * 0.9 + 0.1
    premultiplied = torch.cat([alpha * (image + 1) - 1, (2 * alpha - 1).expand(-1, 1, *image.shape[2:])], 1)
    augmented = augment(premultiplied, Drawn())
    assert torch.equal(augmented[:, 3], premultiplied[:, 3])
    torch.testing.assert_close((augmented[:, :3] + 1) / alpha - 1, augment(image, Drawn()))


@pytest.mark.parametrize("augment", [DiffAugment(policy=["color"]), everything("ada", pipeline=["color"])])
def test_what_is_transparent_stays_so_in_every_color(augment):
    image = images(8, 4)
    image[..., :4] = -1
    assert (augment(image, Drawn())[..., :4] + 1).abs().max() < 1e-5


def test_contrast_is_about_the_mean_color_of_what_is_seen():
    image = torch.full((1, 4, 1, 4), -1.0)
    image[0, :, 0, 0], image[0, :, 0, 1] = 1.0, torch.tensor([0.0, 0.0, 0.0, 1.0])  # white and grey, both opaque
    changed = DiffAugment(policy=["color"])(image, Chosen([0.5, 0.5, 0.0]))  # half of the distance from 0.5
    torch.testing.assert_close(changed[0, 0, 0], torch.tensor([0.75, 0.25, -1.0, -1.0]))


def test_what_comes_in_or_is_covered_is_transparent():
    image = torch.ones(1, 4, 8, 16)
    moved = DiffAugment(policy=["translation"])(image, Chosen([0.9, 0.1]))  # right by 2, up by 1
    expected = torch.full_like(image, -1)
    expected[..., :7, 2:] = 1
    assert torch.equal(moved, expected)
    covered = DiffAugment(policy=["cutout"])(image, Chosen([0.5, 0.5]))
    expected = torch.ones_like(image)
    expected[..., 2:6, 4:12] = -1
    assert torch.equal(covered, expected)


def test_beyond_the_edges_of_a_moved_image_is_transparency():
    augment = AdaptiveAugmentation(probability=1.0, pipeline=["blit"])
    image = images(1, 4, 8, 16)
    image[:, 3] = 1
    # No flip, no turn, a shift right by 2 and down by 1; a gate after each.
    moved = augment(image, Chosen([0, 0, 0, 0, 0, 1.0, 1.0]))
    expected = torch.full_like(image, -1)
    expected[..., 1:, 2:] = image[..., :7, :14]
    torch.testing.assert_close(moved, expected)


def test_the_corners_of_a_turned_image_are_transparent():
    augment = AdaptiveAugmentation(probability=1.0, pipeline=["geometry"])
    turned = augment(torch.ones(1, 4, 16, 16), Chosen([OPEN, 0.625, OPEN, OPEN, 0.5, OPEN, OPEN]))  # by 45 degrees
    assert float(turned[0, 3, 0, 0]) == -1
    assert float(turned[0, 3, 8, 8]) == pytest.approx(1)
    assert ((turned + 1)[:, :3] <= (turned + 1)[:, 3:] + 1e-5).all()


@every_augmentation
def test_an_images_numbers_do_not_depend_on_the_others(name):
    augment, image = everything(name), images(6)
    halves = [augment(image[rows], Drawn(batch=6, rows=rows)) for rows in (slice(0, 3), slice(3, 6))]
    torch.testing.assert_close(torch.cat(halves), augment(image, Drawn()))


@every_augmentation
def test_a_source_is_transformed_alike(name):
    augment, image = everything(name), images()
    augmented, source = augment(image, Drawn(), source=image)
    assert torch.equal(augmented, source)
    assert torch.equal(augmented, augment(image, Drawn()))
    geometry = {"policy": ["translation", "cutout"]} if name == "diffaugment" else {"pipeline": ["blit", "geometry"]}
    augmented, source = everything(name, **geometry)(image, Drawn(), source=image[:, :1])
    torch.testing.assert_close(augmented[:, :1], source)


@every_augmentation
def test_the_global_random_generator_is_not_used(name):
    before = torch.get_rng_state()
    everything(name)(images(), Drawn())
    assert torch.equal(torch.get_rng_state(), before)


@every_augmentation
def test_channels_last(name):
    image = images(8)
    augmented = everything(name)(image.contiguous(memory_format=torch.channels_last), Drawn())
    torch.testing.assert_close(augmented, everything(name)(image, Drawn()))


@every_augmentation
def test_autocast_changes_nothing(name):
    image, augment = images(8), everything(name)
    with torch.autocast("cpu", torch.bfloat16):
        augmented = augment(image, Drawn())
        half = augment(image.bfloat16(), Drawn())
    assert torch.equal(augmented, augment(image, Drawn()))
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), augmented, atol=0.05, rtol=0.05)


@every_augmentation
def test_no_value_is_read_on_the_way(name):
    """Tensors of this device have no values to read, as reading one on a GPU would wait for it."""
    augment = everything(name).to("meta")
    augmented = augment.draw(4, Drawn(device="meta"), None)(images().to("meta"))
    augment.observe(torch.empty(4, 1, device="meta"))
    augment.adjust(4, lambda values: values)
    assert augmented.shape == (4, 3, 6, 9)


@every_augmentation
def test_evaluation_does_not_spoil_training(name):
    augment = everything(name)
    with torch.inference_mode():
        augment(images(1, 3, 10, 11), Drawn())
    image = images(1, 3, 10, 11).requires_grad_()
    augment(image, Drawn()).sum().backward()
    assert image.grad is not None


def test_other_ranges():
    image = torch.full((1, 1, 2, 2), 0.7)
    assert DiffAugment((0.0, 1.0), policy=["cutout"])(image, Chosen([0.25, 0.25]))[0, 0, 0, 0] == 0.5
    augment = AdaptiveAugmentation((0.0, 1.0), probability=0.5, pipeline=["color"])
    torch.testing.assert_close(augment(image, Chosen([OPEN], [1.0])), image + 0.1)


@every_augmentation
def test_options_of_a_recipe(name):
    options = registry.options(AUGMENTATIONS[name])
    AUGMENTATIONS[name](**registry.validate(options, {}).model_dump())
    for wrong in ({"policy": ["blur"]}, {"pipeline": []}, {"probability": 2}):
        with pytest.raises(ValidationError):
            registry.validate(options, wrong)


# The controller.


def updates(augment, *logits, images=100, mean=lambda values: values):
    """Updates of a discriminator, and p after each of them."""
    found = []
    for real in logits:
        augment.observe(torch.tensor(real).view(-1, 1))
        augment.adjust(images, mean)
        found.append(augment.probability.item())
    return found


SURE, UNSURE = [3.0, 0.1, 2.0, 1.0], [3.0, -0.1, 2.0, -1.0]
"""Mean signs of 1 and 0."""


def test_p_rises_while_the_discriminator_is_sure():
    augment = AdaptiveAugmentation(kimg=1, every=2)
    # Every second update by 2 * 100 / 1000.
    assert updates(augment, *[SURE] * 4) == pytest.approx([0, 0.2, 0.2, 0.4])
    assert updates(augment, *[SURE] * 8)[-1] == 1


def test_p_falls_while_it_is_not():
    augment = AdaptiveAugmentation(kimg=1, every=2, probability=0.5)
    assert updates(augment, *[UNSURE] * 4) == pytest.approx([0.5, 0.3, 0.3, 0.1])
    assert updates(augment, *[UNSURE] * 2)[-1] == 0


def test_signs_are_averaged_over_the_interval():
    # Mean sign 0.5, then the same against a target below it.
    assert updates(AdaptiveAugmentation(kimg=1, every=2, probability=0.5), SURE, UNSURE)[-1] == pytest.approx(0.3)
    assert updates(AdaptiveAugmentation(kimg=1, every=2, target=0.4), SURE, UNSURE)[-1] == pytest.approx(0.2)


def test_published_pace():
    augment = AdaptiveAugmentation()
    assert updates(augment, *[SURE] * 4, images=64) == pytest.approx([0, 0, 0, 64 * 4 / 500_000])


def test_parts_of_a_batch_and_patches():
    augment = AdaptiveAugmentation(kimg=1, every=1, probability=0.5)
    augment.observe(torch.ones(6, 1, 3, 3))
    augment.observe(-torch.ones(2, 1, 3, 3, dtype=torch.bfloat16))
    augment.adjust(200, lambda values: values)  # mean sign 0.5
    assert augment.probability.item() == pytest.approx(0.3)


def test_processes_decide_together():
    others = torch.tensor([-4.0, 4.0])
    augment = AdaptiveAugmentation(kimg=1, every=1, probability=0.5)
    assert updates(augment, SURE, mean=lambda values: (values + others) / 2) == pytest.approx([0.4])


def test_a_discriminator_that_rests_changes_nothing():
    augment = AdaptiveAugmentation(every=1, probability=0.5)
    augment.adjust(0, lambda values: values)
    assert augment.probability == 0.5


def test_a_fixed_probability():
    assert updates(AdaptiveAugmentation(target="off", probability=0.5, every=1), SURE, UNSURE) == [0.5, 0.5]


def test_resumes_bit_exactly_within_an_interval():
    through = AdaptiveAugmentation(kimg=0.7, every=3, probability=0.1)
    updates(through, SURE, UNSURE, SURE, SURE)
    resumed = AdaptiveAugmentation(kimg=0.7, every=3)
    state = through.state_dict()
    assert set(state) == {"probability", "interval"}
    resumed.load_state_dict({name: value.clone() for name, value in state.items()})
    assert updates(through, UNSURE, SURE, SURE) == updates(resumed, UNSURE, SURE, SURE)
    for name, value in through.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])
