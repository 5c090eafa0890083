"""Training and evaluation as functions, and what they share with the command line between arguments and loop."""
