"""``gancli.evaluate``, and the examples of the docs."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
import torch

import gancli
from gancli.library import train as trainings

ROOT = Path(__file__).parents[2]
SMALL = {"training.batch": 12, "training.samples": 4}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def run(home: Path) -> gancli.Trained:
    return gancli.train("digits", rounds=2, out="r", overrides=SMALL)


def test_model_run_name_and_command_give_one_report(run_cli, run: gancli.Trained) -> None:
    found = gancli.evaluate(run, metrics=["fid"], images=40).to_dict()
    assert found["results"][0]["metric"] == "fid"
    assert found == gancli.evaluate(run.model, metrics=["fid"], images=40).to_dict()
    assert found == gancli.evaluate("r", metrics=["fid"], images=40).to_dict()
    assert found == json.loads(run_cli("evaluate", "r", "--metrics", "fid", "-n", 40, "--json").out)


def test_images_are_evaluated_as_those_of_a_folder_are(run: gancli.Trained) -> None:
    images = run.model.sample(range(40))
    report = gancli.evaluate(images, "digits", metrics=["fid"])
    assert report.protocol.generated_images == 40
    assert report.results[0].value > (report.results[0].floor or 0)


def test_a_run_on_a_folder_is_compared_with_that_folder_from_anywhere(home: Path, monkeypatch) -> None:
    from gancli.data import load
    from gancli.rendering.images import save_images

    save_images([load("digits").images[:40]], range(40), home / "photos")
    run = gancli.train("photos", model="quick", hold_out=0.4, rounds=1, out=home / "r", overrides=SMALL)
    (home / "elsewhere").mkdir()
    monkeypatch.chdir(home / "elsewhere")
    found = gancli.evaluate(run, metrics=["diversity"], images=12, extractor="digits-cnn")
    assert found.protocol.data.endswith("photos")
    assert run.model.data_name == "photos"  # the model itself stays without a path


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(4, 1, 8, 8), r"the images are float32 \(4, 1, 8, 8\)"),
        (torch.zeros(1, 8, 8, dtype=torch.uint8), r"the images are uint8 \(1, 8, 8\)"),
        (torch.zeros(40, 1, 8, 8, dtype=torch.uint8), "'images' does not say what to compare it with"),
    ],
)
def test_images_that_cannot_be_evaluated(images: torch.Tensor, message: str) -> None:
    with pytest.raises(gancli.GancliError, match=message):
        gancli.evaluate(images)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> list[gancli.Trained]:
    """Trainings of two rounds, whatever their budget; all that were made."""
    real: Callable[..., gancli.Trained] = trainings.train
    made: list[gancli.Trained] = []

    def train(*arguments: Any, minutes: float | None = None, rounds: int | None = None, **options: Any) -> Any:
        options["overrides"] = SMALL | options.get("overrides", {})
        made.append(real(*arguments, rounds=2, **options))
        return made[-1]

    monkeypatch.setattr(trainings, "train", train)
    mpl.use("Agg")
    return made


def cells(path: Path) -> list[str]:
    """The code of a notebook or of a page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    notebook = json.loads(text)
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code_of(notebook))
    return ["".join(cell["source"]) for cell in code_of(notebook)]


def code_of(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("name", ["docs/library.ipynb", "docs/library.md", "README.md"])
def test_the_examples_run(home: Path, short: list[gancli.Trained], name: str) -> None:
    namespace: dict[str, Any] = {}
    for code in cells(ROOT / name):
        exec(compile(code, name, "exec"), namespace)
    assert "gancli" in namespace
    assert [run.folder for run in short] == [
        Path(out) for out in re.findall(r'out="([^"]*)"', "".join(cells(ROOT / name)))
    ]
    if name.endswith(".ipynb"):
        assert namespace["report"].results[0].metric == "fid"
