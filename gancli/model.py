"""A trained model: load a file, sample from it. Needs neither torchvision nor an optimizer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gancli import checkpoint, plugins
from gancli.architectures import Discriminator, Generator, MappingGenerator, Translator, from_uint8, to_uint8
from gancli.architectures._build import assemble, images_at_once, spec_of
from gancli.data.builtin.names import DATASETS
from gancli.device import pick_device
from gancli.errors import GancliError, UsageError, printable
from gancli.latents import Inputs, Space, batches, truncation
from gancli.processes import distribute
from gancli.recipe import Recipe, parse
from gancli.recipe.migration import migrate
from gancli.recipe.validation_errors import shown
from gancli.zoo import catalogue


class Model:
    """A generator with everything needed to use it.

    Attributes:
        name: as users call it, for example ``dcgan/mnist``.
        path: the file it came from.
        header: the file's JSON document.
        recipe: what it was trained by.
        latent: the generator's latent.
        shape: (channels, height, width) of its images.
        networks: every network of the file by name, frozen and in evaluation mode; the first makes the images.
        at_once: images that there is memory for at a time.
        truncation: see :meth:`truncate`; None for none.
    """

    truncation: float | None = None

    def __init__(self, path: Path, name: str, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        self.path, self.name, self.header = path, name, dict(header)
        if header.get("format") != checkpoint.FORMAT or header.get("kind") != "model":
            raise GancliError(f"{path} is not a model of this version of gancli", "name a model.safetensors")
        try:
            # Only its networks matter here: how they were trained may be beyond this version.
            self.recipe: Recipe = parse(_part(header, "recipe", dict), components=False)
            spec = spec_of(self.recipe)
            self.shape, self.latent = spec.shape, spec.latent
            latent = spec.latent.to_dict()
            if latent | _part(header, "latent", dict) != latent:
                raise GancliError("its latent is not its recipe's")
            names = _part(header, "networks", list)
            if strange := [name for name in names or [None] if name not in list(self.recipe.networks)]:
                raise GancliError(f"it holds the network {shown(strange[0])}, which its recipe does not have")
            self.at_once = images_at_once(self.recipe, names[0])
            self.networks = {name: assemble(self.recipe, name, tensors) for name in names}
            self.generator: Generator | Translator = self.networks[names[0]]  # ty: ignore[invalid-assignment]
        except GancliError as error:
            raise GancliError(f"{path} is not a whole model: {error.message}", error.hint) from None

    @property
    def takes(self) -> str:
        """What its generator is called with: "latent", or "source" for a translator of images."""
        return "source" if isinstance(self.generator, Translator) else "latent"

    @property
    def numbers(self) -> bool:
        """Whether it makes rows of numbers and not images."""
        return self.generator.range is None

    @property
    def range(self) -> tuple[float, float]:
        """(lowest, highest) pixel value that its generator gives.

        Raises:
            UsageError: it makes numbers.
        """
        if self.generator.range is None:
            raise UsageError(
                f"{self.name} makes numbers, not pictures",
                "name a model of images, such as dcgan/mnist; `gancli zoo list`",
            )
        return self.generator.range

    @property
    def labelled(self) -> bool:
        """Whether the classes that it takes are the labels of its data."""
        return bool(self.header.get("labelled")) and self.latent.classes > 0

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that it takes, by name, or by number where it found them without labels; () for none."""
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
    def licence(self) -> str:
        """The terms of the data that it was trained on, or of imported weights, as its header states them or as a data
        set's makers do; empty where they are not known."""
        dataset = self.header.get("dataset")
        stated = dataset.get("licence") if isinstance(dataset, Mapping) else None
        facts = DATASETS.get(self.data_name or "")
        return printable(str(stated or (facts.licence if facts else "")))

    @property
    def inherited_licence(self) -> str:
        """That of the imported weights which its training started from; empty for all others."""
        start = self.recipe.training.start
        return printable(start.licence) if start else ""

    @property
    def terms(self) -> str:
        """All licences that hold for it: the inherited one and that of its data; empty where none is known."""
        inherited, stated = self.inherited_licence, self.licence
        return "; ".join(filter(None, ["" if inherited in stated else inherited, stated]))

    @property
    def identity(self) -> str:
        """SHA-256, in hex, over weights and the stored recipe; what else is in the header is no part of it."""
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

    def latents(self) -> Generator:
        """The generator, of a model that makes images from latents.

        Raises:
            UsageError: it makes images from images.
        """
        if isinstance(self.generator, Translator):
            raise UsageError(
                f"'{self.name}' makes images from images, not from seeds",
                f"`gancli translate {self.name} IMAGES --out DIR`",
            )
        return self.generator

    def truncate(self, value: float | None) -> None:
        """Draw the images of seeds toward the typical, by the generator's strategy.

        Args:
            value: the largest value that a seed's z may have, or psi; see :mod:`gancli.latents.truncation`. None for no
                truncation.

        Raises:
            UsageError: a value out of range, or a model without latents.
        """
        if isinstance(self.generator, Translator):
            raise UsageError(f"'{self.name}' takes no latents that could be truncated", "leave out `truncation`")
        if value is not None:
            truncation.check(self.generator.truncation, value)
        self.truncation = value
        if self.generator.truncation == "z-cutoff":
            self.latent = replace(self.latent, truncation=value)

    def space(self, asked: Space | None = None) -> Space:
        """The latent space to work in: the one asked for, or else the generator's best.

        Raises:
            UsageError: w of a generator without a mapping network.
        """
        best = self.latents().space
        if asked == "w" and best != "w":
            raise UsageError(f"'{self.name}' has no space w: its generator has no mapping network", "use `space=z`")
        return asked or best

    @torch.no_grad()
    def points(self, inputs: Inputs, space: Space) -> Inputs:
        """Inputs as points of a space, which :meth:`generate` takes in their place.

        Returns:
            For z the inputs. For w {"w": (N, …) on the CPU}, with the classes "y" where there are any.
        """
        if space == "z":
            return inputs
        w = torch.cat([self.map(part).cpu() for part in batches(inputs, self.at_once)])
        return {"w": w} | ({"y": inputs["y"]} if "y" in inputs else {})

    def centre(self, space: Space) -> Inputs:
        """The mean of a space where it is not 0, on the CPU: {} for z, {"w": (width,)} for w."""
        generator = self.latents()
        return {"w": generator.w_mean.cpu()} if space == "w" and isinstance(generator, MappingGenerator) else {}

    @property
    def w_width(self) -> int:
        """Features of a row of w; 0 without a mapping network."""
        return self.generator.w_mean.numel() if isinstance(self.generator, MappingGenerator) else 0

    @cached_property
    def w_means(self) -> Tensor:
        """The means toward which psi moves w, of a model with a mapping network: (1, width) or (classes, width)."""
        assert isinstance(self.generator, MappingGenerator)
        return self.generator.w_means()

    def toward_mean(self, w: Tensor, y: Tensor | None, psi: float) -> Tensor:
        """w as :func:`gancli.latents.truncation.toward_mean` moves it; as it is without a mapping network."""
        if not isinstance(self.generator, MappingGenerator):
            return w
        y = None if y is None else y.to(self.device)
        return truncation.toward_mean(w, self.w_means, y, psi, self.generator.truncated_layers)

    def map(self, inputs: Inputs) -> Tensor:
        """Generator inputs z, y and c to w on the model's device, truncated where psi was given."""
        w = self.latents().map(**{name: value.to(self.device) for name, value in inputs.items()})
        return w if self.truncation is None else self.toward_mean(w, inputs.get("y"), self.truncation)

    def render(self, inputs: Inputs) -> Tensor:
        """Generator inputs, or points of w, to its output (N, C, H, W) on its device; gradients flow to the inputs."""
        return self.latents().synthesize(inputs["w"].to(self.device) if "w" in inputs else self.map(inputs))

    @torch.inference_mode()
    def generate(self, inputs: Inputs) -> Tensor:
        """Generator inputs z, y and c, or points of w, to images: uint8 (N, C, H, W) on the CPU.

        A model of numbers gives them as they are: float32 (N, 1, 1, width).

        Raises:
            UsageError: the model makes images from images.
        """
        parts = [self.render(part) for part in batches(inputs, self.at_once)]
        if self.numbers:
            return torch.cat([part.float().cpu() for part in parts])
        return torch.cat([to_uint8(part, self.range) for part in parts])

    def images(self, seeds: Sequence[int], batch: int = 256) -> Iterator[Tensor]:
        """The images of seeds, a batch at a time: uint8 (up to batch, C, H, W)."""
        parts = (seeds[start : start + batch] for start in range(0, len(seeds), batch))
        yield from distribute(parts, lambda part: self.generate(self.latent.from_seeds(part)))

    @property
    def has_encoder(self) -> bool:
        """Whether it also turns images into latents."""
        return "encoder" in self.networks

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
        encoded = self._over(images, batch, self.networks["encoder"])
        return torch.cat([codes.float()[:, : self.latent.dim].cpu() for codes in encoded])

    def translator(self, network: str | None = None) -> nn.Module:
        """The network of that name, the first unless given, of a model that makes images from images.

        Raises:
            UsageError: the model makes images from latents, or has no such network.
        """
        if self.takes != "source":
            raise UsageError(
                f"'{self.name}' makes images from seeds, not from images",
                f"`gancli sample {self.name}`, or `gancli reconstruct {self.name} IMAGES`",
            )
        if network is not None and network not in self.networks:
            raise UsageError(f"'{self.name}' has no network '{network}'", f"it has {', '.join(self.networks)}")
        return self.networks[network] if network else self.generator

    def translate(self, sources: Tensor, *, network: str | None = None, batch: int = 256) -> Tensor:
        """What it makes of other images: uint8 (N, C, H, W) on the CPU.

        Args:
            sources: uint8 (N, C, H, W) of the model's shape.
            network: another of its networks than the first, such as the ``back`` of a CycleGAN.
            batch: images computed at once.

        Raises:
            UsageError: the model makes images from latents, has no such network, or images of another shape.
        """
        translator = self.translator(network)
        made = [to_uint8(images, self.range) for images in self._over(sources, batch, translator)]
        return torch.cat(made) if made else sources

    def check_images(self, images: Tensor) -> None:
        """Make sure that images are such as the model makes: uint8 (N, C, H, W).

        Raises:
            UsageError: another type or shape.
        """
        if images.dtype != torch.uint8 or images.ndim != 4 or tuple(images.shape[1:]) != self.shape:
            kind, shape = str(images.dtype).removeprefix("torch."), tuple(images.shape)
            raise UsageError(f"the images are {kind} {shape}", f"{self.name} takes uint8 (N, {str(self.shape)[1:]}")

    @torch.inference_mode()
    def _over(self, images: Tensor, batch: int, network: nn.Module) -> list[Tensor]:
        """The outputs of a network for images uint8 (N, C, H, W), a batch at a time."""
        self.check_images(images)
        parts = images.split(min(batch, self.at_once))
        return [network(from_uint8(part.to(self.device), self.range)) for part in parts if len(part)]

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
        name: of the zoo (``dcgan/mnist``), a run folder, a ``.safetensors`` file, or of the Hub (``hf:user/repo``);
            None for the newest run.
        device: ``auto`` is CUDA or Apple's GPU if there is one.
        truncation: see :meth:`Model.truncate`; None for none.

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
        model.truncate(truncation)
    return model


def discriminator_of(model: Model) -> Discriminator | None:
    """The discriminator that lies beside a model's file, frozen, on the model's device; None where there is none.

    That of a model of the Hub is downloaded first.

    Raises:
        GancliError: a file that is not whole, that belongs to another model, or that cannot be downloaded.
    """
    catalogue.bring_discriminator(model.path)
    path = catalogue.discriminator_path(model.path)
    if not path.is_file():
        return None
    tensors, header = checkpoint.read(path)
    recipe = header.get("recipe")
    try:
        if not isinstance(recipe, Mapping) or migrate(recipe) != migrate(model.header["recipe"]):
            raise GancliError(f"it was not trained with {model.path.name}")
        network = assemble(model.recipe, "discriminator", tensors).to(model.device)
        if not isinstance(network, Discriminator):
            raise GancliError("it does not take images")
    except GancliError as error:
        raise GancliError(
            f"{path} is no discriminator of this model: {error.message}", "delete it to do without"
        ) from None
    return network


def _part(header: Mapping[str, Any], key: str, kind: type) -> Any:
    value = header.get(key)
    if not isinstance(value, kind):
        raise GancliError(f"its header has no {key}")
    return value
