"""The run folder and everything that is kept there."""
