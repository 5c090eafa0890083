"""What a training exports: with an EMA, the averages of every exported network."""

import pytest
import torch
from tiny import dataset, tiny, trainer

from gancli.runs.export import model_file


@pytest.mark.parametrize(
    ("model", "second"), [("vae-gan", "encoder"), ("autoencoder", "encoder"), ("cyclegan", "back")]
)
def test_every_exported_network_is_averaged(model: str, second: str) -> None:
    made = tiny(2, model, training={"ema": {"kimg": 0.05}})
    one = trainer(made)
    one.round()
    one.round()
    tensors, header = model_file(one, dataset(made))
    assert header["ema"]
    assert header["networks"] == ["generator", second]
    assert one.ema is not None
    for name in header["networks"]:
        averages, raw = one.ema.networks[name].state_dict(), one.networks[name].state_dict()
        assert all(torch.equal(tensors[f"{name}.{key}"], value) for key, value in averages.items())
        assert any(not torch.equal(raw[key], value) for key, value in averages.items())
