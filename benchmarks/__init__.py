"""Measurements of the whole path, on real parts. ``README.md`` says how to run them and what each number means."""
