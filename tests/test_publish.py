"""From a run to a zoo entry: all of it, or nothing."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gancli import checkpoint, model
from gancli.errors import GancliError, UsageError
from gancli.metrics import METRICS
from gancli.rendering.images import save_images
from gancli.zoo import cards, catalogue, publishing

RECIPE = """
model = "tiny"
summary = "a small one"
paper = "by nobody"

[latent]
dim = 6

[networks]
generator = { architecture = "dcgan", width = 4, dense = 8 }
discriminator = { architecture = "dcgan", width = 4, dense = 8 }

[objective]
name = "adversarial"
loss = "non-saturating"

[optimizer]
generator = { name = "adam", lr = 1e-3 }
discriminator = { name = "adam", lr = 1e-3 }

[training]
batch = 12
"""


class Evaluated:
    """A report without figures."""

    def without_path(self) -> "Evaluated":
        return self

    def to_dict(self) -> dict[str, Any]:
        protocol = {"generated_images": 1, "real_images": 1, "split": "test", "extractor": "e", "resize": "none"}
        return {"protocol": protocol, "results": []}


@pytest.fixture
def zoo(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo of one recipe, without weights."""
    folder = home / "zoo"
    (folder / "tiny").mkdir(parents=True)
    (folder / "tiny/recipe.toml").write_text(RECIPE)
    monkeypatch.setattr(catalogue, "zoo_folder", lambda: folder)
    return folder


@pytest.fixture
def run(zoo: Path, run_cli: Callable[..., Any]) -> Path:
    result = run_cli("train", "digits", "--model", "tiny", "--rounds", 2, "--seed", 3, "--out", "r", "-q")
    assert result.code == 0, result.err
    return Path("r")


def files(zoo: Path) -> dict[str, bytes]:
    return {str(path.relative_to(zoo)): path.read_bytes() for path in zoo.rglob("*") if path.is_file()}


def change_model(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    tensors, header = checkpoint.read(run / catalogue.MODEL_FILE)
    change(header)
    checkpoint.write(run / catalogue.MODEL_FILE, tensors, header)


def test_a_run_on_a_folder_says_where_everyone_can_get_it(zoo: Path, home: Path, run_cli: Callable[..., Any]) -> None:
    pixels = torch.randint(0, 256, (24, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    save_images([pixels], range(24), Path("pics"))
    assert run_cli("train", "pics", "--model", "tiny", "--rounds", 2, "--out", "r", "-q").code == 0
    refused = run_cli("zoo", "add", "r")
    assert refused.code == 2
    assert "say where with --source, on which terms with --licence, and what to call it with --as" in refused.err
    terms = ["--source", "example.org/birds", "--licence", "CC0"]
    result = run_cli("zoo", "add", "r", "--as", "birds", *terms, "--data", home / "pics")
    assert result.code == 0, result.err
    header = checkpoint.read_header(zoo / "tiny/birds.safetensors")
    assert header["dataset"]["source"] == "example.org/birds"
    assert header["evaluation"]["protocol"]["data"] == "pics"
    assert str(home) not in json.dumps(header)
    card = (zoo / "tiny/README.md").read_text()
    assert "of pics (example.org/birds; CC0)" in card
    assert "12 generated and 12 training images, features of `imagenet`" in card
    assert (
        "gancli train BIRDS --model tiny --set data.size=[8,8] --rounds 2\ngancli evaluate tiny/birds --data BIRDS"
        in card
    )
    assert run_cli("sample", "tiny/birds", "-n", 2, "--out", "made").code == 0
    missing = run_cli("evaluate", "tiny/birds")
    assert missing.code == 2
    assert "was trained on 'birds', which is not here" in missing.err


def test_a_run_becomes_weights_picture_and_card(zoo: Path, run: Path, run_cli: Callable[..., Any]) -> None:
    result = run_cli("zoo", "add", run)
    assert result.code == 0, result.err
    assert result.out.splitlines() == [
        str(zoo / "tiny" / name) for name in ("digits.png", "digits.safetensors", "README.md")
    ]
    assert set(files(zoo)) == {f"tiny/{n}" for n in ("recipe.toml", "digits.png", "digits.safetensors", "README.md")}
    header = checkpoint.read_header(zoo / "tiny/digits.safetensors")
    assert header["evaluation"]["model"] == "tiny/digits"
    assert [row["metric"] for row in header["evaluation"]["results"]] == list(METRICS)
    card = (zoo / "tiny/README.md").read_text()
    assert "gancli train digits --model tiny --rounds 2 --seed 3\n" in card
    assert "parameters, " in card
    assert torch.equal(model.load("tiny/digits").sample(seeds=[7]), model.load("r").sample(seeds=[7]))


def test_a_discriminator_that_is_shipped_is_found_and_is_no_entry(
    zoo: Path, run: Path, run_cli: Callable[..., Any]
) -> None:
    assert model.discriminator_of(model.load(str(run))) is not None
    assert run_cli("zoo", "add", run).code == 0
    assert model.discriminator_of(model.load("tiny/digits")) is None
    assert run_cli("zoo", "add", run, "--discriminator").code == 0
    judge, theirs = (
        model.discriminator_of(model.load("tiny/digits")),
        model.discriminator_of(model.load(str(run))),
    )
    assert [entry.name for entry in catalogue.entries()] == ["tiny/digits"]
    assert all(torch.equal(a, b) for a, b in zip(judge.parameters(), theirs.parameters(), strict=True))
    (run / catalogue.DISCRIMINATOR_FILE).unlink()
    with pytest.raises(UsageError, match="holds no discriminator"):
        list(publishing.add(run, discriminator=True))


def test_half_precision_is_within_rounding_and_on_the_card(
    zoo: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "evaluate", lambda stored, data, **_: Evaluated())
    beside = zoo / "tiny/digits-discriminator.safetensors"
    beside.write_bytes(b"of the weights before")
    list(publishing.add(run, half=True))
    for path in (zoo / "tiny/digits.safetensors", beside):
        assert checkpoint.is_half(path)
        tensors, _ = checkpoint.read(path)
        assert {value.dtype for value in tensors.values() if value.is_floating_point()} == {torch.float16}
    stored, whole = (model.load(name).sample(seeds=range(16)).int() for name in ("tiny/digits", "r"))
    assert int((stored - whole).abs().max()) <= 1
    assert all(value.dtype == torch.float32 for value in model.load("tiny/digits").generator.parameters())
    card = (zoo / "tiny/README.md").read_text()
    assert " kB in half precision (fp16). Trained on" in card
    assert re.search(r"Its discriminator \([\d,]+ parameters, \d+ kB in half precision", card)
    monkeypatch.setattr(publishing, "LARGEST_DISCRIMINATOR", 1000)
    with pytest.raises(UsageError, match="the zoo ships at most"):
        list(publishing.add(run))


def test_the_command_of_a_model_that_started_from_weights_names_them(
    zoo: Path, run: Path, run_cli: Callable[..., Any]
) -> None:
    assert run_cli("train", "digits", "--model", "tiny", "--from", "r", "--freeze-d", 1, "--rounds", 1, "--out", "f")
    header = checkpoint.read_header(Path("f") / catalogue.MODEL_FILE)
    assert [path for path, *_ in cards.changes(header) if path not in publishing.OWN] == []
    # The run is no model that others have.
    assert cards.command(header) == "gancli train digits --model tiny --rounds 1 --from RUN --freeze-d 1"


def test_what_fails_leaves_the_zoo_as_it_was(zoo: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise GancliError("no images")

    (zoo / "tiny/digits.safetensors").write_bytes(b"a good entry")
    before = files(zoo)
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "evaluate", fail)
        with pytest.raises(GancliError, match="no images"):
            list(publishing.add(run))
    assert files(zoo) == before
    monkeypatch.setattr(publishing, "save_grid", fail)
    with pytest.raises(GancliError, match="no images"):
        list(publishing.add(run))
    assert files(zoo) == before
    assert [path.name for path in (zoo / "tiny").iterdir() if path.is_dir()] == []


def test_a_recipe_that_is_no_longer_the_zoos_is_refused(zoo: Path, run: Path) -> None:
    (zoo / "tiny/recipe.toml").write_text(RECIPE.replace("batch = 12", "batch = 16"))
    with pytest.raises(UsageError) as refused:
        list(publishing.add(run))
    assert (refused.value.message, refused.value.hint) == (
        "the zoo's recipe has changed since: training.batch is 16 there, and was 12 in this run",
        "train it anew with the recipe as it is now",
    )
    assert set(files(zoo)) == {"tiny/recipe.toml"}


def test_an_unfinished_run_is_refused(zoo: Path, run: Path) -> None:
    change_model(run, lambda header: header.update(rounds=1))
    with pytest.raises(UsageError) as refused:
        list(publishing.add(run))
    assert (refused.value.message, refused.value.hint) == (
        "r is not a finished run",
        "finish it: `gancli train --resume r`",
    )


def test_only_models_and_data_that_everyone_has_are_published(zoo: Path, run: Path) -> None:
    change_model(run, lambda header: header["recipe"]["data"].update(name="photos/mnist"))
    with pytest.raises(UsageError, match=r"^'photos/mnist' is not a data set by name$"):
        list(publishing.add(run))
    change_model(run, lambda header: header["recipe"].update(model="mine"))
    with pytest.raises(UsageError, match=r"^the zoo has no model 'mine'$"):
        list(publishing.add(run))


def test_large_weights_are_halved_and_larger_ones_refused(
    zoo: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (run / catalogue.MODEL_FILE).stat().st_size
    values = checkpoint.count_parameters(run / catalogue.MODEL_FILE)
    monkeypatch.setattr(publishing, "LARGEST", publishing.ROOM + whole - values // 2)
    *_, _ = publishing.add(run)
    tensors, _ = checkpoint.read(zoo / "tiny/digits.safetensors")
    assert {tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()} == {torch.float16}
    (zoo / "tiny/digits.safetensors").unlink()
    before = files(zoo)
    monkeypatch.setattr(publishing, "LARGEST", 1000)
    with pytest.raises(UsageError, match=r"^the weights take 0\.\d MB in half precision, and the zoo ships at most"):
        list(publishing.add(run))
    assert files(zoo) == before


def test_a_part_of_a_data_set_has_no_folder_of_its_own(zoo: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change_model(run, lambda header: header["recipe"]["data"].update(name="emnist/letters"))
    monkeypatch.setattr(publishing, "evaluate", lambda stored, data, **_: Evaluated())
    made = list(publishing.add(run))
    assert [path.name for path in made] == ["emnist-letters.png", "emnist-letters.safetensors", "README.md"]
    assert "gancli train emnist/letters --model tiny" in made[-1].read_text()


@pytest.mark.parametrize("entry", [entry for entry in catalogue.entries() if entry.path], ids=lambda entry: entry.name)
def test_the_zoos_weights_are_of_the_zoos_recipes(entry: catalogue.Entry) -> None:
    """Then the command on the card makes this model."""
    found = cards.changes(entry.header())
    assert [change for change in found if change[0] not in publishing.OWN] == []


def test_a_figure_is_shown_as_precisely_as_it_is_known() -> None:
    row = {"value": 0.029426, "interval": [0.0281, 0.0307], "floor": 0.00422870}
    assert cards.figure(row) == "0.0294 ± 0.0013"
    assert cards.figure(row, "floor") == "0.004229"
    assert cards.figure({"value": 25.4231, "interval": None}) == "25.42"
    assert cards.figure({"value": 0.95, "interval": [0.9, 0.97]}) == "0.950 ± 0.050"
    assert cards.figure({"value": 1.0, "interval": [1.0, 1.0]}) == "1"
    assert cards.figure({"value": 812.4, "interval": [600.0, 1000.0]}) == "812 ± 212"
    assert cards.figure({"value": 1.0}, "baseline") == "–"


def test_an_entry_is_measured_again_and_stays_the_same_model(zoo: Path, run: Path, run_cli: Callable[..., Any]) -> None:
    assert run_cli("zoo", "add", run).code == 0
    path = zoo / "tiny/digits.safetensors"
    tensors, header = checkpoint.read(path)
    assert header["evaluation"]["protocol"]["repeats"] == publishing.REPEATS
    first = header.pop("evaluation")
    checkpoint.write(path, tensors, {**header, "evaluation": {**first, "results": []}})
    result = run_cli("zoo", "judge", "tiny/digits")
    assert result.code == 0, result.err
    assert result.out.splitlines() == [str(path), str(zoo / "tiny/README.md")]
    after, told = checkpoint.read(path)
    assert told.pop("evaluation") == first
    assert told == header
    assert all(torch.equal(after[name], tensors[name]) for name in tensors)
    assert " ± " in (zoo / "tiny/README.md").read_text()
    assert run_cli("zoo", "judge", "tiny/mnist").err.startswith("error: no weights are called 'tiny/mnist'")
