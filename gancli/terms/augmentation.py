"""placeholder until the module lands"""

from torch import nn


class Augmentation(nn.Module):
    """x"""


AUGMENTATIONS = {}
