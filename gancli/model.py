"""A trained model: load a file, sample from it. Needs neither torchvision nor an optimizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gancli import catalog, checkpoint
from gancli.architectures.base import build, spec_of
from gancli.device import pick_device
from gancli.errors import GancliError, UsageError
from gancli.latent import LatentSpec
from gancli.recipe import Recipe, parse


def to_uint8(images: Tensor, limits: tuple[float, float]) -> Tensor:
    """Float images in [low, high] to uint8 on the CPU, rounded; what lies outside is cut off."""
    low, high = limits
    return ((images.float() - low) * (255 / (high - low))).round_().clamp_(0, 255).to(torch.uint8).cpu()


class Model:
    """A generator with everything needed to use it.

    Attributes:
        name: as users call it, for example ``dcgan/mnist``.
        path: the file it came from.
        header: the file's JSON document.
        recipe: what it was trained by.
        latent: what it takes.
        shape: (channels, height, width) of its images.
        takes: what its generator is called with, "latent" or "source" (images).
        networks: every network of the file by name, frozen and in evaluation mode.
    """

    def __init__(self, path: Path, name: str, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        self.path, self.name, self.header = path, name, dict(header)
        if header.get("format") != checkpoint.FORMAT or header.get("kind") != "model":
            raise GancliError(f"{path} is not a model of this version of gancli", "name a model.safetensors")
        try:
            # Only its networks matter here: how they were trained may be beyond this version.
            self.recipe: Recipe = parse(_part(header, "recipe", dict), components=False)
            spec = spec_of(self.recipe)
            self.shape, self.latent = spec.shape, spec.latent
            if LatentSpec.from_dict(_part(header, "latent", dict)) != spec.latent:
                raise GancliError("its latent is not its recipe's")
            self.takes = header.get("takes", "latent")
            if self.takes not in ("latent", "source"):
                raise GancliError(f"it takes {self.takes!r}, which is unknown")
            names = _part(header, "networks", list)
            if strange := [name for name in names or [None] if name not in self.recipe.networks]:
                raise GancliError(f"it publishes the network {strange[0]!r}, which its recipe does not have")
            self.networks: dict[str, Any] = {name: _assemble(self.recipe, name, tensors) for name in names}
            if not hasattr(self.generator, "range"):
                raise GancliError(f"its network '{names[0]}' makes no images")
        except GancliError as error:
            raise GancliError(f"{path} is not a whole model: {error.message}") from None

    @property
    def generator(self) -> Any:
        """The network that makes images: the first of the file."""
        return next(iter(self.networks.values()))

    @property
    def data_name(self) -> str | None:
        """The data set that it was trained on."""
        return self.recipe.data.name or None

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.generator.parameters()).device

    def to(self, device: str | torch.device) -> Model:
        """Move to a device; returns itself."""
        for network in self.networks.values():
            network.to(device)
        return self

    @torch.inference_mode()
    def generate(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Generator inputs, as :class:`LatentSpec` makes them, to images: uint8 (N, C, H, W) on the CPU."""
        images = self.generator(**{name: value.to(self.device) for name, value in inputs.items()})
        return to_uint8(images, self.generator.range)

    def images(self, seeds: Sequence[int], batch: int = 256) -> Iterator[Tensor]:
        """The images of seeds, a batch at a time: uint8 (up to batch, C, H, W)."""
        for start in range(0, len(seeds), batch):
            yield self.generate(self.latent.from_seeds(seeds[start : start + batch]))

    def sample(self, seeds: Sequence[int] | None = None, *, z: Tensor | None = None, batch: int = 256) -> Tensor:
        """Images of seeds or of latents.

        Args:
            seeds: one image each; the same seed is the same image, always.
            z: latents (N, dim) instead.
            batch: images computed at once.

        Returns:
            uint8 (N, C, H, W), what a PNG of them would hold.
        """
        if (seeds is None) == (z is None):
            raise UsageError("sample takes either seeds or z", "as in model.sample(seeds=range(64))")
        if z is not None:
            if z.dim() != 2 or z.shape[1] != self.latent.dim:
                raise UsageError(f"z has shape {tuple(z.shape)}", f"this model takes (N, {self.latent.dim})")
            return torch.cat([self.generate({"z": part}) for part in z.split(batch)])
        if not seeds:
            return torch.empty(0, *self.shape, dtype=torch.uint8)
        return torch.cat(list(self.images(seeds, batch)))


def load(name: str | Path | None = None, *, device: str = "auto") -> Model:
    """A model by name.

    Args:
        name: of the zoo (``dcgan/mnist``), a run folder, a ``.safetensors`` file; None for the newest run.
        device: ``auto`` is CUDA or Apple's GPU if there is one.

    Raises:
        GancliError: no such model, or a file that is not one.
    """
    path = catalog.find(None if name is None else str(name))
    where = pick_device(device)
    tensors, header = checkpoint.read(path)
    return Model(path, catalog.label(path), header, tensors).to(where)


def _part(header: Mapping[str, Any], key: str, kind: type) -> Any:
    value = header.get(key)
    if not isinstance(value, kind):
        raise GancliError(f"its header has no {key}")
    return value


def _assemble(recipe: Recipe, name: str, tensors: Mapping[str, Tensor]) -> nn.Module:
    """The named network with the weights of the file, which must fit exactly; half precision becomes single."""
    network = build(recipe, name, blank=True)
    own = {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
    wanted = network.state_dict()
    faults = sorted(set(wanted) ^ set(own))
    faults += sorted(key for key in set(wanted) & set(own) if not _fits(own[key], wanted[key]))
    if faults:
        raise GancliError(f"its tensor '{name}.{faults[0]}' does not fit its recipe")
    network.load_state_dict({key: own[key].to(value.dtype) for key, value in wanted.items()}, assign=True)
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _fits(value: Tensor, wanted: Tensor) -> bool:
    alike = value.shape == wanted.shape and value.is_floating_point() == wanted.is_floating_point()
    return alike and not value.is_complex() and bool(torch.isfinite(value).all())
