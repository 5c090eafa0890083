"""Other families of GANs, added from outside: none needs a change of the training loop or of the file formats.

The objectives below are as small as they can be; what they show is that players, penalties, clipping, stateful terms,
encoders and four networks all find their place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from tiny import Silent, run, tiny, trainer
from torch import Tensor, nn

import gancli
from gancli import checkpoint, recipe, registry
from gancli.architectures._base import Spec
from gancli.data import load
from gancli.errors import UsageError
from gancli.objectives.base import Objective, Outcome, Player, Turn
from gancli.training.loop import Trainer


class Wgan(Objective):
    """Arjovsky et al. 2017, algorithm 1: five critic steps, clipped weights."""

    networks_needed: ClassVar = {"generator": "generator", "critic": "discriminator"}

    def __init__(self, networks: Mapping[str, nn.Module], *, clip: float = 0.01) -> None:
        super().__init__()
        self.generator, self.critic, self.clip = networks["generator"], networks["critic"], clip

    @property
    def players(self) -> Sequence[Player]:
        return [
            Player("critic", ("critic",), self.judge, steps=5, after=self.clamp),
            Player("generator", ("generator",), self.deceive, real=False),
        ]

    def judge(self, turn: Turn) -> Outcome:
        with torch.no_grad():
            fake = self.generator(**turn.draw())
        return Outcome({"critic": self.critic(fake).mean() - self.critic(turn.images).mean()})

    def deceive(self, turn: Turn) -> Outcome:
        return Outcome({"generator": -self.critic(self.generator(**turn.draw())).mean()})

    def clamp(self) -> None:
        with torch.no_grad():
            for parameter in self.critic.parameters():
                parameter.clamp_(-self.clip, self.clip)


class Encoder(nn.Module):
    """Images (N, C, H, W) to means and log variances (N, 2, dim)."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        channels, height, width = spec.shape
        self.dim = spec.latent.dim
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, 2 * self.dim))

    def forward(self, images: Tensor) -> Tensor:
        return self.body(images).view(-1, 2, self.dim)


class Vae(Objective):
    """Kingma and Welling 2014: one player, two networks; the mean of the KL terms is kept as a term with state."""

    networks_needed: ClassVar = {"generator": "generator", "encoder": "encoder"}
    also_published = ("encoder",)

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.generator, self.encoder = networks["generator"], networks["encoder"]
        self.register_buffer("typical", torch.zeros(()))

    @property
    def players(self) -> Sequence[Player]:
        return [Player("autoencoder", ("generator", "encoder"), self.reconstruct)]

    def reconstruct(self, turn: Turn) -> Outcome:
        mean, log_variance = self.encoder(turn.images).unbind(1)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
        self.typical.lerp_(divergence.detach(), 0.1)
        error = (self.generator(z) - turn.images).square().flatten(1).sum(1).mean()
        return Outcome({"reconstruction": error, "divergence": divergence})


class Translator(nn.Module):
    """Images to images."""

    range = (-1.0, 1.0)

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(spec.shape[0], spec.shape[0], 3, padding=1), nn.Tanh())

    def forward(self, images: Tensor) -> Tensor:
        return self.body(images)


class Cycle(Objective):
    """Zhu et al. 2017: two players, four networks; here both domains are the data, one of them inverted."""

    networks_needed: ClassVar = {
        "forth": "translator",
        "back": "translator",
        "judge_a": "discriminator",
        "judge_b": "discriminator",
    }
    published = "forth"

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.net = nn.ModuleDict({name: networks[name] for name in self.networks_needed})

    @property
    def players(self) -> Sequence[Player]:
        return [
            Player("judges", ("judge_a", "judge_b"), self.judge),
            Player("translators", ("forth", "back"), self.translate),
        ]

    def judge(self, turn: Turn) -> Outcome:
        a, b, loss = turn.images, -turn.images, registry.get("loss", "least-squares")()
        with torch.no_grad():
            to_b, to_a = self.net["forth"](a), self.net["back"](b)
        d = lambda name, real, fake: loss.d(self.net[name](real), self.net[name](fake))  # noqa: E731
        return Outcome({"judge_a": d("judge_a", a, to_a), "judge_b": d("judge_b", b, to_b)})

    def translate(self, turn: Turn) -> Outcome:
        a, b, loss = turn.images, -turn.images, registry.get("loss", "least-squares")()
        to_b, to_a = self.net["forth"](a), self.net["back"](b)
        cycle = (self.net["back"](to_b) - a).abs().mean() + (self.net["forth"](to_a) - b).abs().mean()
        return Outcome({"fool": loss.g(self.net["judge_a"](to_a)) + loss.g(self.net["judge_b"](to_b)), "cycle": cycle})


@pytest.fixture
def plugins(monkeypatch) -> None:
    monkeypatch.setattr(registry, "_added", {})
    registry.add("objective", "own-wgan", Wgan)
    registry.add("objective", "own-vae", Vae)
    registry.add("objective", "own-cycle", Cycle)
    registry.add("architecture", "linear", {"encoder": Encoder})
    registry.add("architecture", "translator", {"translator": Translator})


JUDGE = {"architecture": "dcgan", "role": "discriminator", "width": 4}
RATE = {"name": "rmsprop", "lr": 1e-3}
VARIANTS = {
    "own-wgan": {
        "networks": {"generator": {"architecture": "dcgan", "width": 4}, "critic": JUDGE},
        "optimizer": {"generator": RATE, "critic": RATE},
    },
    "own-vae": {
        "networks": {"generator": {"architecture": "mlp", "hidden": [8]}, "encoder": {"architecture": "linear"}},
        "optimizer": {"autoencoder": {"name": "adam", "lr": 1e-3}},
    },
    "own-cycle": {
        "networks": {
            "forth": {"architecture": "translator", "role": "translator"},
            "back": {"architecture": "translator", "role": "translator"},
            "judge_a": JUDGE,
            "judge_b": JUDGE,
        },
        "optimizer": {"judges": RATE, "translators": RATE},
    },
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_trains_and_resumes_to_the_bit(plugins, name: str, tmp_path) -> None:
    base = tiny(4).to_dict()
    made = recipe.parse({**base, **VARIANTS[name], "model": name, "objective": {"name": name}})
    whole = trainer(made)
    start = {name: value.clone() for name, value in checkpoint.flatten(whole.state())[0].items()}
    for _ in range(2):
        whole.round()
    flat, plain = checkpoint.flatten(whole.state())
    checkpoint.write(tmp_path / "s.safetensors", flat, {"state": plain})
    for _ in range(2):
        whole.round()
    rest = trainer(made)
    read, header = checkpoint.read(tmp_path / "s.safetensors")
    rest.load_state(checkpoint.unflatten(header["state"], read))
    for _ in range(2):
        rest.round()
    a, b = checkpoint.flatten(whole.state())[0], checkpoint.flatten(rest.state())[0]
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)
    moved = [key for key in start if key.startswith("networks") and not torch.equal(start[key], a[key])]
    assert {key.split(".")[1] for key in moved} == set(whole.networks)
    if name == "own-vae":
        assert a["objective.typical"] > 0
    if name == "own-wgan":
        assert max(p.abs().max() for p in whole.networks["critic"].parameters()) <= 0.01
        assert rest.feed.drawn == 4 * 5 * 12


FIRST = ["discriminator", "generator"]


def test_reusing_fakes_gives_the_generator_the_discriminators_fakes() -> None:
    drawn = []
    for reuse, order in ((True, FIRST), (False, FIRST), (True, FIRST[::-1]), (False, FIRST[::-1])):
        one = trainer(tiny(objective={"reuse_fake": reuse, "order": order}))
        original = one._draw
        calls = []
        one._draw = lambda original=original, calls=calls: calls.append(1) or original()
        one.round()
        drawn.append(len(calls))
    assert drawn == [1, 2, 1, 2]


def test_a_penalty_with_an_interval_is_weighted_up() -> None:
    sections = {"objective": {"penalties": {"r1": {"weight": 0.5, "interval": 3}}}}
    one = trainer(tiny(**sections))
    seen = []
    for _ in range(4):
        one.round()
        seen.append("loss/r1" in one.means())
    assert seen == [True, False, False, True]


def test_steps_may_differ_from_round_to_round() -> None:
    """A discriminator that trains alone at first: three steps in round 0, one afterwards; the generator rests once."""
    one = trainer(tiny())
    judge, deceive = one.players
    one.players = (
        replace(judge, steps=lambda number: 3 if number == 0 else 1),
        replace(deceive, steps=lambda number: int(number > 0)),
    )
    before = {name: value.clone() for name, value in one.generator.state_dict().items() if "weight" in name}
    one.round()
    assert one.feed.drawn == 3 * 12
    assert all(torch.equal(before[name], one.generator.state_dict()[name]) for name in before)
    one.round()
    assert one.feed.drawn == 4 * 12
    assert not all(torch.equal(before[name], one.generator.state_dict()[name]) for name in before)


def test_labels_reach_the_players(plugins) -> None:
    one = Trainer(tiny(), load("digits"), torch.device("cpu"))
    seen = []
    judge, deceive = one.players
    one.players = (replace(judge, play=lambda turn: seen.append(turn.batch.labels) or judge.play(turn)), deceive)
    one.round()
    assert seen[0].shape == (12,)


def test_a_vae_publishes_its_encoder_and_is_sampled_by_its_generator(plugins, tmp_path) -> None:
    base = tiny(2).to_dict()
    made = recipe.parse({**base, **VARIANTS["own-vae"], "model": "vae", "objective": {"name": "own-vae"}})
    run(tmp_path / "r", made).train(Silent())
    tensors, header = checkpoint.read(tmp_path / "r" / "model.safetensors")
    assert header["networks"] == ["generator", "encoder"]
    assert {name.split(".")[0] for name in tensors} == {"generator", "encoder"}
    assert gancli.load(tmp_path / "r", device="cpu").sample(seeds=[1, 2]).shape == (2, 1, 8, 8)


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ({"critic": JUDGE}, "networks.critic plays no part in 'adversarial'"),
        (
            {"generator": {"architecture": "mlp", "role": "discriminator"}},
            "networks.generator has the role 'discriminator'",
        ),
    ],
)
def test_networks_and_objective_must_agree(networks: dict, message: str) -> None:
    table = tiny(model="gan").to_dict()
    made = recipe.parse({**table, "networks": {**table["networks"], **networks}})
    with pytest.raises(UsageError) as refused:
        trainer(made)
    assert refused.value.message == message
