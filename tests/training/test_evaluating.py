"""A model that is judged while it trains: the same training, with figures, and the best of it kept."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from thin import fold
from tiny import CPU, Silent, dataset, tiny

from gancli import checkpoint
from gancli.errors import GancliError, UsageError
from gancli.evaluation import evaluate as evaluation
from gancli.evaluation.evaluate import evaluate as judge
from gancli.model import load
from gancli.recipe import Recipe
from gancli.runs import health, periodic_evaluation
from gancli.runs.doctor import examine
from gancli.runs.metrics_log import read_metrics
from gancli.runs.periodic_evaluation import Settings, stored_settings
from gancli.runs.run import Interrupted, Run

EVERY = 0.036
"""Three rounds of 12 images."""


USUAL = Settings(EVERY)


def judged(folder: Path, made: Recipe, settings: Settings | None = USUAL) -> Run:
    return Run(folder, made, dataset(made), CPU, settings=settings)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of eight rounds that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANCLI_CACHE", str(folder / "cache"))
        judged(folder / "r", tiny(8)).train(Silent())
    return folder / "r"


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [row for row in read_metrics(folder / "metrics.jsonl") if health.EVALUATION in row]


def state(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoint.read(folder / "state.safetensors")[0]


@pytest.mark.parametrize("model", ["quick", "vae", "sine-gan"])
def test_a_judged_training_is_the_same_to_the_bit(tmp_path, model: str) -> None:
    judged(tmp_path / "plain", tiny(8, model), None).train(Silent())
    judged(tmp_path / "judged", tiny(8, model)).train(Silent())
    plain, other = state(tmp_path / "plain"), state(tmp_path / "judged")
    assert plain.keys() == other.keys()
    assert all(torch.equal(plain[name], other[name]) for name in plain)
    assert not (tmp_path / "plain" / "evaluation.json").exists()
    assert "evaluation" not in checkpoint.read_header(tmp_path / "plain" / "model.safetensors")


def test_the_health_monitor_takes_no_notice_of_evaluations() -> None:
    rows = [{"round": n, "loss/generator": 1.0, health.KEY: {}} for n in (1, 2, 3)]
    evaluation = {"round": 2, health.EVALUATION: {"results": {"fid": {"value": 3.0}}}}
    among = [rows[0], evaluation, *rows[1:], {**evaluation, "round": 3}]
    assert fold(among) == fold(rows)
    assert health.replay(among).previews == 3


def test_figures_come_before_round_one_every_so_many_images_and_at_the_end(tmp_path) -> None:
    reporter = Silent()
    judged(tmp_path / "r", tiny(8)).train(reporter)
    rows = rows_of(tmp_path / "r")
    assert [row["round"] for row in rows] == [0, 3, 6, 8]
    assert rows == [row for row in reporter.rows if health.EVALUATION in row]
    found = [row[health.EVALUATION] for row in rows]
    assert {tuple(each) for each in found} == {("results", "fingerprint", "by", "best", "seconds")}
    assert len({each["fingerprint"] for each in found}) == 1
    assert all(each["results"]["fid"].keys() == {"value", "floor", "baseline"} for each in found)
    protocol = checkpoint.read_header(tmp_path / "r" / "model.safetensors")["evaluation"]["protocol"]
    assert protocol["generated_images"] == 355


def test_the_figures_are_those_of_gancli_evaluate(tmp_path) -> None:
    judged(tmp_path / "r", tiny(4)).train(Silent())
    model = load(tmp_path / "r", device="cpu")
    report = json.loads(json.dumps(judge(model, metrics=["fid"], images=355).to_dict()))
    assert {**model.header["evaluation"], "model": "r"} == report
    assert rows_of(tmp_path / "r")[-1][health.EVALUATION]["fingerprint"] == report["fingerprint"]


def test_the_best_is_kept_whole_beside_the_last(tmp_path, monkeypatch) -> None:
    figures = iter([5.0, 2.0, 2.0, 3.0])

    def set_figures(*arguments: Any, **options: Any) -> Any:
        report = judge(*arguments, **options)
        return replace(report, results=(replace(report.results[0], value=next(figures)), *report.results[1:]))

    monkeypatch.setattr(evaluation, "evaluate", set_figures)
    judged(tmp_path / "r", tiny(8)).train(Silent())
    assert [row[health.EVALUATION]["best"] for row in rows_of(tmp_path / "r")] == [True, True, False, False]
    best, last = load(tmp_path / "r/best.safetensors", device="cpu"), load(tmp_path / "r", device="cpu")
    assert (best.name, best.header["rounds"], last.header["rounds"]) == ("r/best", 3, 8)
    assert best.header["evaluation"]["results"][0]["value"] == 2.0
    assert best.sample(range(3)).shape == (3, 1, 8, 8)


def test_higher_is_better_where_it_is(tmp_path) -> None:
    settings = Settings(EVERY, best_by="coverage", images=50)
    judged(tmp_path / "r", tiny(8), settings).train(Silent())
    found = [row[health.EVALUATION] for row in rows_of(tmp_path / "r")]
    assert [list(each["results"]) for each in found] == [["coverage", "fid"]] * 4
    values = [each["results"]["coverage"]["value"] for each in found]
    header = checkpoint.read_header(tmp_path / "r" / "best.safetensors")
    assert header["evaluation"]["results"][0]["value"] == max(values)
    assert header["rounds"] == rows_of(tmp_path / "r")[values.index(max(values))]["round"]


def figures_of(folder: Path) -> list[Any]:
    return [{**row[health.EVALUATION], "seconds": 0, "round": row["round"]} for row in rows_of(folder)]


@pytest.mark.parametrize("rounds", [2, 3, 7])
def test_stopped_and_resumed_is_the_same(tmp_path, whole: Path, rounds: int) -> None:
    parts = judged(tmp_path / "parts", tiny(8))
    with pytest.raises(Interrupted):
        parts.train(Silent(), lambda: parts.trainer.rounds >= rounds)
    judged(tmp_path / "parts", tiny(8), stored_settings(tmp_path / "parts")).train(Silent())
    for name in ("model.safetensors", "best.safetensors"):
        assert (tmp_path / "parts" / name).read_bytes() == (whole / name).read_bytes(), name
    assert figures_of(tmp_path / "parts") == figures_of(whole)


@pytest.mark.parametrize("rounds", [3, 8])
def test_stopped_while_it_is_judged_it_is_judged_when_it_goes_on(
    tmp_path, whole: Path, monkeypatch, rounds: int
) -> None:
    run, pressed = judged(tmp_path / "parts", tiny(8)), []

    def press(*arguments: Any, **options: Any) -> Any:
        pressed.extend([True] * (run.trainer.rounds == rounds))
        return judge(*arguments, **options)

    monkeypatch.setattr(evaluation, "evaluate", press)
    with pytest.raises(Interrupted):
        run.train(Silent(), lambda: bool(pressed))
    assert checkpoint.read_header(tmp_path / "parts" / "state.safetensors")["rounds"] == rounds
    assert rounds not in [row["round"] for row in rows_of(tmp_path / "parts")]
    monkeypatch.setattr(evaluation, "evaluate", judge)
    judged(tmp_path / "parts", tiny(8)).train(Silent())
    assert figures_of(tmp_path / "parts") == figures_of(whole)
    for name in ("model.safetensors", "best.safetensors"):
        assert (tmp_path / "parts" / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_finished_run_is_judged_later_and_only_once(tmp_path) -> None:
    judged(tmp_path / "r", tiny(3), None).train(Silent())
    before = state(tmp_path / "r")
    for _ in range(2):
        judged(tmp_path / "r", tiny(3)).train(Silent())
    assert [row["round"] for row in rows_of(tmp_path / "r")] == [3]
    assert checkpoint.read_header(tmp_path / "r" / "model.safetensors")["evaluation"]["results"][0]["metric"] == "fid"
    assert all(torch.equal(value, before[name]) for name, value in state(tmp_path / "r").items())


def test_going_on_with_other_settings_starts_the_comparison_anew(tmp_path) -> None:
    run = judged(tmp_path / "r", tiny(8))
    with pytest.raises(Interrupted):
        run.train(Silent(), lambda: run.trainer.rounds == 4)
    assert stored_settings(tmp_path / "r") == USUAL
    judged(tmp_path / "r", tiny(8), Settings(1.0, images=40)).train(Silent())
    rows = rows_of(tmp_path / "r")
    assert [row["round"] for row in rows] == [0, 3, 4, 8]
    prints = [row[health.EVALUATION]["fingerprint"] for row in rows]
    assert prints[0] == prints[1] != prints[2] == prints[3]
    assert rows[2][health.EVALUATION]["best"]


def test_its_time_is_not_the_trainings(tmp_path, monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(periodic_evaluation.time, "perf_counter", lambda: clock[0])

    def slow(*arguments: Any, **options: Any) -> Any:
        clock[0] += 100
        return judge(*arguments, **options)

    monkeypatch.setattr(evaluation, "evaluate", slow)
    run = judged(tmp_path / "r", tiny(8))
    round_, clock[0] = run.trainer.round, clock[0] + 7

    def one_second() -> None:
        clock[0] += 1
        round_()

    monkeypatch.setattr(run.trainer, "round", one_second)
    run.train(Silent())
    assert (run.files.seconds, run.evaluator.seconds) == (8, 400)
    assert [row["seconds"] for row in rows_of(tmp_path / "r")] == [0, 3, 6, 8]
    assert read_metrics(tmp_path / "r" / "metrics.jsonl")[-2]["images_per_second"] == 12


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        (Settings(1.0, "fidd"), "`best_by=fidd`: this model has no such metric", "did you mean 'fid'?"),
        (
            Settings(1.0, images=3),
            "`evaluate_every`: cannot evaluate by 3 images",
            "from 6 to 100,000 can be generated; or leave it out and train all the same",
        ),
    ],
)
def test_what_cannot_be_judged_is_said_before_there_is_a_run(tmp_path, settings: Settings, message, hint) -> None:
    with pytest.raises(UsageError) as refused:
        judged(tmp_path / "r", tiny(), settings)
    assert (refused.value.message, refused.value.hint) == (message, hint)
    assert not (tmp_path / "r").exists()


def test_an_evaluation_that_fails_later_does_not_end_the_training(tmp_path, monkeypatch) -> None:
    run = judged(tmp_path / "r", tiny(5))

    def fail(*_: Any, **__: Any) -> Any:
        raise GancliError("the images are gone")

    monkeypatch.setattr(evaluation, "evaluate", fail)
    run.train(Silent())
    found = [row[health.EVALUATION] for row in rows_of(tmp_path / "r")]
    assert found[1:] == [{"failed": "the images are gone", "seconds": 0.0}] * 2
    assert run.finished
    assert checkpoint.read_header(tmp_path / "r" / "best.safetensors")["rounds"] == 0


def test_weights_that_are_no_numbers_are_left_to_the_monitor(tmp_path) -> None:
    run = judged(tmp_path / "r", tiny(50), Settings(0.012))
    run.evaluator.run_if_due(run.folder, run.trainer, run.dataset, False, lambda: False)
    with torch.no_grad():
        next(run.trainer.sampled.parameters()).fill_(float("nan"))
        next(run.trainer.generator.parameters()).fill_(float("nan"))
    with pytest.raises(GancliError, match="training diverged: loss/discriminator is nan"):
        run.train(Silent())


@pytest.mark.parametrize(
    ("model", "figure"), [("sine-gan", "rmse"), ("pix2pix-gray", "psnr"), ("vae", "fid"), ("cyclegan", "class_kept")]
)
def test_every_kind_of_model_is_judged_in_its_own_way(tmp_path, model: str, figure: str) -> None:
    judged(tmp_path / "r", tiny(2, model), Settings(1.0, images=200)).train(Silent())
    found = [row[health.EVALUATION] for row in rows_of(tmp_path / "r")]
    assert [each["by"] for each in found] == [figure, figure]
    header = checkpoint.read_header(tmp_path / "r" / "model.safetensors")
    assert header["evaluation"]["results"][0]["metric"] == figure
    assert header["recipe"]["data"]["name"] == ("sine" if model == "sine-gan" else "digits")
    assert header["networks"] == checkpoint.read_header(tmp_path / "r" / "best.safetensors")["networks"]


def test_a_run_is_examined_and_drawn_as_before(tmp_path) -> None:
    judged(tmp_path / "plain", tiny(8), None).train(Silent())
    judged(tmp_path / "r", tiny(8)).train(Silent())
    seen = examine(tmp_path / "r")
    assert (seen.state, seen.rounds) == ("finished", 8)
    assert not any(health.EVALUATION in row for row in seen.rows)
    assert len(seen.rows) == len(examine(tmp_path / "plain").rows)


@pytest.mark.parametrize("text", ["{", "[]", '{"protocols": {}, "every": 0, "best_by": null, "images": null}'])
def test_a_damaged_note_of_the_settings(tmp_path, text: str) -> None:
    (tmp_path / "evaluation.json").write_text(text)
    with pytest.raises(GancliError, match=r"evaluation\.json does not say how the run is evaluated"):
        stored_settings(tmp_path)


def test_what_was_best_before_a_death_is_best_again(tmp_path, whole: Path) -> None:
    """The best model is written before the state: of what was forgotten, only its file is left."""
    run = judged(tmp_path / "parts", tiny(8))
    with pytest.raises(Interrupted):
        run.train(Silent(), lambda: run.trainer.rounds >= 2)
    (tmp_path / "parts/best.safetensors").write_bytes((whole / "best.safetensors").read_bytes())
    judged(tmp_path / "parts", tiny(8), stored_settings(tmp_path / "parts")).train(Silent())
    assert figures_of(tmp_path / "parts") == figures_of(whole)
