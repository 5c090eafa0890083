"""Tensors to pictures: PNG, animations, plots, the terminal."""
