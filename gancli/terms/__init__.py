"""What objectives are made of: the step, losses, regularizers and augmentations."""
