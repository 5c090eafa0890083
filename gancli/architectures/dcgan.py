"""Deep convolutional GAN (Radford, Metz, Chintala 2016, section 3), for any size from 8 pixels up.

The image's sides are halved, rounding up, until the shorter one would fall under ``base``: 64 gives the paper's four
stages down to 4x4, 28 gives three. An odd side is reached by cutting a row or column off the doubled one. With
``dense``, a fully connected layer stands before the generator's convolutions and after the discriminator's, as in the
MNIST networks of InfoGAN (Chen et al. 2016, appendix C.1): on small images it learns much faster.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.architectures import _base
from gancli.architectures._base import InitStd, OptionalWidth, Share, Sizes, Spec, Width
from gancli.architectures._heads import Code, HeadNames, Heads, classes_for, encoder_end
from gancli.architectures._layers import Down, Flat, Up, dropping, halvings, initialise, normalise_spectrum, strided
from gancli.architectures._norms import normalisation
from gancli.architectures._ranges import Output, squash

Norm = Literal["batch", "none"]
Base = Annotated[int, Field(ge=4, le=64)]
SIZES = Sizes(minimum=8, instead=", or `model=gan`, which takes any size")


def stage_sizes(height: int, width: int, base: int = 4) -> list[tuple[int, int]]:
    """(height, width) of the image and of every halving, at least one, with no side under ``base`` after the first."""
    half = ((height + 1) // 2, (width + 1) // 2)
    return [(height, width), *halvings(*half, most=12, smallest=base)]


class Generator(_base.Generator):
    """Latents (N, dim) to images (N, C, H, W).

    Args:
        spec: shape and latent.
        width: channels of the last hidden layer; each earlier stage has twice as many.
        most: the largest number of channels.
        base: the shortest side that the convolutions may start from.
        dense: features of a fully connected layer before the convolutions; 0 for none, as in the paper.
        norm: after every layer but the last.
        dropout: probability after every layer but the last, of whole channels; 0 in the paper. None is applied when the
            network is used.
        init_std: standard deviation of the initial weights; 0 for PyTorch's own initialisation.
        output: the output function, which sets the range of pixel values.
    """

    serves = SIZES

    def __init__(
        self,
        spec: Spec,
        *,
        width: Width = 64,
        most: Width = 1024,
        base: Base = 4,
        dense: OptionalWidth = 0,
        norm: Norm = "batch",
        dropout: Share = 0.0,
        init_std: InitStd = 0.02,
        output: Output = "tanh",
    ) -> None:
        super().__init__(spec, output)
        channels, height, image_width = spec.shape
        sizes = stage_sizes(height, image_width, base)
        widths = [min(width * 2**stage, most) for stage in range(len(sizes) - 1)]
        bias = norm == "none"
        self.base = (widths[-1], *sizes[-1])
        features = widths[-1] * sizes[-1][0] * sizes[-1][1]
        inputs, layers = spec.latent.width, []
        if dense:
            layers += [nn.Linear(inputs, dense, bias=bias), *normalisation(norm, dense, flat=True), nn.ReLU()]
            layers += dropping(dropout)
            inputs = dense
        self.stem = nn.Sequential(*layers, nn.Linear(inputs, features, bias=bias))
        body: list[nn.Module] = [*normalisation(norm, widths[-1]), nn.ReLU(), *dropping(dropout, channels=True)]
        for stage in range(len(widths) - 1, 0, -1):
            body += [Up(widths[stage], widths[stage - 1], sizes[stage], bias), *normalisation(norm, widths[stage - 1])]
            body += [nn.ReLU(), *dropping(dropout, channels=True)]
        self.body = nn.Sequential(*body, Up(widths[0], channels, sizes[0]), squash(output))
        initialise(self, init_std)

    def first_layer(self, w: Tensor) -> Tensor:
        """w (N, width) to the output of the first linear layer, (N, features)."""
        return self.stem[0](w)

    def synthesize(self, w: Tensor) -> Tensor:
        """w (N, width) to (N, C, H, W)."""
        return self.body(self.stem(w).view(-1, *self.base).contiguous(memory_format=torch.channels_last))


class Discriminator(_base.Discriminator):
    """Images (N, C, H, W) to logits (N, 1); higher means more real.

    Args:
        spec: shape of the images.
        width: channels of the first layer; each later stage has twice as many.
        most: the largest number of channels.
        base: the shortest side that the convolutions may end at.
        dense: features of a fully connected layer after the convolutions; 0 for none, as in the paper.
        norm: after every layer but the first and the last.
        slope: of the leaky ReLU.
        dropout: probability after each convolution.
        init_std: standard deviation of the initial weights; 0 for PyTorch's own initialisation.
        spectral_norm: divide every weight by its largest singular value (Miyato et al. 2018).
        conditional: it also takes the class, as one more channel: a learned picture of each.
        heads: what else it tells of an image: the class, the codes; it then returns (logits, head, …).
        head_width: features of a layer before the heads; 0 for none.
    """

    serves = SIZES

    def __init__(
        self,
        spec: Spec,
        *,
        width: Width = 64,
        most: Width = 1024,
        base: Base = 4,
        dense: OptionalWidth = 0,
        norm: Norm = "batch",
        slope: Share = 0.2,
        dropout: Share = 0.0,
        init_std: InitStd = 0.02,
        spectral_norm: bool = False,
        conditional: bool = False,
        heads: HeadNames = [],  # noqa: B006 (read, never written)
        head_width: OptionalWidth = 0,
    ) -> None:
        super().__init__(spec)
        self.conditional, self.heads = conditional, tuple(heads)
        self.batch_independent = norm == "none" and not head_width  # the heads' shared layer has batch norm
        channels, height, image_width = spec.shape
        if conditional:
            self.pictures = nn.Embedding(classes_for(spec), height * image_width)
            channels += 1
        stages = len(stage_sizes(height, image_width, base)) - 1
        widths = [channels, *(min(width * 2**stage, most) for stage in range(stages))]
        layers: list[nn.Module] = []
        for stage, (inputs, outputs) in enumerate(pairwise(widths)):
            kind: Norm = norm if stage else "none"
            layers += [Down(inputs, outputs, bias=kind == "none"), *normalisation(kind, outputs)]
            layers += [nn.LeakyReLU(slope), *dropping(dropout, channels=True)]
            height, image_width = height // 2, image_width // 2
        features = widths[-1] * height * image_width
        layers.append(Flat())
        if dense:
            layers += [nn.Linear(features, dense, bias=norm == "none"), *normalisation(norm, dense, flat=True)]
            layers.append(nn.LeakyReLU(slope))
            features = dense
        self.body = nn.Sequential(*layers, nn.Linear(features, 1))
        self.readings = Heads(spec, heads, features, head_width) if heads else None
        initialise(self, init_std)
        if spectral_norm:
            normalise_spectrum(self)

    def features(self, images: Tensor, y: Tensor | None = None, source: Tensor | None = None) -> Tensor:
        """(N, C, H, W), with classes y (N,) if it is conditional, to (N, features)."""
        first, *layers, _ = self.body
        x = first(images) if y is None else self._with_class(first, images, y)
        for layer in layers:
            x = layer(x)
        return x

    def _with_class(self, first: Any, images: Tensor, y: Tensor) -> Tensor:
        """The first layer's output for images that have the picture of their class as one more channel.

        A convolution of both is the sum of one of the images and one of the pictures, of which there are only as many
        as classes; and images then need no gradient for the pictures' sake.
        """
        channels, pictures = images.shape[1], self.pictures.weight.view(-1, 1, *images.shape[2:])
        weight = first.weight  # read once: with spectral norm, reading it is a power iteration
        x = strided(images, weight[:, :channels], first.bias)
        of_classes = strided(pictures, weight[:, channels:]).permute(0, 2, 3, 1)
        # Picked by a product, since the gradient of picking by number is slow.
        picked = F.one_hot(y, len(pictures)).to(x.dtype) @ of_classes.flatten(1)
        return x + picked.view(-1, *of_classes.shape[1:]).permute(0, 3, 1, 2)


class Encoder(_base.Encoder):
    """Images (N, C, H, W) to codes (N, dim), or to means and log variances (N, 2 dim).

    The discriminator's layers, with another end.

    Args:
        spec: shape of the images, and the latent.
        code: what it gives: codes, whitened codes, or a Gaussian's mean and log variance.
        width: channels of the first layer; each later stage has twice as many.
        most: the largest number of channels.
        base: the shortest side that the convolutions may end at.
        dense: features of a fully connected layer after the convolutions; 0 for none.
        norm: after every layer but the first and the last.
        slope: of the leaky ReLU.
        init_std: standard deviation of the initial weights; 0 for PyTorch's own initialisation.
    """

    serves = SIZES

    def __init__(
        self,
        spec: Spec,
        *,
        code: Code = "plain",
        width: Width = 64,
        most: Width = 1024,
        base: Base = 4,
        dense: OptionalWidth = 0,
        norm: Norm = "batch",
        slope: Share = 0.2,
        init_std: InitStd = 0.02,
    ) -> None:
        super().__init__(spec)
        like = Discriminator(spec, width=width, most=most, base=base, dense=dense, norm=norm, slope=slope, init_std=0)
        *layers, last = like.body
        assert isinstance(last, nn.Linear)
        self.body = nn.Sequential(*layers, *encoder_end(last.in_features, spec.latent.dim, code))
        initialise(self, init_std)


NETWORKS = {"generator": Generator, "discriminator": Discriminator, "encoder": Encoder}
