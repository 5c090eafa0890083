"""Runs: the training loop's surroundings, from plan to finished run folder."""
