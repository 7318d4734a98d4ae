"""The `memory` module: finds processes by name, library, and content of their memory.

``module`` is what the entry point names. From there down: ``declaration`` (parameters) and ``search`` (their typed
form) say what is asked; ``evaluation`` decides about processes with ``mig_endpoint.processes`` (who is there, and
reading their memory), ``window``, ``patterns`` and ``bytesyntax`` (finding things in it); ``facts`` describes what was
found, ``rows`` (of ``columns``) and ``lines`` give the answer its shape, ``reasons`` says what was left out and why.
"""

from mig_memory.module import MemoryModule

__all__ = ["MemoryModule"]
