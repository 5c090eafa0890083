"""Evaluation: subjects, extractors, protocols, floors and reports. ``evaluate.evaluate`` is the way in."""
