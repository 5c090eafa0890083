"""Generators and discriminators, one file a family."""
