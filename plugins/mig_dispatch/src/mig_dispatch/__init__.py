"""The `dispatch` module: forwards the alerts of all persistent modules to HTTP, syslog, SNS or a file.

``module`` is what the entry point names; ``serving`` puts a running dispatch together. An alert's way: ``intake`` makes
it a ``record`` and puts it into the ``spool`` (``segments`` of checksummed ``framing``); one ``delivery`` thread for
each of the ``sinks`` reads it from there, and its ``receipts`` say how far it came. ``deadletters`` keeps what a sink
refused for good. ``declaration`` and ``settings`` are the configuration, ``question`` asks the running process.
"""

from mig_dispatch.module import DispatchModule

__all__ = ["DispatchModule"]
