"""The command line: one file a command; each parses, calls the library and renders."""

from gancli.cli._app import main

__all__ = ["main"]
