"""A persistent module: which files change, how, and who changed them.

``module`` is what the entry point names, ``columns`` are its rows', ``question`` is what it can be asked. From there
down: ``settings`` reads the configuration, ``places`` says what is watched where that names nothing, ``watch`` puts a
running watch together.

The way of an event: ``reader`` takes a ``notice`` from ``fanotify`` or ``inotify`` (``kernel`` has their calls), and
``actors`` says who it was; ``marks`` knows which directory it means, ``heeding`` makes a path of it, ``pending`` keeps
the path until it is quiet, ``looking`` looks at it (``folders``, ``entry``) and compares it with the ``baseline``. What
differs is one of the ``changes``; ``telling`` brings it to the agent, as ``events``, those of package managers
(``managers``, ``packages``) in one. ``scope`` follows the paths of the settings, ``scan`` goes through everything below
them, ``comparison`` does so at the start and whenever something may have been missed. ``answers`` answers questions.
"""

from mig_fswatch.module import FswatchModule

__all__ = ["FswatchModule"]
