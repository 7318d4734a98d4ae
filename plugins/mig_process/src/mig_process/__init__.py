"""The `process` module: what runs on an endpoint, from where, as whom and since when.

``module`` is what the entry point names: columns and the walk. ``facts`` makes a row of one process out of
``sources``; ``capabilities``, ``units`` and ``disguise`` understand what the kernel says, ``unlisted`` finds processes
that /proc does not list. The walk and a process's own facts are :mod:`mig_endpoint.processes`.
"""

from mig_process.module import ProcessModule

__all__ = ["ProcessModule"]
