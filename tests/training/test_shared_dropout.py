"""Parts of a batch lose what they would have lost as a whole."""

import pytest
import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from gancli.architectures._layers import Dropout
from gancli.training.distributed.dropout import Rows, SharedDropout, share

PARTS = [slice(0, 4), slice(4, 8), slice(8, 12)]


@pytest.mark.parametrize(
    "layer", [Dropout(0.4), nn.Dropout2d(0.4), nn.Dropout(0.4)], ids=["ours", "channels", "PyTorch"]
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels last"])
@pytest.mark.parametrize("batches", [1, 2], ids=["alone", "real and fake"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_parts_lose_what_the_whole_loses(
    layer: _DropoutNd, layout: torch.memory_format, batches: int, dtype: torch.dtype
) -> None:
    def seeded(run: nn.Module, x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        return run(x)

    images = torch.randn(batches * 12, 5, 3, 2, dtype=dtype).contiguous(memory_format=layout)
    whole = seeded(layer, images).unflatten(0, (batches, 12))
    rows = Rows(12, PARTS[0])
    for rows.rows in PARTS:
        part = images.unflatten(0, (batches, 12))[:, rows.rows].flatten(0, 1).contiguous(memory_format=layout)
        assert torch.equal(seeded(SharedDropout(layer, rows), part), whole[:, rows.rows].flatten(0, 1))


def test_a_network_keeps_its_tensors_and_in_use_loses_nothing() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.Sequential(Dropout(0.9), nn.Linear(3, 3)))
    names, x = list(network.state_dict()), torch.randn(4, 3)
    expected = network.eval()(x)
    share(network, Rows(12, PARTS[1]))
    assert any(isinstance(module, SharedDropout) for module in network.modules())
    assert list(network.state_dict()) == names
    assert torch.equal(network(x), expected)
    assert not torch.equal(network.train()(x), expected)


def test_what_is_no_part_of_a_batch_is_dropped_by_itself() -> None:
    layer = SharedDropout(Dropout(0.5), Rows(12, PARTS[0]))
    assert layer(torch.ones(3, 100)).shape == (3, 100)
