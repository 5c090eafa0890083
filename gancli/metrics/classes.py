"""Metrics of classes that an extractor predicts, alone or compared with those that were requested."""

from __future__ import annotations

import torch
from torch import Tensor

from gancli.metrics.base import SHARE, Figure, Sets

CLASS_ACCURACY = Figure("class-accuracy", "class accuracy", "higher", 3, limits=SHARE)
CATEGORY_ACCURACY = Figure("category-accuracy", "category accuracy", "higher", 3, limits=SHARE)
SAME_CLASS = Figure("class_kept", "class kept", "higher", 4, unit="%", limits=SHARE)
SAME_CLASS_ROUND_TRIP = Figure("class_kept_round_trip", "class kept, round trip", "higher", 4, unit="%", limits=SHARE)
FIGURES = (CLASS_ACCURACY, CATEGORY_ACCURACY, SAME_CLASS, SAME_CLASS_ROUND_TRIP)


def inception_score(sets: Sets) -> float:
    """exp of the mean over images of KL(p(y|x) || p(y)): high where single images are confident and all are diverse.

    Salimans et al. 2016, "Improved techniques for training GANs", section 4, with the extractor's own classes instead
    of Inception's, over the whole set (Barratt & Sharma 2018, "A note on the Inception score", on splits).
    """
    conditional = sets.generated.probabilities.double()
    divergence = torch.xlogy(conditional, conditional).sum(1) - torch.xlogy(conditional, conditional.mean(0)).sum(1)
    return float(divergence.mean().exp())


def imbalance(sets: Sets) -> float:
    """Total variation distance between the shares of the predicted classes in both sets, 0 to 1.

    The share of the images that would have to be of another class for the frequencies to agree.
    """
    count = sets.real.probabilities.shape[1]
    real, generated = (
        torch.bincount(side.classes, minlength=count) / len(side.classes) for side in (sets.real, sets.generated)
    )
    return float((real.double() - generated.double()).abs().sum() / 2)


def modes(sets: Sets) -> float:
    """How many classes are predicted of at least one image; on stacked MNIST, of 1,000.

    Metz et al. 2017, "Unrolled generative adversarial networks", section 3.3.1.
    """
    return float(len(sets.generated.classes.unique()))


def class_accuracy(requested: Tensor, predicted: Tensor) -> float:
    """Share of the images whose predicted class is the requested one.

    Args:
        requested: int64 (N,), the classes given to the generator.
        predicted: int64 (N,), the classes that an extractor predicts of its images.
    """
    return float((requested == predicted).double().mean())


def category_accuracy(requested: Tensor, predicted: Tensor) -> float:
    """Share of the images whose category is their class, under the best one-to-one match of categories and classes.

    For categories that were found without labels, as in Chen et al. 2016, "InfoGAN", section 7.2, where
    each category is matched with a digit type.

    Args:
        requested: int64 (N,), the categories given to the generator.
        predicted: int64 (N,), the classes that an extractor predicts of its images.
    """
    from scipy.optimize import linear_sum_assignment

    size = int(max(requested.max(), predicted.max())) + 1
    counts = torch.bincount(requested * size + predicted, minlength=size * size).view(size, size)
    return float(counts[linear_sum_assignment(counts.numpy(), maximize=True)].sum()) / len(requested)
