"""Planted faults: each does what it says, and the stronger one more."""

import pytest
import torch

from benchmarks import planted_faults as faults
from gancli.data.types import Dataset

TRIED_BELOW = "copies", "swapped patches", "shift"
IMAGES = torch.randint(0, 256, (10, 3, 32, 32), generator=torch.Generator().manual_seed(0)).float()


@pytest.mark.parametrize("name", [name for name in faults.FAULTS if name.split(",")[0] not in TRIED_BELOW])
def test_a_stronger_fault_changes_pixels_more(name: str) -> None:
    fault, strengths = faults.FAULTS[name]
    changes = [float((fault(IMAGES, strength) - IMAGES).abs().mean()) for strength in strengths]
    assert 0 < changes[0] <= changes[1] <= changes[2]


def test_shifts_copies_and_patches_by_hand() -> None:
    moved = faults.shift(IMAGES, 1 / 4)
    assert torch.equal(moved[..., 8:, 8:], IMAGES[..., :24, :24])
    assert torch.equal(moved[..., 0, 0], IMAGES[..., 0, 0])
    assert torch.equal(faults.copies(IMAGES, 0.8), IMAGES[:2].repeat(5, 1, 1, 1))
    swapped = faults.patches(IMAGES, 1 / 4)
    same = (swapped == IMAGES).all(1).unfold(1, 4, 4).unfold(2, 4, 4).flatten(3).all(3)
    assert same.flatten(1).sum(1).tolist() == [48] * 10
    assert torch.equal(swapped.flatten(2).sort(2).values, IMAGES.flatten(2).sort(2).values)


def test_missing_classes_are_the_last_ones() -> None:
    labels = torch.arange(20) % 10
    images = labels.view(-1, 1, 1, 1).byte()
    data = Dataset("d", "train", images, labels, tuple("0123456789"), "f")
    left = {missing: part.flatten().max().item() for _, missing, part in faults.missing_classes(data, labels, 5)}
    assert left == {0.1: 4, 0.4: 4, 0.8: 1}


def test_the_table_has_a_row_for_each_fault() -> None:
    found = {("blur", 0.1): 1.0, ("blur", 0.2): 1.5, ("noise", 3.0): 2.0}
    assert faults.table({"one": found}).splitlines()[2:] == ["| blur | 0.1 0.2 | 1.00 1.50 |", "| noise | 3 | 2.00 |"]
