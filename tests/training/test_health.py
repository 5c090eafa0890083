"""The health monitor: every failure is provoked by a recipe made for it, and seen."""

from pathlib import Path
from typing import Any

import pytest
from thin import fold
from tiny import CPU, Silent

from gancli import checkpoint, recipe
from gancli.data import load
from gancli.errors import GancliError
from gancli.recipe import Recipe
from gancli.runs import health
from gancli.runs.metrics_log import read_metrics
from gancli.runs.previews import Preview
from gancli.runs.run import Interrupted, Run
from gancli.training.loop import Trainer
from gancli.zoo import catalogue

PERCEPTRONS = [
    "networks.generator.hidden=[64]",
    "networks.discriminator.hidden=[64]",
    "networks.discriminator.dropout=0.0",
]
CONVOLUTIONS = [
    f"networks.{side}.{size}" for side in ("generator", "discriminator") for size in ("width=8", "dense=64")
]
MOMENTUM = [f"optimizer.{side}.betas=[0.9,0.999]" for side in ("generator", "discriminator")]

HURRIED = [f"optimizer.{side}.betas=[0.5,0.99]" for side in ("generator", "discriminator")] + [
    "training.ema.rampup=0.05"
]
RECIPES = {
    "vanishing-gradient": (
        "gan",
        300,
        [
            *PERCEPTRONS,
            "objective.loss=minimax",
            "optimizer.discriminator.lr=2e-2",
            "optimizer.generator.lr=2e-5",
        ],
    ),
    "discriminator-wins": (
        "gan",
        200,
        [*PERCEPTRONS, "optimizer.discriminator.lr=2e-2", "optimizer.generator.lr=2e-5"],
    ),
    "mode-collapse": ("quick", 400, [*CONVOLUTIONS, *HURRIED, "optimizer.generator.lr=0.1"]),
    "oscillation": (
        "gan",
        1200,
        [
            *PERCEPTRONS,
            *MOMENTUM,
            "networks.generator.hidden=[32]",
            "networks.discriminator.hidden=[4]",
            "optimizer.generator.lr=5e-2",
            "optimizer.discriminator.lr=2e-3",
        ],
    ),
    "still-noise": ("quick", 600, [*CONVOLUTIONS, "optimizer.generator.lr=1e-6"]),
    "not-a-number": (
        "gan",
        200,
        [
            "networks.discriminator.hidden=[16,16,16,16,16,16,16,16,16,16]",
            "objective.loss=wasserstein",
            "optimizer.generator.lr=10",
            "optimizer.discriminator.lr=10",
        ],
    ),
}
"""For each failure a model, rounds and settings that lead there."""


def provoked(name: str, *more: str, rounds: int | None = None) -> Recipe:
    model, usual, settings = RECIPES[name]
    table = recipe.for_data(catalogue.recipe_table(model), "digits")
    fixed = {
        "data": {"size": [8, 8], "channels": 1},
        "training": {"rounds": rounds or usual, "precision": "fp32", "batch": 32, "samples": 32},
    }
    return recipe.parse(recipe.override(recipe.merge(table, fixed), [*settings, *more]))


def monitored(made: Recipe) -> list[dict[str, Any]]:
    """The lines that a run of this recipe would write, without its files."""
    digits = load("digits")
    trainer = Trainer(made, digits, CPU)
    preview, monitor, rows = Preview(trainer, digits), health.HealthMonitor(), []
    rounds = made.training.rounds or 1
    for number in range(1, rounds + 1):
        trainer.round()
        if number % (rounds // 40) == 0:
            row = {"round": number, **trainer.means(), **preview.statistics(), health.KEY: {}}
            monitor.observe(row)
            row[health.KEY] = {finding.name: finding.text for finding in monitor.active.values()}
            rows.append(row)
    return rows


@pytest.mark.parametrize("name", RECIPES)
def test_each_failure_is_seen_while_it_happens(name: str) -> None:
    rows = monitored(provoked(name))
    seen = [row["round"] for row in rows if name in row[health.KEY]]
    assert seen, [(row["round"], row[health.KEY]) for row in rows if row[health.KEY]]
    first = next(finding for finding in health.replay(rows).found if finding.name == name)
    assert first.round == seen[0]
    assert first.text
    assert first.advice
    assert first.meaning


def preview(number: int, **figures: float) -> dict[str, Any]:
    usual = {"probability/real": 0.6, "probability/fake": 0.4, "loss/discriminator": 1.2, "loss/generator": 0.8}
    usual |= {"gradient/generator": 1.0, "diversity": 0.9, "nearest": 0.8, "noise": 0.1, "change": 0.5}
    return {"round": number, **usual, **figures, health.KEY: {}}


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [finding.name for finding in health.replay(rows).found]


def test_a_healthy_course_raises_nothing() -> None:
    assert names([preview(number) for number in range(100, 10_000, 100)]) == []


def test_a_failure_must_last_and_may_pass() -> None:
    good = [preview(number) for number in range(100, 1000, 100)]
    bad = [preview(number, diversity=0.1) for number in range(1000, 1500, 100)]
    assert names([*good, *bad[:2], preview(1200)]) == []
    (found,) = health.replay([*good, *bad, preview(1500)]).found
    assert (found.name, found.since, found.round, found.until) == ("mode-collapse", 1000, 1200, 1500)
    assert found.text == "samples differ 10 % as much as the data's images do, after 90 %"


def test_a_slow_start_is_no_collapse_but_never_rising_is() -> None:
    rising = [preview(number, diversity=min(0.9, 0.1 + number / 10_000)) for number in range(100, 6000, 100)]
    assert names(rising) == []
    flat = [preview(number, diversity=0.05) for number in range(100, 3000, 100)]
    assert names(flat) == ["mode-collapse"]


def test_a_few_pictures_repeated_are_a_collapse() -> None:
    assert names([preview(number, nearest=0.8) for number in range(100, 1000, 100)]) == []
    repeated = [preview(number, nearest=0.01) for number in range(1000, 1500, 100)]
    assert names([*(preview(number) for number in range(100, 1000, 100)), *repeated]) == ["mode-collapse"]


@pytest.mark.parametrize("absent", ["probability/", "diversity", "gradient/"])
def test_a_rule_needs_its_figures(absent: str) -> None:
    worst = {"probability/real": 1.0, "probability/fake": 0.0, "loss/discriminator": 0.0, "diversity": 0.0}
    first = preview(1)
    rows = [first, *(preview(n, **worst, **{"gradient/generator": 0.0}) for n in range(100, 6000, 100))]
    rows = [{name: value for name, value in row.items() if not name.startswith(absent)} for row in rows]
    gone = {
        "probability/": {"vanishing-gradient", "discriminator-wins", "mode-collapse"},
        "diversity": {"mode-collapse"},
        "gradient/": {"vanishing-gradient"},
    }
    every = {"vanishing-gradient", "discriminator-wins", "mode-collapse"}
    assert set(names(rows)) == every - gone[absent]


def test_a_critic_has_collapses_and_an_autoencoder_has_none() -> None:
    lines = [{"round": 1, "diversity": 0.9, health.KEY: {}}]
    lines += [{"round": n, "diversity": 0.0, "noise": 1.0, health.KEY: {}} for n in range(100, 1000, 100)]
    assert names([{**line, "distance/critic": 0.5} for line in lines]) == ["mode-collapse", "still-noise"]
    assert names([{**line, "loss/reconstruction": 0.5} for line in lines]) == ["still-noise"]


def test_rows_between_previews_count_by_their_rounds() -> None:
    rows = [preview(100), {"round": 190, "loss/discriminator": 1.0}, preview(200, **{"loss/discriminator": 2.0})]
    assert fold(rows)[-1]["loss/discriminator"] == pytest.approx(1.1)
    assert len(fold(rows)) == 2


def start(folder: Path, name: str, policy: str, *more: str, rounds: int | None = None) -> Run:
    return Run(folder, provoked(name, f"training.on_collapse={policy}", *more, rounds=rounds), load("digits"), CPU)


def test_stop_saves_and_says_why(tmp_path) -> None:
    run = start(tmp_path / "r", "discriminator-wins", "stop")
    with pytest.raises(GancliError, match="discriminator wins in round") as stopped:
        run.train(Silent())
    assert stopped.value.hint.startswith("a smaller rate for D")
    there = checkpoint.read_header(tmp_path / "r" / "state.safetensors")["rounds"]
    assert there == run.trainer.rounds < 200
    assert stopped.value.hint.endswith(f"; `gancli train --resume {tmp_path / 'r'}` resumes it all the same")
    rows = read_metrics(tmp_path / "r" / "metrics.jsonl")
    assert (rows[-1]["round"], rows[-1][health.STOPPED]) == (there, "discriminator-wins")
    assert list(rows[-1]) == ["round", "images", "seconds", "images_per_second", health.STOPPED]
    assert [finding.to_dict() for finding in health.replay(rows).found] == [f.to_dict() for f in run.monitor.found]
    again = start(tmp_path / "r", "discriminator-wins", "stop")  # who goes on does so knowingly
    with pytest.raises(Interrupted):
        again.train(Silent(), lambda: again.trainer.rounds > there + 5)
    rows = read_metrics(tmp_path / "r" / "metrics.jsonl")
    assert [row["round"] for row in rows if health.STOPPED in row] == [there]
    assert rows[-1]["round"] > there
    assert health.STOPPED not in rows[-1]
    assert names(rows) == [finding.name for finding in again.monitor.found]


METRICS = sorted((Path(__file__).parent / "metrics").glob("*.jsonl"))
"""Complete trainings of the zoo's models, made by thin.py: one row a preview."""


@pytest.mark.parametrize("path", METRICS, ids=lambda path: path.stem)
def test_a_complete_training_of_the_zoo_raises_no_alarm(path: Path) -> None:
    assert path.stat().st_size < 100_000
    rows = read_metrics(path)
    assert len(rows) >= 40
    assert health.replay(rows).found == []


def test_every_model_of_the_zoo_with_weights_has_a_complete_training_here() -> None:
    there = {entry.model for entry in catalogue.entries() if entry.path}
    here = {path.stem.rsplit("-", 2)[0] for path in METRICS}
    assert there - here == set()
