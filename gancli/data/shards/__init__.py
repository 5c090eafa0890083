"""Data sets of tar shards, by path and by https."""
