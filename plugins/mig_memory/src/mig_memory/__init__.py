"""The `memory` module: finds processes by name, library, and content of their memory.

``module`` is what the entry point names. From there down: ``declaration`` (parameters) and ``search`` (their typed
form) say what is asked; ``evaluation`` decides about processes with ``processes`` (who is there), ``scan`` (reading
memory, planned by ``mappings`` and ``pages``), ``window`` and ``patterns`` (finding things in it); ``facts`` describes
what was found, ``rows`` and ``lines`` give the answer its shape, ``tally`` keeps the books.
"""

from mig_memory.module import MemoryModule

__all__ = ["MemoryModule"]
