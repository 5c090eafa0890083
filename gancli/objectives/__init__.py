"""The maths of training: losses, penalties, who plays against whom."""
