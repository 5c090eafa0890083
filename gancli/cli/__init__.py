"""The command line: one file a command; each parses, calls the library and renders."""

from gancli.cli.app import main

__all__ = ["main"]
