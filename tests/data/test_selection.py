from dataclasses import replace

import pytest
import torch

from gancli.data import load
from gancli.data.selection import class_hint, class_number, only_class
from gancli.errors import UsageError


def test_one_class_alone_has_its_images_in_their_order_and_no_labels() -> None:
    digits = load("digits")
    nines = only_class(digits, "9")
    assert digits.labels is not None
    assert torch.equal(nines.images, digits.images[digits.labels == 9])
    assert (nines.labels, nines.classes, nines.name) == (None, (), "digits")
    assert len({digits.fingerprint, nines.fingerprint, only_class(digits, "8").fingerprint}) == 3


def test_sources_follow_their_images() -> None:
    digits = load("digits")
    nines = only_class(replace(digits, sources=255 - digits.images), "9")
    assert nines.sources is not None
    assert torch.equal(nines.sources, 255 - nines.images)


@pytest.mark.parametrize(
    ("text", "names", "number"),
    [
        ("dog", ("cat", "dog"), 1),
        (" Dog ", ("cat", "dog"), 1),
        ("1", ("cat", "dog"), 1),
        ("1", ("1", "2", "3"), 0),  # a name before a number
        ("2", ("cat", "dog"), None),
        ("-1", ("cat", "dog"), None),
        ("cow", ("cat", "dog"), None),
        ("²", ("cat", "dog", "cow"), None),
    ],
)
def test_a_class_goes_by_name_or_by_number(text: str, names: tuple[str, ...], number: int | None) -> None:
    assert class_number(text, names) == number


def test_hints_name_the_nearest_class_or_all_of_them() -> None:
    assert class_hint("sneeker", ("bag", "sneaker")) == "did you mean 'sneaker'?"
    assert class_hint("10", tuple("0123")) == "one of: 0, 1, 2, 3"
    assert class_hint("x", tuple(f"n{number}" for number in range(22))).endswith("n19, … 2 more")


def test_refusals() -> None:
    digits = load("digits")
    with pytest.raises(UsageError, match="'digits' has no class 'ten'"):
        only_class(digits, "ten")
    with pytest.raises(UsageError, match="'digits' has no classes to choose '3' from"):
        only_class(replace(digits, labels=None, classes=()), "3")
    with pytest.raises(UsageError, match="'digits' has no image of the class 'x'"):
        only_class(replace(digits, classes=(*digits.classes, "x")), "x")
