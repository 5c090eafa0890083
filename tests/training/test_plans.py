"""Budgets that change in the course of a training: by the clock, and by asking for more."""

import pytest
import tiny
import torch

from gancli import recipe
from gancli.recipe.sections import Training
from gancli.runs import planning
from gancli.runs.planning import Pace
from gancli.runs.previews import FRAMES, planned_previews, preview_rounds
from gancli.runs.run import Interrupted, Run

DECAY = {"budget": "1 minutes", "rate_decay": 0.5, "rounds": 20, "precision": "fp32", "threads": 1}


def made(**training):
    return tiny.tiny(training={**DECAY, **training})


def start(folder, recipe, **options):
    return Run(folder, recipe, tiny.dataset(recipe), tiny.CPU, **options)


@pytest.fixture
def paced(monkeypatch):
    """A function that has the clock ask for other plans, each at a round."""

    def plan(plans):
        monkeypatch.setattr(Pace, "due", lambda self, seconds: self.deadline is not None)
        monkeypatch.setattr(Pace, "plan", lambda self, seconds, done, planned: plans.get(done))

    return plan


def test_the_pace_since_the_last_check_decides_the_rounds():
    pace = Pace(100.0, 0.0, 0)
    assert not pace.due(4.9)
    assert pace.due(5.0)
    assert pace.plan(5.0, 50, planned=1000) is None  # as planned: 10 a second
    assert pace.plan(10.0, 75, planned=1000) == 75 + 90 * 5  # half as fast
    assert pace.plan(15.0, 100, planned=525) is None
    assert pace.plan(98.0, 515, planned=525) is None  # two seconds are within the tolerance
    assert pace.plan(104.0, 520, planned=525) == 520  # too late: it ends here
    assert Pace(None, 0.0, 0).due(1e9) is False


def test_after_going_back_nothing_is_planned():
    pace = Pace(100.0, 0.0, 50)
    assert pace.plan(5.0, 20, planned=1000) is None
    assert pace.plan(10.0, 25, planned=1000) == 25 + 90


def test_plans_are_kept_with_the_round_until_which_they_held():
    training = Training(rounds=20)
    for done, rounds in ((4, 12), (8, 16), (8, 18)):
        training = Training.model_validate(training.model_dump() | training.replanned(done, rounds))
    assert [(plan.until, plan.rounds) for plan in training.earlier_plans] == [(4, 20), (8, 12)]
    assert [training.planned(done) for done in (0, 3, 4, 7, 8, 17)] == [20, 20, 12, 12, 18, 18]


def test_previews_follow_the_plan_in_effect():
    training = Training.model_validate({"rounds": 200, "earlier_plans": [{"until": 100, "rounds": 100}]})
    found = planned_previews(training)
    assert {one for one in found if one <= 100} == preview_rounds(100)
    assert {one for one in found if one > 100} == {one for one in preview_rounds(200) if one > 100}
    assert planned_previews(Training(rounds=100)) == preview_rounds(100)
    assert len(preview_rounds(10_000)) == FRAMES


def test_a_plan_changed_by_the_clock_is_replayed_from_the_recipe(tmp_path, paced):
    paced({4: 12, 8: 16})
    run = start(tmp_path / "a", made(), minutes=1.0)
    reporter = tiny.Silent()
    run.train(reporter)
    assert run.trainer.rounds == reporter.planned == 16
    kept = recipe.parse(recipe.read(tmp_path / "a/recipe.toml"))
    assert [(plan.until, plan.rounds) for plan in kept.training.earlier_plans] == [(4, 20), (8, 12)]
    paced({3: 99})  # no clock is asked without a deadline
    again = start(tmp_path / "b", kept)
    again.train(tiny.Silent())
    assert again.trainer.rounds == 16
    model = "model.safetensors"
    assert (tmp_path / "a" / model).read_bytes() == (tmp_path / "b" / model).read_bytes()
    # The plan decides the rates: another plan gives another model.
    other = start(tmp_path / "c", made(rounds=16))
    other.train(tiny.Silent())
    assert (tmp_path / "a" / model).read_bytes() != (tmp_path / "c" / model).read_bytes()


def test_stopped_after_a_change_it_goes_on_by_the_new_plan(tmp_path, paced):
    paced({4: 12})
    undisturbed = start(tmp_path / "a", made(), minutes=1.0)
    undisturbed.train(tiny.Silent())
    run = start(tmp_path / "b", made(), minutes=1.0)
    with pytest.raises(Interrupted):
        run.train(tiny.Silent(), stop=lambda: run.trainer.rounds >= 7)
    stored = recipe.parse(recipe.read(tmp_path / "b/recipe.toml"))
    resumed = start(tmp_path / "b", stored)
    assert resumed.files.deadline == 60.0
    resumed.train(tiny.Silent())
    assert tiny.left(tmp_path / "a") == tiny.left(tmp_path / "b")


@pytest.mark.parametrize(("longer", "rounds"), [("4 rounds", 4), ("0.024 kimg", 2)])
def test_a_finished_run_goes_on_for_a_further_budget(tmp_path, longer, rounds):
    first = start(tmp_path / "a", made(rounds=6))
    first.train(tiny.Silent())
    picture = (tmp_path / "a/samples.png").read_bytes()
    stored = recipe.parse(recipe.read(tmp_path / "a/recipe.toml"))
    more = start(tmp_path / "a", stored, longer=longer)
    assert not more.finished
    more.train(tiny.Silent())
    assert more.finished
    assert more.trainer.rounds == 6 + rounds
    assert (tmp_path / "a/samples.png").read_bytes() != picture
    kept = recipe.parse(recipe.read(tmp_path / "a/recipe.toml"))
    again = start(tmp_path / "b", kept)
    again.train(tiny.Silent())
    assert tiny.left(tmp_path / "a")["model.safetensors"] == tiny.left(tmp_path / "b")["model.safetensors"]


def test_more_minutes_are_counted_from_where_the_run_stands(tmp_path):
    first = start(tmp_path / "a", made(rounds=6))
    first.train(tiny.Silent())
    stored = recipe.parse(recipe.read(tmp_path / "a/recipe.toml"))
    more = start(tmp_path / "a", stored, longer="0.5 minutes")
    seconds = more.files.seconds
    assert more.files.deadline == pytest.approx(seconds + 30)
    assert more.rounds == 6 + round(30 * 6 / seconds)


@pytest.mark.parametrize(
    ("costs", "chosen"),
    [
        ({1: 1.0, 2: 0.95, 4: 0.93}, 1),  # a tenth is not worth it
        ({1: 1.0, 2: 0.6, 4: 0.58}, 2),
        ({1: 1.0, 2: 0.6, 4: 0.3}, 4),
        ({1: 1.0, 2: 9.0, 4: 20.0}, 1),
    ],
)
def test_as_few_threads_as_are_about_as_fast(monkeypatch, costs, chosen):
    before = torch.get_num_threads()
    asked = made()
    try:
        torch.set_num_threads(4)
        monkeypatch.setattr(planning, "_time_round", lambda trainer: costs[torch.get_num_threads()])
        values = asked.to_dict()
        del values["training"]["threads"]
        found, why = planning.measure_threads(recipe.parse(values), tiny.dataset(asked), tiny.CPU, seconds=30.0)
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)
    assert found == chosen
    assert f"{chosen}: {1000 * costs[chosen]:.3g} ms" in why
