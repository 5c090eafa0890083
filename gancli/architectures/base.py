"""What every network is built for, and the types of their options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, ValidationError
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gancli import registry
from gancli.errors import UsageError
from gancli.latents import LatentSpec
from gancli.recipe import Recipe
from gancli.recipe.validation_errors import shown

Width = Annotated[int, Field(ge=1, le=8192)]
"""Channels or features of a layer."""

Share = Annotated[float, Field(ge=0, lt=1)]
"""A dropout probability, a slope."""

# A recipe inside a file from a stranger may ask for any network: four billion parameters are nobody's honest wish.
LARGEST = 4_000_000_000

RANGES = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "linear": None}
"""What a generator's last function makes of its output: (lowest, highest) pixel value; None for numbers, no pixels."""

LEVELS = 2**16
"""Values of the sixteen bits by which a feature is dropped."""

Output = Literal["tanh", "sigmoid", "linear"]

# What the last function makes a source of again; its ends, which no finite value gives, are drawn in a little.
INVERSES: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": lambda source: torch.atanh(0.99 * source.float()),
    "sigmoid": lambda source: torch.logit(0.005 + 0.99 * source.float()),
}


@dataclass(frozen=True)
class Spec:
    """What the networks of one recipe have in common.

    Attributes:
        shape: (channels, height, width) of an image.
        latent: what the generator takes.
    """

    shape: tuple[int, int, int]
    latent: LatentSpec


Code = Literal["plain", "whitened", "gaussian"]
"""What an encoder says of an image: a code (N, dim) as it comes, or whitened, or means and log variances (N, 2 dim)."""


class Whitening(nn.Module):
    """Codes (N, dim) moved, turned and scaled until they have mean 0 and covariance I, as latents from N(0, 1) have.

    It says how the codes of an autoencoder are distributed, without which its decoder could not be sampled: a Gaussian
    fitted to them (Ghosh et al. 2020, "From variational to deterministic autoencoders", section 4), by running averages
    and without a gradient, so that it changes nothing of what is learned.

    Args:
        dim: values of a code.
        momentum: share of each batch in the averages.
    """

    mean: Tensor
    covariance: Tensor
    unrecorded: ClassVar[bool] = True
    """A CUDA graph cannot hold it: on a GPU, its factors come from a library of their own."""

    def __init__(self, dim: int, momentum: float = 0.01) -> None:
        super().__init__()
        self.momentum = momentum
        self.over_all: Callable[[Tensor], Tensor] = lambda mean: mean  # of the batches of several processes
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("covariance", torch.eye(dim))

    def forward(self, codes: Tensor) -> Tensor:
        """(N, dim) to (N, dim)."""
        with torch.autocast(codes.device.type, enabled=False):
            codes = codes.float()
            if self.training:
                self._follow(codes.detach())
            # A code that hardly varies is left small rather than blown up.
            ridge = torch.eye(len(self.mean), device=codes.device) * (1e-4 * self.covariance.diagonal().mean())
            factor = torch.linalg.cholesky_ex(self.covariance + ridge).L
            return torch.linalg.solve_triangular(factor, (codes - self.mean).T, upper=False).T

    def _follow(self, codes: Tensor) -> None:
        self.mean.lerp_(self.over_all(codes.mean(0)), self.momentum)
        centred = codes - self.mean
        self.covariance.lerp_(self.over_all(centred.T @ centred / len(codes)), self.momentum)


def encoder_end(features: int, dim: int, code: Code) -> list[nn.Module]:
    """The last layers of an encoder, from (N, features) to what :data:`Code` says."""
    last = nn.Linear(features, 2 * dim if code == "gaussian" else dim)
    return [last, Whitening(dim)] if code == "whitened" else [last]


Reads = list[Literal["class", "codes"]]
"""What a discriminator may read in an image besides real or fake."""


class Dropout(nn.Dropout):
    """PyTorch's dropout, on a CPU from a quarter of the random bits.

    There PyTorch draws a number for each feature, which costs a small multilayer perceptron a quarter of its training;
    here sixteen bits decide, so that the probability is a multiple of 1/65,536. Features are divided by the probability
    that is used, so that their mean is unchanged (Srivastava et al. 2014, section 10).
    """

    def forward(self, input: Tensor) -> Tensor:
        """Features of any shape to the same."""
        dropped = round(self.p * LEVELS)
        if not self.training or input.device.type != "cpu" or not 0 < dropped < LEVELS:
            return super().forward(input)
        bits = torch.empty((input.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        kept = (bits[: input.numel()] >= dropped - LEVELS // 2).to(input.dtype).mul_(LEVELS / (LEVELS - dropped))
        # In the order in which features lie in memory, whichever that is.
        dense = torch.empty_like(input)
        return input * kept.as_strided(dense.shape, dense.stride())


class Readings(nn.Module):
    """Further last layers on a discriminator's features, one for each thing that it reads there.

    With ``hidden``, they share a layer of their own, as Q does in InfoGAN (Chen et al. 2016, appendix C.1).

    Args:
        spec: how many classes and codes there are.
        reads: what is read: "class" gives logits (N, classes), "codes" values (N, codes).
        features: of the discriminator's last layer.
        hidden: features of the shared layer; 0 for none.
    """

    def __init__(self, spec: Spec, reads: Reads, features: int, hidden: int) -> None:
        super().__init__()
        sizes = {"class": spec.latent.classes, "codes": spec.latent.codes}
        for name in reads:
            if not sizes[name]:
                kind = "classes" if name == "class" else name
                raise UsageError(
                    f"a discriminator cannot read '{name}': the generator is told no {kind}",
                    f"as in --set latent.{kind}=2",
                )
        shared: list[nn.Module] = []
        if hidden:
            shared = [nn.Linear(features, hidden, bias=False), nn.BatchNorm1d(hidden), nn.LeakyReLU(0.2)]
        self.shared = nn.Sequential(*shared)
        self.last = nn.ModuleList(nn.Linear(hidden or features, sizes[name]) for name in reads)

    def forward(self, features: Tensor) -> list[Tensor]:
        """(N, features) to what is read, in the order asked for."""
        shared = self.shared(features)
        return [last(shared) for last in self.last]


def check_told(spec: Spec) -> int:
    """The number of classes, for a network that is told one.

    Raises:
        UsageError: there are none.
    """
    if not spec.latent.classes:
        raise UsageError("a discriminator cannot be told a class: there are none", "as in --set latent.classes=data")
    return spec.latent.classes


def squash(output: str) -> nn.Module:
    """The generator's last function by its name in :data:`RANGES`."""
    return {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "linear": nn.Identity}[output]()


def spec_of(recipe: Recipe) -> Spec:
    """The spec of a recipe whose data section is resolved.

    Raises:
        UsageError: size or channels are not known yet.
    """
    if recipe.data.size is None or recipe.data.channels is None:
        raise UsageError("the recipe names no image size and channels", "add data.size and data.channels to it")
    if recipe.latent.classes == "data":
        raise UsageError("the recipe leaves its classes to the data", "give their number, as in latent.classes = 10")
    latent = LatentSpec(**recipe.latent.model_dump())
    return Spec((recipe.data.channels, *recipe.data.size), latent)


def build(recipe: Recipe, name: str, *, blank: bool = False) -> nn.Module:
    """One network of a recipe.

    Args:
        recipe: with its image size and channels.
        name: which of its networks.
        blank: without weights, on the meta device; otherwise with weights as the family initialises them.

    Raises:
        UsageError: the family cannot serve this shape, or the network would be absurdly large.
    """
    network = recipe.networks[name]
    roles, role = registry.get("architecture", network.architecture), network.role or name
    if role not in roles:
        raise UsageError(
            f"networks.{name}: '{network.architecture}' has no {role}", f"it has {', '.join(sorted(roles))}"
        )
    make: Any = roles[role]
    spec = spec_of(recipe)
    try:
        options = registry.options(make).model_validate(network.options).model_dump()
    except ValidationError as error:
        where = ".".join(["networks", name, *map(str, error.errors()[0]["loc"])])
        value = shown(error.errors()[0]["input"])
        raise UsageError(f"{where} = {value} cannot be", "see the network's own file") from None
    try:
        with torch.device("meta"), _Blank():
            hollow = make(spec, **options)
    except (RuntimeError, ArithmeticError, TypeError, ValueError) as error:
        # Options that are right each by itself, of a recipe that nobody may ever have tried.
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UsageError(f"networks.{name} cannot be built: {reason[:200]}", "change its options") from error
    size = sum(parameter.numel() for parameter in hollow.parameters())
    if size > LARGEST:
        raise UsageError(f"{name} would have {size:,} parameters", "choose a smaller width or image size")
    return hollow if blank else make(spec, **options)


def activations(network: nn.Module, inputs: Mapping[str, Tensor]) -> int:
    """Bytes that the largest layer takes in and gives out, from shapes alone.

    Args:
        network: on the meta device, as :func:`build` makes it blank.
        inputs: what it is called with, on the meta device.
    """
    most = 0

    def see(_layer: nn.Module, taken: Any, given: Any) -> None:
        nonlocal most
        tensors = [each for each in (*taken, given) if isinstance(each, Tensor)]
        most = max(most, sum(each.nbytes for each in tensors))

    hooks = [layer.register_forward_hook(see) for layer in network.modules()]
    try:
        with torch.inference_mode():
            network(**inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return most


class _Blank(TorchFunctionMode):
    """Leaves weights undrawn: on the meta device there is nothing to draw, and trying imports PyTorch's compiler."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in ("normal_", "uniform_", "kaiming_uniform_", "kaiming_normal_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))
