"""The `dispatch` module: forwards the alerts of all persistent modules to whoever collects them.

``module`` is what the entry point names; ``serving`` puts a running dispatch together. An alert's way: the intake makes
it a ``record`` and puts it into the ``spool`` (``segments`` of checksummed ``framing``); one ``delivery`` thread for
each of the ``sinks`` takes it from there (``reader``): ``collecting`` makes ``batches`` of what the sink is meant to
get and of what is alike (``selection``), and its ``receipts`` say how far it came. ``bounds`` keeps one sink from
harming others, ``deadletters`` keeps what a sink refused for good. ``files`` makes what is kept durable.
``declaration`` and ``settings`` are the configuration, ``targets`` what it says of receivers; ``status`` is what the
running process answers, as rows of ``columns``, with each sink's ``progress``.
"""

from mig_dispatch.module import DispatchModule

__all__ = ["DispatchModule"]
