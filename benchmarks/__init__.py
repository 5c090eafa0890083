"""The measurements behind docs/performance.md: ``uv run python -m benchmarks``."""
