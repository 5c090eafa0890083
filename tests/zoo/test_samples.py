"""Every model of the zoo still makes what it made: samples of 64 fixed seeds, and what translators make of 16 images.

The references are stored outputs of the code of commit 906b202. For a new model, or after a training of an old one,
write them with

    python tests/zoo/references.py NAME

Another CPU or version of PyTorch may round differently: two of 255 levels are allowed; for numbers 1e-4 of their range.
"""

import pytest
import torch
from references import FOLDER, NAMES, SEEDS, outputs, read


@pytest.mark.parametrize("name", NAMES)
def test_a_models_samples_are_the_stored_ones(name: str) -> None:
    made = outputs(name)
    expected = read(name, made.shape, made.is_floating_point())
    assert (made.shape, made.dtype) == (expected.shape, expected.dtype)
    tolerance = 1e-4 * float(expected.max() - expected.min()) if made.is_floating_point() else 2
    torch.testing.assert_close(made.double(), expected.double(), rtol=0, atol=tolerance)


def test_references_are_small_and_of_existing_models() -> None:
    files = sorted(FOLDER.iterdir())
    assert len(SEEDS) == 64
    assert {path.stem for path in files} == {name.replace("/", "-") for name in NAMES}
    assert sum(path.stat().st_size for path in files) < 1_500_000
