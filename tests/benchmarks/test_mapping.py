"""The benchmark of what a mapping network is for."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks import mapping
from gancli.latents import LatentSpec


class Linear:
    """A model whose images are linear in w, and whose w is z squared; it has the range [-1, 1]."""

    data_name, range, latent = "mine", (-1.0, 1.0), LatentSpec(dim=3)

    def __init__(self) -> None:
        self.matrix = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))

    def points(self, inputs: dict[str, Tensor], space: str) -> dict[str, Tensor]:
        return inputs if space == "z" else {"w": inputs["z"].square()}

    def render(self, inputs: dict[str, Tensor]) -> Tensor:
        w = inputs["w"] if "w" in inputs else inputs["z"].square()
        return (w @ self.matrix).view(-1, 1, 1, 4)


@pytest.fixture
def pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels for features."""

    def network(images: Tensor) -> tuple[Tensor, None]:
        return images.flatten(1), None

    extractor = SimpleNamespace(channels=1, size=(1, 4), filter="", load=lambda: (network, ""))
    monkeypatch.setattr(mapping, "usual", lambda _data: extractor)


def test_a_straight_way_through_a_linear_generator_is_as_long_as_its_ends_are_apart(pixels: None) -> None:
    model: Any = Linear()
    w = model.points(model.latent.from_seeds(range(500)), "w")["w"]
    # Pixels in [0, 1] are half of the range's.
    apart = ((w[1::2] - w[::2]) @ model.matrix / 2).square().sum(1)
    found = mapping.path_length(model, "w", pairs=250)
    assert found.mean == pytest.approx(apart.mean().item(), rel=1e-3)
    assert found.error == pytest.approx(1.96 * apart.std().item() / 250**0.5, rel=1e-3)
    assert mapping.path_length(model, "z", pairs=250).mean > 1.1 * found.mean


def test_the_section_says_which_space_is_smoother() -> None:
    lengths = {"z": mapping.Length(8.0, 0.5), "w": mapping.Length(2.0, 0.25)}
    traded = {None: {"precision": 0.5, "recall": 0.9}, 0.7: {"precision": 0.75, "recall": 0.4}}
    text = mapping.section({"lengths": lengths, "traded": traded})
    assert "is 2 ± 0.25 in w and 8 ± 0.5 in z, a ratio of 0.25\n" in text
    assert "| none | 0.500 | 0.900 |\n| 0.7 | 0.750 | 0.400 |\n" in text
