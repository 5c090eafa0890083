"""Models of the Hub: the same samples as from the file itself, and nothing but safetensors."""

import json
from pathlib import Path

import pytest
import torch
from hub_server import Hub

import gancli
from gancli import checkpoint
from gancli.errors import GancliError, UsageError
from gancli.runs import start
from gancli.zoo import catalogue

ZOO = catalogue.zoo_folder()
SMALL = ZOO / "points-gan/ring.safetensors"
RUN = Path(__file__).parents[1] / "training/run-0.1"


def put(hub: Hub, path: Path = SMALL, **more: bytes) -> str:
    """A repository with a model's file; returns the commit."""
    files = {f"{name}.safetensors": content for name, content in more.items()}
    return hub.put("model", "ann/toy", {"model.safetensors": path.read_bytes(), **files})


def test_a_model_of_the_hub_gives_the_samples_of_its_file(hub: Hub) -> None:
    sha = put(hub)
    model = gancli.load("hf:ann/toy", device="cpu")
    assert model.name == f"hf:ann/toy@{sha[:10]}"
    assert torch.equal(model.sample(range(8)), gancli.load(SMALL, device="cpu").sample(range(8)))


def test_a_commit_that_is_here_is_not_asked_for_again(hub: Hub) -> None:
    sha = put(hub)
    path = catalogue.find("hf:ann/toy")
    put(hub, ZOO / "points-gan/grid.safetensors")
    hub.asked.clear()
    assert catalogue.find(f"hf:ann/toy@{sha}") == catalogue.find(f"hf:ann/toy@{sha[:10]}") == path
    assert hub.asked == []
    assert catalogue.find("hf:ann/toy") != path


def test_the_discriminator_is_fetched_for_a_start_from_weights_alone(hub: Hub) -> None:
    put(hub, RUN / "model.safetensors", discriminator=(RUN / "discriminator.safetensors").read_bytes())
    model = gancli.load("hf:ann/toy", device="cpu")
    assert not [each for each in hub.asked if "discriminator" in each]
    weights = start.read("hf:ann/toy")
    assert "discriminator" in weights.networks
    assert weights.name == model.name


def test_a_model_without_a_discriminator_starts_without_one(hub: Hub) -> None:
    put(hub, RUN / "model.safetensors")
    assert "discriminator" not in start.read("hf:ann/toy").networks


def test_a_recipe_of_the_hub_is_that_of_the_header(hub: Hub) -> None:
    put(hub)
    assert catalogue.recipe_table("hf:ann/toy")["networks"] == checkpoint.read_header(SMALL)["recipe"]["networks"]


def test_weights_of_other_formats_are_not_downloaded(hub: Hub) -> None:
    hub.put("model", "ann/toy", {"pytorch_model.bin": b"\x80\x04cos\nsystem\n.", "README.md": b"hi"})
    with pytest.raises(UsageError, match=r"holds no model.safetensors, but README.md, pytorch_model.bin"):
        gancli.load("hf:ann/toy")
    assert not [each for each in hub.asked if "resolve" in each]


@pytest.mark.parametrize("content", [b"\x80\x04cos\nsystem\n.", b"\xff" * 64])
def test_a_file_that_only_has_the_name_is_refused(hub: Hub, content: bytes) -> None:
    hub.put("model", "ann/toy", {"model.safetensors": content})
    with pytest.raises(GancliError, match="is not a whole safetensors file"):
        gancli.load("hf:ann/toy")


def test_bytes_that_do_not_match_the_hash_are_refused(hub: Hub, home: Path) -> None:
    put(hub)
    hub.corrupt.add("model.safetensors")
    with pytest.raises(GancliError, match=r"'model.safetensors' of 'hf:ann/toy@[0-9a-f]+' is damaged"):
        gancli.load("hf:ann/toy")
    assert not list((home / "cache").rglob("*.safetensors"))


def test_without_a_network(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    sha = put(hub)
    catalogue.find("hf:ann/toy")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(GancliError, match="HF_HUB_OFFLINE is set") as error:
        gancli.load("hf:ann/toy")
    assert f"hf:ann/toy@{sha}" in error.value.hint
    assert gancli.load(f"hf:ann/toy@{sha[:10]}", device="cpu").shape == (1, 1, 2)


def test_a_model_does_not_have_data_fetched_at_its_word(hub: Hub, tmp_path: Path, run_cli) -> None:
    tensors, header = checkpoint.read(SMALL)
    header["recipe"]["data"]["name"] = "hf:mallory/data"
    checkpoint.write(tmp_path / "m.safetensors", tensors, header)
    put(hub, tmp_path / "m.safetensors")
    result = run_cli("evaluate", "hf:ann/toy")
    assert result.code == 2
    assert "says that it was trained on 'hf:mallory/data', which is not fetched at its word" in result.err
    assert "name the data with --data, if you trust that repository" in result.err
    assert not [each for each in hub.asked if "mallory" in each]


def test_zoo_show_of_the_hub(hub: Hub, run_cli) -> None:
    sha = put(hub)
    shown = json.loads(run_cli("zoo", "show", "hf:ann/toy", "--json").out)
    assert shown["name"] == f"hf:ann/toy@{sha[:10]}"
    assert shown["data"] == "ring"
    assert {row["metric"]: row["value"] for row in shown["results"]}["modes"] == 8
    assert "points-gan" in run_cli("zoo", "show", "hf:ann/toy").out


def test_zoo_show_of_a_header_of_another_form(hub: Hub, tmp_path: Path, run_cli) -> None:
    tensors, header = checkpoint.read(SMALL)
    header |= {"dataset": [1], "images": "\x1b[31m", "evaluation": {"results": [1, {"metric": 2, "value": 3}, {}]}}
    checkpoint.write(tmp_path / "m.safetensors", tensors, header)
    put(hub, tmp_path / "m.safetensors")
    result = run_cli("zoo", "show", "hf:ann/toy")
    assert (result.code, result.err) == (0, "")
    assert "\x1b" not in result.out


def test_the_python_of_the_page_runs(hub: Hub) -> None:
    put(hub)
    page = (ZOO.parent / "docs/hub.md").read_text(encoding="utf-8")
    assert 'gancli.load("hf:USER/REPO")' in page
    assert len(gancli.load("hf:ann/toy").sample(seeds=range(64))) == 64
