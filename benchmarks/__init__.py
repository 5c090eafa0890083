"""What docs/performance.md quotes, measured anew by ``uv run python -m benchmarks``."""
