"""The lab: the trainer's own steps, what is drawn of them, and the API around them."""

import base64
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from starlette.testclient import TestClient
from torch.nn import functional as F

from gancli import registry
from gancli.data import load
from gancli.errors import UsageError
from gancli.page import lab, server
from gancli.page.access import Access
from gancli.page.lab_session import CELLS, FAKES, LINES, Session
from gancli.page.lab_settings import Settings, recipe_of
from gancli.recipe import for_data, parse
from gancli.training.loop import Trainer

HERE = "http://127.0.0.1:8642"
LOSSES = get_args(Settings.model_fields["loss"].annotation)
PENALTIES = get_args(Settings.model_fields["penalty"].annotation)

pytestmark = pytest.mark.usefixtures("one_thread")


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {f"{name}.{key}": value for name, net in trainer.networks.items() for key, value in net.state_dict().items()}


def same(one: Trainer, other: Trainer) -> bool:
    left, right = weights(one), weights(other)
    return all(torch.equal(left[name], right[name]) for name in left)


def unpacked(text: str, kind: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=kind)


def trained(settings: Settings, rounds: int) -> Trainer:
    """By the trainer alone, as `gancli train` makes it of the recipe that the lab gives."""
    recipe = recipe_of(settings, settings.data)
    recipe = recipe.with_values(
        data={"size": [1, 2], "channels": 1}, training={"rounds": 20_000, "rate_decay": 0, "threads": 1}
    )
    trainer = Trainer(recipe, load(settings.data), torch.device("cpu"))
    for _ in range(rounds):
        trainer.round()
    return trainer


# The training.


def test_rounds_are_the_trainer_s_bit_for_bit() -> None:
    """Whatever is drawn in between, and however the players' steps are taken."""
    settings = Settings(seed=3, discriminator_steps=2)
    session = Session(settings)
    session.frame()
    session.round()
    session.frame()
    assert [session.advance() for _ in range(3)] == ["discriminator", "generator", "discriminator"]
    session.frame()
    session.finish_round()
    session.change(settings)
    session.round()
    assert session.trainer.rounds == 4
    assert session.trainer.steps == {"discriminator": 8, "generator": 4}
    assert same(session.trainer, trained(settings, 4))


def test_one_side_is_trained_alone() -> None:
    session = Session(Settings())
    before = {name: value.clone() for name, value in weights(session.trainer).items()}
    session.step("generator")
    after = weights(session.trainer)
    changed = {name.split(".")[0] for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"generator"}
    assert session.trainer.steps == {"discriminator": 0, "generator": 1}


def test_a_change_keeps_the_training_and_takes_effect() -> None:
    one, other = Session(Settings()), Session(Settings())
    for session in (one, other):
        session.round()
    other.change(Settings(generator_lr=0.01))
    for session in (one, other):
        session.step("discriminator")
    assert same(one.trainer, other.trainer)
    for session in (one, other):
        session.step("generator")
    assert not same(one.trainer, other.trainer)


def test_a_change_of_networks_starts_again() -> None:
    session = Session(Settings())
    session.round()
    session.change(Settings(dim=1))
    assert session.trainer.rounds == 0
    manifold = unpacked(session.frame()["manifold"]).view(LINES, LINES, 2)
    assert torch.equal(manifold[:, 0], manifold[:, -1])  # a line
    session.round()
    session.restart()
    assert same(session.trainer, trained(Settings(dim=1), 0))


@pytest.mark.parametrize(("loss", "penalty"), [*zip(LOSSES, PENALTIES, strict=False), ("relativistic", "r1")])
def test_every_choice_trains(loss: Any, penalty: Any) -> None:
    session = Session(Settings(loss=loss, penalty=penalty, weight=0.05))
    session.round()
    frame = session.frame()
    assert not frame["diverged"]
    assert frame["absolute"] is (loss not in ("wasserstein", "relativistic"))
    if penalty == "clip":
        assert (
            max(float(p.detach().abs().max()) for p in session.trainer.networks["discriminator"].parameters())
            <= 0.05 + 1e-6
        )


def test_choices_are_those_of_recipes() -> None:
    assert set(LOSSES) <= set(registry.names("loss"))
    assert set(PENALTIES) - {"none", "clip"} <= set(registry.names("regularizer"))


def test_a_diverged_training_is_told() -> None:
    session = Session(Settings(data="grid"))
    with torch.no_grad():
        next(session.trainer.networks["generator"].parameters()).fill_(math.inf)
    frame = session.frame()
    assert frame["diverged"]
    assert unpacked(frame["fakes"]).isfinite().all()


# What is drawn.


def test_arrows_are_minus_the_gradient_of_the_generator_s_loss() -> None:
    session = Session(Settings())
    for _ in range(20):
        session.round()
    frame = session.frame()
    fakes, arrows = (unpacked(frame[name]).view(FAKES, 2).double() for name in ("fakes", "arrows"))
    network = session.trainer.networks["discriminator"].double()
    step = 1e-5
    for axis in (0, 1):
        shift = torch.zeros(2).double()
        shift[axis] = step
        up, down = (F.softplus(-network((fakes + sign * shift).view(-1, 1, 1, 2))).flatten() for sign in (1, -1))
        slope = (up - down) / (2 * step)
        # A difference across a kink of the network is another one's.
        assert ((arrows[:, axis] + slope).abs() < 1e-3).float().mean() > 0.95


def test_the_opinion_is_the_discriminator_s_at_the_centres_of_cells() -> None:
    session = Session(Settings())
    for _ in range(5):
        session.round()
    low, high = session.real()["limits"]
    opinion = unpacked(session.frame()["opinion"], torch.uint8).view(CELLS, CELLS)
    row, column, cell = 3, 17, (high - low) / CELLS
    point = torch.tensor([low + (column + 0.5) * cell, high - (row + 0.5) * cell])
    with torch.no_grad():
        output = session.trainer.networks["discriminator"](point.view(1, 1, 1, 2)).sigmoid()
    assert int(opinion[row, column]) == pytest.approx(255 * float(output), abs=1)


def test_a_grid_of_more_latent_values_is_a_slice() -> None:
    session = Session(Settings(dim=5))
    z = torch.zeros(1, 5)
    z[0, 0], z[0, 1] = -1, 1
    with torch.no_grad():
        corner = session.trainer.networks["generator"](z=z).flatten()
    assert torch.allclose(unpacked(session.frame()["manifold"]).view(LINES, LINES, 2)[0, -1], corner, atol=1e-6)


# The API.


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    made, access = lab.Lab("ring"), Access("127.0.0.1", 8642)
    view = server.View("lab", "Lab", made.router())
    with TestClient(server.create([view], access), base_url=HERE, headers={"origin": HERE}) as client:
        client.get("/", params={"token": access.token})
        yield client
    made.loop.stop()


def test_a_session_of_the_page(client: TestClient, home: Path, run_cli) -> None:
    state = client.get("/api/lab/state").json()
    assert (state["settings"], state["data"], state["own"]) == (Settings().model_dump(), "ring", None)
    assert client.post("/api/lab/step", json={"player": "both"}).json() == {"round": 1}
    assert client.post("/api/lab/step", json={"player": "discriminator"}).json() == {"round": 2}
    frame = client.get("/api/lab/frame").json()
    assert (frame["round"], frame["stage"], frame["speed"]) == (2, "discriminator", "paused")
    assert client.get("/api/lab/frame", params={"after": frame["number"]}).json() is None
    changed = {**state["settings"], "loss": "hinge", "penalty": "none", "generator_steps": 2}
    log = client.post("/api/lab/settings", json=changed).json()["log"]
    assert log == [[2, "loss: non-saturating → hinge"], [2, "penalty: r1 → none"], [2, "generator steps: 1 → 2"]]
    text = client.get("/api/lab/lab.toml").text
    assert "# `gancli train ring --model lab.toml` trains" in text
    assert "#   2: loss: non-saturating → hinge\n" in text
    (home / "lab.toml").write_text(text, encoding="utf-8")
    made = run_cli("train", "ring", "--model", "lab.toml", "--rounds", 2, "--out", "run", "-q")
    assert made.code == 0, made.err
    assert 'loss = "hinge"' in (home / "run/recipe.toml").read_text()
    restarted = client.post("/api/lab/restart", json={}).json()
    assert restarted["curves"] == []
    assert restarted["log"][-1] == [2, "started again"]


def test_it_runs_and_pauses_when_nobody_asks(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from gancli.page import lab_loop

    assert client.post("/api/lab/run", json={"speed": "fast"}).json() == {"speed": "fast"}
    first = client.get("/api/lab/frame").json()
    second = client.get("/api/lab/frame", params={"after": first["number"]}).json()
    assert second["round"] > first["round"]
    assert set(second["losses"]) >= {"loss/discriminator", "loss/generator"}
    monkeypatch.setattr(lab_loop, "AWAY", 0.0)
    time.sleep(0.2)
    assert client.get("/api/lab/state").json()["speed"] == "paused"


def test_drawn_points_are_trained_on_and_taken_away(client: TestClient, home: Path, run_cli) -> None:
    points = [[0.1 * number, 1 - 0.2 * number] for number in range(12)]
    state = client.post("/api/lab/points", json={"points": points}).json()
    assert (state["data"], state["own"], state["settings"]["data"]) == ("drawn.csv", "drawn.csv", "own")
    for name in ("drawn.csv", "lab.toml"):
        (home / name).write_text(client.get(f"/api/lab/{name}").text, encoding="utf-8")
    assert torch.allclose(load("drawn.csv").formula.rows, torch.tensor(points))
    made = run_cli("train", "drawn.csv", "--model", "lab.toml", "--rounds", 1, "--out", "run", "-q")
    assert made.code == 0, made.err


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("settings", {"loss": "mystery"}),
        ("settings", {"generator_lr": 0}),
        ("settings", {"generator_lr": 1e9}),
        ("settings", {"dim": 1000}),
        ("settings", {"discriminator_steps": 0}),
        ("settings", {"seed": -1}),
        ("settings", {"surprise": 1}),
        ("settings", {"data": "/etc/passwd"}),
        ("run", {"speed": "ludicrous"}),
        ("step", {"player": "nobody"}),
        ("points", {"points": [[0, 0]] * 9}),
        ("points", {"points": [[0, 0]] * 5001}),
        ("points", {"points": [[0, 1e9]] * 20}),
        ("points", {"points": [[0]] * 20}),
    ],
    ids=str,
)
def test_bad_values_are_refused(client: TestClient, path: str, body: dict[str, Any]) -> None:
    answer = client.post(f"/api/lab/{path}", json=body)
    assert answer.status_code == 422
    assert len(answer.json()["error"]) <= 300


def test_what_is_no_number_is_refused(client: TestClient) -> None:
    body = '{"points": [' + ", ".join(["[NaN, Infinity]"] * 12) + "]}"
    answer = client.post("/api/lab/points", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422


def test_own_points_must_be_there_first() -> None:
    made = lab.Lab("ring")
    with pytest.raises(UsageError, match="no points of your own yet"):
        made.change(Settings(data="own"))
    with pytest.raises(UsageError, match="no points of your own yet"):
        made.drawn()
    made.loop.stop()


def test_other_data_have_no_lab(tmp_path: Path) -> None:
    for name in ("mnist", "sine", "absent.csv"):
        with pytest.raises(UsageError, match=f"'{name}' is no data set of points"):
            lab.view(name)
    (tmp_path / "bad.csv").write_text("hello\n")
    made = lab.Lab(str(tmp_path / "bad.csv"))
    with pytest.raises(UsageError, match="is no table of points: line 1 is 'hello'"):
        made.state()
    made.loop.stop()


def test_a_saved_recipe_is_the_zoo_s_but_for_the_settings() -> None:
    table = recipe_of(Settings(), "ring").to_dict()
    from gancli.zoo import catalogue

    base = parse(for_data(catalogue.recipe_table("points-gan"), "ring")).to_dict()
    differing = {key for key in base if base[key] != table.get(key)}
    assert differing == {"model", "summary", "paper", "teaches", "objective"}
    assert {key for key in table["objective"] if table["objective"][key] != base["objective"].get(key)} == {"steps"}
