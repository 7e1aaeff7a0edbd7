"""Released models: finds a model by name or path, downloads and caches it."""
