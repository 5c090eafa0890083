"""Dropout drops as often as it says, keeps the mean, and lets gradients pass where it lets features pass."""

import pytest
import torch
from torch import nn

from gancli.architectures._layers import Dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("p", [0.1, 0.3, 0.5])
def test_as_many_features_fall_out_as_asked_and_the_rest_is_weighted_up(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    out = Dropout(p)(torch.ones(400, 1000, dtype=dtype))
    assert out.dtype == dtype
    assert float((out == 0).float().mean()) == pytest.approx(p, abs=0.003)
    assert float(out.float().mean()) == pytest.approx(1, abs=0.01)
    assert len(out.unique()) == 2
    rows = (out == 0).float().mean(1)
    assert float(rows.std()) == pytest.approx((p * (1 - p) / 1000) ** 0.5, rel=0.2)  # as independent draws would


def test_gradients_go_where_features_went() -> None:
    x = torch.ones(7, 5, requires_grad=True)  # 35 is no multiple of four
    out = Dropout(0.4)(x)
    out.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, out.detach())


def test_every_memory_layout_gets_a_mask_of_its_own_shape() -> None:
    image = torch.ones(4, 6, 5, 3)
    for x in (image, image.contiguous(memory_format=torch.channels_last), image[:, ::2], image.expand(2, 4, 6, 5, 3)):
        out = Dropout(0.5)(x)
        assert out.shape == x.shape
        assert 0.3 < float((out == 0).float().mean()) < 0.7
    assert Dropout(0.5)(torch.ones(0, 3)).shape == (0, 3)


def test_seeds_repeat_it_and_evaluation_leaves_all_as_it_is() -> None:
    layer, x = Dropout(0.5), torch.ones(50, 50)
    torch.manual_seed(3)
    first = layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)
    assert not torch.equal(layer(x), first)
    assert torch.equal(layer.eval()(x), x)


@pytest.mark.parametrize("p", [0.0, 1.0, 1e-6])
def test_at_the_ends_it_is_pytorchs(p: float) -> None:
    assert torch.equal(Dropout(p)(torch.ones(20)), nn.Dropout(p)(torch.ones(20)))
