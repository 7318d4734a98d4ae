"""The `file` module: finds files by name, size, mode, age, content and hash.

``module`` is what the entry point names. What is asked: ``declaration`` (parameters), ``search`` (typed),
``expressions``, ``patterns`` over ``syntax``, ``check``, ``checks``, ``metadata``, ``slots``. Going there:
``exploring``. Looking: ``evaluation`` over ``names`` and ``plans``; files: ``inspection`` over ``openfile``,
``reader`` and ``content``; other ``entries``; members of ``archives`` by their ``member_status``; several processes
at once: ``bundle``, ``workers``, ``shares``. The ``answer``: ``reasons``, ``hits``, ``rows`` of ``columns``,
``timetext``, ``lines``.
What it looks with is ``mig_endpoint.files``.
"""

from mig_file.module import FileModule

__all__ = ["FileModule"]
