"""Naming models, and the models that come with gancli."""
