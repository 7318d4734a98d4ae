"""The `file` module: finds files by name, size, mode, age, content and hash.

``module`` is what the entry point names. What is asked: ``declaration`` (parameters), ``search`` (typed),
``expressions``, ``patterns`` over ``syntax`` and ``required``, ``checks``. Where to look: ``roots``, ``walk``,
``filesystems``. Looking: ``evaluation`` over ``names``, ``openfile``, ``reader``, ``content``, ``decompression``,
``digests`` and ``ahead``. The answer: ``tally``, ``hits``, ``rows``, ``naming``, ``timetext``, ``lines``.
"""

from mig_file.module import FileModule

__all__ = ["FileModule"]
