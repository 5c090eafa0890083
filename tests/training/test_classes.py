"""Models that are told classes, in training."""

from pathlib import Path

import pytest
import torch
from tiny import Silent, dataset, run, tiny, trainer

import gancli
from gancli.errors import UsageError
from gancli.runs.previews import Preview


def test_a_penalty_on_a_conditional_discriminator_knows_the_class() -> None:
    made = tiny(model="cgan", objective={"regularizers": {"r1": {"weight": 1.0}}})
    player = trainer(made)
    player.round()
    assert player.means()["loss/r1"] > 0


@pytest.mark.parametrize("model", ["cgan", "acgan", "infogan"])
def test_every_network_learns_and_labels_are_read_only_where_they_should(model: str) -> None:
    players = {}
    for spoiled in (False, True):
        player = trainer(tiny(model=model))
        if spoiled:
            player.batches.labels = (player.batches.labels + 1) % 10
        before = [p.detach().clone() for network in player.networks.values() for p in network.parameters()]
        player.round()
        after = [p for network in player.networks.values() for p in network.parameters()]
        # The step after the first zero-initialised moments moves every weight that has a gradient.
        moved = [not torch.equal(old, new) for old, new in zip(before, after, strict=True)]
        assert all(moved)
        players[spoiled] = player.networks["discriminator"].state_dict()
    same = all(torch.equal(players[False][name], value) for name, value in players[True].items())
    assert same == (model == "infogan")


def test_data_without_classes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"'cgan' is class-conditional, and digits has no classes"):
        tiny(model="cgan", data={"only_class": "3"})


@pytest.mark.parametrize(("model", "labelled"), [("cgan", True), ("infogan", False)])
def test_a_published_model_knows_its_classes(model: str, labelled: bool, tmp_path: Path) -> None:
    run(tmp_path / "run", tiny(1, model, latent={"classes": 10})).train(Silent())
    made = gancli.load(tmp_path / "run", device="cpu")
    assert made.labelled == labelled
    assert made.classes == tuple("0123456789")
    own = made.latent.from_seeds(range(3))
    assert torch.equal(made.sample(range(3)), made.generate(own))
    threes = made.sample(range(3), y=3)
    assert torch.equal(threes, made.generate(own | {"y": torch.tensor([3, 3, 3])}))
    assert torch.equal(threes, made.sample(z=own["z"], y=torch.tensor([3, 3, 3]), c=own.get("c")))
    with pytest.raises(UsageError, match="the inputs are z"):
        made.sample(z=own["z"])


def test_the_grids_of_a_training_have_a_row_for_each_class() -> None:
    made = tiny(model="cgan", training={"samples": 40})
    shown = Preview(trainer(made), dataset(made))
    assert shown.columns == 4
    assert shown.images().shape == (40, 1, 8, 8)
