"""The variational autoencoder against torch.distributions, and its place in training."""

import pytest
import torch
from steps import losses, random, step
from torch import distributions, nn

from gancli import checkpoint, recipe
from gancli.data import load
from gancli.errors import UsageError
from gancli.objectives.autoencoder import negative_log_likelihood
from gancli.objectives.vae import Vae, divergence, draw
from gancli.recipe import Recipe
from gancli.runs import planning
from gancli.terms.batch import Batch
from gancli.terms.step import Step, StepOptions
from gancli.training.loop import Trainer
from gancli.zoo import catalogue

CPU = torch.device("cpu")


def tiny(model: str, **sections) -> Recipe:
    """The zoo's recipe for the 8x8 digits, narrow."""
    table = recipe.for_data(catalogue.recipe_table(model), "digits")
    small = {"latent": {"dim": 6}, "training": {"rounds": 4, "batch": 16, "samples": 8, "precision": "fp32"}}
    small["networks"] = {name: {"hidden": [8]} for name in table["networks"]}
    made = recipe.parse(recipe.merge(recipe.merge(table, small), sections))
    return planning.resolve(made, load("digits"), CPU)


def test_kl_is_that_of_torch() -> None:
    torch.manual_seed(0)
    mean, log_variance = 3 * torch.randn(50, 7), 2 * torch.randn(50, 7)
    q = distributions.Normal(mean.double(), (0.5 * log_variance.double()).exp())
    expected = distributions.kl_divergence(q, distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(divergence(mean, log_variance).double(), expected, rtol=1e-5, atol=1e-5)
    assert divergence(torch.zeros(1, 7), torch.zeros(1, 7)).item() == 0


def test_the_negative_log_likelihood_is_that_of_torch() -> None:
    torch.manual_seed(0)
    image, binary, target = torch.rand(9, 3, 4, 5), torch.rand(9, 3, 4, 5).round(), torch.randn(9, 3, 4, 5)
    bernoulli = distributions.Bernoulli(image).log_prob(binary)
    torch.testing.assert_close(negative_log_likelihood(image, binary, "bernoulli"), -bernoulli.flatten(1).sum(1))
    normal = distributions.Normal(image, 0.3).log_prob(target)
    torch.testing.assert_close(negative_log_likelihood(image, target, "gaussian", 0.3), -normal.flatten(1).sum(1))


def test_z_is_drawn_from_q() -> None:
    mean, log_variance = torch.tensor([1.0, -2.0]).expand(20_000, 2), torch.tensor([0.0, 2.0]).expand(20_000, 2)
    z = draw(mean, log_variance, Step(random(20_000), StepOptions({})))
    torch.testing.assert_close(z.mean(0), mean[0], atol=0.05, rtol=0)
    torch.testing.assert_close(z.var(0), log_variance[0].exp(), atol=0.2, rtol=0)


class Constant(nn.Module):
    """The same output for every image, or the same image for every latent."""

    range = (0.0, 1.0)

    def __init__(self, value: list[float], *shape: int) -> None:
        super().__init__()
        self.value, self.shape = torch.tensor(value), shape

    def forward(self, images: torch.Tensor | None = None, z: torch.Tensor | None = None) -> torch.Tensor:
        count = len(z if images is None else images)
        return self.value.expand(count, len(self.value)).reshape(count, *(self.shape or [len(self.value)]))


def test_elbo_by_hand() -> None:
    """Two pixels of probability 0.5 and 0.25 that are white and black; q = N(1, e^2) in one dimension."""
    vae = Vae({"generator": Constant([0.5, 0.25], 1, 1, 2), "encoder": Constant([1.0, 2.0])})
    one = step(vae, Batch(torch.tensor([1.0, 0.0]).expand(3, 1, 1, 2)), rows=3)
    found = losses(vae, "autoencoder", one)
    nats = -(torch.tensor(0.5).log() + torch.tensor(0.75).log()).item()
    kl = 0.5 * (1 + torch.tensor(2.0).exp().item() - 1 - 2)
    assert found["reconstruction"].item() == pytest.approx(nats)
    assert found["kl"].item() == pytest.approx(kl)
    assert vae.figures(one)["elbo"].item() == pytest.approx(-nats - kl)


@pytest.mark.parametrize("model", ["vae", "autoencoder"])
def test_resumed_to_the_bit(model: str, tmp_path) -> None:
    made, data = tiny(model), load("digits")
    whole = Trainer(made, data, CPU)
    for _ in range(2):
        whole.round()
    tensors, plain = checkpoint.flatten(whole.state())
    checkpoint.write(tmp_path / "s.safetensors", tensors, {"state": plain})
    for _ in range(2):
        whole.round()
    rest = Trainer(made, data, CPU)
    read, header = checkpoint.read(tmp_path / "s.safetensors")
    rest.load_state(checkpoint.unflatten(header["state"], read))
    for _ in range(2):
        rest.round()
    a, b = (checkpoint.flatten(one.state())[0] for one in (whole, rest))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_it_learns() -> None:
    one, found = Trainer(tiny("vae", training={"rounds": 300}), load("digits"), CPU), []
    for number in range(300):
        one.round()
        if number % 50 in (0, 49):
            found.append(one.means()["elbo"])
    assert found[-1] > found[0] + 10  # nats, of 64 pixels


FAULTS = {
    "a code where a Gaussian belongs": (
        "vae",
        {"networks": {"encoder": {"code": "whitened"}}},
        "networks.encoder.code = 'whitened': this objective takes 'gaussian'",
    ),
    "a Gaussian where a code belongs": (
        "autoencoder",
        {"networks": {"encoder": {"code": "gaussian"}}},
        "networks.encoder.code = 'gaussian': this objective takes 'plain' or 'whitened'",
    ),
    "uniform latents": (
        "vae",
        {"latent": {"distribution": "uniform"}},
        "latent.distribution = 'uniform': codes are compared with N(0, 1), leave it out",
    ),
    "classes": ("vae", {"latent": {"classes": 10}}, "latent.classes = 10: an encoder gives none, leave it out"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_the_recipe(name: str) -> None:
    model, sections, message = FAULTS[name]
    with pytest.raises(UsageError) as refused:
        tiny(model, **sections)
    assert message in refused.value.message + refused.value.hint


def test_pixels_that_are_no_probabilities() -> None:
    made = tiny("vae", networks={"generator": {"output": "tanh"}})
    with pytest.raises(UsageError, match="the likelihood 'bernoulli' takes pixels as probabilities"):
        Trainer(made, load("digits"), CPU)
    made = tiny("vae", networks={"generator": {"output": "tanh"}}, objective={"likelihood": "gaussian"})
    Trainer(made, load("digits"), CPU).round()


def test_the_preview_is_originals_beside_reconstructions_then_samples() -> None:
    one = Trainer(tiny("vae"), load("digits"), CPU)
    one.round()
    real, inputs = one.batches.next().images[:8], one.spec.latent.from_seeds(range(8))
    cells = one.preview(inputs, lambda: Batch(real))
    assert cells.shape == (8, 1, 8, 8)
    assert torch.equal(cells[0], real[0])
    assert torch.equal(cells[2], real[1])
    with torch.inference_mode():
        mean = one.networks["encoder"].eval()(real).chunk(2, 1)[0]
        torch.testing.assert_close(cells[3], one.generator.eval()(z=mean)[1])
    torch.testing.assert_close(cells[4:], one.sample(inputs)[:4])
