"""The networks of the extractors that the project trained itself."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


class Classifier(nn.Module):
    """A plain convolutional classifier of small grey images.

    Args:
        widths: channels of each stage; a stage is two 3x3 convolutions, and 2x2 max pooling stands between stages.
        classes: number of classes.
    """

    def __init__(self, widths: tuple[int, ...], classes: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for stage, width in enumerate(widths):
            if stage:
                layers.append(nn.MaxPool2d(2))
            layers += _block(1 if stage == 0 else widths[stage - 1], width) + _block(width, width)
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        # A stage is six layers, and pooling stands before each but the first.
        self.cut = 7 * (len(widths) - 1) - 1
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, 1, H, W) in [0, 1] to features (N, 4 * widths[-2]) and logits (N, classes)."""
        early = self.body[: self.cut]((images - 0.5) / 0.5)
        features = nn.functional.adaptive_avg_pool2d(early, 2).flatten(1)
        return features, self.head(self.body[self.cut :](early))


class Perceptron(nn.Module):
    """A multilayer perceptron on the row of pixels: as different from convolutions as can be.

    Args:
        pixels: of an image.
        widths: of the hidden layers; the first one's output are the features.
        classes: number of classes.
    """

    def __init__(self, pixels: int, widths: tuple[int, ...], classes: int = 10) -> None:
        super().__init__()
        first, *rest = (
            nn.Sequential(nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU())
            for inputs, outputs in pairwise((pixels, *widths))
        )
        self.first, self.rest = first, nn.Sequential(nn.Dropout(0.1), *rest, nn.Dropout(0.1))
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, 1, H, W) in [0, 1] to features (N, widths[0]) and logits (N, classes)."""
        features = self.first(((images - 0.5) / 0.5).flatten(1))
        return features, self.head(self.rest(features))


class Stacked(nn.Module):
    """A classifier of grey images applied to each colour channel: three digits make one of a thousand classes.

    Args:
        one: the classifier of one channel.
    """

    def __init__(self, one: nn.Module) -> None:
        super().__init__()
        self.one = one

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, 3, H, W) in [0, 1] to features (N, 3 D) and logits (N, K^3), the first colour's digit first."""
        features, logits = self.one(images.transpose(0, 1).flatten(0, 1)[:, None])
        first, second, third = logits.log_softmax(1).view(3, len(images), -1)
        together = first[:, :, None, None] + second[:, None, :, None] + third[:, None, None, :]
        return features.view(3, len(images), -1).transpose(0, 1).flatten(1), together.flatten(1)


class ColourClassifier(nn.Module):
    """A convolutional classifier of small colour images.

    Fixed filters that whiten patches of 3x3 pixels, then three stages of two 3x3 convolutions, of which the first is
    followed by 2x2 max pooling: after Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU", section 3, a few
    sizes smaller and with ReLU.

    Args:
        widths: channels of the first and of the second convolution of each stage.
        classes: number of classes.
    """

    def __init__(self, widths: tuple[tuple[int, int], ...], classes: int = 10) -> None:
        super().__init__()
        whitened = 24
        whiten = nn.Conv2d(3, whitened, 3, padding=1, bias=False).requires_grad_(False)
        inputs = (whitened, *(second for _, second in widths))
        *early, late = (
            nn.Sequential(
                nn.Conv2d(entering, first, 3, padding=1, bias=False),
                nn.MaxPool2d(2),
                nn.BatchNorm2d(first),
                nn.ReLU(),
                *_block(first, second),
            )
            for entering, (first, second) in zip(inputs, widths, strict=False)
        )
        self.early = nn.Sequential(whiten, nn.ReLU(), *early)
        self.late = nn.Sequential(late, nn.AdaptiveMaxPool2d(1), nn.Flatten())
        self.head = nn.Linear(widths[-1][1], classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, 3, H, W) in [0, 1] to features (N, 4 * widths[-2][1]) and logits (N, classes)."""
        early = self.early((images - 0.5) / 0.25)
        features = nn.functional.adaptive_avg_pool2d(early, 2).flatten(1)
        return features, self.head(self.late(early))
