"""Class accuracy against accuracies that were planted, and the match of categories against all matches there are."""

from collections.abc import Iterator, Sequence
from itertools import permutations

import pytest
import torch
from torch import Tensor

from gancli.evaluation.subjects import Subject
from gancli.latents import LatentSpec
from gancli.metrics.classes import category_accuracy, class_accuracy

NAMES = tuple("0123456789")


def test_class_accuracy() -> None:
    assert class_accuracy(torch.tensor([0, 1, 2, 3]), torch.tensor([0, 1, 2, 9])) == 0.75


def test_categories_may_have_any_numbers() -> None:
    read = torch.randint(10, (500,), generator=torch.Generator().manual_seed(0))
    assert category_accuracy((read + 3) % 10, read) == 1


def test_the_best_match_is_found() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        asked, read = (torch.randint(4, (40,), generator=generator) for _ in range(2))
        every = (sum(order[a] == r for a, r in zip(asked, read, strict=True)) for order in permutations(range(4)))
        assert category_accuracy(asked, read) == pytest.approx(int(max(every)) / 40)


def header(classes: int, *, labelled: bool, names: tuple[str, ...] = NAMES) -> dict[str, object]:
    latent = LatentSpec(4, classes=classes).to_dict()
    return {"latent": latent, "labelled": labelled, "dataset": {"classes": list(names)}}


class Conditional(Subject):
    """A model of which only the header matters."""

    def __init__(self, header: dict[str, object]) -> None:
        self.header = header

    def images(self, seeds: Sequence[int], batch: int) -> Iterator[Tensor]:
        raise NotImplementedError


def test_what_seeds_request() -> None:
    seeds = range(200)
    expected = LatentSpec(4, classes=10).from_seeds(seeds)["y"]
    classes, categories = Conditional(header(10, labelled=True)).conditioning(seeds, NAMES)
    assert classes is not None
    assert torch.equal(classes, expected)
    assert categories is None
    classes, categories = Conditional(header(10, labelled=False)).conditioning(seeds, NAMES)
    assert categories is not None
    assert torch.equal(categories, expected)
    assert classes is None


@pytest.mark.parametrize(
    "told",
    [
        {},
        header(0, labelled=False),
        header(4, labelled=False),
        header(10, labelled=True, names=tuple("abcdefghij")),
        {**header(10, labelled=True), "dataset": None},
    ],
)
def test_nothing_is_requested_where_classes_are_not_the_extractors(told: dict[str, object]) -> None:
    assert Conditional(told).conditioning(range(5), NAMES) == (None, None)
