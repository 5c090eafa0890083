"""The measurements in docs/performance.md and docs/reliability.md: ``uv run python -m benchmarks``."""
