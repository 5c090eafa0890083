"""Code of other packages runs when a person names it, and never because a file does."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import gancli
from gancli import checkpoint, plugins, registry
from gancli.errors import GancliError, UsageError
from gancli.zoo import catalogue

CODE = """
from gancli.registry import get

NETWORKS = get("architecture", "mlp")
OBJECTIVE = get("objective", "adversarial")
LOSS = get("loss", "hinge")
NOTHING = 3
"""


@pytest.fixture
def offers(home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the module from which an installed package offers parts."""
    told = home / "site" / "offerer-1.0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: offerer\nVersion: 1.0\n")
    lines = ["[gancli.architectures]", "mlp-like = offered_parts:NETWORKS", "none = offered_parts:NOTHING"]
    lines += [
        "mlp = offered_nowhere:X",
        "gone = offered_nowhere:X",
        "[gancli.objectives]",
        "gan-like = offered_parts:OBJECTIVE",
        "[gancli.losses]",
        "hinge-like = offered_parts:LOSS",
    ]
    (told / "entry_points.txt").write_text("\n".join(lines))
    (home / "site" / "offered_parts.py").write_text(CODE)
    monkeypatch.syspath_prepend(home / "site")
    monkeypatch.delitem(sys.modules, "offered_parts", raising=False)
    return "offered_parts"


@pytest.fixture
def stranger(home: Path) -> Path:
    """A model whose file says that its networks are the plug-in's."""
    tensors, header = checkpoint.read(catalogue.find("gan/digits"))
    header["recipe"]["networks"]["generator"]["architecture"] = "mlp-like"
    checkpoint.write(home / "theirs.safetensors", tensors, header)
    return home / "theirs.safetensors"


def test_a_file_that_names_a_plug_in_starts_nothing(offers: str, stranger: Path, run_cli: Callable) -> None:
    with pytest.raises(GancliError) as refused:
        gancli.load(stranger, device="cpu")
    assert refused.value.message == (
        f"{stranger} is not a whole model: the architecture 'mlp-like' is code of another package, offerer, which no "
        "file starts by naming it"
    )
    assert refused.value.hint == "if you trust that package, add `allow_plugin=mlp-like`"
    result = run_cli("sample", stranger, "--out", "x.png")
    assert result.code == 1
    assert result.err.splitlines()[-1] == "hint: if you trust that package, add --allow-plugin mlp-like"
    assert offers not in sys.modules


def test_whoever_names_it_may_use_it_once(offers: str, stranger: Path, run_cli: Callable, home: Path) -> None:
    other = run_cli("--allow-plugin", "gan-like", "sample", stranger, "--out", "x.png")
    assert other.code == 1
    assert offers not in sys.modules
    assert run_cli("sample", stranger, "--out", "x.png", "--allow-plugin=mlp-like").code == 0
    assert (home / "x.png").exists()
    assert run_cli("sample", stranger, "--out", "y.png").code == 1


def test_a_recipe_file_is_a_file_and_a_typed_name_is_typed(offers: str, home: Path, run_cli: Callable) -> None:
    table = catalogue.recipe_table("gan")
    table["objective"]["name"] = "gan-like"
    (home / "theirs.toml").write_text(_toml(table))
    words = (
        "train",
        "digits",
        "--model",
        home / "theirs.toml",
        "--out",
        "r",
        "--rounds",
        "1",
        "--precision",
        "fp32",
        "-q",
    )
    refused = run_cli(*words)
    assert refused.code == 2
    assert "objective.name = 'gan-like': the objective 'gan-like' is code of another package" in refused.err
    assert offers not in sys.modules
    assert not (home / "r").exists()
    typed = run_cli(*words, "--set", "networks.generator.architecture=mlp-like", "--set=objective.name='gan-like'")
    assert typed.code == 0, typed.err


def _toml(table: dict) -> str:
    import tomli_w

    return tomli_w.dumps(table)


def test_the_zoo_is_trusted(offers: str, stranger: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    zoo = home / "zoo"
    (zoo / "mine").mkdir(parents=True)
    stranger.rename(zoo / "mine" / "digits.safetensors")
    (zoo / "mine" / "recipe.toml").write_text("model = 'mine'\n")
    monkeypatch.setattr(catalogue, "zoo_folder", lambda: zoo)
    with plugins.allowing(()):
        assert gancli.load("mine/digits", device="cpu").sample(seeds=[1]).shape == (1, 1, 8, 8)
    assert not plugins.is_allowed("mlp-like")


def test_our_own_names_are_never_a_plug_ins(offers: str) -> None:
    assert registry.get("architecture", "mlp")["generator"].__module__ == "gancli.architectures.mlp"


def test_names_that_lead_nowhere(offers: str, run_cli: Callable) -> None:
    with plugins.allowing(["gone", "none"]):
        with pytest.raises(GancliError, match="the architecture 'gone' of offerer cannot be imported: No module named"):
            registry.get("architecture", "gone")
        with pytest.raises(GancliError, match="the architecture 'none' of offerer is none: offered_parts:NOTHING"):
            registry.get("architecture", "none")
    with pytest.raises(UsageError, match="no architecture is called 'mlp-lik'") as unknown:
        registry.get("architecture", "mlp-lik")
    assert unknown.value.hint == "did you mean 'mlp-like'?"
    result = run_cli("--allow-plugin", "mlp-lik", "zoo", "list")
    assert (result.code, result.err.splitlines()[0]) == (
        2,
        "error: --allow-plugin 'mlp-lik': no installed package offers that",
    )
    assert run_cli("zoo", "list", "--allow-plugin").code == 2


def test_a_loss_is_offered_too(offers: str) -> None:
    assert set(plugins.offered("loss")) == {"hinge-like"}
    plugins.allow("hinge-like")
    assert registry.get("loss", "hinge-like") is registry.get("loss", "hinge")


def test_every_kind_of_part_can_be_offered() -> None:
    assert plugins.GROUPS.keys() == {*registry._FOLDERS, *registry._TABLES, "extractor"}
