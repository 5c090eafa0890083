"""How good is a model: feature extractors, metrics, the protocol that a figure was measured by, the report."""
