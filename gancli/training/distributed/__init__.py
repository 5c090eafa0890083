"""Layers that compute over several processes what one would."""
