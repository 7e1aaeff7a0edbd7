"""Finds released models by name or path, downloads and caches them."""
