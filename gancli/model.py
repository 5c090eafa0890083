"""A trained model: load a file, sample from it. Needs neither torchvision nor an optimizer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gancli import checkpoint, plugins
from gancli.architectures._build import activations, build, spec_of
from gancli.device import pick_device
from gancli.errors import GancliError, UsageError, printable
from gancli.latents import LatentSpec, batches
from gancli.processes import distribute
from gancli.recipe import Recipe, parse
from gancli.recipe.migration import migrate
from gancli.recipe.validation_errors import shown
from gancli.zoo import catalogue


def to_uint8(images: Tensor, limits: tuple[float, float]) -> Tensor:
    """Float images in [low, high] to uint8 on the CPU, rounded; what lies outside is cut off."""
    return to_255(images, limits).round_().clamp_(0, 255).to(torch.uint8).cpu()


def to_255(images: Tensor, limits: tuple[float, float]) -> Tensor:
    """Float images in [low, high] to float32 in [0, 255], neither rounded nor cut off."""
    low, high = limits
    return (images.float() - low) * (255 / (high - low))


def from_uint8(images: Tensor, limits: tuple[float, float]) -> Tensor:
    """Images uint8 (N, C, H, W) to float32 in [low, high], where they are."""
    low, high = limits
    return (images.float() * ((high - low) / 255) + low).contiguous(memory_format=torch.channels_last)


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
        at_once: images that there is memory for at a time.
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
                raise GancliError(f"it takes {shown(self.takes)}, which is unknown")
            names = _part(header, "networks", list)
            if strange := [name for name in names or [None] if name not in list(self.recipe.networks)]:
                raise GancliError(f"it publishes the network {shown(strange[0])}, which its recipe does not have")
            self.at_once = _at_once(self.recipe, names[0], self.takes)
            self.networks: dict[str, Any] = {
                name: _assemble(self.recipe, name, tensors, makes_images=name == names[0]) for name in names
            }
        except GancliError as error:
            raise GancliError(f"{path} is not a whole model: {error.message}", error.hint) from None

    @property
    def generator(self) -> Any:
        """The network that makes images: the first of the file."""
        return next(iter(self.networks.values()))

    @property
    def numbers(self) -> bool:
        """Whether it makes rows of numbers and not images."""
        return self.generator.range is None

    @property
    def labelled(self) -> bool:
        """Whether the classes that it is told are the labels of its data."""
        return bool(self.header.get("labelled")) and self.latent.classes > 0

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that it is told, by name, or by number where it found them without labels; () for none."""
        dataset = self.header.get("dataset")
        names = dataset.get("classes") if isinstance(dataset, Mapping) and self.labelled else None
        if isinstance(names, list) and len(names) == self.latent.classes:
            return tuple(printable(str(name)[:200]) for name in names)
        return tuple(map(str, range(self.latent.classes)))

    @property
    def data_name(self) -> str | None:
        """The data set that it was trained on."""
        return self.recipe.data.name or None

    @property
    def identity(self) -> str:
        """SHA-256, in hex, over weights and recipe: what was measured of a model, or written about it, is no part."""
        tensors = {f"{name}.{key}": v for name, net in self.networks.items() for key, v in net.state_dict().items()}
        recipe = json.dumps(self.header["recipe"], sort_keys=True)
        return hashlib.sha256(f"{checkpoint.digest(tensors)} {recipe}".encode()).hexdigest()

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
        """Generator inputs, as :class:`LatentSpec` makes them, to images: uint8 (N, C, H, W) on the CPU.

        A model of numbers gives them as they are: float32 (N, 1, 1, width).

        Raises:
            UsageError: the model makes images from images.
        """
        if self.takes == "source" and "source" not in inputs:
            raise UsageError(
                f"'{self.name}' makes images from images, not from seeds",
                f"gancli translate {self.name} IMAGES --out DIR",
            )
        if len(next(iter(inputs.values()))) > self.at_once:
            return torch.cat([self.generate(part) for part in batches(dict(inputs), self.at_once)])
        images = self.generator(**{name: value.to(self.device) for name, value in inputs.items()})
        return images.float().cpu() if self.numbers else to_uint8(images, self.generator.range)

    def images(self, seeds: Sequence[int], batch: int = 256) -> Iterator[Tensor]:
        """The images of seeds, a batch at a time: uint8 (up to batch, C, H, W)."""
        parts = (seeds[start : start + batch] for start in range(0, len(seeds), batch))
        yield from distribute(parts, lambda part: self.generate(self.latent.from_seeds(part)))

    @property
    def has_encoder(self) -> bool:
        """Whether it also turns images into latents."""
        return "encoder" in self.networks

    @torch.inference_mode()
    def encode(self, images: Tensor, batch: int = 256) -> Tensor:
        """The latents of images: float32 (N, dim) on the CPU; of a variational autoencoder the means of q(z | x).

        Args:
            images: uint8 (N, C, H, W) of the model's shape.
            batch: images computed at once.

        Raises:
            UsageError: the model has no encoder, or images of another shape.
        """
        if not self.has_encoder:
            raise UsageError(
                f"{self.name} has no encoder", "gancli.editing.inversion.invert searches for latents instead"
            )
        if images.dtype != torch.uint8 or tuple(images.shape[1:]) != self.shape:
            kind, shape = str(images.dtype).removeprefix("torch."), tuple(images.shape)
            raise UsageError(f"the images are {kind} {shape}", f"{self.name} takes uint8 (N, {str(self.shape)[1:]}")
        scaled = (
            from_uint8(part.to(self.device), self.generator.range) for part in images.split(min(batch, self.at_once))
        )
        return torch.cat([self.networks["encoder"](part).float()[:, : self.latent.dim].cpu() for part in scaled])

    def translate(self, sources: Tensor, *, network: str | None = None, batch: int = 256) -> Tensor:
        """What it makes of other images: uint8 (N, C, H, W) on the CPU.

        Args:
            sources: uint8 (N, C, H, W) of the model's shape.
            network: another of its networks than the first, such as the ``back`` of a CycleGAN.
            batch: images computed at once.

        Raises:
            UsageError: the model makes images from latents, has no such network, or images of another shape.
        """
        if self.takes != "source":
            raise UsageError(f"'{self.name}' makes images from seeds, not from images", "gancli sample draws from it")
        if network is not None and network not in self.networks:
            raise UsageError(f"'{self.name}' has no network '{network}'", f"it has {', '.join(self.networks)}")
        if sources.dtype != torch.uint8 or tuple(sources.shape[1:]) != self.shape:
            kind, shape = str(sources.dtype).removeprefix("torch."), tuple(sources.shape)
            raise UsageError(f"the images are {kind} {shape}", f"{self.name} takes uint8 (N, {str(self.shape)[1:]}")
        chosen = self.networks[network] if network else self.generator
        with torch.inference_mode():
            scaled = (
                from_uint8(part.to(self.device), chosen.range) for part in sources.split(min(batch, self.at_once))
            )
            made = [to_uint8(chosen(source=part), chosen.range) for part in scaled]
        return torch.cat(made) if made else sources

    def sample(
        self,
        seeds: Sequence[int] | None = None,
        *,
        z: Tensor | None = None,
        y: Tensor | int | None = None,
        c: Tensor | None = None,
        batch: int = 256,
    ) -> Tensor:
        """Images of seeds or of latents.

        Args:
            seeds: one image each; the same seed is the same image, always.
            z: latents (N, dim) instead.
            y: for a model with classes: one for all, or int64 (N,), or weights (N, classes) for what lies between
                classes. Seeds have one of their own.
            c: for a model with codes: (N, codes). Seeds have some of their own.
            batch: images computed at once.

        Returns:
            uint8 (N, C, H, W), what a PNG of them would hold; float32 (N, 1, 1, width) from a model of numbers.
        """
        if (seeds is None) == (z is None):
            raise UsageError("sample takes either seeds or z", "as in model.sample(seeds=range(64))")
        inputs = {"z": z} if z is not None else self.latent.from_seeds(seeds or ())
        if y is not None:
            inputs["y"] = y if isinstance(y, Tensor) else torch.full((len(inputs["z"]),), y)
        if c is not None:
            inputs["c"] = c
        self.latent.check(inputs)
        if not len(inputs["z"]):
            return torch.empty(0, *self.shape, dtype=torch.uint8)
        return torch.cat([self.generate(part) for part in batches(inputs, batch)])


def load(name: str | Path | None = None, *, device: str = "auto", truncation: float | None = None) -> Model:
    """A model by name.

    Args:
        name: of the zoo (``dcgan/mnist``), a run folder, a ``.safetensors`` file; None for the newest run.
        device: ``auto`` is CUDA or Apple's GPU if there is one.
        truncation: the largest value that a seed's latent may have; None for no limit.

    Raises:
        GancliError: no such model, or a file that is not one.
    """
    path = catalogue.find(None if name is None else str(name))
    where = pick_device(device)
    tensors, header = checkpoint.read(path)
    if catalogue.in_zoo(path):
        plugins.trust(header.get("recipe"))
    model = Model(path, catalogue.label(path), header, tensors).to(where)
    if truncation is not None:
        if model.takes == "source":
            raise UsageError(f"'{model.name}' takes no latents that could be truncated", "leave out --truncation")
        model.latent = replace(model.latent, truncation=truncation)
    return model


def discriminator_of(model: Model) -> Any:
    """The discriminator that lies beside a model's file, frozen, on the model's device; None where there is none.

    Raises:
        GancliError: a file that is not whole, or that belongs to another model.
    """
    path = catalogue.discriminator_path(model.path)
    if not path.is_file():
        return None
    tensors, header = checkpoint.read(path)
    if header.get("format") != checkpoint.FORMAT or header.get("kind") != "discriminator":
        raise GancliError(f"{path} is not a discriminator of this version of gancli", "delete it to do without")
    if migrate(_part(header, "recipe", dict)) != migrate(model.header["recipe"]):
        raise GancliError(f"{path} was not trained with {model.path.name}", "delete it to do without")
    try:
        return _assemble(model.recipe, "discriminator", tensors).to(model.device)
    except GancliError as error:
        raise GancliError(f"{path} is not a whole discriminator: {error.message}", "delete it to do without") from None


MODEST = 2**26
"""Bytes of a layer that an image may take without anybody asking how many they are."""


def _at_once(recipe: Recipe, name: str, takes: str) -> int:
    """How many images there is memory for at a time, found before any is taken.

    A file of a few kilobytes may ask for convolutions of 4096x4096 pixels with thousands of channels.

    Raises:
        GancliError: not even one.
    """
    spec = spec_of(recipe)
    network = build(recipe, name, blank=True).eval()
    widest = max((max(value.shape[:2]) for value in network.parameters() if value.dim() == 4), default=1)
    # At twice the size, as a layer may double an image before the next one cuts it.
    if 4 * widest * 4 * spec.shape[1] * spec.shape[2] <= MODEST:
        return ALL
    from gancli.data.memory import total_memory

    with torch.device("meta"):
        inputs = {"source": torch.empty(1, *spec.shape)} if takes == "source" else spec.latent.hollow()
        try:
            each = activations(network, inputs)
        except RuntimeError:  # it looks at values, of which there are none there
            each = 4 * widest * spec.shape[1] * spec.shape[2]
    if (most := total_memory() // 4) < each:
        raise GancliError(
            f"one image of it takes {each / 2**30:,.1f} GiB of memory, and {most / 2**30:,.1f} are to spare"
        )
    return max(1, min(ALL, most // max(1, each)))


ALL = 2**20
"""Images at a time where none is large: no limit at all."""


def _part(header: Mapping[str, Any], key: str, kind: type) -> Any:
    value = header.get(key)
    if not isinstance(value, kind):
        raise GancliError(f"its header has no {key}")
    return value


def _assemble(recipe: Recipe, name: str, tensors: Mapping[str, Tensor], *, makes_images: bool = False) -> nn.Module:
    """The named network with the weights of the file, which must fit exactly; half precision becomes single."""
    network = build(recipe, name, blank=True)
    if makes_images and not hasattr(network, "range"):
        raise GancliError(f"its network '{name}' makes no images")
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
