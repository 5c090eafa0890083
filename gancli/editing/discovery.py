"""Directions of a latent space along which images change most, found without labels.

Three methods: SeFa (Shen and Zhou 2021, "Closed-form factorization of latent semantics in GANs"), principal components
(Härkönen et al. 2020, "GANSpace: discovering interpretable GAN controls"), and the generator's Jacobian.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gancli.editing.directions import MOST, Direction, Method, move
from gancli.editing.inversion import check_latents, pictures
from gancli.errors import UsageError
from gancli.latents import Inputs, Space, batches

if TYPE_CHECKING:
    from gancli.model import Model

Progress = Callable[[int], None]

COUNT = 8
"""Directions that are found by default, of a latent that is no shorter."""

SEEDS = 4096
"""Seeds by which standard deviations and principal components of w are known."""

POINTS, ROUNDS, SPARE = 8, 8, 4
"""Seeds at which the Jacobian is taken, power iterations, and directions that are iterated beside those asked for: they
make the last of those converge faster."""

SHOWN = 16
"""Seeds by which the change of the images is measured."""


def usual(model: Model) -> Method:
    """The method that suits a model: SeFa where the linear layers that its latent meets first are known, or else
    principal components of w, and without w the Jacobian."""
    if weights(model) is not None:
        return "sefa"
    return "pca" if model.w_width else "jacobian"


def find(
    model: Model, count: int | None = None, *, method: Method | None = None, progress: Progress | None = None
) -> tuple[Direction, ...]:
    """Directions of w, where there is one, or else of z; the one that changes images most comes first.

    They are orthogonal before they are scaled. The sign is that of the largest component, so that they are the same
    every time.

    Args:
        model: makes pictures from latents.
        count: how many; :data:`COUNT`, or as many as the latent has dimensions, unless given.
        method: "sefa", "pca" or "jacobian"; see :func:`usual`.
        progress: told how many of :func:`work` have been done.

    Raises:
        UsageError: a model without latents or pictures, a method that it does not allow, or more directions than
            dimensions.
    """
    check_latents(model)
    method, space = method or usual(model), model.space()
    dim = model.w_width or model.latent.dim
    count = count or min(COUNT, dim)
    if not 0 < count <= min(dim, MOST):
        raise UsageError(f"there are no {count} directions in a space of {dim} dimensions", f"1 to {min(dim, MOST)}")
    latents = _latents(model, space)
    if method == "sefa":
        units = _sefa(model)
    elif method == "pca":
        units = _components(model, latents)
    else:
        units = _jacobian(model, count, space, progress)
    units = units[:, :count]
    units = units * units.gather(0, units.abs().argmax(0, keepdim=True)).sign()
    steps = (units * _deviations(model, latents, units)).float().T
    found = [Direction("", space, method, 0.0, tuple(vector)) for vector in steps.tolist()]
    changes = _changes(model, found)
    order = sorted(range(count), key=lambda each: -changes[each])
    return tuple(
        Direction(str(number), space, method, changes[each], found[each].vector) for number, each in enumerate(order)
    )


def work(model: Model, count: int | None, method: Method | None) -> int:
    """How many products of a Jacobian and a vector :func:`find` computes; 0 for the other methods."""
    dim = model.w_width or model.latent.dim
    return (
        ROUNDS * POINTS * min(dim, (count or min(COUNT, dim)) + SPARE) if (method or usual(model)) == "jacobian" else 0
    )


def weights(model: Model) -> Tensor | None:
    """The transpose of A, float64 (dim, features) on the CPU: how the first linear layers' outputs follow z, or a row
    of w. None where the generator does not name such layers."""
    width = model.w_width or model.latent.width
    generator = model.latents()
    with torch.inference_mode():
        made = generator.first_layer(torch.eye(width + 1, width, device=model.device))
    if made is None:
        return None
    made = made.double().cpu()
    # What the zeros of the last row give is the bias. Rows of z come first; class and codes follow.
    return (made[:-1] - made[-1])[: model.w_width or model.latent.dim]


def _sefa(model: Model) -> Tensor:
    """Eigenvectors of A^T A, float64 (dim, dim), the largest eigenvalue first (section 3)."""
    transposed = weights(model)
    if transposed is None:
        raise UsageError(
            f"'{model.name}' names no linear layers that its latent meets first, which `method=sefa` factorizes",
            "use `method=jacobian`",
        )
    return torch.linalg.eigh(transposed @ transposed.T).eigenvectors.flip(1)


def _latents(model: Model, space: Space) -> Tensor:
    """Many rows of w, float64 (rows, width); of z none, whose distribution is known."""
    if space == "z":
        return torch.empty(0, model.latent.dim, dtype=torch.float64)
    return model.points(model.latent.from_seeds(range(SEEDS)), space)["w"].double().flatten(0, -2)


def _components(model: Model, latents: Tensor) -> Tensor:
    """Principal components of w, float64 (width, width), the largest first (GANSpace, section 2)."""
    if not len(latents):
        # Of z there are none: its dimensions are independent. Those of a linear layer's features are SeFa's directions.
        raise UsageError(
            f"'{model.name}' has no w, whose principal components `method=pca` takes",
            "use `method=sefa`, the principal components of its first layer's features, or `method=jacobian`",
        )
    return torch.linalg.eigh(latents.T.cov()).eigenvectors.flip(1)


def _deviations(model: Model, latents: Tensor, units: Tensor) -> Tensor:
    """Standard deviations of the latents along unit vectors (dim, K), float64 (K,)."""
    if len(latents):
        return (latents @ units).std(0)
    return units.new_full((units.shape[1],), 3**-0.5 if model.latent.distribution == "uniform" else 1.0)


def _jacobian(model: Model, count: int, space: Space, progress: Progress | None) -> Tensor:
    """Top eigenvectors of the mean of J^T J over seeds, float64 (dim, count), the largest eigenvalue first.

    J is the Jacobian of the image with respect to a point of the space, so that these are right singular vectors of all
    seeds' Jacobians together: the directions along which images change most for small steps (Ramesh et al. 2018, "A
    spectral regularizer for unsupervised disentanglement"). By subspace iteration, with products of J and of
    its transpose with vectors only.
    """
    inputs = model.points(model.latent.from_seeds(range(POINTS)), space)
    dim, wide = inputs[space].shape[-1], min(inputs[space].shape[-1], count + SPARE)
    basis = torch.randn(dim, wide, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for _ in range(ROUNDS - 1):
        basis = torch.linalg.qr(_gram(model, inputs, space, torch.linalg.qr(basis).Q, progress)).Q
    within = torch.linalg.eigh(basis.T @ _gram(model, inputs, space, basis, progress))
    return (basis @ within.eigenvectors.flip(1))[:, :count]


def _gram(model: Model, inputs: Inputs, space: Space, basis: Tensor, progress: Progress | None) -> Tensor:
    """The mean of J^T J over inputs, times the columns of a basis (dim, K): float64 (dim, K)."""
    total = torch.zeros_like(basis)
    for part in batches(inputs, model.at_once):
        points = part[space].to(model.device)
        offset = points.new_zeros(len(points), points.shape[-1], requires_grad=True)
        # All rows of w are moved together.
        moved = points + (offset[:, None] if points.dim() == 3 else offset)
        images = pictures(model, {**part, space: moved})
        # The product of J^T and a vector is linear in the vector, so that its gradient is J (Townsend 2017).
        dual = torch.zeros_like(images, requires_grad=True)
        (back,) = torch.autograd.grad(images, offset, dual, create_graph=True)
        for column, unit in enumerate(basis.T.to(points)):
            (change,) = torch.autograd.grad(back, dual, unit.expand_as(offset), retain_graph=True)
            (product,) = torch.autograd.grad(images, offset, change, retain_graph=True)
            total[:, column] += product.sum(0).cpu()
            if progress:
                progress(len(points))
    return total / len(inputs[space])


def _changes(model: Model, directions: Sequence[Direction]) -> list[float]:
    """Mean absolute difference of pixels in [0, 1] between one step back and one ahead, over :data:`SHOWN` seeds."""
    start = model.points(model.latent.from_seeds(range(SHOWN)), model.space())
    changes = []
    for direction in directions:
        back, ahead = (model.generate(move(model, start, [(direction, steps)])).float() for steps in (-1.0, 1.0))
        changes.append(float((ahead - back).abs().mean()) / 255)
    return changes


def along(model: Model, seed: int, directions: Sequence[Direction], steps: Sequence[float]) -> Tensor:
    """The images of one seed moved along each direction by itself: uint8 (directions * steps, C, H, W).

    Args:
        model: whose directions they are.
        seed: the latent to start from.
        directions: rows of the picture.
        steps: its columns.
    """
    start = model.latent.from_seeds([seed])
    moved = [move(model, start, [(direction, step)]) for direction in directions for step in steps]
    return torch.cat([model.generate(inputs) for inputs in moved])
