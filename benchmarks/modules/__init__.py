"""Benchmarks of the investigation modules, each against named peers: ``python -m benchmarks.modules.file``."""
