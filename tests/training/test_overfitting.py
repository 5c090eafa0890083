"""A discriminator that memorises its training images, by its outputs for images that were held out."""

import pytest
import torch
from tiny import CPU, dataset, same, tiny

from gancli.data.holding_out import Split, divide
from gancli.runs import health, previews
from gancli.runs.previews import Preview, overfitting
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
