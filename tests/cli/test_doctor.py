"""``gancli doctor`` as a user meets it, on files as trainings leave them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gancli.lock import Lock

ROW = {"images": 0, "seconds": 1.0, "loss/discriminator": 1.2, "loss/generator": 0.8, "probability/real": 0.6}
ROW |= {"probability/fake": 0.4, "diversity": 0.9, "nearest": 0.8, "noise": 0.1, "change": 0.5, "health": {}}
RECIPE = 'model = "quick"\n[data]\nname = "digits"\n[training]\nrounds = 2000\n'


@pytest.fixture
def run(home: Path) -> Iterator[Path]:
    """A run that collapsed and that is being trained, whose last line was half written."""
    folder = home / "runs" / "r"
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(RECIPE)
    rows = [{**ROW, "round": n, "images": n * 10, "diversity": 0.9 if n < 1000 else 0.05} for n in range(100, 1500, 50)]
    text = "".join(json.dumps(row) + "\n" for row in rows) + '{"round": 1500, "loss/disc'
    (folder / "metrics.jsonl").write_text(text)
    training = Lock(folder)
    yield folder
    training.release()


def test_a_collapse_is_explained_from_the_files(run_cli, run: Path) -> None:
    result = run_cli("doctor", "runs/r")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "runs/r: quick on digits, 1,450 of 2,000 rounds, running"
    assert lines[2] == "mode collapse, from round 1,000 to the end"
    assert lines[3] == "  seen   samples differ 5 % as much as the data's images do, after 90 %"
    assert [line[:9].strip() for line in lines[3:]][:2] == ["seen", "means"]
    assert "  try    halve both rates" in result.out
    assert max(map(len, lines)) <= 80
    with Image.open(run / "doctor.png") as plot:
        assert plot.size[0] > 300


def test_json_is_one_document(run_cli, run: Path, home: Path) -> None:
    shown = json.loads(run_cli("doctor", "runs/r", "--json", "--out", "x.png").out)
    assert shown["previews"] == 28
    assert [finding["name"] for finding in shown["findings"]] == ["mode-collapse"]
    assert shown["findings"][0]["since"] == 1000
    assert shown["state"] == "running"
    assert shown["plot"] == "x.png"
    assert (home / "x.png").is_file()
    assert not (run / "doctor.png").exists()


def test_a_run_without_a_recipe_can_be_examined(run_cli, run: Path) -> None:
    (run / "recipe.toml").unlink()
    assert run_cli("doctor", "runs/r").out.startswith("runs/r: a model on unknown data, 1,450 rounds, running\n")


def test_a_value_that_is_no_number_is_told(run_cli, run: Path) -> None:
    rows = [{**ROW, "round": 700}, {**ROW, "round": 800}]
    rows.append({"round": 801, "diverged": "loss/generator is nan", "health": {"not-a-number": "x"}})
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = run_cli("doctor", "runs/r").out
    assert out.startswith("runs/r: quick on digits, 801 of 2,000 rounds, diverged\n")
    assert "not a number, from round 801 to the end\n  seen   loss/generator is nan\n" in out


def test_a_stop_is_told_with_the_way_on_and_is_history_after_that(run_cli, run: Path) -> None:
    lines = (run / "metrics.jsonl").read_text().splitlines()[:-1]
    stop = json.dumps({"round": 1450, "images": 14500, "stopped": "mode-collapse"})
    (run / "metrics.jsonl").write_text("\n".join([*lines, stop]) + "\n")
    out = run_cli("doctor", "runs/r").out
    assert out.startswith(
        "runs/r: quick on digits, 1,450 of 2,000 rounds, stopped\n\n"
        "round 1,450: stopped by mode collapse; `gancli train --resume runs/r` continues\n\nmode collapse, from round"
    )
    shown = json.loads(run_cli("doctor", "runs/r", "--json").out)
    assert (shown["state"], shown["stops"]) == ("stopped", [{"round": 1450, "because": "mode-collapse"}])

    further = json.dumps({**ROW, "round": 1500, "diversity": 0.05})
    (run / "metrics.jsonl").write_text("\n".join([*lines, stop, further]) + "\n")
    out = run_cli("doctor", "runs/r").out
    assert out.startswith("runs/r: quick on digits, 1,500 of 2,000 rounds, running\n\nround 1,450: stopped by mode")
    assert "collapse; resumed later\n" in out


def test_a_real_run_is_healthy_and_the_newest_is_taken(run_cli, home: Path) -> None:
    small = [f"networks.{side}.{size}" for side in ("generator", "discriminator") for size in ("width=4", "dense=8")]
    settings = [word for setting in [*small, "training.batch=12"] for word in ("--set", setting)]
    assert run_cli("train", "digits", "--rounds", 4, "-q", "--out", "runs/new", *settings).code == 0
    result = run_cli("doctor")
    assert result.code == 0
    assert result.out == (
        "runs/new: quick on digits, 4 of 4 rounds, finished\n\n"
        "too early to tell: about 5,412 rounds show whether quick works\n\n"
        "runs/new/doctor.png  losses, probabilities, diversity and findings\n"
    )


@pytest.mark.parametrize(
    ("model", "images", "told"),
    [
        ("quick", 16, "too early to tell: about 4,059 rounds show whether quick works"),
        ("quick", 160, "no failure found in 20 previews"),
        ("points-gan", 16, "too early to tell: about 32,000 rounds show whether points-gan works"),
        ("mine", 8, "no failure found in 20 previews"),
        ("mine", 2, "too early to tell: about 3,067 rounds show whether mine works"),
    ],
)
def test_nothing_is_said_before_a_tenth_of_the_shortest_training_in_the_zoo(
    run_cli, run: Path, model: str, images: int, told: str
) -> None:
    (run / "recipe.toml").write_text(RECIPE.replace("quick", model))
    rows = [{**ROW, "round": n, "images": n * images} for n in range(100, 2100, 100)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run_cli("doctor", "runs/r").out.splitlines()[2] == told


@pytest.mark.parametrize(
    ("value", "verdict"), [(2.0, "; the model is no better than the simplest baseline"), (0.5, "")]
)
def test_the_last_evaluation_is_told(run_cli, run: Path, value: float, verdict: str) -> None:
    result = {"value": value, "floor": 0.1122, "baseline": 1.3358}
    row: dict[str, Any] = {"round": 1450, "images": 14500, "evaluation": {"results": {"fid": result}, "by": "fid"}}
    row["evaluation"] |= {"fingerprint": "f", "best": True, "seconds": 1.0}
    text = (run / "metrics.jsonl").read_text().rpartition("\n")[0] + "\n" + json.dumps(row) + "\n"
    (run / "metrics.jsonl").write_text(text)
    shown = run_cli("doctor", "runs/r").out.replace("\n", " ")
    assert f"in round 1,450: FID {value:.4f}, real data 0.1122, simplest baseline 1.3358{verdict}  " in shown
    assert json.loads(run_cli("doctor", "runs/r", "--json").out)["evaluation"] == {
        "round": 1450, "metric": "fid", **result
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (
            [],
            "there is no run in runs/",
            "name a model, as in `gancli sample dcgan/mnist`, or train one: `gancli train digits`",
        ),
        (["nowhere"], "there is no folder, tag or run 'nowhere'", "one of: r"),
        (["plain"], "plain is not a run: it has no metrics.jsonl", "name the folder of a training"),
        (["young"], "young has no metrics yet", "train for a while first"),
        (["runs/r", "--out", "x.gif"], "--out 'x.gif' is not the name of a picture", "end it in .png, .jpg or .webp"),
    ],
)
def test_errors(run_cli, run: Path, home: Path, arguments: list[str], message: str, hint: str) -> None:
    (home / "plain").mkdir()
    (home / "young").mkdir()
    (home / "young" / "metrics.jsonl").touch()
    result = run_cli("doctor", *arguments)
    assert result.err == f"error: {message}\n\nhint: {hint}\n"
    assert result.code in (1, 2)


def test_the_watch_speaks_during_training_and_can_stop_it(run_cli) -> None:
    settings = ["networks.generator.hidden=[64]", "networks.discriminator.hidden=[64]", "objective.loss=minimax"]
    settings += ["networks.discriminator.dropout=0.0", "optimizer.discriminator.lr=2e-2", "training.samples=16"]
    words = [word for setting in settings for word in ("--set", setting)]
    command = ["train", "digits", "--model", "gan", "--rounds", 200, "--out", "r", *words, "--on-collapse", "stop"]
    result = run_cli(*command)
    assert result.code == 1
    assert "discriminator wins: D's loss is" in result.err
    assert "; try: a smaller rate for D" in result.err
    assert "\nerror: discriminator wins in round " in result.err
    assert "hint: a smaller rate for D" in result.err
    assert result.err.endswith("; `gancli train --resume r` resumes it all the same\n")
    assert run_cli("doctor", "r").out.splitlines()[0].endswith(" of 200 rounds, stopped")
    assert "should be 'warn' or 'stop'" in run_cli("train", "digits", "--on-collapse", "x").err
