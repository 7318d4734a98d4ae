"""The `autorun` module: what starts by itself on an endpoint or gets into other programs.

``module`` is what the entry point names. It lets ``finding`` expand the places of :mod:`mig_endpoint.places` below a
root (``system`` reads there, ``including`` follows what files there include), hands what lies at each to the one of
``readers`` that its place names, or to ``systemd``, and gets an ``entry`` for each thing that is run. ``survey`` goes
through the places; ``cron`` and ``at_jobs`` know their tables and queues, ``live`` and ``bpf`` what the running kernel
has; ``commands`` takes command lines apart, ``programs`` says of a program where it is and who may change it.
"""

from mig_autorun.module import AutorunModule

__all__ = ["AutorunModule"]
