"""The `file` module: finds files by name, size, mode, age, content and hash.

``module`` is what the entry point names. From there down: ``declaration`` (parameters) and ``search`` (their typed
form) say what is asked, ``walk`` goes through directories, ``evaluation`` decides about files with ``patterns``,
``expressions``, ``content`` and ``digests``, ``rows`` and ``lines`` give the answer its shape.
"""

from mig_file.module import FileModule

__all__ = ["FileModule"]
