"""Class accuracy against accuracies that were planted, and the match of categories against all matches there are."""

from itertools import permutations

import pytest
import torch

from gancli.evaluation.conditional import category_accuracy, class_accuracy, figures
from gancli.latents import LatentSpec

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


def test_which_figure_a_model_has() -> None:
    seeds = range(200)
    asked = LatentSpec(4, classes=10).from_seeds(seeds)["y"]
    wrong = torch.where(asked == 3, 4, asked)
    right = float((asked != 3).double().mean())
    assert list(figures(header(10, labelled=True), seeds, wrong, NAMES, 0.99)) == [("class-accuracy", right, 0.99)]
    found = list(figures(header(10, labelled=False), seeds, (wrong + 1) % 10, NAMES, None))
    assert found == [("category-accuracy", right, None)]


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
def test_no_figure_where_classes_are_not_the_extractors(told: dict[str, object]) -> None:
    assert list(figures(told, range(5), torch.zeros(5, dtype=torch.int64), NAMES, None)) == []
