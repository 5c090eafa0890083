"""The only place that steps optimizers."""
