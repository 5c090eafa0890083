"""The step: random numbers of samples, lazy values, the one way to a discriminator, the whole batch."""

import torch

from gancli.terms.batch import Batch, SampleRandom


def random(rows: slice, batch: int = 8) -> SampleRandom:
    generator = torch.Generator().manual_seed(3)
    return SampleRandom(lambda: {"z": torch.randn(batch, 2, generator=generator)}, generator, batch, rows)


def numbers(one: SampleRandom, count: int) -> list[torch.Tensor]:
    return [one.latents()["z"], one.normal((count, 3)), one.uniform((count, 1, 1)), one.latents()["z"]]


def test_shares_of_a_batch_are_the_batch() -> None:
    whole = numbers(random(slice(None)), 8)
    parts = [numbers(random(slice(first, first + 2)), 2) for first in (0, 2, 4, 6)]
    for number, expected in enumerate(whole):
        assert torch.equal(torch.cat([part[number] for part in parts]), expected)
    assert not torch.equal(whole[0], whole[3])


def test_two_batches_in_one_are_shared_each_by_itself() -> None:
    """As of real images with fakes after them."""
    whole = random(slice(None)).normal((16, 5)).view(2, 8, 5)
    mine = random(slice(2, 4)).normal((4, 5))
    assert torch.equal(mine, whole[:, 2:4].reshape(4, 5))


def test_a_type_is_kept() -> None:
    assert random(slice(None)).normal((8,), torch.float64).dtype == torch.float64
    assert float(random(slice(None)).uniform((8,)).min()) >= 0


def test_a_batch_splits_into_parts_with_what_belongs_to_it() -> None:
    batch = Batch(torch.arange(6.0)[:, None, None, None], torch.arange(6))
    first, second = batch.split(2)
    assert first.images.flatten().tolist() == [0, 1, 2]
    assert second.labels is not None
    assert second.labels.tolist() == [3, 4, 5]
    assert first.source is None
    assert batch.split(1)[0] is batch
