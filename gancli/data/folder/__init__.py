"""Folders and zips of images: their layout, decoding."""
