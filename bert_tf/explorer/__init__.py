"""The explorer: a web page on this machine that asks a model what it can answer."""
