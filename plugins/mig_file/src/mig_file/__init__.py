"""The `file` module: finds files by name, size, mode, age, content and hash.

``module`` is what the entry point names. What it looks with is ``mig_endpoint.finding``; here is what becomes of it:
``rows`` of ``columns``, ``timetext``, and ``lines``.
"""

from mig_file.module import FileModule

__all__ = ["FileModule"]
