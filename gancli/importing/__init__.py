"""Weights of other programs, as model files of gancli: their files are read in a process of its own, and mapped."""
