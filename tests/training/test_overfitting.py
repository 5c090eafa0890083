"""Failures of few images: a discriminator that memorises its training images, an augmentation that leaks."""

import pytest
import torch
from tiny import CPU, dataset, same, tiny

from gancli.data.holding_out import Split, divide
from gancli.runs import health, previews
from gancli.runs.previews import Preview, leaked, overfitting
from gancli.training.loop import Trainer


def test_overfitting_is_the_way_from_training_images_to_samples() -> None:
    samples, training = torch.tensor([-4.0, -4.0]), torch.tensor([4.0, 4.0])
    for held_out, share in ((4.0, 0.0), (2.0, 0.25), (-4.0, 1.0)):
        assert overfitting(samples, training, torch.tensor([held_out])) == {"overfitting": pytest.approx(share)}


def test_where_samples_are_not_distinguished_there_is_no_ratio() -> None:
    assert overfitting(torch.tensor([-1.0, 2.0]), torch.tensor([0.0, 3.0]), torch.tensor([1.0])) == {}


def test_the_monitor_finds_it_after_three_previews() -> None:
    rows = [{"round": n, "overfitting": 0.6, health.KEY: {}} for n in range(100, 500, 100)]
    (found,) = health.replay(rows).found
    assert (found.name, found.since, found.round) == ("discriminator-memorises", 100, 300)
    assert found.text == "D's outputs for held-out images are 60 % of the way from training images to fakes"
    assert not health.replay([{**row, "overfitting": 0.4} for row in rows]).found


def test_previews_score_held_out_images(monkeypatch: pytest.MonkeyPatch) -> None:
    made = tiny()
    whole = dataset(made)
    divided = divide(whole, Split(whole.fingerprint, tuple(range(60)), 60))
    scored: list[list[int]] = []
    monkeypatch.setattr(
        previews, "overfitting", lambda *sets: scored.append([len(each) for each in sets]) or {"x": 1.0}
    )
    before = Trainer(made, divided, CPU)
    found = Preview(before, divided).statistics()
    assert (found["x"], scored) == (1.0, [[4, 4, 4]])
    # The training is unaffected, and a run that held none out has no such figure.
    assert same(before.state(), Trainer(made, divided, CPU).state())
    assert "x" not in Preview(Trainer(made, whole, CPU), whole).statistics()


def squares(share: float) -> torch.Tensor:
    """Eight white images, of which the first ``share`` have a grey square of half of each side."""
    images = torch.ones(8, 3, 16, 16)
    images[: round(8 * share), :, 4:12, 4:12] = 0
    return images


def test_a_leak_is_the_share_of_the_grey_areas_of_augmented_images() -> None:
    real, augmented = squares(0), squares(1)
    for share in (0.0, 0.25, 0.5, 1.0):
        assert leaked(squares(share), real, augmented) == {"leak": pytest.approx(share)}
    # What is no leak: nothing that fills, data that are grey themselves, a generator that makes nothing but grey.
    assert leaked(squares(1), real, real + 0.2) == {}
    assert leaked(squares(1), squares(0.75), augmented) == {}
    assert leaked(torch.zeros(8, 3, 16, 16), real, augmented) == {}


def test_the_monitor_finds_a_leak_in_a_settled_training() -> None:
    rows = [{"round": n, "leak": 0.7, health.KEY: {}} for n in range(600, 1500, 200)]
    (found,) = health.replay(rows).found
    assert (found.name, found.since, found.round) == ("augmentation-leaks", 1000, 1400)
    assert found.text == "samples have 70 % of the grey areas that augmentation leaves on real images"
    assert not health.replay([{**row, "leak": 0.4} for row in rows]).found


def test_previews_compare_samples_with_augmented_images() -> None:
    made = tiny(objective={"augment": {"name": "diffaugment", "policy": ["cutout"]}})
    trainer, digits = Trainer(made, dataset(made), CPU), dataset(made)
    preview, before = Preview(trainer, digits), trainer.state()
    assert preview._leaked(preview.real.images) == {"leak": 0.0}
    grey = torch.zeros_like(preview.real.images)
    assert preview._leaked(grey) == {}
    cut = torch.ones_like(grey)
    cut[:, :, 2:6, 2:6] = 0
    assert preview._leaked(cut)["leak"] > 0.5
    assert same(before, trainer.state())
