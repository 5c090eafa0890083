"""Other GANs, added from outside in a few lines each: none needs a change of the training loop or of file formats."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch
from relativistic import Average, Pairing
from tiny import Silent, run, same, tiny, trainer
from torch import Tensor, nn
from toys import Mapped

import gancli
from gancli import checkpoint, recipe, registry
from gancli.architectures._base import Spec
from gancli.data import load
from gancli.errors import UsageError
from gancli.terms.losses import LeastSquares
from gancli.terms.objective import Objective
from gancli.terms.players import Player, Term
from gancli.terms.regularizers import Regularizer
from gancli.terms.step import Step
from gancli.training.loop import Trainer


class Wgan(Objective):
    """Arjovsky et al. 2017, algorithm 1: five critic steps, clipped weights."""

    networks_needed: ClassVar = {"generator": "generator", "critic": "discriminator"}

    def __init__(self, networks: Mapping[str, nn.Module], *, clip: float = 0.01) -> None:
        super().__init__(networks)
        self.critic, self.clip = networks["critic"], clip

    @property
    def players(self) -> Sequence[Player]:
        score = lambda step, images: step.score(images, network="critic").logits.mean()  # noqa: E731
        critic = Term("critic", lambda step: score(step, step.fake) - score(step, step.real))
        generator = Term("generator", lambda step: -score(step, step.fake))
        return [
            Player("critic", ("critic",), [critic], steps=5, after=self.clamp),
            Player("generator", ("generator",), [generator], real=False),
        ]

    def clamp(self, step: Step) -> None:
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
    """Kingma and Welling 2014: one player, two networks; a running mean of the KL divergence is state."""

    networks_needed: ClassVar = {"generator": "generator", "encoder": "encoder"}
    exported = ("generator", "encoder")

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        super().__init__(networks)
        self.generator, self.encoder = networks["generator"], networks["encoder"]
        self.register_buffer("typical", torch.zeros(()))

    @property
    def players(self) -> Sequence[Player]:
        terms = [Term("divergence", self.divergence), Term("reconstruction", self.reconstruction)]
        return [Player("autoencoder", ("generator", "encoder"), terms)]

    def posterior(self, step: Step) -> tuple[Tensor, ...]:
        return step.once("posterior", lambda: self.encoder(step.real).unbind(1))

    def divergence(self, step: Step) -> Tensor:
        mean, log_variance = self.posterior(step)
        value = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
        self.typical.lerp_(value.detach(), 0.1)
        return value

    def reconstruction(self, step: Step) -> Tensor:
        mean, log_variance = self.posterior(step)
        z = mean + step.random.normal(mean.shape) * (0.5 * log_variance).exp()
        return (self.generator(z) - step.real).square().flatten(1).sum(1).mean()


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
        "of_a": "discriminator",
        "of_b": "discriminator",
    }
    exported = ("forth", "back")
    loss = LeastSquares()

    @property
    def players(self) -> Sequence[Player]:
        d = lambda step, name, real, fake: self.loss.d(  # noqa: E731
            step.score(real, network=name).logits, step.score(fake.detach(), network=name).logits
        )
        g = lambda step, name, fake: self.loss.g(None, step.score(fake, network=name).logits)  # noqa: E731
        scores = [
            Term("of_a", lambda step: d(step, "of_a", step.real, self.made(step)[0])),
            Term("of_b", lambda step: d(step, "of_b", -step.real, self.made(step)[1])),
        ]
        translations = [
            Term("fool_a", lambda step: g(step, "of_a", self.made(step)[0])),
            Term("fool_b", lambda step: g(step, "of_b", self.made(step)[1])),
            Term("cycle", self.cycle),
        ]
        return [Player("critics", ("of_a", "of_b"), scores), Player("translators", ("forth", "back"), translations)]

    def made(self, step: Step) -> tuple[Tensor, Tensor]:
        networks = step.options.networks
        return step.once("made", lambda: (networks["back"](-step.real), networks["forth"](step.real)))

    def cycle(self, step: Step) -> Tensor:
        (a, b), networks = self.made(step), step.options.networks
        return (networks["back"](b) - step.real).abs().mean() + (networks["forth"](a) + step.real).abs().mean()


class Brightness(Regularizer):
    """A generator's regularizer with an option and state: the mean pixel stays near a running mean of real ones."""

    player, real = "generator", True

    def __init__(self, *, momentum: float = 0.5) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("typical", torch.zeros(()))

    def forward(self, step: Step) -> Tensor:
        self.typical.lerp_(step.real.mean().detach(), self.momentum)
        return (step.fake.mean() - self.typical).square()


@pytest.fixture(autouse=True)
def plugins(monkeypatch) -> None:
    monkeypatch.setattr(registry, "_added", {})
    registry.add("objective", "own-wgan", Wgan)
    registry.add("objective", "own-vae", Vae)
    registry.add("objective", "own-cycle", Cycle)
    registry.add("architecture", "linear", {"encoder": Encoder})
    registry.add("architecture", "translator", {"translator": Translator})
    registry.add("architecture", "mapped", {"generator": Mapped})
    registry.add("loss", "pairing", Pairing)
    registry.add("loss", "average", Average)
    registry.add("regularizer", "brightness", Brightness)


CRITIC = {"architecture": "dcgan", "role": "discriminator", "width": 4}
RATE = {"name": "rmsprop", "lr": 1e-3}
TRANSLATOR = {"architecture": "translator", "role": "translator"}
VARIANTS = {
    "own-wgan": {
        "networks": {"generator": {"architecture": "dcgan", "width": 4}, "critic": CRITIC},
        "optimizer": {"generator": RATE, "critic": RATE},
    },
    "own-vae": {
        "networks": {"generator": {"architecture": "mlp", "hidden": [8]}, "encoder": {"architecture": "linear"}},
        "optimizer": {"autoencoder": {"name": "adam", "lr": 1e-3}},
    },
    "own-cycle": {
        "networks": {"forth": TRANSLATOR, "back": TRANSLATOR, "of_a": CRITIC, "of_b": CRITIC},
        "optimizer": {"critics": RATE, "translators": RATE},
    },
}


def resumes(made: recipe.Recipe, tmp_path) -> tuple[Trainer, Trainer]:
    """Train two rounds, save, train two more; and the same from what was saved."""
    whole = trainer(made)
    for _ in range(2):
        whole.round()
    flat, plain = checkpoint.flatten(whole.state())
    checkpoint.write(tmp_path / "s.safetensors", flat, {"state": plain})
    for _ in range(2):
        whole.round()
    end = copy.deepcopy(whole.state())
    rest = trainer(made)
    read, header = checkpoint.read(tmp_path / "s.safetensors")
    rest.load_state(checkpoint.unflatten(header["state"], read))
    for _ in range(2):
        rest.round()
    assert same(end, rest.state())
    return whole, rest


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_trains_and_resumes_bit_exactly(name: str, tmp_path) -> None:
    made = recipe.parse({**tiny(4).to_dict(), **VARIANTS[name], "model": name, "objective": {"name": name}})
    start = {key: value.clone() for key, value in checkpoint.flatten(trainer(made).state())[0].items()}
    whole, rest = resumes(made, tmp_path)
    end = checkpoint.flatten(whole.state())[0]
    moved = [key for key in start if key.startswith("networks") and not torch.equal(start[key], end[key])]
    assert {key.split(".")[1] for key in moved} == set(whole.networks)
    if name == "own-vae":
        assert end["objective.typical"] > 0
    if name == "own-wgan":
        assert max(p.abs().max() for p in whole.networks["critic"].parameters()) <= 0.01
        assert rest.batches.drawn == 4 * 5 * 12


GAMMA = {"from": 2.0, "to": 0.5, "over": "24 images", "shape": "cosine"}


@pytest.mark.parametrize("loss", ["pairing", "average"])
@pytest.mark.parametrize("model", ["mlp-gan", "quick"])
def test_relativistic_losses_with_r1_r2_and_a_scheduled_gamma(model: str, loss: str, tmp_path) -> None:
    regularizers = {name: {"weight": GAMMA} for name in ("r1", "r2")}
    made = tiny(4, model, objective={"loss": loss, "regularizers": regularizers})
    assert made.to_dict()["objective"]["regularizers"]["r1"]["weight"] == GAMMA
    one = trainer(made)
    # The generator's step sees real images, of the classes that its fakes have.
    assert [player.real for player in one.players] == [True, True]
    resumes(made, tmp_path)


def test_a_scheduled_weight_multiplies_a_term() -> None:
    """Half a cosine from 2 to 0.5 over two rounds of 12 images: 2, 1.25, 0.5, 0.5."""
    weights = []
    one = trainer(tiny(4, "mlp-gan", objective={"regularizers": {"r1": {"weight": GAMMA}}}))
    terms = {term.name: term for term in one.players[0].terms}
    fixed = replace(terms["r1"], fn=lambda step: torch.ones(()))
    for _ in range(4):
        weights.append(fixed.value(Step(None, one.objective.step_options, progress=one.progress)).item())
        one.round()
    assert weights == pytest.approx([2, 1.25, 0.5, 0.5])


def test_rates_betas_and_the_half_life_of_the_ema_can_be_scheduled(tmp_path) -> None:
    span = {"from": 1e-3, "to": 1e-4, "over": "50 %"}
    beta = {"from": 0.9, "to": 0.99, "over": "2 rounds"}
    made = tiny(
        4,
        "mlp-gan",
        optimizer={"generator": {"lr": span, "betas": [0.0, beta]}},
        training={"ema": {"kimg": {"from": 0.0, "to": 0.05, "over": "0.024 kimg"}, "rampup": 0}},
    )
    one, seen = trainer(made), []
    for _ in range(4):
        one.round()
        group = one.optimizers["generator"].param_groups[0]
        seen.append((group["lr"], group["betas"][1]))
    assert [lr for lr, _ in seen] == pytest.approx([1e-3, 5.5e-4, 1e-4, 1e-4])
    assert [beta for _, beta in seen] == pytest.approx([0.9, 0.945, 0.99, 0.99])
    resumes(made, tmp_path)


def test_a_generators_regularizer_has_options_and_state(tmp_path) -> None:
    regularizers = {"brightness": {"weight": 0.5, "every": 2, "momentum": 0.25}}
    made = tiny(4, objective={"regularizers": regularizers})
    one = trainer(made)
    seen = []
    for _ in range(4):
        one.round()
        seen.append("loss/brightness" in one.means())
    assert seen == [True, False, True, False]
    whole, _ = resumes(made, tmp_path)
    assert whole.state()["objective"]["regularizers.brightness.typical"] != 0
    with pytest.raises(UsageError, match=r"objective\.regularizers\.brightness\.speed = 1: unknown key"):
        tiny(4, objective={"regularizers": {"brightness": {"weight": 1, "speed": 1}}})


@pytest.mark.parametrize("model", ["cyclegan", "vae-gan", "pix2pix"])
@pytest.mark.parametrize("regularizer", ["r1", "gradient-penalty"])
def test_every_objective_with_a_discriminator_takes_regularizers(model: str, regularizer: str) -> None:
    one = trainer(tiny(2, model, objective={"regularizers": {regularizer: {"weight": 1.0}}}))
    one.round()
    assert one.means()[f"loss/{regularizer}"] > 0


def test_diffaugment_on_pairs_moves_source_and_image_alike(tmp_path) -> None:
    made = tiny(4, "pix2pix", objective={"augment": {"name": "diffaugment", "policy": ["translation"]}})
    one, seen = trainer(made), []

    def keep(network: nn.Module, images: tuple[Tensor], conditions: dict[str, Tensor]) -> None:
        seen.append((images[0].detach(), conditions["source"].detach()))

    one.networks["discriminator"].register_forward_pre_hook(keep, with_kwargs=True)
    one.round()
    for images, sources in seen:
        # What is shifted in is zero in both, at the same pixels of every pair.
        edges = [(value == 0).all(1)[:, :, [0, -1]].all(1) for value in (images, sources)]
        assert torch.equal(*edges)
        assert edges[0].any()
    resumes(made, tmp_path)


@pytest.mark.parametrize("model", ["quick", "cyclegan", "vae-gan"])
def test_adas_probability_moves_and_resumes_bit_exactly(model: str, tmp_path) -> None:
    augment = {"name": "ada", "target": -0.9, "kimg": 0.1, "every": 1}
    whole, _ = resumes(tiny(4, model, objective={"augment": augment}), tmp_path)
    probability = whole.state()["objective"]["augmentation.probability"]
    assert probability == pytest.approx(4 * 12 / 100 if model != "cyclegan" else float(probability))
    assert probability > 0


def test_a_fixed_augmentation_can_be_scheduled(tmp_path) -> None:
    span = {"from": 0.0, "to": 0.55, "over": "24 images", "shape": "cosine"}
    augment = {"name": "ada", "target": "off", "probability": span, "pipeline": ["blit", "geometry", "color", "cutout"]}
    made = tiny(4, objective={"augment": augment})
    assert made.to_dict()["objective"]["augment"]["probability"] == span
    with pytest.raises(UsageError, match=r"objective\.augment\.target = 0\.6: the probability is scheduled"):
        tiny(4, objective={"augment": {**augment, "target": 0.6}})
    resumes(made, tmp_path)


def mapped(**sections: Any) -> recipe.Recipe:
    table = tiny(4, "mlp-gan").to_dict()
    table["networks"]["generator"] = {"architecture": "mapped", "width": 8}
    return recipe.parse(recipe.merge(table, sections))


@pytest.mark.parametrize("reuse", [False, True])
def test_a_mapping_network_mixes_styles_and_takes_a_path_length_penalty(reuse: bool, tmp_path) -> None:
    regularizers = {"path-length": {"weight": 2.0, "every": 2}}
    made = mapped(objective={"regularizers": regularizers, "style_mixing": 0.9, "reuse_fake": reuse})
    whole, _ = resumes(made, tmp_path)
    assert whole.objective.second_order == ("generator",)
    assert whole.means()["loss/path-length"] > 0
    assert whole.state()["objective"]["regularizers.path-length.length"] > 0
    assert whole.generator.w_mean.abs().sum() > 0


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ({"style_mixing": 0.5}, "objective.style_mixing = 0.5: this generator has no rows of w to mix"),
        (
            {"regularizers": {"path-length": {"weight": 2}}},
            "objective.regularizers.path-length: this generator has no mapping network",
        ),
    ],
)
def test_what_needs_a_mapping_network_is_refused_without_one(objective: dict, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        trainer(tiny(2, "mlp-gan", objective=objective))
    assert refused.value.message == message


def test_a_model_with_a_mapping_network_is_truncated_toward_the_mean_of_w(tmp_path) -> None:
    run(tmp_path / "r", mapped(training={"ema": {"kimg": 0.01}})).train(Silent())
    whole, half, mean = (
        gancli.load(tmp_path / "r", device="cpu", truncation=psi).sample(seeds=range(8)).float() for psi in (1, 0.5, 0)
    )
    assert torch.equal(whole, gancli.load(tmp_path / "r", device="cpu").sample(seeds=range(8)).float())
    assert torch.equal(mean, mean[:1].expand_as(mean))
    assert half.std(0).mean() < whole.std(0).mean()


def test_spectral_norm_is_an_option_of_the_discriminator(tmp_path) -> None:
    whole, _ = resumes(tiny(4, "dcgan", networks={"discriminator": {"spectral_norm": True}}), tmp_path)
    assert any("parametrizations" in name for name in whole.networks["discriminator"].state_dict())


@pytest.mark.parametrize(
    ("regularizers", "compiled"),
    [({}, ["generator", "discriminator"]), ({"r1": {"weight": 1.0}}, ["generator"])],
    ids=["first order", "second order"],
)
def test_networks_without_second_order_gradients_are_compiled(monkeypatch, regularizers: dict, compiled: list) -> None:
    called = []

    def compile(function, **options):
        return lambda *arguments, **named: called.append(function) or function(*arguments, **named)

    monkeypatch.setattr(torch, "compile", compile)
    eager = trainer(tiny(2, "mlp-gan", objective={"regularizers": regularizers}))
    one = trainer(tiny(2, "mlp-gan", objective={"regularizers": regularizers}, training={"compile": True}))
    assert one.compiled == compiled
    for each in (eager, one):
        each.round()
    assert called
    assert same(eager.state(), one.state())


def test_what_is_not_asked_for_is_not_computed() -> None:
    """Without a relativistic loss, the generator's step scores fakes alone."""
    one, calls = trainer(tiny(2, "mlp-gan")), []
    one.networks["discriminator"].register_forward_hook(lambda *_: calls.append(1))
    one.round()
    assert len(calls) == 2


FIRST = ["discriminator", "generator"]


def test_reusing_fakes_gives_the_generator_the_discriminators_fakes() -> None:
    drawn = []
    for reuse, order in ((True, FIRST), (False, FIRST), (True, FIRST[::-1]), (False, FIRST[::-1])):
        one = trainer(tiny(objective={"reuse_fake": reuse, "order": order}))
        original = one._latents
        calls = []
        one._latents = lambda original=original, calls=calls: calls.append(1) or original()
        one.round()
        drawn.append(len(calls))
    assert drawn == [1, 2, 1, 2]


def test_a_regularizer_with_an_interval_is_weighted_up() -> None:
    sections = {"objective": {"regularizers": {"r1": {"weight": 0.5, "every": 3}}}}
    one = trainer(tiny(**sections))
    seen = []
    for _ in range(4):
        one.round()
        seen.append("loss/r1" in one.means())
    assert seen == [True, False, False, True]


def test_steps_may_differ_from_round_to_round() -> None:
    """A discriminator that trains alone at first: three steps in round 0, one afterwards; the generator rests once."""
    one = trainer(tiny())
    discriminator, generator = one.players
    one.players = (
        replace(discriminator, steps=lambda number: 3 if number == 0 else 1),
        replace(generator, steps=lambda number: int(number > 0)),
    )
    before = {name: value.clone() for name, value in one.generator.state_dict().items() if "weight" in name}
    one.round()
    assert one.batches.drawn == 3 * 12
    assert all(torch.equal(before[name], one.generator.state_dict()[name]) for name in before)
    one.round()
    assert one.batches.drawn == 4 * 12
    assert not all(torch.equal(before[name], one.generator.state_dict()[name]) for name in before)


def test_labels_reach_the_players() -> None:
    one = Trainer(tiny(), load("digits"), torch.device("cpu"))
    seen = []
    discriminator, generator = one.players
    one.players = (
        replace(discriminator, figures=lambda step: seen.append(step.labels) or discriminator.figures(step)),
        generator,
    )
    one.round()
    assert seen[0].shape == (12,)


def test_a_vae_exports_its_encoder_and_is_sampled_by_its_generator(tmp_path) -> None:
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
        ({"critic": CRITIC}, "networks.critic plays no part in 'adversarial'"),
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


def test_every_regularizer_and_top_k_resume(tmp_path) -> None:
    """Together: the state of running means, random numbers of their own, and a share that falls."""
    names = ("dragan", "lecam", "consistency", "feature-matching")
    regularizers = {name: {"weight": 0.1, "every": 2 if name == "dragan" else 1} for name in names}
    share = {"from": 1.0, "to": 0.5, "over": "2 rounds"}
    objective = {"loss": "relativistic", "regularizers": regularizers, "top_k": share}
    whole, _ = resumes(tiny(4, "mlp-gan", objective=objective), tmp_path)
    state = whole.state()["objective"]
    assert float(state["regularizers.lecam.updates"]) == 4
    with pytest.raises(UsageError, match="this objective compares the whole batch"):
        trainer(tiny(2, "mlp-gan", objective=objective, training={"accumulate": 2})).round()


def test_groups_of_minibatch_deviation_are_never_divided() -> None:
    made = tiny(2, "pictures", training={"batch": 12, "accumulate": 2})
    with pytest.raises(UsageError, match="minibatch_std compares 4 images, and a part has 6") as caught:
        trainer(made)
    assert caught.value.hint == "as in `training.batch=16`"
    trainer(tiny(2, "pictures", training={"batch": 16, "accumulate": 2})).round()
